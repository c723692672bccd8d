"""The routes of tenants. An operator creates, lists and changes them; a tenant's key sees only its own."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from hubbub.api.auth import EngineOf, MayRead, Operates
from hubbub.api.idempotency import Once
from hubbub.api.parameters import Cursor, Limit
from hubbub.api.work import Counted
from hubbub.errors import NotFoundError
from hubbub.model.page import Page
from hubbub.model.plain import JsonObject
from hubbub.model.tenant import LONGEST_TONE, MOST_MINUTES, MOST_TONES
from hubbub.model.threads import LONGEST_CHANNEL, LONGEST_SIGN, MOST_CHANNELS, MOST_DAYS, MOST_SIGNS
from hubbub.services.tenants import TenantView

router = APIRouter(prefix="/v1/tenants", route_class=Counted)

Id = Annotated[str, Path(max_length=63, description="Id of the tenant.")]
Name = Annotated[str, Field(max_length=200, description="Name for people.")]
Zone = Annotated[str, Field(max_length=64, description="IANA time zone of its days, like Europe/Rome.")]
Days = Annotated[int | None, Field(ge=1, le=36_500, description="Days; null: for ever.")]


Tones = Annotated[
    list[Annotated[str, Field(max_length=LONGEST_TONE)]],
    Field(max_length=MOST_TONES, description="Tones that hotspots count beside the topics complaint and escalation."),
]


class RetentionChange(BaseModel):
    """Days to keep texts, snapshots of each grain, and facts; absent ones stay unchanged."""

    model_config = ConfigDict(extra="forbid")

    raw: Days = None
    hour: Days = None
    day: Days = None
    week: Days = None
    month: Days = None
    facts: Days = None


class ThreadsChange(BaseModel):
    """How questions and silent conversations count; absent fields stay unchanged."""

    model_config = ConfigDict(extra="forbid")

    help_channels: list[Annotated[str, Field(max_length=LONGEST_CHANNEL)]] = Field(
        default=[],
        max_length=MOST_CHANNELS,
        description="Ids of channels in which every message that opens a thread is a question.",
    )
    answer_signs: list[Annotated[str, Field(max_length=LONGEST_SIGN)]] = Field(
        default=[], max_length=MOST_SIGNS, description="Reactions that answer a question, by their names."
    )
    silence_days: int = Field(
        default=0,
        ge=0,
        le=MOST_DAYS,
        description="Days without a message after which a conversation counts as closed; 0: never.",
    )


class NewTenant(BaseModel):
    """A tenant to create."""

    model_config = ConfigDict(extra="forbid")

    tenant: str = Field(max_length=63, description="The id: a-z, 0-9 and inner hyphens.")
    zone: Zone | None = Field(None, description="IANA time zone of its days; absent: the setting `default_zone`.")
    name: Name = ""
    retention: RetentionChange | None = Field(None, description="Differences from the setting `retention`.")


class TenantChange(BaseModel):
    """Fields to change of a tenant; absent ones stay."""

    model_config = ConfigDict(extra="forbid")

    zone: Zone | None = None
    name: Name | None = None
    retention: RetentionChange | None = None
    hotspot_tones: Tones | None = None
    contact_names: bool | None = Field(
        None, description="Whether names of contacts are stored; false deletes the stored ones."
    )
    threads: ThreadsChange | None = None
    ai_minutes_saved: float | None = Field(
        None, ge=0, le=MOST_MINUTES, allow_inf_nan=False,
        description="Minutes that a conversation handled by AI is assumed to save a person; 0: no assumption.",
    )  # fmt: skip


def _changes(change: BaseModel | None) -> JsonObject | None:
    """Return the fields that were sent, null ones too; None without any."""
    return change.model_dump(exclude_unset=True) if change is not None else None


@router.get("", summary="Tenants, oldest first")
def tenants(
    engine: EngineOf,
    tenant: MayRead,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Page[TenantView]:
    """Return all tenants to an operator, and to a tenant's key its own."""
    return engine.tenants.of(tenant, cursor, limit)


@router.post("", status_code=201, summary="Create a tenant (operators only)")
def add(engine: EngineOf, _: Operates, body: NewTenant, once: Once) -> TenantView:
    """Create a tenant; values of retention that are not given are the defaults."""
    return once(None, lambda: engine.tenants.add(body.tenant, body.zone, body.name, _changes(body.retention)))


@router.get("/{tenant}", summary="A tenant")
def show(engine: EngineOf, own: MayRead, tenant: Id) -> TenantView:
    """Return zone, name and retention; a tenant's key finds only its own."""
    if own not in (None, tenant):
        raise NotFoundError(f"there is no tenant {tenant[:80]!r}")
    return engine.tenants.get(tenant)


@router.patch("/{tenant}", summary="Change a tenant (operators only)")
def change(engine: EngineOf, _: Operates, tenant: Id, body: TenantChange) -> TenantView:
    """Change zone, name, retention, threads, tones of hotspots, names of contacts, or the minutes that AI saves."""
    return engine.tenants.change(
        tenant,
        body.zone,
        body.name,
        _changes(body.retention),
        body.hotspot_tones,
        body.contact_names,
        _changes(body.threads),
        body.ai_minutes_saved,
    )
