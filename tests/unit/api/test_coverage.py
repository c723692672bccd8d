"""Coverage over HTTP: a key sees its tenant's sources only, for the given days."""

from __future__ import annotations

from tests.unit.api.conftest import Face

SETTINGS = {"page_id": "7"}


def test_a_tenant_sees_its_own_sources(face: Face) -> None:
    """A tenant's key gets days and gaps of its own integrations; a reversed range is 400, and queries are null on missing days."""
    face.engine.add_tenant("other")
    for tenant in ("acme", "other"):
        face.engine.integrations.add(
            tenant, "facebook_page", "token", f"Page of {tenant}", {**SETTINGS, "since": "2026-08-18"}
        )
    answer = face.http.get("/v1/coverage?from=2026-08-17&to=2026-08-21", headers=face.auth)
    assert answer.status_code == 200
    (row,) = answer.json()["rows"]
    assert (row["tenant"], row["name"]) == ("acme", "Page of acme")
    assert [day["state"] for day in row["days"]] == ["before", "missing", "missing", "not_over"]
    assert [gap["reason"] for gap in row["gaps"]] == ["not_tried"]
    assert face.http.get("/v1/coverage?from=2026-08-17&to=2026-08-01", headers=face.auth).status_code == 400
    question = {"metrics": ["events"], "from": "2026-08-17", "to": "2026-08-20", "grain": "day"}
    told = face.http.post("/v1/query", json=question, headers=face.auth).json()
    assert (told["freshness"]["complete"], [row["events"] for row in told["rows"]]) == (False, [0, None, None])


def test_coverage_of_one_integration_can_be_selected(face: Face) -> None:
    """`integration` selects one integration; an unknown one is 404."""
    for name in ("one", "other"):
        face.engine.integrations.add("acme", "facebook_page", "token", name, {**SETTINGS, "since": "2026-08-18"})
    everything = face.http.get("/v1/coverage", headers=face.auth).json()["rows"]
    for source in everything:
        answer = face.http.get(f"/v1/coverage?integration={source['integration']}", headers=face.auth).json()
        assert answer["rows"] == [source]
    assert face.http.get("/v1/coverage?integration=int_nobody", headers=face.auth).status_code == 404
