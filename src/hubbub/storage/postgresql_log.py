"""The log and the identities of a store in PostgreSQL: what comes in is one transaction for all callers that wait.

An event is known by the unique key of `identity`, so that duplicates are found across processes: who sends the same at the same
time waits for the other's commit. A batch gets its number after that: a correction has a higher one than what it corrects.
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
from hubbub.storage.transaction import Transaction

AT_ONCE = 20_000
"""Identities that are bound to one statement."""
BATCHES = 256
"""Batches of a tenant that leave the log in one transaction, at most."""
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
"""In the order of the key, so that two processes never wait for each other."""
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
        super().__init__(database.name)
        self._database = database

    def _commit(self, batches: Sequence[Batch]) -> list[list[Verdict]]:
        with self._database.append() as writing:
            number = writing.value("SELECT nextval('log_batches_number')")
            known: dict[int, Held] = {}
            asked = [[key_of(batch.tenant, row[IDENT]) for row in batch.rows] for batch in batches]
            first = _first(batches, asked)
            fresh = _added(writing, first, number)
            judged = [self._judge(writing, *one, fresh, known) for one in zip(batches, asked, strict=True)]
            changed = {key: held for key, held in known.items() if key not in fresh or held != first[key]}
            if changed:
                writing.run(_CORRECT, _bound(changed) | {"batches": number})
            for batch, one in zip(batches, judged, strict=True):
                writing.many(_APPEND, [(number, *piece) for piece in packed(batch, one)])
        return [one.verdicts for one in judged]

    def _judge(
        self, writing: Transaction, batch: Batch, keys: Sequence[int], fresh: Mapping[int, Held], known: dict[int, Held]
    ) -> Judged:
        """Say what becomes of a batch; `fresh`: keys that this commit is the first to have, `known` those that it stores."""
        asked = {key for key, given in zip(keys, batch.given, strict=True) if given}
        hits = {key for key in asked if key not in fresh or key in known}
        # what has no revision is a duplicate of whatever is stored, which need not be read
        revised = {key for key, row in zip(keys, batch.rows, strict=True) if row[REVISION] is not None}
        return judge(batch, keys, hits, _held(writing, (hits & revised) - known.keys()), known)

    # --- what waits

    @contextmanager
    def moving(self, tenant: int | None, upto: int, limit: int) -> Iterator[Moving | None]:
        """Give some batches of a tenant in the order of their numbers."""
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
        given = 0
        for n, tenant, events, rejected in rows:
            yield (entry := unpacked(n, tenant, events, rejected, self._name))
            given += len(entry.rows)
            if given >= limit:
                return

    def _oldest(self, tenant: int) -> int:
        with self._database.read() as reading:
            return reading.value("SELECT min(n) FROM log WHERE tenant = ?", (tenant,)) or 0

    def last(self) -> int:
        """Return the number of the newest batch that waits, 0 where none does."""
        with self._database.read() as reading:
            return reading.value("SELECT max(n) FROM log") or 0

    def last_of(self, tenant: int) -> int:
        """Return the number of a tenant's newest batch that waits, 0 where none does."""
        with self._database.read() as reading:
            return reading.value("SELECT max(n) FROM log WHERE tenant = ?", (tenant,)) or 0

    def tenants(self) -> set[int]:
        """Return the numbers of tenants whose batches wait."""
        with self._database.read() as reading:
            return {no for (no,) in reading.rows("SELECT DISTINCT tenant FROM log")}

    def behind(self) -> int:
        """Return how many batches wait."""
        return self.standing()[0]

    def standing(self) -> tuple[int, int | None]:
        """Return how many batches wait, and when the oldest came (microseconds)."""
        with self._database.read() as reading:
            batches, oldest = reading.rows("SELECT count(*), min(received_at) FROM log")[0]
        return batches, oldest

    def highest_tenant(self) -> int:
        """Return the highest number of a tenant whose batches wait, 0 for none."""
        with self._database.read() as reading:
            return reading.value("SELECT max(tenant) FROM log") or 0

    def forget_tenant(self, tenant: int) -> int:
        """Take out what waits of a tenant, unseen; returns how many batches."""
        with self._database.write(tenant) as writing:
            return writing.run("DELETE FROM log WHERE tenant = ?", (tenant,))

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Nothing is kept in this process that could be out of date: the key of the table sees to it."""
        yield

    def go_on_behind(self, number: int) -> None:
        """Give the next batches higher numbers than this."""
        with self._database.append() as writing:
            writing.run(
                "SELECT setval(pg_get_serial_sequence('log', 'n'), greatest(nextval(pg_get_serial_sequence('log', 'n')), ?))",
                (number + 1,),
            )


def _first(batches: Sequence[Batch], asked: Sequence[Sequence[int]]) -> dict[int, Held]:
    """Return what the first event of each key says."""
    found: dict[int, Held] = {}
    for batch, keys in zip(batches, asked, strict=True):
        for key, row in zip(keys, batch.rows, strict=True):
            found.setdefault(key, (revision_of(row), row[TIME]))
    return found


def _added(writing: Transaction, first: Mapping[int, Held], number: int) -> dict[int, Held]:
    """Store identities; returns those that were not there before."""
    if not first:
        return {}
    rows = writing.rows(_ADD, _bound(first) | {"batches": number})
    return {key: first[key] for tenant, ident in rows if (key := key_of(tenant, ident)) in first}


def _held(writing: Transaction, keys: set[int]) -> dict[int, Held]:
    """Return what is known of those keys whose event waits or is stored, once nobody else changes them any more."""
    if not keys:
        return {}
    bound = _bound(dict.fromkeys(keys, (0, 0)))
    writing.run(_LOCK, bound)  # what follows sees what was committed meanwhile
    return {key_of(tenant, ident): (revision, time) for tenant, ident, revision, time in writing.each(_HELD, bound)}


def _bound(known: Mapping[int, Held]) -> dict[str, Any]:
    """Return keys and what is known of them as the arrays that statements name."""
    pairs = [parts_of(key) for key in known]
    return {
        "tenants": [tenant for tenant, _ in pairs], "idents": [ident for _, ident in pairs],
        "revisions": [revision for revision, _ in known.values()], "times": [time for _, time in known.values()],
    }  # fmt: skip


class Identities(identity.Identities):
    """Which keys are stored: a table with all of them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def stored(self, keys: Iterable[int]) -> set[int]:
        """Return those of some keys that are stored."""
        wanted = list(keys)
        found: set[int] = set()
        with self._database.read() as reading:
            for start in range(0, len(wanted), AT_ONCE):
                bound = _bound(dict.fromkeys(wanted[start : start + AT_ONCE], (0, 0)))
                rows = reading.each(f"SELECT i.tenant, i.ident FROM identity AS i WHERE {_AMONG}", bound)
                found.update(key_of(*row) for row in rows)
        return found

    def standing(self) -> tuple[int, list[str]]:
        """Return how many there are; no file holds them."""
        with self._database.read() as reading:
            return reading.value("SELECT count(*) FROM identity"), []

    def of(self, tenant: int) -> Iterator[Numbers]:
        """Yield a tenant's identities in one piece, sorted."""
        with self._database.read() as reading:
            found = array("q", (row[0] for row in reading.scan(_OF_TENANT, (tenant,))))
        yield found

    def take_in(self, tenant: int, idents: Numbers) -> None:
        """Store the identities that a tenant brings along, with what its events say."""
        with self._database.write(tenant) as writing:
            for start in range(0, len(idents), AT_ONCE):
                writing.run(_TAKE_IN, {"tenant": tenant, "idents": list(idents[start : start + AT_ONCE])})

    def forget(self, tenant: int) -> None:
        """Leave no identity of a tenant."""
        with self._database.write(tenant) as writing:
            writing.run("DELETE FROM identity WHERE tenant = ?", (tenant,))


_OF_TENANT = "SELECT ident FROM identity WHERE tenant = ? ORDER BY ident"
