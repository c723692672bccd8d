"""The routes of API keys. A tenant's admin key manages only that tenant's keys, an operator's all keys.

A key's text is only in the answer that creates it: a digest is stored, and a repeated request is answered without the text.
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
    """A key to create."""

    model_config = ConfigDict(extra="forbid")

    scopes: list[Scope] = Field(
        default_factory=lambda: ["ingest", "read"], min_length=1, max_length=5,
        description="Some of ingest, read, export, admin, erase.",
    )  # fmt: skip
    label: str = Field("", max_length=200, description="The purpose.")
    expires: End = None
    tenant: str | None = Field(
        None, max_length=63,
        description="The key's tenant, for operators; absent: an operator's key, with scope admin. A tenant's key creates its own.",
    )  # fmt: skip


class Rotation(BaseModel):
    """The replacement of a key."""

    model_config = ConfigDict(extra="forbid")

    overlap: float = Field(3600, ge=0, le=LONGEST_OVERLAP, description="Seconds for which the old key still works.")
    expires: End = None


@router.get("", summary="API keys, oldest first")
def keys(
    engine: EngineOf,
    tenant: MayAdminister,
    of: Annotated[str | None, Query(alias="tenant", max_length=63, description="Only keys of this tenant.")] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Page[KeyView]:
    """Return the tenant's keys, or all keys to an operator; never a secret."""
    return engine.keys.of(_owner(tenant, of), cursor, limit)


@router.post("", status_code=201, summary="Create an API key")
def add(engine: EngineOf, tenant: MayAdminister, body: KeyBody, once: Once) -> NewKey:
    """Create a key; `key` is shown only this once. A request repeated with its Idempotency-Key is answered without it."""
    owner = _owner(tenant, body.tenant)
    return once(tenant, lambda: engine.keys.add(owner, body.scopes, body.label, body.expires), hide=SHOWN_ONCE)


@router.get("/{key}", summary="An API key")
def key(engine: EngineOf, tenant: MayAdminister, key: Id) -> KeyView:
    """Return tenant, scopes, label, and the times of creation, end and revocation."""
    return engine.keys.get(key, tenant)


@router.post("/{key}/revoke", summary="Revoke an API key")
def revoke(engine: EngineOf, tenant: MayAdminister, key: Id) -> KeyView:
    """Revoke it: at once in this process, within five seconds in others."""
    return engine.keys.revoke(key, tenant)


@router.post("/{key}/rotate", status_code=201, summary="Replace an API key")
def rotate(
    engine: EngineOf, tenant: MayAdminister, key: Id, once: Once, body: Annotated[Rotation | None, Body()] = None
) -> RotatedKey:
    """Create a key with the old one's scopes, label and end; `key` is shown only this once. The old key works for `overlap`."""
    rotation = body or Rotation(overlap=3600)
    return once(tenant, lambda: engine.keys.rotate(key, rotation.overlap, rotation.expires, tenant), hide=SHOWN_ONCE)


def _owner(tenant: str | None, named: str | None) -> str | None:
    """Return the owner of the keys: a tenant's key names no other tenant."""
    if tenant is not None and named not in (None, tenant):
        raise NotFoundError(f"there is no tenant {named[:80]!r}" if named else None)
    return tenant if tenant is not None else named
