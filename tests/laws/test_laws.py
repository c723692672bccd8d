"""The laws: what holds for every world of events, in any order of arrival and with any refreshes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from hubbub.facts.rebuild import rebuild
from hubbub.metrics.catalogue import METRICS, ROLLUPS, STATISTICS, dimensions_of
from hubbub.metrics.definition import Count, Metric, Quantiles, Rollup, Stored, Sum
from hubbub.model.event import Event
from hubbub.model.tenant import Tenant
from hubbub.model.window import Grain, windows
from tests.laws.conftest import Lab
from tests.laws.oracle import Oracle, quantile
from tests.laws.strategies import World, deliveries, worlds

EXAMPLES = settings().max_examples
PERCENTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
GRAINS = (Grain.TOTAL, Grain.MONTH, Grain.WEEK, Grain.DAY, Grain.HOUR)


def examples(share: float) -> settings:
    """Take a share of the profile's examples, for laws that cost more."""
    return settings(max_examples=max(3, int(EXAMPLES * share)))


def asked_as(name: str, metric: Metric) -> list[str]:
    """Return the names under which a metric can be queried."""
    return [f"{name}.{s}" for s in STATISTICS] if isinstance(metric, Quantiles) else [name]


EVERYTHING = [full for name, (metric, _) in METRICS.items() for full in asked_as(name, metric)]
BY_ROLLUP = {
    rollup.name: [full for name, (m, r) in METRICS.items() if r is rollup for full in asked_as(name, m)]
    for rollup in ROLLUPS
}
subjects = st.lists(st.sampled_from(sorted(BY_ROLLUP)), min_size=5, max_size=7, unique=True)


def names_of(rollups: Sequence[str]) -> list[str]:
    """Return all names that some rollups offer."""
    return [name for rollup in rollups for name in BY_ROLLUP[rollup]]


