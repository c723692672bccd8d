"""Tenants and keys over HTTP: each tenant its own, shown once, revoked at once, rotated with an overlap."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from starlette.testclient import TestClient

from hubbub.api.app import create_app
from hubbub.control import control
from hubbub.control.control import SCOPES
from hubbub.control.database import now
from hubbub.model.plain import plain
from tests.unit.api.conftest import Face, open_engine


def send(face: Face, method: str, path: str, body: Any = None, key: str = "", **headers: str) -> httpx2.Response:
    """Send a request with a key; by default the client's own."""
    return face.http.request(method, path, json=body, headers={"Authorization": f"Bearer {key or face.key}", **headers})


@pytest.fixture
def admin(face: Face) -> Face:
    """A client whose key has all scopes of the tenant."""
    return Face(face.engine, face.http, face.engine.keys.add("acme", SCOPES).key)


def works(face: Face, key: str) -> bool:
    """Return whether a key can read."""
    return send(face, "GET", "/v1/metrics", key=key).status_code == 200


# --- tenants


def test_an_operator_makes_and_changes_tenants(face: Face) -> None:
    """A new tenant has the given fields, a change touches only given fields, and a retention of null keeps for ever."""
    made = send(
        face, "POST", "/v1/tenants", {"tenant": "new", "zone": "Asia/Tokyo", "retention": {"raw": None}}, face.operator
    )
    assert (made.status_code, made.json()["zone"]) == (201, "Asia/Tokyo")
    assert (made.json()["retention"]["raw"], made.json()["retention"]["hour"]) == (None, 30)
    changed = send(face, "PATCH", "/v1/tenants/new", {"retention": {"hour": 7}}, face.operator).json()
    assert (changed["zone"], changed["retention"]["raw"], changed["retention"]["hour"]) == ("Asia/Tokyo", None, 7)
    assert (
        send(face, "GET", "/v1/tenants/new", key=face.operator).json()
        == changed
        == plain(face.engine.tenants.get("new"))
    )
    assert send(face, "POST", "/v1/tenants", {"tenant": "new"}, face.operator).status_code == 409
    for bad in ({"tenant": "No"}, {"tenant": "x", "zone": "Mars/Olympus"}, {"tenant": "x", "retention": {"raw": 0}}):
        assert send(face, "POST", "/v1/tenants", bad, face.operator).status_code == 400
    assert send(face, "PATCH", "/v1/tenants/nobody", {"name": "x"}, face.operator).status_code == 404


def test_a_tenant_sees_only_itself(face: Face) -> None:
    """A tenant's key lists and reads its own tenant; another gets the 404 of an unknown one; it changes none."""
    face.engine.add_tenant("other")
    assert [row["tenant"] for row in face.get("/v1/tenants").json()["rows"]] == ["acme"]
    assert face.get("/v1/tenants/acme").json()["zone"] == "Europe/Rome"
    theirs, nobodys = face.get("/v1/tenants/other"), face.get("/v1/tenants/never")
    assert theirs.status_code == nobodys.status_code == 404
    assert theirs.json()["detail"].replace("other", "never") == nobodys.json()["detail"]
    assert send(face, "PATCH", "/v1/tenants/acme", {"name": "x"}).status_code == 403


def test_lists_are_read_page_by_page_while_they_grow(face: Face) -> None:
    """Pages of tenants, keys and integrations return each once, even while rows are added; a bad cursor is 400."""
    chief = face.engine.keys.add(None, ["admin"]).key
    owner = face.engine.keys.add("acme", ["admin"]).key
    for n in range(5):
        face.engine.add_tenant(f"t{n}")
        face.engine.integrations.add("acme", "facebook_page", "secret", f"p{n}", {"page_id": "7"})
    for path, key, name in (
        ("/v1/tenants", chief, "tenant"), ("/v1/keys", chief, "id"), ("/v1/integrations", owner, "id"),
    ):  # fmt: skip
        before = [row[name] for row in send(face, "GET", path, key=key).json()["rows"]]
        seen: list[str] = []
        cursor: str | None = None
        while True:
            page = send(face, "GET", f"{path}?limit=2" + (f"&cursor={cursor}" if cursor else ""), key=key).json()
            assert len(page["rows"]) <= 2
            seen += [row[name] for row in page["rows"]]
            cursor = page["next"]
            if cursor is None:
                break
            if len(seen) == 2:
                face.engine.add_tenant(f"late-{path[4:]}")
                face.engine.keys.add("acme")
        assert seen[: len(before)] == before
        assert len(set(seen)) == len(seen)
        for bad in ("x", "W10", "WzEsMl0", "bnVsbA", "a" * 599):
            assert send(face, "GET", f"{path}?cursor={bad}", key=key).status_code == 400, bad


# --- keys


def test_a_key_is_shown_once(admin: Face) -> None:
    """A key's text is in the answer that makes it, works, and is in no later answer."""
    made = send(admin, "POST", "/v1/keys", {"scopes": ["read"], "label": "wallboard"})
    assert made.status_code == 201
    text = made.json()["key"]
    assert works(admin, text)
    listed = send(admin, "GET", "/v1/keys")
    shown = send(admin, "GET", f"/v1/keys/{made.json()['id']}")
    assert shown.json() in listed.json()["rows"]
    assert shown.json()["label"] == "wallboard"
    assert text.split("_", 3)[3] not in listed.text + shown.text


