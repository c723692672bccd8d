"""`Idempotency-Key` over HTTP: a repeated request gets the first answer, does nothing again, and tenants are separate."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest

from hubbub.control.control import SCOPES
from tests.unit.api.conftest import Face
from tests.unit.api.test_abuse import INGEST, REPLY

KEY = '"8e03978e-40d5-43e8-bc93-6894a57f9324"'
CREATE: dict[str, tuple[dict[str, Any], bool]] = {
    "/v1/tenants": ({"tenant": "new"}, True),
    "/v1/keys": ({"scopes": ["read"]}, False),
    "/v1/jobs/analytics-ingest": ({"payload": INGEST}, False),
    "/v1/ai/responses": (REPLY, False),
    "/v1/integrations": ({"provider": "facebook_page", "settings": {"page_id": "7"}, "secret": "s"}, False),
    "/v1/snapshots": ({"kind": "daily", "date": "2026-08-01"}, False),
}
"""Routes that create something: a body, and whether only an operator may."""


@pytest.fixture
def admin(face: Face) -> Face:
    """A client whose key has all scopes of the tenant."""
    return Face(face.engine, face.http, face.engine.keys.add("acme", SCOPES).key)


def send(face: Face, path: str, body: Any, key: str | None = KEY, **headers: str) -> httpx2.Response:
    """Post with an Idempotency-Key."""
    headers = face.auth | ({"Idempotency-Key": key} if key is not None else {}) | headers
    return face.http.post(path, json=body, headers=headers)


def boss(face: Face) -> Face:
    """The same client with an operator's key."""
    return Face(face.engine, face.http, face.operator)


@pytest.mark.parametrize("path", CREATE)
def test_a_repeated_request_is_answered_as_before(admin: Face, path: str) -> None:
    """A repeated request gets the same status and answer, marked as replayed and without a secret; quotes do not change the key."""
    body, operators = CREATE[path]
    face = boss(admin) if operators else admin
    first = send(face, path, body)
    assert first.status_code < 300, first.text
    assert "idempotent-replayed" not in first.headers
    for key in (KEY, KEY.strip('"')):
        again = send(face, path, body, key)
        assert (again.status_code, again.headers["idempotent-replayed"]) == (first.status_code, "true")
        assert again.json() == first.json() | ({"key": None} if path == "/v1/keys" else {})
    assert "idempotent-replayed" not in send(face, path, body, "another-key").headers


def test_another_request_under_the_same_key_is_a_422(admin: Face) -> None:
    """The same key with another body or another route is 422 with its own code, and nothing is done."""
    assert send(admin, "/v1/keys", {"scopes": ["read"]}).status_code == 201
    count = len(admin.engine.keys.of().rows)
    for path, body in (("/v1/keys", {"scopes": ["ingest"]}), ("/v1/jobs/analytics-ingest", {"payload": INGEST})):
        answer = send(admin, path, body)
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert len(admin.engine.keys.of().rows) == count
    assert admin.engine.jobs.of().rows == []


def test_a_refused_request_can_be_corrected_under_its_key(admin: Face) -> None:
    """A refusal is not stored: the corrected request can use the same key."""
    assert send(boss(admin), "/v1/tenants", {"tenant": "new", "zone": "Mars/Olympus"}).status_code == 400
    assert send(boss(admin), "/v1/tenants", {"tenant": "new", "zone": "UTC"}).status_code == 201


def test_keys_of_two_tenants_are_separate(admin: Face) -> None:
    """Two tenants with the same key get separate answers; a key without the scope gets no stored answer."""
    body = {"payload": {"integration_id": "x", "date": "2026-08-01"}}
    mine = send(admin, "/v1/jobs/analytics-ingest", body).json()
    admin.engine.add_tenant("other")
    other = Face(admin.engine, admin.http, admin.engine.keys.add("other", SCOPES).key)
    assert send(other, "/v1/jobs/analytics-ingest", body).json()["id"] != mine["id"]
    reader = Face(admin.engine, admin.http, admin.engine.keys.add("acme", ["read"]).key)
    refused = send(reader, "/v1/jobs/analytics-ingest", body)
    assert refused.status_code == 403
    assert mine["id"] not in refused.text


def test_of_simultaneous_requests_one_does_the_work(admin: Face) -> None:
    """Of eight simultaneous requests one does the work; the others get its answer, or 409."""
    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(lambda _: send(admin, "/v1/jobs/analytics-ingest", {"payload": INGEST}), range(8)))
    assert {a.status_code for a in told} <= {202, 409}
    assert {a.json()["code"] for a in told if a.status_code == 409} <= {"request_running"}
    assert len({a.json()["id"] for a in told if a.status_code == 202}) == 1
    assert len(admin.engine.jobs.of().rows) == 1


def test_an_invalid_key_is_a_400(admin: Face) -> None:
    """An empty, overlong or unprintable key is 400; without a key nothing is stored."""
    for bad in ("", '""', "x" * 256, "a\tb"):
        assert send(admin, "/v1/keys", {}, bad).status_code == 400, bad
    ids = {send(admin, "/v1/keys", {}, None).json()["id"] for _ in range(2)}
    assert len(ids) == 2


def test_no_file_holds_a_secret_in_the_clear(admin: Face) -> None:
    """After a request with an Idempotency-Key, no file holds the text of a key or an integration's secret in the clear."""
    text = send(admin, "/v1/keys", {}).json()["key"].split("_", 3)[3]
    send(admin, "/v1/integrations", {**CREATE["/v1/integrations"][0], "secret": "canary-of-a-secret"}, "other")
    for path in admin.engine.settings.data.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert text.encode() not in content and b"canary-of-a-secret" not in content, path.name
