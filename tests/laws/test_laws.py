"""The laws: what holds for every world of events, however they arrive and whenever they are folded.

Each example is several worlds at once, one tenant each, since a refresh costs the same for one tenant as for a hundred. They
are the same worlds every time; `HUBBUB_LAWS=search` looks for new ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from hubbub.metrics import fold
from hubbub.metrics.catalogue import BY_NAME, METRICS, ROLLUPS, STATISTICS, dimensions_of
from hubbub.metrics.definition import WITHIN, Count, Metric, Quantiles, Rollup, Stored, Sum
from hubbub.model.event import Event
from hubbub.model.tenant import Tenant
from hubbub.model.window import Grain, slot_of, slot_starts, windows
from hubbub.store.hours import make_rows
from tests.laws.conftest import TABLES, Lab
from tests.laws.oracle import Oracle, quantile
from tests.laws.strategies import World, deliveries, worlds

EXAMPLES = settings().max_examples
PERCENTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
EXACT_STATISTICS = tuple(s for s in STATISTICS if s not in PERCENTILES and s not in WITHIN)
GRAINS = (Grain.TOTAL, Grain.MONTH, Grain.WEEK, Grain.DAY, Grain.HOUR)


def examples(share: float) -> settings:
    """Take a share of the profile's examples, for laws that cost more."""
    return settings(max_examples=min(EXAMPLES, max(3, int(EXAMPLES * share))))


def asked_as(name: str, metric: Metric) -> list[str]:
    """Return the names under which a metric is asked for, percentiles left out."""
    return [f"{name}.{s}" for s in EXACT_STATISTICS] if isinstance(metric, Quantiles) else [name]


EVERYTHING = [full for name, (metric, _) in METRICS.items() for full in asked_as(name, metric)]
BY_ROLLUP = {
    rollup.name: [full for name, (m, r) in METRICS.items() if r is rollup for full in asked_as(name, m)]
    for rollup in ROLLUPS
}
subjects = st.lists(st.sampled_from(sorted(BY_ROLLUP)), min_size=5, max_size=7, unique=True)


def names_of(rollups: Sequence[str]) -> list[str]:
    """Return all names that can be asked of some rollups."""
    return [name for rollup in rollups for name in BY_ROLLUP[rollup]]


