"""Intercom's API gives the conversations of a day with the ids of its webhooks, also while people write."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from hubbub.errors import UpstreamRefusedError, UpstreamUnavailableError
from hubbub.ingest.connectors.base import Notes
from hubbub.ingest.connectors.intercom import IntercomWorkspace
from hubbub.ingest.receivers.base import Delivery, Options, with_source
from hubbub.ingest.receivers.intercom import Intercom
from hubbub.model.event import Event
from hubbub.outgoing.http import Outgoing
from tests.platforms import TOKEN
from tests.services import Call, Reply, in_turn, service
from tests.unit.ingest.connectors.conftest import DAY, HOUR, NOON, fetched, integration

USER, ADMIN = {"type": "user", "id": "u5", "name": "Noor"}, {"type": "admin", "id": "9", "name": "Ada"}


def part(id_: int, at: int, kind: str = "comment", author: dict[str, str] | None = None) -> dict[str, Any]:
    """Return a part of a conversation."""
    return {
        "type": "conversation_part", "id": str(id_), "part_type": kind, "body": "<p>words</p>" if kind == "comment" else None,
        "created_at": at, "updated_at": at, "author": author or ADMIN, "redacted": False,
    }  # fmt: skip


@dataclass
class Inbox:
    """An Intercom workspace: conversations by id with start and parts; `meanwhile` runs once, after the first page."""

    talks: dict[str, tuple[int, list[dict[str, Any]]]] = field(default_factory=dict)
    page: int = 2
    limit: int = 500
    meanwhile: Callable[[], None] | None = None
    gone: set[str] = field(default_factory=set)

    def talk(self, id_: str) -> dict[str, Any]:
        """Return a conversation as the search lists it, without its parts."""
        began, parts = self.talks[id_]
        source = {
            "type": "conversation",
            "id": f"s{id_}",
            "delivered_as": "customer_initiated",
            "body": "hi",
            "author": USER,
        }
        return {
            "type": "conversation", "id": id_, "created_at": began, "updated_at": max([began, *(p["created_at"] for p in parts)]),
            "source": source, "contacts": {"type": "contact.list", "contacts": [{"type": "contact", "id": "u5"}]},
            "priority": "not_priority", "state": "open", "open": True,
        }  # fmt: skip

    def whole(self, id_: str) -> dict[str, Any]:
        """Return a conversation with its newest parts."""
        parts = self.talks[id_][1]
        held = {"type": "conversation_part.list", "conversation_parts": parts[-self.limit :], "total_count": len(parts)}
        return {**self.talk(id_), "conversation_parts": held}

    def __call__(self, call: Call) -> Reply:
        """Answer a call."""
        if call.headers.get("authorization") != f"Bearer {TOKEN}":
            return Reply(
                {"type": "error.list", "errors": [{"code": "unauthorized", "message": "Access Token Invalid"}]}, 401
            )
        if call.path == "/me":
            return Reply({"type": "admin", "id": "9", "app": {"type": "app", "id_code": "ak1"}})
        if call.path != "/conversations/search":
            id_ = call.path.rpartition("/")[2]
            return Reply({"type": "error.list"}, 404) if id_ in self.gone else Reply(self.whole(id_))
        body = json.loads(call.body)
        (_, after), (_, before) = ((term["operator"], term["value"]) for term in body["query"]["value"])
        found = [self.talk(id_) for id_ in self.talks]
        found = sorted((one for one in found if one["updated_at"] > after and one["created_at"] < before),
                       key=lambda one: -one["updated_at"])  # fmt: skip
        start = int(body["pagination"].get("starting_after", 0))
        more = {"next": {"page": 2, "starting_after": str(start + self.page)}} if start + self.page < len(found) else {}
        answer = Reply(
            {
                "type": "conversation.list",
                "pages": {"type": "pages", **more},
                "conversations": found[start : start + self.page],
            }
        )
        if self.meanwhile is not None:
            done, self.meanwhile = self.meanwhile, None
            done()
        return answer


def webhook(item: dict[str, Any], topic: str) -> dict[str, dict[str, Any]]:
    """Return the events that the webhook of this conversation gives, by id."""
    body = json.dumps({"topic": topic, "app_id": "ak1", "data": {"item": item}}).encode()
    events = Intercom().read(Delivery("POST", "", {}, {}, body, datetime.now(UTC)), Options("int_1")).events
    return {str(event["id"]): with_source("intercom", event) for event in events}


def test_a_fetched_day_gives_the_events_of_its_webhooks(out: Outgoing) -> None:
    """Messages and steps of a day equal the webhooks' events in every field. Those of other days, and a deleted
    conversation, are left out.
    """
    inbox = Inbox({
        "1": (NOON, [part(11, NOON + 60), part(12, NOON + 90, "close")]),
        "2": (NOON - 30 * HOUR, [part(21, NOON - 29 * HOUR), part(22, NOON + 5, author=USER), part(23, NOON + 20 * HOUR)]),
        "3": (NOON, [part(31, NOON + 1)]), "4": (NOON + 15 * HOUR, []), "5": (NOON - 40 * HOUR, []),
    }, gone={"3"})  # fmt: skip
    with service(inbox) as there:
        events = {str(event.id): event for event in fetched(IntercomWorkspace(out), integration("intercom", there.url))}
        read = {call.path.rpartition("/")[2] for call in there.calls if call.method == "GET"} - {"me"}
    assert set(events) == {
        "conversation:1:started", "intercom:source:s1", "intercom:part:11", "part:12:close", "intercom:part:22",
    }  # fmt: skip
    assert read == {"1", "2", "3"}
    hooked = webhook(inbox.whole("1"), "conversation.admin.closed") | webhook(
        inbox.whole("2"), "conversation.user.replied"
    )
    for id_, event in events.items():
        assert {name: getattr(event, name) for name in hooked[id_]} == hooked[id_]


def test_a_conversation_that_moves_while_the_search_is_read_is_read(out: Outgoing) -> None:
    """A conversation that moves to the front before its page was read is still read."""
    inbox = Inbox({str(n): (NOON + n, []) for n in range(6)})
    inbox.meanwhile = lambda: inbox.talks["0"][1].append(part(99, NOON + 3 * HOUR))
    with service(inbox) as there:
        events = {event.id for event in fetched(IntercomWorkspace(out), integration("intercom", there.url))}
    assert {f"intercom:source:s{n}" for n in range(6)} | {"intercom:part:99"} <= events


def test_an_interrupted_fetch_resumes(out: Outgoing) -> None:
    """A resumed fetch does not read finished conversations again."""
    with service(Inbox({str(n): (NOON + n, []) for n in range(4)})) as there:
        notes = Notes(place={"done": ["0", "3"]})
        list(IntercomWorkspace(out).fetch(integration("intercom", there.url), TOKEN, DAY, notes))
        read = {call.path.rpartition("/")[2] for call in there.calls if call.method == "GET"} - {"me"}
    assert (read, notes.place) == ({"1", "2"}, {"done": ["0", "1", "2", "3"]})


@pytest.mark.parametrize(("first", "whole"), [(NOON - 30 * HOUR, True), (NOON - HOUR, False)])
def test_parts_that_intercom_does_not_give_make_the_day_partial(out: Outgoing, first: int, whole: bool) -> None:
    """If Intercom gives only the newest parts of a conversation, the day is whole only if a part from before the day is
    among them.
    """
    parts = [part(n, first + n) for n in range(4)] + [part(9, NOON)]
    inbox, notes = Inbox({"1": (first - HOUR, parts)}, limit=3), Notes()
    with service(inbox) as there:
        list(IntercomWorkspace(out).fetch(integration("intercom", there.url), TOKEN, DAY, notes))
    assert notes.whole is whole
    assert notes.missing == ({} if whole else {"channel": ["chat"]})


def test_pauses_until_the_limit_is_reset(out: Outgoing) -> None:
    """The pause ends when Intercom's limit is reset, as its header says."""
    inbox = Inbox({"1": (NOON, [])})
    reset = {"X-RateLimit-Reset": str(int(datetime.now(UTC).timestamp()) + 5)}
    busy, pauses = [Reply({}, 429, reset)], list[float]()
    with service(lambda call: busy.pop() if busy else inbox(call)) as there:
        assert fetched(IntercomWorkspace(out, pauses.append), integration("intercom", there.url))
    assert len(pauses) == 1 and 0 <= pauses[0] <= 5


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply({"type": "error.list"}, 401), UpstreamRefusedError), (Reply(b"", 502), UpstreamUnavailableError),
        (Reply(b"<html>", 200), UpstreamUnavailableError), (Reply({}), UpstreamUnavailableError),
        (Reply({"conversations": [{"id": "1"}]}), UpstreamUnavailableError),
        (Reply({"conversations": [], "pages": {"next": {"starting_after": "x"}}}), UpstreamUnavailableError),
    ],
)  # fmt: skip
def test_unusable_answers_of_intercom_raise_the_right_error(
    out: Outgoing, reply: Reply, error: type[Exception]
) -> None:
    """Refusals, broken pages and repeated pages raise the right error, without the token."""
    with service(in_turn(reply)) as there, pytest.raises(error) as caught:
        fetched(IntercomWorkspace(out), integration("intercom", there.url))
    assert TOKEN not in str(caught.value)


def test_a_redacted_part_stays_counted(out: Outgoing) -> None:
    """A message whose text was deleted is an event, marked as deleted."""
    inbox = Inbox({"1": (NOON, [{**part(11, NOON + 1), "redacted": True}])})
    with service(inbox) as there:
        events: dict[Any, Event] = {
            one.id: one for one in fetched(IntercomWorkspace(out), integration("intercom", there.url))
        }
    assert b"deleted" in bytes(events["intercom:part:11"].attributes)
