"""Front's API gives the events of a day, equal to those of its webhooks."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from hubbub.errors import UpstreamRefusedError, UpstreamUnavailableError
from hubbub.ingest.connectors.base import Notes
from hubbub.ingest.connectors.front import FrontCompany
from hubbub.ingest.receivers.base import Delivery, Options, with_source
from hubbub.ingest.receivers.front import Front
from hubbub.model.event import Event
from hubbub.outgoing.http import Outgoing
from tests.platforms import TOKEN
from tests.services import Call, Reply, in_turn, service
from tests.unit.ingest.connectors.conftest import DAY, HOUR, NOON, fetched, integration

BODIES = Path(__file__).parents[3] / "data" / "webhooks" / "front"


def event(name: str, id_: str, at: float) -> dict[str, Any]:
    """Return an event of the API's list: the payload of a webhook body with another id and time."""
    payload: dict[str, Any] = json.loads((BODIES / f"{name}.json").read_text())["payload"]
    target = payload.get("target") or {}
    if target.get("data"):
        target["data"] |= {"id": f"{target['data']['id'][:4]}{id_}", "created_at": at - 1, "posted_at": at - 1}
    return {**payload, "id": f"evt_{id_}", "emitted_at": at}


@dataclass
class Company:
    """A Front company: its events, newest first, in pages."""

    events: list[dict[str, Any]] = field(default_factory=list)
    page: int = 2

    def __call__(self, call: Call) -> Reply:
        """Answer a call."""
        if call.headers.get("authorization") != f"Bearer {TOKEN}":
            return Reply({"_error": {"status": 401, "title": "Unauthenticated"}}, 401)
        if call.path == "/me":
            return Reply({"_links": {}, "name": "Acme", "id": "cmp_1"})
        after, before = float(call.query["q[after]"]), float(call.query["q[before]"])
        found = sorted(
            (one for one in self.events if after < one["emitted_at"] < before), key=lambda one: -one["emitted_at"]
        )
        start = int(call.query.get("page_token", 0))
        query = urlencode({**call.query, "page_token": start + self.page})
        more = f"https://api2.frontapp.com/events?{query}" if start + self.page < len(found) else None
        return Reply({"_pagination": {"next": more}, "_links": {}, "_results": found[start : start + self.page]})


def webhook(one: dict[str, Any]) -> dict[str, Any]:
    """Return the event that the webhook of this event gives."""
    body = json.dumps({"type": one["type"], "authorization": {"id": "cmp_1"}, "payload": one}).encode()
    (read,) = Front().read(Delivery("POST", "", {}, {}, body, datetime.now(UTC)), Options("int_1")).events
    return with_source("front", read)


def test_a_fetched_day_gives_the_events_of_its_webhooks(out: Outgoing) -> None:
    """Messages, comments, steps and failures of a day equal their webhooks' events in every field, over all pages."""
    names = (
        "inbound_received",
        "outbound_sent",
        "new_comment_added",
        "archive",
        "reopen",
        "assign",
        "message_bounce_error",
    )
    mine = [event(name, str(n), NOON + n) for n, name in enumerate(names)]
    others = [event("tag", "8", NOON), event("draft", "9", NOON), event("archive", "10", NOON - 13 * HOUR),
              event("archive", "11", NOON + 12 * HOUR)]  # fmt: skip
    with service(Company([*mine, *others])) as there:
        events = {one.id: one for one in fetched(FrontCompany(out), integration("front", there.url))}
    hooked = {one["id"]: one for one in map(webhook, mine)}
    assert set(events) == set(hooked) and len(hooked) == len(names)
    for id_, one in hooked.items():
        assert {name: getattr(events[id_], name) for name in one} == one


def test_an_interrupted_fetch_resumes_at_its_page(out: Outgoing) -> None:
    """A resumed fetch begins with the next page."""
    with service(Company([event("archive", str(n), NOON + n) for n in range(5)])) as there:
        notes, connector = Notes(), FrontCompany(out)
        pages = connector.fetch(integration("front", there.url), TOKEN, DAY, notes)
        next(pages), next(pages)
        again = Notes(place=notes.place)
        batches = connector.fetch(integration("front", there.url), TOKEN, DAY, again)
        rest = [item.id for batch in batches for item in batch if isinstance(item, Event)]
    assert rest == ["evt_2", "evt_1", "evt_0"]


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply({"_error": {}}, 401), UpstreamRefusedError), (Reply({"_error": {}}, 403), UpstreamRefusedError),
        (Reply(b"", 502), UpstreamUnavailableError), (Reply({}), UpstreamUnavailableError),
        (Reply({"_results": [{"id": "evt_1", "type": "archive"}]}), UpstreamUnavailableError),
        (Reply({"_results": [], "_pagination": {"next": "https://x/events?page_token=a"}}), UpstreamUnavailableError),
        (Reply({"_error": {}}, 429, {"Retry-After": "600"}), UpstreamUnavailableError),
    ],
)  # fmt: skip
def test_unusable_answers_of_front_raise_the_right_error(out: Outgoing, reply: Reply, error: type[Exception]) -> None:
    """Refusals, broken pages, repeated pages and long pauses raise the right error, without the token."""
    with service(in_turn(reply)) as there, pytest.raises(error) as caught:
        fetched(FrontCompany(out), integration("front", there.url))
    assert TOKEN not in str(caught.value)
