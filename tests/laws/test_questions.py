"""Questions and their answers are the oracle's, in any order of arrival and under any settings."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hubbub.model.event import Event
from hubbub.model.threads import Threads
from tests.laws.asked import question_waits
from tests.laws.conftest import Lab
from tests.laws.oracle import surviving, utc, whole_ms
from tests.laws.strategies import deliveries
from tests.laws.test_laws import examples, same

START = utc(2026, 3, 2)
NAMES = ("questions", "questions_answered", "questions_unanswered", "question_answer_rate")
SIGNS = ("white_check_mark", "eyes", "done")
_TYPES = (
    "message.received", "message.received", "message.received", "message.sent", "message.sent", "message.reacted",
    "message.reacted", "intent.classified", "response.ai_generated",
)  # fmt: skip


@st.composite
def _events(draw: st.DrawFn, number: int) -> Event:
    kind, name = draw(st.sampled_from(_TYPES)), f"e{number}"
    thread = draw(st.sampled_from((None, "e0", "e1", "e2", name)))
    talks = kind.startswith(("message.", "response."))
    return Event(
        type=kind, id=name, time=START + timedelta(minutes=draw(st.integers(0, 5))), channel="slack",
        channel_id=draw(st.sampled_from(("general", "help"))), conversation_id=thread if talks else None,
        message_id=name if kind == "message.received" else draw(st.sampled_from(("e0", "e1", "e2", "e3"))),
        contact_id=draw(st.sampled_from(("u1", "u2", None))), staff_id=draw(st.sampled_from(("u1", "u9", None))),
        kind=draw(st.sampled_from((None, None, "person", "ai", "bot"))) if talks else None,
        status=draw(st.sampled_from((None, None, None, "private"))), campaign_id=draw(st.sampled_from((None, None, "p1"))),
        intent=draw(st.sampled_from(("question", "other"))) if kind == "intent.classified" else None,
        asks=draw(st.sampled_from((True, True, False, None))) if kind == "message.received" else None,
        signs=draw(st.sampled_from((None, "eyes", "done", "eyes,white_check_mark"))) if kind == "message.received"
        else draw(st.sampled_from(SIGNS)) if kind == "message.reacted" else None,
    )  # fmt: skip


def _expected(events: list[Event], threads: Threads, low: Any, high: Any) -> dict[str, Any]:
    known = surviving(events)
    first: dict[object, Event] = {}
    for event in sorted(known, key=lambda e: (e.conversation_id is None, e.time, e.id or "")):
        if event.type in ("message.received", "message.sent") and event.status != "private":
            first.setdefault((event.type, event.message_id), event)
    repeats = {
        id(e) for e in known
        if e.type in ("message.received", "message.sent") and e.status != "private" and first[e.type, e.message_id] is not e
    }  # fmt: skip
    waits = question_waits(
        known, lambda e: id(e) not in repeats, lambda at: low <= at < high, threads.help_channels, threads.answer_signs
    )
    answered = sum(wait is not False for wait in waits)
    times = [whole_ms(wait) for wait in waits if isinstance(wait, timedelta)]
    return {
        "questions": len(waits), "questions_answered": answered, "questions_unanswered": len(waits) - answered,
        "question_answer_rate": answered / len(waits) if waits else None,
        "question_answer_ms.count": len(times), "question_answer_ms.max": max(times, default=None),
    }  # fmt: skip


@examples(6)
@given(data=st.data(), count=st.integers(2, 14))
def test_question_metrics_equal_the_oracles_counts(lab: Lab, data: st.DataObject, count: int) -> None:
    """In any order of arrival, under any help channels and signs, in any range, every number is the oracle's."""
    lab.empty()
    tenant = lab.tenant()
    events = [data.draw(_events(number)) for number in range(count)]
    sent: list[Event] = []
    for batch in data.draw(deliveries(events)):
        lab.send(tenant, batch)
        sent += batch
        channels = data.draw(st.sampled_from(((), ("help",), ("general", "help"))))
        signs = data.draw(st.sampled_from((Threads().answer_signs, ("done",), ())))
        tenant = replace(tenant, threads=Threads(channels, signs))
        low = START + timedelta(minutes=data.draw(st.integers(0, 2)))
        high = low + timedelta(minutes=data.draw(st.integers(1, 5)))
        expected = _expected(sent, tenant.threads, low, high)
        (row,) = lab.ask(tenant, list(expected), low, high).rows
        wrong = {name: cell.value for name, cell in row.cells.items() if not same(cell.value, expected[name])}
        assert wrong == {}, expected
