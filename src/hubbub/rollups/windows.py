"""Fold the windows of one fact that are due, in one transaction: name them, fold them from raw events, replace them.

Temporary tables carry what is due from step to step: `zones`, `touched`, `calendar_<grain>`, `due_<grain>`, `fact_rows`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import pyarrow as pa

from hubbub.metrics import fold
from hubbub.metrics.catalogue import ROLLUPS
from hubbub.metrics.definition import Fact, Rollup
from hubbub.model.tenant import Tenant, kept_from
from hubbub.model.window import (
    EPOCH,
    FINER,
    SLOT_SECONDS,
    STORED_GRAINS,
    Grain,
    slot_of,
    slot_ranges,
    window_of,
    windows,
)
from hubbub.store.base import Work, utc_naive
from hubbub.store.hours import make_rows

Step = Callable[[str], None]
SLOT = timedelta(seconds=SLOT_SECONDS)
_DAY = 86_400 // SLOT_SECONDS
_MONTH = 30 * _DAY
ROOM = {Grain.HOUR: 4, Grain.DAY: 2 * _DAY, Grain.WEEK: 8 * _DAY, Grain.MONTH: 32 * _DAY}
"""Slots that a calendar reaches beyond the touched ones, so that every touched window is whole in it."""


LONGEST_DAY = timedelta(hours=26)
NEVER = utc_naive(EPOCH)


@dataclass(frozen=True)
class Span:
    """Explicit windows to fold instead of those that events made due: everything touching `[start, end)`, aware."""

    start: datetime
    end: datetime


class WindowFold:
    """One fact folded for some tenants in one transaction. Temporary tables carry what is due from step to step."""

    def __init__(
        self,
        work: Work,
        fact: Fact,
        tenants: Sequence[Tenant],
        now: datetime,
        step: Step,
        rollups: Sequence[Rollup] | None,
    ) -> None:
        self.work = work
        self.fact = fact
        keeping = any(t.calendar for t in tenants)
        self.rollups = list(rollups or [r for r in ROLLUPS if r.source is fact and (keeping or not r.in_hours)])
        self.tenants = tenants
        self.zones = sorted({t.zone for t in tenants})
        self.now = now
        self.step = step
        self.grains = [g for g in STORED_GRAINS if any(g in r.keep for r in self.rollups)]
        self.everything = False
        self.changed: set[int] = set()
        """Numbers of the tenants whose windows were folded anew, perhaps to what they were."""

    def run(self, since: int | None, span: Span | None) -> dict[str, int]:
        """Fold what changed after `since` (0: everything; None: the windows of `span`); returns windows per table."""
        source = self.prepare(since, span)
        if source is None:
            return {}
        counts: dict[str, int] = {}
        for grain, rollup, due in self.each():
            self._replace(rollup, grain, source)
            counts[rollup.table(grain)] = due
            self.step(f"{rollup.table(grain)}: replaced")
        self.changed = {no for (no,) in self.work.execute("SELECT DISTINCT tenant FROM touched").rows}
        return counts

    def each(self) -> Iterator[tuple[Grain, Rollup, int]]:
        """Yield every rollup and grain with due windows, and how many: the finest grain first, since others merge from it."""
        for grain in self.grains:
            due = self.work.execute(f"SELECT count(*) FROM due_{grain.value}").rows[0][0]
            if due and grain in FINER:
                self._coarse(grain)
            for rollup in self.rollups if due else ():
                if grain in rollup.keep:
                    yield grain, rollup, due

    def prepare(self, since: int | None, span: Span | None, *, filled: bool = False) -> str | None:
        """Make the tables of what is due; returns the relation of fact rows, or None when nothing is.

        `filled` leaves out the windows of a span in which nothing happened and nothing is stored.
        """
        self.everything = since == 0
        self._small_tables()
        if not (self._touch_filled(span) if span is not None and filled else self._touch(since, span)):
            return None
        self._calendars(span)
        self._due(None if filled else span)
        self.step(f"{self.fact.name}: due")
        source = self._source()
        self.step(f"{self.fact.name}: facts")
        return source

    def _small_tables(self) -> None:
        frozen = self.work.execute("SELECT tenant, max(until) FROM frozen GROUP BY tenant ORDER BY tenant").rows
        self.work.table("zones", _zones(tuple(self.tenants), tuple(frozen), self.now))

    def _touch(self, since: int | None, span: Span | None) -> int:
        """Make `touched` (tenant, slot): every quarter hour whose window may have changed."""
        fact = self.fact
        if span is not None:
            ends = pa.table({"slot": pa.array([slot_of(span.start), slot_of(span.end - SLOT)], pa.int64())})
            self.work.table("span_ends", ends)
            return self.work.make("touched", "SELECT z.tenant, s.slot FROM zones AS z CROSS JOIN span_ends AS s")
        if not since:  # the first and the last slot of each tenant are enough: all between them is folded
            return self.work.make(
                "touched",
                "SELECT tenant, unnest([first, last]) AS slot FROM ("
                f"SELECT tenant, {fold.slot('min(time)')} AS first, {fold.slot('max(time)')} AS last FROM events "
                f"SEMI JOIN zones USING (tenant) WHERE {fold.types_in(fact.anchors or fact.reads)} GROUP BY tenant)",
            )
        columns = 'tenant, type, "time", source, id, conversation_id, message_id, contact_id, survey_id'
        changed = self.work.make(
            "changes",
            f"SELECT {columns} FROM events SEMI JOIN zones USING (tenant) WHERE seq > $since AND {fold.types_in(fact.reads)} "
            f"UNION ALL SELECT {columns} FROM superseded SEMI JOIN zones USING (tenant) "
            f"WHERE seq > $since AND {fold.types_in(fact.reads)}",
            {"since": since},
        )
        if not changed:
            return 0
        parts = [fold.own_slots(fact, "changes"), *(fold.reached_slots(fact, link, "changes") for link in fact.links)]
        return self.work.make("touched", " UNION ".join(f"(SELECT * FROM ({p}))" for p in parts))

    def _touch_filled(self, span: Span) -> int:
        """Make `touched` of the windows in a span that have events or stored rows: all others are empty either way."""
        low, high = utc_naive(span.start), utc_naive(span.end)
        tables = [
            (t, low - ROOM[grain] * SLOT) for r in self.rollups for grain in r.keep for t, _ in fold.schema(r, grain)
        ]
        parts = [
            f"SELECT tenant, {fold.slot(fold.TIME)} AS slot FROM events SEMI JOIN zones USING (tenant) "
            f"WHERE {fold.types_in(self.fact.anchors or self.fact.reads)} "
            f"AND {fold.TIME} >= TIMESTAMP '{low}' AND {fold.TIME} < TIMESTAMP '{high}'",
            *(
                f"SELECT tenant, {fold.slot('window_start')} FROM {table} SEMI JOIN zones USING (tenant) "
                f"WHERE window_start > TIMESTAMP '{first}' AND window_start < TIMESTAMP '{high}'"
                for table, first in tables
            ),
        ]
        return self.work.make("touched", " UNION ".join(parts))

    def _calendars(self, span: Span | None) -> None:
        """Make `calendar_<grain>` (zone, slot, window_start) for each zone over the slots that are touched."""
        ranges = self.work.execute(
            "SELECT z.zone, min(t.slot), max(t.slot) FROM touched AS t JOIN zones AS z USING (tenant) GROUP BY z.zone"
        ).rows
        # a touched slot means its whole window: leave room for the longest one on both sides
        for grain in self.grains:
            room = ROOM[grain]
            rows: list[tuple[int, int, int, datetime]] = []
            for zone, low, high in ranges:
                first, last = (low - room) // _MONTH * _MONTH, ((high + room) // _MONTH + 1) * _MONTH
                rows += [(zone, *cut) for cut in slot_ranges(self.zones[zone], grain, first, last)]
            kinds = (pa.int32(), pa.int64(), pa.int64(), pa.timestamp("us"))
            columns = [pa.array(column, kind) for column, kind in zip(zip(*rows, strict=True), kinds, strict=True)]
            self.work.table("cuts", pa.table(columns, names=["zone", "low", "high", "window_start"]))
            self.work.make(
                f"calendar_{grain.value}", "SELECT zone, unnest(range(low, high)) AS slot, window_start FROM cuts"
            )

    def _due(self, span: Span | None) -> None:
        for grain in self.grains:
            name = grain.value
            if span is not None:  # every window that touches the span, whether or not anything happened in it
                first, last = slot_of(span.start), slot_of(span.end - SLOT)
                self.work.make(
                    f"due_{name}",
                    f"SELECT DISTINCT z.tenant, c.window_start FROM zones AS z JOIN calendar_{name} AS c ON c.zone = z.zone "
                    f"WHERE c.slot BETWEEN {first} AND {last} AND c.window_start >= z.{name}_from",
                )
                continue
            if self.everything:
                self.work.make(
                    f"due_{name}",
                    "WITH w AS (SELECT zone, window_start, min(slot) AS low, max(slot) AS high "
                    f"FROM calendar_{name} GROUP BY zone, window_start), t AS (SELECT tenant, min(slot) AS first, "
                    "max(slot) AS last FROM touched GROUP BY tenant) "
                    "SELECT z.tenant, w.window_start FROM t JOIN zones AS z USING (tenant) JOIN w ON w.zone = z.zone "
                    f"AND w.high >= t.first AND w.low <= t.last WHERE w.window_start >= z.{name}_from",
                )
                continue
            # Weeks and months merge from days, so they are due where a day is. Materialized, or the optimizer would join all
            # tenants of a zone with all of its calendar first.
            origin, slot = ("due_day", fold.slot("t.window_start")) if grain in FINER else ("touched", "t.slot")
            self.work.make(
                f"due_{name}",
                f"WITH t AS MATERIALIZED (SELECT DISTINCT t.tenant, z.zone, z.{name}_from AS low, {slot} AS slot "
                f"FROM {origin} AS t JOIN zones AS z USING (tenant)) SELECT DISTINCT t.tenant, c.window_start FROM t "
                f"JOIN calendar_{name} AS c ON c.zone = t.zone AND c.slot = t.slot WHERE c.window_start >= t.low",
            )

    def _source(self) -> str:
        """Return the relation of fact rows; facts that look beyond one event are computed once, into a table."""
        fact = self.fact
        finest = [g.value for g in self.grains if g not in FINER]
        mine = "tenant IN (SELECT tenant FROM zones)"
        if self.everything:
            scope = fold.scope(fact, mine)
        else:
            both = " UNION ALL ".join(f"SELECT window_start FROM due_{g}" for g in finest)
            low, high = self.work.execute(f"SELECT min(window_start), max(window_start) FROM ({both})").rows[0]
            low, high = (low, high) if low is not None else (NEVER, NEVER)
            start, end = f"TIMESTAMP '{low}'", f"TIMESTAMP '{high + LONGEST_DAY}'"
            mine = " OR ".join(f"tenant IN (SELECT tenant FROM due_{g})" for g in finest)
            if fact.bounded:
                back, ahead = int(fact.look_back.total_seconds()), int(fact.look_ahead.total_seconds())
                scope = fold.scope(
                    fact,
                    f'({mine}) AND "time" >= {start} - INTERVAL {back} SECOND '
                    f'AND "time" < {end} + INTERVAL {ahead} SECOND',
                )
            else:
                key = (fact.key or "").replace("{e}.", "")
                self.work.make(
                    "active_keys",
                    " UNION ".join(
                        f"SELECT DISTINCT e.tenant, {(fact.key or '').replace('{e}', 'e')} AS key FROM events AS e "
                        f"JOIN zones AS z ON z.tenant = e.tenant "
                        f"JOIN calendar_{g} AS c ON c.zone = z.zone AND c.slot = {fold.slot('e.' + fold.TIME)} "
                        f"JOIN due_{g} AS d ON d.tenant = e.tenant AND d.window_start = c.window_start "
                        f'WHERE {fold.types_in(fact.anchors, "e.type")} AND e."time" >= {start} AND e."time" < {end}'
                        for g in finest
                    ),
                )
                scope = fold.scope(
                    fact,
                    f"((tenant, {key}) IN (SELECT (tenant, key) FROM active_keys WHERE key IS NOT NULL) "
                    f'OR ({key} IS NULL AND ({mine}) AND "time" >= {start} AND "time" < {end}))',
                )
        rows = fold.fact_rows(fact, scope)
        if fact.plain:
            return f"({rows})"
        make_rows(self.work, "fact_rows", fact, rows, self.tenants)
        return "fact_rows"

    def _replace(self, rollup: Rollup, grain: Grain, source: str) -> None:
        due = f"due_{grain.value}"
        for table, _ in fold.schema(rollup, grain):
            self.work.execute(
                f"DELETE FROM {table} AS t USING {due} AS d WHERE d.tenant = t.tenant AND d.window_start = t.window_start"
            )
        for (table, columns), select in zip(
            fold.schema(rollup, grain), self._selects(rollup, grain, source), strict=True
        ):
            self.work.execute(f"INSERT INTO {table} ({fold.quoted([c for c, _ in columns])}) {select} ORDER BY 1, 2")

    def differences(self, rollup: Rollup, grain: Grain, source: str) -> dict[str, int]:
        """Compare the due windows as stored with what a fold gives now; returns rows that differ, per table."""
        found: dict[str, int] = {}
        for (table, columns), select in zip(
            fold.schema(rollup, grain), self._selects(rollup, grain, source), strict=True
        ):
            names = fold.quoted([c for c, _ in columns])
            kept = f"SELECT {names} FROM {table} SEMI JOIN due_{grain.value} USING (tenant, window_start)"
            found[table] = self.work.execute(
                f"SELECT coalesce(sum(abs(surplus)), 0) FROM (SELECT {names}, sum(side) AS surplus FROM ("
                f"SELECT *, 1 AS side FROM ({select}) AS s({names}) UNION ALL SELECT *, -1 AS side FROM ({kept}) AS k"
                f") AS pair GROUP BY {names}) AS differing"
            ).rows[0][0]
        return found

    def _selects(self, rollup: Rollup, grain: Grain, source: str) -> list[str]:
        """Return the SELECT of the due windows of each table of a rollup's grain, in the order of its schema."""
        due = f"due_{grain.value}"
        if grain in FINER:
            selects = [fold.coarser(rollup, FINER[grain])]
            selects += [fold.coarser_histogram(rollup, m, FINER[grain]) for m, _ in rollup.distributions()]
        else:
            only, kept = (None, f"c.window_start >= z.{grain.value}_from") if self.everything else (due, "TRUE")
            selects = [fold.fold(rollup, source, only, kept)]
            selects += [fold.fold_histogram(rollup, m, source, only, kept) for m, _ in rollup.distributions()]
            selects = [s.replace("JOIN calendar AS", f"JOIN calendar_{grain.value} AS") for s in selects]
        return selects

    def _coarse(self, grain: Grain) -> None:
        """Make `coarse` (tenant, finer_start, window_start): all days of every due week or month."""
        rows = self.work.execute(
            f"SELECT DISTINCT z.zone, d.window_start FROM due_{grain.value} AS d JOIN zones AS z USING (tenant)"
        ).rows
        days = [(zone, day, start) for zone, start in rows for day in _days_of(self.zones[zone], grain, start)]
        kinds = (pa.int32(), pa.timestamp("us"), pa.timestamp("us"))
        columns = [pa.array([row[i] for row in days], kind) for i, kind in enumerate(kinds)]
        self.work.table("days", pa.table(columns, names=["zone", "finer_start", "window_start"]))
        self.work.make(
            "coarse",
            f"SELECT d.tenant, c.finer_start, c.window_start FROM due_{grain.value} AS d JOIN zones AS z USING (tenant) "
            "JOIN days AS c ON c.zone = z.zone AND c.window_start = d.window_start",
        )


