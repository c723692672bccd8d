"""Business hours through the engine: a calendar that comes, changes or goes folds what it concerns, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hubbub.metrics.catalogue import METRICS, ROLLUPS
from hubbub.model.calendar import Calendar, first_change
from hubbub.model.tenant import Tenant
from hubbub.model.window import Grain, local_midnight, window_of
from tests.hours import calendars
from tests.laws.conftest import TABLES, Lab, Stored
from tests.laws.oracle import Oracle
from tests.laws.strategies import DAYS, TALKS, World, worlds
from tests.laws.test_laws import EXACT_STATISTICS, differences, examples, same, split

IN_HOURS = [rollup for rollup in ROLLUPS if rollup.in_hours]
NAMES = [f"{name}.{s}" for name, (_, r) in METRICS.items() if r.in_hours for s in EXACT_STATISTICS]
talks = worlds(corrected=True, themes=TALKS)


def other_hours(world: World) -> st.SearchStrategy[Calendar]:
    """Draw business hours that a tenant might change to: others, none, or its own with one version more or fewer."""
    begin = world.start.date()
    more = calendars(begin, DAYS).map(lambda c: Calendar((*world.calendar.versions, *_after(world.calendar, c))))
    return st.one_of(calendars(begin, DAYS, least=0), more, st.just(Calendar(world.calendar.versions[:-1])))


def _after(calendar: Calendar, more: Calendar) -> list[Any]:
    last = calendar.versions[-1].valid_from if calendar.versions else None
    return [version for version in more.versions if last is None or version.valid_from > last]


def check(lab: Lab, tenant: Tenant, world: World, told: Any) -> None:
    """Every number in business hours, by day, is the oracle's, and is so from raw events too."""
    oracle = Oracle(told, world.zone, tenant.calendar)
    answer = lab.ask(tenant, NAMES, world.start, world.end, Grain.DAY)
    for row in answer.rows:
        end = min(window_of(row.start, Grain.DAY, tenant.tz).end, world.end)
        numbers = oracle.numbers(row.start, end, lab.now)
        wrong = {n: (c.value, numbers[n]) for n, c in row.cells.items() if not same(c.value, numbers[n])}
        assert wrong == {}, row.start
    raw = lab.ask(tenant, NAMES, world.start, world.end, Grain.DAY, exact=True)
    assert differences(lab.values(raw), lab.values(answer)) == {}


@examples(0.6)
@given(world=talks, bystander=talks, data=st.data())
def test_numbers_follow_a_calendar_that_changes(lab: Lab, world: World, bystander: World, data: st.DataObject) -> None:
    """Before a refresh and after, with late events on top, answers are the oracle's by the present calendar; the rows end as
    if it had always been that one, a second refresh finds nothing due, and no row of another tenant moves."""
    lab.empty()
    tenant, other = lab.tenant(world.zone, world.calendar), lab.tenant(bystander.zone, bystander.calendar)
    lab.send(other, bystander.everything)
    early, late = split(world.everything, data, 2)
    lab.send(tenant, early)
    lab.refresh()
    before = lab.stored(other)
    tenant = lab.open(tenant, data.draw(other_hours(world)))
    check(lab, tenant, world, early)
    if data.draw(st.booleans()):
        lab.refresh()
        check(lab, tenant, world, early)
    lab.send(tenant, late)
    check(lab, tenant, world, [*early, *late])
    lab.refresh()
    check(lab, tenant, world, [*early, *late])
    assert lab.refresh().windows == {}
    always = lab.tenant(world.zone, tenant.calendar)
    lab.send(always, world.everything)
    lab.refresh()
    assert lab.stored(tenant) == lab.stored(always)
    assert lab.stored(other) == before


