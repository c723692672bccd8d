"""Real answers of services' APIs, read by the connectors that reconcile lost deliveries."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from hubbub.errors import UpstreamRefusedError
from hubbub.ingest.connectors.intercom import IntercomWorkspace
from hubbub.ingest.connectors.twilio import TwilioAccount
from hubbub.model.coverage import Day
from hubbub.outgoing.http import Outgoing
from tests.acceptance.conftest import DATA, needs
from tests.services import Call, Reply, service
from tests.unit.ingest.connectors.conftest import fetched, integration
from tests.unit.ingest.connectors.test_twilio import SID

BODIES = DATA / "webhooks"


@pytest.fixture
def out() -> Any:
    """Open an outgoing client that may call this machine."""
    opened = Outgoing(["127.0.0.1"])
    yield opened
    opened.close()


def answer(name: str) -> Any:
    """Return a recorded answer."""
    return json.loads((BODIES / name).read_text())


@needs("webhooks")
def test_twilios_page_of_messages_becomes_its_events(out: Outgoing) -> None:
    """A page with a sent and a received message gives two events with Twilio's ids and times; the second page is empty."""
    pages = {"": answer("twilio/api.messages.get.200.readFullPage1.json"), "1": {"messages": [], "next_page_uri": None}}
    day = Day.of(date(2019, 5, 24), "UTC")
    with service(lambda call: Reply(pages[call.query.get("Page", "")])) as there:
        events = fetched(TwilioAccount(out), integration("twilio", there.url, account_sid=SID), day=day)
    assert [(event.id, event.type, event.time.isoformat()) for event in events] == [
        ("SMded05904ccb347238880ca9264e8fe1c:sent", "message.sent", "2019-05-24T17:44:50+00:00"),
        ("MMc26223853f8c46b4ab7dfaa6abba0a26", "message.received", "2019-05-24T17:44:49+00:00"),
    ]


@needs("webhooks")
@pytest.mark.parametrize(
    "path", sorted((BODIES / "twilio").glob("api.messages.get.200.*.json")), ids=lambda path: path.name
)
def test_every_recorded_answer_of_twilio_is_read(out: Outgoing, path: Path) -> None:
    """Each published answer gives events for all of its messages."""
    body = json.loads(path.read_text())
    page = {"messages": body.get("messages", [body]), "next_page_uri": None}
    with service(lambda call: Reply(page)) as there:
        days = [Day.of(date(2019, 5, day), "UTC") for day in range(20, 30)]
        connector, account = TwilioAccount(out), integration("twilio", there.url, account_sid=SID)
        events = [event for day in days for event in fetched(connector, account, day=day)]
    assert {str(event.message_id) for event in events} == {one["sid"] for one in page["messages"]}


@needs("webhooks")
def test_intercoms_search_and_conversation_become_events(out: Outgoing) -> None:
    """The published search and conversation give the start and the first message, with Intercom's ids."""
    found = answer("intercom/post.conversations.search.200.successful.json")
    whole = answer("intercom/get.conversations.conversation_id.200.conversation_found.json")
    whole = {
        **whole,
        **{name: found["conversations"][0][name] for name in ("id", "created_at", "updated_at", "source")},
    }

    def reply(call: Call) -> Reply:
        if call.path == "/me":
            return Reply({"type": "admin", "app": {"id_code": "ak1"}})
        return Reply(found if call.path.endswith("/search") else whole)

    day = Day.of(date(2024, 12, 18), "UTC")
    with service(reply) as there:
        events = fetched(IntercomWorkspace(out), integration("intercom", there.url), day=day)
    assert [event.id for event in events] == ["conversation:515:started", "intercom:source:403918346"]


@needs("webhooks")
@pytest.mark.parametrize("status", [401, 403])
def test_intercoms_refusals_need_a_person(out: Outgoing, status: int) -> None:
    """A wrong token and a plan without the API are refusals, not empty days."""
    name = {401: "401.Unauthorized", 403: "403.API_plan_restricted"}[status]
    body = answer(f"intercom/get.conversations.{name}.json")
    with service(lambda call: Reply(body, status)) as there, pytest.raises(UpstreamRefusedError):
        fetched(IntercomWorkspace(out), integration("intercom", there.url))