def same(one: object, other: object) -> bool:
    """Whether two numbers are the same, up to the last digits of a division."""
    if isinstance(one, int | float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
    return one == other


def differences(one: Any, other: Any) -> dict[Any, Any]:
    """Return what two answers disagree in, by window, dimensions and name."""
    return {
        (key, name): (one[key].get(name), other.get(key, {}).get(name))
        for key in one
        for name in one[key]
        if not same(one[key].get(name), other.get(key, {}).get(name))
    }


def split(events: Sequence[Event], draw: st.DataObject, parts: int) -> list[list[Event]]:
    """Split events into batches in a drawn order, some sent more than once."""
    batches = draw.draw(deliveries(list(events), most=parts))
    return [*batches, *([[]] * (parts - len(batches)))]


# --- ingestion and refresh


@examples(0.2)
@given(several=st.lists(worlds(), min_size=2, max_size=4), data=st.data())
def test_order_repetition_and_refreshes_do_not_matter(lab: Lab, several: list[World], data: st.DataObject) -> None:
    """Events shuffled, split, resent, and folded in between leave the same stored rows as one batch and one refresh."""
    _arrive_anyhow(lab, several, data)


@examples(0.2)
@given(several=st.lists(worlds(least=3, most=20, corrected=True), min_size=2, max_size=4), data=st.data())
def test_corrections_in_any_order_end_the_same(lab: Lab, several: list[World], data: st.DataObject) -> None:
    """Higher revisions at other times and in other conversations, in any order, leave the rows of their last state alone."""
    _arrive_anyhow(lab, several, data)


def _arrive_anyhow(lab: Lab, several: list[World], data: st.DataObject) -> None:
    lab.empty()
    plain = [lab.tenant(w.zone, w.calendar) for w in several]
    anyhow = [lab.tenant(w.zone, w.calendar) for w in several]
    rounds = [split(w.everything, data, 3) for w in several]
    for number in range(3):
        for tenant, batches in zip(anyhow, rounds, strict=True):
            lab.send(tenant, batches[number])
        if number < 2:
            lab.refresh(*anyhow)
    for tenant, world in zip(plain, several, strict=True):
        final = Oracle(world.everything, world.zone, world.calendar).events
        lab.send(tenant, final)
    lab.refresh()
    for one, other in zip(plain, anyhow, strict=True):
        assert lab.stored(one) == lab.stored(other)


@examples(0.2)
@given(several=st.lists(worlds(most=25, corrected=True), min_size=2, max_size=4), data=st.data())
def test_refreshing_again_or_from_scratch_changes_nothing(lab: Lab, several: list[World], data: st.DataObject) -> None:
    """A second refresh finds nothing due, and forgetting everything that was folded gives the same rows again."""
    lab.empty()
    tenants = [lab.tenant(w.zone, w.calendar) for w in several]
    rounds = [split(w.everything, data, 2) for w in several]
    for number in range(2):
        for tenant, batches in zip(tenants, rounds, strict=True):
            lab.send(tenant, batches[number])
        lab.refresh()
    rows = [lab.stored(t) for t in tenants]
    marks = lab.marks()
    assert lab.refresh().windows == {}
    assert lab.marks() == marks
    assert [lab.stored(t) for t in tenants] == rows
    with lab.store.change() as work:
        for table, _, _ in TABLES:
            work.execute(f"DELETE FROM {table}")
    lab.forget_marks()
    lab.refresh()
    assert [lab.stored(t) for t in tenants] == rows


@examples(0.25)
@given(several=st.lists(worlds(corrected=True), min_size=3, max_size=3), data=st.data())
def test_a_tenant_that_changes_zone_is_as_if_it_had_always_been_there(
    lab: Lab, several: list[World], data: st.DataObject
) -> None:
    """After a change of zone and a refresh the rows are those of that zone from the start; no other tenant's row moves."""
    lab.empty()
    moving = lab.tenant(data.draw(st.sampled_from(("UTC", "Asia/Kathmandu", "America/New_York"))), several[0].calendar)
    others = [lab.tenant(w.zone, w.calendar) for w in several[1:]]
    lab.send(moving, several[0].everything)
    for tenant, world in zip(others, several[1:], strict=True):
        lab.send(tenant, world.everything)
    lab.refresh()
    before = [lab.stored(t) for t in others]
    moved = lab.move(moving, several[0].zone)
    settled = lab.tenant(several[0].zone, several[0].calendar)
    lab.send(settled, several[0].everything)
    name = data.draw(subjects)
    start, end = several[0].start, several[0].end
    truth = lab.values(lab.ask(moved, names_of(name), start, end, Grain.DAY, exact=True))
    assert differences(truth, lab.values(lab.ask(moved, names_of(name), start, end, Grain.DAY))) == {}
    lab.refresh()
    assert lab.stored(moved) == lab.stored(settled)
    assert [lab.stored(t) for t in others] == before


# --- grains and dimensions


def _folded_raw(
    lab: Lab, rollup: Rollup, grain: Grain, tenants: Sequence[Tenant], start: datetime, end: datetime
) -> Any:
    """Fold every window of a grain straight from raw events, by a calendar that covers everything."""
    zones = sorted({t.zone for t in tenants})
    parts = [slot_starts(z, grain, slot_of(start), slot_of(end)) for z in zones]
    calendar = {
        "zone": pa.array([i for i, (slots, _) in enumerate(parts) for _ in slots], pa.int32()),
        "slot": pa.array([s for slots, _ in parts for s in slots], pa.int64()),
        "window_start": pa.array([s for _, starts in parts for s in starts], pa.timestamp("us")),
    }
    with lab.store.change() as work:
        numbers = pa.array([t.no for t in tenants], pa.int32())
        work.table(
            "zones", pa.table({"tenant": numbers, "zone": pa.array([zones.index(t.zone) for t in tenants], pa.int32())})
        )
        work.table("calendar", pa.table(calendar))
        source = "rows_of_all"
        make_rows(work, source, rollup.source, fold.fact_rows(rollup.source, fold.scope(rollup.source)), tenants)
        selects = [fold.fold(rollup, source)] + [
            fold.fold_histogram(rollup, m, source) for m, _ in rollup.distributions()
        ]
        return {
            table: sorted(work.execute(select).rows, key=repr)
            for (table, _), select in zip(fold.schema(rollup, grain), selects, strict=True)
        }


@examples(0.25)
@given(several=st.lists(worlds(corrected=True), min_size=2, max_size=4), data=st.data())
def test_merging_windows_is_folding_raw_events(lab: Lab, several: list[World], data: st.DataObject) -> None:
    """Stored hours, days, and the weeks and months merged from days are what raw events fold into at that grain at once."""
    lab.empty()
    tenants = [lab.tenant(w.zone, w.calendar) for w in several]
    for tenant, world in zip(tenants, several, strict=True):
        lab.send(tenant, world.everything)
    lab.refresh()
    low = min(w.start for w in several) - timedelta(days=40)
    high = max(w.end for w in several) + timedelta(days=40)
    for name in data.draw(st.permutations([r.name for r in ROLLUPS]))[:5]:
        rollup = BY_NAME[name]
        for grain in rollup.keep:
            for table, rows in _folded_raw(lab, rollup, grain, tenants, low, high).items():
                names = [c for t, columns in fold.schema(rollup, grain) if t == table for c, _ in columns]
                stored = lab.store.query(f"SELECT {fold.quoted(names)} FROM {table}").rows
                assert sorted(stored, key=repr) == rows, table


def _additive(rollup: Rollup) -> list[str]:
    return [name for name, m in rollup.measures.items() if isinstance(m, Count | Sum)]


@examples(0.25)
@given(several=st.lists(worlds(), min_size=2, max_size=4))
def test_hours_add_up_to_days_to_weeks_and_months(lab: Lab, several: list[World]) -> None:
    """Of every additive measure, the sum over all windows is the same at every grain that keeps it."""
    lab.empty()
    tenants = [lab.tenant(w.zone, w.calendar) for w in several]
    for tenant, world in zip(tenants, several, strict=True):
        lab.send(tenant, world.everything)
    lab.refresh()
    for rollup in ROLLUPS:
        measures = ", ".join(f"sum({m})" for m in _additive(rollup))
        keys = ", ".join(("tenant", *rollup.dimensions))
        sums = {
            grain: sorted(lab.store.query(f"SELECT {keys}, {measures} FROM {rollup.table(grain)} GROUP BY {keys}").rows, key=repr)
            for grain in rollup.keep if measures
        }  # fmt: skip
        assert all(found == sums[Grain.DAY] for found in sums.values()), rollup.name


def _adds_up(metric: Metric, rollup: Rollup) -> bool:
    return isinstance(metric, Stored) and isinstance(rollup.measures[metric.measure], Count | Sum)


ADDITIVE = {name: rollup for name, (metric, rollup) in METRICS.items() if _adds_up(metric, rollup)}


@examples(0.5)
@given(world=worlds(corrected=True), data=st.data())
def test_a_sum_over_any_dimension_is_the_total(lab: Lab, world: World, data: st.DataObject) -> None:
    """Split by any of its dimensions, with missing values as a value of their own, an additive metric adds up to its total."""
    lab.empty()
    tenant = lab.tenant(world.zone, world.calendar)
    lab.send(tenant, world.everything)
    if data.draw(st.booleans()):
        lab.refresh()
    for name in data.draw(st.lists(st.sampled_from(list(ADDITIVE)), min_size=4, max_size=4, unique=True)):
        rollup = ADDITIVE[name]
        allowed = [d for d, c in dimensions_of(rollup).items() if c not in rollup.hidden]
        by = tuple(data.draw(st.lists(st.sampled_from(allowed), min_size=1, max_size=2, unique=True)))
        if "kind" in by:  # asking by kind shows bots as well, which the total leaves out
            continue
        grain = data.draw(st.sampled_from((Grain.TOTAL, Grain.WEEK, Grain.DAY)))
        total = {
            row.start: row.cells[name].value for row in lab.ask(tenant, [name], world.start, world.end, grain).rows
        }
        parts: dict[datetime, float] = dict.fromkeys(total, 0)
        for row in lab.ask(tenant, [name], world.start, world.end, grain, by=by).rows:
            parts[row.start] += row.cells[name].value or 0  # type: ignore[operator]
        assert all(same(parts[start], value) for start, value in total.items()), (name, by, parts, total)


# --- answers


def _moments(world: World, data: st.DataObject) -> tuple[datetime, datetime]:
    """Draw a range: whole local days, or cut anywhere."""
    first, last = sorted(data.draw(st.lists(st.integers(0, 23), min_size=2, max_size=2, unique=True)))
    if data.draw(st.booleans()):
        edges = [w.start for w in windows(world.start, world.end + timedelta(days=1), Grain.DAY, _tz(world))]
        low, high = sorted({edges[first % len(edges)], edges[last % len(edges)]} | {edges[0]})[:2]
        return low, high
    start = world.start + timedelta(hours=11 * first, minutes=7)
    return start, world.start + timedelta(hours=11 * last, minutes=7, microseconds=1)


def _tz(world: World) -> Any:
    return Tenant(1, "x", world.zone).tz


@examples(0.8)
@given(world=worlds(corrected=True), rollups=subjects, grain=st.sampled_from(GRAINS), data=st.data())
def test_rollups_answer_as_raw_events_do(
    lab: Lab, world: World, rollups: list[str], grain: Grain, data: st.DataObject
) -> None:
    """Of any range at any grain, whatever the clock says, clean windows, half-folded and unfolded ones answer the same."""
    lab.empty()
    tenant = lab.tenant(world.zone, world.calendar)
    early, late = split(world.everything, data, 2)
    lab.send(tenant, early)
    lab.refresh()
    lab.send(tenant, late)
    lab.now = data.draw(
        st.sampled_from((lab.now, world.end - timedelta(days=3, minutes=13), world.start + timedelta(days=2)))
    )
    start, end = _moments(world, data)
    if grain is Grain.HOUR:
        end = min(end, start + timedelta(hours=60))
    names = names_of(rollups)
    mixed = lab.values(lab.ask(tenant, names, start, end, grain))
    raw = lab.values(lab.ask(tenant, names, start, end, grain, exact=True))
    assert differences(mixed, raw) == {}
    assert differences(raw, mixed) == {}


def _check(lab: Lab, tenant: Tenant, world: World, told: Iterable[Event], rollups: Sequence[str], grain: Grain) -> None:
    oracle = Oracle(told, world.zone, world.calendar)
    answer = lab.ask(tenant, names_of(rollups), world.start, world.end, grain)
    cut = [world.start, *(w.end for w in windows(world.start, world.end, grain, tenant.tz))]
    cut[-1] = world.end
    for row, start, end in zip(answer.rows, cut, cut[1:], strict=False):
        numbers = oracle.numbers(start, end, lab.now, (world.start, world.end))
        got = {name: cell.value for name, cell in row.cells.items() if name in numbers}
        wrong = {name: (value, numbers[name]) for name, value in got.items() if not same(value, numbers[name])}
        assert wrong == {}, (start, end)


@examples(0.6)
@given(
    several=st.lists(worlds(corrected=True), min_size=1, max_size=3), rollups=subjects, data=st.data(),
    grain=st.sampled_from((Grain.DAY, Grain.TOTAL, Grain.WEEK)),
)  # fmt: skip
def test_answers_are_what_plain_python_counts(
    lab: Lab, several: list[World], rollups: list[str], data: st.DataObject, grain: Grain
) -> None:
    """Before any refresh, after one, and with late events on top, every answer is the oracle's number."""
    lab.empty()
    tenants = [lab.tenant(w.zone, w.calendar) for w in several]
    rounds = [split(w.everything, data, 2) for w in several]
    for tenant, world, (early, _) in zip(tenants, several, rounds, strict=True):
        lab.send(tenant, early)
        _check(lab, tenant, world, early, rollups, grain)
    lab.refresh()
    for tenant, world, (early, late) in zip(tenants, several, rounds, strict=True):
        _check(lab, tenant, world, early, rollups, grain)
        lab.send(tenant, late)
        _check(lab, tenant, world, [*early, *late], rollups, grain)


@examples(0.5)
@given(world=worlds(corrected=True))
def test_message_counts_by_day_are_those_of_the_wall_calendar(lab: Lab, world: World) -> None:
    """Messages by direction and day follow the tenant's wall calendar, on the days clocks change too."""
    lab.empty()
    tenant = lab.tenant(world.zone, world.calendar)
    lab.send(tenant, world.everything)
    oracle = Oracle(world.everything, world.zone, world.calendar)
    for name, direction in (("messages_received", "in"), ("messages_sent", "out")):
        rows = lab.ask(tenant, [name], world.start, world.end, Grain.DAY).rows
        got = {row.start.astimezone(tenant.tz).date(): row.cells[name].value for row in rows}
        assert {day: n for day, n in got.items() if n} == oracle.day_counts(direction)


# --- distributions


def _wait(number: int, ms: int, start: datetime, channel: str | None) -> Event:
    return Event(
        type="response.time_recorded", id=f"w{number}", time=start + timedelta(hours=number % 200), duration_ms=ms,
        channel=channel, staff_id=f"s{number % 3}",
    )  # fmt: skip


durations = st.one_of(st.integers(0, 200), st.integers(0, 10**6), st.integers(0, 10**9), st.sampled_from((0, 1, 2, 3)))


@examples(1.0)
@given(
    values=st.one_of(
        st.lists(durations, min_size=1, max_size=1),
        st.lists(durations, min_size=2, max_size=2),
        st.lists(durations, min_size=3, max_size=60),
    ),
    data=st.data(),
)
def test_percentiles_are_within_one_percent_in_any_slice(lab: Lab, values: list[int], data: st.DataObject) -> None:
    """Of any range, split by channel or not, p50 to p99 are within 1 % of the exact quantile, of one or two values too."""
    lab.empty()
    tenant = lab.tenant("America/New_York")
    start = datetime(2026, 3, 3, 5, tzinfo=UTC)
    events = [_wait(i, ms, start, ("email", None)[i % 2]) for i, ms in enumerate(values)]
    if data.draw(st.booleans()):
        lab.send(tenant, events[:3])
        lab.refresh()
    lab.send(tenant, events)
    end = start + timedelta(days=data.draw(st.integers(1, 9)))
    by = data.draw(st.sampled_from(((), ("channel",))))
    names = [f"response_ms.{p}" for p in PERCENTILES]
    for exact in (False, True):
        for row in lab.ask(tenant, names, start, end, by=by, exact=exact).rows:
            mine = [e.duration_ms or 0 for e in events if e.time < end and (not by or e.channel == row.dims["channel"])]
            for name, share in PERCENTILES.items():
                got = row.cells[f"response_ms.{name}"].value
                if not mine:
                    assert got is None
                    continue
                truth = quantile(mine, share)
                assert isinstance(got, int | float)
                assert abs(got - truth) <= (1e-9 if exact else 0.01) * truth + 1e-6, (name, got, truth)


def test_every_number_of_the_oracle_is_a_metric_and_nearly_every_metric_has_one() -> None:
    """The oracle knows all metrics but the scores and the count of all contacts, which have unit tests of their own."""
    numbers = Oracle([], "UTC").numbers(
        datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
    )
    assert set(numbers) - set(EVERYTHING) == set()
    assert {name.partition(".")[0] for name in set(EVERYTHING) - set(numbers)} == {
        "campaign_score", "contact_engagement_score", "total_contacts",
    }  # fmt: skip
