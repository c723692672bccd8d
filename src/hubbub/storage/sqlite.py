"""One SQLite file: connections for many readers and one writer at a time, and errors that name the file and what to do."""

from __future__ import annotations

import errno
import os
import re
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import quote

from hubbub.errors import StoreBusyError, StoreDamagedError, StoreFullError, StoreUnavailableError
from hubbub.storage import transaction
from hubbub.storage.dialect import SQLITE
from hubbub.storage.transaction import Params, Row

LEAST_FREE = 1 << 16
"""Bytes: a write-ahead log's index takes 32 KiB."""
BUSY_SECONDS = 60
"""Seconds that a statement waits for another process that writes."""
GLANCE = 0.02
"""Seconds that `changed` waits for a writer of this process."""
ROWS = 64
"""Rows that one statement inserts. Python releases its lock at each statement: beside a computing thread, inserting 250 events took
20 to 37 ms one by one and 9 ms together; without one, 2.6 and 2.8 ms."""
_VALUES = re.compile(r"\bVALUES (\(\?(?:, \?)*\))")
_NULLS: dict[None, None] = {}
sqlite3.register_adapter(
    type(None), _NULLS.get
)  # without an adapter, binding NULL costs seven times as much as a number


class Transaction(transaction.Transaction):
    """Statements that see one state of the file, and in `Database.write` take effect together or not at all."""

    dialect = SQLITE

    def __init__(self, con: sqlite3.Connection, path: Path) -> None:
        self._con = con
        self._path = path

    @property
    def path(self) -> Path:
        """The file, for errors that name it."""
        return self._path

    def rows(self, sql: str, params: Params = ()) -> list[tuple[Any, ...]]:
        """Run a statement and return all of its rows."""
        try:
            return self._con.execute(sql, params).fetchall()
        except sqlite3.Error as error:
            raise error_of(error, self._path) from error

    def each(self, sql: str, params: Params = ()) -> Iterator[tuple[Any, ...]]:
        """Run a statement and yield its rows as they are read."""
        try:
            yield from self._con.execute(sql, params)
        except sqlite3.Error as error:
            raise error_of(error, self._path) from error

    scan = each

    def dicts(self, sql: str, params: Params = ()) -> list[Row]:
        """Run a statement and return its rows by column name."""
        try:
            cursor = self._con.execute(sql, params)
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor]
        except sqlite3.Error as error:
            raise error_of(error, self._path) from error

    def value(self, sql: str, params: Params = ()) -> Any:
        """Run a statement and return the first column of its first row, or None."""
        try:
            row = self._con.execute(sql, params).fetchone()
        except sqlite3.Error as error:
            raise error_of(error, self._path) from error
        return row[0] if row is not None else None

    def run(self, sql: str, params: Params = ()) -> int:
        """Run a statement that changes rows; returns how many."""
        try:
            return self._con.execute(sql, params).rowcount
        except sqlite3.Error as error:
            raise error_of(error, self._path) from error

    def many(self, sql: str, rows: Sequence[Params]) -> int:
        """Run a statement once for each row of parameters; returns how many rows it changed."""
        if not rows:
            return 0
        try:
            if (values := _VALUES.search(sql)) is None:
                return self._con.executemany(sql, rows).rowcount
            return sum(self._together(sql, values, rows[at : at + ROWS]) for at in range(0, len(rows), ROWS))
        except sqlite3.Error as error:
            raise error_of(error, self._path) from error

    def _together(self, sql: str, values: re.Match[str], rows: Sequence[Any]) -> int:
        """Insert rows with one statement; `values`: the place of a row's question marks in `sql`."""
        more = f", {values[1]}" * (len(rows) - 1)
        return self._con.execute(
            f"{sql[: values.end()]}{more}{sql[values.end() :]}", list(chain.from_iterable(rows))
        ).rowcount


