"""Whether the files hold all that was acknowledged: SQLite opens a file without its write-ahead log as if nothing were missing.

The number of the newest acknowledged batch stands in a small file beside the log. It is written after each commit and never synced:
after a power failure it may be older than the log, but not newer.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import time
from contextlib import closing, suppress
from pathlib import Path

from hubbub.errors import StoreDamagedError, StoreFullError, StoreUnavailableError
from hubbub.storage.sqlite import errors_of, read_only, writable

MARK = "acknowledged"
LOG = "log.db"
TRIES, PAUSE = 5, 0.2
"""How often, and after how many seconds, files that another process may be writing are looked at again."""
_LAST = "SELECT seq FROM sqlite_sequence WHERE name = 'log'"
_FORGOTTEN = "SELECT value FROM meta WHERE key = 'forgotten'"
_STORED = "SELECT value FROM meta WHERE key = 'stored'"


class Mark:
    """The file that holds the number of the newest acknowledged batch."""

    def __init__(self, folder: Path) -> None:
        """Open it, or make it; a folder that may only be read has nothing to note."""
        self._file = os.open(folder / MARK, os.O_RDWR | os.O_CREAT, 0o600) if writable(folder / LOG) else None
        self._known = 0

    def set(self, number: int) -> None:
        """Note a number. A guard that cannot be written stops nobody."""
        if self._file is not None and number > self._known:
            self._known = number
            with suppress(OSError):
                os.pwrite(self._file, b"%-20d\n" % number, 0)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def check(folder: Path, facts: Path) -> None:
    """Check, before anything is opened, that the log has all that was acknowledged, and the facts all that has left the log.

    Changes nothing, so that files which are put back still fit. A folder that may only be read, or whose disk is full, is not
    checked here, since that takes a copy. Raises StoreDamagedError, and OSError where a file cannot be read.
    """
    if not os.access(folder, os.W_OK):
        return
    for last_try in (*[False] * (TRIES - 1), True):
        marked = acknowledged(folder)
        if marked and not (facts.exists() and facts.stat().st_size):
            raise StoreDamagedError(f"{facts} is missing or empty: put it back beside {LOG}, or restore a backup")
        try:
            found, forgotten = _log_numbers(folder) if marked else (0, 0)
        except StoreFullError:
            return
        stored = _stored(facts) if forgotten else 0
        if found >= marked and stored >= forgotten:
            return
        if last_try and found >= marked:
            raise facts_behind(facts, stored, forgotten)
        if last_try:
            raise StoreDamagedError(
                f"{folder / LOG} or its write-ahead log is damaged or missing: it ends with batch {found}, and batch "
                f"{marked} was acknowledged; put both files back, restore a backup, or delete {MARK} to go on without"
            )
        time.sleep(PAUSE)


def acknowledged(folder: Path) -> int:
    """Return the number of the newest acknowledged batch, as far as it was noted. Raises StoreDamagedError."""
    try:
        text = (folder / MARK).read_bytes().strip(b"\0 \n")  # a power failure may leave a file of zeros
    except FileNotFoundError:
        return 0
    if text and not (text.isdigit() and len(text) < 20):
        raise StoreDamagedError(
            f"{folder / MARK} is damaged: it does not hold the number of the newest batch; restore it from a backup, or delete it "
            "to go on without"
        )
    return int(text or 0)


def facts_behind(facts: Path, stored: int, forgotten: int) -> StoreDamagedError:
    """Return the error of facts that lack batches which left the log."""
    return StoreDamagedError(
        f"{facts} or its write-ahead log is damaged or missing: it holds batches up to {stored}, and those up to {forgotten} left "
        "the log for it; put both files back, or restore the folder from a backup"
    )


def _stored(facts: Path) -> int:
    """Return the number of the newest batch among the facts; one that cannot be read here is named by who opens it."""
    with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(read_only(facts), uri=True)) as con:
        row = con.execute(_STORED).fetchone()
        return int(row[0]) if row else 0
    return 0


def _log_numbers(folder: Path) -> tuple[int, int]:
    """Return the numbers of the newest batch in the log and of the newest that left it.

    A log that was not closed is read from a copy: SQLite would change it. Raises StoreFullError where there is no space for one.
    """
    files = [folder / LOG, folder / f"{LOG}-wal"]
    unreadable = suppress(
        StoreDamagedError, StoreUnavailableError, sqlite3.DatabaseError
    )  # looked at again, then named
    with unreadable, errors_of(folder), tempfile.TemporaryDirectory(dir=folder, prefix=".log-") as place:
        for file in files if files[1].exists() and files[1].stat().st_size else files[:1]:
            shutil.copyfile(file, Path(place) / file.name)
        with closing(sqlite3.connect(Path(place) / LOG)) as copy:
            last, forgotten = (copy.execute(sql).fetchone() for sql in (_LAST, _FORGOTTEN))
        return int(last[0]) if last else 0, int(forgotten[0]) if forgotten else 0
    return 0, 0
