"""All rows of a rollup from the beginning up to some moments, for states and first sights.

Rows carry as `window_start` the first asked moment they count for: a state at a moment is the merge of all rows up to it.
Whole clean days come from the rollup; dirty days, and the days in which a moment falls, are folded from raw events.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from hubbub.metrics import fold
from hubbub.metrics.definition import Rollup
from hubbub.model.tenant import Tenant
from hubbub.model.window import EPOCH, SLOT_SECONDS, Grain, slot_of, window_of
from hubbub.query.plan import CALENDAR, Dirt, Tiles, scope, slots_table
from hubbub.store.base import Store, utc_naive


def history(
    rollup: Rollup,
    store: Store,
    tenant: Tenant,
    moments: Sequence[datetime],
    dirt: Dirt,
    *,
    exact: bool = False,
    by_day: bool = False,
) -> tuple[str, dict[str, Any]]:
    """Return SQL and parameters of the rows up to each of `moments` (aware, ascending), stored and raw.

    `by_day` keeps the local day as `window_start` instead of the moment. Parameters include `moments`.
    """
    tz = tenant.tz
    dirty = dirt.slots(rollup.source)
    days = {window_of(m, Grain.DAY, tz) for m in moments if window_of(m, Grain.DAY, tz).start != m}
    if dirty is None or exact:
        days |= _all_days(store, tenant, moments[-1])
    else:
        days |= {window_of(EPOCH + timedelta(seconds=s * SLOT_SECONDS), Grain.DAY, tz) for s in dirty}
    frozen = dirt.frozen_until
    raw_days = sorted(
        d for d in days if d.start < moments[-1] and not (frozen is not None and utc_naive(d.end) <= frozen)
    )
    naive = [utc_naive(m) for m in moments]
    stamp = pa.timestamp("us")
    before = [utc_naive(EPOCH), *naive[:-1]]
    params: dict[str, Any] = {
        "moments": pa.table({"low": pa.array(before, stamp), "moment": pa.array(naive, stamp)}),
        "raw_days": pa.table({"start": pa.array([utc_naive(d.start) for d in raw_days], stamp)}),
    }
    columns = "".join(f", s.{c}" for c in (*rollup.dimensions, *(c.name for c in rollup.columns())))
    label = "s.window_start" if by_day else "i.moment"
    sql = (
        f"SELECT s.tenant, {label} AS window_start{columns} FROM {rollup.table(Grain.DAY)} AS s JOIN "
        "moments AS i ON s.window_start >= i.low AND s.window_start < i.moment "
        "WHERE s.tenant = $tenant AND s.window_start NOT IN (SELECT start FROM raw_days)"
    )
    if dirty is None or exact:
        sql += f" AND s.window_start < TIMESTAMP '{frozen or utc_naive(EPOCH)}'"
    tiles = Tiles()
    for day in raw_days:
        end = min(day.end, moments[-1])
        for slot in range(slot_of(day.start), slot_of(end - timedelta(microseconds=1)) + 1):
            start = EPOCH + timedelta(seconds=slot * SLOT_SECONDS)
            shown = (
                utc_naive(day.start) if by_day else next(n for n, m in zip(naive, moments, strict=True) if m > start)
            )
            tiles.slots.append((slot, shown))
        low, high = utc_naive(day.start), utc_naive(end)
        tiles.low = low if tiles.low is None else min(tiles.low, low)
        tiles.high = high if tiles.high is None else max(tiles.high, high)
    if not tiles.raw:
        return sql, params
    params["slots"] = slots_table(tiles)
    edge = f"f.{rollup.anchor} >= TIMESTAMP '{tiles.low}' AND f.{rollup.anchor} < TIMESTAMP '{tiles.high}'"
    raw = fold.fold(rollup, f"({fold.fact_rows(rollup.source, scope(rollup.source, tiles))})", where=edge)
    return f"{sql} UNION ALL SELECT * FROM (WITH {CALENDAR} {raw})", params


def _all_days(store: Store, tenant: Tenant, until: datetime) -> set[Any]:
    """Return every local day from the tenant's first event to a moment (nothing was ever folded)."""
    first = store.query('SELECT min("time") FROM events WHERE tenant = $t', {"t": tenant.no}).rows[0][0]
    days = set()
    moment = first.replace(tzinfo=UTC) if first is not None else until
    while moment < until:
        window = window_of(moment, Grain.DAY, tenant.tz)
        days.add(window)
        moment = window.end
    return days
