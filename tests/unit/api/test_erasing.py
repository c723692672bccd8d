"""Erasing over HTTP: which contact, who may, and the answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.api.conftest import Face, event

GUEST = {"contact_id": "guest-7f3a91"}


@pytest.fixture
def eraser(face: Face) -> Face:
    """A client whose key may only erase."""
    face.post([event("a", contact_id="guest-7f3a91"), event("b", contact_id="guest-2")])
    return Face(face.engine, face.http, face.engine.keys.add("acme", ["erase"]).key)


def test_a_tenant_erases_its_own_contact(eraser: Face) -> None:
    """A dry run counts only; an erasure removes the event and is listed; another tenant is 404."""
    for dry in (True, False):
        answer = eraser.http.post("/v1/erase", json={**GUEST, "dry_run": dry}, headers=eraser.auth)
        assert answer.status_code == 200, answer.text
        told = answer.json()
        assert (told["events"], told["dry_run"], told["erasure"] is None) == (1, dry, dry)
    assert eraser.get("/v1/erasures").json()["rows"][0]["id"] == told["erasure"]
    assert [row["id"] for row in eraser.stored()] == ["b"]
    eraser.engine.add_tenant("other")
    for answer in (
        eraser.http.post("/v1/erase", json={**GUEST, "tenant": "other"}, headers=eraser.auth),
        eraser.get("/v1/erasures", tenant="other"),
        eraser.http.post("/v1/erase", json={**GUEST, "tenant": "nobody"}, headers=eraser.auth),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_an_operator_names_the_tenant(eraser: Face, tmp_path: Path) -> None:
    """Without a tenant an operator gets 400; with one, that tenant's contact is erased."""
    operator = Face(eraser.engine, eraser.http, eraser.operator)
    assert operator.http.post("/v1/erase", json=GUEST, headers=operator.auth).json()["code"] == "bad_request"
    assert operator.get("/v1/erasures").json()["code"] == "bad_request"
    done = operator.http.post("/v1/erase", json={**GUEST, "tenant": "acme"}, headers=operator.auth)
    assert done.json()["events"] == 1
    assert len(operator.get("/v1/erasures", tenant="acme").json()["rows"]) == 1


def test_an_erasure_without_an_id_is_refused(eraser: Face) -> None:
    """A missing, an empty and an overlong id are refused."""
    for body in ({}, {"contact_id": ""}, {"contact_id": "x" * 513}):
        assert eraser.http.post("/v1/erase", json=body, headers=eraser.auth).status_code in (400, 422)
