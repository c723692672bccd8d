"""The routes of digests, sent on a schedule. Reading needs the scope `read`, changing anything `admin`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from hubbub.api.auth import Administers, EngineOf, Reads
from hubbub.api.idempotency import Once
from hubbub.api.work import Counted
from hubbub.control.subscriptions import Subscription
from hubbub.model.answers import Removed
from hubbub.model.page import Page
from hubbub.reports.formats import FORMATS
from hubbub.reports.sections import SECTIONS

router = APIRouter(prefix="/v1/subscriptions", route_class=Counted)

Id = Annotated[str, Path(max_length=100, description="Id of the digest.")]
Text = Annotated[str, Field(max_length=200)]


class NewSubscription(BaseModel):
    """A digest of every day, week or month."""

    model_config = ConfigDict(extra="forbid")

    destination: Text = Field(description="Id of the destination.")
    kind: Text = Field(description="daily, weekly or monthly.")
    zone: Text | None = Field(None, description="Zone of the recipient; absent: the tenant's.")
    at: Text = Field("07:00", description="Time of sending on the day after the period, in that zone.")
    wait_hours: int = Field(4, description="Longest wait for an incomplete period, in hours; at most 24.")
    sections: list[Text] = Field(
        default_factory=list,
        max_length=20,
        description=f"Sections of its report: some of {', '.join(SECTIONS)}; absent: all.",
    )
    formats: list[Text] = Field(
        default_factory=list,
        max_length=10,
        description=f"Formats of files attached to mails: some of {', '.join(FORMATS)}.",
    )


@router.get("", summary="Digests")
def subscriptions(engine: EngineOf, tenant: Reads) -> Page[Subscription]:
    """Return the tenant's digests, oldest first: period, time, last sent period, and the reason of a wait."""
    return engine.subscriptions.of(tenant)


@router.post("", status_code=201, summary="Add a digest")
def add(engine: EngineOf, tenant: Administers, body: NewSubscription, once: Once) -> Subscription:
    """Send a digest of every period that ends from now on; its numbers are those of its report."""
    return once(tenant, lambda: engine.subscriptions.add(tenant, **body.model_dump()))


@router.post("/{subscription}/stop", summary="Stop a digest")
def stop(engine: EngineOf, tenant: Administers, subscription: Id) -> Subscription:
    """Stop sending it."""
    return engine.subscriptions.stop(tenant, subscription)


@router.delete("/{subscription}", summary="Remove a digest")
def remove(engine: EngineOf, tenant: Administers, subscription: Id) -> Removed:
    """Delete it; sent reports stay."""
    return engine.subscriptions.remove(tenant, subscription)
