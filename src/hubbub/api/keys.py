"""The routes of API keys. A tenant's admin key manages that tenant's keys alone, an operator's all of them.

A key's text is in the answer that makes it and nowhere else: only its digest is kept, and a repeated request is answered
without it.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from hubbub.api.auth import EngineOf, MayAdminister
from hubbub.api.idempotency import Once
from hubbub.api.parameters import Cursor, Limit
from hubbub.api.work import Counted
from hubbub.errors import NotFoundError
from hubbub.model.page import Page
from hubbub.services.keys import LONGEST_OVERLAP, KeyView, NewKey, RotatedKey

router = APIRouter(prefix="/v1/keys", route_class=Counted)

Id = Annotated[str, Path(max_length=40, description="Id of the key: the part between `hub_live_` and its secret.")]
Scope = Annotated[str, Field(max_length=20)]
End = Annotated[str | None, Field(max_length=60, description="When it ends: a date or RFC 3339 time (UTC).")]
SHOWN_ONCE = ("key",)


class KeyBody(BaseModel):
    """A key to make."""

    model_config = ConfigDict(extra="forbid")

    scopes: list[Scope] = Field(
        default_factory=lambda: ["ingest", "read"], min_length=1, max_length=5,
        description="Of ingest, read, export, admin, erase.",
    )  # fmt: skip
    label: str = Field("", max_length=200, description="What it is for.")
    expires: End = None
    tenant: str | None = Field(
        None, max_length=63,
        description="Whose it is, for operators; absent: an operator's own, with scope admin. A tenant's key makes its own.",
    )  # fmt: skip


class Rotation(BaseModel):
    """How a key is replaced."""

    model_config = ConfigDict(extra="forbid")

    overlap: float = Field(3600, ge=0, le=LONGEST_OVERLAP, description="Seconds that the old key works on.")
    expires: End = None


@router.get("", summary="API keys, oldest first")
def keys(
    engine: EngineOf,
    tenant: MayAdminister,
    of: Annotated[str | None, Query(alias="tenant", max_length=63, description="Only this tenant's.")] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Page[KeyView]:
    """Return what is known of the tenant's keys, or of all to an operator; never a secret."""
    return engine.keys.of(_owner(tenant, of), cursor, limit)


@router.post("", status_code=201, summary="Make an API key")
def add(engine: EngineOf, tenant: MayAdminister, body: KeyBody, once: Once) -> NewKey:
    """Make a key; `key` is shown this once. A request that is repeated with its Idempotency-Key is answered without it."""
    owner = _owner(tenant, body.tenant)
    return once(tenant, lambda: engine.keys.add(owner, body.scopes, body.label, body.expires), hide=SHOWN_ONCE)


@router.get("/{key}", summary="One API key")
def one(engine: EngineOf, tenant: MayAdminister, key: Id) -> KeyView:
    """Return tenant, scopes, label, and when it was made, ends and was revoked."""
    return engine.keys.get(key, tenant)


@router.post("/{key}/revoke", summary="Revoke an API key")
def revoke(engine: EngineOf, tenant: MayAdminister, key: Id) -> KeyView:
    """Make it useless: at once in this process, within five seconds in others."""
    return engine.keys.revoke(key, tenant)


@router.post("/{key}/rotate", status_code=201, summary="Replace an API key")
def rotate(
    engine: EngineOf, tenant: MayAdminister, key: Id, once: Once, body: Annotated[Rotation | None, Body()] = None
) -> RotatedKey:
    """Make a key in its stead, with its scopes, label and end; `key` is shown this once, the old one works on for `overlap`."""
    how = body or Rotation(overlap=3600)
    return once(tenant, lambda: engine.keys.rotate(key, how.overlap, how.expires, tenant), hide=SHOWN_ONCE)


def _owner(tenant: str | None, named: str | None) -> str | None:
    """Return whose keys are meant: a tenant's key names no other tenant."""
    if tenant is not None and named not in (None, tenant):
        raise NotFoundError(f"there is no tenant {named[:80]!r}" if named else None)
    return tenant if tenant is not None else named
