"""Plan an answer: tile the asked range with windows, and say which are read from rollups and which from raw events.

A window is read from its rollup when it lies whole in the range, is still kept, and no event came after the fold that
could change it. Everything else (open, dirty, never folded, partly asked) is folded from raw events while answering, by
the same declarations. Windows whose raw events are gone are always read as stored.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from hubbub.metrics import fold
from hubbub.metrics.definition import Fact, Rollup
from hubbub.model.tenant import Tenant, kept_from
from hubbub.model.window import SLOT_SECONDS, Grain, Window, slot_of, window_of, windows
from hubbub.store.base import Store, utc_naive

MAX_WINDOWS = 20_000
SLOT = timedelta(seconds=SLOT_SECONDS)


CALENDAR = (
    "zones AS (SELECT $tenant AS tenant, 0 AS zone), calendar AS (SELECT 0 AS zone, s.slot, s.bucket AS window_start "
    "FROM slots AS s)"
)
"""The two tables that a fold reads, made from the relation `slots` for one tenant."""


@dataclass
class Tiles:
    """What to read for one rollup. `stored`: (grain, window start, bucket); `slots`: (slot, bucket) to fold from raw.

    Times are UTC without zone. `low` and `high` bound the raw part's anchors exactly, also inside a slot.
    """

    stored: dict[Grain, list[tuple[datetime, datetime]]] = field(default_factory=dict)
    slots: list[tuple[int, datetime]] = field(default_factory=list)
    low: datetime | None = None
    high: datetime | None = None
    live: set[datetime] = field(default_factory=set)
    gone: int = 0

    @property
    def raw(self) -> bool:
        """Whether anything is read from raw events."""
        return bool(self.slots)


class Dirt:
    """Which slots of a tenant changed after the fold of a fact; asked of the store once per fact and answer."""

    def __init__(self, store: Store, tenant: Tenant) -> None:
        self._store = store
        self._tenant = tenant
        self._found: dict[str, list[int] | None] = {}
        self._marks: dict[str, int] | None = None
        rows = store.query(
            "SELECT (SELECT max(until) FROM frozen WHERE tenant = $t), (SELECT max(zone) FROM tenants WHERE tenant = $t)",
            {"t": tenant.no},
        ).rows
        self.frozen_until: datetime | None = rows[0][0]
        self._moved = rows[0][1] not in (None, tenant.zone)

    def mark(self, fact: Fact) -> int:
        """Return the sequence number up to which this tenant's windows of a fact are folded; 0 when never."""
        if self._marks is None:
            rows = self._store.query(
                "SELECT fact, arg_max(seq, tenant) FROM marks WHERE tenant IN (0, $t) GROUP BY fact",
                {"t": self._tenant.no},
            ).rows
            self._marks = dict(rows)
        return self._marks.get(fact.name, 0)

    def slots(self, fact: Fact) -> list[int] | None:
        """Return the slots whose windows are dirty, or None when everything is (nothing was folded in this zone)."""
        if fact.name not in self._found:
            self._found[fact.name] = self._look(fact)
        return self._found[fact.name]

    def _look(self, fact: Fact) -> list[int] | None:
        mark = self.mark(fact)
        if mark == 0 or self._moved:  # what is stored is cut by the days of another zone
            return None
        if mark >= self._store.last_seq():
            return []
        mine = "tenant = $tenant AND seq > $mark"
        params = {"tenant": self._tenant.no, "mark": mark}
        changes = f"(SELECT * FROM events WHERE {mine} UNION ALL SELECT * FROM superseded WHERE {mine})"
        first = f"WITH changes AS {changes} "
        found = self._store.query(first + fold.own_slots(fact, "changes"), params).rows
        if found:
            for link in fact.links:
                reached = fold.reached_slots(fact, link, "changes", "e.tenant = $tenant")
                found += self._store.query(f"{first}SELECT * FROM ({reached})", params).rows
        return sorted({slot for _, slot in found})


