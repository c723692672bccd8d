"""Lost deliveries are reconciled through the service's API, with the ids of its webhooks, page by page across attempts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hubbub.errors import UpstreamRefusedError, UpstreamUnavailableError
from hubbub.facts.refresh import refresh
from hubbub.ingest.receivers.base import Options
from hubbub.ingest.receivers.catalogue import RECEIVERS
from tests.platforms import TOKEN
from tests.services import Call, Reply
from tests.unit.api.test_hooks import SECRET
from tests.unit.ingest.connectors import test_front as front
from tests.unit.ingest.connectors import test_intercom as intercom
from tests.unit.ingest.connectors import test_zendesk as zendesk
from tests.unit.ingest.connectors.test_twilio import SID, Numbers, message
from tests.unit.ingest.receivers.sending import services
from tests.unit.services.test_lost import Place, _taken

HOUR = timedelta(hours=1)


@dataclass
class _Numbers(Numbers):
    """A Twilio account that can fail at a page; `tokens` are the requested pages."""

    fails_at: int | None = None
    tokens: list[str] = field(default_factory=list)

    def __call__(self, call: Call) -> Reply:
        """Answer a call."""
        token = call.query.get("PageToken", "PA0")
        self.tokens.append(token)
        if token == f"PA{self.fails_at}":
            return Reply({}, 502)
        return super().__call__(call)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Open a server with a clock that the test moves."""
    with ExitStack() as stack:
        yield Place(tmp_path / "data", stack)


def lost_hour(place: Place, answer: Any) -> str:
    """Connect Twilio and let an hour pass without a server; return the integration's id."""
    there = place.run(answer)
    settings = {"base_url": there.url, "account_sid": SID}
    id_ = place.connect("twilio", secrets={"auth_token": SECRET, "token": TOKEN}, settings=settings)
    place.engine.delivered.note(_taken(id_))
    place.away(HOUR)
    return id_


def test_an_interrupted_reconcile_resumes_at_its_page(place: Place) -> None:
    """A reconcile that failed in the middle resumes at its page, and the gap closes at the end."""
    began = int(place.now.timestamp())
    numbers = _Numbers([message(f"SM{n}", began + n) for n in range(5)])
    id_ = lost_hour(place, numbers)
    numbers.fails_at = 2
    with pytest.raises(UpstreamUnavailableError):
        place.engine.fetching.reconcile("acme", id_)
    assert (len(place.gaps(id_)), place.complete()) == (1, False)
    numbers.fails_at, numbers.tokens = None, []
    done = place.engine.fetching.reconcile("acme", id_)
    assert (done.closed, done.stored, numbers.tokens) == (1, 3, ["PA2", "PA4"])
    assert place.gaps(id_) == [] and place.complete()
    assert place.engine.verify("acme")["differences"] == 0


def test_a_dead_token_leaves_the_gap_and_breaks_the_integration(place: Place) -> None:
    """With a dead token the gap stays, and the integration is broken with an action."""
    id_ = lost_hour(place, lambda _: Reply({"code": 20003}, 401))
    with pytest.raises(UpstreamRefusedError):
        place.engine.fetching.reconcile("acme", id_)
    assert [why for _, _, why in place.gaps(id_)] == ["down"] and not place.complete()
    row = place.engine.integrations.get("acme", id_)
    assert (row.state, "token" in row.action) == ("broken", True)
    assert place.engine.fetching.lacking() == []
    (covered,) = place.engine.coverage.of("acme", integration=id_).rows
    assert [gap.action for gap in covered.gaps] == [row.action]  # no promise that it will be fetched by itself
    place.engine.integrations.pause("acme", id_)
    (covered,) = place.engine.coverage.of("acme", integration=id_).rows
    assert "resume" in str(covered.gaps[0].action)


def of_front(at: int) -> tuple[Callable[[Call], Reply], list[Mapping[str, Any]]]:
    """Return a Front company with twelve events within a minute, and their webhook bodies."""
    names = ("inbound_received", "outbound_sent", "new_comment_added", "archive", "reopen", "assign") * 2
    events = [front.event(name, str(n), at + n) for n, name in enumerate(names)]
    return front.Company(events), [{"type": e["type"], "authorization": {"id": "cmp_1"}, "payload": e} for e in events]


