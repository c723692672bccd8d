"""Check that the files hold everything acknowledged: SQLite opens a file whose write-ahead log is missing without an error.

A small file beside the log holds the number of the newest acknowledged batch. It is written after each commit and never synced:
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
"""Attempts, and seconds between them: another process may be writing the files."""
_LAST = "SELECT seq FROM sqlite_sequence WHERE name = 'log'"
_FORGOTTEN = "SELECT value FROM meta WHERE key = 'forgotten'"
_STORED = "SELECT value FROM meta WHERE key = 'stored'"


class Mark:
    """The file that holds the number of the newest acknowledged batch."""

    def __init__(self, folder: Path) -> None:
        """Open or create it; in a read-only folder, `set` does nothing."""
        self._file = os.open(folder / MARK, os.O_RDWR | os.O_CREAT, 0o600) if writable(folder / LOG) else None
        self._known = 0

    def set(self, number: int) -> None:
        """Write a number if it is higher; a failure to write is ignored."""
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
    """Check, before anything is opened, that the log holds every acknowledged batch, and the facts every batch that left the log.

    Changes nothing, so that missing files can be put back. Skipped in a read-only folder and on a full disk, since the check
    needs a copy. Raises StoreDamagedError, and OSError where a file cannot be read.
    """
    if not os.access(folder, os.W_OK):
        return
    for last_try in (*[False] * (TRIES - 1), True):
        marked = acknowledged(folder)
        if marked and not (facts.exists() and facts.stat().st_size):
            raise StoreDamagedError(f"{facts} is missing or empty: put it back beside {LOG}, or restore a backup")
        try:
            newest, forgotten = _log_numbers(folder) if marked else (0, 0)
        except StoreFullError:
            return
        stored = _stored(facts) if forgotten else 0
        if newest >= marked and stored >= forgotten:
            return
        if last_try and newest >= marked:
            raise facts_behind(facts, stored, forgotten)
        if last_try:
            raise StoreDamagedError(
                f"{folder / LOG} or its write-ahead log is damaged or missing: it ends with batch {newest}, and batch "
                f"{marked} was acknowledged; put both files back, restore a backup, or delete {MARK} to continue without the rest"
            )
        time.sleep(PAUSE)


def acknowledged(folder: Path) -> int:
    """Return the number of the newest acknowledged batch on file, 0 for none. Raises StoreDamagedError."""
    try:
        text = (folder / MARK).read_bytes().strip(b"\0 \n")  # a power failure may leave a file of zeros
    except FileNotFoundError:
        return 0
    if text and not (text.isdigit() and len(text) < 20):
        raise StoreDamagedError(
            f"{folder / MARK} is damaged: it does not hold the number of the newest batch; restore it from a backup, or delete it "
            "to continue without this check"
        )
    return int(text or 0)


def facts_behind(facts: Path, stored: int, forgotten: int) -> StoreDamagedError:
    """Return the error for facts that lack batches which left the log."""
    return StoreDamagedError(
        f"{facts} or its write-ahead log is damaged or missing: it holds batches up to {stored}, and those up to {forgotten} left "
        "the log for it; put both files back, or restore the folder from a backup"
    )


def _stored(facts: Path) -> int:
    """Return the number of the newest batch among the facts, 0 where it cannot be read: opening the file names the error."""
    with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(read_only(facts), uri=True)) as con:
        row = con.execute(_STORED).fetchone()
        return int(row[0]) if row else 0
    return 0


def _log_numbers(folder: Path) -> tuple[int, int]:
    """Return the numbers of the newest batch in the log and of the newest that left it.

    Reads from a copy, since SQLite would change a log that was not closed. Raises StoreFullError without space for the copy.
    """
    files = [folder / LOG, folder / f"{LOG}-wal"]
    unreadable = suppress(StoreDamagedError, StoreUnavailableError, sqlite3.DatabaseError)  # the caller tries again
    with unreadable, errors_of(folder), tempfile.TemporaryDirectory(dir=folder, prefix=".log-") as place:
        for file in files if files[1].exists() and files[1].stat().st_size else files[:1]:
            shutil.copyfile(file, Path(place) / file.name)
        with closing(sqlite3.connect(Path(place) / LOG)) as copy:
            last, forgotten = (copy.execute(sql).fetchone() for sql in (_LAST, _FORGOTTEN))
        return int(last[0]) if last else 0, int(forgotten[0]) if forgotten else 0
    return 0, 0
