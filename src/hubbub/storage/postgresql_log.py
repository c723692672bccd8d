"""The log and the identities of a store in PostgreSQL: one transaction stores the batches of all waiting callers.

The unique key of `identity` detects duplicates across processes: a process that sends the same event at the same time waits for
the other's commit. A batch gets its number after that, so a correction has a higher number than what it corrects.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from hubbub.storage import identity, log
from hubbub.storage.identity import Numbers, key_of, parts_of
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
)
from hubbub.storage.postgresql import Database
from hubbub.storage.transaction import Bound, Transaction

AT_ONCE = 20_000
"""Identities in one statement."""
BATCHES = 256
"""Batches of a tenant in one transaction, at most."""
_APPEND = "INSERT INTO log (batches, tenant, received_at, events, rejected) VALUES (?, ?, ?, ?, ?)"
_EVENTS = (
    "unnest(CAST(:tenants AS BIGINT[]), CAST(:idents AS BIGINT[]), CAST(:revisions AS BIGINT[]), CAST(:times AS BIGINT[])) "
    "AS u (tenant, ident, revision, time)"
)
_ADD = (
    "INSERT INTO identity (tenant, ident, revision, time, batches) "
    f"SELECT u.tenant, u.ident, u.revision, u.time, CAST(:batches AS BIGINT) FROM {_EVENTS} ORDER BY u.tenant, u.ident "
    "ON CONFLICT DO NOTHING RETURNING tenant, ident"
)
"""In the order of the key, so that two processes cannot deadlock."""
_AMONG = "(i.tenant, i.ident) IN (SELECT * FROM unnest(CAST(:tenants AS BIGINT[]), CAST(:idents AS BIGINT[])))"
_LOCK = f"SELECT 1 FROM identity AS i WHERE {_AMONG} ORDER BY i.tenant, i.ident FOR UPDATE"
_HELD = (
    f"SELECT i.tenant, i.ident, i.revision, i.time FROM identity AS i WHERE {_AMONG} AND (EXISTS (SELECT 1 FROM log AS l "
    "WHERE l.batches = i.batches) OR EXISTS (SELECT 1 FROM event AS e WHERE e.tenant = i.tenant AND e.time = i.time "
    "AND e.ident = i.ident))"
)
_CORRECT = (
    f"UPDATE identity SET revision = u.revision, time = u.time, batches = :batches FROM {_EVENTS} "
    "WHERE identity.tenant = u.tenant AND identity.ident = u.ident"
)
_TAKE_IN = (
    "INSERT INTO identity (tenant, ident, revision, time) "
    "SELECT CAST(:tenant AS BIGINT), u.ident, coalesce(e.revision, -1), e.time FROM unnest(CAST(:idents AS BIGINT[])) AS u (ident) "
    "LEFT JOIN event AS e ON e.tenant = :tenant AND e.ident = u.ident ON CONFLICT DO NOTHING"
)


class Log(log.Log):
    """Appends batches durably and gives them back in order. May be used from any thread, and by several processes."""

    def __init__(self, database: Database) -> None:
        super().__init__(database.name, database)
        self._database = database

    def _commit(self, batches: Sequence[Batch]) -> list[list[Verdict]]:
        with self._database.append() as writing:
            number = writing.value("SELECT nextval('log_batches_number')")
            known: dict[int, Held] = {}
            keys = [[key_of(batch.tenant, row[IDENT]) for row in batch.rows] for batch in batches]
            first = _first(batches, keys)
            fresh = _added(writing, first, number)
            judged = [self._judge(writing, *pair, fresh, known) for pair in zip(batches, keys, strict=True)]
            changed = {key: held for key, held in known.items() if key not in fresh or held != first[key]}
            if changed:
                writing.run(_CORRECT, _bound(changed) | {"batches": number})
            for batch, outcome in zip(batches, judged, strict=True):
                writing.many(_APPEND, [(number, *piece) for piece in packed(batch, outcome)])
        return [outcome.verdicts for outcome in judged]

    def _judge(
        self, writing: Transaction, batch: Batch, keys: Sequence[int], fresh: Mapping[int, Held], known: dict[int, Held]
    ) -> Judged:
        """Return the outcome of a batch; `fresh`: keys that this commit is the first to have, `known`: what it stores."""
        identified = {key for key, has_id in zip(keys, batch.given, strict=True) if has_id}
        hits = {key for key in identified if key not in fresh or key in known}
        # an event without a revision is a duplicate of any stored one, which need not be read
        revised = {key for key, row in zip(keys, batch.rows, strict=True) if row[REVISION] is not None}
        return judge(batch, keys, hits, _held(writing, (hits & revised) - known.keys()), known)

    # --- what waits

    @contextmanager
    def moving(self, tenant: int | None, upto: int, limit: int) -> Iterator[Moving | None]:
        """Yield a tenant's batches up to a number, in order; None when none waits."""
        assert tenant is not None, "stores that are written by tenant are refreshed by tenant"
        if not 0 < self._oldest(tenant) <= upto:
            yield None
            return
        with self._database.write(tenant) as writing:
            rows = writing.rows(
                f"SELECT n, tenant, events, rejected FROM log WHERE tenant = ? AND n <= ? ORDER BY n LIMIT {BATCHES}",
                (tenant, upto),
            )
            yield (moving := Moving(writing, self._some(rows, limit)))
            writing.many("DELETE FROM log WHERE n = ?", [(entry.n,) for entry in moving.moved])

    def _some(self, rows: Sequence[tuple[Any, ...]], limit: int) -> Iterator[Entry]:
        count = 0
        for n, tenant, events, rejected in rows:
            yield (entry := unpacked(n, tenant, events, rejected, self._name))
            count += len(entry.rows) + len(entry.rejected)
            if count >= limit:
                return

    def _oldest(self, tenant: int) -> int:
        with self._database.read() as reading:
            return reading.value("SELECT min(n) FROM log WHERE tenant = ?", (tenant,)) or 0

    def last(self) -> int:
        """Return the number of the newest waiting batch, 0 for none."""
        with self._database.read() as reading:
            return reading.value("SELECT max(n) FROM log") or 0

    def last_of(self, tenant: int) -> int:
        """Return the number of a tenant's newest waiting batch, 0 for none."""
        with self._database.read() as reading:
            return reading.value("SELECT max(n) FROM log WHERE tenant = ?", (tenant,)) or 0

    def tenants(self) -> set[int]:
        """Return the numbers of tenants whose batches wait."""
        with self._database.read() as reading:
            return {no for (no,) in reading.rows("SELECT DISTINCT tenant FROM log")}

    def behind(self) -> int:
        """Return how many batches wait."""
        return self.backlog()[0]

    def forget_tenant(self, tenant: int) -> int:
        """Delete a tenant's waiting batches; returns how many."""
        with self._database.write(tenant) as writing:
            return writing.run("DELETE FROM log WHERE tenant = ?", (tenant,))

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Lock nothing: this process caches no identities, and the table's key prevents duplicates."""
        yield

    def go_on_behind(self, number: int) -> None:
        """Number the next batches higher than this."""
        with self._database.append() as writing:
            writing.run(
                "SELECT setval(pg_get_serial_sequence('log', 'n'), greatest(nextval(pg_get_serial_sequence('log', 'n')), ?))",
                (number + 1,),
            )


