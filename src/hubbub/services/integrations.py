"""Integrations: a tenant's accounts with other services, connected, shown, paused and removed.

Tenants come first in every method: what belongs to another tenant is not found, in the same words as what does not exist.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from hubbub.clock import Clock
from hubbub.control.control import Control
from hubbub.control.coverage import Coverage
from hubbub.control.deliveries import KEY_LENGTH, REFUSED, Deliveries, Latest, state_of, why_refused
from hubbub.control.integrations import FETCHED, STATES, TOKEN, Integration, Integrations, State
from hubbub.control.payloads import Payloads
from hubbub.errors import BadInputError
from hubbub.ingest.providers import PROVIDERS
from hubbub.ingest.providers import provider as provider_of
from hubbub.ingest.receivers.base import Setup
from hubbub.ingest.receivers.texts import kind_of
from hubbub.model.answers import Removed, ShownOnce
from hubbub.model.page import Page, check_limit, paged, place_of
from hubbub.model.question import parse_date
from hubbub.model.window import day_of
from hubbub.settings import Settings

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class IntegrationView:
    """An account of another service; never its secret."""

    id: str
    tenant: str
    provider: str
    name: str
    state: State
    settings: Mapping[str, Any]
    reason: str
    """Why it is broken or degraded, or a remark."""
    action: str
    """What a person has to do."""
    last_ok: date | None
    """Last day that was fetched whole."""
    since: date | None
    """First day that is to be fetched."""
    created_at: datetime
    changed_at: datetime
    fetches: bool
    """Whether days are fetched from it."""
    address: str | None
    """Where its service sends to; null: it only fetches."""


@dataclass(frozen=True, slots=True)
class NewIntegration(IntegrationView):
    """An account that was connected, and for which secrets were made."""

    made: Annotated[Mapping[str, str], ShownOnce()]
    """Secrets that were made for it, by name, to paste at the service; shown this once."""


@dataclass(frozen=True, slots=True)
class SetupView:
    """What to do at an integration's service, and whether it has sent anything yet."""

    id: str
    tenant: str
    provider: str
    name: str
    title: str
    address: str | None
    scopes: Sequence[str]
    steps: Sequence[str]
    state: Literal["waiting", "received", "refused"]
    """Refused: what came last could not be verified or taken."""
    received_at: datetime | None
    """The minute of the newest body that was taken within the last 30 days."""
    reason: str
    """Why the last body was refused."""


def made_for(one: IntegrationView) -> Mapping[str, str]:
    """Return the secrets that were made for an integration as it was connected, by name."""
    return one.made if isinstance(one, NewIntegration) else {}


