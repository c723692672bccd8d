"""A message labelled closing starts no clock: numbers are the oracle's, whenever labels come and change."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from hubbub.facts.rebuild import rebuild
from hubbub.model.event import Event
from tests.laws.conftest import Lab
from tests.laws.oracle import Oracle
from tests.laws.strategies import TALKS, World, deliveries, worlds
from tests.laws.test_laws import BY_ROLLUP, examples, same

NAMES = [
    name
    for rollup in (
        "responses", "handled", "conversations", "first_responses", "first_person_responses", "resolutions", "ai_outcomes",
        "ai_hand_offs", "conversation_states",
    )
    for name in BY_ROLLUP[rollup]
]  # fmt: skip
INTENTS = ("closing", "closing", "question", None)


@st.composite
def _labels(draw: st.DrawFn, world: World) -> list[Event]:
    """Label some messages; some labels get a revision: another intent, none, or a retraction."""
    labels = []
    for number, message in enumerate(event for event in world.everything if event.type == "message.received"):
        intent = draw(st.sampled_from(INTENTS))
        if intent is None:
            continue
        label = Event(
            type="intent.classified", time=message.time, id=f"intent-{number}", source="labels", intent=intent,
            conversation_id=message.conversation_id, message_id=message.message_id or message.id, revision=1,
        )  # fmt: skip
        labels.append(label)
        if draw(st.booleans()):
            again = draw(st.sampled_from(("intent.classified", "intent.confidence_low", "label.retracted")))
            other = draw(st.sampled_from(("closing", "question"))) if again == "intent.classified" else None
            labels.append(msgspec.structs.replace(label, type=again, intent=other, revision=2))
    return labels


@examples(2)
@given(world=worlds(themes=TALKS, corrected=True), data=st.data())
def test_closing_messages_start_no_clock(lab: Lab, world: World, data: st.DataObject) -> None:
    """After each batch, with labels and revisions in any order, waits, episodes and states are the oracle's; a rebuild
    changes no row.
    """
    lab.empty()
    tenant = lab.tenant(world.zone, world.calendar)
    sent: list[Event] = []
    for batch in data.draw(deliveries([*world.everything, *data.draw(_labels(world))])):
        lab.send(tenant, batch)
        sent += batch
        expected = Oracle(sent, world.zone, world.calendar).numbers(world.start, world.end, lab.now)
        (row,) = lab.ask(tenant, NAMES, world.start, world.end).rows
        wrong = {
            name: (cell.value, expected[name])
            for name, cell in row.cells.items()
            if name in expected and not same(cell.value, expected[name])
        }
        assert wrong == {}
    rows = lab.stored(tenant)
    rebuild(lab.store, tenant.no)
    assert lab.stored(tenant) == rows


def test_a_late_label_corrects_earlier_numbers(lab: Lab) -> None:
    """A thanks after the resolve opens a waiting episode until its label arrives, and again once the label is retracted."""
    lab.empty()
    tenant = lab.tenant()
    start = lab.now - timedelta(days=30)

    def event(hours: float, type_: str, name: str, **more: Any) -> Event:
        return Event(type=type_, time=start + timedelta(hours=hours), id=name, conversation_id="c", **more)

    lab.send(tenant, [
        event(1, "message.received", "ask"), event(2, "message.sent", "reply"), event(3, "conversation.resolved", "end"),
        event(30, "message.received", "thanks"),
    ])  # fmt: skip
    names = ["conversations_started", "waiting_conversations", "open_conversations", "responses", "messages_received"]

    def counted() -> list[object]:
        (row,) = lab.ask(tenant, names, start, lab.now).rows
        return [row.cells[name].value for name in names]

    assert counted() == [2, 1, 1, 1, 2]
    label = event(30, "intent.classified", "label", message_id="thanks", intent="closing")
    lab.send(tenant, [label])
    assert counted() == [1, 0, 0, 1, 2]
    lab.send(tenant, [msgspec.structs.replace(label, type="label.retracted", intent=None, revision=1)])
    assert counted() == [2, 1, 1, 1, 2]
