"""The Overview of a tenant with Slack only lists unanswered questions."""

from __future__ import annotations

import re

import pytest

from hubbub.dashboard.source_links import slack_link
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
    """Answered questions and threads without a question are not listed; rows link to their conversations."""
    for name, hour, asks, answered in (
        ("q-late", 9, True, False),
        ("q-early", 8, True, False),
        ("q-done", 7, True, True),
        ("chat", 6, False, False),
    ):
        _thread(visitor, name, hour, asks=asks, answered=answered)
    shown = visitor.see(WIDGET)
    assert "2 of 3 questions have no answer" in shown
    assert "Threads that wait for a reply" in shown and "state=waiting" in visitor.page(WIDGET)
    assert ">Questions without an answer</h2>" in visitor.page(f"/t/acme/overview?{VIEW}")
    assert shown.index("Wed 19 Aug 2026, 10:00") < shown.index("Wed 19 Aug 2026, 11:00")
    assert "2026, 09:00" not in shown and "2026, 08:00" not in shown
    assert "/t/acme/conversation?" in visitor.page(WIDGET)


def test_the_news_name_unanswered_questions(visitor: Visitor) -> None:
    """The news count the questions without an answer and link to them, though nothing is unusual; none without such a question."""
    news = WIDGET.replace("unanswered?", "news?")
    _thread(visitor, "q-done", 7, asks=True, answered=True)
    assert "have no answer" not in visitor.see(news) and "has no answer" not in visitor.see(news)
    _thread(visitor, "q-early", 8, asks=True, answered=False)
    assert "Questions. 1 question has no answer. Show them" in visitor.see(news)
    _thread(visitor, "q-late", 9, asks=True, answered=False)
    assert "Questions. 2 questions have no answer. Show them" in visitor.see(news)
    assert re.search(r'href="/t/acme/explain\?[^"]*metric=questions_unanswered[^"]*">Show them', visitor.page(news))


def test_a_question_without_a_text_shows_time_author_and_channel(visitor: Visitor) -> None:
    """A question without a stored text is shown by time, author and channel; its id is in the CSV only."""
    _thread(visitor, "C0ABC:1755590400.000100", 8, asks=True, answered=False)
    shown = visitor.see(WIDGET)
    assert all(text in shown for text in ("Wed 19 Aug 2026, 10:00", "U1", "C1")) and "1755590400" not in shown
    assert "C0ABC:1755590400.000100" in visitor.page(WIDGET.replace("unanswered?", "unanswered.csv?"))
    assert "In Slack" not in shown


def test_a_row_links_to_its_message_in_slack(visitor: Visitor) -> None:
    """With the address of its only workspace, rows link to Slack; with two workspaces they do not."""
    _thread(visitor, "C0ABC:1755590400.000100", 8, asks=True, answered=False)
    add = visitor.engine.integrations.add
    add("acme", "slack", "xoxb-1", "one", {"workspace_url": "https://acme.slack.com"})
    link = 'href="https://acme.slack.com/archives/C0ABC/p1755590400000100"'
    assert link in visitor.page(WIDGET)
    add("acme", "slack", "xoxb-2", "two", {"workspace_url": "https://other.slack.com"})
    assert link not in visitor.page(WIDGET)


@pytest.mark.parametrize(
    "id_", [None, "", "q-1", "C0ABC:1755590400", "javascript:1755590400.000100", "C0/..:1755590400.000100"]
)
def test_an_id_of_another_source_has_no_link(id_: str | None) -> None:
    """Only a channel's id and a timestamp make a link; no other id does."""
    assert slack_link("https://acme.slack.com", id_) == slack_link("", "C0ABC:1755590400.000100") == ""


def test_without_an_open_question_the_panel_says_so(visitor: Visitor) -> None:
    """If all questions are answered the panel says so; without any question it lists threads that wait for a reply."""
    _thread(visitor, "chat", 6, asks=False, answered=False)
    assert "1 thread waits" in visitor.see(WIDGET) and "Wed 19 Aug 2026, 08:00" in visitor.see(WIDGET)
    _thread(visitor, "q-done", 7, asks=True, answered=True)
    assert "Every question of these days has an answer (1)." in visitor.see(WIDGET)


def test_a_question_outside_any_thread_leads_to_its_event(visitor: Visitor) -> None:
    """A question without a conversation shows its text and author, and links to the stored event."""
    visitor.engine.record("acme", {
        "type": "message.received", "id": "q-alone", "time": "2026-08-19T08:00:00Z", "source": "slack", "channel": "slack",
        "channel_id": "C1", "contact_id": "U7", "asks": True, "attributes": {"text": "Who has\nthe key?"},
    }, history=True)  # fmt: skip
    shown, html = visitor.see(WIDGET), visitor.page(WIDGET)
    assert "Who has the key?" in shown and "U7" in shown
    assert "/files/event/json?source=slack&amp;id=q-alone" in html and "/t/acme/conversation?" not in html
    behind = f"/t/acme/explain/events{{}}?metric=questions_unanswered&start=2026-08-18&end=2026-08-21&{VIEW}"
    listed = visitor.page(behind.format(""))
    assert re.search(r'<a href="/t/acme/files/event/json[^"]*id=q-alone">Who has the key\?</a>', listed)
    assert ">q-alone<" not in listed and "q-alone" in visitor.page(behind.format(".csv"))
    _thread(visitor, "chat", 6, asks=False, answered=False)
    waiting = behind.format("").replace("questions_unanswered", "waiting_conversations")
    assert "Wed 19 Aug 2026, 08:00" in visitor.see(waiting) and "2026-08-19" not in visitor.see(waiting)
