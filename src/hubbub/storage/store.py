"""The store: events and facts of all tenants, in the data folder or in PostgreSQL, which may have a copy in ClickHouse.

Other rooms reach storage through it.
"""

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
"""Seconds of folding after which others may take the lock."""
YIELD, ASIDE = 0.0005, 0.05
"""Seconds in which another thread can take the lock; the most seconds that background work waits for requests."""
LATELY = 5.0
"""Seconds for which turns stay short after another thread waited for the lock."""


class Settling:
    """A reentrant lock, held while the log is moved or facts are folded. Its holder releases it when it is due.

    Background work also releases it for requests that need no lock: threads of one process share a processor, and a fold makes
    a question beside it take three times as long. `requests` returns whether any are in progress; the server sets it.
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
        """Whether the lock was held for HOLD seconds, and another thread waits for it."""
        return self._waiting > 0 and time.monotonic() - self._since > HOLD

    @property
    def contended(self) -> bool:
        """Whether another thread waits for it or did within LATELY seconds: work without interruption is then kept short."""
        return self._waiting > 0 or time.monotonic() - self._waited < LATELY

    def is_over(self, *, background: bool) -> bool:
        """Whether its holder should release it now."""
        return self.due or (background and time.monotonic() - self._since > HOLD and self.requests())

    def step_aside(self, *, background: bool) -> None:
        """Let others take the lock; in the background, also wait for requests, at most ASIDE seconds."""
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

    def __init__(self, folder: Path, url: str = "", copy_url: str = "", *, free_floor: int = 0) -> None:
        """Open or create the store at a URL, or without one in a folder; `copy_url`: the URL of its copy in ClickHouse, if any.

        A read-only folder is opened for reading; below `free_floor` bytes of free space the log accepts nothing.
        Raises StoreDamagedError, StoreFullError, StoreUnavailableError.
        """
        with errors_of(folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder = folder
        backend = _postgresql(url, copy_url) if url else sqlite_store.connect(folder, free_floor)
        self.facts, self.identities, self.log, self.copy = backend.facts, backend.identities, backend.log, backend.copy
        self._databases = backend.databases
        self.settling = Settling()
        self._closed = False
        self._listeners: list[Callable[[Iterable[int]], None]] = []

    def listen(self, changed: Callable[[Iterable[int]], None]) -> None:
        """Register a function that gets the tenants whose facts this process changed, after each change."""
        self._listeners.append(changed)

    def announce(self, tenants: Iterable[int]) -> None:
        """Call the listeners: the facts of these tenants have changed."""
        for changed in self._listeners:
            changed(tenants)

    def others(self) -> tuple[int, ...]:
        """Return numbers that change when another process has accepted or folded events."""
        return tuple(database.changed() for database in self._databases)

    def rewrite(self) -> None:
        """Write all files again without a byte of deleted rows. Raises StoreBusyError when a reader prevents it for a minute."""
        for database in self._databases:
            database.rewrite()
        if self.copy is not None:
            self.copy.rewrite()

    def installation(self) -> str | None:
        """Return the id of the installation that this store belongs to; None before it is bound to control data."""
        with self.facts.read() as reading:
            id_: str | None = reading.value("SELECT value FROM meta WHERE key = 'installation'")
            return id_

    def close(self) -> None:
        """Write the waiting batches and close everything; later calls do nothing."""
        if self._closed:
            return
        self._closed = True
        self.log.close()
        with suppress(*NOT_NOW):  # commits stay in the write-ahead log, and are read from there
            self.facts.checkpoint()
        if self.copy is not None:
            self.copy.close()
        self.facts.close()


def _postgresql(url: str, copy_url: str) -> Backend:
    """Open the store of a server; the embedded store does not load its driver."""
    from hubbub.storage import postgresql_store

    return postgresql_store.connect(url, copy_url)
