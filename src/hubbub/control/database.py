"""A database of control data or jobs: one connection pool, and the same errors whatever the driver."""

from __future__ import annotations

import secrets
import sqlite3
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, OperationalError

from hubbub.errors import (
    BadInputError,
    DatabaseUnavailableError,
    HubbubError,
    StoreBusyError,
    StoreDamagedError,
)
from hubbub.storage.sqlite import error_of, read_only, writable

metadata = sa.MetaData()
Value = TypeVar("Value")
Write = Callable[[sa.Connection], None]
"""Writes a checked change within the caller's transaction."""
POOL_SECONDS = 10
"""Seconds to wait for a free connection."""
NOT_HELD = (None, "22001", "22003")
"""PostgreSQL's codes for a value that a column cannot hold: a NUL (which its driver finds), too long a text, too large a number."""
STOOD_STILL = "25P03"
"""PostgreSQL's code for a transaction that it ended because its process was idle for long."""


def now() -> datetime:
    """Return the current time as control data stores it: UTC without zone."""
    return datetime.now(UTC).replace(tzinfo=None)


def aware(value: Any) -> Any:
    """Return a stored time as an aware one, and any other value as it is."""
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value


def new_id(kind: str) -> str:
    """Return an id that grows with time, like `inc_...`."""
    return f"{kind}_{time.time_ns() // 1_000:014x}{secrets.token_hex(3)}"


def slices(values: Sequence[Value]) -> Iterator[Sequence[Value]]:
    """Yield values in slices that one statement can bind."""
    return (values[start : start + 500] for start in range(0, len(values), 500))


def postgresql(url: str, **pool: Any) -> sa.Engine:
    """Return an engine with the time-outs of the store's connections: see `postgresql_connection`."""
    from psycopg.conninfo import make_conninfo  # noqa: PLC0415 - the driver loads where it is needed

    from hubbub.storage.postgresql_connection import connect  # noqa: PLC0415

    driven = url.replace("postgresql://", "postgresql+psycopg://", 1)
    engine = sa.create_engine(driven, pool_pre_ping=True, pool_timeout=POOL_SECONDS, **pool)

    @sa.event.listens_for(engine, "do_connect")
    def _connect(_: sa.Dialect, __: object, ___: object, how: dict[str, Any]) -> Any:
        context = how.pop("context", None)
        return connect(make_conninfo("", **how), context=context)

    return engine


def upsert(table: sa.Table, dialect: str) -> Any:
    """Return an INSERT into a table that can say ON CONFLICT; `dialect`: the name of the engine's."""
    if dialect == "sqlite":
        from sqlalchemy.dialects.sqlite import insert as sqlite_insert  # noqa: PLC0415 - as below

        return sqlite_insert(table)
    from sqlalchemy.dialects.postgresql import insert  # noqa: PLC0415 - its drivers load with the dialect

    return insert(table)


@contextmanager
def answering(url: str) -> Iterator[None]:
    """Turn a driver's errors about the database of a URL into Hubbub's.

    StoreDamagedError for a damaged file, DatabaseUnavailableError when the database does not answer, BadInputError for a value that
    only SQLite can hold.
    """
    try:
        yield
    except DBAPIError as error:
        known = error_of(error.orig, file_of(url) or Path()) if isinstance(error.orig, sqlite3.Error) else None
        if isinstance(known, StoreDamagedError):
            raise known from error
        code = getattr(error.orig, "sqlstate", None)
        if isinstance(error, DataError) and code in NOT_HELD:
            raise BadInputError(
                f"the database cannot hold a value ({str(error.orig).splitlines()[0][:100]})"
            ) from error
        if isinstance(error, OperationalError | InterfaceError) or code == STOOD_STILL:
            raise DatabaseUnavailableError(known.message if isinstance(known, HubbubError) else None) from error
        raise
    except sa.exc.TimeoutError as error:  # all connections of this process are in use
        raise DatabaseUnavailableError from error


def file_of(url: str) -> Path | None:
    """Return the file of an SQLite URL, None for other databases."""
    return Path(sa.make_url(url).database or "") if url.startswith("sqlite") else None


