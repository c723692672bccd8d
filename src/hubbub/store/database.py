"""A database of control data or jobs: one connection pool, and one error when it does not answer."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import InterfaceError, OperationalError

from hubbub.errors import DatabaseUnavailableError, StoreBusyError
from hubbub.storage.sqlite import read_only, writable

metadata = sa.MetaData()


def now() -> datetime:
    """Return the present moment as control data keeps it: UTC without zone."""
    return datetime.now(UTC).replace(tzinfo=None)


def driver_url(url: str) -> str:
    """Return a database URL that names its driver."""
    return url.replace("postgresql://", "postgresql+psycopg://", 1)


@contextmanager
def answering() -> Iterator[None]:
    """Raise DatabaseUnavailableError, which every face knows, where a driver says that its database does not answer."""
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        raise DatabaseUnavailableError from error


class Answering:
    """A client of a database, all of whose calls raise DatabaseUnavailableError when that does not answer."""

    def __init__(self, client: object) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if not callable(found):
            return Answering(found)

        def call(*args: Any, **kwargs: Any) -> Any:
            with answering():
                return found(*args, **kwargs)

        return call


class Database:
    """SQLite or Postgres behind a URL. Each store in it makes its own tables."""

    def __init__(self, url: str) -> None:
        embedded = url.startswith("sqlite")
        options: dict[str, Any] = {"timeout": 30} if embedded else {}  # seconds, for another process that writes
        file = Path(sa.make_url(url).database or "") if embedded else Path()
        self._writable = not (embedded and file.is_file()) or writable(file)
        if not self._writable:
            url, options = f"sqlite:///{read_only(file)}&uri=true", {}
        self._engine = sa.create_engine(driver_url(url), connect_args=options, pool_pre_ping=not embedded)
        self._turn: AbstractContextManager[object] = nullcontext()
        if embedded and self._writable:
            # SQLite lets one write at a time and makes others sleep and ask again, up to a second; a lock wakes the next at once
            self._turn = threading.Lock()
            with self._engine.begin() as con:
                con.exec_driver_sql("PRAGMA journal_mode = WAL")

    def make(self, *tables: sa.Table) -> None:
        """Make tables that are not there, and columns that tables of an earlier version lack; processes take turns.

        A column that is added later takes NULL or has a `server_default`: rows that are there have nothing else to say.
        Where the file may only be read, nothing is made.
        """
        if not self._writable:
            return
        with self.write() as con:
            if self._engine.dialect.name == "sqlite":
                con.exec_driver_sql("BEGIN IMMEDIATE")
            else:
                con.execute(sa.text(f"SELECT pg_advisory_xact_lock({_number('make')})"))
            metadata.create_all(con, tables)
            for table in tables:
                _complete(con, table)

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """Give a connection whose work is committed at the end, or undone by an error."""
        with answering(), self._turn, self._engine.begin() as con:
            yield con

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Give a connection to read with."""
        with answering(), self._engine.connect() as con:
            yield con

    def scrub(self, *tables: sa.Table) -> None:
        """Leave no byte of rows that were deleted from these tables. Raises StoreBusyError while somebody holds on to old ones."""
        with answering(), self._turn, self._engine.connect() as plain:
            con = plain.execution_options(isolation_level="AUTOCOMMIT")
            if self._engine.dialect.name != "sqlite":
                con.exec_driver_sql(f"VACUUM (FULL) {', '.join(table.name for table in tables)}")
                return
            con.exec_driver_sql("VACUUM")
            if con.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()[0][0]:  # waits as long as a write does
                raise StoreBusyError("somebody reads the control database for long; run the same again")

    def close(self) -> None:
        """Release connections."""
        self._engine.dispose()


def _complete(con: sa.Connection, table: sa.Table) -> None:
    there = {column["name"] for column in sa.inspect(con).get_columns(table.name)}
    for column in table.columns:
        if column.name not in there:
            added = sa.schema.CreateColumn(column).compile(dialect=con.dialect)
            con.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {added}")


def _number(name: str) -> int:
    return zlib.crc32(f"hubbub {name}".encode())
