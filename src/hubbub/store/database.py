"""The control database: one connection pool that tenants and keys, integrations and payloads share."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime

import sqlalchemy as sa

metadata = sa.MetaData()


def now() -> datetime:
    """Return the present moment as control data keeps it: UTC without zone."""
    return datetime.now(UTC).replace(tzinfo=None)


def driver_url(url: str) -> str:
    """Return a database URL that names its driver."""
    return url.replace("postgresql://", "postgresql+psycopg://", 1)


class Database:
    """SQLite or Postgres behind a URL. Each store in it makes its own tables."""

    def __init__(self, url: str) -> None:
        waits = {"timeout": 30} if url.startswith("sqlite") else {}  # seconds, for another process that writes
        self._engine = sa.create_engine(driver_url(url), connect_args=waits, pool_pre_ping=True)
        self._turn: AbstractContextManager[object] = nullcontext()
        if self._engine.dialect.name == "sqlite":
            # SQLite lets one write at a time and makes others sleep and ask again, up to a second; a lock wakes the next at once
            self._turn = threading.Lock()
            with self._engine.begin() as con:
                con.exec_driver_sql("PRAGMA journal_mode = WAL")

    def make(self, *tables: sa.Table) -> None:
        """Make tables that are not there."""
        with self.write() as con:
            metadata.create_all(con, tables)

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """Give a connection whose work is committed at the end, or undone by an error."""
        with self._turn, self._engine.begin() as con:
            yield con

    def read(self) -> AbstractContextManager[sa.Connection]:
        """Give a connection to read with."""
        return self._engine.connect()

    def close(self) -> None:
        """Release connections."""
        self._engine.dispose()
