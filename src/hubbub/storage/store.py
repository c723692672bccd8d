"""The store: events and facts of all tenants, in the data folder or in PostgreSQL. What the rooms above see of storage."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from hubbub.errors import NOT_NOW
from hubbub.storage import sqlite_store
from hubbub.storage.backend import Backend
from hubbub.storage.sqlite import errors_of

FILE = sqlite_store.FILE
HOLD = 0.005
"""Seconds of folding after which others may take their turn."""
YIELD, ASIDE = 0.0005, 0.02
"""Seconds that somebody else has to begin when it is their turn, and for which requests go first, one after the other."""
LATELY = 5.0
"""Seconds for which turns stay short after somebody waited for theirs."""


class Settling:
    """A lock, held by whoever moves the log on or folds, who releases it when it is due. May be taken twice.

    Whoever works for all in the background also releases it for requests that need no lock: threads of one process share a
    processor, and a fold that goes on beside a question makes it take three times as long. `requests` says whether any are
    worked on; the server sets it.
    """

    def __init__(self) -> None:
        self.requests: Callable[[], bool] = lambda: False
        self._lock = threading.RLock()
        self._counting = threading.Lock()
        self._waiting = 0
        self._since = 0.0
        self._waited = -LATELY

    @property
    def due(self) -> bool:
        """Whether its holder has had it for a while, and somebody waits for it."""
        return self._waiting > 0 and time.monotonic() - self._since > HOLD

    @property
    def contended(self) -> bool:
        """Whether somebody waits for it or did lately: what cannot be interrupted is then done in small pieces, or another way."""
        return self._waiting > 0 or time.monotonic() - self._waited < LATELY

    def is_over(self, *, background: bool) -> bool:
        """Whether its holder ends its turn now."""
        return self.due or (background and time.monotonic() - self._since > HOLD and self.requests())

    def step_aside(self, *, background: bool) -> None:
        """Let others begin; in the background, wait while requests are worked on, and no longer than a little."""
        time.sleep(YIELD)
        until = time.monotonic() + ASIDE
        while background and self.requests() and time.monotonic() < until:
            time.sleep(YIELD)

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            self._count(1)
            try:
                self._lock.acquire()
            finally:
                self._count(-1)
        self._since = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def _count(self, change: int) -> None:
        with self._counting:
            self._waiting += change
            self._waited = time.monotonic()


class Store:
    """Events and facts of all tenants. May be used from any thread; several processes may have one open."""

    def __init__(self, folder: Path, url: str = "", *, free_floor: int = 0) -> None:
        """Open the store behind a URL, or without one that of a folder, and make it where there is none.

        A folder that may not be written is read; below `free_floor` bytes of free space its log takes nothing more.
        Raises StoreDamagedError, StoreFullError, StoreUnavailableError.
        """
        with errors_of(folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder = folder
        backend = _postgresql(url) if url else sqlite_store.connect(folder, free_floor)
        self.facts, self.identities, self.log = backend.facts, backend.identities, backend.log
        self._databases = backend.databases
        self.settling = Settling()
        self._closed = False
        self._listeners: list[Callable[[Iterable[int]], None]] = []

    def listen(self, changed: Callable[[Iterable[int]], None]) -> None:
        """Call a function with the tenants whose facts were changed by this process, after each change."""
        self._listeners.append(changed)

    def announce(self, tenants: Iterable[int]) -> None:
        """Say that the facts of these tenants have changed."""
        for changed in self._listeners:
            changed(tenants)

    def others(self) -> tuple[int, ...]:
        """Return numbers that are others after another process has accepted or folded something."""
        return tuple(database.changed() for database in self._databases)

    def rewrite(self) -> None:
        """Leave no byte of what was deleted. Raises StoreBusyError while somebody reads for longer than a minute."""
        for database in self._databases:
            database.rewrite()

    def installation(self) -> str | None:
        """Return the id of the installation that this store belongs to; None before it is bound to control data."""
        with self.facts.read() as reading:
            found: str | None = reading.value("SELECT value FROM meta WHERE key = 'installation'")
            return found

    def close(self) -> None:
        """Finish and close everything; once is enough."""
        if self._closed:
            return
        self._closed = True
        self.log.close()
        with suppress(*NOT_NOW):  # what is committed is in the write-ahead log, and read from there
            self.facts.checkpoint()
        self.facts.close()


def _postgresql(url: str) -> Backend:
    """Open the store of a server, whose driver an embedded one does not load."""
    from hubbub.storage import postgresql_store

    return postgresql_store.connect(url)
