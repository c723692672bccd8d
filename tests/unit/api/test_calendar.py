"""Business hours over HTTP: the tenant's admin key reads and sets them, and errors name their field."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from tests.unit.api.conftest import Face

VERSION: dict[str, Any] = {
    "valid_from": "2026-01-01", "week": {"monday": ["09:00-17:00"]}, "holidays": {"2026-12-25": []},
}  # fmt: skip


@pytest.fixture
def admin(face: Face) -> Face:
    """A client with the tenant's admin key."""
    return Face(face.engine, face.http, face.engine.keys.add("acme", ["admin"]).key)


def put(face: Face, body: Any) -> httpx2.Response:
    """Set the calendar."""
    return face.http.put("/v1/calendar", json=body, headers=face.auth)


def test_business_hours_are_set_and_read(admin: Face) -> None:
    """PUT answers what GET then returns, with the first day that changes; an empty list of versions removes the calendar."""
    none = {"tenant": "acme", "zone": "Europe/Rome", "versions": []}
    assert admin.get("/v1/calendar").json() == none
    told = put(admin, {"versions": [VERSION]})
    assert (told.status_code, told.json()["changed_from"]) == (200, "2026-01-01")
    assert admin.get("/v1/calendar").json() == none | {"versions": [VERSION]}
    assert put(admin, {"versions": []}).json() == none | {"changed_from": "2026-01-01"}


def test_a_read_key_may_not_set_business_hours(face: Face) -> None:
    """The routes need the scope admin, and an operator's key has no calendar."""
    assert face.get("/v1/calendar").status_code == 403
    assert put(face, {"versions": [VERSION]}).status_code == 403
    operator = Face(face.engine, face.http, face.engine.keys.add(None, ["admin"]).key)
    assert put(operator, {"versions": [VERSION]}).status_code == 403
    assert face.engine.calendar.get("acme").versions == []


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "versions"),
        ({"versions": [VERSION], "tenant": "other"}, "tenant"),
        ({"versions": [VERSION, VERSION]}, "versions[1].valid_from"),
        ({"versions": [{**VERSION, "week": {"monday": ["9-17"]}}]}, "versions[0].week.monday[0]"),
        ({"versions": [{**VERSION, "week": {"mon": []}}]}, "versions[0].week"),
        ({"versions": [{**VERSION, "week": {"monday": ["09:00-12:00", "11:00-13:00"]}}]}, "versions[0].week.monday"),
        ({"versions": [{**VERSION, "holidays": {"never": []}}]}, "versions[0].holidays"),
        ({"versions": [VERSION] * 101}, "versions"),
        ({"versions": [{**VERSION, "week": {"monday": ["x" * 1000]}}]}, "monday"),
    ],
)
def test_a_bad_calendar_is_refused_by_field(admin: Face, body: Any, named: str) -> None:
    """A bad calendar gets a 4xx whose detail names the field, and none is stored."""
    answer = put(admin, body)
    assert 400 <= answer.status_code < 500
    assert named in answer.json()["detail"]
    assert admin.engine.calendar.get("acme").versions == []
