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


Integration = Annotated[dict[str, Any], Like(IntegrationAnswer)]
Integrations = Annotated[dict[str, Any], Like(IntegrationsAnswer)]
