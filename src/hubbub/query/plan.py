"""Plan an answer: tile the asked range with windows, and say which are read from rollups and which from raw events.

A window is read from its rollup when it lies whole in the range, is still kept, and no event came after the fold that
could change it. Everything else (open, dirty, never folded, partly asked) is folded from raw events while answering, by
the same declarations. Windows whose raw events are gone are always read as stored.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from hubbub.metrics import fold
from hubbub.metrics.definition import Fact, Rollup
from hubbub.model.tenant import Tenant, kept_from
from hubbub.model.window import EPOCH, Grain, Window, slot_of, window_of, windows
from hubbub.store.base import Store, utc_naive
from hubbub.store.hours import hours_from

MAX_WINDOWS = 20_000
OWN = utc_naive(EPOCH)
"""Stands for a bucket that is the row's own window."""

FEW = 100
"""Up to so many stretches of time are written into a statement; more of them are joined as a relation."""


@dataclass(frozen=True)
class Piece:
    """A stretch of time `[start, end)` that is shown under `bucket`; UTC without zone.

    What is `frozen` may hold windows of a zone that the tenant had before, which begin at other moments than its buckets.
    """

    start: datetime
    end: datetime
    bucket: datetime
    frozen: bool = False


@dataclass
class Tiles:
    """What to read for one rollup: whole windows as `stored`, by grain, and stretches to fold from `raw` events.

    `live` and `gone` name the buckets that hold something raw, or that lack windows whose events are gone.
    """

    stored: dict[Grain, list[Piece]] = field(default_factory=dict)
    raw: list[Piece] = field(default_factory=list)
    live: set[datetime] = field(default_factory=set)
    gone: list[datetime] = field(default_factory=list)

    @property
    def low(self) -> datetime:
        """Start of the first raw stretch."""
        return min(piece.start for piece in self.raw)

    @property
    def high(self) -> datetime:
        """End of the last raw stretch."""
        return max(piece.end for piece in self.raw)

    def add_raw(self, start: datetime, end: datetime, bucket: datetime) -> None:
        """Fold an aware stretch from raw events."""
        self.raw.append(Piece(utc_naive(start), utc_naive(end), bucket))


@dataclass(frozen=True)
class Cut:
    """SQL that puts rows into buckets by a time column: a join (or nothing), the bucket, and which rows are in any."""

    join: str
    bucket: str
    where: str


def cut_by(column: str, pieces: list[Piece], name: str, params: dict[str, Any], *, windows: bool = False) -> Cut:
    """Return the cut of a column into pieces that do not overlap; many of them go as relation `name` into `params`.

    `windows`: the column holds the starts of the pieces, not moments within them.
    """
    runs = _runs(pieces, windows)
    within = f"{column} >= TIMESTAMP '{runs[0].start}' AND {column} < TIMESTAMP '{runs[-1].end}'"
    if len(runs) > FEW:
        stamp = pa.timestamp("us")
        cuts = {key: pa.array([getattr(run, key) for run in runs], stamp) for key in ("start", "end", "bucket")}
        params[name] = pa.table({**cuts, "same": pa.array([0] * len(runs), pa.int64())})
        bucket = f"CASE WHEN c.bucket = TIMESTAMP '{OWN}' THEN {column} ELSE c.bucket END"
        same = f"{column.split('.')[0]}.tenant * 0 = c.same"  # ClickHouse wants an equality beside the comparison
        return Cut(
            f" ASOF JOIN {name} AS c ON {same} AND {column} >= c.start", bucket, f'{within} AND {column} < c."end"'
        )
    cases, end = "", runs[0].start
    for run in runs:
        cases += f" WHEN {column} < TIMESTAMP '{run.start}' THEN NULL" if run.start > end else ""
        cases += f" WHEN {column} < TIMESTAMP '{run.end}' THEN {_shown(run, column)}"
        end = run.end
    bucket = f"CASE{cases} END" if len(runs) > 1 else _shown(runs[0], column)
    return Cut("", bucket, f"{within} AND {bucket} IS NOT NULL" if " NULL" in cases else within)


def _runs(pieces: list[Piece], windows: bool) -> list[Piece]:
    """Join neighbours that are shown alike: under one bucket, or each under its own start (bucket `OWN`)."""
    runs: list[Piece] = []
    for piece in sorted(pieces, key=lambda p: p.start):
        bucket = OWN if windows and piece.bucket == piece.start and not piece.frozen else piece.bucket
        last = runs[-1] if runs else None
        if last is not None and last.end == piece.start and last.bucket == bucket:
            runs[-1] = Piece(last.start, piece.end, bucket)
        else:
            runs.append(Piece(piece.start, piece.end, bucket))
    return runs


def _shown(run: Piece, column: str) -> str:
    return column if run.bucket == OWN else f"TIMESTAMP '{run.bucket}'"


