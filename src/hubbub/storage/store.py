"""The embedded store: one folder with the log, the events and facts, and the identities of all that was ever stored."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from hubbub.errors import NOT_NOW, StoreDamagedError
from hubbub.storage import intact, schema
from hubbub.storage.identity import Identities
from hubbub.storage.log import Log
from hubbub.storage.sqlite import Database, errors_of

FILE = "hubbub.db"
HOLD = 0.005
"""Seconds of folding after which others may take their turn."""


class Settling:
    """A lock, held by whoever moves the log on or folds, who releases it when it is due. May be taken twice."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._counting = threading.Lock()
        self._waiting = 0
        self._since = 0.0

    @property
    def due(self) -> bool:
        """Whether its holder has had it for a while, and somebody waits for it."""
        return self._waiting > 0 and time.monotonic() - self._since > HOLD

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


class Store:
    """Events and facts of all tenants. May be used from any thread; several processes may have one folder open."""

    def __init__(self, folder: Path, *, free_floor: int = 0) -> None:
        """Open the store of a folder, or make it; one that may not be written is read.

        Raises StoreDamagedError, StoreFullError, StoreUnavailableError.
        """
        with errors_of(folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder = folder
        intact.check(folder, folder / FILE)
        self.facts = Database(folder / FILE)
        prepare = schema.create if self.facts.writable else schema.check
        self.facts.exclusive(lambda con: prepare(con, str(folder / FILE)))
        self.identities = Identities(self.facts, folder)
        self.log = Log(folder, self.facts, self.identities, free_floor)
        self._check()
        self.settling = Settling()
        self._closed = False
        self._listeners: list[Callable[[Iterable[int]], None]] = []

    def _check(self) -> None:
        """Raise StoreDamagedError where one of the two files is emptied or older: each says how far the other was."""
        forgotten = self.log.forgotten()  # first what may only be passed by what is read after it
        with self.facts.read() as reading:
            stored = int(reading.value("SELECT value FROM meta WHERE key = 'stored'") or 0)
        last, facts, log = self.log.last(), self.facts.path, self.log.database.path
        if forgotten > stored:
            raise intact.facts_behind(facts, stored, forgotten)
        if last < stored:
            raise StoreDamagedError(
                f"{log} or its write-ahead log is damaged or missing: it ends with batch {last}, and those up to {stored} were "
                "stored; restore the folder from a backup"
            )

    def listen(self, changed: Callable[[Iterable[int]], None]) -> None:
        """Call a function with the tenants whose facts were changed by this process, after each change."""
        self._listeners.append(changed)

    def announce(self, tenants: Iterable[int]) -> None:
        """Say that the facts of these tenants have changed."""
        for changed in self._listeners:
            changed(tenants)

    def others(self) -> tuple[int, int]:
        """Return numbers that are others after another process has accepted or folded something."""
        return self.log.database.changed(), self.facts.changed()

    def installation(self) -> str | None:
        """Return the id of the installation that this folder belongs to; None before it is bound to control data."""
        with self.facts.read() as reading:
            found: str | None = reading.value("SELECT value FROM meta WHERE key = 'installation'")
            return found

    def close(self) -> None:
        """Finish and close all files; once is enough."""
        if self._closed:
            return
        self._closed = True
        self.log.close()
        with suppress(*NOT_NOW):  # what is committed is in the write-ahead log, and read from there
            self.facts.checkpoint()
        self.facts.close()
