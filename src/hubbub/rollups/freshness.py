"""How far the rollups of every tenant and fact have come: fresh, dirty, failed or empty. Everything is read, nothing changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from hubbub.metrics import fold
from hubbub.metrics.catalogue import FACTS, ROLLUPS
from hubbub.metrics.definition import Fact
from hubbub.model.tenant import Tenant
from hubbub.model.window import Grain
from hubbub.rollups.refresh import EVERYONE
from hubbub.store.base import Store

STATES = ("failed", "dirty", "fresh", "empty")
"""Of one tenant's rollups of one fact, the worst first."""

Counts = Mapping[int, Mapping[str, int]]
"""Events by tenant number and type."""


@dataclass(frozen=True)
class Standing:
    """How one tenant's rollups of one fact stand.

    `behind`: events after the last fold that the fact reads. `newest`: start of the newest stored day (UTC without zone).
    `error`, `attempts` and `tried_at` (UTC without zone) are of a fold that failed.
    """

    tenant: str
    fact: str
    state: str
    behind: int
    newest: datetime | None
    error: str | None = None
    attempts: int = 0
    tried_at: datetime | None = None


def standings(store: Store, tenants: Sequence[Tenant]) -> list[Standing]:
    """Return how every fact of these tenants stands, in the order of tenants and facts."""
    wanted = {tenant.no for tenant in tenants}
    general: dict[str, int] = {}
    own: dict[tuple[str, int], tuple[int, str | None, int, datetime | None]] = {}
    for fact, no, *mark in store.query("SELECT fact, tenant, seq, error, attempts, tried_at FROM marks").rows:
        if no == EVERYONE:
            general[fact] = mark[0]
        elif no in wanted:
            own[fact, no] = (mark[0], mark[1], mark[2], mark[3])
    waiting = _waiting(store, general, own)
    newest = _newest(store)
    found = []
    for tenant in tenants:
        for one in FACTS:
            known = (general.get(one.name, 0), None, 0, None)
            since, error, attempts, tried_at = own.get((one.name, tenant.no), known)
            behind = _read_by(one, waiting[since].get(tenant.no, {}))
            day = newest.get((one.name, tenant.no))
            state = "failed" if error else "dirty" if behind else "fresh" if day else "empty"
            found.append(Standing(tenant.id, one.name, state, behind, day, error, attempts, tried_at))
    return found


def _waiting(
    store: Store,
    general: Mapping[str, int],
    own: Mapping[tuple[str, int], tuple[int, str | None, int, datetime | None]],
) -> Mapping[int, Counts]:
    """Count the events after each mark there is, of all tenants after the general ones: those are few, most often one."""
    after: dict[int, Counts] = {}
    for since in {general.get(fact.name, 0) for fact in FACTS}:
        after[since] = _counted(store.query(_AFTER.format("TRUE"), {"since": since}).rows)
    whose: dict[int, set[int]] = defaultdict(set)
    for (_, no), (since, *_) in own.items():
        if since not in after:
            whose[since].add(no)
    for since, numbers in whose.items():
        mine = _AFTER.format("tenant IN (SELECT unnest($tenants::INTEGER[]))")
        after[since] = _counted(store.query(mine, {"since": since, "tenants": sorted(numbers)}).rows)
    return after


_AFTER = "SELECT tenant, type, count(*) FROM events WHERE seq > $since AND {} GROUP BY tenant, type"


def _counted(rows: Sequence[tuple[int, str, int]]) -> Counts:
    counts: dict[int, dict[str, int]] = defaultdict(dict)
    for no, type_, n in rows:
        counts[no][type_] = n
    return counts


def _read_by(fact: Fact, counts: Mapping[str, int]) -> int:
    """Return how many of these events a fact reads; one that names no types reads all."""
    return sum(n for type_, n in counts.items() if not fact.reads or type_ in fact.reads)


def _newest(store: Store) -> dict[tuple[str, int], datetime]:
    """Return the newest stored day by fact and tenant."""
    tables = {
        fold.schema(rollup, Grain.DAY)[0][0]: rollup.source.name for rollup in ROLLUPS if Grain.DAY in rollup.keep
    }
    parts = [
        f"SELECT '{fact}' AS fact, tenant, max(window_start) AS newest FROM {table} GROUP BY tenant"
        for table, fact in tables.items()
    ]
    rows = store.query(
        f"SELECT fact, tenant, max(newest) FROM ({' UNION ALL '.join(parts)}) AS p GROUP BY fact, tenant"
    ).rows
    return {(fact, no): day for fact, no, day in rows}
