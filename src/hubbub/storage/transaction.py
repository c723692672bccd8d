"""What everybody sees of a database that holds events and facts: transactions that read or write, whatever the engine.

`sqlite.py` and `postgresql.py` are the two engines. A statement is one text for both, see `dialect.py`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from hubbub.storage.dialect import Dialect

Params = Mapping[str, Any] | Sequence[Any]


class Transaction(ABC):
    """Statements that see one state, and in `Database.write` take effect together or not at all."""

    dialect: Dialect

    @abstractmethod
    def each(self, sql: str, params: Params = ()) -> Iterator[tuple[Any, ...]]:
        """Run a statement and yield its rows."""

    @abstractmethod
    def scan(self, sql: str, params: Params = ()) -> Iterator[tuple[Any, ...]]:
        """Run a statement and yield its rows, however many, a few thousand of them in memory at a time."""

    @abstractmethod
    def dicts(self, sql: str, params: Params = ()) -> list[dict[str, Any]]:
        """Run a statement and return its rows by column name."""

    @abstractmethod
    def rows(self, sql: str, params: Params = ()) -> list[tuple[Any, ...]]:
        """Run a statement and return all of its rows."""

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

    `writable`: whether anything may be written; else every write raises StoreUnavailableError. `by_tenant`: whether different
    tenants are written at the same time, so that whoever writes for many does best to write for one after the other.
    """

    writable: bool
    by_tenant: bool

    @property
    @abstractmethod
    def name(self) -> str:
        """What errors call it: a file, or an address without its password."""

    @abstractmethod
    def read(self) -> AbstractContextManager[Transaction]:
        """Open a transaction that sees everything as it is now, whatever is written meanwhile."""

    @abstractmethod
    def write(self, tenant: int | None = None) -> AbstractContextManager[Transaction]:
        """Open a transaction that writes; it commits when the block ends well and changes nothing when it raises.

        Nobody else writes meanwhile; where only rows of one `tenant` change, nobody else writes that one's.
        """

    @abstractmethod
    def concerns(self) -> list[str]:
        """Return what makes a commit less durable than it should be, one line each."""

    @abstractmethod
    def changed(self) -> int:
        """Return a number that is another one after a commit that this object did not make: by another process."""

    @abstractmethod
    def checkpoint(self) -> None:
        """Bring what was written to where it stays, as far as an engine leaves that for later."""

    @abstractmethod
    def shrink(self) -> None:
        """Give the disk back what deleted rows took."""

    @abstractmethod
    def rewrite(self) -> None:
        """Write everything again, so that no byte of what was deleted is left. Raises StoreBusyError while somebody reads long."""

    @abstractmethod
    def close(self) -> None:
        """Close all connections."""
