"""Chatwoot's API gives the messages of a day with the ids of its webhooks, also while people write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from hubbub.errors import UpstreamRefusedError, UpstreamUnavailableError
from hubbub.ingest.connectors.base import Notes
from hubbub.ingest.connectors.chatwoot import ChatwootAccount
from hubbub.ingest.receivers.base import Options
from hubbub.ingest.receivers.chatwoot import message_received
from hubbub.ingest.receivers.fields import Fields
from hubbub.outgoing.http import Outgoing
from tests.platforms import TOKEN
from tests.services import Call, Reply, in_turn, service
from tests.unit.ingest.connectors.conftest import DAY, HOUR, NOON, fetched, integration

AGENT = {"id": 7, "name": "Ada", "type": "user"}
CONTACT = {"id": 41, "name": "Noor", "type": "contact"}


@dataclass
class Desk:
    """A Chatwoot account: conversations with messages; `meanwhile` runs once, after the first page."""

    messages: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    page: int = 2
    meanwhile: Callable[[], None] | None = None

    def write(self, talk: int, id_: int, at: int, **fields: Any) -> None:
        """Add a message to a conversation."""
        sender = CONTACT if fields.get("message_type", 0) == 0 else AGENT
        self.messages.setdefault(talk, []).append({
            "id": id_, "content": "words", "message_type": 0, "created_at": at, "private": False, "conversation_id": talk,
            "status": "sent", "content_attributes": {}, "sender": sender, **fields,
        })  # fmt: skip

    def conversation(self, talk: int) -> dict[str, Any]:
        """Return a conversation as the API lists it."""
        times = [one["created_at"] for one in self.messages[talk]]
        return {
            "id": talk, "account_id": 3, "inbox_id": 12, "meta": {"sender": CONTACT, "channel": "Channel::WebWidget"},
            "status": "open", "created_at": min(times), "last_activity_at": max(times), "messages": [],
        }  # fmt: skip

    def __call__(self, call: Call) -> Reply:
        """Answer a call."""
        if call.headers.get("api_access_token") != TOKEN:
            return Reply({"errors": ["Invalid Access Token"]}, 401)
        parts = call.path.split("/")
        if parts[-1] == "messages":
            before = int(call.query.get("before", 10**9))
            mine = [one for one in self.messages[int(parts[-2])] if one["id"] < before]
            return Reply({"meta": {}, "payload": sorted(mine, key=lambda one: one["id"])[-self.page :]})
        assert {"status": "all", "sort_by": "last_activity_at_desc"}.items() <= call.query.items()
        listed = sorted((self.conversation(talk) for talk in self.messages), key=lambda one: -one["last_activity_at"])
        start = (int(call.query["page"]) - 1) * self.page
        answer = Reply({"data": {"meta": {}, "payload": listed[start : start + self.page]}})
        if self.meanwhile is not None:
            done, self.meanwhile = self.meanwhile, None
            done()
        return answer


def account(url: str, **settings: Any) -> Any:
    """Return an integration with account 3."""
    return integration("chatwoot", url, account_id="3", **settings)


def ids(desk: Desk, out: Outgoing) -> list[str]:
    """Return the ids of a day's events."""
    with service(desk) as there:
        return sorted(str(event.id) for event in fetched(ChatwootAccount(out), account(there.url)))


def test_a_fetched_day_gives_the_events_of_its_webhooks(out: Outgoing) -> None:
    """A day's messages are the events of their webhooks, over all pages; conversations of other days are not fetched."""
    desk = Desk()
    for n in range(5):
        desk.write(205, 900 + n, NOON + n, message_type=n % 2, status="read" if n == 3 else "sent")
    desk.write(205, 905, NOON + 9, message_type=1, private=True)
    desk.write(205, 906, NOON + 10, message_type=2)
    desk.write(206, 800, NOON - 24 * HOUR)
    desk.write(206, 907, NOON + HOUR)
    desk.write(207, 700, NOON - 30 * HOUR)
    desk.write(208, 950, NOON + 14 * HOUR)
    with service(desk) as there:
        events = fetched(ChatwootAccount(out), account(there.url))
        asked = [call.path.split("/")[-2] for call in there.calls if call.path.endswith("/messages")]
    found = {event.id: event for event in events}
    assert set(found) == {
        *(f"chatwoot:{n}" for n in (900, 901, 902, 903, 904, 905, 907)), "chatwoot:903:read", "conversation:chatwoot:3:205:started",
    }  # fmt: skip
    assert set(asked) == {"205", "206"}
    webhook = {
        "event": "message_created", "id": 903, "content": "words", "message_type": "outgoing", "private": False, "sender": AGENT,
        "created_at": datetime.fromtimestamp(NOON + 3, UTC).isoformat(), "account": {"id": 3}, "inbox": {"id": 12},
        "conversation": {"id": 205, "inbox_id": 12, "channel": "Channel::WebWidget", "meta": {"sender": CONTACT}},
    }  # fmt: skip
    told = message_received(Fields(webhook), Options("int_1"), datetime.now(UTC)).events[0]
    mine = found["chatwoot:903"]
    assert {name: getattr(mine, name) for name in told} == dict(told)
    assert (found["chatwoot:905"].status, found["chatwoot:903:read"].type) == ("private", "message.read")


def test_a_conversation_that_moves_while_the_list_is_read_is_read(out: Outgoing) -> None:
    """A conversation that moves to the front before its page was read is still read."""
    desk = Desk()
    for talk in range(200, 206):
        desk.write(talk, talk * 10, NOON + talk)
    desk.meanwhile = lambda: desk.write(200, 9_999, NOON + 20 * HOUR)
    assert [f"chatwoot:{talk * 10}" for talk in range(200, 206)] == [
        one for one in ids(desk, out) if one and one[:9] == "chatwoot:"
    ]


def test_an_interrupted_fetch_resumes(out: Outgoing) -> None:
    """A resumed fetch does not read finished conversations again."""
    desk = Desk()
    for talk in range(200, 204):
        desk.write(talk, talk * 10, NOON + talk)
    with service(desk) as there:
        fetched(ChatwootAccount(out), account(there.url))
        notes = Notes(place={"done": ["200", "203"]})
        before = len(there.calls)
        list(ChatwootAccount(out).fetch(account(there.url), TOKEN, DAY, notes))
        asked = {call.path.split("/")[-2] for call in there.calls[before:] if call.path.endswith("/messages")}
    assert asked == {"201", "202"}
    assert notes.place == {"done": ["200", "201", "202", "203"]}


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply({"errors": ["no"]}, 401), UpstreamRefusedError), (Reply(b"", 502), UpstreamUnavailableError),
        (Reply(b"<html>", 200), UpstreamUnavailableError), (Reply([], 200), UpstreamUnavailableError),
        (Reply({"data": {"payload": [{"id": 1}]}}), UpstreamUnavailableError),
    ],
)  # fmt: skip
def test_unusable_answers_of_chatwoot_raise_the_right_error(
    out: Outgoing, reply: Reply, error: type[Exception]
) -> None:
    """Refusals, outages and unreadable answers raise the right error, without the token."""
    with service(in_turn(reply)) as there, pytest.raises(error) as caught:
        fetched(ChatwootAccount(out), account(there.url))
    assert TOKEN not in str(caught.value)


def test_a_missing_account_is_refused_by_its_setting(out: Outgoing) -> None:
    """Fetching days of an integration that only receives is refused, with the setting that is missing."""
    with pytest.raises(UpstreamRefusedError, match="account_id"):
        fetched(ChatwootAccount(out), integration("chatwoot", "http://127.0.0.1:9"))
