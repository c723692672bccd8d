"""The routes of a tenant's targets. Reading needs the scope `read`, changing `admin`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from hubbub.api.auth import Administers, EngineOf, Reads
from hubbub.api.idempotency import Once
from hubbub.api.work import Counted
from hubbub.model.page import Page
from hubbub.model.target import LONGEST_NAME, MOST_MINUTES, Aim
from hubbub.services.targets import RemovedTarget, TargetView

router = APIRouter(prefix="/v1/targets", route_class=Counted)

Id = Annotated[str, Path(max_length=100, description="Id of the target.")]
Name = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]


class NewTarget(BaseModel):
    """A target from a day on."""

    model_config = ConfigDict(extra="forbid")

    aim: Annotated[str, Field(max_length=20)] = Field(description=f"{', '.join(Aim)}.")
    minutes: int = Field(ge=1, le=MOST_MINUTES, description="A wait of exactly so many minutes is within the target.")
    channel: Name | None = Field(None, description="Only for this channel; absent: all.")
    priority: Name | None = Field(None, description="Only for this priority, in any case; absent: all.")
    business: bool = Field(False, description="Only minutes of the tenant's business hours count.")
    share: float | None = Field(None, gt=0, le=1, description="The share that should be within it, like 0.9.")
    valid_from: Annotated[str, Field(max_length=20)] | None = Field(
        None, description="The first local day on which it is in force; absent: today."
    )


@router.get("", summary="Targets")
def targets(engine: EngineOf, tenant: Reads) -> Page[TargetView]:
    """Return the tenant's targets, by aim and first day, those that ended or were replaced included."""
    return engine.targets.of(tenant)


@router.post("", status_code=201, summary="Set a target")
def add(engine: EngineOf, tenant: Administers, body: NewTarget, once: Once) -> TargetView:
    """Set a target from a day on, in place of the one with the same aim, channel and priority. Earlier waits keep theirs."""
    return once(tenant, lambda: engine.targets.add(tenant, **body.model_dump()))


@router.delete("/{target}", summary="End a target")
def remove(engine: EngineOf, tenant: Administers, target: Id) -> RemovedTarget:
    """End it after today: what began until then is still judged by it. One that begins today or later is deleted."""
    return engine.targets.remove(tenant, target)
