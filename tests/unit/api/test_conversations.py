"""Conversations, events, flagged messages, members and minutes behind the numbers, over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.api.conftest import Face, event

DAY = {"from": "2026-08-01", "to": "2026-08-02"}


@pytest.fixture
def talked(face: Face) -> Face:
    """One answered conversation, one that waits, and a complaint."""
    sent = [
        event("a1", 9, conversation_id="a", contact_id="kim", attributes={"text": "Is the pool open?"}),
        event("a2", 10, conversation_id="a", type="message.sent", staff_id="ada"),
        event("b1", 11, conversation_id="b", contact_id="lee", message_id="m1", attributes={"text": "Too loud!"}),
        event("b2", 11, conversation_id="b", type="topic.classified", message_id="m1", topic="complaint"),
    ]
    assert face.post(sent).json()["accepted"] == 4
    return face


def ask(face: Face, path: str, **params: Any) -> Any:
    """Return the body of a successful answer."""
    answer = face.get(path, **params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_conversations_are_listed_with_their_state(talked: Face) -> None:
    """Conversations come newest first, page by page, filtered by state and text; a bad state or range is 400."""
    rows = ask(talked, "/v1/conversations", **DAY)["rows"]
    assert [(row["conversation_id"], row["messages"], row["contact_id"]) for row in rows] == [
        ("b", 1, "lee"),
        ("a", 2, "kim"),
    ]
    assert [row["conversation_id"] for row in ask(talked, "/v1/conversations", **DAY, state="waiting")["rows"]] == ["b"]
    assert [row["conversation_id"] for row in ask(talked, "/v1/conversations", **DAY, text="pool")["rows"]] == ["a"]
    first = ask(talked, "/v1/conversations", **DAY, limit=1)
    assert [
        row["conversation_id"] for row in ask(talked, "/v1/conversations", **DAY, cursor=first["next"])["rows"]
    ] == ["a"]
    assert face_status(talked, "/v1/conversations", **DAY, state="asleep") == 400
    assert face_status(talked, "/v1/conversations", **{"from": DAY["to"], "to": DAY["from"]}) == 400


def face_status(face: Face, path: str, **params: Any) -> int:
    """Return the status of a request."""
    return face.get(path, **params).status_code


def test_a_conversation_has_its_people_state_and_episodes(talked: Face) -> None:
    """A conversation has its people, state and episodes, with times in UTC; an unknown id is 404."""
    one = ask(talked, "/v1/conversations/detail", id="a")
    assert (one["messages"], one["contact_id"], one["staff_id"], len(one["episodes"])) == (2, "kim", "ada", 1)
    assert one["first_at"] == "2026-08-01T09:00:00Z"
    (episode,) = one["episodes"]
    assert (episode["first_response_ms"], episode["first_staff_id"], episode["resolved_at"]) == (3_600_000, "ada", None)
    assert face_status(talked, "/v1/conversations/detail", id="nobody") == 404


def test_whole_events_need_the_scope_to_export(talked: Face) -> None:
    """Whole events, with the wait that a reply ended, need the scope export; a key with read only gets 403."""
    asked = {
        "/v1/conversations/events": {"id": "a"},
        "/v1/conversations/event": {"source": "api", "id": "a1"},
        "/v1/conversations/flagged": DAY,
    }
    for path, params in asked.items():
        key = talked.engine.keys.add("acme", scopes=["read"]).key
        assert face_status(Face(talked.engine, talked.http, key), path, **params) == 403
    exporting = Face(talked.engine, talked.http, talked.engine.keys.add("acme", scopes=["export"]).key)
    rows = ask(exporting, "/v1/conversations/events", id="a")["rows"]
    assert [(row["event"]["id"], row["waited_ms"]) for row in rows] == [("a1", None), ("a2", 3_600_000)]
    assert rows[0]["event"]["attributes"] == {"text": "Is the pool open?"}
    assert rows[1]["asked_at"] == "2026-08-01T09:00:00Z"
    source = rows[0]["event"]["source"]
    assert ask(exporting, "/v1/conversations/event", source=source, id="a1")["event"] == rows[0]["event"]
    assert face_status(exporting, "/v1/conversations/event", source=source, id="none") == 404
    assert face_status(exporting, "/v1/conversations/events", id="none") == 404
    (flagged,) = ask(exporting, "/v1/conversations/flagged", **DAY)["rows"]
    assert (flagged["topic"], flagged["text"], flagged["conversation_id"]) == ("complaint", "Too loud!", "b")


def test_members_are_as_many_as_the_metric_says(talked: Face) -> None:
    """The list names each member with its time and channel, as many as the metric counts; a metric of a range is refused."""
    answer = ask(talked, "/v1/conversations/members", metric="oldest_waiting_ms", at="2026-08-01T12:00:00Z")
    assert [(row["id"], row["since"], row["dimensions"]["channel"]) for row in answer["rows"]] == [
        ("b", "2026-08-01T11:00:00Z", "sms")
    ]
    assert face_status(talked, "/v1/conversations/members", metric="messages") == 400


def test_counts_have_a_row_for_each_minute(talked: Face) -> None:
    """There is a row for each minute; more than 1,000 minutes, or a metric that is no count, are refused."""
    rows = ask(talked, "/v1/conversations/minutes", metric=["messages_received", "messages_sent"], minutes=1000)["rows"]
    assert len(rows) == 1000
    assert set(rows[0]["values"]) == {"messages_received", "messages_sent"}
    assert face_status(talked, "/v1/conversations/minutes", metric="messages_received", minutes=1001) in (400, 422)
    assert face_status(talked, "/v1/conversations/minutes", metric="csat") == 400
