"""History that lasts: retention at any moment, links, erasure, and what imports must never do to themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.facts.moments import micros
from hubbub.facts.rebuild import rebuild
from hubbub.facts.retention import cut_at, gone_until
from hubbub.ingest.intake import Intake
from hubbub.model.event import Event
from hubbub.model.tenant import Tenant
from hubbub.model.window import local_midnight
from tests.heart.conftest import Lab
from tests.heart.oracle import Oracle, local_day, utc
from tests.heart.test_laws import BY_ROLLUP, examples, names_of, same
from tests.laws.strategies import World, worlds

subjects = st.lists(st.sampled_from(sorted(BY_ROLLUP)), min_size=5, max_size=7, unique=True)
SCORES = ("contact_engagement_score",)
"""Numbers over all that a contact ever did: they know what is kept."""


class LastingLab(Lab):
    """A laboratory that refuses what lies before the cut, with a moment of arrival that the test sets."""

    def __init__(self, folder: Path) -> None:
        """Open a store in a folder."""
        super().__init__(folder)
        self.arrival = utc(2026, 12, 31)
        self.intake = Intake(self.store, lambda: self.arrival, lambda tenant: gone_until(self.store, tenant.no))

    def empty(self) -> None:
        """Begin with new tenants, at the end of the year."""
        super().empty()
        self.arrival = utc(2026, 12, 31)

    def cut(self, tenant: Tenant, at: datetime) -> None:
        """Fold what is due, and take out all that lies wholly before a moment."""
        self.refresh(tenant)
        cut_at(self.store, tenant, micros(at))


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LastingLab]:
    """A laboratory for all examples of this module; each begins with `lab.empty()`."""
    made = LastingLab(tmp_path_factory.mktemp("lasting"))
    yield made
    made.store.close()


def _check(
    lab: Lab, tenant: Tenant, world: World, told: Iterable[Event], names: list[str], since: datetime, end: datetime
) -> None:
    """Compare the numbers of two ranges after a cut with those of all events that were ever sent."""
    oracle = Oracle(told, world.zone, world.calendar)
    for start in (since, since + (end - since) / 2):
        numbers = oracle.numbers(start, end, lab.now)
        (row,) = lab.ask(tenant, names, start, end).rows
        got = {name: cell.value for name, cell in row.cells.items() if name in numbers}
        wrong = {name: (value, numbers[name]) for name, value in got.items() if not same(value, numbers[name])}
        assert wrong == {}, (start, end)


def _later(first: Iterable[Event], rest: Iterable[Event], cut: datetime) -> list[Event]:
    """Return what can still be taken after a cut: no event from before it, and no revision of one."""
    sent = [*first, *rest]
    early = {(e.source, e.id) for e in sent if e.time < cut}
    return [e for e in rest if (e.source, e.id) not in early]


@examples(2)
@given(world=worlds(corrected=True), rollups=subjects, data=st.data())
def test_what_comes_after_a_cut_counts_as_if_nothing_were_gone(
    lab: LastingLab, world: World, rollups: list[str], data: st.DataObject
) -> None:
    """Cut in the middle of conversations, once or twice, then new events: all that is dated after equals the oracle over all."""
    lab.empty()
    tenant = lab.tenant(world.zone, world.calendar)
    order = data.draw(st.permutations(world.everything))
    here = data.draw(st.integers(0, len(order)))
    sent, rest = order[:here], order[here:]
    lab.send(tenant, sent)
    days = sorted(data.draw(st.lists(st.integers(1, 10), min_size=1, max_size=2)))
    for day in days:
        cut = local_midnight(local_day(world.start, world.zone) + timedelta(days=day), tenant.tz)
        lab.cut(tenant, cut)
        rest = _later(sent, rest, cut)
        _check(lab, tenant, world, sent, names_of(rollups), cut, world.end)
        part = data.draw(st.integers(0, len(rest)))
        lab.send(tenant, rest[:part])
        sent, rest = [*sent, *rest[:part]], rest[part:]
        _check(lab, tenant, world, sent, names_of(rollups), cut, world.end)
    rows = lab.stored(tenant)
    rebuild(lab.store, tenant.no)
    assert lab.stored(tenant) == rows
