"""Zendesk's incremental export gives the comments and steps of a day with the ids of its webhooks."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from hubbub.errors import UpstreamRefusedError, UpstreamUnavailableError
from hubbub.ingest.connectors.base import Notes
from hubbub.ingest.connectors.zendesk import ZendeskAccount
from hubbub.ingest.receivers.base import Delivery, Options, with_source
from hubbub.ingest.receivers.zendesk import Zendesk
from hubbub.outgoing.http import Outgoing
from tests.platforms import TOKEN
from tests.services import Call, Reply, in_turn, service
from tests.unit.ingest.connectors.conftest import DAY, HOUR, NOON, fetched, integration

SECRET = f"ada@example.com/token:{TOKEN}"
PEOPLE = {8: {"id": 8, "name": "Ada", "role": "agent"}, 5001: {"id": 5001, "name": "Noor", "role": "end-user"}}


def iso(at: int) -> str:
    """Return a moment as Zendesk writes it."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def ticket(id_: int, at: int, **more: Any) -> dict[str, Any]:
    """Return a ticket of the API."""
    return {
        "id": id_, "created_at": iso(at), "updated_at": iso(at + 99), "requester_id": 5001, "assignee_id": 8, "brand_id": 66,
        "status": "open", "priority": "high", "via": {"channel": "email"}, "from_messaging_channel": False, **more,
    }  # fmt: skip


def audit(id_: int, of: int, at: int, *steps: dict[str, Any]) -> dict[str, Any]:
    """Return a ticket event with its steps."""
    return {
        "id": id_,
        "ticket_id": of,
        "timestamp": at,
        "created_at": iso(at),
        "event_type": "Audit",
        "child_events": list(steps),
    }


def comment(id_: int, at: int, author: int, *, public: bool = True) -> dict[str, Any]:
    """Return a comment in a ticket event."""
    return {"id": id_, "type": "Comment", "event_type": "Comment", "author_id": author, "body": "words", "plain_body": "words",
            "public": public, "audit_id": 1, "created_at": iso(at)}  # fmt: skip


def change(name: str, value: Any, before: Any) -> dict[str, Any]:
    """Return a changed field in a ticket event."""
    return {"id": 3, "event_type": "Change", name: value, "previous_value": before}


@dataclass
class Account:
    """A Zendesk account: tickets, and ticket events by time, in pages."""

    tickets: dict[int, dict[str, Any]] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    page: int = 2

    def __call__(self, call: Call) -> Reply:
        """Answer a call."""
        if call.headers.get("authorization") != "Basic " + b64encode(SECRET.encode()).decode():
            return Reply({"error": "Couldn't authenticate you"}, 401)
        if call.path.endswith("/show_many.json"):
            kind = call.path.split("/")[-2]
            known: dict[int, dict[str, Any]] = self.tickets if kind == "tickets" else PEOPLE
            return Reply({kind: [known[int(id_)] for id_ in call.query["ids"].split(",") if int(id_) in known]})
        assert (call.path, call.query["include"]) == ("/api/v2/incremental/ticket_events.json", "comment_events")
        later = sorted(self.events, key=lambda one: one["timestamp"])
        later = [one for one in later if one["timestamp"] >= int(call.query["start_time"])]
        page = later[: self.page]
        end = page[-1]["timestamp"] if page else None
        return Reply(
            {"ticket_events": page, "count": len(page), "end_time": end, "end_of_stream": len(later) <= self.page}
        )


def account(url: str, **settings: Any) -> Any:
    """Return an integration that both fetches and receives."""
    connected = integration("zendesk", url, account_id="21", **settings)
    return replace(connected, secret_names=("secret", "token"))


def webhook(name: str, of: dict[str, Any], at: int, event: dict[str, Any]) -> dict[str, Any]:
    """Return the event that a webhook gives, with text ids and a time with fractions."""
    detail = {**of, "id": str(of["id"]), "updated_at": iso(at)}
    time = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.254571Z")
    body = json.dumps(
        {
            "type": f"zen:event-type:{name}",
            "account_id": 21,
            "id": "01J",
            "time": time,
            "detail": detail,
            "event": event,
        }
    )
    (read,) = Zendesk().read(Delivery("POST", "", {}, {}, body.encode(), datetime.now(UTC)), Options("int_1")).events
    return with_source("zendesk", read)


