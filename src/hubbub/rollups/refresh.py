"""Bring rollups up to date: find what is due from the data, fold it from raw events, replace whole windows.

Per fact there is a mark: the sequence number up to which its windows are folded. A refresh looks at the events after the
mark, names every window they can change, folds those windows anew and moves the mark, all in one transaction, for all
tenants at once. When that fails the tenants are halved until the bad one stands alone; it keeps its old mark and error,
and is tried again by the next refresh.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol
from zoneinfo import ZoneInfo

import pyarrow as pa

from hubbub.clock import Clock
from hubbub.metrics import fold
from hubbub.metrics.catalogue import FACTS, ROLLUPS
from hubbub.metrics.definition import Fact, Rollup
from hubbub.model.tenant import Tenant, kept_from
from hubbub.model.window import EPOCH, FINER, SLOT_SECONDS, STORED_GRAINS, Grain, slot_of, slot_starts, window_of, windows
from hubbub.store.base import Store, Work, utc_naive
from hubbub.telemetry import log

EVERYONE = 0
"""The tenant number under which a fact's general mark is kept."""

Step = Callable[[str], None]


class Scratch(Work, Protocol):
    """A transaction that can also make temporary tables from a SELECT."""

    def make(self, name: str, select: str, params: dict[str, object] | None = None) -> int:
        """Create a temporary table; returns its number of rows."""
        ...


@dataclass
class Report:
    """What a refresh did: windows folded per rollup and grain, and the tenants that failed, with their error."""

    windows: dict[str, int] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    up_to: int = 0

    def answer(self) -> dict[str, object]:
        """Return the public form."""
        return {
            "windows": sum(self.windows.values()),
            "rollups": dict(sorted(self.windows.items())),
            "errors": self.errors,
            "up_to": self.up_to,
        }


@dataclass(frozen=True)
class Span:
    """Explicit windows to fold instead of those that events made due: everything touching `[start, end)`, aware."""

    start: datetime
    end: datetime


