"""Snapshots over HTTP: made and read for the key's tenant only."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.api.conftest import DAY, Face, event


def make(face: Face, **body: Any) -> Any:
    """Request a snapshot."""
    return face.http.post("/v1/snapshots", json=body, headers=face.auth)


def test_snapshots_that_were_made_can_be_read(face: Face) -> None:
    """POST makes the engine's snapshots, and GET returns them, filtered by kind and account."""
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


def test_another_tenants_snapshots_are_out_of_reach(face: Face) -> None:
    """A key makes and reads snapshots of its own tenant only."""
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
def test_a_snapshot_that_cannot_be_made_is_a_400(arena: Face, body: dict[str, Any], code: str) -> None:
    """Unknown kinds, impossible or future dates, and a tenant in the body are 400 with their code."""
    answer = make(arena, **body)
    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_a_snapshot_past_retention_is_a_409(face: Face) -> None:
    """A snapshot of a day past retention is 409 with the code window_frozen."""
    face.engine.tenants.change("acme", retention={"facts": 10})
    face.post(event("a")).raise_for_status()
    face.engine.refresh()
    with face.engine.store.facts.write() as writing:  # age counts from the later of time and arrival
        writing.run("UPDATE event SET received_at = time")
    face.engine.retention()
    answer = make(face, date=DAY["from"])
    assert (answer.status_code, answer.json()["code"]) == (409, "window_frozen")


def test_a_range_is_needed_to_read(arena: Face) -> None:
    """Without dates, with an invalid one, or with a reversed range, the answer is 400."""
    for params in (
        {},
        {"from": "2026-08-01"},
        {"from": "x", "to": "2026-08-02"},
        {"from": "2026-08-02", "to": "2026-08-01"},
    ):
        assert arena.get("/v1/snapshots", **params).status_code == 400
