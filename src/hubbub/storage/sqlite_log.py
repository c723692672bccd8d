"""The log of an embedded store: a separate file, so that no fold delays an acknowledgement.

The process holds waiting events in memory by identity, so that verdicts need not read the log.
"""

from __future__ import annotations

import json
import shutil
import threading
import uuid
from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import msgspec

from hubbub.errors import StoreFullError
from hubbub.storage import intact, log, schema, sqlite_schema
from hubbub.storage.identity import key_of
from hubbub.storage.intact import LOG, Mark
from hubbub.storage.log import (
    IDENT,
    REVISION,
    TIME,
    Batch,
    Entry,
    Held,
    Judged,
    Moving,
    Verdict,
    judge,
    packed,
    revision_of,
    unpacked,
)  # fmt: skip
from hubbub.storage.sqlite import Database
from hubbub.storage.sqlite_identity import Identities
from hubbub.storage.transaction import Transaction
from hubbub.storage.waiting import Waiting

_APPEND = "INSERT INTO log (tenant, received_at, events, rejected) VALUES (?, ?, ?, ?)"
FREE_PAGES = 2_000
"""Free pages that stay in the log. An import leaves more: each `forget` returns this many to the disk, and those it freed."""


class Log(log.Log):
    """Appends batches durably and gives them back in order. May be used from any thread, and by several processes."""

    def __init__(self, folder: Path, facts: Database, identities: Identities, free_floor: int) -> None:
        """Open the log of a folder; `free_floor`: bytes of the disk to leave free."""
        self._database = Database(folder / LOG, cache_mb=8)
        super().__init__(LOG, self._database)
        if self._database.writable:
            self._database.exclusive(lambda con: con.executescript(sqlite_schema.LOG).close())
        self._folder = folder
        self._mark = Mark(folder)
        self._facts = facts
        self._identities = identities
        self._free_floor = free_floor
        self._commit_lock = threading.Lock()
        self._waiting = Waiting()
        self._others: int | None = None

    @property
    def database(self) -> Database:
        """The log's own file."""
        return self._database

    def _commit(self, batches: Sequence[Batch]) -> list[list[Verdict]]:
        with self._commit_lock:
            try:
                return self._stored_in_one(batches)
            except BaseException:
                self._others = None  # the next commit reads whether this one was stored
                raise

    def _stored_in_one(self, batches: Sequence[Batch]) -> list[list[Verdict]]:
        self._check_space()
        verdicts = []
        known: dict[int, Held] = {}
        with self._database.write() as writing:
            self._follow(writing)
            for batch in batches:
                judged = self._judge(batch, known)
                verdicts.append(judged.verdicts)
                writing.many(_APPEND, list(packed(batch, judged)))
            last = writing.value("SELECT seq FROM sqlite_sequence WHERE name = 'log'") or 0
        self._mark.set(last)
        if known:
            self._waiting.add(last, known)
        return verdicts

    def _check_space(self) -> None:
        free = shutil.disk_usage(self._folder).free
        if free < self._free_floor:
            raise StoreFullError(
                f"{free >> 20} MB are free on the disk of {self._folder}, and {self._free_floor >> 20} MB must stay free: "
                "free space and send again"
            )

    def _judge(self, batch: Batch, known: dict[int, Held]) -> Judged:
        """Return the outcome of a batch; `known`: what this commit stores, by key."""
        keys = [key_of(batch.tenant, row[IDENT]) for row in batch.rows]
        identified = [key for key, has_id in zip(keys, batch.given, strict=True) if has_id]
        hits = self._identities.known(identified)
        hits.update(key for key in identified if key in self._waiting or key in known)
        if not hits:
            return judge(batch, keys, hits, {}, known)
        # an event without a revision is a duplicate of any stored one, which need not be read
        revised = {key for key, row in zip(keys, batch.rows, strict=True) if row[REVISION] is not None}
        held = self._stored(batch, keys, {k for k in hits & revised if k not in self._waiting and k not in known})
        held.update((key, waiting) for key in hits if (waiting := self._waiting.get(key)) is not None)
        return judge(batch, keys, hits, held, known)

    def _stored(self, batch: Batch, keys: Sequence[int], wanted: set[int]) -> dict[int, tuple[int, int]]:
        """Return revision and time of stored events by key: first by the resent event's time, the rest in one query."""
        held: dict[int, tuple[int, int]] = {}
        if not wanted:
            return held
        rows = {key: row for key, row in zip(keys, batch.rows, strict=True) if key in wanted}
        with self._facts.read() as reading:
            for key, row in rows.items():
                at = reading.rows(
                    "SELECT revision, time FROM event WHERE tenant = ? AND time = ? AND ident = ?",
                    (batch.tenant, row[TIME], row[IDENT]),
                )
                if at:
                    held[key] = (-1 if at[0][0] is None else at[0][0], at[0][1])
            elsewhere = [row[IDENT] for key, row in rows.items() if key not in held]
            if elsewhere:
                numbers = reading.dialect.in_numbers("?")
                for ident, revision, time in reading.each(
                    f"SELECT ident, revision, time FROM event WHERE tenant = ? AND ident {numbers}",
                    (batch.tenant, json.dumps(elsewhere)),
                ):
                    held[key_of(batch.tenant, ident)] = (-1 if revision is None else revision, time)
        return held

    # --- what waits

    @contextmanager
    def moving(self, tenant: int | None, upto: int, limit: int) -> Iterator[Moving | None]:
        """Yield batches up to a number, each tenant's in order of arrival; None when none waits."""
        with self._facts.read() as reading:
            stored = _stored(reading)
        if stored >= upto:
            if tenant is None and self.forgotten() < stored:  # the process that stored them died before it deleted them
                self.forget(stored, (), ())
            yield None
            return
        with self._facts.write() as writing:
            stored, early = _stored(writing), _early(writing)
            with closing(
                self.waiting(stored, limit, early, tenant, upto)
            ) as waiting:  # else an error would leave it open
                yield (moving := Moving(writing, waiting))
            self._identities.add(writing, moving.identities)
            numbers = [entry.n for entry in moving.moved]
            if tenant is None:
                stored, ahead = numbers[-1] if numbers else upto, set[int]()
            else:
                ahead = set(numbers)
            stored = _advance(writing, stored, early | ahead)
        self.forget(stored, numbers, [key_of(*identity) for identity in moving.identities])

    def waiting(
        self, after: int, limit: int, early: Collection[int] = (), tenant: int | None = None, upto: int = 2**62
    ) -> Generator[Entry, None, None]:
        """Yield batches after number `after`, of all tenants or one, oldest first, about `limit` events in all.

        `early`: later numbers that are stored already. Raises StoreDamagedError.
        """
        count = 0
        for entry in self._entries(after, tenant):
            if entry.n in early:
                continue
            if entry.n > upto:
                return
            if entry.emptied:
                raise intact.facts_behind(self._facts.path, after, entry.n)
            yield entry
            count += len(entry.rows) + len(entry.rejected)
            if count >= limit:
                return

    def _entries(self, after: int, tenant: int | None = None) -> Iterator[Entry]:
        of_tenant, params = ("", ()) if tenant is None else (" AND tenant = ?", (tenant,))
        with self._database.read() as reading:
            for n, owner, events, rejected in reading.each(
                f"SELECT n, tenant, events, rejected FROM log WHERE n > ?{of_tenant} ORDER BY n", (after, *params)
            ):
                if events:
                    yield unpacked(n, owner, events, rejected, self._database.name)
                else:
                    yield Entry(n, owner, (), {}, (), emptied=True)

    def last(self) -> int:
        """Return the number of the newest accepted batch, 0 for none."""
        with self._database.read() as reading:
            return reading.value("SELECT seq FROM sqlite_sequence WHERE name = 'log'") or 0

    def last_of(self, tenant: int) -> int:
        """Return the number of a tenant's newest waiting batch, 0 for none."""
        with self._facts.read() as facts:
            stored = _stored(facts)
        with self._database.read() as reading:
            sql = "SELECT max(n) FROM log WHERE n > ? AND tenant = ? AND length(events) > 0"
            last: int = reading.value(sql, (stored, tenant)) or 0
        if not last:
            return 0
        with self._facts.read() as facts:  # a batch stored meanwhile is in `todo`, which callers read after this
            return last if last > _stored(facts) and last not in _early(facts) else 0

    def tenants(self) -> set[int]:
        """Return the numbers of tenants whose batches wait."""
        with self._database.read() as reading:
            return {no for (no,) in reading.rows("SELECT DISTINCT tenant FROM log WHERE length(events) > 0")}

    def behind(self) -> int:
        """Return how many batches wait."""
        with self._facts.read() as facts:
            stored, early = _stored(facts), _early(facts)
        with self._database.read() as reading:
            return len({n for (n,) in reading.rows("SELECT n FROM log WHERE n > ?", (stored,))} - early)

    def forget_tenant(self, tenant: int) -> int:
        """Delete a tenant's waiting batches; returns how many."""
        with self._database.write() as writing:
            return writing.run("DELETE FROM log WHERE tenant = ?", (tenant,))

    def forgotten(self) -> int:
        """Return the number up to which batches were stored and deleted here."""
        with self._database.read() as reading:
            return int(reading.value("SELECT value FROM meta WHERE key = 'forgotten'") or 0)

    def forget(self, upto: int, early: Iterable[int], keys: Iterable[int]) -> None:
        """Delete stored batches: all up to a number, and the events of `early` ones after it.

        The row of an early batch stays until all before it are stored: it reveals facts that lack the batch.
        """
        with self._commit_lock:
            self._identities.added(keys)
            before = self._database.free_pages()
            with self._database.write() as writing:
                writing.run("DELETE FROM log WHERE n <= ?", (upto,))
                writing.many("UPDATE log SET events = x'', rejected = x'' WHERE n = ?", [(n,) for n in early])
                writing.run(schema.upsert("meta"), ("forgotten", str(upto)))
            if (free := self._database.free_pages()) > FREE_PAGES:  # senders wait meanwhile
                self._database.shrink(FREE_PAGES + free - before)
            self._waiting.drop(upto)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Accept nothing while the block changes the identities; other processes reload them afterwards."""
        with self._commit_lock:
            yield
            with self._database.write() as writing:
                writing.run(schema.upsert("meta"), ("identities", uuid.uuid4().hex))

    def go_on_behind(self, number: int) -> None:
        """Number the next batches higher than this, so that they come after an imported tenant's events."""
        nothing = msgspec.msgpack.encode(((), ()))
        with self._commit_lock, self._database.write() as writing:
            last = writing.value("SELECT seq FROM sqlite_sequence WHERE name = 'log'") or 0
            row = (max(last, number) + 1, 0, 0, nothing, msgspec.msgpack.encode(()))
            writing.run("INSERT INTO log (n, tenant, received_at, events, rejected) VALUES (?, ?, ?, ?, ?)", row)

    def _follow(self, writing: Transaction) -> None:
        """Load what other processes accepted or stored since the last call: both change the log's file.

        Called when something is accepted: a process that only reads needs no waiting events in memory.
        """
        now = writing.value("PRAGMA data_version")
        if now == self._others:
            return
        self._identities.reload()
        self._waiting.drop(int(writing.value("SELECT value FROM meta WHERE key = 'forgotten'") or 0))
        for entry in self._entries(self._waiting.last):
            held = {key_of(entry.tenant, row[IDENT]): (revision_of(row), row[TIME]) for row in entry.rows}
            self._waiting.add(entry.n, held)
        self._others = now

    def close(self) -> None:
        """Write the waiting batches, and close the file."""
        super().close()
        with suppress(Exception):
            self._database.checkpoint()
        self._database.close()
        self._mark.close()


def _stored(facts: Transaction) -> int:
    """Return the number up to which all batches are among the facts."""
    return int(facts.value("SELECT value FROM meta WHERE key = 'stored'") or 0)


def _early(facts: Transaction) -> set[int]:
    """Return the numbers of batches stored before some earlier ones."""
    return {n for (n,) in facts.rows("SELECT n FROM stored_early")}


def _advance(writing: Transaction, stored: int, early: set[int]) -> int:
    """Save the number up to which all batches are stored, and the stored ones after it; returns the number."""
    while stored + 1 in early:
        stored += 1
    writing.run("DELETE FROM stored_early WHERE n <= ?", (stored,))
    writing.many(schema.insert_new("stored_early"), [(n,) for n in early if n > stored])
    writing.run(schema.upsert("meta"), ("stored", str(stored)))
    return stored