class IntegrationService:
    """Keeps integrations."""

    def __init__(
        self, settings: Settings, clock: Clock, control: Control, store: Integrations, payloads: Payloads, ledger: Coverage,
        delivered: Deliveries,
    ) -> None:  # fmt: skip
        self._settings, self._clock, self._control, self._store = settings, clock, control, store
        self._payloads, self._ledger, self._delivered = payloads, ledger, delivered

    def add(
        self,
        tenant: str,
        provider: str,
        secret: str = "",
        name: str = "",
        settings: Mapping[str, Any] | None = None,
        secrets: Mapping[str, str] | None = None,
    ) -> IntegrationView | NewIntegration:
        """Connect an account of a service (see `PROVIDERS` for settings and secrets); secrets are never shown again.

        `secret` is the token, `secrets` all by name.
        """
        one, kind = self._control.tenant(tenant), provider_of(provider)
        checked = kind.check_settings(settings or {})
        given, made = kind.check_secrets({TOKEN: secret, **(secrets or {})} if secret else secrets or {})
        today = day_of(self._clock(), ZoneInfo(checked.get("zone", "UTC")))
        since = parse_date(checked["since"]) if "since" in checked else today
        shown = self._shown(self._store.add(one.id, provider, name or provider, checked, given, since))
        return NewIntegration(**shown, made=made) if made else IntegrationView(**shown)

    def of(
        self,
        tenant: str | None = None,
        state: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
        provider: str | None = None,
    ) -> Page[IntegrationView]:
        """Return integrations, oldest first, of a tenant or all.

        `state` is one of theirs, or `fetched`: those that are fetched from.
        """
        if state not in (None, "fetched", *STATES):
            raise BadInputError(f"state {str(state)[:40]!r} is not one of fetched, {', '.join(STATES)}")
        if tenant is not None:
            self._control.tenant(tenant)
        after = (place_of(cursor, str) or ("",))[0]
        states = FETCHED if state == "fetched" else state
        found = self._store.page(tenant, states, provider, after, check_limit(limit) + 1)
        return paged(found, limit, lambda one: (one.id,), self._view)

    def get(self, tenant: str, integration: str) -> IntegrationView:
        """Return one integration, without its secret."""
        return self._view(self._store.get(tenant, integration))

    def setup(self, tenant: str, integration: str) -> SetupView:
        """Return what to do at an integration's service, and whether it has sent anything yet. Raises BadInputError."""
        one = self._store.get(tenant, integration)
        if not _receives(one):
            raise BadInputError(f"integration {one.id} only fetches: nothing is to be set up at its service")
        return self._setup(one)

    def setups(self, tenant: str | None = None, cursor: str | None = None, limit: int = 100) -> Page[SetupView]:
        """Return what `setup` says of each integration that receives, of a tenant or all, page by page."""
        after = (place_of(cursor, str) or ("",))[0]
        found = self._store.page(tenant, after=after, limit=check_limit(limit) + 1)
        some = paged(found, limit, lambda one: (one.id,), lambda one: one)
        return Page([self._setup(one) for one in some.rows if _receives(one)], some.next)

    def _setup(self, one: Integration) -> SetupView:
        receiver, address = PROVIDERS[one.provider].receiver, self._address(one)
        setup = receiver.setup if receiver is not None else Setup("", (), ())
        steps = setup.steps if address is not None else setup.connected
        seen = self._delivered.latest(one.id[-KEY_LENGTH:])
        taken = [latest.minute for latest in seen if state_of(latest.outcome) != REFUSED]
        refused = next((latest for latest in seen if latest.minute not in taken), None)
        refused = refused if refused is not None and (not taken or refused.minute > taken[0]) else None
        return SetupView(
            one.id, one.tenant, one.provider, one.name, setup.title, address, setup.scopes,
            [step.format_map(_Shown(address=address or "")) for step in steps],
            "refused" if refused is not None else "received" if taken else "waiting",
            taken[0] if taken else None,
            _why(refused) if refused is not None else "",
        )  # fmt: skip

    def pause(self, tenant: str, integration: str) -> IntegrationView:
        """Fetch nothing from it until it is resumed."""
        return self._view(self._store.pause(tenant, integration))

    def resume(self, tenant: str, integration: str) -> IntegrationView:
        """Fetch from it again, also when it was broken."""
        return self._view(self._store.resume(tenant, integration))

    def rotate(
        self, tenant: str, integration: str, secret: str = "", secrets: Mapping[str, str] | None = None
    ) -> IntegrationView:
        """Give it a new token, or new secrets by name; a broken one is active again. Raises NotFoundError, BadInputError."""
        kind = PROVIDERS[self._store.get(tenant, integration).provider]
        given = {TOKEN: secret, **(secrets or {})} if secret else secrets or {}
        if not given:
            raise BadInputError(
                f"secret: give a new token, or new secrets by name ({', '.join(one.name for one in kind.secrets)})"
            )
        kind.check_names(given)
        return self._view(self._store.rotate(tenant, integration, given))

    def remove(self, tenant: str, integration: str) -> Removed:
        """Delete it with its secrets and the texts of its messages; events that it brought stay."""
        self._store.remove(tenant, integration)
        self._payloads.delete_older(self._clock() + DAY, kind_of(integration))
        self._ledger.forget(integration)
        return Removed(integration)

    def _view(self, one: Integration) -> IntegrationView:
        return IntegrationView(**self._shown(one))

    def _shown(self, one: Integration) -> dict[str, Any]:
        """Return the fields of an `IntegrationView`."""
        own = {field.name: getattr(one, field.name) for field in fields(IntegrationView) if hasattr(one, field.name)}
        return {
            **own,
            "fetches": PROVIDERS[one.provider].fetches(one.secret_names),
            "address": self._address(one),
        }

    def _address(self, one: Integration) -> str | None:
        """Return where an integration's service sends to; None for one that only fetches."""
        receives = PROVIDERS[one.provider].receives(one.secret_names)
        return self._settings.address(f"/v1/hooks/{one.provider}/{one.id}") if receives else None


def _why(refused: Latest) -> str:
    """Say why the last body was refused, or that all its events were."""
    why = why_refused(refused.outcome, refused.reason)
    if refused.outcome != REFUSED:
        return why
    return (
        f"the body was the service's, and each of its events was refused ({why}): they wait among the refused records"
    )


def _receives(one: Integration) -> bool:
    """Say whether an integration's service sends by itself: to an address, or over a connection of ours."""
    kind = PROVIDERS[one.provider]
    return kind.receives(one.secret_names) or kind.listens(one.secret_names)


class _Shown(dict[str, str]):
    """What is put into a step: a secret that was made here by its name, since its value is shown but once."""

    def __missing__(self, name: str) -> str:
        return f"the {name}"
