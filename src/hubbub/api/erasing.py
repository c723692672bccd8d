"""The routes that erase a contact and show that it was done. They need a key with the scope `erase`.

An erasure takes no Idempotency-Key: sent again it finds nothing any more, and what such a key keeps of a request is what has to go.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from hubbub.api import shapes
from hubbub.api.auth import EngineOf, MayErase
from hubbub.api.work import Counted
from hubbub.errors import BadRequestError, NotFoundError
from hubbub.model.page import LARGEST_PAGE, MAX_CURSOR

router = APIRouter(prefix="/v1", route_class=Counted)

Whose = Annotated[
    str | None, Field(max_length=63, description="The tenant, for operators, who have to name one; a key's own otherwise.")
]  # fmt: skip


class EraseBody(BaseModel):
    """Whom to erase."""

    model_config = ConfigDict(extra="forbid")

    contact_id: str = Field(min_length=1, max_length=512, description="As in the events of the contact.")
    dry_run: bool = Field(False, description="Only count what would go.")
    tenant: Whose = None


class ErasedAnswer(shapes.Shape):
    """What an erasure took out, or would."""

    tenant: str
    contact: str = Field(description="A digest of the id, by which it is known from now on.")
    dry_run: bool
    erasure: str | None = Field(description="Its id; null: nothing was done.")
    contacts: int = Field(ge=1, description="Ids of the person: those that are linked go together.")
    events: int = Field(ge=0, description="Events of the contact.")
    mentions: int = Field(ge=0, description="Other events that named it.")
    superseded: int = Field(ge=0, description="Events that were replaced by corrections.")
    quarantine: int = Field(ge=0, description="Refused records.")
    facts: int = Field(ge=0, description="Rows of facts under its id.")
    snapshots: int = Field(ge=0, description="Deleted, or made again without it.")
    reports: int = Field(ge=0, description="Made again without it, or deleted.")
    payloads: int = Field(ge=0, description="Replies that were asked for.")
    names: int = Field(ge=0, description="What it was called.")
    examples: int = Field(ge=0, description="Messages that people labelled.")


class ErasureRow(shapes.Shape):
    """An erasure."""

    id: str
    tenant: str
    contact: str = Field(description="A digest of the id.")
    at: shapes.Moment
    counts: dict[str, int] | None = Field(description="What it took out; null: it is not done.")


class ErasuresAnswer(shapes.Shape):
    """A page of erasures, oldest first."""

    rows: list[ErasureRow]
    next: shapes.Next


Erased = Annotated[dict[str, Any], shapes.Like(ErasedAnswer)]
Erasures = Annotated[dict[str, Any], shapes.Like(ErasuresAnswer)]


@router.post("/erase", summary="Remove a contact from everything that is kept")
def erase(engine: EngineOf, own: MayErase, body: EraseBody) -> Erased:
    """Answer when no file holds anything of it any more, which may take minutes; cut short, the same request goes on."""
    return engine.erase(_tenant(own, body.tenant), body.contact_id, dry_run=body.dry_run)


@router.get("/erasures", summary="Erasures, oldest first")
def erasures(
    engine: EngineOf,
    own: MayErase,
    tenant: Annotated[str | None, Query(max_length=63, description="The tenant, for operators.")] = None,
    cursor: Annotated[str | None, Query(max_length=MAX_CURSOR, description="`next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE, description="Most on this page.")] = 100,
) -> Erasures:
    """Return when contacts were erased and what it came to; `contact` is a digest of the id, as `POST /v1/erase` answers it."""
    return engine.erasures(_tenant(own, tenant), limit=limit, cursor=cursor)


def _tenant(own: str | None, named: str | None) -> str:
    """Return whose contact is meant: a tenant's key names no other tenant, an operator's names one."""
    if own is None and named is None:
        raise BadRequestError("tenant: an operator's key belongs to none, so name one")
    if own is not None and named not in (None, own):
        raise NotFoundError(f"there is no tenant {str(named)[:80]!r}")
    return own or str(named)
