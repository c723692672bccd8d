"""The log: accepted batches are on disk here before they are acknowledged, and wait until they are stored with their facts.

Callers that wait at the same time share one commit, by one writing thread. The log also decides the verdicts, since only it
knows the events that are not stored yet. `sqlite_log.py` and `postgresql_log.py` are the logs of the two engines.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence, Set
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import msgspec

from hubbub.errors import StoreDamagedError, StoreUnavailableError
from hubbub.storage import schema
from hubbub.storage.transaction import Database, Transaction

EVENT = tuple(schema.SENT)
"""Columns of an event's row, in order."""
TIME, IDENT, SEQ, SOURCE, ID, REVISION = (EVENT.index(c) for c in ("time", "ident", "seq", "source", "id", "revision"))
Row = tuple[Any, ...]
ROWS = 250
"""The most events, and the most refused records, of a batch in the log: longer ones are split, since others wait for each."""


class Verdict(IntEnum):
    """The outcome of one event of a batch."""

    STORED = 0
    DUPLICATE = 1
    CORRECTED = 2


@dataclass(frozen=True, slots=True)
class Refused:
    """A refused record, for the quarantine."""

    received_at: int
    """Microseconds."""
    origin: str
    code: str
    field: str | None
    message: str
    raw: str
    """Its text as it came."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Events of one tenant, as rows of `EVENT` with `seq` 0, and refused records to keep.

    `given[i]`: whether the id of row i came with the event; a generated id cannot be a duplicate.
    """

    tenant: int
    rows: Sequence[Row]
    given: Sequence[bool]
    received_at: int
    rejected: Sequence[Refused] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """A batch waiting in the log: its new rows; `replaced`: place of a correction -> time of the old event in microseconds."""

    n: int
    tenant: int
    rows: Sequence[Row]
    replaced: Mapping[int, int]
    rejected: Sequence[Refused]
    emptied: bool = False
    """Stored out of turn; only its number is left."""


@dataclass(slots=True)
class Moving:
    """Batches that leave the log in the transaction that stores them; no other process moves these tenants' batches meanwhile."""

    writing: Transaction
    waiting: Iterator[Entry]
    moved: list[Entry] = field(default_factory=list)

    def entries(self) -> Iterator[Entry]:
        """Yield batches in order; those yielded leave the log when the transaction commits."""
        for entry in self.waiting:
            self.moved.append(entry)
            yield entry

    @property
    def identities(self) -> list[tuple[int, int]]:
        """Tenant and identity of every moved event."""
        return [(entry.tenant, row[IDENT]) for entry in self.moved for row in entry.rows]


@dataclass(frozen=True, slots=True)
class Submitted:
    """A batch and the future of its verdicts."""

    batch: Batch
    verdicts: Future[list[Verdict]]


def revision_of(row: Row) -> int:
    """Return an event's revision, -1 where it has none."""
    revision: int | None = row[REVISION]
    return -1 if revision is None else revision


_refused = msgspec.msgpack.Decoder(list[Refused])


def unpacked(n: int, tenant: int, events: bytes, rejected: bytes, name: str) -> Entry:
    """Return a batch from its packed form; `name`: the log's, for the error. Raises StoreDamagedError."""
    try:
        rows, replaced = msgspec.msgpack.decode(events)
        if rows and len(rows[0]) < len(EVENT):  # written before the last columns were added
            rows = [[*row, *[None] * (len(EVENT) - len(row))] for row in rows]
        return Entry(n, tenant, rows, dict(replaced), _refused.decode(rejected))
    except (msgspec.DecodeError, ValueError, TypeError) as error:
        raise StoreDamagedError(f"{name} is damaged at batch {n} ({error}): restore it from a backup") from error


Held = tuple[int, int]
"""An event's revision (-1: none) and time in microseconds."""


@dataclass(frozen=True, slots=True)
class Judged:
    """The outcome of a batch: a verdict for each row, the rows to store, and (place, old time) of each correction among them."""

    verdicts: list[Verdict]
    new: Sequence[Row]
    replaced: Sequence[tuple[int, int]] = ()


def judge(
    batch: Batch, keys: Sequence[int], hits: Set[int], held: Mapping[int, Held], known: dict[int, Held]
) -> Judged:
    """Compare a batch with stored events: `hits` are its stored keys, `held` the versions of those whose event still exists.

    `known`: the versions that this commit stores, by key; each call adds its batch.
    """
    identified = [key for key, has_id in zip(keys, batch.given, strict=True) if has_id]
    if not hits and len(set(identified)) == len(identified):
        for key, row in zip(keys, batch.rows, strict=True):
            known[key] = revision_of(row), row[TIME]
        return Judged([Verdict.STORED] * len(keys), batch.rows)
    verdicts: list[Verdict] = []
    new: list[Row] = []
    replaced: list[tuple[int, int]] = []
    places: dict[int, int] = {}
    for key, row, has_id in zip(keys, batch.rows, batch.given, strict=True):
        before = (known.get(key) or held.get(key)) if has_id else None
        if before is None and key in hits:  # its event was deleted, and still counts once
            verdicts.append(Verdict.DUPLICATE)
            continue
        if before is not None and revision_of(row) <= before[0]:
            verdicts.append(Verdict.DUPLICATE)
            continue
        verdicts.append(Verdict.STORED if before is None else Verdict.CORRECTED)
        known[key] = revision_of(row), row[TIME]
        if key in places:  # corrected within one batch: the newer row replaces the older one
            new[places[key]] = row
            continue
        if before is not None:
            replaced.append((len(new), before[1]))
        places[key] = len(new)
        new.append(row)
    return Judged(verdicts, new, replaced)