def test_a_tenants_admin_makes_keys_for_its_tenant_alone(admin: Face) -> None:
    """A tenant's admin makes keys for its own tenant only; an operator for any tenant or itself."""
    admin.engine.add_tenant("other")
    assert send(admin, "POST", "/v1/keys", {"tenant": "other"}).status_code == 404
    assert send(admin, "GET", "/v1/keys?tenant=other").status_code == 404
    assert send(admin, "POST", "/v1/keys", {"tenant": None, "scopes": ["admin"]}).json()["tenant"] == "acme"
    assert send(admin, "POST", "/v1/keys", {"tenant": "other"}, admin.operator).json()["tenant"] == "other"
    assert send(admin, "POST", "/v1/keys", {"scopes": ["admin"]}, admin.operator).json()["tenant"] is None
    assert send(admin, "POST", "/v1/keys", {"scopes": ["read"]}, admin.operator).status_code == 400
    assert {row["tenant"] for row in send(admin, "GET", "/v1/keys").json()["rows"]} == {"acme"}
    assert [r["tenant"] for r in send(admin, "GET", "/v1/keys?tenant=other", key=admin.operator).json()["rows"]] == [
        "other"
    ]


def test_a_revoked_key_is_refused_by_the_next_request(admin: Face) -> None:
    """A key that just worked is refused right after it was revoked, by route or by engine."""
    for how in ("route", "engine"):
        made = admin.engine.keys.add("acme")
        assert works(admin, made.key)
        if how == "route":
            assert send(admin, "POST", f"/v1/keys/{made.id}/revoke").json()["revoked_at"]
        else:
            admin.engine.keys.revoke(made.id)
        assert not works(admin, made.key), how


def test_a_key_revoked_by_another_process_is_accepted_for_five_seconds_at_most(
    admin: Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process refuses a revoked key after five seconds at most."""
    made = admin.engine.keys.add("acme")
    with open_engine(admin.engine.settings.data) as second, TestClient(create_app(second, refresh=False)) as http:
        elsewhere = Face(second, http, made.key)
        assert works(elsewhere, made.key)
        admin.engine.keys.revoke(made.id)
        later = time.monotonic() + 5.001
        monkeypatch.setattr("hubbub.api.auth.time.monotonic", lambda: later)
        assert not works(elsewhere, made.key)


def test_rotation_leaves_the_old_key_its_overlap(admin: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new key has tenant, scopes and label of the old; both work during the overlap, then only the new one."""
    old = admin.engine.keys.add("acme", ["read"], "wallboard")
    told = send(admin, "POST", f"/v1/keys/{old.id}/rotate", {"overlap": 60})
    assert told.status_code == 201
    new = told.json()
    assert (new["tenant"], new["scopes"], new["label"], new["expires_at"]) == ("acme", ["read"], "wallboard", None)
    assert new["replaces"]["id"] == old.id and new["replaces"]["expires_at"]
    assert works(admin, old.key) and works(admin, new["key"])
    monkeypatch.setattr(control, "now", lambda: now() + timedelta(seconds=61))
    admin.engine.control.revocations += 1  # the cached key expires by the real clock
    assert not works(admin, old.key)
    assert works(admin, new["key"])


def test_rotation_without_overlap_stops_the_old_key_at_once(admin: Face) -> None:
    """With no overlap the old key stops at once; a revoked or expired key, another tenant's and an absurd overlap are refused."""
    old = admin.engine.keys.add("acme", ["read"])
    assert works(admin, old.key)
    new = send(admin, "POST", f"/v1/keys/{old.id}/rotate", {"overlap": 0}).json()
    assert not works(admin, old.key) and works(admin, new["key"])
    assert send(admin, "POST", f"/v1/keys/{old.id}/rotate").status_code == 409
    admin.engine.keys.revoke(new["id"])
    assert send(admin, "POST", f"/v1/keys/{new['id']}/rotate").status_code == 409
    admin.engine.add_tenant("other")
    theirs = admin.engine.keys.add("other").id
    assert send(admin, "POST", f"/v1/keys/{theirs}/rotate").status_code == 404
    for overlap in (-1, 31 * 86_400, "x"):
        assert send(admin, "POST", f"/v1/keys/{theirs}/rotate", {"overlap": overlap}).status_code == 400


def test_rotation_makes_no_key_live_longer(admin: Face) -> None:
    """A rotated key keeps its expiry, and its successor has the same unless another is given."""
    old = admin.engine.keys.add("acme", ["read"], expires="2090-01-01")
    new = send(admin, "POST", f"/v1/keys/{old.id}/rotate", {"overlap": 5}).json()
    assert new["expires_at"] == plain(old.expires_at) > new["replaces"]["expires_at"]
    given = send(admin, "POST", f"/v1/keys/{new['id']}/rotate", {"expires": "2091-01-01"}).json()
    assert given["expires_at"] == "2091-01-01T00:00:00Z"
