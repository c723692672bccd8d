"""Targets over HTTP: an admin key sets and ends them, a key that reads lists them."""

from __future__ import annotations

from tests.unit.api.conftest import Face


def test_targets_are_set_listed_and_ended(face: Face) -> None:
    """POST answers with what GET lists; DELETE says until when it is in force; a key that only reads changes nothing."""
    admin = Face(face.engine, face.http, face.engine.keys.add("acme", ["admin"]).key)
    body = {"aim": "resolution", "minutes": 240, "priority": "High", "valid_from": "2026-01-01"}
    assert face.http.post("/v1/targets", json=body, headers=face.auth).status_code == 403
    added = face.http.post("/v1/targets", json=body, headers=admin.auth)
    assert (added.status_code, added.json()["priority"], added.json()["share"]) == (201, "high", None)
    assert face.get("/v1/targets").json() == {"rows": [added.json()], "next": None}
    ended = face.http.delete(f"/v1/targets/{added.json()['id']}", headers=admin.auth)
    assert ended.json()["removed"] == added.json()["id"]
    assert ended.json()["valid_to"] > "2026-01-01"
    wrong = face.http.post("/v1/targets", json={**body, "aim": "answer"}, headers=admin.auth)
    assert (wrong.status_code, "aim" in wrong.json()["detail"]) == (400, True)