class Database(transaction.Database):
    """An SQLite file in write-ahead mode, durable at every commit. May be used from any thread, and by several processes.

    A read-only file can be read (`writable` is False); every write raises StoreUnavailableError.
    """

    by_tenant = False

    def __init__(self, path: Path, *, cache_mb: int = 64) -> None:
        """Open or create the file (mode 0600). Raises StoreDamagedError, StoreFullError, StoreUnavailableError."""
        self.path = path
        self._cache_mb = cache_mb
        self._idle: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._writing = threading.RLock()
        self._closed = False
        self._version = 0
        with errors_of(path):
            if not path.exists():
                path.touch(mode=0o600)
            self.writable = writable(path)
            self._writer = self._connect(writes=True)

    @property
    def name(self) -> str:
        """The file."""
        return str(self.path)

    def _connect(self, *, writes: bool = False) -> sqlite3.Connection:
        con = sqlite3.connect(
            self.path if self.writable else read_only(self.path), isolation_level=None, check_same_thread=False,
            cached_statements=512, timeout=BUSY_SECONDS, uri=not self.writable,
        )  # fmt: skip
        written = (
            "auto_vacuum = INCREMENTAL", "journal_mode = WAL", "synchronous = FULL", "secure_delete = ON",
            "wal_autocheckpoint = 4000", "journal_size_limit = 16777216",
        )  # fmt: skip
        read = ("temp_store = MEMORY", f"cache_size = -{self._cache_mb * 1024}", "mmap_size = 1073741824")
        for pragma in (*written, *read) if writes and self.writable else read:  # pragmas that write count as a change
            con.execute(f"PRAGMA {pragma}")
        return con

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """Open a transaction that sees the file as it is now, whatever is written meanwhile."""
        con = self._borrow()
        try:
            with errors_of(self.path):
                con.execute("BEGIN")
            yield Transaction(con, self.path)
        finally:
            with suppress(sqlite3.Error):
                con.execute("ROLLBACK")
            self._give_back(con)

    @contextmanager
    def write(self, tenant: int | None = None) -> Iterator[Transaction]:
        """Open the only writing transaction, whatever the tenant; it commits when the block succeeds, else changes nothing."""
        with self._writing:
            self._check_open()
            if not self.writable:
                raise StoreUnavailableError(f"{self.path} is read-only: check the owner of the file and of its folder")
            with errors_of(self.path):
                self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield Transaction(self._writer, self.path)
                with errors_of(self.path):
                    self._writer.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    self._writer.execute("ROLLBACK")
                raise

    def exclusive(self, work: Callable[[sqlite3.Connection], None]) -> None:
        """Run `work` with the writing connection outside a transaction, to create tables or make a checkpoint."""
        with self._writing, errors_of(self.path):
            self._check_open()
            work(self._writer)

    def concerns(self) -> list[str]:
        """Return nothing: every commit is on disk."""
        return []

    def changed(self) -> int:
        """Return a number that changes after a commit of another process.

        While this process writes, no other can: the last number is returned then. Asking SQLite while a transaction begins would
        stop that transaction from waiting for other processes.
        """
        self._check_open()
        if self._writing.acquire(timeout=GLANCE):
            try:
                with errors_of(self.path):
                    self._version = self._writer.execute("PRAGMA data_version").fetchone()[0]
            finally:
                self._writing.release()
        return self._version

    def checkpoint(self) -> None:
        """Move the write-ahead log into the file and empty it; does nothing once closed."""
        if self.writable and not self._closed:
            self.exclusive(lambda con: con.execute("PRAGMA wal_checkpoint(TRUNCATE)").close())

    def rewrite(self) -> None:
        """Write the file again, so that neither it nor the write-ahead log holds a byte of deleted rows.

        `secure_delete` is not enough: it leaves bytes when pages are balanced. Needs free space of twice the file, half of it among
        temporary files. Raises StoreBusyError when a reader prevents it for BUSY_SECONDS.
        """
        with self._writing, errors_of(self.path):
            self._check_open()
            self._writer.execute("PRAGMA temp_store = FILE")  # else the whole copy is in memory
            try:
                self._writer.execute("VACUUM")
            finally:
                self._writer.execute("PRAGMA temp_store = MEMORY")
        until = time.monotonic() + BUSY_SECONDS
        while self._emptied():
            if time.monotonic() > until:
                raise StoreBusyError(f"{self.path} is being read: try again, so that no deleted byte is left")
            time.sleep(0.05)

    def _emptied(self) -> int:
        """Empty the write-ahead log, which holds old pages; returns 1 when a reader prevents it."""
        with self._writing, errors_of(self.path):
            busy: int = self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            return busy

    def free_pages(self) -> int:
        """Return how many pages of the file are free."""
        with self._writing, errors_of(self.path):
            count: int = self._writer.execute("PRAGMA freelist_count").fetchone()[0]
            return count

    def shrink(self, at_most: int = 0) -> None:
        """Return free pages to the disk: at most this many, or all (0)."""
        with self._writing, errors_of(self.path):  # `execute` would free a single page
            self._writer.executescript(f"PRAGMA incremental_vacuum({at_most})")

    def close(self) -> None:
        """Close all connections."""
        with self._writing, self._lock:
            self._closed = True
            for con in (*self._idle, self._writer):
                with suppress(sqlite3.Error):
                    con.close()
            self._idle.clear()

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailableError(f"{self.path.name} is closed")

    def _borrow(self) -> sqlite3.Connection:
        with self._lock:
            self._check_open()
            if self._idle:
                return self._idle.pop()
        with errors_of(self.path):
            return self._connect()

    def _give_back(self, con: sqlite3.Connection) -> None:
        with self._lock:
            if not self._closed and len(self._idle) < 8:
                self._idle.append(con)
                return
        con.close()


