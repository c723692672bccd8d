"""Integrations over HTTP: an admin key of the tenant, pages, and a secret that no answer shows."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest

from hubbub.app import Engine
from tests.unit.api.conftest import Face

SECRET = "canary-secret-77"
NEW: dict[str, Any] = {"provider": "facebook_page", "name": "Page", "settings": {"page_id": "7"}, "secret": SECRET}


@pytest.fixture
def admin(face: Face) -> Face:
    """A client with the tenant's admin key."""
    return Face(face.engine, face.http, face.engine.keys.add("acme", ["admin"]).key)


def send(face: Face, method: str, path: str = "", body: Any = None) -> httpx2.Response:
    """Send a request below /v1/integrations."""
    return face.http.request(method, f"/v1/integrations{path}", json=body, headers=face.auth)


def test_an_account_is_connected_listed_and_removed(admin: Face) -> None:
    """A new integration is listed, read, paused, resumed, given a new secret and removed."""
    made = send(admin, "POST", body=NEW)
    assert made.status_code == 201
    row = made.json()
    path = f"/{row['id']}"
    assert (row["tenant"], row["state"], row["settings"]) == ("acme", "active", {"page_id": "7"})
    assert send(admin, "GET").json() == {"rows": [row], "next": None}
    assert send(admin, "GET", path).json() == row
    assert send(admin, "POST", f"{path}/pause").json()["state"] == "paused"
    assert send(admin, "GET", "?state=active").json()["rows"] == []
    assert send(admin, "POST", f"{path}/resume").json()["state"] == "active"
    assert send(admin, "POST", f"{path}/secret", {"secret": "new"}).status_code == 200
    engine: Engine = admin.engine
    assert engine.integration_store.secret(engine.integration_store.get("acme", row["id"])) == "new"
    assert send(admin, "DELETE", path).json() == {"removed": row["id"]}
    assert send(admin, "GET", path).status_code == 404


def test_pages_follow_the_cursor(admin: Face) -> None:
    """`next` leads from page to page until it is null; a bad state or limit is 400."""
    made = [send(admin, "POST", body=NEW).json()["id"] for _ in range(5)]
    first = send(admin, "GET", "?limit=3").json()
    second = send(admin, "GET", f"?limit=3&cursor={first['next']}").json()
    assert [r["id"] for r in first["rows"] + second["rows"]] == made
    assert second["next"] is None
    assert send(admin, "GET", "?state=odd").status_code == 400
    assert send(admin, "GET", "?limit=100000").status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        {**NEW, "provider": "odd"}, {**NEW, "settings": {}}, {**NEW, "settings": {"page_id": "x"}}, {**NEW, "tenant": "beta"},
        {**NEW, "secret": SECRET + " with spaces"}, {**NEW, "secret": SECRET * 400}, {**NEW, "secret": [SECRET]},
        {**NEW, "settings": {"page_id": {"a": SECRET}}}, {k: v for k, v in NEW.items() if k != "provider"}, [SECRET], SECRET, None,
    ],
)  # fmt: skip
def test_bad_accounts_are_refused_without_their_secret(admin: Face, body: Any) -> None:
    """A bad integration is a 400 without its secret, and nothing is stored."""
    answer = send(admin, "POST", body=body)
    assert answer.status_code == 400
    assert SECRET not in answer.text
    assert send(admin, "GET").json()["rows"] == []


def test_a_secret_is_in_no_answer(admin: Face) -> None:
    """Neither lists nor other answers about an integration hold its secret."""
    id_ = send(admin, "POST", body=NEW).json()["id"]
    answers = [send(admin, "GET"), send(admin, "GET", f"/{id_}"), send(admin, "POST", f"/{id_}/pause")]
    assert SECRET not in json.dumps([a.text for a in answers])


def test_a_reading_key_is_not_enough(face: Face) -> None:
    """A key without the scope admin gets 403 and changes nothing."""
    for method, body in (("GET", None), ("POST", NEW)):
        assert send(face, method, body=body).status_code == 403
    assert face.engine.integrations.of().rows == []
