"""What answers about integrations and their coverage look like, for OpenAPI and its readers; see `shapes`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from hubbub.web.shapes import Like, Moment, Next, Shape


class IntegrationAnswer(Shape):
    """An account of another service; never its secret."""

    id: str
    tenant: str
    provider: str
    name: str
    state: Literal["active", "degraded", "paused", "broken"]
    settings: dict[str, Any]
    reason: str = Field(description="Why it is broken or degraded, or a remark.")
    action: str = Field(description="What a person has to do.")
    last_ok: str | None = Field(description="Last day that was fetched whole.")
    since: str | None = Field(description="First day that is to be fetched.")
    created_at: Moment
    changed_at: Moment
    fetches: bool = Field(description="Whether days are fetched from it.")
    address: str | None = Field(description="Where its service sends to; null: it only fetches.")


class IntegrationsAnswer(Shape):
    """A page of integrations, oldest first."""

    rows: list[IntegrationAnswer]
    next: Next


class GapRow(Shape):
    """A range of a source of which something is not there."""

    from_: Moment = Field(alias="from")
    to: Moment
    reason: str = Field(description="One of the reasons of a gap.")
    message: str
    action: str | None = Field(description="What a person can do.")


class CoveredDay(Shape):
    """A day of a source."""

    date: str
    state: Literal["fetched", "empty", "partial", "missing", "not_over", "before"] = Field(
        description="Empty: it is there, and nothing was in it; before: the integration was not connected yet."
    )
    found: int | None = Field(description="Events in it; null where nobody fetched it.")
    reason: str | None
    message: str | None
    tried_at: Moment


class CoverageRow(Shape):
    """What is there of an integration."""

    tenant: str
    integration: str
    name: str
    provider: str
    state: Literal["active", "degraded", "paused", "broken"]
    reason: str | None
    action: str | None
    zone: str = Field(description="Its days are cut in it.")
    since: str | None
    complete_to: str = Field(description="Up to here nothing is missing; RFC 3339.")
    gaps: list[GapRow]
    days: list[CoveredDay]


class CoverageAnswer(Shape):
    """A page of integrations with their days."""

    rows: list[CoverageRow]
    next: Next


Coverage = Annotated[dict[str, Any], Like(CoverageAnswer)]
Integration = Annotated[dict[str, Any], Like(IntegrationAnswer)]
Integrations = Annotated[dict[str, Any], Like(IntegrationsAnswer)]