def writable(path: Path) -> bool:
    """Whether a file and its folder are writable: SQLite needs both."""
    return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)


def read_only(path: Path) -> str:
    """Return the URI to open a read-only file.

    Without a write-ahead log no process can be writing, and the file is opened as immutable; with one, SQLite reads both or fails.
    """
    log = path.with_name(f"{path.name}-wal")
    how = "mode=ro" if log.exists() and log.stat().st_size else "immutable=1"
    return f"file:{quote(str(path))}?{how}"


@contextmanager
def errors_of(path: Path) -> Iterator[None]:
    """Turn errors of SQLite and of the file system into Hubbub's."""
    try:
        yield
    except sqlite3.Error as error:
        raise error_of(error, path) from error
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise StoreFullError(f"{path}: the disk is full; free space and try again") from error
        raise StoreUnavailableError(
            f"{path} cannot be created ({error.strerror}): check the owner of its folder"
        ) from error


def _is_full(path: Path) -> bool:
    """Whether the disk lacks the space that SQLite needs to open a file."""
    with suppress(OSError):
        return shutil.disk_usage(path.parent).free < LEAST_FREE
    return False


def error_of(error: sqlite3.Error, path: Path) -> Exception:
    """Return Hubbub's error for SQLite's, by its code: busy, full, damaged or unavailable.

    The error of a wrong statement is a fault in Hubbub, and is returned as it is. Text that Python cannot decode raises an error
    without a code: the file is damaged.
    """
    if isinstance(error, sqlite3.OperationalError) and not hasattr(error, "sqlite_errorcode"):
        return StoreDamagedError(f"{path} is damaged ({error}): restore it from a backup")
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreBusyError(f"{path} is being written by another process: try again in a moment")
    if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and _is_full(path)):
        return StoreFullError(f"{path}: the disk is full; free space and try again")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return StoreDamagedError(f"{path} is damaged ({error}): restore it from a backup")
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return StoreUnavailableError(
            f"{path} cannot be written ({error}): check the owner of the file and of its folder"
        )
    if code == sqlite3.SQLITE_IOERR:
        return StoreUnavailableError(f"{path}: the disk does not read or write ({error})")
    return error