class Dirt:
    """Which slots of a tenant changed after the fold of a fact; asked of the store once per fact and answer."""

    def __init__(self, store: Store, tenant: Tenant, now: datetime) -> None:
        self._store = store
        self._tenant = tenant
        self._now = now
        self._found: dict[str, list[int] | None] = {}
        self._changes: dict[int, list[tuple[str, int]]] = {}
        frozen, zone, marks, ahead, folded, since = store.query(
            "SELECT (SELECT max(until) FROM frozen WHERE tenant = $t), (SELECT max(zone) FROM tenants WHERE tenant = $t), "
            "(SELECT list((fact, seq)) FROM (SELECT fact, arg_max(seq, tenant) AS seq FROM marks WHERE tenant IN (0, $t) "
            'GROUP BY fact)), (SELECT max("time") FROM events WHERE tenant = $t AND "time" >= $now), '
            "(SELECT max(calendar) FROM hours WHERE tenant = $t), (SELECT max(since) FROM hours WHERE tenant = $t)",
            {"t": tenant.no, "now": utc_naive(now)},
        ).rows[0]
        self.frozen_until: datetime | None = frozen
        self._moved = zone not in (None, tenant.zone)
        self._marks: dict[str, int] = dict(marks or ())
        self.hours_from = hours_from(None if folded is None else (folded, since), tenant)
        """From where on windows of rollups in business hours are not folded by the tenant's present calendar; None: all are."""
        self._newest = ahead.replace(tzinfo=UTC) if ahead is not None else None

    def mark(self, fact: Fact) -> int:
        """Return the sequence number up to which this tenant's windows of a fact are folded; 0 when never."""
        return self._marks.get(fact.name, 0)

    def ends(self, moment: datetime) -> bool:
        """Whether the tenant is known to have no event at `moment` or later: only asked of the present, and so known of it."""
        return moment >= self._now and (self._newest is None or self._newest < moment)

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
        own = {slot for type_, slot in self._changed(mark) if not fact.reads or type_ in fact.reads}
        if own:
            for link in fact.links:
                reached = fold.reached_slots(fact, link, "changes", "e.tenant = $tenant")
                rows = self._store.query(f"{_CHANGES} SELECT slot FROM ({reached})", self._since(mark)).rows
                own.update(slot for (slot,) in rows)
        return sorted(own)

    def _changed(self, mark: int) -> list[tuple[str, int]]:
        """Return types and slots of the events after a mark; facts mostly share one."""
        if mark not in self._changes:
            sql = f"{_CHANGES} SELECT DISTINCT type, {fold.slot(fold.TIME)} FROM changes"
            self._changes[mark] = [(row[0], row[1]) for row in self._store.query(sql, self._since(mark)).rows]
        return self._changes[mark]

    def _since(self, mark: int) -> dict[str, Any]:
        return {"tenant": self._tenant.no, "mark": mark}


_MINE = "tenant = $tenant AND seq > $mark"
_CHANGES = f"WITH changes AS (SELECT * FROM events WHERE {_MINE} UNION ALL SELECT * FROM superseded WHERE {_MINE})"


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
    unlike = dirt.hours_from if rollup.in_hours else None
    kept = {g: kept_from(tenant, tenant.retention.days(g), now) for g in rollup.keep}

    def place(window: Window, unit: Grain, bucket: Window, shown: datetime) -> None:
        whole = window.start >= bucket.start and window.end <= bucket.end
        stored = whole and unit in kept and window.start >= kept[unit]
        start, end, until = utc_naive(window.start), utc_naive(window.end), dirt.frozen_until or OWN
        frozen = end <= until
        if (
            start < until < end
        ):  # days of the zone before end inside: what was kept of them, and the rest from raw events
            if stored:
                tiles.stored.setdefault(unit, []).append(Piece(start, until, shown, frozen=True))
            else:
                tiles.gone.append(shown)
            after = Window(max(until.replace(tzinfo=UTC), window.start, bucket.start), min(window.end, bucket.end))
            if after.start < after.end:
                tiles.add_raw(after.start, after.end, shown)
                tiles.live.add(shown)
            return
        due = everything or _touched(window, dirty_set) or (unlike is not None and end > unlike)
        if stored and (frozen or not due):
            tiles.stored.setdefault(unit, []).append(Piece(start, end, shown, frozen))
            return
        part = Window(max(window.start, bucket.start), min(window.end, bucket.end))
        if unit is Grain.DAY and not everything and Grain.HOUR in kept and window.start >= kept[Grain.HOUR]:
            for hour in windows(part.start, part.end, Grain.HOUR, tenant.tz):
                place(hour, Grain.HOUR, bucket, shown)
        elif frozen:
            tiles.gone.append(shown)
        else:
            tiles.add_raw(part.start, part.end, shown)
            tiles.live.add(shown)

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


def settled_to(tenant: Tenant, now: datetime) -> datetime:
    """Return the start of the open hour: every window that ends by then is over."""
    return window_of(now, Grain.HOUR, tenant.tz).start.astimezone(UTC)