@lru_cache(maxsize=4)
def _zones(tenants: tuple[Tenant, ...], frozen: tuple[tuple[int, datetime], ...], now: datetime) -> pa.Table:
    """Return the relation `zones`: each tenant's zone by its number, and from where on windows of each grain may be folded."""
    number = {zone: i for i, zone in enumerate(sorted({t.zone for t in tenants}))}
    until = dict(frozen)
    limits: dict[tuple[object, ...], list[datetime]] = {}
    rows: list[list[object]] = []
    for tenant in tenants:
        alike = (tenant.zone, tenant.retention, until.get(tenant.no))
        if alike not in limits:
            limits[alike] = [_limit(tenant, grain, until.get(tenant.no), now) for grain in STORED_GRAINS]
        rows.append([tenant.no, number[tenant.zone], *limits[alike]])
    schema = [("tenant", pa.int32()), ("zone", pa.int32())]
    schema += [(f"{grain.value}_from", pa.timestamp("us")) for grain in STORED_GRAINS]
    columns = [pa.array([row[i] for row in rows], kind) for i, (_, kind) in enumerate(schema)]
    return pa.table(columns, schema=pa.schema(schema))


def _limit(tenant: Tenant, grain: Grain, frozen: datetime | None, now: datetime) -> datetime:
    """From where on windows of a grain may be folded: still kept, their source still there, not frozen."""
    start = kept_from(tenant, tenant.retention.days(grain), now)
    if grain in FINER:  # merged from days: those must all be there
        return utc_naive(max(start, kept_from(tenant, tenant.retention.days(FINER[grain]), now)))
    return max(utc_naive(start), frozen) if frozen is not None else utc_naive(start)


@lru_cache(maxsize=4096)
def _days_of(zone: str, grain: Grain, start: datetime) -> list[datetime]:
    """Return the starts of all days of a zone's week or month that begins at `start`; UTC without zone."""
    tz = ZoneInfo(zone)
    whole = window_of(start.replace(tzinfo=UTC), grain, tz)
    return [utc_naive(day.start) for day in windows(whole.start, whole.end, FINER[grain], tz)]
