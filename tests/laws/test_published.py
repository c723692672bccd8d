"""The laws of published tables: their rows are the API's answers after any order of events, and publishing twice
changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from hubbub.model.question import Question
from hubbub.model.tenant import Tenant
from hubbub.model.window import Window, windows
from hubbub.publishing.publish import publish
from hubbub.publishing.tables import TABLES, Table
from tests.laws.conftest import Lab
from tests.laws.strategies import World, deliveries, worlds

EXAMPLES = settings(max_examples=min(settings().max_examples, max(4, settings().max_examples // 3)))


def published(lab: Lab, tenant: Tenant) -> dict[str, list[dict[str, Any]]]:
    """Return all published rows of a tenant, by table."""
    with lab.store.facts.read() as reading:
        return {
            table.name: sorted(reading.dicts(f"SELECT * FROM {table.name} WHERE tenant = ?", (tenant.id,)), key=repr)
            for table in TABLES
        }


def plainly(tables: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """Return rows without tenant and time of publishing."""
    left_out = ("published_at", "tenant", "property_id", "organization_id")
    return {
        name: [{c: v for c, v in row.items() if c not in left_out} for row in rows] for name, rows in tables.items()
    }


def spans(table: Table, tenant: Tenant, world: World) -> Iterator[Window]:
    """Yield all windows of a table in which a fact of the world can lie, receipts and replies included."""
    yield from windows(world.start - timedelta(days=3), world.end, table.grain, tenant.tz)


def answered(lab: Lab, table: Table, tenant: Tenant, world: World) -> list[dict[str, Any]]:
    """Answer the numbers of a table, one window at a time."""
    rows = []
    for window in spans(table, tenant, world):
        question = Question(
            tuple(table.numbers.values()), window.start, window.end, table.grain, tuple(table.by.values())
        )
        for row in lab.queries.answer(tenant, question).rows:
            cells = {c: row.cells[m].value for c, m in table.numbers.items()}
            for column, over in table.over.items():
                if (value := cells[column]) is not None:
                    cells[column] = value / over
            dims = {c: table.words.get(c, {}).get(str(row.dims[d]), row.dims[d]) for c, d in table.by.items()}
            rows.append({table.period: table.label(row.start, tenant), **dims, **cells})
    return rows


@EXAMPLES
@given(world=worlds(corrected=True), data=st.data())
def test_published_rows_are_the_answers(lab: Lab, world: World, data: st.DataObject) -> None:
    """After several batches in any order, every published row is the API's answer, and no row is missing."""
    lab.empty()
    tenant, plain = lab.tenant(world.zone), lab.tenant(world.zone)
    for batch in data.draw(deliveries(world.everything, most=3)):
        lab.send(tenant, batch)
        if data.draw(st.booleans()):
            assert publish(lab.store, lab.queries, [tenant], lab.now).errors == {}
    lab.send(plain, world.everything)
    assert publish(lab.store, lab.queries, lab.tenants, lab.now).errors == {}
    found = published(lab, tenant)
    assert plainly(found) == plainly(published(lab, plain))
    for table in TABLES:
        rows = found[table.name]
        keys = [table.period, *table.by]
        mine = {tuple(row[k] for k in keys): row for row in rows}
        assert len(mine) == len(rows)
        for truth in answered(lab, table, tenant, world):
            key = tuple(truth[k] for k in keys)
            row = mine.pop(key, None)
            if row is None:
                assert (table.named and key[1] is None) or not any(truth[c] for c in table.numbers), (table.name, truth)
            else:
                assert {c: row[c] for c in truth} == truth, table.name
        assert mine == {}, table.name


@EXAMPLES
@given(world=worlds(), data=st.data())
def test_publishing_twice_changes_nothing(lab: Lab, world: World, data: st.DataObject) -> None:
    """After publishing nothing is stale; publishing again later, also by table and days, writes no row."""
    lab.empty()
    tenant = lab.tenant(world.zone)
    lab.send(tenant, world.events)
    publish(lab.store, lab.queries, [tenant], lab.now)
    before = published(lab, tenant)
    with lab.store.facts.read() as reading:
        assert reading.rows("SELECT * FROM stale WHERE tenant = ?", (tenant.no,)) == []
    lab.now += timedelta(hours=1)
    name = data.draw(st.sampled_from([None, *(table.job for table in TABLES)]))
    day = world.start.date() + timedelta(days=3)
    again = publish(
        lab.store, lab.queries, [tenant], lab.now, table=name, days=(day, day + timedelta(days=4)) if name else None
    )
    assert again.written == 0 and published(lab, tenant) == before
