"""The laws of snapshots: they equal the answers of queries, made alone or together, once or often, in any order of arrival."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from hubbub.metrics.snapshots import SECTIONS, Kind
from hubbub.model.question import Question
from hubbub.model.tenant import Tenant
from hubbub.publishing import snapshots
from tests.laws.conftest import Lab
from tests.laws.strategies import World, deliveries, worlds

EXAMPLES = settings(max_examples=min(settings().max_examples, max(4, settings().max_examples // 3)))
kinds = st.sampled_from(list(Kind))


def drawn_day(data: st.DataObject, world: World) -> date:
    """Draw a day of the world, or one before or after it."""
    day: date = data.draw(st.integers(-1, 12).map(lambda n: world.start.date() + timedelta(days=n)))
    return day


def make(lab: Lab, tenants: list[Tenant], kind: Kind, day: date) -> snapshots.Made:
    """Make snapshots of a day's period."""
    return snapshots.make(lab.store, lab.queries, tenants, kind, day, lab.now)


def kept(lab: Lab, tenant: Tenant) -> list[snapshots.Snapshot]:
    """Return all snapshots of a tenant."""
    return snapshots.read(lab.store, tenant, date(2000, 1, 1), date(2100, 1, 1))


def said(lab: Lab, tenant: Tenant, kind: Kind, day: date, account: str | None) -> dict[str, Any]:
    """Answer all metrics of a snapshot for the same tenant, period and account."""
    span = snapshots.period_of(tenant, kind, day, lab.now).window
    where = {} if account is None else {"account_id": (account,)}
    answer = lab.queries.answer(tenant, Question(snapshots.NAMES, span.start, span.end, where=where))
    return {name: column.values[0] for name, column in answer.columns.items()}


@EXAMPLES
@given(several=st.lists(worlds(), min_size=2, max_size=4), kind=kinds, data=st.data())
def test_a_snapshot_equals_the_query(lab: Lab, several: list[World], kind: Kind, data: st.DataObject) -> None:
    """Every field of every tenant and account, made together, is the answer for that tenant, window and account."""
    lab.empty()
    tenants = [lab.tenant(w.zone) for w in several]
    for tenant, world in zip(tenants, several, strict=True):
        lab.send(tenant, world.events)
    day = drawn_day(data, several[0])
    made = make(lab, tenants, kind, day)
    assert made.errors == {} and made.processed == len(tenants)
    assert made.created == sum(len(kept(lab, t)) for t in tenants)
    for tenant, world in zip(tenants, several, strict=True):
        found = kept(lab, tenant)
        end = snapshots.period_of(tenant, kind, day, lab.now).window.end
        accounts = {e.account_id for e in world.events if e.time is not None and e.time < end} - {None}
        assert [row.account_id for row in found] == [None, *sorted(filter(None, accounts))]
        for row in found:
            truth = said(lab, tenant, kind, day, row.account_id)
            wrong = {
                (section, name): (row.sections[section][name], truth[metric])
                for section, fields in SECTIONS.items()
                for name, metric in fields.items()
                if row.sections[section][name] != truth[metric]
            }
            assert wrong == {}, (tenant.zone, row.account_id, day)


@EXAMPLES
@given(several=st.lists(worlds(), min_size=2, max_size=4), kind=kinds, data=st.data())
def test_snapshots_made_together_alone_or_again_are_equal(
    lab: Lab, several: list[World], kind: Kind, data: st.DataObject
) -> None:
    """Snapshots made for all tenants at once, again, in another order, and for each alone are equal to the last digit."""
    lab.empty()
    tenants = [lab.tenant(w.zone) for w in several]
    for tenant, world in zip(tenants, several, strict=True):
        lab.send(tenant, world.events)
    day = drawn_day(data, several[0])
    groups: list[list[Tenant]] = [tenants, tenants, tenants[::-1], *([t] for t in tenants)]
    first: list[list[snapshots.Snapshot]] = []
    for group in groups:
        make(lab, group, kind, day)
        found = [kept(lab, t) for t in tenants]
        first = first or found
        assert found == first


@EXAMPLES
@given(world=worlds(), kind=kinds, data=st.data())
def test_the_order_of_arrival_does_not_matter(lab: Lab, world: World, kind: Kind, data: st.DataObject) -> None:
    """Events shuffled, split and resent, with snapshots made in between, leave the snapshots of one delivery."""
    lab.empty()
    plain, anyhow = lab.tenant(world.zone), lab.tenant(world.zone)
    day = drawn_day(data, world)
    lab.send(plain, world.events)
    for batch in data.draw(deliveries(world.events, most=3)):
        lab.send(anyhow, batch)
        make(lab, [anyhow], kind, day)
    make(lab, [plain, anyhow], kind, day)
    assert kept(lab, plain) == kept(lab, anyhow)
