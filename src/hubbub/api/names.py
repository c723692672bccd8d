"""The routes of names: display names of the ids in events. Reading needs the scope `read`, setting by hand `admin`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from hubbub.api.auth import Administers, EngineOf, Reads
from hubbub.api.parameters import Cursor, Limit
from hubbub.api.work import Counted
from hubbub.model.name import LONGEST_ID, LONGEST_NAME
from hubbub.model.page import Page
from hubbub.services.names import MOST_AT_ONCE, NamesSet, NameView

router = APIRouter(prefix="/v1/names", route_class=Counted)

Kind = Annotated[str, Field(max_length=20, description="staff, contact, room, account or campaign.")]


class NameBody(BaseModel):
    """An id's name."""

    model_config = ConfigDict(extra="forbid")

    kind: Kind
    id: str = Field(min_length=1, max_length=LONGEST_ID, description="As in events.")
    name: str | None = Field(
        max_length=4 * LONGEST_NAME, description="For people, on one line; null: the sources' name."
    )


class NamesBody(BaseModel):
    """Names to set by hand."""

    model_config = ConfigDict(extra="forbid")

    names: list[NameBody] = Field(min_length=1, max_length=MOST_AT_ONCE)


@router.get("", summary="Names, by kind and id")
def names(
    engine: EngineOf,
    tenant: Reads,
    kind: Annotated[
        str | None, Query(max_length=20, description="Only staff, contact, room, account or campaign.")
    ] = None,
    find: Annotated[str, Query(max_length=LONGEST_NAME, description="Only where the name or id holds this text.")] = "",
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Page[NameView]:
    """Return names from sources or set by hand; an id without a name is not listed."""
    return engine.names.of(tenant, kind, find, limit, cursor)


@router.put("", summary="Set names by hand")
def put_names(engine: EngineOf, tenant: Administers, body: NamesBody) -> NamesSet:
    """Set names, which sources then no longer change; null returns one to its sources. All are set, or none."""
    return engine.names.set(tenant, [name.model_dump() for name in body.names])
