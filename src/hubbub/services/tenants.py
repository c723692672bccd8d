"""Tenants: listed, added and changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hubbub.control.control import Control
from hubbub.errors import NotFoundError
from hubbub.model.name import check_seen
from hubbub.model.page import Page, check_limit, paged, place_of
from hubbub.model.plain import JsonObject
from hubbub.model.tenant import Retention, Tenant
from hubbub.model.threads import Threads, changed
from hubbub.services.names import NameService
from hubbub.settings import Settings

_GRAINS = ("raw", "hour", "day", "week", "month", "facts")


@dataclass(frozen=True, slots=True)
class TenantView:
    """A tenant."""

    tenant: str
    """Its id."""
    zone: str
    """IANA time zone of its days."""
    name: str
    """For people."""
    retention: Retention
    hotspot_tones: Sequence[str]
    """Tones that hotspots count beside the topics complaint and escalation."""
    contact_names: bool
    """Whether names of contacts are stored."""
    threads: Threads
    ai_minutes_saved: float | None
    """Minutes that a conversation handled by AI is assumed to save a person; null: not assumed."""


class TenantService:
    """Adds and changes tenants."""

    def __init__(self, settings: Settings, control: Control, names: NameService) -> None:
        self._settings, self._control, self._names = settings, control, names

    def of(self, tenant: str | None = None, cursor: str | None = None, limit: int | None = None) -> Page[TenantView]:
        """Return all tenants, oldest first, or one; `limit` cuts them into pages."""
        after = (place_of(cursor, int) or (0,))[0]
        self._control.follow()
        chosen = [self._control.tenant(tenant)] if tenant is not None else self._control.tenants().values()
        following = [owner for owner in chosen if owner.no > after]
        return paged(following, limit and check_limit(limit), lambda owner: (owner.no,), _view)

    def get(self, tenant: str) -> TenantView:
        """Return one tenant."""
        return _view(self._control.tenant(tenant))

    def add(
        self, tenant: str, zone: str | None = None, name: str = "", retention: Mapping[str, int | None] | None = None
    ) -> TenantView:
        """Add a tenant with the default retention, or the given one. Raises BadInputError, ConflictError."""
        check_seen("name", name)
        kept = Retention(**(self._settings.retention.model_dump() | dict(retention or {})))
        return _view(self._control.add_tenant(tenant, zone or self._settings.default_zone, name, kept))

    def change(
        self,
        tenant: str,
        zone: str | None = None,
        name: str | None = None,
        retention: Mapping[str, int | None] | None = None,
        hotspot_tones: Sequence[str] | None = None,
        contact_names: bool | None = None,
        threads: JsonObject | None = None,
        ai_minutes_saved: float | None = None,
    ) -> TenantView:
        """Change the given settings of a tenant; absent parts of `retention` and `threads` stay.

        `ai_minutes_saved`: minutes that an episode handled by AI is assumed to save a person; 0: not assumed. Changes apply at
        once; names of contacts that may no longer be stored are deleted. Raises NotFoundError, BadInputError.
        """
        check_seen("name", name or "")
        current = self._control.tenant(tenant)
        kept = None
        if retention is not None:
            kept = Retention(**({g: getattr(current.retention, g) for g in _GRAINS} | dict(retention)))
        after = self._control.change_tenant(
            tenant, zone=zone, name=name, retention=kept, hotspot_tones=hotspot_tones, contact_names=contact_names,
            threads=changed(current.threads, threads) if threads is not None else None, ai_minutes_saved=ai_minutes_saved,
        )  # fmt: skip
        if not after.contact_names:
            self._names.forget(after, "contact")
        return _view(after)

    def ensure(self, tenant: str, zone: str | None, *, retention: Retention | None = None) -> tuple[Tenant, bool]:
        """Return a tenant, added with `retention` if absent; and whether it was added."""
        try:
            return self._control.tenant(tenant), False
        except NotFoundError:
            return self._control.add_tenant(tenant, zone or self._settings.default_zone, retention=retention), True


def _view(tenant: Tenant) -> TenantView:
    return TenantView(
        tenant.id,
        tenant.zone,
        tenant.name,
        tenant.retention,
        tenant.hotspot_tones,
        tenant.contact_names,
        tenant.threads,
        tenant.ai_minutes_saved,
    )
