"""The routes of erasing a contact and of erasures. They need a key with the scope `erase`.

An erasure takes no Idempotency-Key: a repeated one finds nothing, and the stored request would hold erased data.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from hubbub.api.auth import EngineOf, MayErase
from hubbub.api.parameters import Cursor, Limit
from hubbub.api.work import Counted
from hubbub.control.erasures import Erasure
from hubbub.errors import BadRequestError, NotFoundError
from hubbub.model.page import Page
from hubbub.services.erasures import ErasedContact

router = APIRouter(prefix="/v1", route_class=Counted)

TenantName = Annotated[
    str | None, Field(max_length=63, description="The tenant, required with an operator's key; absent: the key's own.")
]  # fmt: skip


class EraseBody(BaseModel):
    """The contact to erase."""

    model_config = ConfigDict(extra="forbid")

    contact_id: str = Field(min_length=1, max_length=512, description="As in the events of the contact.")
    dry_run: bool = Field(False, description="Only count what would be deleted.")
    tenant: TenantName = None


@router.post("/erase", summary="Remove a contact from all stored data")
def erase(engine: EngineOf, own: MayErase, body: EraseBody) -> ErasedContact:
    """Erase it, and answer once no file holds its data; this may take minutes. If interrupted, the same request continues it."""
    return engine.erasures.erase(_tenant(own, body.tenant), body.contact_id, dry_run=body.dry_run)


@router.get("/erasures", summary="Erasures, oldest first")
def erasures(
    engine: EngineOf,
    own: MayErase,
    tenant: Annotated[str | None, Query(max_length=63, description="The tenant, for operators.")] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Page[Erasure]:
    """Return times and results of erasures; `contact` is a digest of the id, as in the answer of `POST /v1/erase`."""
    return engine.erasures.of(_tenant(own, tenant), limit=limit, cursor=cursor)


def _tenant(own: str | None, named: str | None) -> str:
    """Return the contact's tenant: an operator's key must name it, a tenant's key names no other.

    Raises BadRequestError, NotFoundError.
    """
    if own is None and named is None:
        raise BadRequestError("tenant: an operator's key belongs to no tenant: name the tenant")
    if own is not None and named not in (None, own):
        raise NotFoundError(f"there is no tenant {str(named)[:80]!r}")
    return own or str(named)
