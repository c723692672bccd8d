"""The route of restatements: closed numbers that changed later."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from hubbub.api.auth import EngineOf, Reads
from hubbub.api.parameters import Cursor, Limit
from hubbub.api.work import Counted
from hubbub.control.restatements import Restatement
from hubbub.model.page import Page

router = APIRouter(prefix="/v1/restatements", route_class=Counted)


@router.get("", summary="Closed numbers that changed later")
def restatements(
    engine: EngineOf,
    tenant: Reads,
    since: Annotated[
        str | None, Query(max_length=60, description="Date in the tenant's zone, or RFC 3339 time.")
    ] = None,
    metric: Annotated[
        str | None, Query(max_length=200, description="Only this metric, like csat or response_ms.p50.")
    ] = None,
    from_: Annotated[
        str | None, Query(alias="from", max_length=10, description="Only numbers of this day or later ones.")
    ] = None,
    to: Annotated[str | None, Query(max_length=10, description="Only numbers of days before this one.")] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[Restatement]:
    """Return the changes, newest first: day, metric, channel, old and new value, cause, and the number of events for the day."""
    return engine.restatements.of(tenant, since, metric, limit, cursor, first=from_, after=to)
