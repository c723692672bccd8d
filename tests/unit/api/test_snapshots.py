"""Snapshots over HTTP: made for the key's tenant alone, and read as they were made."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.api.conftest import DAY, Face, event


def make(face: Face, **body: Any) -> Any:
    """Ask for a snapshot to be made."""
    return face.http.post("/v1/snapshots", json=body, headers=face.auth)


def test_what_is_made_can_be_read(face: Face) -> None:
    """POST makes what the engine makes and GET returns it, filtered by kind and account; both are the engine's answers."""
    face.post([event("a", account_id="one"), event("b", 11)]).raise_for_status()
    made = make(face, kind="daily", date=DAY["from"]).raise_for_status().json()
    assert (made["processed"], made["created"], made["errors"]) == (1, 2, {})
    assert [r["messages"]["inbound"] for r in made["rows"]] == [2, 1]
    read = face.get("/v1/snapshots", **DAY).raise_for_status().json()
    assert read["rows"] == made["rows"] and read == face.engine.snapshots("acme", DAY["from"], DAY["to"])
    assert face.get("/v1/snapshots", **DAY, account="one").json()["rows"] == made["rows"][1:]
    assert face.get("/v1/snapshots", **DAY, account="").json()["rows"] == made["rows"][:1]
    assert face.get("/v1/snapshots", **DAY, kind="weekly").json()["rows"] == []
    assert make(face).json()["rows"][0]["date"] == "2026-08-19"


def test_another_tenants_snapshots_are_not_there(face: Face) -> None:
    """A key makes and reads snapshots of its own tenant, whatever others have."""
    face.engine.add_tenant("other")
    face.engine.record("other", event("x", account_id="secret account"))
    face.engine.snapshot("daily", DAY["from"])
    assert face.engine.snapshots("other", DAY["from"], DAY["to"])["rows"][1]["account_id"] == "secret account"
    for answer in (face.get("/v1/snapshots", **DAY), make(face, date=DAY["from"])):
        assert "secret" not in answer.text
        assert [r["account_id"] for r in answer.json()["rows"]] == [None]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"kind": "yearly"}, "bad_question"), ({"date": "2026-13-01"}, "bad_question"), ({"date": "2026-08-30"}, "bad_question"),
        ({"tenant": "other"}, "bad_request"), ({"kind": 5}, "bad_request"), ({"kind": "x" * 300}, "bad_request"),
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_made_is_a_400(arena: Face, body: dict[str, Any], code: str) -> None:
    """Unknown kinds, dates that are none or ahead, and a tenant in the body are refused with their code."""
    answer = make(arena, **body)
    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_what_is_past_retention_is_a_409(face: Face) -> None:
    """A day whose facts are no longer kept cannot be made, and says so."""
    face.engine.tenants.change("acme", retention={"facts": 10})
    face.post(event("a")).raise_for_status()
    face.engine.refresh()
    with face.engine.store.facts.write() as writing:  # facts stay as long as they were not known before
        writing.run("UPDATE event SET received_at = time")
    face.engine.retention()
    answer = make(face, date=DAY["from"])
    assert (answer.status_code, answer.json()["code"]) == (409, "window_frozen")


def test_a_range_is_needed_to_read(arena: Face) -> None:
    """Without dates, with one that is none, or backwards, there is no answer but a 400."""
    for params in (
        {},
        {"from": "2026-08-01"},
        {"from": "x", "to": "2026-08-02"},
        {"from": "2026-08-02", "to": "2026-08-01"},
    ):
        assert arena.get("/v1/snapshots", **params).status_code == 400
