"""The routes of integrations. They need an admin key of the tenant; another tenant's integrations are not found."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from hubbub.api.auth import Administers, EngineOf
from hubbub.api.idempotency import Once
from hubbub.api.parameters import Cursor, Limit
from hubbub.api.work import Counted
from hubbub.control.integrations import MAX_SECRET
from hubbub.model.answers import Removed
from hubbub.model.page import Page
from hubbub.services.coverage import ClosedGaps
from hubbub.services.integrations import IntegrationView, NewIntegration

router = APIRouter(prefix="/v1/integrations", route_class=Counted)

Id = Annotated[str, Path(max_length=100, description="Id of the integration.")]
Secret = Annotated[SecretStr, Field(max_length=MAX_SECRET, description="Token of the service; never shown again.")]

Secrets = Annotated[
    dict[Annotated[str, Field(max_length=40)], Annotated[SecretStr, Field(max_length=MAX_SECRET)]], Field(max_length=10)
]


class IntegrationBody(BaseModel):
    """An account to connect."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    provider: str = Field(max_length=40, description="The service, like slack or whatsapp.")
    name: str = Field("", max_length=200, description="Name for people.")
    settings: dict[str, str | list[str]] = Field(default_factory=dict, description="Settings of the provider.")
    secret: Secret | None = None
    secrets: Secrets = Field(
        default_factory=dict, description="Secrets by name, which verify the service's deliveries."
    )


class IntegrationChange(BaseModel):
    """Fields to change; absent ones stay unchanged."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    name: str | None = Field(None, max_length=200, description="Name for people.")
    settings: dict[str, str | list[str] | None] = Field(
        default_factory=dict, description="Settings by name; others stay, null restores the default."
    )


class NewSecret(BaseModel):
    """A new token, or new secrets."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    secret: Secret | None = None
    secrets: Secrets = Field(default_factory=dict, description="Secrets by name; others stay.")


def _text_of(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret is not None else ""


def _texts_of(secrets: Secrets) -> dict[str, str]:
    return {name: secret.get_secret_value() for name, secret in secrets.items()}


@router.get("", summary="A page of integrations")
def page(
    engine: EngineOf,
    tenant: Administers,
    state: Annotated[
        str | None,
        Query(max_length=20, description="active, degraded, paused, broken, or fetched: active or degraded."),
    ] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Page[IntegrationView]:
    """Return the tenant's integrations, oldest first, and `next`, the cursor of the next page."""
    return engine.integrations.of(tenant, state, cursor, limit)


@router.post("", status_code=201, summary="Connect an account")
def add(engine: EngineOf, tenant: Administers, body: IntegrationBody, once: Once) -> IntegrationView | NewIntegration:
    """Store an integration with encrypted secrets; it is active at once."""
    secret, secrets = _text_of(body.secret), _texts_of(body.secrets)
    return once(
        tenant,
        lambda: engine.integrations.add(tenant, body.provider, secret, body.name, body.settings, secrets),
        hide=["made"],
    )


@router.get("/{integration_id}", summary="An integration")
def integration(engine: EngineOf, tenant: Administers, integration_id: Id) -> IntegrationView:
    """Return its state, settings, last complete day, and what to do when it is broken."""
    return engine.integrations.get(tenant, integration_id)


@router.patch("/{integration_id}", summary="Change an integration's name or settings")
def change(engine: EngineOf, tenant: Administers, integration_id: Id, body: IntegrationChange) -> IntegrationView:
    """Change its name, or settings by name; what arrives from now on is read with them."""
    return engine.integrations.change(tenant, integration_id, body.name, body.settings)


@router.post("/{integration_id}/pause", summary="Pause an integration")
def pause(engine: EngineOf, tenant: Administers, integration_id: Id) -> IntegrationView:
    """Fetch nothing from it until it is resumed."""
    return engine.integrations.pause(tenant, integration_id)


@router.post("/{integration_id}/resume", summary="Resume an integration")
def resume(engine: EngineOf, tenant: Administers, integration_id: Id) -> IntegrationView:
    """Fetch from it again, also when it was broken."""
    return engine.integrations.resume(tenant, integration_id)


@router.post("/{integration_id}/close-gaps", summary="Close an integration's gaps")
def close_gaps(engine: EngineOf, tenant: Administers, integration_id: Id) -> ClosedGaps:
    """Close the gaps in data that its service sends; missing days of fetched data stay open."""
    return engine.coverage.close(tenant, integration_id)


@router.post("/{integration_id}/secret", summary="Replace an integration's secret")
def rotate(engine: EngineOf, tenant: Administers, integration_id: Id, body: NewSecret) -> IntegrationView:
    """Replace its secret; a broken integration becomes active."""
    return engine.integrations.rotate(tenant, integration_id, _text_of(body.secret), _texts_of(body.secrets))


@router.delete("/{integration_id}", summary="Remove an integration")
def remove(engine: EngineOf, tenant: Administers, integration_id: Id) -> Removed:
    """Delete it with its secret; its events stay."""
    return engine.integrations.remove(tenant, integration_id)
