"""The routes of alerts, incidents and destinations. Reading needs the scope `read`, changing anything `admin`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from hubbub.api.auth import Administers, EngineOf, Reads
from hubbub.api.idempotency import Once
from hubbub.api.parameters import Cursor, Limit
from hubbub.api.work import Counted
from hubbub.model.answers import Removed
from hubbub.model.page import Page
from hubbub.model.plain import JsonObject
from hubbub.services.alerts import AlertView, NewAlert, OneAlert, Tried
from hubbub.services.destinations import DestinationView, NewDestination
from hubbub.services.incidents import IncidentView, OneIncident
from hubbub.services.messages import MessageView

router = APIRouter(prefix="/v1", route_class=Counted)

AlertId = Annotated[str, Path(max_length=100, description="Id of the rule.")]
IncidentId = Annotated[str, Path(max_length=100, description="Id of the incident.")]
DestinationId = Annotated[str, Path(max_length=100, description="Id of the destination.")]
MessageId = Annotated[str, Path(max_length=100, description="Id of the message.")]
Text = Annotated[str, Field(max_length=200)]


class RuleFields(BaseModel):
    """Fields of a rule; absent ones get defaults."""

    model_config = ConfigDict(extra="forbid")

    name: Text | None = Field(None, description="Name for people.")
    metric: Text | None = Field(None, description="The watched metric, for kinds without a fixed one.")
    grain: Text | None = Field(None, description="hour, day or week.")
    direction: Text | None = Field(None, description="above or below; for the kind change also either.")
    limit: float | None = Field(
        None, description="In the metric's unit: milliseconds for durations, 0 to 1 for shares."
    )
    at_least: float | None = Field(
        None, description="Absolute floor, as a count; absent: 10, and a rising count must be unlikely to be chance."
    )
    times: float | None = Field(None, description="Relative floor of the kind change; 2 if absent.")
    by: Text | None = Field(
        None, description="A dimension: each of its values has its own incidents; empty: one incident over all."
    )
    where: dict[Text, Text | list[Text]] | None = Field(None, description="Only these values of dimensions.")
    close_after: int | None = Field(None, description="Quiet windows that close an incident; 0: the kind's own.")
    destinations: list[Text] | None = Field(None, max_length=20, description="Ids of notified destinations.")
    quiet: Text | None = Field(None, description="Hours without notifications, like 22:00-07:00.")
    urgent: bool | None = Field(None, description="Notify in quiet hours too.")
    most: int | None = Field(None, description="Most messages a day; further ones become one summary.")


class NewRule(RuleFields):
    """A rule: the watched metric, when it fires, and the notified destinations."""

    name: Text = Field(description="Name for people.")
    kind: Text = Field(description="threshold, change, hotspot, sla, source or budget.")


class RuleChange(RuleFields):
    """Fields to change; absent ones stay unchanged, null restores the default."""

    paused: bool | None = Field(None, description="A paused rule judges nothing.")


class Acknowledged(BaseModel):
    """The person who takes care of an incident."""

    model_config = ConfigDict(extra="forbid")

    by: Annotated[str, Field(max_length=100, description="Name for people.")] = ""


class Snoozed(BaseModel):
    """The end of an incident's snooze."""

    model_config = ConfigDict(extra="forbid")

    until: Annotated[str, Field(max_length=60, description="Date in the tenant's zone, or RFC 3339 time.")]


class DestinationBody(BaseModel):
    """A destination to add."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    kind: Text = Field(description="mail, slack or webhook.")
    to: SecretStr = Field(max_length=2000, description="Mail address, Slack webhook or channel id, or https address.")
    name: Text = Field("", description="Name for people.")
    secret: SecretStr = Field(
        SecretStr(""), max_length=200, description="Signing secret of a webhook, whsec_…; absent: a generated one."
    )
    integration: Text = Field("", description="Id of the Slack integration that writes to the channel.")


def _rule_of(body: BaseModel) -> JsonObject:
    """Return the fields of a rule that were sent; null counts as absent."""
    return {name: value for name, value in body.model_dump(exclude_unset=True).items() if value is not None}


@router.get("/alerts", summary="Alert rules")
def rules(engine: EngineOf, tenant: Reads) -> Page[AlertView]:
    """Return the tenant's rules, oldest first: the watched metric, the last judged window, the number of open incidents."""
    return engine.alerts.of(tenant)


@router.post("/alerts", status_code=201, summary="Add an alert rule")
def add(engine: EngineOf, tenant: Administers, body: NewRule, once: Once) -> NewAlert:
    """Try a rule on the past year and store it; it judges windows that end from now on."""
    return once(tenant, lambda: engine.alerts.add(tenant, _rule_of(body)))