def of_intercom(at: int) -> tuple[Callable[[Call], Reply], list[Mapping[str, Any]]]:
    """Return an Intercom workspace with six conversations, and each one's last webhook body."""
    talks = {
        str(n): (at + n, [intercom.part(100 + n, at + 30 + n), intercom.part(200 + n, at + 60 + n, "close")])
        for n in range(6)
    }
    inbox = intercom.Inbox(talks)
    items = [{"type": "notification_event_data", "item": inbox.whole(id_)} for id_ in talks]
    return inbox, [{"topic": "conversation.admin.closed", "app_id": "ak1", "data": item} for item in items]


def of_zendesk(at: int) -> tuple[Callable[[Call], Reply], list[Mapping[str, Any]]]:
    """Return a Zendesk account with ten comments of a ticket that ends solved, and their webhook bodies."""
    one = zendesk.ticket(141, at)
    audits = [zendesk.audit(n, 141, at + n, zendesk.comment(70 + n, at + n, 8 if n % 2 else 5001)) for n in range(10)]
    audits.append(zendesk.audit(10, 141, at + 20, zendesk.change("status", "solved", "open")))
    steps: list[tuple[int, str, Mapping[str, Any]]] = [
        (20, "ticket.status_changed", {"previous": "OPEN", "current": "SOLVED"})
    ]
    for n in range(10):
        author = {"id": "8" if n % 2 else "5001", "is_staff": bool(n % 2)}
        steps.append((n, "ticket.comment_added", {"comment": {"id": str(70 + n), "is_public": True, "author": author}}))
    bodies: list[Mapping[str, Any]] = [
        {"type": f"zen:event-type:{name}", "account_id": 21, "id": f"01J{n}", "time": zendesk.iso(at + after), "event": event,
         "detail": {**one, "id": "141", "updated_at": zendesk.iso(at + after)}}
        for n, (after, name, event) in enumerate(steps)
    ]  # fmt: skip
    return zendesk.Account({141: one}, audits, page=4), bodies


OF: Mapping[str, Callable[[int], tuple[Callable[[Call], Reply], list[Mapping[str, Any]]]]] = {
    "front": of_front, "intercom": of_intercom, "zendesk": of_zendesk,
}  # fmt: skip


def ids(place: Place) -> set[str]:
    """Return the ids of all stored events."""
    refresh(place.engine.store, place.engine.control.tenant("acme").no)
    with place.engine.store.facts.read() as reading:
        return {id_ for (id_,) in reading.rows("SELECT id FROM event", ())}


@pytest.mark.parametrize("provider", list(OF))
def test_one_reconcile_restores_half_lost_webhooks(place: Place, provider: str) -> None:
    """Half of the webhooks arrive, each twice, and the others are lost: answers are incomplete until one reconcile.

    Then each event is there once, with its webhook's id, and verify finds no difference.
    """
    answer, bodies = OF[provider](int(place.now.timestamp()) + 60)
    there, service = place.run(answer), services()[provider]
    token = zendesk.SECRET if provider == "zendesk" else TOKEN
    settings = {"base_url": there.url, **({"account_id": "21"} if provider == "zendesk" else {})}
    id_ = place.connect(provider, secrets={**service.secrets, "token": token}, settings=settings)
    place.now += timedelta(minutes=5)
    for body in [json.dumps(body).encode() for body in bodies[::2] * 2]:
        headers = {"content-type": service.kind, **service.sign(body, place.now)}
        assert place.http.post(f"/v1/hooks/{provider}/{id_}", content=body, headers=headers).status_code == 200
    place.now -= timedelta(minutes=5)
    place.away(HOUR)
    assert [why for _, _, why in place.gaps(id_)] == ["down"] and not place.complete()
    everything = set[str]()
    for one in bodies:
        sent = service.delivery(json.dumps(one).encode(), datetime.now(UTC))
        everything |= {str(event["id"]) for event in RECEIVERS[provider].read(sent, Options(id_)).events}
    before = ids(place)
    assert before < everything
    done = place.engine.fetching.reconcile("acme", id_)
    assert (done.closed, place.gaps(id_), place.complete()) == (1, [], True)
    assert everything <= ids(place) and done.stored == len(ids(place)) - len(before)
    assert place.engine.verify("acme")["differences"] == 0
