"""Integrations: a tenant's accounts with other services, connected, shown, paused and removed.

Every method takes the tenant: another tenant's integrations are not found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from hubbub.clock import Clock
from hubbub.control.control import Control
from hubbub.control.coverage import Coverage
from hubbub.control.deliveries import KEY_LENGTH, REFUSED, Deliveries, Latest, state_of, why_refused
from hubbub.control.integrations import FETCHED, STATES, TOKEN, Integration, Integrations, State
from hubbub.control.payloads import Payloads
from hubbub.control.sequences import Sequences
from hubbub.errors import BadInputError
from hubbub.ingest.providers import PROVIDERS
from hubbub.ingest.providers import provider as provider_of
from hubbub.ingest.receivers.base import Setup
from hubbub.ingest.receivers.texts import kind_of
from hubbub.model.answers import Removed, ShownOnce
from hubbub.model.page import Page, check_limit, paged, place_of
from hubbub.model.plain import JsonObject
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
    settings: JsonObject
    reason: str
    """Why it is broken or degraded, or a remark."""
    action: str
    """What a person must do."""
    last_ok: date | None
    """Last complete day."""
    since: date | None
    """First day to fetch."""
    created_at: datetime
    changed_at: datetime
    fetches: bool
    """Whether days are fetched."""
    address: str | None
    """The address for its service's deliveries; null: it only fetches."""


@dataclass(frozen=True, slots=True)
class NewIntegration(IntegrationView):
    """A connected account with generated secrets."""

    made: Annotated[Mapping[str, str], ShownOnce()]
    """Generated secrets, by name, to paste at the service; shown only this once."""


@dataclass(frozen=True, slots=True)
class SetupView:
    """The steps at an integration's service, and whether it has sent anything yet."""

    id: str
    tenant: str
    provider: str
    name: str
    title: str
    address: str | None
    scopes: Sequence[str]
    steps: Sequence[str]
    state: Literal["waiting", "received", "refused"]
    """Refused: the last delivery could not be verified or accepted."""
    received_at: datetime | None
    """The minute of the newest accepted body of the last 30 days."""
    reason: str
    """Why the last body was refused."""


def made_for(view: IntegrationView) -> Mapping[str, str]:
    """Return the secrets generated for a new integration, by name."""
    return view.made if isinstance(view, NewIntegration) else {}


