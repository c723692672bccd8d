"""The log: what was accepted is on disk here before anybody hears of it, and waits until it is stored with its facts.

It is a file of its own, so that no fold ever holds an acknowledgement back. Callers that come at once share one sync: one thread
writes for all that wait. Verdicts are given here too, since only here is known what is still on its way.
"""

from __future__ import annotations

import json
import shutil
import threading
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any

import msgspec

from hubbub.errors import StoreDamagedError, StoreFullError, StoreUnavailableError
from hubbub.storage import intact, schema
from hubbub.storage.identity import Identities, key_of
from hubbub.storage.intact import LOG, Mark
from hubbub.storage.sqlite import Database, Transaction
from hubbub.storage.waiting import Held, Waiting

EVENT = tuple(schema.SENT)
"""Columns of an event's row, in order."""
TIME, IDENT, SEQ, SOURCE, ID, REVISION = (EVENT.index(c) for c in ("time", "ident", "seq", "source", "id", "revision"))
Row = tuple[Any, ...]


ROWS = 250
"""Events of a batch in the log: as many are stored in one go, while others wait; what was sent is cut into such batches."""
_APPEND = "INSERT INTO log (tenant, received_at, events, rejected) VALUES (?, ?, ?, ?)"
FREE_PAGES = 2_000
"""Pages of the log that stay for what comes next. An import leaves more: at each time so many go, and what was just taken out."""


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


@dataclass(frozen=True, slots=True)
class _Waiting:
    batch: Batch
    verdicts: Future[list[Verdict]]


