"""Conversations closed by silence are the oracle's, at any moment, in any order of arrival, under any setting."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from hubbub.facts.rebuild import rebuild
from hubbub.facts.verify import verify
from hubbub.model.event import Event
from hubbub.model.question import Question
from hubbub.model.tenant import Tenant
from hubbub.model.threads import Threads
from hubbub.model.window import Grain, windows
from hubbub.query.conversations import Wanted, conversations
from hubbub.query.live import members
from tests.laws.conftest import Lab
from tests.laws.oracle import Oracle
from tests.laws.strategies import THEMES, World, deliveries, worlds
from tests.laws.test_laws import examples

STATES = (
    "open_conversations", "waiting_conversations", "oldest_waiting_ms", "unassigned_conversations", "closed_conversations",
    "total_conversations",
)  # fmt: skip
TALKS = THEMES[:3]


def _check(lab: Lab, tenant: Tenant, world: World, sent: list[Event], grain: Grain) -> None:
    """Compare the states at the end of each window, and the lists of conversations, with the oracle's."""
    oracle = Oracle(sent, tenant.zone, silence=tenant.threads.silence_days)
    cut = list(windows(world.start, world.end, grain, tenant.tz))
    answer = lab.ask(tenant, STATES, world.start, world.end, grain)
    for window, row in zip(cut, answer.rows, strict=True):
        numbers = oracle.numbers(window.start, min(window.end, world.end), lab.now)
        expected = {name: numbers[name] for name in STATES}
        assert {name: cell.value for name, cell in row.cells.items()} == expected, (grain, window, tenant.threads)
    _lists(lab, tenant, world, cut[len(cut) // 2].end)


def _lists(lab: Lab, tenant: Tenant, world: World, end: datetime) -> None:
    """The members of a state, and the listed conversations, are as many as the metric says."""
    (row,) = lab.ask(tenant, STATES, world.start, end).rows
    for name in ("open_conversations", "waiting_conversations", "closed_conversations"):
        question = Question((name,), world.start, end)
        assert len(members(lab.queries, tenant, question, limit=1000)) == row.cells[name].value, name
    listed = conversations(lab.queries, tenant, Wanted(world.start, end, bots=True), limit=1000).rows
    states = [one.state for one in listed]
    assert states.count("open") + states.count("waiting") == row.cells["open_conversations"].value
    assert states.count("waiting") == row.cells["waiting_conversations"].value
    assert states.count("resolved") + states.count("silent") == row.cells["closed_conversations"].value
    assert tenant.threads.silence_days or "silent" not in states


@examples(6)
@given(world=worlds(least=4, most=24, corrected=True, themes=TALKS), data=st.data())
def test_silence_closes_and_a_message_opens_again(lab: Lab, world: World, data: st.DataObject) -> None:
    """After every batch and change of setting, the states at any moment are the oracle's; verify finds no difference."""
    lab.empty()
    tenant, sent = lab.tenant(world.zone), list[Event]()
    for batch in data.draw(deliveries(world.everything)):
        lab.send(tenant, batch)
        sent += batch
        days = data.draw(st.sampled_from((0, 1, 1, 2, 3, 7)))
        tenant = replace(tenant, threads=Threads(silence_days=days))
        if data.draw(st.booleans()):
            lab.refresh(tenant)
            rebuild(lab.store, tenant.no)
        _check(lab, tenant, world, sent, data.draw(st.sampled_from((Grain.TOTAL, Grain.DAY, Grain.HOUR))))
    assert verify(lab.store, [tenant]).differences == {}


def test_a_conversation_closes_exactly_after_its_silent_days(lab: Lab) -> None:
    """A conversation is open until exactly N days have passed, closed one microsecond later, and open again after a message."""
    lab.empty()
    tenant = replace(lab.tenant(), threads=Threads(silence_days=14))
    start, us = datetime.fromisoformat("2026-03-02T09:00:00+00:00"), timedelta(microseconds=1)
    again = start + timedelta(days=20)
    lab.send(tenant, [
        Event(type="message.received", id="a", time=start, conversation_id="c", contact_id="k"),
        Event(type="message.received", id="b", time=again, conversation_id="c", contact_id="k"),
    ])  # fmt: skip

    def open_at(moment: datetime) -> object:
        (row,) = lab.ask(tenant, ["open_conversations"], start - timedelta(days=1), moment).rows
        return row.cells["open_conversations"].value

    last = start + timedelta(days=14)
    moments = (
        start,
        start + us,
        last,
        last + us,
        again,
        again + us,
        again + timedelta(days=14),
        again + timedelta(days=15),
    )
    assert [open_at(moment) for moment in moments] == [0, 1, 1, 0, 0, 1, 1, 0]