def _first(batches: Sequence[Batch], keys_of: Sequence[Sequence[int]]) -> dict[int, Held]:
    """Return revision and time of the first event of each key."""
    first: dict[int, Held] = {}
    for batch, keys in zip(batches, keys_of, strict=True):
        for key, row in zip(keys, batch.rows, strict=True):
            first.setdefault(key, (revision_of(row), row[TIME]))
    return first


def _added(writing: Transaction, first: Mapping[int, Held], number: int) -> dict[int, Held]:
    """Store identities; returns the new ones."""
    if not first:
        return {}
    rows = writing.rows(_ADD, _bound(first) | {"batches": number})
    return {key: first[key] for tenant, ident in rows if (key := key_of(tenant, ident)) in first}


def _held(writing: Transaction, keys: set[int]) -> dict[int, Held]:
    """Lock these keys; return revision and time of those whose event waits or is stored."""
    if not keys:
        return {}
    bound = _bound(dict.fromkeys(keys, (0, 0)))
    writing.run(_LOCK, bound)  # the next statement sees what was committed meanwhile
    return {key_of(tenant, ident): (revision, time) for tenant, ident, revision, time in writing.each(_HELD, bound)}


def _bound(known: Mapping[int, Held]) -> Bound:
    """Return keys, revisions and times as the arrays that statements bind."""
    pairs = [parts_of(key) for key in known]
    return {
        "tenants": [tenant for tenant, _ in pairs], "idents": [ident for _, ident in pairs],
        "revisions": [revision for revision, _ in known.values()], "times": [time for _, time in known.values()],
    }  # fmt: skip


class Identities(identity.Identities):
    """Identities in a table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def stored(self, keys: Iterable[int]) -> set[int]:
        """Return which of these keys are stored."""
        wanted = list(keys)
        known: set[int] = set()
        with self._database.read() as reading:
            for start in range(0, len(wanted), AT_ONCE):
                bound = _bound(dict.fromkeys(wanted[start : start + AT_ONCE], (0, 0)))
                rows = reading.each(f"SELECT i.tenant, i.ident FROM identity AS i WHERE {_AMONG}", bound)
                known.update(key_of(*row) for row in rows)
        return known

    def condition(self) -> tuple[int, list[str]]:
        """Return the number of identities; there are no files."""
        with self._database.read() as reading:
            return reading.value("SELECT count(*) FROM identity"), []

    def of(self, tenant: int) -> Iterator[Numbers]:
        """Yield a tenant's identities in one piece, sorted."""
        with self._database.read() as reading:
            idents = array("q", (row[0] for row in reading.scan(_OF_TENANT, (tenant,))))
        yield idents

    def take_in(self, tenant: int, idents: Numbers) -> None:
        """Store the identities of an imported tenant, with revision and time of its events."""
        with self._database.write(tenant) as writing:
            for start in range(0, len(idents), AT_ONCE):
                writing.run(_TAKE_IN, {"tenant": tenant, "idents": list(idents[start : start + AT_ONCE])})

    def forget(self, tenant: int) -> None:
        """Delete all identities of a tenant."""
        with self._database.write(tenant) as writing:
            writing.run("DELETE FROM identity WHERE tenant = ?", (tenant,))


_OF_TENANT = "SELECT ident FROM identity WHERE tenant = ? ORDER BY ident"