class Log:
    """Appends batches durably and gives them back in order. May be used from any thread, and by several processes."""

    def __init__(self, folder: Path, facts: Database, identities: Identities, free_floor: int) -> None:
        """Open the log of a folder; `free_floor`: bytes of the disk that are left to everything else."""
        self._database = Database(folder / LOG, cache_mb=8)
        if self._database.writable:
            self._database.exclusive(lambda con: con.executescript(schema.LOG).close())
        self._folder = folder
        self._mark = Mark(folder)
        self._facts = facts
        self._identities = identities
        self._free_floor = free_floor
        self._queue: list[_Waiting] = []
        self._arrived = threading.Condition()
        self._closed = False
        self._writer: threading.Thread | None = None
        self._commit_lock = threading.Lock()
        self._waiting = Waiting()
        self._others: int | None = None

    @property
    def database(self) -> Database:
        """The log's own file."""
        return self._database

    def append(self, batch: Batch) -> list[Verdict]:
        """Store a batch durably and return one verdict per row, in order. Raises StoreFullError, StoreUnavailableError."""
        return self.submit(batch).result()

    def submit(self, batch: Batch) -> Future[list[Verdict]]:
        """Let a batch be stored durably; its verdicts, or what `append` raises, are there once it is."""
        mine = _Waiting(batch, Future())
        mine.verdicts.set_running_or_notify_cancel()  # what is handed in is stored: nobody takes it back
        with self._arrived:
            if self._closed:
                raise StoreUnavailableError(f"{self._database.path.name} is closed")
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
            with self._commit_lock:
                self._commit(waiting)

    def _commit(self, waiting: Sequence[_Waiting]) -> None:
        try:
            self._check_space()
            with self._database.write() as writing:
                self._follow(writing)
                judged = []
                known: dict[int, Held] = {}
                for one in waiting:
                    verdicts, kept, replaced = self._judge(one.batch, known)
                    judged.append((one, verdicts))
                    writing.many(_APPEND, list(_pieces(one.batch, kept, replaced)))
                last = writing.value("SELECT seq FROM sqlite_sequence WHERE name = 'log'") or 0
            self._mark.set(last)
            if known:
                self._waiting.add(last, known)
        except BaseException as error:  # reaches whoever waits: this thread goes on
            self._others = None  # whether it was stored is looked up at the next commit
            for one in waiting:
                one.verdicts.set_exception(error)
            return
        for one, verdicts in judged:
            one.verdicts.set_result(verdicts)

    def _check_space(self) -> None:
        free = shutil.disk_usage(self._folder).free
        if free < self._free_floor:
            raise StoreFullError(
                f"{free >> 20} MB are free where {self._folder} lies, {self._free_floor >> 20} MB are left untouched: "
                "free space and send again"
            )

    def _judge(
        self, batch: Batch, known: dict[int, Held]
    ) -> tuple[list[Verdict], Sequence[Row], list[tuple[int, int]]]:
        """Return the verdicts of a batch, the rows to store, and of those that replace one its place and old time.

        `known`: what this commit stores, by key; each batch adds its own.
        """
        keys = [key_of(batch.tenant, row[IDENT]) for row in batch.rows]
        asked = [key for key, given in zip(keys, batch.given, strict=True) if given]
        hits = self._identities.known(asked)
        hits.update(key for key in asked if key in self._waiting or key in known)
        if not hits and len(set(asked)) == len(asked):
            for key, row in zip(keys, batch.rows, strict=True):
                known[key] = _revision(row), row[TIME]
            return [Verdict.STORED] * len(keys), batch.rows, []
        # what has no revision is a duplicate of whatever is stored, which need not be read
        revised = {key for key, row in zip(keys, batch.rows, strict=True) if row[REVISION] is not None}
        stored = self._stored(batch, keys, {k for k in hits & revised if k not in self._waiting and k not in known})
        verdicts: list[Verdict] = []
        kept: list[Row] = []
        replaced: list[tuple[int, int]] = []
        places: dict[int, int] = {}
        for key, row, given in zip(keys, batch.rows, batch.given, strict=True):
            held = (known.get(key) or self._waiting.get(key) or stored.get(key)) if given else None
            if held is None and key in hits:  # its event is gone: what was counted once is not counted again
                verdicts.append(Verdict.DUPLICATE)
                continue
            if held is not None and _revision(row) <= held[0]:
                verdicts.append(Verdict.DUPLICATE)
                continue
            verdicts.append(Verdict.STORED if held is None else Verdict.CORRECTED)
            known[key] = _revision(row), row[TIME]
            if key in places:  # corrected within one batch: the newer row stands in the older one's place
                kept[places[key]] = row
                continue
            if held is not None:
                replaced.append((len(kept), held[1]))
            places[key] = len(kept)
            kept.append(row)
        return verdicts, kept, replaced

    def _stored(self, batch: Batch, keys: Sequence[int], wanted: set[int]) -> dict[int, tuple[int, int]]:
        """Return revision and time of stored events by key: looked up where a resent one says, else in one pass."""
        found: dict[int, tuple[int, int]] = {}
        if not wanted:
            return found
        rows = {key: row for key, row in zip(keys, batch.rows, strict=True) if key in wanted}
        with self._facts.read() as reading:
            for key, row in rows.items():
                at = reading.rows(
                    "SELECT revision, time FROM event WHERE tenant = ? AND time = ? AND ident = ?",
                    (batch.tenant, row[TIME], row[IDENT]),
                )
                if at:
                    found[key] = (-1 if at[0][0] is None else at[0][0], at[0][1])
            elsewhere = [row[IDENT] for key, row in rows.items() if key not in found]
            if elsewhere:
                for ident, revision, time in reading.each(
                    "SELECT ident, revision, time FROM event WHERE tenant = ? AND ident IN (SELECT value FROM json_each(?))",
                    (batch.tenant, json.dumps(elsewhere)),
                ):
                    found[key_of(batch.tenant, ident)] = (-1 if revision is None else revision, time)
        return found

    # --- what waits

    def waiting(
        self, after: int, limit: int, early: Collection[int] = (), tenant: int | None = None
    ) -> Iterator[Entry]:
        """Yield what waits after number `after`, of all tenants or of one, oldest first, until about `limit` events were given.

        `early`: numbers after it that are stored already. Raises StoreDamagedError.
        """
        given = 0
        for entry in self._entries(after, tenant):
            if entry.n in early:
                continue
            if entry.emptied:
                raise intact.facts_behind(self._facts.path, after, entry.n)
            yield entry
            given += len(entry.rows)
            if given >= limit:
                return

    def _entries(self, after: int, tenant: int | None = None) -> Iterator[Entry]:
        mine, params = ("", ()) if tenant is None else (" AND tenant = ?", (tenant,))
        with self._database.read() as reading:
            for n, owner, events, rejected in reading.each(
                f"SELECT n, tenant, events, rejected FROM log WHERE n > ?{mine} ORDER BY n", (after, *params)
            ):
                if not events:
                    yield Entry(n, owner, (), {}, (), emptied=True)
                    continue
                try:
                    rows, replaced = msgspec.msgpack.decode(events)
                    yield Entry(n, owner, rows, dict(replaced), msgspec.msgpack.decode(rejected))
                except (msgspec.DecodeError, ValueError, TypeError) as error:
                    raise StoreDamagedError(
                        f"{self._database.path} is damaged at batch {n} ({error}): restore it from a backup"
                    ) from error

    def last(self) -> int:
        """Return the number of the newest batch that was ever accepted."""
        with self._database.read() as reading:
            return reading.value("SELECT seq FROM sqlite_sequence WHERE name = 'log'") or 0

    def last_of(self, tenant: int, after: int) -> int:
        """Return the number of a tenant's newest batch after a number that is not emptied, 0 where there is none."""
        sql = "SELECT max(n) FROM log WHERE n > ? AND tenant = ? AND length(events) > 0"
        with self._database.read() as reading:
            return reading.value(sql, (after, tenant)) or 0

    def forgotten(self) -> int:
        """Return the number up to which batches were stored and taken out."""
        with self._database.read() as reading:
            return int(reading.value("SELECT value FROM meta WHERE key = 'forgotten'") or 0)

    def numbers_after(self, after: int) -> list[int]:
        """Return the numbers of the batches after a number."""
        with self._database.read() as reading:
            return [n for (n,) in reading.rows("SELECT n FROM log WHERE n > ?", (after,))]

    def forget(self, upto: int, early: Iterable[int], keys: Iterable[int]) -> None:
        """Take out what is stored now: all up to a number, and of batches after it their events.

        An emptied batch stays until all before it are stored: facts that do not have it are noticed by it.
        """
        with self._commit_lock:
            self._identities.added(keys)
            before = self._database.free_pages()
            with self._database.write() as writing:
                writing.run("DELETE FROM log WHERE n <= ?", (upto,))
                writing.many("UPDATE log SET events = x'', rejected = x'' WHERE n = ?", [(n,) for n in early])
                writing.run("INSERT OR REPLACE INTO meta VALUES ('forgotten', ?)", (str(upto),))
            if (free := self._database.free_pages()) > FREE_PAGES:  # whoever sends waits meanwhile
                self._database.shrink(FREE_PAGES + free - before)
            self._waiting.drop(upto)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let nothing be accepted here while something changes the identities by hand; others look at them again afterwards."""
        with self._commit_lock:
            yield
            with self._database.write() as writing:
                writing.run("INSERT OR REPLACE INTO meta VALUES ('identities', ?)", (uuid.uuid4().hex,))

    def go_on_behind(self, number: int) -> None:
        """Give the next batches higher numbers than this: what a tenant brings along came before what it will send."""
        nothing = msgspec.msgpack.encode(((), ()))
        with self._commit_lock, self._database.write() as writing:
            last = writing.value("SELECT seq FROM sqlite_sequence WHERE name = 'log'") or 0
            row = (max(last, number) + 1, 0, 0, nothing, msgspec.msgpack.encode(()))
            writing.run("INSERT INTO log (n, tenant, received_at, events, rejected) VALUES (?, ?, ?, ?, ?)", row)

    def _follow(self, writing: Transaction) -> None:
        """Know what other processes accepted or stored since this one looked: both change the log's file.

        The first look knows nothing yet. It is taken when something is accepted: who only reads need not know what waits.
        """
        now = writing.value("PRAGMA data_version")
        if now == self._others:
            return
        self._identities.reload()
        self._waiting.drop(int(writing.value("SELECT value FROM meta WHERE key = 'forgotten'") or 0))
        for entry in self._entries(self._waiting.last):
            held = {key_of(entry.tenant, row[IDENT]): (_revision(row), row[TIME]) for row in entry.rows}
            self._waiting.add(entry.n, held)
        self._others = now

    def close(self) -> None:
        """Write what waits, and close the file."""
        with self._arrived:
            self._closed = True
            self._arrived.notify()
        if self._writer is not None and self._writer.is_alive():
            self._writer.join()
        with suppress(Exception):
            self._database.checkpoint()
        self._database.close()
        self._mark.close()


def _revision(row: Row) -> int:
    revision: int | None = row[REVISION]
    return -1 if revision is None else revision


def _pieces(batch: Batch, kept: Sequence[Row], replaced: Sequence[tuple[int, int]]) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of the log that a batch becomes; what was refused goes with the first."""
    rejected = batch.rejected
    for first in range(0, len(kept) or bool(rejected), ROWS):
        places = [(place - first, time) for place, time in replaced if first <= place < first + ROWS]
        body = msgspec.msgpack.encode((kept[first : first + ROWS], places))
        yield batch.tenant, batch.received_at, body, msgspec.msgpack.encode(rejected)
        rejected = ()
