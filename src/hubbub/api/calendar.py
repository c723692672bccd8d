"""The routes of a tenant's business hours. They need an admin key of the tenant."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from hubbub.api.auth import Administers, EngineOf
from hubbub.api.work import Counted
from hubbub.model.calendar import MAX_HOLIDAYS, MAX_INTERVALS, MAX_VERSIONS
from hubbub.services.calendar import CalendarView, ChangedCalendar

router = APIRouter(prefix="/v1/calendar", route_class=Counted)

Text = Annotated[str, Field(max_length=20)]
Hours = Annotated[list[Text], Field(max_length=MAX_INTERVALS)]


class VersionBody(BaseModel):
    """Hours in force from a day on."""

    model_config = ConfigDict(extra="forbid")

    valid_from: Text = Field(description="The first local day, like 2026-01-01.")
    week: dict[Text, Hours] = Field(
        max_length=7,
        description="Weekday to intervals, like monday: [09:00-12:30, 13:30-18:00]; a day not named is closed.",
    )
    holidays: dict[Text, Hours] = Field(
        default_factory=dict, max_length=MAX_HOLIDAYS, description="Date to its own intervals; an empty list: closed."
    )


class CalendarBody(BaseModel):
    """A calendar."""

    model_config = ConfigDict(extra="forbid")

    versions: list[VersionBody] = Field(max_length=MAX_VERSIONS, description="An empty list removes the calendar.")


@router.get("", summary="The tenant's business hours")
def calendar(engine: EngineOf, tenant: Administers) -> CalendarView:
    """Return the tenant's zone and the versions of its calendar; an empty list: no calendar."""
    return engine.calendar.get(tenant)


@router.put("", summary="Set the tenant's business hours")
def set_calendar(engine: EngineOf, tenant: Administers, body: CalendarBody) -> ChangedCalendar:
    """Replace all versions; answers change at once, and stored numbers from `changed_from` on."""
    return engine.calendar.set(tenant, body.model_dump())
