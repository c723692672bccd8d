"""Targets over HTTP: an admin key sets and ends them, a read key lists them."""

from __future__ import annotations

from tests.unit.api.conftest import Face


def test_targets_are_set_listed_and_ended(face: Face) -> None:
    """POST returns the row that GET lists; DELETE returns its last day; a read key gets 403, and an unknown aim 400."""
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


def test_a_series_says_which_target_is_in_force(face: Face) -> None:
    """POST /v1/query returns targets of its metrics with days and terms, as OpenAPI describes; other metrics have none."""
    target = face.engine.targets.add("acme", "next_response", 15, share=0.9, valid_from="2026-08-03")
    body = {
        "metrics": ["next_response_within_target", "response_ms.p50"],
        "from": "2026-08-01",
        "to": "2026-08-08",
        "grain": "day",
    }
    answer = face.http.post("/v1/query", json=body, headers=face.auth).json()
    assert [(each["metric"], each["from"], each["to"]) for each in answer["targets"]] == [
        ("next_response_within_target", "2026-08-03", "2026-08-08"), ("response_ms.p50", "2026-08-03", "2026-08-08"),
    ]  # fmt: skip
    assert {each["id"] for each in answer["targets"]} == {target.id}
    assert (answer["targets"][0]["minutes"], answer["targets"][0]["share"]) == (15, 0.9)
    described = face.get("/openapi.json").json()["components"]["schemas"]["TargetInForce"]["properties"]
    assert set(described) == set(answer["targets"][0])
    other = face.http.post("/v1/query", json={**body, "metrics": ["messages"]}, headers=face.auth)
    assert "targets" not in other.json()