class IntegrationService:
    """Manages integrations."""

    def __init__(
        self, settings: Settings, clock: Clock, control: Control, store: Integrations, payloads: Payloads, ledger: Coverage,
        delivered: Deliveries, sequences: Sequences,
    ) -> None:  # fmt: skip
        self._settings, self._clock, self._control, self._store = settings, clock, control, store
        self._payloads, self._ledger, self._delivered, self._sequences = payloads, ledger, delivered, sequences

    def add(
        self,
        tenant: str,
        provider: str,
        secret: str = "",
        name: str = "",
        settings: JsonObject | None = None,
        secrets: Mapping[str, str] | None = None,
    ) -> IntegrationView | NewIntegration:
        """Connect an account of a service (see `PROVIDERS` for settings and secrets); secrets are never shown again.

        `secret` is the token, `secrets` all by name.
        """
        owner, kind = self._control.tenant(tenant), provider_of(provider)
        checked = kind.check_settings(settings or {})
        given = {TOKEN: secret, **(secrets or {})} if secret else secrets or {}
        stored_secrets, generated = kind.check_secrets(given, checked)
        today = day_of(self._clock(), ZoneInfo(checked.get("zone", "UTC")))
        since = parse_date(checked["since"]) if "since" in checked else today
        view = self._view_fields(self._store.add(owner.id, provider, name or provider, checked, stored_secrets, since))
        return NewIntegration(**view, made=generated) if generated else IntegrationView(**view)

    def of(
        self,
        tenant: str | None = None,
        state: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
        provider: str | None = None,
    ) -> Page[IntegrationView]:
        """Return integrations, oldest first, of a tenant or all.

        `state` is a state, or `fetched`: active and degraded ones.
        """
        if state not in (None, "fetched", *STATES):
            raise BadInputError(f"state {str(state)[:40]!r} is not one of fetched, {', '.join(STATES)}")
        if tenant is not None:
            self._control.tenant(tenant)
        after = (place_of(cursor, str) or ("",))[0]
        states = FETCHED if state == "fetched" else state
        integrations = self._store.page(tenant, states, provider, after, check_limit(limit) + 1)
        return paged(integrations, limit, lambda row: (row.id,), self._view)

    def get(self, tenant: str, integration: str) -> IntegrationView:
        """Return an integration, without its secret."""
        return self._view(self._store.get(tenant, integration))

    def setup(self, tenant: str, integration: str) -> SetupView:
        """Return the steps at an integration's service, and whether it has sent anything yet. Raises BadInputError."""
        stored = self._store.get(tenant, integration)
        if not _receives(stored):
            raise BadInputError(f"integration {stored.id} only fetches: there is nothing to set up at its service")
        return self._setup(stored)

    def setups(self, tenant: str | None = None, cursor: str | None = None, limit: int = 100) -> Page[SetupView]:
        """Return the `setup` of each receiving integration, of a tenant or all, page by page."""
        after = (place_of(cursor, str) or ("",))[0]
        integrations = self._store.page(tenant, after=after, limit=check_limit(limit) + 1)
        page = paged(integrations, limit, lambda stored: (stored.id,), lambda stored: stored)
        return Page([self._setup(stored) for stored in page.rows if _receives(stored)], page.next)

    def _setup(self, stored: Integration) -> SetupView:
        receiver, address = PROVIDERS[stored.provider].receiver, self._address(stored)
        setup = receiver.setup if receiver is not None else Setup("", (), ())
        steps = setup.steps if address is not None else setup.connected
        deliveries = self._delivered.latest(stored.id[-KEY_LENGTH:])
        accepted = [latest.minute for latest in deliveries if state_of(latest.outcome) != REFUSED]
        refused = next((latest for latest in deliveries if latest.minute not in accepted), None)
        refused = refused if refused is not None and (not accepted or refused.minute > accepted[0]) else None
        return SetupView(
            stored.id, stored.tenant, stored.provider, stored.name, setup.title, address, setup.scopes,
            [step.format_map(_Placeholders(address=address or "")) for step in steps],
            "refused" if refused is not None else "received" if accepted else "waiting",
            accepted[0] if accepted else None,
            _why(refused) if refused is not None else "",
        )  # fmt: skip

    def change(
        self, tenant: str, integration: str, name: str | None = None, settings: JsonObject | None = None
    ) -> IntegrationView:
        """Change its name, and settings by name: others stay, None sets one back to its default.

        What has arrived stays as it was read; what arrives from now on is read with the new settings. An earlier `since` lets the
        days from then on be fetched. Raises NotFoundError, and BadInputError also for a setting that cannot change.
        """
        stored = self._store.get(tenant, integration)
        if name is None and not settings:
            raise BadInputError("settings: give a new name, or settings to change")
        changed = PROVIDERS[stored.provider].changed_settings(stored.settings, settings or {}, stored.secret_names)
        since = parse_date(changed["since"]) if "since" in (settings or {}) and "since" in changed else None
        new_name = stored.name if name is None else name or stored.provider
        return self._view(self._store.change(tenant, integration, new_name, changed, since))

    def pause(self, tenant: str, integration: str) -> IntegrationView:
        """Stop fetching from an integration until it is resumed. Raises NotFoundError."""
        return self._view(self._store.pause(tenant, integration))

    def resume(self, tenant: str, integration: str) -> IntegrationView:
        """Resume fetching from an integration, even if it was broken. Raises NotFoundError."""
        return self._view(self._store.resume(tenant, integration))

    def rotate(
        self, tenant: str, integration: str, secret: str = "", secrets: Mapping[str, str] | None = None
    ) -> IntegrationView:
        """Set a new token, or new secrets by name; a broken one becomes active. Raises NotFoundError, BadInputError."""
        kind = PROVIDERS[self._store.get(tenant, integration).provider]
        by_name = {TOKEN: secret, **(secrets or {})} if secret else secrets or {}
        if not by_name:
            raise BadInputError(
                f"secret: give a new token, or new secrets by name ({', '.join(declared.name for declared in kind.secrets)})"
            )
        kind.check_names(by_name)
        return self._view(self._store.rotate(tenant, integration, by_name))

    def remove(self, tenant: str, integration: str) -> Removed:
        """Delete an integration with its secrets and the texts of its messages; its events stay."""
        self._store.remove(tenant, integration)
        self._payloads.delete_older(self._clock() + DAY, kind_of(integration))
        self._ledger.forget(integration)
        self._sequences.forget(integration)
        return Removed(integration)

    def _view(self, stored: Integration) -> IntegrationView:
        return IntegrationView(**self._view_fields(stored))

    def _view_fields(self, stored: Integration) -> JsonObject:
        """Return the fields of an `IntegrationView`."""
        own = {
            field.name: getattr(stored, field.name) for field in fields(IntegrationView) if hasattr(stored, field.name)
        }
        return {
            **own,
            "fetches": PROVIDERS[stored.provider].fetches(stored.secret_names),
            "address": self._address(stored),
        }

    def _address(self, stored: Integration) -> str | None:
        """Return the address for an integration's deliveries; None for one that only fetches."""
        receives = PROVIDERS[stored.provider].receives(stored.secret_names)
        return self._settings.address(f"/v1/hooks/{stored.provider}/{stored.id}") if receives else None


def _why(refused: Latest) -> str:
    """Return why the last body was refused, or that all its events were."""
    why = why_refused(refused.outcome, refused.reason)
    if refused.outcome != REFUSED:
        return why
    return f"the body was verified, but each of its events was refused ({why}): they wait among the refused records"


def _receives(stored: Integration) -> bool:
    """Say whether an integration's service sends: to an address, or over a connection that Hubbub opens."""
    kind = PROVIDERS[stored.provider]
    return kind.receives(stored.secret_names) or kind.listens(stored.secret_names)


class _Placeholders(dict[str, str]):
    """Values of a step's placeholders: a generated secret appears by its name, since its value is shown only once."""

    def __missing__(self, name: str) -> str:
        return f"the {name}"