def same(one: object, other: object) -> bool:
    """Whether two numbers are equal, up to the last digits of a division."""
    if isinstance(one, int | float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
    return one == other


def split(events: Sequence[Event], draw: st.DataObject, parts: int) -> list[list[Event]]:
    """Split events into batches in a drawn order, some sent more than once."""
    batches = draw.draw(deliveries(list(events), most=parts))
    return [*batches, *([[]] * (parts - len(batches)))]


# --- ingestion and refresh


@examples(1)
@given(several=st.lists(worlds(), min_size=2, max_size=4), data=st.data())
def test_order_repetition_and_refreshes_do_not_matter(lab: Lab, several: list[World], data: st.DataObject) -> None:
    """Events shuffled, split, resent, and folded in between leave the same rows as one batch and one refresh."""
    _arrive_anyhow(lab, several, data)


@examples(1)
@given(several=st.lists(worlds(least=3, most=20, corrected=True), min_size=2, max_size=4), data=st.data())
def test_corrections_in_any_order_end_the_same(lab: Lab, several: list[World], data: st.DataObject) -> None:
    """Corrections at other times and in other conversations, in any order, leave the rows of the final revisions alone."""
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
            lab.refresh()
    for tenant, world in zip(plain, several, strict=True):
        final = Oracle(world.everything, world.zone, world.calendar).events
        lab.send(tenant, final)
    lab.refresh()
    for one, other in zip(plain, anyhow, strict=True):
        assert lab.stored(one) == lab.stored(other)


@examples(1)
@given(several=st.lists(worlds(most=25, corrected=True), min_size=2, max_size=4), data=st.data())
def test_folding_again_from_scratch_changes_nothing(lab: Lab, several: list[World], data: st.DataObject) -> None:
    """Folding by key as events arrive gives the same rows as a rebuild."""
    lab.empty()
    tenants = [lab.tenant(w.zone, w.calendar) for w in several]
    rounds = [split(w.everything, data, 3) for w in several]
    for number in range(3):
        for tenant, batches in zip(tenants, rounds, strict=True):
            lab.send(tenant, batches[number])
        lab.refresh(data.draw(st.sampled_from((None, *tenants))))
    lab.refresh()
    rows = [lab.stored(t) for t in tenants]
    for tenant in tenants:
        rebuild(lab.store, tenant.no)
    assert [lab.stored(t) for t in tenants] == rows


@examples(0.5)
@given(several=st.lists(worlds(corrected=True), min_size=2, max_size=3), data=st.data())
def test_a_tenants_facts_never_depend_on_anothers_events(lab: Lab, several: list[World], data: st.DataObject) -> None:
    """A tenant's rows stay the same when other tenants send events with the same ids."""
    lab.empty()
    alone = lab.tenant(several[0].zone)
    lab.send(alone, several[0].everything)
    lab.refresh()
    rows = lab.stored(alone)
    for world in several[1:]:
        lab.send(lab.tenant(world.zone), world.everything)
        lab.refresh()
    assert lab.stored(alone) == rows


# --- dimensions


def _adds_up(metric: Metric, rollup: Rollup) -> bool:
    return isinstance(metric, Stored) and isinstance(rollup.measures[metric.measure], Count | Sum)


ADDITIVE = {name: rollup for name, (metric, rollup) in METRICS.items() if _adds_up(metric, rollup)}


@examples(1)
@given(world=worlds(corrected=True), data=st.data())
def test_a_sum_over_any_dimension_is_the_total(lab: Lab, world: World, data: st.DataObject) -> None:
    """An additive metric, split by any dimensions with null as a value of its own, adds up to its total."""
    lab.empty()
    tenant = lab.tenant(world.zone, world.calendar)
    lab.send(tenant, world.everything)
    for name in data.draw(st.lists(st.sampled_from(list(ADDITIVE)), min_size=4, max_size=4, unique=True)):
        rollup = ADDITIVE[name]
        allowed = [d for d, c in dimensions_of(rollup).items() if c not in rollup.hidden]
        by = tuple(data.draw(st.lists(st.sampled_from(allowed), min_size=1, max_size=2, unique=True)))
        if "kind" in by:  # a split by kind includes bots, which the total leaves out
            continue
        grain = data.draw(st.sampled_from((Grain.TOTAL, Grain.WEEK, Grain.DAY)))
        total = {
            row.start: row.cells[name].value for row in lab.ask(tenant, [name], world.start, world.end, grain).rows
        }
        parts: dict[datetime, float] = dict.fromkeys(total, 0)
        for row in lab.ask(tenant, [name], world.start, world.end, grain, by=by).rows:
            parts[row.start] += row.cells[name].value or 0
        # a null total has only null parts, which add up to 0 here
        assert all(same(parts[start], value or 0) for start, value in total.items()), (name, by, parts, total)


# --- answers


def _check(lab: Lab, tenant: Tenant, world: World, told: Iterable[Event], rollups: Sequence[str], grain: Grain) -> None:
    oracle = Oracle(told, world.zone, world.calendar)
    answer = lab.ask(tenant, names_of(rollups), world.start, world.end, grain)
    cut = [world.start, *(w.end for w in windows(world.start, world.end, grain, tenant.tz))]
    cut[-1] = world.end
    for row, start, end in zip(answer.rows, cut, cut[1:], strict=False):
        numbers = oracle.numbers(start, end, lab.now)
        got = {name: cell.value for name, cell in row.cells.items() if name in numbers}
        wrong = {name: (value, numbers[name]) for name, value in got.items() if not same(value, numbers[name])}
        assert wrong == {}, (start, end)


@examples(2)
@given(
    several=st.lists(worlds(corrected=True), min_size=1, max_size=3), rollups=subjects, data=st.data(),
    grain=st.sampled_from(GRAINS),
)  # fmt: skip
def test_answers_equal_the_oracles_counts(
    lab: Lab, several: list[World], rollups: list[str], data: st.DataObject, grain: Grain
) -> None:
    """After early and late events, folded before or while answering, every answer is the oracle's number."""
    lab.empty()
    tenants = [lab.tenant(w.zone, w.calendar) for w in several]
    rounds = [split(w.everything, data, 2) for w in several]
    lab.now = data.draw(
        st.sampled_from((lab.now, several[0].end - timedelta(days=3, minutes=13), several[0].start + timedelta(days=2)))
    )
    for tenant, world, (early, late) in zip(tenants, several, rounds, strict=True):
        lab.send(tenant, early)
        if data.draw(st.booleans()):
            lab.refresh()
        _check(lab, tenant, world, early, rollups, grain)
        lab.send(tenant, late)
        _check(lab, tenant, world, [*early, *late], rollups, grain)


@examples(0.5)
@given(world=worlds(corrected=True))
def test_message_counts_by_day_are_those_of_the_wall_calendar(lab: Lab, world: World) -> None:
    """Messages by direction and day follow the tenant's local calendar, also on days when clocks change."""
    lab.empty()
    tenant = lab.tenant(world.zone, world.calendar)
    lab.send(tenant, world.everything)
    oracle = Oracle(world.everything, world.zone, world.calendar)
    for name, direction in (("messages_received", "in"), ("messages_sent", "out")):
        rows = lab.ask(tenant, [name], world.start, world.end, Grain.DAY).rows
        got = {row.start.astimezone(tenant.tz).date(): row.cells[name].value for row in rows}
        assert {day: n for day, n in got.items() if n} == oracle.day_counts(direction)


@examples(0.5)
@given(world=worlds(corrected=True), rollups=subjects, data=st.data())
def test_a_zone_change_is_as_if_the_tenant_had_always_been_there(
    lab: Lab, world: World, rollups: list[str], data: st.DataObject
) -> None:
    """Days are cut on reading: a tenant that changes its zone has the days of the new zone at once, and no stored row changes."""
    lab.empty()
    moving = lab.tenant(data.draw(st.sampled_from(("UTC", "Asia/Kathmandu", "America/New_York"))))
    lab.send(moving, world.everything)
    lab.refresh()
    before = lab.stored(moving)
    moved = lab.move(moving, world.zone)
    _check(lab, moved, world, world.everything, [r for r in rollups if not r.endswith("in_hours")], Grain.DAY)
    assert lab.stored(moving) == before


# --- distributions


def _wait(number: int, ms: int, start: datetime, channel: str | None) -> Event:
    return Event(
        type="response.time_recorded", id=f"w{number}", time=start + timedelta(hours=number % 200), duration_ms=ms,
        channel=channel, staff_id=f"s{number % 3}",
    )  # fmt: skip


durations = st.one_of(st.integers(0, 200), st.integers(0, 10**6), st.integers(0, 10**9), st.sampled_from((0, 1, 2, 3)))


@examples(1)
@given(
    values=st.one_of(
        st.lists(durations, min_size=1, max_size=2),
        st.lists(durations, min_size=3, max_size=60),
    ),
    data=st.data(),
)
def test_percentiles_and_limits_are_exact_in_any_slice(lab: Lab, values: list[int], data: st.DataObject) -> None:
    """Percentiles and shares within limits are exactly those of the values, in any range, split by channel or not."""
    lab.empty()
    tenant = lab.tenant("America/New_York")
    start = datetime(2026, 3, 3, 5, tzinfo=UTC)
    events = [_wait(i, ms, start, ("email", None)[i % 2]) for i, ms in enumerate(values)]
    lab.send(tenant, events)
    end = start + timedelta(days=data.draw(st.integers(1, 9)))
    by: Any = data.draw(st.sampled_from(((), ("channel",))))
    names = [*(f"response_ms.{p}" for p in PERCENTILES), "response_ms.within_1min"]
    for row in lab.ask(tenant, names, start, end, by=by).rows:
        mine = [e.duration_ms or 0 for e in events if e.time < end and (not by or e.channel == row.dims["channel"])]
        for name, share in PERCENTILES.items():
            got = row.cells[f"response_ms.{name}"].value
            if mine:
                assert got is not None and same(got, quantile(mine, share))
            else:
                assert got is None
        within = row.cells["response_ms.within_1min"].value
        assert within == (sum(ms <= 60_000 for ms in mine) / len(mine) if mine else None)


def test_every_metric_but_two_scores_is_in_the_oracle() -> None:
    """Every number of the oracle is a metric; every metric but two scores, which have tests of their own, is in the oracle."""
    numbers = Oracle([], "UTC").numbers(
        datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
    )
    assert set(numbers) - set(EVERYTHING) == set()
    assert {name.partition(".")[0] for name in set(EVERYTHING) - set(numbers)} - {
        n.partition(".")[0] for n in numbers
    } == {"campaign_score", "contact_engagement_score"}