def buckets(start: datetime, end: datetime, grain: Grain, tenant: Tenant) -> list[Window]:
    """Return the windows of an answer, clipped to the asked range; they say under which start a row is shown."""
    return [Window(max(w.start, start), min(w.end, end)) for w in windows(start, end, grain, tenant.tz)]


def tile(
    rollup: Rollup,
    tenant: Tenant,
    cut: Iterable[Window],
    grain: Grain,
    now: datetime,
    dirt: Dirt,
    *,
    exact: bool = False,
) -> Tiles:
    """Tile the buckets `cut` (whole or clipped windows of `grain`) for a rollup. `exact` reads all from raw events.

    A day that is dirty, open or only partly asked is tiled by its hours where the rollup keeps them.
    """
    tiles = Tiles()
    dirty = dirt.slots(rollup.source)
    dirty_set = set(dirty or ())
    everything = dirty is None or exact
    kept = {g: kept_from(tenant, tenant.retention.days(g), now) for g in rollup.keep}

    def place(window: Window, unit: Grain, bucket: Window, shown: datetime) -> None:
        whole = window.start >= bucket.start and window.end <= bucket.end
        stored = whole and unit in kept and window.start >= kept[unit]
        frozen = dirt.frozen_until is not None and utc_naive(window.end) <= dirt.frozen_until
        if stored and (frozen or not (everything or _touched(window, dirty_set))):
            tiles.stored.setdefault(unit, []).append((utc_naive(window.start), shown))
            return
        part = Window(max(window.start, bucket.start), min(window.end, bucket.end))
        if unit is Grain.DAY and not everything and Grain.HOUR in kept and window.start >= kept[Grain.HOUR]:
            for hour in windows(part.start, part.end, Grain.HOUR, tenant.tz):
                place(hour, Grain.HOUR, bucket, shown)
        elif frozen:
            tiles.gone += 1
        else:
            _fold_raw(tiles, part.start, part.end, shown)

    for bucket in cut:
        unit = _unit(rollup, tenant, bucket, grain, now)
        for window in windows(bucket.start, bucket.end, unit, tenant.tz):
            place(window, unit, bucket, utc_naive(bucket.start))
    return tiles


def _unit(rollup: Rollup, tenant: Tenant, bucket: Window, grain: Grain, now: datetime) -> Grain:
    """Say in windows of which grain a bucket is read: days, or hours when hours are asked, or what is still kept of old."""
    if grain is Grain.HOUR:
        return Grain.HOUR
    if grain in (Grain.WEEK, Grain.MONTH) and grain in rollup.keep:
        days_from = kept_from(tenant, tenant.retention.days(Grain.DAY), now)
        if bucket.start < days_from:
            return grain
    return Grain.DAY


def _touched(window: Window, dirty: set[int]) -> bool:
    return any(slot in dirty for slot in range(slot_of(window.start), slot_of(window.end)))


def _fold_raw(tiles: Tiles, start: datetime, end: datetime, bucket: datetime) -> None:
    first, last = slot_of(start), slot_of(end - timedelta(microseconds=1))
    tiles.slots.extend((slot, bucket) for slot in range(first, last + 1))
    tiles.live.add(bucket)
    low, high = utc_naive(start), utc_naive(end)
    tiles.low = low if tiles.low is None else min(tiles.low, low)
    tiles.high = high if tiles.high is None else max(tiles.high, high)


def scope(fact: Fact, tiles: Tiles) -> str:
    """Return the subquery of one tenant's events that the raw part of an answer needs."""
    if tiles.low is None or tiles.high is None:
        return fold.scope(fact, "FALSE")
    low, high = f"TIMESTAMP '{tiles.low}'", f"TIMESTAMP '{tiles.high}'"
    mine = "tenant = $tenant"
    if fact.bounded:
        back, ahead = int(fact.look_back.total_seconds()), int(fact.look_ahead.total_seconds())
        return fold.scope(
            fact, f'{mine} AND "time" >= {low} - INTERVAL {back} SECOND AND "time" < {high} + INTERVAL {ahead} SECOND'
        )
    key = (fact.key or "").replace("{e}.", "")
    within = f'{mine} AND "time" >= {low} AND "time" < {high}'
    active = f"SELECT {key} FROM events WHERE {within} AND {fold.types_in(fact.anchors)} AND {key} IS NOT NULL"
    return fold.scope(fact, f"{mine} AND ({key} IN ({active}) OR ({key} IS NULL AND {within}))")


