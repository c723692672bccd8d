"""All rows of a rollup from the beginning up to some moments, for states and first sights.

Rows carry as `window_start` the first asked moment they count for: a state at a moment is the merge of all rows up to it.
Whole clean days come from the rollup; dirty days, and the days in which a moment falls, are folded from raw events.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from hubbub.metrics.definition import Rollup
from hubbub.model.tenant import Tenant
from hubbub.model.window import EPOCH, SLOT_SECONDS, Grain, window_of
from hubbub.query.facts import Facts, raw_rows
from hubbub.query.plan import Dirt, Piece, Tiles, cut_by
from hubbub.store.base import Work, utc_naive


def history(
    rollup: Rollup,
    work: Work,
    tenant: Tenant,
    moments: Sequence[datetime],
    dirt: Dirt,
    facts: Facts,
    *,
    exact: bool = False,
    by_day: bool = False,
) -> tuple[str, dict[str, Any]]:
    """Return SQL and parameters of the rows up to each of `moments` (aware, ascending), stored and raw.

    `by_day` keeps the local day as `window_start` instead of the moment.
    """
    tz = tenant.tz
    dirty = dirt.slots(rollup.source)
    days = {window_of(m, Grain.DAY, tz) for m in moments if window_of(m, Grain.DAY, tz).start != m and not dirt.ends(m)}
    if dirty is None or exact:
        days |= _all_days(work, tenant, moments[-1])
    else:
        days |= {window_of(EPOCH + timedelta(seconds=s * SLOT_SECONDS), Grain.DAY, tz) for s in dirty}
    frozen = dirt.frozen_until
    if frozen is not None:  # the day that frozen ones of another zone reach into is never stored
        days |= {d for d in [window_of(frozen.replace(tzinfo=UTC), Grain.DAY, tz)] if utc_naive(d.start) < frozen}
    raw_days = sorted(
        d for d in days if d.start < moments[-1] and not (frozen is not None and utc_naive(d.end) <= frozen)
    )
    params: dict[str, Any] = {}
    naive = [utc_naive(m) for m in moments]
    columns = "".join(f", s.{c}" for c in (*rollup.dimensions, *(c.name for c in rollup.columns())))
    spans = [Piece(low, high, high) for low, high in pairwise([utc_naive(EPOCH), *naive])]
    cut = cut_by("s.window_start", spans, "spans", params)
    sql = (
        f"SELECT s.tenant, {'s.window_start' if by_day else cut.bucket} AS window_start{columns} FROM "
        f"{rollup.table(Grain.DAY)} AS s{cut.join} WHERE s.tenant = $tenant AND {cut.where}"
    )
    if raw_days:
        params["raw_days"] = [utc_naive(d.start) for d in raw_days]
        sql += " AND NOT list_contains($raw_days::TIMESTAMP[], s.window_start)"
    if dirty is None or exact:
        sql += f" AND s.window_start < TIMESTAMP '{frozen or utc_naive(EPOCH)}'"
    tiles = Tiles()
    for day in raw_days:
        inside = [m for m in moments if day.start < m < day.end]
        last = [day.end] if moments[-1] >= day.end else []
        for start, end in pairwise([day.start, *inside, *last]):
            shown = day.start if by_day else next(m for m in moments if m > start)
            tiles.add_raw(start, end, utc_naive(shown))
    if not tiles.raw:
        return sql, params
    return f"{sql} UNION ALL {raw_rows(rollup, tiles, facts, params)}", params


def _all_days(work: Work, tenant: Tenant, until: datetime) -> set[Any]:
    """Return every local day from the tenant's first event to a moment (nothing was ever folded)."""
    first = work.execute('SELECT min("time") FROM events WHERE tenant = $t', {"t": tenant.no}).rows[0][0]
    days = set()
    moment = first.replace(tzinfo=UTC) if first is not None else until
    while moment < until:
        window = window_of(moment, Grain.DAY, tenant.tz)
        days.add(window)
        moment = window.end
    return days
