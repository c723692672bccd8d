"""Labels over HTTP: a person's label of a message or a conversation, and refusals."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from tests.unit.api.conftest import DAY, Face, event

PLACE: dict[str, Any] = {"channel_id": "room", "conversation_id": "c1", "contact_id": "guest-0001", "kind": "person"}
OTHER_PLACE = PLACE | {"conversation_id": "c2"}
TOPIC = {"set": "topic", "label": "wifi"}


@pytest.fixture
def admin(face: Face) -> Face:
    """An admin key of acme, which has two topics, a message, and a message that its source labelled."""
    face.engine.labels.replace("acme", {"topic": {"wifi": {"words": ["wifi"]}, "food": None}})
    sent = [
        event("m1", attributes={"text": "The breakfast is late"}, **PLACE),
        event("m2", **OTHER_PLACE),
        event("t2", **OTHER_PLACE | {"type": "topic.classified", "message_id": "m2", "topic": "food"}),
    ]
    face.engine.record("acme", sent, history=True)
    return Face(face.engine, face.http, face.engine.keys.add("acme", ["admin"]).key)


def give(face: Face, **body: Any) -> httpx2.Response:
    """Post a label."""
    return face.http.post("/v1/labels", json=body, headers=face.auth)


def labels(face: Face, conversation: str) -> list[tuple[str, str, str | None]]:
    """Return the topics of a conversation with their labellers, from the API."""
    reads = Face(face.engine, face.http, face.engine.keys.add("acme", ["read"]).key)
    rows = reads.get("/v1/conversations", **DAY).json()["rows"]
    (given,) = (row["labels"] for row in rows if row["conversation_id"] == conversation)
    return [(label["label"], label["by"], label["who"]) for label in given if label["set"] == "topic"]


@pytest.mark.parametrize("target", [{"message": "m1"}, {"conversation": "c1"}])
def test_a_label_is_given_once(admin: Face, target: dict[str, str]) -> None:
    """A message, or a conversation's first incoming message, has the label at once; giving it again changes nothing."""
    first = give(admin, **TOPIC, **target)
    assert (first.status_code, first.json()["message"], first.json()["changed"]) == (200, "m1", 1)
    again = give(admin, **TOPIC, **target).json()
    assert (again["changed"], again["number"]) == (0, first.json()["number"])
    assert labels(admin, "c1") == [("wifi", "person", "api")]


def test_a_label_of_the_source_stays(admin: Face) -> None:
    """A message that its source labelled is refused with 409 and how the source can correct it."""
    refused = give(admin, **TOPIC, message="m2")
    assert (refused.status_code, "by a higher revision" in refused.json()["detail"]) == (409, True)
    assert [label[:2] for label in labels(admin, "c2")] == [("food", "source")]


@pytest.mark.parametrize(
    ("body", "status", "advice"),
    [
        ({"set": "topic", "label": "wfi", "message": "m1"}, 400, "wifi"),
        ({"set": "topic", "label": "zzz", "message": "m1"}, 400, "hubbub labels add topic"),
        ({**TOPIC, "message": "m9"}, 404, "message_id"),
        ({**TOPIC, "conversation": "c9"}, 404, "hubbub conversations list"),
        (TOPIC, 400, "name either a message or a conversation"),
        ({**TOPIC, "message": "m1", "conversation": "c1"}, 400, "name either a message or a conversation"),
        ({"set": "mood", "label": "wifi", "message": "m1"}, 400, "set"),
    ],
)
def test_an_invalid_label_or_target_is_refused_with_advice(
    admin: Face, body: dict[str, str], status: int, advice: str
) -> None:
    """An unknown label, message, conversation or set, and no target or two, are refused with advice and change nothing."""
    refused = give(admin, **body)
    assert (refused.status_code, advice in refused.text) == (status, True), refused.text
    assert labels(admin, "c1") == []


def test_only_an_admin_key_of_the_tenant_gives_labels(admin: Face) -> None:
    """Keys without the scope `admin` get 403; for another tenant's key conversation and message are 404."""
    for scopes in (["read"], ["ingest"], ["erase"], ["export"]):
        limited = Face(admin.engine, admin.http, admin.engine.keys.add("acme", scopes).key)
        assert give(limited, **TOPIC, message="m1").status_code == 403
    admin.engine.add_tenant("other")
    admin.engine.labels.replace("other", {"topic": {"wifi": None}})
    other = Face(admin.engine, admin.http, admin.engine.keys.add("other", ["admin"]).key)
    for target in ({"message": "m1"}, {"conversation": "c1"}):
        assert give(other, **TOPIC, **target).status_code == 404
    assert labels(admin, "c1") == []
