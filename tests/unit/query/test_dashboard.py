"""The dashboard: a day so far against the same part of an earlier day, for a tenant or an account, at any moment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hubbub.errors import BadQuestionError
from tests.unit.query.conftest import Desk

NOW = datetime(2026, 8, 12, 12, 0, tzinfo=UTC)  # a Wednesday, 14:00 in Berlin


@pytest.fixture
def acme(desk: Desk) -> Desk:
    """A desk at two in the afternoon in Berlin, with one tenant."""
    desk.now = NOW
    desk.add("acme", "Europe/Berlin")
    return desk


def asked(when: datetime, conversation: str, **fields: Any) -> dict[str, Any]:
    """Return an inbound message."""
    return {"type": "message.received", "time": when.isoformat(), "conversation_id": conversation, **fields}


def test_a_day_so_far_is_compared_with_the_same_part_of_another(acme: Desk) -> None:
    """The day until 14:00 is compared with yesterday, or the same weekday, until 14:00; bad options are refused."""
    day = timedelta(days=1)
    times = [
        NOW - timedelta(hours=1), NOW - day - timedelta(hours=1), NOW - day - timedelta(hours=2), NOW - day + timedelta(hours=1),
        *[NOW - 7 * day - timedelta(minutes=n) for n in range(5)], NOW - 7 * day + timedelta(hours=1),
    ]  # fmt: skip
    acme.record("acme", [asked(when, f"c{n}") for n, when in enumerate(times)])
    assert acme.dashboard("acme")["today"]["messages_received"]["previous"] == 2
    assert (
        acme.dashboard("acme", against="week")["today"]["messages_received"]["previous"] == 4
    )  # the one at 14:00 sharp is later
    week = acme.dashboard("acme", days=7)
    assert (week["days"], week["today"]["messages_received"]["value"]) == (7, 4)
    assert week["today"]["messages_received"]["previous"] == 4
    for wrong in (
        {"days": 0},
        {"days": 367},
        {"against": "never"},
        {"days": 2, "against": "week"},
        {"at": "2027-01-01"},
    ):
        with pytest.raises(BadQuestionError):
            acme.dashboard("acme", **wrong)


def test_a_conversation_waits_since_its_first_unanswered_message(acme: Desk) -> None:
    """A conversation waits since its first unanswered message, at the present and at a past moment, for a tenant and an
    account.
    """
    first = NOW - timedelta(days=3)
    acme.record(
        "acme",
        [
            asked(first, "waits"), asked(first + timedelta(hours=5), "waits"),
            asked(first, "answered"), {**asked(first + timedelta(hours=1), "answered"), "type": "message.sent"},
            asked(first, "again"), {**asked(first + timedelta(hours=1), "again"), "type": "message.sent"},
            asked(first + timedelta(hours=30), "again", account_id="desk"),
            asked(first, "noted"), {**asked(first + timedelta(hours=1), "noted"), "type": "message.sent", "status": "private"},
            asked(first, "done"), {**asked(first + timedelta(hours=2), "done"), "type": "conversation.resolved"},
            {**asked(first + timedelta(hours=3), "again", staff_id="ann"), "type": "conversation.assigned"},
        ],
    )  # fmt: skip
    now = acme.states("acme")["now"]
    assert (now["open_conversations"], now["waiting_conversations"], now["unassigned_conversations"]) == (4, 3, 3)
    assert now["oldest_waiting_ms"] == 3 * 86_400_000
    assert acme.dashboard("acme")["now"] == now
    then = acme.states("acme", at=(first + timedelta(minutes=90)).isoformat())
    assert (then["now"]["open_conversations"], then["now"]["waiting_conversations"]) == (5, 3)
    assert then["now"]["oldest_waiting_ms"] == 90 * 60_000
    assert acme.dashboard("acme", at=(first + timedelta(minutes=90)).isoformat())["now"] == then["now"]
    desk = acme.states("acme", account="desk")["now"]
    assert (desk["waiting_conversations"], desk["oldest_waiting_ms"]) == (1, 42 * 3_600_000)
    assert acme.states("acme", account="nobody")["now"]["oldest_waiting_ms"] is None


def test_a_past_day_is_shown_as_it_stood(acme: Desk) -> None:
    """At a past moment the day ends there and is compared over equal time; midnight shows the whole day before."""
    base = datetime(2026, 8, 9, 22, 0, tzinfo=UTC)  # the start of Monday in Berlin
    acme.record("acme", [asked(base + timedelta(hours=n), f"c{n}") for n in range(48)])
    found = acme.dashboard("acme", at="2026-08-11T06:00:00+02:00")
    assert (found["day"], found["today"]["messages_received"]["value"]) == ("2026-08-11", 6)
    assert found["today"]["messages_received"]["previous"] == 6
    whole = acme.dashboard("acme", at="2026-08-12")
    assert (whole["day"], whole["today"]["messages_received"]["value"]) == ("2026-08-11", 24)
