"""Business hours apply on reading: numbers are the oracle's under the present calendar, and no stored row depends on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from hubbub.metrics.catalogue import METRICS
from hubbub.model.calendar import Calendar, Version, first_change
from hubbub.model.event import Event
from hubbub.model.tenant import Tenant
from hubbub.model.window import Grain, local_midnight, window_of
from tests.hours import calendars
from tests.laws.conftest import Lab
from tests.laws.oracle import Oracle
from tests.laws.strategies import DAYS, TALKS, World, worlds
from tests.laws.test_laws import examples, same, split

NAMES = [
    f"{name}.{statistic}"
    for name, (_, rollup) in METRICS.items()
    if rollup.in_hours
    for statistic in ("avg", "sum", "count", "min", "max")
]
talks = worlds(corrected=True, themes=TALKS)


def other_hours(world: World) -> st.SearchStrategy[Calendar]:
    """Draw business hours to change to: others, one version more, or one fewer."""
    begin = world.start.date()
    more = calendars(begin, DAYS).map(lambda c: Calendar((*world.calendar.versions, *_after(world.calendar, c))))
    return st.one_of(calendars(begin, DAYS, least=0), more, st.just(Calendar(world.calendar.versions[:-1])))


def _after(calendar: Calendar, more: Calendar) -> list[Version]:
    last = calendar.versions[-1].valid_from if calendar.versions else None
    return [version for version in more.versions if last is None or version.valid_from > last]


def check(lab: Lab, tenant: Tenant, world: World, sent: Sequence[Event]) -> None:
    """Every number in business hours, by day, is the oracle's."""
    oracle = Oracle(sent, world.zone, tenant.calendar)
    for row in lab.ask(tenant, NAMES, world.start, world.end, Grain.DAY).rows:
        end = min(window_of(row.start, Grain.DAY, tenant.tz).end, world.end)
        numbers = oracle.numbers(row.start, end, lab.now)
        wrong = {n: (c.value, numbers[n]) for n, c in row.cells.items() if not same(c.value, numbers[n])}
        assert wrong == {}, row.start


@examples(0.6)
@given(world=talks, data=st.data())
def test_numbers_follow_a_calendar_that_changes(lab: Lab, world: World, data: st.DataObject) -> None:
    """Before and after a change of calendar, and with late events, answers are the oracle's; the rows are those of a
    tenant without any calendar.
    """
    lab.empty()
    tenant, without = lab.tenant(world.zone, world.calendar), lab.tenant(world.zone)
    early, late = split(world.everything, data, 2)
    lab.send(tenant, early)
    check(lab, tenant, world, early)
    tenant = replace(tenant, calendar=data.draw(other_hours(world)))
    check(lab, tenant, world, early)
    lab.send(tenant, late)
    check(lab, tenant, world, [*early, *late])
    lab.send(without, world.everything)
    lab.refresh()
    assert lab.stored(tenant) == lab.stored(without)


@examples(0.6)
@given(world=talks, data=st.data())
def test_days_before_a_change_keep_their_numbers(lab: Lab, world: World, data: st.DataObject) -> None:
    """A change of business hours changes no number of a day before `first_change`."""
    lab.empty()
    tenant = lab.tenant(world.zone, world.calendar)
    lab.send(tenant, world.everything)
    hours = data.draw(other_hours(world))
    changed = first_change(world.calendar, hours)
    since = local_midnight(changed, tenant.tz) if changed is not None else world.end
    before, after = (
        lab.values(lab.ask(one, NAMES, world.start, world.end, Grain.DAY))
        for one in (tenant, replace(tenant, calendar=hours))
    )
    assert {k: v for k, v in after.items() if k[0] < since} == {k: v for k, v in before.items() if k[0] < since}


@examples(0.3)
@given(world=talks)
def test_without_a_calendar_counts_are_0_and_the_rest_is_null(lab: Lab, world: World) -> None:
    """Without business hours every count in them is 0, and all else is null."""
    lab.empty()
    without = lab.tenant(world.zone)
    lab.send(without, world.everything)
    (row,) = lab.ask(without, NAMES, world.start, world.end).rows
    assert {cell.value for name, cell in row.cells.items() if not name.endswith(".count")} == {None}
    assert {cell.value for name, cell in row.cells.items() if name.endswith(".count")} == {0}
