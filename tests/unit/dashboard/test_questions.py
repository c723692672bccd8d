"""The Overview of a tenant with Slack alone lists the questions that nobody has answered."""

from __future__ import annotations

from tests.unit.dashboard.visiting import Visitor

VIEW = "from=2026-08-18&to=2026-08-21"
WIDGET = f"/t/acme/overview/unanswered?{VIEW}"


def _thread(visitor: Visitor, name: str, hour: int, *, asks: bool, answered: bool) -> None:
    root = {
        "type": "message.received", "id": name, "conversation_id": name, "time": f"2026-08-19T{hour:02}:00:00Z", "source": "slack",
        "channel": "slack", "channel_id": "C1", "contact_id": "U1", "asks": asks,
    }  # fmt: skip
    reply = {
        **root,
        "type": "message.sent",
        "id": f"{name}-reply",
        "time": f"2026-08-19T{hour:02}:30:00Z",
        "staff_id": "U2",
    }
    visitor.engine.record("acme", [root, {**reply, "contact_id": None}] if answered else [root], history=True)


def test_questions_without_an_answer_are_listed_the_longest_first(visitor: Visitor) -> None:
    """An answered question and a thread that asks nothing are not in the list; each row leads to its conversation."""
    for name, hour, asks, answered in (
        ("q-late", 9, True, False),
        ("q-early", 8, True, False),
        ("q-done", 7, True, True),
        ("chat", 6, False, False),
    ):
        _thread(visitor, name, hour, asks=asks, answered=answered)
    shown = visitor.see(WIDGET)
    assert "2 of 3 questions have no answer" in shown
    assert shown.index("q-early") < shown.index("q-late")
    assert "q-done" not in shown and "chat" not in shown
    assert "/t/acme/conversation?" in visitor.page(WIDGET)


def test_without_an_open_question_the_panel_says_so(visitor: Visitor) -> None:
    """All answered is a sentence; no question at all leaves the threads that wait for a reply."""
    _thread(visitor, "chat", 6, asks=False, answered=False)
    assert "chat" in visitor.see(WIDGET)
    _thread(visitor, "q-done", 7, asks=True, answered=True)
    assert "Every question of these days has an answer (1)." in visitor.see(WIDGET)


def test_a_question_outside_any_thread_leads_to_its_event(visitor: Visitor) -> None:
    """It stands in no conversation: its words and author are in the row, and its link opens the stored event."""
    visitor.engine.record("acme", {
        "type": "message.received", "id": "q-alone", "time": "2026-08-19T08:00:00Z", "source": "slack", "channel": "slack",
        "channel_id": "C1", "contact_id": "U7", "asks": True, "attributes": {"text": "Who has\nthe key?"},
    }, history=True)  # fmt: skip
    shown, html = visitor.see(WIDGET), visitor.page(WIDGET)
    assert "Who has the key?" in shown and "U7" in shown
    assert "/files/event/json?source=slack&amp;id=q-alone" in html and "/t/acme/conversation?" not in html
