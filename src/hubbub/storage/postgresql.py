"""PostgreSQL: connections for many readers and writers, in any number of processes, and errors that say what to do.

A reader sees one moment (REPEATABLE READ). A writer holds a lock on its tenant, or on all, until it commits: it sees everything
committed before, and no other process folds the same key. Locks end with the process that holds them.
"""

from __future__ import annotations

import itertools
import re
import threading
import time
import uuid
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from functools import lru_cache
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg import errors as state
from psycopg.adapt import Buffer, Dumper, Loader
from psycopg.types.numeric import Int8Dumper

from hubbub.errors import (
    BadInputError,
    StoreBusyError,
    StoreDamagedError,
    StoreFullError,
    StoreNewerError,
    StoreUnavailableError,
)
from hubbub.storage import schema, transaction
from hubbub.storage.dialect import POSTGRESQL
from hubbub.storage.postgresql_connection import IDLE_SECONDS, LONG, STATEMENT_SECONDS, Connection, connect
from hubbub.storage.transaction import Params, Row

LOCKS = zlib.crc32(b"hubbub store") - (1 << 31)
"""The first of the two numbers of Hubbub's advisory locks, which keeps them apart from others'; the second is a tenant's."""
MADE_BY = "SELECT value FROM meta WHERE key = 'made'"
CHECK_SECONDS = 1.0
"""Seconds after which a process that reads or appends notices a changed schema; one that writes facts notices at once."""
ALL, MAKING = 0, -1
"""Locks beside those of tenants: on all tenants, and for creating tables."""
MOST_IDLE = 8
AT_ONCE = 5_000
"""Rows of a scan in memory."""
_numbers = itertools.count()


class _Flag(Dumper):
    """Sends a boolean as 1 or 0, as SQLite stores it."""

    oid = Int8Dumper.oid

    def dump(self, obj: bool) -> Buffer:
        """Return 1 or 0."""
        return b"1" if obj else b"0"


class _Number(Loader):
    """Reads a numeric, like the sum of whole numbers: however large, it is an int."""

    def load(self, data: Buffer) -> int | float:
        """Return an int; a float if there is a decimal point or it is NaN."""
        text = bytes(data).decode()
        return float(text) if "." in text or "N" in text else int(text)


_TOKENS = re.compile(r"'(?:[^']|'')*'|::|\?|:([A-Za-z_]\w*)|%")


@lru_cache(maxsize=4096)
def translated(sql: str) -> str:
    """Return a statement in the driver's syntax: `?` and `:name` become `%s` and `%(name)s`, and a percent sign is doubled."""

    def token(match: re.Match[str]) -> str:
        text = match[0]
        if match[1]:
            return f"%({match[1]})s"
        return "%s" if text == "?" else text.replace("%", "%%")

    return _TOKENS.sub(token, sql)


_CHANGED = (
    "INSERT INTO writer VALUES (?, nextval('writer_number'), now()) "
    "ON CONFLICT (id) DO UPDATE SET number = excluded.number, at = excluded.at"
)
"""Records that this process changed something. It comes last in a transaction, since others wait for its row."""


class Transaction(transaction.Transaction):
    """Statements of one connection."""

    dialect = POSTGRESQL

    def __init__(self, con: Connection, name: str) -> None:
        self.con = con
        self._name = name

    def _run(self, sql: str, params: Params) -> psycopg.Cursor[tuple[Any, ...]]:
        text = translated(sql)
        try:
            return self.con.execute(text, params if params or "%" in text else None)
        except psycopg.Error as error:
            raise error_of(error, self._name) from error

    def rows(self, sql: str, params: Params = ()) -> list[tuple[Any, ...]]:
        """Run a statement and return all of its rows."""
        return self._run(sql, params).fetchall()

    def each(self, sql: str, params: Params = ()) -> Iterator[tuple[Any, ...]]:
        """Run a statement and yield its rows, all in memory."""
        yield from self._run(sql, params)

    def scan(self, sql: str, params: Params = ()) -> Iterator[tuple[Any, ...]]:
        """Run a statement and yield its rows, `AT_ONCE` in memory at a time."""
        try:
            with psycopg.ServerCursor(self.con, f"scan_{next(_numbers)}") as cursor:
                cursor.itersize = AT_ONCE
                cursor.execute(translated(sql), params)
                yield from cursor
        except psycopg.Error as error:
            raise error_of(error, self._name) from error

    def dicts(self, sql: str, params: Params = ()) -> list[Row]:
        """Run a statement and return its rows by column name."""
        cursor = self._run(sql, params)
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor]

    def value(self, sql: str, params: Params = ()) -> Any:
        """Run a statement and return the first column of its first row, or None."""
        row = self._run(sql, params).fetchone()
        return row[0] if row is not None else None

    def run(self, sql: str, params: Params = ()) -> int:
        """Run a statement that changes rows; returns how many."""
        return self._run(sql, params).rowcount

    def many(self, sql: str, rows: Sequence[Params]) -> int:
        """Run a statement once for each row of parameters, pipelined; returns how many rows it changed."""
        if not rows:
            return 0
        try:
            with self.con.cursor() as cursor:
                cursor.executemany(translated(sql), rows)
                return cursor.rowcount
        except psycopg.Error as error:
            raise error_of(error, self._name) from error


