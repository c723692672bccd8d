"""Webhooks of helpdesks, mail services and generic senders over HTTP: stored once, refused when forged, counted correctly."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.extent import FUZZ
from tests.platforms import TOKEN
from tests.services import service
from tests.unit.api.conftest import NOW, Face, serving
from tests.unit.ingest.connectors.test_chatwoot import Desk
from tests.unit.ingest.receivers.sending import BODIES, SECRET, WHSEC, Amazon, basic, services
from tests.unit.ingest.receivers.test_damage import damaged, odd
from tests.unit.ingest.receivers.test_mail import ways, written

SERVICES = services()
NAMES = sorted(SERVICES)
LONG_AGO = 9_000
"""In days: the bodies are up to ten years old."""


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Face]:
    """Serve an engine whose tenant has a long retention."""
    with serving(tmp_path_factory.mktemp("services") / "data") as face, pytest.MonkeyPatch.context() as patch:
        amazon, send = Amazon(), face.engine.http.send
        patch.setattr(
            face.engine.http,
            "send",
            lambda method, url, **how: (amazon.send if ".amazonaws.com/" in url else send)(method, url, **how),
        )
        face.engine.tenants.change("acme", retention={"raw": LONG_AGO, "facts": LONG_AGO})
        yield face


def connected(face: Face, name: str, **settings: Any) -> str:
    """Connect a service, and return the path of its webhook."""
    row = face.engine.integrations.add("acme", name, secrets=dict(SERVICES[name].secrets), settings=settings)
    return f"/v1/hooks/{name}/{row.id}"


def contents(name: str) -> list[tuple[bytes, str]]:
    """Return a service's bodies with their content type, unsigned."""
    files = [(path.read_bytes(), SERVICES[name].kind) for path in sorted((BODIES / name).glob("*.json"))]
    mails = [one for way, one in ways(written()).items() if way.split()[0] == name and name != "mailgun"]
    return files + [(one.body, one.headers["content-type"]) for one in mails]


def send(
    face: Face, name: str, path: str, content: bytes, kind: str, *, flip: bool = False, wrap: bool = True
) -> httpx2.Response:
    """Send a body signed as the service does, wrapped as its webhook if `wrap`; `flip` changes one byte afterwards."""
    service = SERVICES[name]
    now = datetime.now(UTC) if WHSEC in service.secrets.values() else NOW
    body = service.wrap(content, now) if wrap and kind == service.kind else content
    headers = {"content-type": kind, **service.sign(body, now)}
    if flip:
        body = body[:-2] + bytes([body[-2] ^ 1]) + body[-1:]
    return face.http.post(path, content=body, headers=headers)


@pytest.mark.parametrize("name", NAMES)
def test_a_repeated_body_counts_once(there: Face, name: str) -> None:
    """Every body is accepted without refusals, and stores nothing the second time."""
    path = connected(there, name)
    for content, kind in contents(name):
        first = send(there, name, path, content, kind)
        assert first.status_code == 200, first.text
        said = first.json()
        assert said["rejected"] == [] and (said["accepted"] or said["duplicates"] or said["ignored"]), said
        again = send(there, name, path, content, kind).json()
        assert (again["accepted"], again["corrected"], again["rejected"]) == (0, 0, [])


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"postmark", "mime", "cloudevents", "segment", "mailgun"}))
def test_a_byte_that_flips_on_the_way_is_401(there: Face, name: str) -> None:
    """A body that differs from the signed one by a bit is 401, and nothing is stored."""
    path = connected(there, name)
    before = len(there.stored())
    content, kind = contents(name)[0]
    answer = send(there, name, path, content, kind, flip=True)
    assert (answer.status_code, answer.json()["code"]) == (401, "forged")
    assert len(there.stored()) == before


@pytest.mark.parametrize("name", NAMES)
def test_a_body_without_the_services_signature_is_401(there: Face, name: str) -> None:
    """A body without the service's signature is 401."""
    path = connected(there, name)
    content, kind = contents(name)[0]
    assert there.http.post(path, content=content, headers={"content-type": kind}).status_code == 401


