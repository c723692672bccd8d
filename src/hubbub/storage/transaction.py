"""The interface of a database of events and facts: transactions that read or write.

`sqlite.py` and `postgresql.py` are the two engines of a store; `clickhouse.py` reads its copy. A statement is one text for all of
them, see `dialect.py`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from hubbub.storage.dialect import Dialect, FullDialect

Bound = dict[str, Any]
"""Values that a statement binds, by name: of any type that a column has."""
Params = Mapping[str, Any] | Sequence[Any]
T = TypeVar("T")
Row = dict[str, Any]
"""A row by the names of its columns: any value that a column holds."""


class Reading(ABC):
    """Statements that answer questions; they see one state."""

    dialect: Dialect

    def begin_question(self) -> None:  # noqa: B027 - most have no limit for a question
        """Begin another question: some engines limit the time of all statements of a question."""

    def together(self, read: Callable[[], T]) -> T:
        """Call a function that reads here and return its result. An engine may call it several times to combine its statements."""
        return read()

    @abstractmethod
    def rows(self, sql: str, params: Params = ()) -> list[tuple[Any, ...]]:
        """Run a statement and return all of its rows."""

    @abstractmethod
    def dicts(self, sql: str, params: Params = ()) -> list[Row]:
        """Run a statement and return its rows by column name."""

    def each(self, sql: str, params: Params = ()) -> Iterator[tuple[Any, ...]]:
        """Run a statement and yield its rows."""
        yield from self.rows(sql, params)

    def value(self, sql: str, params: Params = ()) -> Any:
        """Run a statement and return the first column of its first row, or None."""
        rows = self.rows(sql, params)
        return rows[0][0] if rows else None


class Transaction(Reading):
    """Statements that see one state, and in `Database.write` take effect together or not at all."""

    dialect: FullDialect

    @abstractmethod
    def each(self, sql: str, params: Params = ()) -> Iterator[tuple[Any, ...]]:
        """Run a statement and yield its rows."""

    @abstractmethod
    def scan(self, sql: str, params: Params = ()) -> Iterator[tuple[Any, ...]]:
        """Run a statement and yield its rows, however many, a few thousand of them in memory at a time."""

    @abstractmethod
    def value(self, sql: str, params: Params = ()) -> Any:
        """Run a statement and return the first column of its first row, or None."""

    @abstractmethod
    def run(self, sql: str, params: Params = ()) -> int:
        """Run a statement that changes rows; returns how many."""

    @abstractmethod
    def many(self, sql: str, rows: Sequence[Params]) -> int:
        """Run a statement once for each row of parameters; returns how many rows it changed."""


class Database(ABC):
    """Tables of events and facts, durable at every commit. May be used from any thread, and by several processes.

    `writable`: whether writes are possible; else every write raises StoreUnavailableError. `by_tenant`: whether different tenants
    can be written at the same time, so that work for many is best split by tenant.
    """

    writable: bool
    by_tenant: bool

    @property
    @abstractmethod
    def name(self) -> str:
        """Its name in errors: a file, or an address without its password."""

    @abstractmethod
    def read(self) -> AbstractContextManager[Transaction]:
        """Open a transaction that sees everything as it is now, whatever is written meanwhile."""

    @abstractmethod
    def write(self, tenant: int | None = None) -> AbstractContextManager[Transaction]:
        """Open a transaction that writes; it commits when the block succeeds and changes nothing when it raises.

        Nothing else writes meanwhile; with a `tenant`, only its rows may change, and nothing else writes those.
        """

    @abstractmethod
    def concerns(self) -> list[str]:
        """Return what makes a commit less durable than it should be, one line each."""

    @abstractmethod
    def changed(self) -> int:
        """Return a number that changes after a commit of another process."""

    @abstractmethod
    def checkpoint(self) -> None:
        """Move committed changes from the write-ahead log to their tables, if the engine does that later."""

    @abstractmethod
    def shrink(self) -> None:
        """Free the space of deleted rows."""

    @abstractmethod
    def rewrite(self) -> None:
        """Write everything again without a byte of deleted rows. Raises StoreBusyError when a reader prevents it."""

    @abstractmethod
    def close(self) -> None:
        """Close all connections."""
