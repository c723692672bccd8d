"""The route of coverage: fetched and missing days of each source. It needs a key with the scope `read`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from hubbub.api.auth import EngineOf, MayRead
from hubbub.api.parameters import Cursor, Limit
from hubbub.api.work import Counted
from hubbub.model.page import Page
from hubbub.services.coverage import Covered

router = APIRouter(prefix="/v1/coverage", route_class=Counted)


@router.get("", summary="Fetched and missing days of each source")
def coverage(
    engine: EngineOf,
    tenant: MayRead,
    from_: Annotated[
        str | None, Query(alias="from", max_length=10, description="First day; 28 days ago if absent.")
    ] = None,
    to: Annotated[str | None, Query(max_length=10, description="Day after the last; tomorrow if absent.")] = None,
    integration: Annotated[str | None, Query(max_length=64, description="Only this integration.")] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[Covered]:
    """Return days and open gaps of each integration, with reason and action; an operator sees those of all tenants."""
    return engine.coverage.of(tenant, from_, to, integration, cursor=cursor, limit=limit)
