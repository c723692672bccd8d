"""The laws of snapshots: they say what a query says, whoever they are made with, however events came, however often."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from hubbub.rollups import snapshots
from hypothesis import given, settings
from hypothesis import strategies as st

from hubbub.metrics.snapshots import SECTIONS, Kind
from hubbub.model.question import Question
from hubbub.model.tenant import Tenant
from tests.laws.conftest import Lab
from tests.laws.strategies import World, deliveries, worlds

NAMES = tuple(dict.fromkeys(name for fields in SECTIONS.values() for name in fields.values()))
SCORE = "contact_engagement_score"
EXAMPLES = settings(max_examples=min(settings().max_examples, max(4, settings().max_examples // 3)))
kinds = st.sampled_from(list(Kind))


def drawn_day(data: st.DataObject, world: World) -> date:
    """Draw a day on which something may have happened, or the day before or after all of it."""
    day: date = data.draw(st.integers(-1, 12).map(lambda n: world.start.date() + timedelta(days=n)))
    return day


def kept(lab: Lab, tenant: Tenant) -> list[dict[str, Any]]:
    """Return all snapshots of a tenant."""
    return snapshots.read(lab.store, tenant, date(2000, 1, 1), date(2100, 1, 1))


def asked(lab: Lab, tenant: Tenant, kind: Kind, day: date, account: str | None) -> dict[str, Any]:
    """Ask for all that a snapshot says of the same tenant, period and account."""
    span = snapshots.period_of(tenant, kind, day, lab.now).window
    where = {} if account is None else {"account_id": (account,)}
    answer = lab.answers.answer(tenant, Question(NAMES, span.start, span.end, where=where))
    return {name: cell.value for name, cell in answer.rows[0].cells.items()}


def same(name: str, one: Any, other: Any) -> bool:
    """Whether two numbers are the same: exactly, but for the score, which a snapshot keeps to six digits."""
    if name == SCORE and one is not None and other is not None:
        return bool(abs(one - other) <= 1e-6)
    return bool(one == other)


@EXAMPLES
@given(several=st.lists(worlds(), min_size=2, max_size=4), kind=kinds, data=st.data())
def test_a_snapshot_says_what_a_query_says(lab: Lab, several: list[World], kind: Kind, data: st.DataObject) -> None:
    """Every field of every tenant, team and account, made all at once, is the answer for that tenant, window and account."""
    lab.empty()
    tenants = [lab.tenant(w.zone) for w in several]
    for tenant, world in zip(tenants, several, strict=True):
        lab.send(tenant, world.events)
    lab.refresh()
    day = drawn_day(data, several[0])
    made = snapshots.make(lab.store, tenants, kind, day, lab.now)
    assert made.errors == {} and made.processed == len(tenants)
    assert made.created == sum(len(kept(lab, t)) for t in tenants)
    for tenant in tenants:
        found = kept(lab, tenant)
        assert found[0]["account_id"] is None
        assert len({row["account_id"] for row in found}) == len(found)
        for row in found:
            truth = asked(lab, tenant, kind, day, row["account_id"])
            wrong = {
                (section, name): (row[section][name], truth[metric])
                for section, fields in SECTIONS.items()
                for name, metric in fields.items()
                if not same(metric, row[section][name], truth[metric])
            }
            assert wrong == {}, (tenant.zone, row["account_id"], day)


@EXAMPLES
@given(several=st.lists(worlds(), min_size=2, max_size=4), kind=kinds, data=st.data())
def test_who_it_is_made_with_and_how_often_does_not_matter(
    lab: Lab, several: list[World], kind: Kind, data: st.DataObject
) -> None:
    """Made for all at once, again, in another order, and for each tenant alone, snapshots are the same to the last digit."""
    lab.empty()
    tenants = [lab.tenant(w.zone) for w in several]
    for tenant, world in zip(tenants, several, strict=True):
        lab.send(tenant, world.events)
    lab.refresh()
    day = drawn_day(data, several[0])
    groups: list[list[Tenant]] = [tenants, tenants, tenants[::-1], *([t] for t in tenants)]
    first: list[list[dict[str, Any]]] = []
    for group in groups:
        snapshots.make(lab.store, group, kind, day, lab.now)
        found = [kept(lab, t) for t in tenants]
        first = first or found
        assert found == first


@EXAMPLES
@given(world=worlds(), kind=kinds, data=st.data())
def test_the_order_of_arrival_does_not_matter(lab: Lab, world: World, kind: Kind, data: st.DataObject) -> None:
    """Events shuffled, split, resent, and snapshots made in between leave the snapshots of one delivery."""
    lab.empty()
    plain, anyhow = lab.tenant(world.zone), lab.tenant(world.zone)
    day = drawn_day(data, world)
    lab.send(plain, world.events)
    for batch in data.draw(deliveries(world.events, most=3)):
        lab.send(anyhow, batch)
        lab.refresh()
        snapshots.make(lab.store, [anyhow], kind, day, lab.now)
    lab.refresh()
    snapshots.make(lab.store, [plain, anyhow], kind, day, lab.now)
    assert kept(lab, plain) == kept(lab, anyhow)
