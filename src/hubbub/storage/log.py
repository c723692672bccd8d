"""The log: what was accepted is on disk here before anybody hears of it, and waits until it is stored with its facts.

Callers that come at once share one commit: one thread writes for all that wait. Verdicts are given here too, since only here is
known what is still on its way. `sqlite_log.py` and `postgresql_log.py` are the logs of the two engines.
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
from hubbub.storage.transaction import Transaction

EVENT = tuple(schema.SENT)
"""Columns of an event's row, in order."""
TIME, IDENT, SEQ, SOURCE, ID, REVISION = (EVENT.index(c) for c in ("time", "ident", "seq", "source", "id", "revision"))
Row = tuple[Any, ...]
ROWS = 250
"""Events of a batch in the log: as many are stored in one go, while others wait; what was sent is cut into such batches."""


class Verdict(IntEnum):
    """What became of one event of a batch."""

    STORED = 0
    DUPLICATE = 1
    CORRECTED = 2


@dataclass(frozen=True, slots=True)
class Batch:
    """Events of one tenant, as rows of `EVENT` with `seq` 0, and refused records to keep.

    `given[i]` says whether the id of row i came with the event: an id made by us cannot be a duplicate.
    """

    tenant: int
    rows: Sequence[Row]
    given: Sequence[bool]
    received_at: int
    rejected: Sequence[Mapping[str, Any]] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True)
class Entry:
    """A batch as it waits in the log: what is new, and for each correction the time of what it replaces."""

    n: int
    tenant: int
    rows: Sequence[Row]
    replaced: Mapping[int, int]
    rejected: Sequence[Mapping[str, Any]]
    emptied: bool = False
    """Stored before its turn, and only its number is left."""


@dataclass(slots=True)
class Moving:
    """Batches that leave the log in a transaction, which stores what is in them; nobody else moves these tenants' meanwhile."""

    writing: Transaction
    waiting: Iterator[Entry]
    moved: list[Entry] = field(default_factory=list)

    def entries(self) -> Iterator[Entry]:
        """Yield batches in their order; those that were yielded have left the log when the transaction commits."""
        for entry in self.waiting:
            self.moved.append(entry)
            yield entry

    @property
    def identities(self) -> list[tuple[int, int]]:
        """Tenant and identity of every event that was moved."""
        return [(entry.tenant, row[IDENT]) for entry in self.moved for row in entry.rows]


@dataclass(frozen=True, slots=True)
class Submitted:
    """A batch that somebody handed in, and waits to hear of."""

    batch: Batch
    verdicts: Future[list[Verdict]]


def revision_of(row: Row) -> int:
    """Return an event's revision, -1 where it has none."""
    revision: int | None = row[REVISION]
    return -1 if revision is None else revision


def unpacked(n: int, tenant: int, events: bytes, rejected: bytes, name: str) -> Entry:
    """Return a batch as it was packed. Raises StoreDamagedError."""
    try:
        rows, replaced = msgspec.msgpack.decode(events)
        return Entry(n, tenant, rows, dict(replaced), msgspec.msgpack.decode(rejected))
    except (msgspec.DecodeError, ValueError, TypeError) as error:
        raise StoreDamagedError(f"{name} is damaged at batch {n} ({error}): restore it from a backup") from error


Held = tuple[int, int]
"""Of an event: its revision (-1: none) and its time in microseconds."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What becomes of a batch: a verdict for each row, the rows to store, and for each that replaces one its place and old time."""

    verdicts: list[Verdict]
    kept: Sequence[Row]
    replaced: Sequence[tuple[int, int]] = ()


def judge(
    batch: Batch, keys: Sequence[int], hits: Set[int], held: Mapping[int, Held], known: dict[int, Held]
) -> Judged:
    """Compare a batch with what is stored: `hits` are the keys that are, `held` what is known of those whose event is still there.

    `known`: what this commit stores, by key; each batch adds its own.
    """
    asked = [key for key, given in zip(keys, batch.given, strict=True) if given]
    if not hits and len(set(asked)) == len(asked):
        for key, row in zip(keys, batch.rows, strict=True):
            known[key] = revision_of(row), row[TIME]
        return Judged([Verdict.STORED] * len(keys), batch.rows)
    verdicts: list[Verdict] = []
    kept: list[Row] = []
    replaced: list[tuple[int, int]] = []
    places: dict[int, int] = {}
    for key, row, given in zip(keys, batch.rows, batch.given, strict=True):
        before = (known.get(key) or held.get(key)) if given else None
        if before is None and key in hits:  # its event is gone: what was counted once is not counted again
            verdicts.append(Verdict.DUPLICATE)
            continue
        if before is not None and revision_of(row) <= before[0]:
            verdicts.append(Verdict.DUPLICATE)
            continue
        verdicts.append(Verdict.STORED if before is None else Verdict.CORRECTED)
        known[key] = revision_of(row), row[TIME]
        if key in places:  # corrected within one batch: the newer row stands in the older one's place
            kept[places[key]] = row
            continue
        if before is not None:
            replaced.append((len(kept), before[1]))
        places[key] = len(kept)
        kept.append(row)
    return Judged(verdicts, kept, replaced)