class Refresher:
    """Folds due windows of a store. One refresh runs at a time; appends and queries go on meanwhile."""

    def __init__(self, store: Store, tenants: Callable[[], Iterable[Tenant]], clock: Clock) -> None:
        self._store = store
        self._tenants = tenants
        self._clock = clock
        self._lock = threading.Lock()

    def refresh(self, only: Sequence[Tenant] | None = None, *, step: Step = lambda _: None) -> Report:
        """Bring every due window of all tenants (or of `only`) up to date; `step` hears of each step by name."""
        with self._lock:
            self._follow_tenants()
            everyone = {t.no: t for t in self._tenants()}
            chosen = {t.no: t for t in only} if only is not None else everyone
            report = Report(up_to=self._store.last_seq())
            for fact in FACTS:
                marks = self.marks(fact)
                groups: dict[int, list[Tenant]] = {}
                for no, tenant in chosen.items():
                    groups.setdefault(marks.get(no, marks.get(EVERYONE, 0)), []).append(tenant)
                failed: set[int] = set()
                for since, group in sorted(groups.items()):
                    if since < report.up_to:
                        failed |= self._fold_group(fact, group, since, report, step)
                if only is None and not failed:
                    self._settle(fact, report.up_to)
                elif only is None:
                    self._settle(fact, report.up_to, keep=failed)
            return report

    def fold(self, tenants: Sequence[Tenant], span: Span, rollups: Sequence[Rollup] | None = None, *, step: Step) -> Report:
        """Fold all windows that touch a span anew, whether or not anything is due in them (backfill)."""
        with self._lock:
            self._follow_tenants()
            report = Report(up_to=self._store.last_seq())
            for fact in {r.source.name: r.source for r in rollups or ROLLUPS}.values():
                mine = [r for r in rollups or ROLLUPS if r.source is fact]
                self._fold_group(fact, list(tenants), None, report, step, span=span, rollups=mine)
            return report

    def marks(self, fact: Fact) -> dict[int, int]:
        """Return the marks of a fact: by tenant number, the general one under EVERYONE."""
        rows = self._store.query("SELECT tenant, seq FROM marks WHERE fact = $fact", {"fact": fact.name}).rows
        return dict(rows)

    def _follow_tenants(self) -> None:
        """Copy tenants' names and zones into the store; a tenant whose zone changed is folded anew in full."""
        known = {no: (name, zone) for no, name, zone in self._store.query("SELECT tenant, name, zone FROM tenants").rows}
        changed = [t for t in self._tenants() if known.get(t.no) != (t.id, t.zone)]
        if not changed:
            return
        with self._store.work() as work:
            for tenant in changed:
                no = {"tenant": tenant.no}
                work.execute("DELETE FROM tenants WHERE tenant = $tenant", no)
                work.execute(
                    "INSERT INTO tenants VALUES ($tenant, $name, $zone)", {**no, "name": tenant.id, "zone": tenant.zone}
                )
                if tenant.no not in known or known[tenant.no][1] == tenant.zone:
                    continue
                log.info("tenant zone changed", tenant=tenant.id, zone=tenant.zone)
                for rollup in ROLLUPS:
                    for grain in rollup.keep:
                        for table, _ in fold.schema(rollup, grain):
                            work.execute(
                                f"DELETE FROM {table} WHERE tenant = $tenant AND window_start >= coalesce("
                                "(SELECT max(until) FROM frozen WHERE tenant = $tenant), TIMESTAMP '1970-01-01')", no,
                            )  # fmt: skip
                for fact in FACTS:
                    work.execute("DELETE FROM marks WHERE fact = $fact AND tenant = $tenant", {**no, "fact": fact.name})
                    work.execute("INSERT INTO marks VALUES ($fact, $tenant, 0, NULL, 0, NULL)", {**no, "fact": fact.name})

    def _settle(self, fact: Fact, up_to: int, keep: Iterable[int] = ()) -> None:
        """All tenants stand at `up_to` but those to `keep`: one general mark says so."""
        with self._store.work() as work:
            names = {"fact": fact.name}
            kept = ", ".join(str(no) for no in keep) or "-1"
            work.execute(f"DELETE FROM marks WHERE fact = $fact AND tenant NOT IN ({kept})", names)
            work.execute(f"INSERT INTO marks VALUES ($fact, {EVERYONE}, $seq, NULL, 0, NULL)", {**names, "seq": up_to})

    def _fold_group(
        self,
        fact: Fact,
        tenants: list[Tenant],
        since: int | None,
        report: Report,
        step: Step,
        *,
        span: Span | None = None,
        rollups: Sequence[Rollup] | None = None,
    ) -> set[int]:
        """Fold for these tenants together; on failure by halves, until who fails stands alone. Returns who failed."""
        try:
            with self._store.work() as work:
                counts = _Fold(work, fact, tenants, self._clock(), step, rollups).run(since, span)
                if since is not None:
                    _mark(work, fact, tenants, report.up_to)
                step(f"{fact.name}: before commit")
            step(f"{fact.name}: after commit")
        except Exception as error:
            if len(tenants) > 1:
                half = len(tenants) // 2
                return self._fold_group(
                    fact, tenants[:half], since, report, step, span=span, rollups=rollups
                ) | self._fold_group(fact, tenants[half:], since, report, step, span=span, rollups=rollups)
            tenant = tenants[0]
            message = str(error).splitlines()[0][:500] if str(error) else type(error).__name__
            log.error("fold failed", tenant=tenant.id, fact=fact.name, error=message)
            report.errors[tenant.id] = f"{fact.name}: {message}"
            if since is not None:
                with self._store.work() as work:
                    _mark(work, fact, tenants, since, message, utc_naive(self._clock()))
            return {tenant.no}
        for name, count in counts.items():
            report.windows[name] = report.windows.get(name, 0) + count
        return set()


def _mark(
    work: Work, fact: Fact, tenants: Sequence[Tenant], seq: int, error: str | None = None, tried_at: datetime | None = None
) -> None:
    numbers = pa.table({"tenant": pa.array([t.no for t in tenants], pa.int32())})
    work.table("marked", numbers)
    tries = work.execute(
        "SELECT coalesce(max(attempts), 0) FROM marks WHERE fact = $fact AND tenant IN (SELECT tenant FROM marked)",
        {"fact": fact.name},
    ).rows[0][0]
    work.execute("DELETE FROM marks WHERE fact = $fact AND tenant IN (SELECT tenant FROM marked)", {"fact": fact.name})
    work.execute(
        "INSERT INTO marks SELECT $fact, tenant, $seq, $error, $attempts, $tried_at FROM marked",
        {"fact": fact.name, "seq": seq, "error": error, "attempts": tries + 1 if error else 0, "tried_at": tried_at},
    )


