"""What a store must be able to do: append events durably, answer SQL, and replace windows in one transaction.

The event table's columns are declared here once; every engine builds its schema from them and from the catalogue.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Any, Protocol

import pyarrow as pa

EVENT_COLUMNS: dict[str, pa.DataType] = {
    "tenant": pa.int32(),
    "type": pa.string(),
    "time": pa.timestamp("us"),
    "source": pa.string(),
    "id": pa.string(),
    **{
        name: pa.string()
        for name in (
            "channel", "channel_id", "account_id", "conversation_id", "message_id", "contact_id", "staff_id", "task_id",
            "campaign_id", "survey_id", "name", "kind", "topic", "sentiment", "intent", "severity", "status",
        )
    },
    "value": pa.float64(),
    "scale": pa.int16(),
    "duration_ms": pa.int64(),
    "confidence": pa.float64(),
    "revision": pa.int64(),
    "attributes": pa.string(),
    "received_at": pa.timestamp("us"),
}  # fmt: skip
"""Columns of the table `events`, beside `seq`. Times are UTC without zone, to the microsecond."""

EVENT_SCHEMA = pa.schema(list(EVENT_COLUMNS.items()))


class Verdict(IntEnum):
    """What became of one event of a batch."""

    STORED = 0
    DUPLICATE = 1
    CORRECTED = 2


@dataclass(frozen=True)
class Batch:
    """Events to append, as one Arrow table of `EVENT_SCHEMA`, with their identities, and rejected records to keep.

    `given[i]` says whether the id of row i came with the event: an id made by us cannot be a duplicate. `history`: an event
    that is sent again may be stored under any time, since files state one record under several.
    """

    table: pa.Table
    identities: Sequence[tuple[int, str, str]]
    revisions: Sequence[int | None]
    given: Sequence[bool]
    rejected: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    history: bool = False


@dataclass(frozen=True)
class Rows:
    """The answer to a query: column names and tuples."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]

    def dicts(self) -> list[dict[str, Any]]:
        """Return the rows as mappings."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


class Work(Protocol):
    """A transaction: all of its statements are seen together, or none."""

    def execute(self, sql: str, params: Mapping[str, Any] | None = None) -> Rows:
        """Run a statement and return its rows."""
        ...

    def table(self, name: str, data: pa.Table) -> None:
        """Make an Arrow table available under `name` to the statements of this transaction only."""
        ...

    def make(self, name: str, select: str, params: Mapping[str, Any] | None = None) -> int:
        """Make the rows of a SELECT such a table; returns how many."""
        ...


class Store(Protocol):
    """Events and rollups of all tenants. Every method may be called from any thread."""

    def append(self, batch: Batch) -> list[Verdict]:
        """Store a batch durably and return one verdict per row, in order. Raises StoreFullError, StoreUnavailableError."""
        ...

    def query(self, sql: str, params: Mapping[str, Any] | None = None) -> Rows:
        """Answer a SELECT on a snapshot of its own. Arrow tables among `params` are relations of that name, the rest is bound."""
        ...

    def work(self) -> AbstractContextManager[Work]:
        """Open a transaction that reads: all its statements see one moment; tables it makes are its own."""
        ...

    def change(self) -> AbstractContextManager[Work]:
        """Open a transaction that writes: it commits when the block ends well and rolls back when it raises."""
        ...

    def alone(self, *, wait: bool = True) -> AbstractContextManager[None]:
        """Hold back everybody else who would fold windows of this store, in whatever process.

        Raises StoreBusyError when another process has folded for minutes; without `wait`, when one folds.
        """
        ...

    def withdraw(self, where: str, params: Mapping[str, Any]) -> int:
        """Take out the events that a condition names, as corrections do, but with none in their stead; returns how many.

        They stand in `superseded` under new numbers, so that the next refresh folds the windows that they were in.
        """
        ...

    def scrub(self, wheres: Mapping[str, str], params: Mapping[str, Any]) -> None:
        """Leave no byte of rows that do not count and that one of these conditions (by table) names, in no file of the store.

        A store may do the same for other deleted rows too. Raises StoreFullError, StoreBusyError.
        """
        ...

    def version(self) -> int:
        """Return a number that is another one after every committed change."""
        ...

    def last_seq(self) -> int:
        """Return the sequence number of the newest stored event."""
        ...

    def order(self, now: datetime) -> int:
        """Lay settled events out so that one tenant's are found quickly, where that is worth it; returns how many moved."""
        ...

    def checkpoint(self) -> None:
        """Move what the log holds into the main file and release what deletes left behind."""
        ...

    def close(self) -> None:
        """Stop taking work, finish what waits, and close."""
        ...


def utc_naive(moment: datetime) -> datetime:
    """Return an aware moment as the store keeps it: UTC without zone."""
    offset = moment.utcoffset()
    if offset:
        moment = moment - offset
    return moment.replace(tzinfo=None)