def packed(batch: Batch, judged: Judged) -> Iterator[tuple[int, int, bytes, bytes]]:
    """Yield the rows of the log for a batch: tenant, time of receipt, new events, and refused records."""
    rejected, new = batch.rejected, judged.new
    for first in range(0, max(len(new), len(rejected)), ROWS):
        here = slice(first, first + ROWS)
        places = [(place - first, time) for place, time in judged.replaced if first <= place < first + ROWS]
        body = msgspec.msgpack.encode((new[here], places))
        yield batch.tenant, batch.received_at, body, msgspec.msgpack.encode(rejected[here])


class Log(ABC):
    """Appends batches durably and gives them back in order. May be used from any thread, and by several processes."""

    def __init__(self, name: str, database: Database) -> None:
        """`name`: its name in errors; `database`: where its table is."""
        self._name, self._read = name, database.read
        self._queue: list[Submitted] = []
        self._arrived = threading.Condition()
        self._closed = False
        self._writer: threading.Thread | None = None

    def append(self, batch: Batch) -> list[Verdict]:
        """Store a batch durably and return one verdict per row, in order. Raises StoreFullError, StoreUnavailableError."""
        return self.submit(batch).result()

    def submit(self, batch: Batch) -> Future[list[Verdict]]:
        """Queue a batch; the future gives its verdicts once it is durable, or raises what `append` raises."""
        submitted = Submitted(batch, Future())
        submitted.verdicts.set_running_or_notify_cancel()  # a submitted batch cannot be cancelled
        with self._arrived:
            if self._closed:
                raise StoreUnavailableError(f"{self._name} is closed")
            self._queue.append(submitted)
            if self._writer is None or not self._writer.is_alive():  # a forked process has no thread
                self._writer = threading.Thread(target=self._write, name="hubbub-log", daemon=True)
                self._writer.start()
            self._arrived.notify()
        return submitted.verdicts

    def _write(self) -> None:
        """Write all waiting batches in one commit, again and again, until closed."""
        while True:
            with self._arrived:
                while not self._queue:
                    if self._closed:
                        return
                    self._arrived.wait()
                waiting, self._queue = self._queue, []
            try:
                verdicts = self._commit([submitted.batch for submitted in waiting])
            except BaseException as error:  # raised by the futures: this thread continues
                for submitted in waiting:
                    submitted.verdicts.set_exception(error)
                continue
            for submitted, outcome in zip(waiting, verdicts, strict=True):
                submitted.verdicts.set_result(outcome)

    @abstractmethod
    def _commit(self, batches: Sequence[Batch]) -> list[list[Verdict]]:
        """Store batches in one commit; returns the verdicts of each."""

    @abstractmethod
    def last(self) -> int:
        """Return the number of the newest accepted batch, 0 for none."""

    @abstractmethod
    def last_of(self, tenant: int) -> int:
        """Return the number of a tenant's newest waiting batch, 0 for none."""

    @abstractmethod
    def tenants(self) -> set[int]:
        """Return the numbers of tenants whose batches wait."""

    @abstractmethod
    def behind(self) -> int:
        """Return how many batches wait."""

    @abstractmethod
    def moving(self, tenant: int | None, upto: int, limit: int) -> AbstractContextManager[Moving | None]:
        """Yield batches up to a number, of one tenant or all, of about `limit` events; None when none waits.

        They leave the log with the transaction, when the block succeeds. Other tenants' batches may be among them.
        """

    def backlog(self) -> tuple[int, int | None]:
        """Return how many batches are in the table, and when the oldest was received (microseconds)."""
        with self._read() as reading:
            batches, oldest = reading.rows("SELECT count(*), min(received_at) FROM log")[0]
        return batches, oldest

    def highest_tenant(self) -> int:
        """Return the highest number of a tenant whose batches are in the table, 0 for none."""
        with self._read() as reading:
            return reading.value("SELECT max(tenant) FROM log") or 0

    @abstractmethod
    def forget_tenant(self, tenant: int) -> int:
        """Delete a tenant's waiting batches; returns how many."""

    @abstractmethod
    def exclusive(self) -> AbstractContextManager[None]:
        """Accept nothing while the block changes the identities."""

    @abstractmethod
    def go_on_behind(self, number: int) -> None:
        """Number the next batches higher than this, so that they come after an imported tenant's events."""

    def close(self) -> None:
        """Write the queued batches, and stop."""
        with self._arrived:
            self._closed = True
            self._arrived.notify()
        if self._writer is not None and self._writer.is_alive():
            self._writer.join()