class Database(transaction.Database):
    """A PostgreSQL database behind a URL. May be used from any thread, and by several processes."""

    writable = True
    by_tenant = True

    def __init__(self, url: str) -> None:
        """Connect once. Raises StoreUnavailableError."""
        self._url = url
        self._me = uuid.uuid4().hex
        self._my_log = f"{self._me}.log"
        self._idle: list[Connection] = []
        self._lock = threading.Lock()
        self._closed = False
        self._made: str | None = None
        self._checked = 0.0
        self._give_back(self._connect())

    @property
    def name(self) -> str:
        """The address without its password."""
        return sa.make_url(self._url).render_as_string(hide_password=True)

    def _connect(self) -> Connection:
        try:
            con = connect(self._url, autocommit=True)
        except psycopg.Error as error:
            raise error_of(error, self.name) from error
        con.adapters.register_dumper(int, Int8Dumper)
        con.adapters.register_dumper(bool, _Flag)
        con.adapters.register_loader("numeric", _Number)
        return con

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """Open a transaction that sees everything as it is now, whatever is written meanwhile."""
        con = self._begin("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            yield Transaction(con, self.name)
        finally:
            self._end(con)

    @contextmanager
    def write(self, tenant: int | None = None) -> Iterator[Transaction]:
        """Open a transaction that writes a tenant's rows (None: any), while no other process writes the same."""
        con = self._begin(f"BEGIN; {LONG}")
        try:
            writing = Transaction(con, self.name)
            self._take_turn(writing, tenant)
            yield writing
            writing.run(_CHANGED, (self._me,))
            writing.run("COMMIT")
        finally:
            self._end(con)

    def _take_turn(self, writing: Transaction, tenant: int | None) -> None:
        """Wait for the lock, then check that the schema is the one this process knows."""
        if tenant is None:
            locks, params = "pg_advisory_xact_lock(?, ?)", (LOCKS, ALL)
        else:
            locks = "pg_advisory_xact_lock_shared(?, ?), pg_advisory_xact_lock(?, ?)"
            params = (LOCKS, ALL, LOCKS, tenant)  # type: ignore[assignment]
        locks = locks.replace("?", "CAST(? AS INTEGER)")
        writing.run(f"SELECT {locks}", params)
        if self._made is not None:  # a change of the schema holds the lock waited for above
            self._check(writing.value(MADE_BY))

    def know(self, made: str) -> None:
        """Refuse to work once the schema is not `made`: old processes stop when a newer version has changed it."""
        self._made = made

    def _check(self, made: str | None) -> None:
        if made != self._made:
            raise StoreNewerError(
                f"{self.name}: another version of Hubbub changed the tables while this process ran; stop it, and start that version"
            )

    @contextmanager
    def append(self) -> Iterator[Transaction]:
        """Open a transaction that only adds to the log: it waits only for transactions that add the same event."""
        con = self._begin("BEGIN")
        try:
            yield (writing := Transaction(con, self.name))
            writing.run(_CHANGED, (self._my_log,))
            writing.run("COMMIT")
        finally:
            self._end(con)

    def session(self, sql: str, params: Params) -> Transaction:
        """Run a statement that takes session locks on a connection of its own, and return it; `end_session` releases them."""
        con = self._begin("SELECT 1")
        session = Transaction(con, self.name)
        try:
            session.run(sql, params)
        except BaseException:
            self.end_session(session)
            raise
        return session

    def end_session(self, session: Transaction) -> None:
        """Roll back what the session did not commit, and release its locks."""
        con = session.con
        with suppress(psycopg.Error):
            if con.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
                con.execute("ROLLBACK")
            con.execute("SELECT pg_advisory_unlock_all()")
            self._give_back(con)
            return
        con.close()

    def concerns(self) -> list[str]:
        """Return the server's settings that may lose committed data, one line each."""
        with self.read() as reading:
            settings = {
                name: reading.value(f"SHOW {name}") for name in ("fsync", "full_page_writes", "synchronous_commit")
            }
        return [f"{name} is off" for name, value in settings.items() if value == "off"]

    def changed(self) -> int:
        """Return a number that changes when another process has written or added to the log."""
        with self.read() as reading:
            numbers = reading.value(
                "SELECT string_agg(CAST(number AS TEXT), ',' ORDER BY id) FROM writer WHERE id NOT IN (?, ?)",
                (self._me, self._my_log),
            )
        return zlib.crc32((numbers or "").encode())

    def checkpoint(self) -> None:
        """Do nothing: the server makes its own checkpoints."""

    def shrink(self) -> None:
        """Make the space of deleted rows reusable, as the server's own vacuum does later."""
        self._vacuum("VACUUM")

    def rewrite(self) -> None:
        """Write all tables again, so that they hold no byte of deleted rows.

        The server's write-ahead log holds such bytes until its segments are reused, and its archives as long as they are kept.
        """
        self._vacuum("VACUUM (FULL)")

    def _vacuum(self, how: str) -> None:
        tables = ", ".join(("log", *(name for name in schema.TABLES if name not in schema.EMBEDDED)))
        with closing(self._connect()) as con:
            try:
                con.execute("SET statement_timeout = 0")
                con.execute(f"{how} {tables}")
            except psycopg.Error as error:
                raise error_of(error, self.name) from error

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for con in idle:
            con.close()

    def _begin(self, how: str) -> Connection:
        """Return a connection in a transaction; a connection that broke while idle is replaced, as are all idle ones."""
        con = self._borrow()
        try:
            self._say(con, how)
        except psycopg.Error:
            con.close()
            with self._lock:
                idle, self._idle = self._idle, []
            for broken in idle:
                broken.close()
            con = self._connect()
            try:
                self._say(con, how)
            except psycopg.Error as error:
                con.close()
                raise error_of(error, self.name) from error
        return con

    def _say(self, con: Connection, how: str) -> None:
        """Begin a transaction, and every CHECK_SECONDS check the schema in the same round trip."""
        if self._made is None or time.monotonic() < self._checked + CHECK_SECONDS:
            con.execute(how)
            return
        made = con.execute(f"{how}; {MADE_BY}").set_result(-1).fetchone()
        try:
            self._check(made[0] if made else None)
        except StoreNewerError:
            con.close()
            raise
        self._checked = time.monotonic()

    def _end(self, con: Connection) -> None:
        """Roll back what was not committed, and keep the connection if it is healthy."""
        with suppress(psycopg.Error):
            if con.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
                con.execute("ROLLBACK")
        self._give_back(con)

    def _borrow(self) -> Connection:
        with self._lock:
            if self._closed:
                raise StoreUnavailableError(f"{self.name} is closed")
            if self._idle:
                return self._idle.pop()
        return self._connect()

    def _give_back(self, con: Connection) -> None:
        whole = not con.closed and con.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        with self._lock:
            if whole and not self._closed and len(self._idle) < MOST_IDLE:
                self._idle.append(con)
                return
        con.close()


def error_of(error: psycopg.Error, name: str) -> Exception:
    """Return Hubbub's error for PostgreSQL's, by its code: full, busy, damaged or unavailable.

    The error of a wrong statement is a fault in Hubbub, and is returned as it is.
    """
    detail = " ".join(str(error).split())[:200]
    if isinstance(error, state.DiskFull):
        return StoreFullError(f"{name}: the server's disk is full; free space and try again")
    if isinstance(error, state.LockNotAvailable | state.DeadlockDetected | state.SerializationFailure):
        return StoreBusyError(f"{name} is being written by another process ({detail}): try again in a moment")
    if isinstance(error, state.QueryCanceled):
        return StoreBusyError(
            f"{name} ended a statement ({detail}; the limit is {STATEMENT_SECONDS} s): ask for less, or later"
        )
    if isinstance(error, state.IdleInTransactionSessionTimeout):
        return StoreUnavailableError(
            f"{name} rolled back a transaction that was idle for {IDLE_SECONDS} s, so that others can continue: try again"
        )
    if isinstance(error, state.DataCorrupted | state.IndexCorrupted):
        return StoreDamagedError(f"{name} is damaged ({detail}): restore it from a dump")
    if isinstance(error, psycopg.DataError) and error.sqlstate is None:
        return BadInputError(f"a text holds characters that PostgreSQL cannot store ({detail})")
    if isinstance(error, state.InsufficientPrivilege | state.ReadOnlySqlTransaction):
        return StoreUnavailableError(
            f"{name} may not be written ({detail}): grant the user of 'store_url' the right to write"
        )
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return StoreUnavailableError(f"{name} does not answer ({detail}): check that it is running, and try again")
    return error
