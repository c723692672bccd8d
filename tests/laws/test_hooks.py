"""The law of deliveries: webhooks give the same events in any order of arrival and with any repeats."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from tests.extent import WORLDS_OF_DELIVERIES
from tests.unit.api.conftest import Face, serving
from tests.unit.api.test_hooks import SECRET, Hook, meta, slack
from tests.unit.ingest.receivers.bodies import AT

TALKS = 4
ARRIVAL = ("seq", "tenant", "received_at", "ident")


def said(chance: random.Random) -> list[tuple[str, bytes]]:
    """Return request bodies of some conversations in order of time."""
    found: list[tuple[str, dict[str, Any]]] = []
    for n in range(TALKS):
        at = AT + 600 * n
        found += [("whatsapp", _whatsapp(at + 9 * k, one)) for k, one in enumerate(_of_whatsapp(n, chance))]
        found += [("slack", {"event": one}) for one in _of_slack(n, at, chance)]
        found += [("messenger", _messenger(at + 7 * k, one)) for k, one in enumerate(_of_messenger(n))]
    return [(provider, json.dumps(body).encode()) for provider, body in found]


def _of_whatsapp(n: int, chance: random.Random) -> list[dict[str, Any]]:
    first = {"from": f"39{n}", "id": f"w{n}", "type": "text"}
    changes = [
        {
            "from": f"39{n}",
            "id": f"w{n}c{k}",
            "type": kind,
            kind: {"original_message_id": f"w{n}", "message": {"type": "text"}},
        }
        for k, kind in enumerate(chance.choices(("edit", "revoke"), k=chance.randrange(4)))
    ]
    receipts = [{"status": one, "id": f"o{n}", "recipient_id": f"39{n}"} for one in ("sent", "delivered", "read")]
    return [first, *changes, *receipts]


def _whatsapp(at: int, one: dict[str, Any]) -> dict[str, Any]:
    name = "statuses" if "status" in one else "messages"
    people = {"contacts": [{"wa_id": one.get("from"), "user_id": f"B{one.get('from')}"}]} if name == "messages" else {}
    value = {"metadata": {"phone_number_id": "7"}, name: [{**one, "timestamp": str(at)}], **people}
    return {"entry": [{"changes": [{"field": "messages", "value": value}]}]}


def _of_slack(n: int, at: int, chance: random.Random) -> list[dict[str, Any]]:
    root = {"type": "message", "channel": "C1", "ts": f"{at}.000000", "user": f"U{n}", "text": "words"}
    reply = {**root, "ts": f"{at + 60}.000000", "user": "U9", "thread_ts": root["ts"], "parent_user_id": root["user"]}
    edited = {**root, "edited": {"ts": f"{at + 90}.000000"}, "thread_ts": root["ts"]}
    gone = {
        "type": "message",
        "subtype": "message_deleted",
        "channel": "C1",
        "event_ts": f"{at + 120}.0",
        "previous_message": edited,
    }
    more = [{"type": "message", "subtype": "message_changed", "channel": "C1", "message": edited}, gone]
    return [root, reply, *more[: chance.randrange(3)]]


def _of_messenger(n: int) -> list[dict[str, Any]]:
    sent = {"sender": {"id": "P"}, "recipient": {"id": f"u{n}"}, "message": {"mid": f"e{n}", "is_echo": True}}
    return [
        {"message": {"mid": f"m{n}"}, "sender": {"id": f"u{n}"}},
        sent,
        {"read": {"mid": f"e{n}"}, "sender": {"id": f"u{n}"}},
    ]


def _messenger(at: int, one: dict[str, Any]) -> dict[str, Any]:
    happening = {"recipient": {"id": "P"}, "timestamp": at * 1000, **one}
    return {"object": "page", "entry": [{"id": "P", "messaging": [happening]}]}


def connected(face: Face) -> dict[str, Hook]:
    """Connect the three services."""
    ours = {"app_secret": SECRET, "verify_token": "v"}
    return {
        "slack": Hook(face, "slack", slack, secrets={"signing_secret": SECRET}),
        "whatsapp": Hook(face, "whatsapp", meta, secrets=ours), "messenger": Hook(face, "messenger", meta, secrets=ours),
    }  # fmt: skip


def stored(face: Face) -> list[dict[str, Any]]:
    """Return all events by source and id, without their arrival."""
    rows = [{name: value for name, value in row.items() if name not in ARRIVAL} for row in face.stored()]
    return sorted(rows, key=lambda row: (row["source"], row["id"]))


@pytest.mark.parametrize("seed", range(WORLDS_OF_DELIVERIES))
def test_lost_doubled_and_late_bodies_come_to_the_same(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Bodies lost, doubled, late and forged, then all sent again in order, give the same events as an undisturbed run."""
    chance = random.Random(seed)
    bodies = said(chance)
    with serving(tmp_path_factory.mktemp("clean") / "data") as face:
        hooks = connected(face)
        for provider, body in bodies:
            assert hooks[provider].send(body).status_code == 200
        whole = stored(face)
        assert face.engine.verify("acme")["clean"]
    with serving(tmp_path_factory.mktemp("lossy") / "data") as face:
        hooks = connected(face)
        arriving = [
            (place + chance.random() * 25, one)
            for place, one in enumerate(bodies)
            for _ in range(chance.choice((0, 1, 1, 1, 2)))
        ]
        for _, (provider, body) in sorted(arriving):
            assert hooks[provider].send(body).status_code == 200
            flipped = body[:-5] + bytes([body[-5] ^ 2]) + body[-4:]
            answer = face.http.post(hooks[provider].path, content=flipped, headers=hooks[provider].sign(body))
            assert answer.status_code == 401
        assert {row["id"] for row in stored(face)} <= {row["id"] for row in whole}
        for provider, body in bodies:
            hooks[provider].send(body)
        assert stored(face) == whole
        assert face.engine.verify("acme")["clean"]