@router.post("/alerts/try", summary="Try an alert rule on the past year")
def try_(engine: EngineOf, tenant: Reads, body: NewRule) -> Tried:
    """Return when a rule would have fired, and how often with other floors; nothing is stored."""
    return engine.alerts.try_(tenant, _rule_of(body))


@router.get("/alerts/{alert}", summary="One alert rule")
def rule(engine: EngineOf, tenant: Reads, alert: AlertId) -> OneAlert:
    """Return a rule, and the windows that it could not judge, with the reasons."""
    return engine.alerts.get(tenant, alert)


@router.patch("/alerts/{alert}", summary="Change, pause or resume an alert rule")
def change(engine: EngineOf, tenant: Administers, alert: AlertId, body: RuleChange) -> AlertView:
    """Change fields of a rule; null restores a field's default. The changed rule is tried on the past year too."""
    return engine.alerts.change(tenant, alert, body.model_dump(exclude_unset=True))


@router.delete("/alerts/{alert}", summary="Remove an alert rule")
def remove(engine: EngineOf, tenant: Administers, alert: AlertId) -> Removed:
    """Delete a rule with its incidents."""
    return engine.alerts.remove(tenant, alert)


@router.get("/incidents", summary="Incidents, newest first")
def incidents(
    engine: EngineOf,
    tenant: Reads,
    state: Annotated[str | None, Query(max_length=20, description="open or closed; absent: all.")] = None,
    alert: Annotated[str | None, Query(max_length=100, description="Only incidents of this rule.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[IncidentView]:
    """Return the tenant's incidents and `next`, the cursor of the next page."""
    return engine.incidents.of(tenant, state, alert, limit, cursor)


@router.get("/incidents/{incident}", summary="One incident")
def incident(engine: EngineOf, tenant: Reads, incident: IncidentId) -> OneIncident:
    """Return an incident with its history, newest first, the notified destinations, and those not notified, with the reasons."""
    return engine.incidents.get(tenant, incident)


@router.post("/incidents/{incident}/acknowledge", summary="Acknowledge an incident")
def acknowledge(engine: EngineOf, tenant: Administers, incident: IncidentId, body: Acknowledged) -> IncidentView:
    """Note that a person takes care of it; no more reminders are sent."""
    return engine.incidents.acknowledge(tenant, incident, body.by)


@router.post("/incidents/{incident}/snooze", summary="Snooze an incident")
def snooze(engine: EngineOf, tenant: Administers, incident: IncidentId, body: Snoozed) -> IncidentView:
    """Send no messages about it until `until`; if it is still open then, its rule's destinations are notified again."""
    return engine.incidents.snooze(tenant, incident, body.until)


@router.get("/destinations", summary="Destinations")
def destinations(engine: EngineOf, tenant: Reads) -> Page[DestinationView]:
    """Return the destinations, without the secret parts of their addresses."""
    return engine.destinations.of(tenant)


@router.post("/destinations", status_code=201, summary="Add a destination")
def add_destination(engine: EngineOf, tenant: Administers, body: DestinationBody, once: Once) -> NewDestination:
    """Store a destination with an encrypted address. For a webhook the answer has the secret, which is not shown again."""
    secret, to = body.secret.get_secret_value(), body.to.get_secret_value()
    return once(
        tenant, lambda: engine.destinations.add(tenant, body.kind, to, body.name, secret, body.integration), ["secret"]
    )


@router.post("/destinations/{destination}/test", summary="Send a test")
def test(engine: EngineOf, tenant: Administers, destination: DestinationId) -> MessageView:
    """Send a test message now; return whether it arrived, or the error."""
    return engine.destinations.test(tenant, destination)


@router.delete("/destinations/{destination}", summary="Remove a destination")
def remove_destination(engine: EngineOf, tenant: Administers, destination: DestinationId) -> Removed:
    """Delete a destination, and give up its waiting messages."""
    return engine.destinations.remove(tenant, destination)


@router.get("/messages", summary="Messages, newest first")
def messages(
    engine: EngineOf,
    tenant: Reads,
    about: Annotated[str | None, Query(max_length=100, description="Only messages about this incident.")] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[MessageView]:
    """Return the outbox: sent, waiting, held and failed messages, with the reason."""
    return engine.messages.of(tenant, about, limit, cursor)


@router.post("/messages/{message}/retry", summary="Try a failed message again")
def retry(engine: EngineOf, tenant: Administers, message: MessageId) -> MessageView:
    """Put it back into the outbox, which tries it for another eight hours."""
    return engine.messages.retry(tenant, message)
