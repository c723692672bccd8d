"""Typed answers of routes: the dataclass defines the OpenAPI schema and the JSON."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from fastapi import APIRouter, FastAPI
from starlette.testclient import TestClient

from hubbub.api.work import Counted
from hubbub.model.page import Page


@dataclass(frozen=True, slots=True)
class Thing:
    """A thing of a test."""

    from_: datetime
    """When it began."""
    size: int | None


router = APIRouter(route_class=Counted)


@router.get("/things")
def things() -> Page[Thing]:
    """Return one from a thread."""
    return Page([Thing(datetime(2026, 3, 1, tzinfo=UTC), None)])


@router.post("/things", status_code=201)
async def add() -> Thing:
    """Return one from the loop."""
    return Thing(datetime(2026, 3, 1, tzinfo=UTC), 7)


def test_the_signature_is_the_answer_and_its_description() -> None:
    """A page of dataclasses is sent and described by its fields, from threads and from the event loop."""
    app = FastAPI()
    app.include_router(router)
    with TestClient(app) as http:
        assert http.get("/things").json() == {
            "rows": [{"from": "2026-03-01T00:00:00+00:00", "size": None}],
            "next": None,
        }
        made = http.post("/things")
        assert (made.status_code, made.json()) == (201, {"from": "2026-03-01T00:00:00+00:00", "size": 7})
    schemas = app.openapi()["components"]["schemas"]
    assert schemas["Page_Thing_"]["properties"]["rows"]["items"] == {"$ref": "#/components/schemas/Thing"}
    assert schemas["Thing"]["description"] == "A thing of a test."
    assert schemas["Thing"]["required"] == ["from", "size"]
    assert schemas["Thing"]["properties"]["from"] == {
        "title": "From", "type": "string", "format": "date-time", "description": "When it began.",
    }  # fmt: skip
