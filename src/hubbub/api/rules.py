"""The routes of rule sets: a tenant's alert rules, digests and targets as one document."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from hubbub.api.alerts import NewRule
from hubbub.api.auth import Administers, EngineOf, Reads
from hubbub.api.subscriptions import NewSubscription
from hubbub.api.targets import NewTarget
from hubbub.api.work import Counted
from hubbub.control.subscriptions import MOST as MOST_SUBSCRIPTIONS
from hubbub.model.rule_set import RuleSet
from hubbub.model.target import MOST_TARGETS
from hubbub.services.rules import Imported

router = APIRouter(prefix="/v1/rules", route_class=Counted)

MOST_ALERTS = 100
"""Most alert rules of one document: each is tried on the past year."""
Day = Annotated[str, Field(max_length=20)]


class SavedAlertBody(NewRule):
    """An alert rule; its destinations by kind and name, like "mail: Marta"."""

    paused: bool = Field(False, description="A paused rule judges nothing.")


class SavedTargetBody(NewTarget):
    """A target on the days from `valid_from` until `valid_to`."""

    valid_from: Day = Field(description="The first local day on which it is in force.")
    valid_to: Day | None = Field(None, description="The first local day after it; absent: no end.")


class RuleSetBody(BaseModel):
    """A rule set, as the export returns it."""

    model_config = ConfigDict(extra="forbid")

    alerts: list[SavedAlertBody] = Field(default_factory=list, max_length=MOST_ALERTS, description="Alert rules.")
    subscriptions: list[NewSubscription] = Field(
        default_factory=list, max_length=MOST_SUBSCRIPTIONS, description='Digests; a destination like "mail: Marta".'
    )
    targets: list[SavedTargetBody] = Field(default_factory=list, max_length=MOST_TARGETS, description="Targets.")


@router.get("", summary="Export alert rules, digests and targets")
def export(engine: EngineOf, tenant: Reads) -> RuleSet:
    """Return the tenant's alert rules, active digests and targets; destinations by kind and name, without addresses."""
    return engine.rules.export(tenant)


@router.put("", summary="Import alert rules, digests and targets")
def import_(engine: EngineOf, tenant: Administers, body: RuleSetBody) -> Imported:
    """Add and change rules until the tenant has those of the document. Others stay; a repeated import changes nothing."""
    return engine.rules.import_(tenant, body.model_dump(exclude_unset=True))