@pytest.mark.parametrize("name", NAMES)
def test_no_damage_breaks_the_server(there: Face, name: str) -> None:
    """Signed bodies with odd values or damage are accepted, or refused with 400 or 401, never a 500."""
    path, chance = connected(there, name, keep_text_days="30"), random.Random(name)
    whole = contents(name)
    for number in range(FUZZ // 4):
        content, kind = whole[number % len(whole)]
        body = SERVICES[name].wrap(content, NOW) if kind == SERVICES[name].kind else content
        body = damaged(body, chance) if number % 3 == 0 else odd_body(body, chance)
        answer = send(there, name, path, body, kind, wrap=False)
        assert answer.status_code in (200, 400, 401), answer.text


def odd_body(content: bytes, chance: random.Random) -> bytes:
    """Return a JSON body with odd values in it; any other body damaged."""
    try:
        return json.dumps(odd(json.loads(content), chance)).encode()
    except ValueError:
        return damaged(content, chance)


def test_front_is_answered_when_its_address_is_saved(there: Face) -> None:
    """The answer returns Front's challenge."""
    path = connected(there, "front")
    body = b'{"type":"sync","authorization":{"id":"cmp_1"}}'
    asked = there.http.post(
        path, content=body, headers={**SERVICES["front"].sign(body, NOW), "x-front-challenge": "c-7"}
    )
    assert (asked.status_code, asked.json()) == (200, {"challenge": "c-7"})


def test_libraries_of_segment_put_their_path_behind_the_address(there: Face) -> None:
    """Libraries of Segment use the address as a host and add their path; a wrong key is refused there too."""
    path = connected(there, "segment")
    call = {
        "type": "track",
        "event": "Message Received",
        "messageId": "lib-1",
        "userId": "u1",
        "properties": {"message_id": "x"},
    }
    body = json.dumps({"batch": [call], "sentAt": "2026-08-20T12:00:00Z"}).encode()
    assert there.http.post(f"{path}/v1/batch", content=body, headers=basic(SECRET, "")).json()["accepted"] == 1
    assert there.http.post(f"{path}/v1/batch", content=body, headers=basic("other", "")).status_code == 401
    assert (
        there.http.post("/v1/hooks/segment/int_none/v1/batch", content=body, headers=basic(SECRET, "")).status_code
        == 404
    )


def receipts(face: Face, *names: str) -> dict[str, Any]:
    """Return the delivery numbers of mails of 1 August 2026."""
    day = {"from": "2026-08-01", "to": "2026-08-02"}
    asked = {
        "metrics": ["messages_attempted", "messages_delivered", "messages_read", "messages_failed"],
        "grain": "total",
        **day,
    }
    row = face.http.post(
        "/v1/query", content=json.dumps(asked), headers={**face.auth, "content-type": "application/json"}
    ).json()
    return {name.removeprefix("messages_"): row["rows"][0][name] for name in asked["metrics"]}


@pytest.mark.parametrize("order", [1, -1])
def test_reports_of_mails_are_receipts_in_any_order(tmp_path: Path, order: int) -> None:
    """Of two mails one is delivered and opened, one bounces: in any order of reports the counts and times of sending are right."""
    at = 1785574800
    reports = [
        {"event": kind, "email": who, "timestamp": at + n * 60, "sg_event_id": f"{kind}{who}", "sg_message_id": f"{mail}.recvd-1.2"}
        for n, (kind, who, mail) in enumerate([
            ("processed", "a@example.org", "m1"), ("processed", "b@example.org", "m1"), ("delivered", "a@example.org", "m1"),
            ("bounce", "b@example.org", "m1"), ("open", "a@example.org", "m1"),
        ])
    ]  # fmt: skip
    with serving(tmp_path / "data") as face:
        path = connected(face, "sendgrid")
        for report in reports[::order]:
            assert send(face, "sendgrid", path, json.dumps([report]).encode(), "application/json").status_code == 200
        assert receipts(face) == {"attempted": 2, "delivered": 1, "read": 1, "failed": 1}
        sent = [row["time"] // 1_000_000 - at for row in face.stored() if row["type"] == "message.sent"]
        assert sorted(sent) == [0, 60]


def test_bodies_of_a_helpdesk_give_the_right_counts(tmp_path: Path) -> None:
    """Bodies of a helpdesk become the right counts of messages, resolutions, reads and ratings, and verify is clean."""
    with serving(tmp_path / "data") as face:
        face.engine.tenants.change("acme", retention={"raw": LONG_AGO})
        path = connected(face, "chatwoot")
        for content, kind in contents("chatwoot"):
            assert send(face, "chatwoot", path, content, kind).status_code == 200
        names = ["messages_received", "messages_sent", "conversations_resolved", "messages_read", "ratings", "csat"]
        asked = {"metrics": names, "from": "2026-06-01", "to": "2026-06-02", "grain": "total"}
        row = face.ask(**asked).json()["rows"][0]
        assert {name: row[name] for name in names} == {
            "messages_received": 2, "messages_sent": 3, "conversations_resolved": 1, "messages_read": 1, "ratings": 1, "csat": 1.0,
        }  # fmt: skip
        assert face.engine.verify("acme")["differences"] == 0


def webhook(one: Mapping[str, Any], desk: Desk) -> bytes:
    """Return a message of a helpdesk as its webhook."""
    names = {0: "incoming", 1: "outgoing", 2: "activity", 3: "template"}
    talk = desk.conversation(one["conversation_id"])
    at = datetime.fromtimestamp(one["created_at"], UTC).isoformat()
    more = {"conversation": {**talk, "channel": "Channel::WebWidget"}, "account": {"id": 3}, "created_at": at}
    return json.dumps({**one, **more, "event": "message_created", "message_type": names[one["message_type"]]}).encode()


def test_messages_that_webhooks_lost_are_fetched(tmp_path: Path) -> None:
    """One message in five is lost and some come twice: after the day is fetched each is stored once, and the counts are right."""
    desk, chance = Desk(page=7), random.Random(16)
    start = int(datetime(2026, 8, 19, 6, tzinfo=UTC).timestamp())
    for n in range(90):
        private = n % 11 == 0
        desk.write(200 + n % 8, 900 + n, start + n * 300, message_type=1 if private else n % 2, private=private)
    with service(desk) as there, serving(tmp_path / "data", allow_private_hosts=[there.place]) as face:
        settings = {"account_id": "3", "base_url": there.url}
        secrets = {"secret": SECRET, "token": TOKEN}
        row = face.engine.integrations.add("acme", "chatwoot", secrets=secrets, settings=settings)
        sent = [one for talk in desk.messages.values() for one in talk]
        chance.shuffle(sent)
        lost = {f"chatwoot:{one['id']}" for one in sent if one["id"] % 5 == 0}
        for one in [*sent, *sent[:10]]:
            if f"chatwoot:{one['id']}" not in lost:
                path = f"/v1/hooks/chatwoot/{row.id}"
                assert send(face, "chatwoot", path, webhook(one, desk), "application/json").status_code == 200
        everything = {f"chatwoot:{one['id']}" for one in sent}
        assert {event["id"] for event in face.stored()} == everything - lost
        done = face.engine.fetching.day("acme", row.id, "2026-08-19")
        begun = {f"conversation:chatwoot:3:{talk}:started" for talk in desk.messages}
        assert (done.stored, done.corrected, done.rejected) == (len(lost) + len(begun), 0, {})
        assert {event["id"] for event in face.stored()} == everything | begun
        asked = {
            "metrics": ["messages", "conversations_started"],
            "from": "2026-08-19",
            "to": "2026-08-20",
            "grain": "total",
        }
        row = face.ask(**asked).json()["rows"][0]
        assert (row["messages"], row["conversations_started"]) == (90 - sum(one["private"] for one in sent), 8)
        assert face.engine.verify("acme")["differences"] == 0