class _Fold:
    """One fact folded for some tenants in one transaction. Temporary tables carry what is due from step to step."""

    def __init__(
        self, work: Work, fact: Fact, tenants: Sequence[Tenant], now: datetime, step: Step, rollups: Sequence[Rollup] | None
    ) -> None:
        self.work: Scratch = work  # type: ignore[assignment]
        self.fact = fact
        self.rollups = list(rollups or [r for r in ROLLUPS if r.source is fact])
        self.tenants = tenants
        self.zones = sorted({t.zone for t in tenants})
        self.now = now
        self.step = step
        self.grains = [g for g in STORED_GRAINS if any(g in r.keep for r in self.rollups)]

    def run(self, since: int | None, span: Span | None) -> dict[str, int]:
        """Fold what changed after `since` (0: everything; None: the windows of `span`); returns windows per table."""
        self._small_tables()
        if not self._touch(since, span):
            return {}
        self._calendars()
        self._due()
        self.step(f"{self.fact.name}: due")
        source = self._source(everything=since == 0)
        self.step(f"{self.fact.name}: facts")
        counts: dict[str, int] = {}
        for rollup in self.rollups:
            for grain in rollup.keep:
                self._replace(rollup, grain, source)
                counts[rollup.table(grain)] = self.work.execute(f"SELECT count(*) FROM due_{grain.value}").rows[0][0]
                self.step(f"{rollup.table(grain)}: replaced")
        return counts

    def _small_tables(self) -> None:
        number = {zone: i for i, zone in enumerate(self.zones)}
        frozen = dict(self.work.execute("SELECT tenant, max(until) FROM frozen GROUP BY tenant").rows)
        rows: dict[str, list[object]] = {"tenant": [t.no for t in self.tenants], "zone": [number[t.zone] for t in self.tenants]}
        schema = [("tenant", pa.int32()), ("zone", pa.int32())]
        for grain in STORED_GRAINS:
            rows[f"{grain.value}_from"] = [self._limit(t, grain, frozen.get(t.no)) for t in self.tenants]
            schema.append((f"{grain.value}_from", pa.timestamp("us")))
        self.work.table("zones", pa.table(rows, schema=pa.schema(schema)))

    def _limit(self, tenant: Tenant, grain: Grain, frozen: datetime | None) -> datetime:
        """From where on windows of a grain may be folded: still kept, their source still there, not frozen."""
        start = kept_from(tenant, tenant.retention.days(grain), self.now)
        if grain in FINER:  # merged from days: those must all be there
            start = max(start, kept_from(tenant, tenant.retention.days(FINER[grain]), self.now))
            return utc_naive(start)
        return max(utc_naive(start), frozen) if frozen is not None else utc_naive(start)

    def _touch(self, since: int | None, span: Span | None) -> int:
        """Make `touched` (tenant, slot): every quarter hour whose window may have changed."""
        fact = self.fact
        if span is not None:
            slots = list(range(slot_of(span.start), slot_of(span.end) + (1 if span.end > EPOCH else 0)))
            self.work.table("span_slots", pa.table({"slot": pa.array(slots, pa.int64())}))
            return self.work.make("touched", "SELECT z.tenant, s.slot FROM zones AS z CROSS JOIN span_slots AS s")
        if not since:
            return self.work.make(
                "touched",
                f"SELECT tenant, {fold.slot(fold.TIME)} AS slot FROM events SEMI JOIN zones USING (tenant) "
                f"WHERE {fold.types_in(fact.anchors or fact.reads)} GROUP BY ALL",
            )
        columns = "tenant, type, \"time\", source, id, conversation_id, message_id, contact_id, survey_id"
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

    def _calendars(self) -> None:
        """Make `calendar_<grain>` (zone, slot, window_start) for each zone over the slots that are touched."""
        ranges = self.work.execute(
            "SELECT z.zone, min(t.slot), max(t.slot) FROM touched AS t JOIN zones AS z USING (tenant) GROUP BY z.zone"
        ).rows
        # a touched slot means its whole window: leave room for the longest one on both sides
        day = 86_400 // SLOT_SECONDS
        for grain in self.grains:
            room = {Grain.HOUR: 4, Grain.DAY: 2 * day, Grain.WEEK: 8 * day, Grain.MONTH: 32 * day}[grain]
            zones: list[pa.Array] = []
            slots: list[pa.Array] = []
            starts: list[pa.Array] = []
            for zone, low, high in ranges:
                numbers, begins = slot_starts(self.zones[zone], grain, low - room, high + room)
                zones.append(pa.array([zone] * len(numbers), pa.int32()))
                slots.append(pa.array(numbers, pa.int64()))
                starts.append(pa.array(begins, pa.timestamp("us")))
            self.work.table(
                f"calendar_{grain.value}",
                pa.table(
                    {"zone": pa.chunked_array(zones), "slot": pa.chunked_array(slots), "window_start": pa.chunked_array(starts)}
                ),
            )

    def _due(self) -> None:
        for grain in self.grains:
            name = grain.value
            self.work.make(
                f"due_{name}",
                f"SELECT DISTINCT z.tenant, c.window_start FROM touched AS t JOIN zones AS z USING (tenant) "
                f"JOIN calendar_{name} AS c ON c.zone = z.zone AND c.slot = t.slot WHERE c.window_start >= z.{name}_from",
            )

    def _source(self, *, everything: bool) -> str:
        """Return the relation of fact rows; facts that look beyond one event are computed once, into a table."""
        fact = self.fact
        finest = [g.value for g in self.grains if g not in FINER]
        mine = "tenant IN (SELECT tenant FROM zones)"
        if everything:
            scope = fold.scope(fact, mine)
        else:
            bounds = " UNION ALL ".join(
                f"SELECT min(c.slot) AS low, max(c.slot) AS high FROM due_{g} AS d JOIN zones AS z USING (tenant) "
                f"JOIN calendar_{g} AS c ON c.zone = z.zone AND c.window_start = d.window_start"
                for g in finest
            )
            low, high = self.work.execute(f"SELECT min(low), max(high) FROM ({bounds})").rows[0]
            if low is None:
                low, high = 0, -1
            start, end = _stamp(low), _stamp(high + 1)
            mine = " OR ".join(f"tenant IN (SELECT tenant FROM due_{g})" for g in finest)
            if fact.bounded:
                back, ahead = int(fact.look_back.total_seconds()), int(fact.look_ahead.total_seconds())
                scope = fold.scope(
                    fact,
                    f"({mine}) AND \"time\" >= {start} - INTERVAL {back} SECOND "
                    f"AND \"time\" < {end} + INTERVAL {ahead} SECOND",
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
                        f"WHERE {fold.types_in(fact.anchors, 'e.type')} AND e.\"time\" >= {start} AND e.\"time\" < {end}"
                        for g in finest
                    ),
                )
                scope = fold.scope(
                    fact,
                    f"((tenant, {key}) IN (SELECT (tenant, key) FROM active_keys WHERE key IS NOT NULL) "
                    f"OR ({key} IS NULL AND ({mine}) AND \"time\" >= {start} AND \"time\" < {end}))",
                )
        rows = fold.fact_rows(fact, scope)
        if fact.plain:
            return f"({rows})"
        self.work.make("fact_rows", rows)
        return "fact_rows"

    def _replace(self, rollup: Rollup, grain: Grain, source: str) -> None:
        name = grain.value
        due = f"due_{name}"
        for table, _ in fold.schema(rollup, grain):
            self.work.execute(
                f"DELETE FROM {table} AS t USING {due} AS d WHERE d.tenant = t.tenant AND d.window_start = t.window_start"
            )
        if grain in FINER:
            self._coarse(grain)
            selects = [fold.coarser(rollup, FINER[grain], due)]
            selects += [fold.coarser_histogram(rollup, m, FINER[grain], due) for m, _ in rollup.distributions()]
        else:
            selects = [fold.fold(rollup, source, due)]
            selects += [fold.fold_histogram(rollup, m, source, due) for m, _ in rollup.distributions()]
            selects = [s.replace("JOIN calendar AS", f"JOIN calendar_{name} AS") for s in selects]
        for (table, columns), select in zip(fold.schema(rollup, grain), selects, strict=True):
            self.work.execute(f"INSERT INTO {table} ({fold.quoted([c for c, _ in columns])}) {select} ORDER BY 1, 2")

    def _coarse(self, grain: Grain) -> None:
        """Make `coarse` (zone, finer_start, window_start): all days of every due week or month."""
        rows = self.work.execute(f"SELECT DISTINCT z.zone, d.window_start FROM due_{grain.value} AS d JOIN zones AS z USING (tenant)").rows
        zones: list[int] = []
        days: list[datetime] = []
        starts: list[datetime] = []
        for zone, start in rows:
            tz = ZoneInfo(self.zones[zone])
            whole = window_of(start.replace(tzinfo=UTC), grain, tz)
            for day in windows(whole.start, whole.end, FINER[grain], tz):
                zones.append(zone)
                days.append(utc_naive(day.start))
                starts.append(start)
        self.work.table(
            "coarse",
            pa.table(
                {
                    "zone": pa.array(zones, pa.int32()),
                    "finer_start": pa.array(days, pa.timestamp("us")),
                    "window_start": pa.array(starts, pa.timestamp("us")),
                }
            ),
        )


def _stamp(slot: int) -> str:
    moment = datetime.fromtimestamp(slot * SLOT_SECONDS, UTC)
    return f"TIMESTAMP '{moment:%Y-%m-%d %H:%M:%S}'"