@examples(0.6)
@given(world=talks, data=st.data())
def test_exactly_the_windows_from_the_change_on_are_folded_anew(lab: Lab, world: World, data: st.DataObject) -> None:
    """With every stored hour and day made wrong by hand, a change of the calendar mends those from the change on, in business
    hours alone; those before it, and all plain numbers, are left as they are."""
    lab.empty()
    tenant = lab.tenant(world.zone, world.calendar)
    lab.send(tenant, world.everything)
    lab.refresh()
    day = world.start.date() + timedelta(days=data.draw(st.integers(1, DAYS - 2)))
    (version,) = data.draw(calendars(day, 0)).versions[-1:]
    kept = [v for v in world.calendar.versions if v.valid_from < day]
    hours = Calendar((*kept, replace(version, valid_from=day)))
    changed = first_change(world.calendar, hours) or day
    assert changed >= day
    since = local_midnight(changed, tenant.tz)
    _spoil(lab)
    spoiled = lab.stored(tenant)
    tenant = lab.open(tenant, hours)
    report = lab.refresh()
    assert set(report.windows) <= {r.table(g) for r in IN_HOURS for g in r.keep}
    after = lab.stored(tenant)
    always = lab.tenant(world.zone, hours)
    lab.send(always, world.everything)
    lab.refresh()
    truth = lab.stored(always)
    tables = {r.table(grain) for r in IN_HOURS for grain in (Grain.HOUR, Grain.DAY) if grain in r.keep}
    for table, _, _ in TABLES:
        if table in tables:
            earlier, later = _cut(spoiled, table, since)[0], _cut(truth, table, since)[1]
            assert _cut(after, table, since) == (earlier, later), table
        elif not any(table.startswith(f"rollup_{r.name}_") for r in IN_HOURS):
            assert after.get(table) == spoiled.get(table), table


def _spoil(lab: Lab) -> None:
    with lab.store.change() as work:

        def add(table: str, column: str) -> None:
            work.make("spoiled", f"SELECT * REPLACE ({column} + 1000 AS {column}) FROM {table}")
            work.execute(f"DELETE FROM {table}")
            work.execute(f"INSERT INTO {table} SELECT * FROM spoiled")

        for rollup in IN_HOURS:
            for grain in rollup.keep:
                for name, _ in rollup.distributions():
                    add(rollup.table(grain), f"{name}_count")
        add("rollup_responses_day", "responses")


def _cut(stored: Stored, table: str, since: datetime) -> tuple[list[Any], list[Any]]:
    """Return the rows of hours and days of a table before a local midnight, and from it on."""
    rows = stored.get(table, [])
    before = [row for row in rows if row[0].replace(tzinfo=UTC) < since]
    return before, [row for row in rows if row not in before]


@examples(0.3)
@given(world=talks, data=st.data(), fact=st.sampled_from(("response", "episode")))
def test_a_change_that_failed_is_not_forgotten(lab: Lab, world: World, data: st.DataObject, fact: str) -> None:
    """A change that one fact could not be folded by stays due, also when the calendar is changed back before it is."""
    lab.empty()
    tenant = lab.tenant(world.zone, world.calendar)
    lab.send(tenant, world.everything)
    lab.refresh()
    right = lab.stored(tenant)

    def fail(step: str) -> None:
        if step == f"{fact}: before commit":
            raise RuntimeError("the disk is full")

    lab.open(tenant, data.draw(other_hours(world)))
    lab.refresher.refresh(step=fail)
    tenant = lab.open(tenant, world.calendar)
    check(lab, tenant, world, world.everything)
    lab.refresh()
    assert lab.stored(tenant) == right


@examples(0.3)
@given(world=talks)
def test_a_tenant_without_a_calendar_stores_nothing(lab: Lab, world: World) -> None:
    """Beside a tenant with business hours, one without has no row in any table of theirs, counts 0, and all else is null."""
    lab.empty()
    tenant, without = lab.tenant(world.zone, world.calendar), lab.tenant(world.zone)
    for one in (tenant, without):
        lab.send(one, world.everything)
    lab.refresh()
    assert not [t for t in lab.stored(without) if "_in_hours_" in t]
    (row,) = lab.ask(without, NAMES, world.start, world.end).rows
    assert {cell.value for name, cell in row.cells.items() if not name.endswith(".count")} == {None}
    assert {cell.value for name, cell in row.cells.items() if name.endswith(".count")} == {0}