def test_a_fetched_day_gives_the_events_of_its_webhooks(out: Outgoing) -> None:
    """Comments, notes and steps of a day equal the webhooks' events in every field but the fraction of the second."""
    one, old = ticket(141, NOON), ticket(7, NOON - 50 * HOUR)
    desk = Account({141: one, 7: old}, [
        audit(1, 7, NOON - 13 * HOUR, comment(70, NOON - 13 * HOUR, 5001)),
        audit(2, 141, NOON, {"id": 1, "event_type": "Create", "status": "new"}, comment(71, NOON, 5001)),
        audit(3, 141, NOON + 60, comment(72, NOON + 60, 8), change("status", "solved", "open")),
        audit(4, 141, NOON + 90, comment(73, NOON + 90, 8, public=False), change("assignee_id", "8", None)),
        audit(5, 7, NOON + 95, change("status", "open", "solved"), change("priority", "high", "low")),
        audit(6, 7, NOON + 13 * HOUR, comment(74, NOON + 13 * HOUR, 8)),
    ])  # fmt: skip
    with service(desk) as there:
        events = {event.id: event for event in fetched(ZendeskAccount(out), account(there.url), SECRET)}
    ada, noor = {"id": "8", "is_staff": True, "name": "Ada"}, {"id": "5001", "is_staff": False, "name": "Noor"}
    hooked = [
        webhook("ticket.created", one, NOON, {}),
        webhook("ticket.comment_added", one, NOON, {"comment": {"id": "71", "is_public": True, "author": noor}}),
        webhook("ticket.comment_added", one, NOON + 60, {"comment": {"id": "72", "is_public": True, "author": ada}}),
        webhook("ticket.status_changed", one, NOON + 60, {"previous": "OPEN", "current": "SOLVED"}),
        webhook("ticket.comment_added", one, NOON + 90, {"comment": {"id": "73", "is_public": False, "author": ada}}),
        webhook("ticket.agent_assignment_changed", one, NOON + 90, {"previous": None, "current": "8"}),
        webhook("ticket.status_changed", old, NOON + 95, {"previous": "SOLVED", "current": "OPEN"}),
    ]  # fmt: skip
    assert set(events) == {event["id"] for event in hooked} and len(hooked) == len(events)
    for event in hooked:
        same = {name for name in event if name != "time"}
        assert {name: getattr(events[event["id"]], name) for name in same} == {name: event[name] for name in same}


def test_a_deleted_ticket_keeps_its_messages(out: Outgoing) -> None:
    """Comments of a deleted ticket are events."""
    with service(Account({}, [audit(1, 5, NOON, comment(50, NOON, 5001))])) as there:
        (event,) = fetched(ZendeskAccount(out), account(there.url), SECRET)
    assert (event.id, event.type, event.conversation_id) == ("zendesk:50", "message.received", "zendesk:5")


@pytest.mark.parametrize("lost", [True, False])
def test_messages_of_messaging_are_missing_where_their_webhooks_are(out: Outgoing, lost: bool) -> None:
    """Messages of messaging channels are not in the export: a lost range is incomplete for their channel, an ordinary
    day is whole.
    """
    talk = ticket(9, NOON, via={"channel": "whatsapp"}, from_messaging_channel=True)
    notes = Notes(lost=lost)
    with service(Account({9: talk}, [audit(1, 9, NOON, comment(90, NOON, 5001))])) as there:
        assert not any(map(list, ZendeskAccount(out).fetch(account(there.url), SECRET, DAY, notes)))
    assert (notes.whole, notes.missing) == (not lost, {"channel": ["whatsapp"]} if lost else {})


def test_an_interrupted_fetch_resumes_at_its_page(out: Outgoing) -> None:
    """A resumed fetch begins at the time of the next page."""
    desk = Account({1: ticket(1, NOON)}, [audit(n, 1, NOON + n, comment(n, NOON + n, 8)) for n in range(6)])
    with service(desk) as there:
        notes, connector = Notes(), ZendeskAccount(out)
        pages = connector.fetch(account(there.url), SECRET, DAY, notes)
        next(pages), next(pages)
        assert notes.place == {"start": NOON + 1}
        before = len(there.calls)
        list(connector.fetch(account(there.url), SECRET, DAY, Notes(place=notes.place)))
        starts = [call.query["start_time"] for call in there.calls[before:] if "start_time" in call.query]
    assert starts[0] == str(NOON + 1)


def test_an_oauth_token_is_a_bearer(out: Outgoing) -> None:
    """A token without a colon is sent as a bearer token."""
    with service(in_turn(Reply({"ticket_events": [], "end_of_stream": True}))) as there:
        fetched(ZendeskAccount(out), account(there.url), TOKEN)
    assert {call.headers["authorization"] for call in there.calls} == {f"Bearer {TOKEN}"}


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply({"error": "no"}, 401), UpstreamRefusedError), (Reply({"error": "no"}, 403), UpstreamRefusedError),
        (Reply(b"", 502), UpstreamUnavailableError), (Reply({}), UpstreamUnavailableError),
        (Reply({"ticket_events": [{"ticket_id": 1}]}), UpstreamUnavailableError),
        (Reply({"ticket_events": [], "end_time": 1, "end_of_stream": False}), UpstreamUnavailableError),
        (Reply({"error": "busy"}, 429, {"Retry-After": "600"}), UpstreamUnavailableError),
    ],
)  # fmt: skip
def test_unusable_answers_of_zendesk_raise_the_right_error(out: Outgoing, reply: Reply, error: type[Exception]) -> None:
    """Refusals, broken pages, repeated pages and long pauses raise the right error, without the token."""
    with service(in_turn(reply)) as there, pytest.raises(error) as caught:
        fetched(ZendeskAccount(out), account(there.url), SECRET)
    assert TOKEN not in str(caught.value)


def test_a_missing_address_is_refused_by_its_setting(out: Outgoing) -> None:
    """Fetching days of an integration that only receives is refused, with the setting that is missing."""
    nowhere = replace(integration("zendesk", ""), settings={})
    with pytest.raises(UpstreamRefusedError, match="base_url"):
        fetched(ZendeskAccount(out), nowhere, SECRET)