class Facts:
    """The fact rows of the raw part of an answer, folded once however many rollups and measures are read from them."""

    def __init__(self, store: Store, tenant: Tenant) -> None:
        self._store = store
        self._tenant = tenant
        self._found: dict[tuple[str, datetime | None, datetime | None], pa.Table] = {}

    def rows(self, fact: Fact, tiles: Tiles) -> pa.Table:
        """Return a fact's rows for the raw part of tiles."""
        key = (fact.name, tiles.low, tiles.high)
        if key not in self._found:
            sql = fold.fact_rows(fact, scope(fact, tiles))
            self._found[key] = self._store.query_table(sql, {"tenant": self._tenant.no})
        return self._found[key]


def relation(rollup: Rollup, tiles: Tiles, facts: Facts, measure: str | None = None) -> tuple[str, dict[str, Any]]:
    """Return SQL (and its parameters, beside `$tenant`) of the rows of a rollup, stored and raw alike, unmerged.

    Its columns are those of the rollup's table, or of the histogram of `measure`, with `window_start` the bucket.
    """
    parts: list[str] = []
    params: dict[str, Any] = {}
    for grain, pairs in tiles.stored.items():
        table = rollup.table(grain) if measure is None else rollup.histogram_table(measure, grain)
        values = [c.name for c in rollup.columns()] if measure is None else ["bucket", "n"]
        columns = "".join(f", s.{c}" for c in (*rollup.dimensions, *values))
        name = f"{grain.value}_windows"
        params[name] = pairs_table("window_start", pa.timestamp("us"), pairs)
        low, high = min(s for s, _ in pairs), max(s for s, _ in pairs)
        parts.append(
            f"SELECT s.tenant, w.bucket AS window_start{columns} FROM {table} AS s JOIN "
            f"{name} AS w "
            f"ON w.window_start = s.window_start WHERE s.tenant = $tenant "
            f"AND s.window_start >= TIMESTAMP '{low}' AND s.window_start <= TIMESTAMP '{high}'"
        )
    if tiles.raw or not parts:
        params["slots"] = slots_table(tiles)
        edge = (
            f"f.{rollup.anchor} >= TIMESTAMP '{tiles.low}' AND f.{rollup.anchor} < TIMESTAMP '{tiles.high}'"
            if tiles.raw else "FALSE"
        )  # fmt: skip
        source = f"({fold.fact_rows(rollup.source, scope(rollup.source, tiles))})"
        if tiles.raw and not rollup.source.plain:
            source = "fact_rows"
            params[source] = facts.rows(rollup.source, tiles)
        select = (
            fold.fold(rollup, source, where=edge) if measure is None
            else fold.fold_histogram(rollup, measure, source, where=edge)
        )  # fmt: skip
        parts.append(f"SELECT * FROM (WITH {CALENDAR} {select})")
    return " UNION ALL ".join(parts), params


def pairs_table(name: str, kind: pa.DataType, pairs: list[tuple[Any, datetime]]) -> pa.Table:
    """Return (value, bucket) pairs as a relation with the columns `name` and `bucket`."""
    return pa.table(
        {name: pa.array([p[0] for p in pairs], kind), "bucket": pa.array([p[1] for p in pairs], pa.timestamp("us"))}
    )


def slots_table(tiles: Tiles) -> pa.Table:
    """Return the relation `slots` of the raw part."""
    return pairs_table("slot", pa.int64(), tiles.slots)


def settled_to(tenant: Tenant, now: datetime) -> datetime:
    """Return the start of the open hour: every window that ends by then is over."""
    return window_of(now, Grain.HOUR, tenant.tz).start.astimezone(UTC)
