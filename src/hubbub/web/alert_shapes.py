"""What answers about alerts, incidents, destinations and messages look like, for OpenAPI and its readers; see `shapes`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from hubbub.web.shapes import Like, Next, Shape
from hubbub.web.shapes import Removed as Removed

Local = Annotated[str | None, Field(description="RFC 3339, in the tenant's zone.")]


class AlertAnswer(Shape):
    """A rule."""

    id: str
    name: str
    kind: str
    metric: str
    grain: str
    direction: str
    limit: float | None
    at_least: float
    times: float
    by: str | None
    where: dict[str, list[str]]
    close_after: int
    destinations: list[str]
    quiet: str
    urgent: bool
    most: int
    paused: bool
    judged_to: str = Field(description="Windows that ended by then are judged.")
    error: str | None = Field(description="Why it cannot be judged now.")
    open_incidents: int
    created_at: str


class NotJudged(Shape):
    """A window that could not be judged when its time came."""

    window: str
    slice: str | None
    why: str


class OneAlertAnswer(AlertAnswer):
    """A rule with what it could not judge."""

    not_judged: list[NotJudged]


class RunRow(Shape):
    """An incident that a rule would have opened."""

    start: str = Field(alias="from")
    end: str = Field(alias="to")
    slice: str | None
    value: float
    usual: float | None
    peak: float


class VariantRow(Shape):
    """The rule with other floors or another limit."""

    at_least: float
    times: float
    limit: float | None
    incidents: int = Field(description="In a year.")
    tripled: float | None = Field(description="Share of windows that it would find, were they three times as high.")
    own: bool


class ReplayAnswer(Shape):
    """What a rule would have done in the past year."""

    start: str = Field(alias="from")
    end: str = Field(alias="to")
    incidents: int
    rows: list[RunRow] = Field(description="Newest first, 200 at most.")
    judged: int = Field(description="Windows that could be judged.")
    not_judged: dict[str, int] = Field(description="Windows that could not, by reason.")
    variants: list[VariantRow]


class NewAlertAnswer(AlertAnswer):
    """A rule that was added, and what it would have done."""

    replay: Annotated[dict[str, Any], Like(ReplayAnswer)]


class AlertsAnswer(Shape):
    """All rules."""

    rows: list[AlertAnswer]


class IncidentAnswer(Shape):
    """An incident."""

    id: str
    rule: str
    title: str
    slice: str | None
    state: Literal["open", "acknowledged", "snoozed", "closed"]
    start: str = Field(alias="from", description="Beginning of the first window that fired.")
    end: str = Field(alias="to", description="End of the last.")
    value: float
    usual: float | None
    peak: float
    peak_at: str
    opened_at: str
    closed_at: Local
    acknowledged_at: Local
    snoozed_until: Local


class IncidentsAnswer(Shape):
    """A page of incidents."""

    rows: list[IncidentAnswer]
    next: Next


class EntryRow(Shape):
    """Something that happened to an incident."""

    at: str
    what: str
    text: str


class ToldRow(Shape):
    """A message about an incident."""

    id: str
    destination: str
    type: str
    state: str
    why: str


class OneIncidentAnswer(IncidentAnswer):
    """An incident with what happened."""

    alert: AlertAnswer
    entries: list[EntryRow]
    messages: list[ToldRow]


class DestinationAnswer(Shape):
    """A destination."""

    id: str
    kind: str
    name: str
    to: str = Field(description="The address, without what is secret of it.")
    created_at: str


class NewDestinationAnswer(DestinationAnswer):
    """A destination that was added."""

    secret: str | None = Field(None, description="Of a webhook; not shown again.")


class DestinationsAnswer(Shape):
    """All destinations."""

    rows: list[DestinationAnswer]


class MessageAnswer(Shape):
    """A message of the outbox."""

    id: str
    destination: str
    type: str
    title: str
    about: str | None
    state: Literal["waiting", "sent", "held", "failed"]
    why: str
    tries: int
    created_at: str
    next_try: str | None
    sent_at: str | None


class MessagesAnswer(Shape):
    """A page of messages."""

    rows: list[MessageAnswer]
    next: Next


Alert = Annotated[dict[str, Any], Like(AlertAnswer)]
OneAlert = Annotated[dict[str, Any], Like(OneAlertAnswer)]
NewAlert = Annotated[dict[str, Any], Like(NewAlertAnswer)]
Alerts = Annotated[dict[str, Any], Like(AlertsAnswer)]
Replay = Annotated[dict[str, Any], Like(ReplayAnswer)]
Incident = Annotated[dict[str, Any], Like(IncidentAnswer)]
Incidents = Annotated[dict[str, Any], Like(IncidentsAnswer)]
OneIncident = Annotated[dict[str, Any], Like(OneIncidentAnswer)]
Destinations = Annotated[dict[str, Any], Like(DestinationsAnswer)]
NewDestination = Annotated[dict[str, Any], Like(NewDestinationAnswer)]
Message = Annotated[dict[str, Any], Like(MessageAnswer)]
Messages = Annotated[dict[str, Any], Like(MessagesAnswer)]