def make_private(file: Path) -> None:
    """Create a file for its owner only, or remove others' permissions; another user's file stays as it is."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file.touch(mode=0o600)
    with suppress(PermissionError):
        file.chmod(0o600)


class Answering:
    """A client of a database whose calls raise the errors of `answering`."""

    def __init__(self, client: object, url: str) -> None:
        self._client, self._url = client, url

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._client, name)
        if not callable(attribute):
            return Answering(attribute, self._url)

        def call(*args: Any, **kwargs: Any) -> Any:
            with answering(self._url):
                return attribute(*args, **kwargs)

        return call


class Database:
    """SQLite or PostgreSQL at a URL. Each class that uses it creates its own tables. An SQLite file has mode 0600."""

    def __init__(self, url: str) -> None:
        """Open or create it. Raises the errors of `answering`."""
        self._url = url
        file = file_of(url)
        options: dict[str, Any] = {"timeout": 30} if file else {}  # seconds to wait for another process that writes
        self._writable = file is None or not file.is_file() or writable(file)
        if file and not self._writable:
            url, options = f"sqlite:///{read_only(file)}&uri=true", {}
        self._engine = sa.create_engine(url, connect_args=options) if file else postgresql(url)
        self._turn: AbstractContextManager[object] = nullcontext()
        self._watching: sa.Connection | None = None
        self._made: set[sa.Table] = set()
        if file and self._writable:
            # SQLite allows one writer and lets others poll, up to a second apart; a lock wakes the next at once
            self._turn = threading.Lock()
            make_private(file)
            try:
                with answering(url), self._engine.begin() as con:
                    con.exec_driver_sql("PRAGMA journal_mode = WAL")
            except Exception:
                self.close()  # an open connection to a damaged file can keep its locks
                raise

    def make(self, *tables: sa.Table) -> None:
        """Create missing tables, and columns that tables of an earlier version lack; processes take turns.

        A column added later allows NULL or has a `server_default`, for existing rows. Does nothing on a read-only file.
        """
        if not self._writable or self._made.issuperset(tables):
            return
        with self.read() as con:
            if not _lacking(con, tables):
                self._made.update(tables)
                return
        with self.write() as con:
            if self._engine.dialect.name == "sqlite":
                con.exec_driver_sql("BEGIN IMMEDIATE")
            else:
                con.execute(sa.text(f"SELECT pg_advisory_xact_lock({_number('make')})"))
            for table, columns in _lacking(con, tables).items():
                if len(columns) == len(table.columns):
                    for statement in _creating(table, con.dialect):
                        con.exec_driver_sql(statement)
                    continue
                for column in columns:
                    added = sa.schema.CreateColumn(column).compile(dialect=con.dialect)
                    con.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {added}")
        self._made.update(tables)

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """Yield a connection whose transaction commits at the end, and rolls back on an error."""
        with answering(self._url), self._turn, self._engine.begin() as con:
            yield con

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Yield a connection for reading."""
        with answering(self._url), self._engine.connect() as con:
            yield con

    def changed(self) -> int | None:
        """Return a number that changes after any other connection's commit; None where the database has none.

        Cheap enough to call often, from a single thread.
        """
        if self._engine.dialect.name != "sqlite":
            return None
        with answering(self._url):
            if self._watching is None:
                self._watching = self._engine.connect()
            cursor = self._watching.connection.cursor()
            cursor.execute("PRAGMA data_version")
            (number,) = cursor.fetchone() or (0,)
            cursor.close()
            return int(number)

    def purge(self, *tables: sa.Table) -> None:
        """Remove every byte of rows deleted from these tables. Raises StoreBusyError when a reader prevents it."""
        with answering(self._url), self._turn, self._engine.connect() as plain:
            con = plain.execution_options(isolation_level="AUTOCOMMIT")
            if self._engine.dialect.name != "sqlite":
                con.exec_driver_sql(f"VACUUM (FULL) {', '.join(table.name for table in tables)}")
                return
            con.exec_driver_sql("VACUUM")
            if con.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()[0][0]:  # waits as long as a write does
                raise StoreBusyError("the control database is being read; run it again in a moment")

    def close(self) -> None:
        """Release connections."""
        if self._watching is not None:
            self._watching.close()
        self._engine.dispose()


_NAMES: sa.BindParameter[str] = sa.bindparam("names", expanding=True)
_EXISTING = {
    "sqlite": "SELECT t.name, c.name FROM sqlite_master t, pragma_table_info(t.name) c"
    " WHERE t.type = 'table' AND t.name IN :names",
    "postgresql": "SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
    " WHERE c.relnamespace = current_schema()::regnamespace AND a.attnum > 0 AND NOT a.attisdropped AND c.relname IN :names",
}
"""The columns of tables in one statement: processes ask for each table when they start."""


def _lacking(con: sa.Connection, tables: Sequence[sa.Table]) -> dict[sa.Table, list[sa.Column[Any]]]:
    """Return the tables that are missing or lack columns, with these columns: all of them where the table is missing."""
    statement = sa.text(_EXISTING[con.dialect.name]).bindparams(_NAMES)
    existing = {tuple(row) for row in con.execute(statement, {"names": [table.name for table in tables]})}
    lacking = {table: [c for c in table.columns if (table.name, c.name) not in existing] for table in tables}
    return {table: columns for table, columns in lacking.items() if columns}


_CREATING: dict[tuple[sa.Table, str], list[str]] = {}


def _creating(table: sa.Table, dialect: sa.Dialect) -> list[str]:
    """Return the statements that create a table and its indexes. They are written once: that takes half of opening a new folder."""
    if (table, dialect.name) not in _CREATING:
        indexes = [str(sa.schema.CreateIndex(index).compile(dialect=dialect)) for index in table.indexes]
        _CREATING[table, dialect.name] = [str(sa.schema.CreateTable(table).compile(dialect=dialect)), *indexes]
    return _CREATING[table, dialect.name]


def _number(name: str) -> int:
    return zlib.crc32(f"hubbub {name}".encode())
