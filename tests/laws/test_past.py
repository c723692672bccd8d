"""The law of `as_of`: an answer for a past moment equals the answer given then, whatever came, changed or was deleted since."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.errors import BadQuestionError
from hubbub.facts import erase
from hubbub.model.event import Event
from hubbub.model.plain import plain
from hubbub.model.tenant import Tenant
from hubbub.model.window import Grain, local_midnight
from hubbub.query.result import Answer, State
from tests.laws.oracle import local_day, utc
from tests.laws.strategies import World, worlds
from tests.laws.test_lasting import LastingLab
from tests.laws.test_laws import EVERYTHING, examples, split

ROUNDS = [utc(2026, 12, 1 + day) for day in range(3)]
"""When batches arrive: after all their events, so that only arrival makes the difference."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LastingLab]:
    """A laboratory for all examples of this module; each begins with `lab.empty()`."""
    made = LastingLab(tmp_path_factory.mktemp("past"))
    yield made
    made.store.close()


def said(answer: Answer) -> dict[str, Any]:
    """Return all that an answer contains."""
    found: dict[str, Any] = plain(answer.public(details=True))
    return found


def told(lab: LastingLab, tenant: Tenant, batches: Iterable[list[Event]], world: World, grain: Grain) -> list[Any]:
    """Send a batch at each moment; return the answers of those moments."""
    answers = []
    for at, batch in zip(ROUNDS, batches, strict=True):
        lab.arrival = lab.now = at
        lab.send(tenant, batch, history=True)
        answers.append(said(lab.ask(tenant, EVERYTHING, world.start, world.end, grain)))
    return answers


def recalled(lab: LastingLab, tenant: Tenant, at: datetime, world: World, grain: Grain) -> dict[str, Any]:
    """Return the present answer as of a moment."""
    lab.now = utc(2026, 12, 31)
    return said(lab.ask(tenant, EVERYTHING, world.start, world.end, grain, as_of=at))


@examples(1)
@given(world=worlds(corrected=True), grain=st.sampled_from((Grain.TOTAL, Grain.DAY)), data=st.data())
def test_an_as_of_answer_equals_the_answer_then(
    lab: LastingLab, world: World, grain: Grain, data: st.DataObject
) -> None:
    """Every metric with parts and states, as of each arrival, equals the answer then, despite late events, repeats and
    corrections.
    """
    lab.empty()
    tenant = lab.tenant(world.zone, world.calendar)
    answers = told(lab, tenant, split(world.everything, data, len(ROUNDS)), world, grain)
    for at, answer in zip(ROUNDS, answers, strict=True):
        assert recalled(lab, tenant, at, world, grain) == answer
    assert recalled(lab, tenant, ROUNDS[-1] + timedelta(days=9), world, grain)["rows"] == answers[-1]["rows"]


@examples(0.5)
@given(world=worlds(corrected=True), day=st.integers(1, 10), data=st.data())
def test_after_a_cut_an_as_of_answer_is_unchanged_or_refused(
    lab: LastingLab, world: World, day: int, data: st.DataObject
) -> None:
    """After a cut, kept windows have their old values; a moment before the last deletion is refused."""
    lab.empty()
    tenant = lab.tenant(world.zone, world.calendar)
    answers = told(lab, tenant, split(world.everything, data, len(ROUNDS)), world, Grain.DAY)
    lab.cut(tenant, local_midnight(local_day(world.start, world.zone) + timedelta(days=day), tenant.tz))
    for at, answer in zip(ROUNDS, answers, strict=True):
        try:
            after = recalled(lab, tenant, at, world, Grain.DAY)
        except BadQuestionError as error:
            assert "past retention" in str(error)
            continue
        for then, now in zip(answer["rows"], after["rows"], strict=True):
            known = [name for name in EVERYTHING if now.get(f"{name}.state") != State.GONE and name not in OVER_ALL]
            assert {name: now[name] for name in known} == {name: then[name] for name in known}
    assert recalled(lab, tenant, ROUNDS[-1], world, Grain.DAY) is not None


OVER_ALL = ("contact_engagement_score",)
"""Numbers over all actions of a contact, of which only kept ones count."""


@examples(0.5)
@given(world=worlds(), data=st.data())
def test_an_erased_contact_is_gone_from_the_past(lab: LastingLab, world: World, data: st.DataObject) -> None:
    """As of any arrival, a tenant that erased a contact answers like one that never got its events."""
    lab.empty()
    had, never = lab.tenant(world.zone), lab.tenant(world.zone)
    name = data.draw(st.sampled_from(("k1", "k2")))
    batches = split(world.everything, data, len(ROUNDS))
    told(lab, had, batches, world, Grain.TOTAL)
    without = [[event for event in batch if event.contact_id != name] for batch in batches]
    answers = told(lab, never, without, world, Grain.TOTAL)
    erase.erase(lab.store, erase.find(lab.store, had, name, "digest"))
    for at, answer in zip(ROUNDS, answers, strict=True):
        assert recalled(lab, had, at, world, Grain.TOTAL)["rows"] == answer["rows"]


def test_a_future_as_of_is_refused(lab: LastingLab) -> None:
    """`as_of` in the future is refused."""
    lab.empty()
    with pytest.raises(BadQuestionError, match="future"):
        lab.ask(lab.tenant(), ["messages"], utc(2026, 1, 1), utc(2026, 2, 1), as_of=lab.now + timedelta(seconds=1))