def packed(batch: Batch, judged: Judged) -> Iterator[tuple[int, int, bytes, bytes]]:
    """Yield what a log keeps of a batch, in pieces: tenant, time of receipt, what is new of it, and what was refused.

    What was refused goes with the first.
    """
    rejected, kept = batch.rejected, judged.kept
    for first in range(0, len(kept) or bool(rejected), ROWS):
        places = [(place - first, time) for place, time in judged.replaced if first <= place < first + ROWS]
        body = msgspec.msgpack.encode((kept[first : first + ROWS], places))
        yield batch.tenant, batch.received_at, body, msgspec.msgpack.encode(rejected)
        rejected = ()


class Log(ABC):
    """Appends batches durably and gives them back in order. May be used from any thread, and by several processes."""

    def __init__(self, name: str) -> None:
        """`name`: what errors call it."""
        self._name = name
        self._queue: list[Submitted] = []
        self._arrived = threading.Condition()
        self._closed = False
        self._writer: threading.Thread | None = None

    def append(self, batch: Batch) -> list[Verdict]:
        """Store a batch durably and return one verdict per row, in order. Raises StoreFullError, StoreUnavailableError."""
        return self.submit(batch).result()

    def submit(self, batch: Batch) -> Future[list[Verdict]]:
        """Let a batch be stored durably; its verdicts, or what `append` raises, are there once it is."""
        mine = Submitted(batch, Future())
        mine.verdicts.set_running_or_notify_cancel()  # what is handed in is stored: nobody takes it back
        with self._arrived:
            if self._closed:
                raise StoreUnavailableError(f"{self._name} is closed")
            self._queue.append(mine)
            if self._writer is None or not self._writer.is_alive():  # a process that was forked has none any more
                self._writer = threading.Thread(target=self._write, name="hubbub-log", daemon=True)
                self._writer.start()
            self._arrived.notify()
        return mine.verdicts

    def _write(self) -> None:
        """Write what waits, all of it at once, until closed."""
        while True:
            with self._arrived:
                while not self._queue:
                    if self._closed:
                        return
                    self._arrived.wait()
                waiting, self._queue = self._queue, []
            try:
                verdicts = self._commit([one.batch for one in waiting])
            except BaseException as error:  # reaches whoever waits: this thread goes on
                for one in waiting:
                    one.verdicts.set_exception(error)
                continue
            for one, said in zip(waiting, verdicts, strict=True):
                one.verdicts.set_result(said)

    @abstractmethod
    def _commit(self, batches: Sequence[Batch]) -> list[list[Verdict]]:
        """Store batches in one commit; returns the verdicts of each."""

    @abstractmethod
    def last(self) -> int:
        """Return the number of the newest batch that was accepted, 0 where none ever was."""

    @abstractmethod
    def last_of(self, tenant: int) -> int:
        """Return the number of a tenant's newest batch that waits, 0 where none does."""

    @abstractmethod
    def tenants(self) -> set[int]:
        """Return the numbers of tenants whose batches wait."""

    @abstractmethod
    def behind(self) -> int:
        """Return how many batches wait."""

    @abstractmethod
    def moving(self, tenant: int | None, upto: int, limit: int) -> AbstractContextManager[Moving | None]:
        """Give some batches up to a number, of a tenant or of all, about `limit` events; None where none waits any more.

        They have left the log, with the transaction, when the block ends well. More than one tenant's may come along.
        """

    @abstractmethod
    def standing(self) -> tuple[int, int | None]:
        """Return how many batches wait, and when the oldest came (microseconds)."""

    @abstractmethod
    def highest_tenant(self) -> int:
        """Return the highest number of a tenant whose batches wait, 0 for none."""

    @abstractmethod
    def forget_tenant(self, tenant: int) -> int:
        """Take out what waits of a tenant, unseen; returns how many batches."""

    @abstractmethod
    def exclusive(self) -> AbstractContextManager[None]:
        """Let nothing be accepted here while something changes the identities by hand."""

    @abstractmethod
    def go_on_behind(self, number: int) -> None:
        """Give the next batches higher numbers than this: what a tenant brings along came before what it will send."""

    def close(self) -> None:
        """Write what waits, and end."""
        with self._arrived:
            self._closed = True
            self._arrived.notify()
        if self._writer is not None and self._writer.is_alive():
            self._writer.join()
