"""The engine's operations that manage: tenants, business hours, keys, quarantine. `Engine` (app.py) inherits them."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from hubbub.errors import BadInputError, BadRequestError, NotFoundError
from hubbub.facts.moments import moment
from hubbub.facts.refresh import refresh
from hubbub.ingest.intake import Intake
from hubbub.model import calendar as business_hours
from hubbub.model.event import read_one
from hubbub.model.page import check_limit, cut, place_of
from hubbub.model.question import parse_moment
from hubbub.model.tenant import Retention, Tenant
from hubbub.operations.names import NameService
from hubbub.settings import Settings
from hubbub.storage.schema import FOREVER
from hubbub.storage.store import Store
from hubbub.store.control import Control, Key

OPERATIONS = (
    "tenants", "tenant", "add_tenant", "change_tenant", "calendar", "set_calendar", "keys", "key", "add_key", "revoke_key",
    "rotate_key", "quarantine", "replay",
)  # fmt: skip
"""Those that a command beside a running server may ask it to do."""

LONGEST_OVERLAP = 30 * 86_400
"""Seconds that an old key may work beside the one in its stead."""

_GRAINS = ("raw", "hour", "day", "week", "month", "facts")


class TenantOperations(ABC):
    """What an engine does for its operator."""

    settings: Settings
    store: Store
    control: Control
    intake: Intake
    names: NameService

    def tenants(self, tenant: str | None = None, cursor: str | None = None, limit: int | None = None) -> dict[str, Any]:
        """Return all tenants with zone and retention, oldest first, or one alone; `limit` cuts them into pages."""
        after = (place_of(cursor, int) or (0,))[0]
        self.control.follow()
        chosen = [self.control.tenant(tenant)] if tenant is not None else self.control.tenants().values()
        found = [one for one in chosen if one.no > after]
        rows, following = cut(found, limit and check_limit(limit), lambda one: (one.no,))
        return {"rows": [_tenant_row(one) for one in rows], "next": following}

    def tenant(self, tenant: str) -> dict[str, Any]:
        """Return one tenant with zone and retention."""
        return _tenant_row(self.control.tenant(tenant))

    def add_tenant(
        self, tenant: str, zone: str | None = None, name: str = "", retention: Mapping[str, int | None] | None = None
    ) -> dict[str, Any]:
        """Make a tenant with the default retention, or the given one."""
        kept = Retention(**(self.settings.retention.model_dump() | dict(retention or {})))
        return _tenant_row(self.control.add_tenant(tenant, zone or self.settings.default_zone, name, kept))

    def change_tenant(
        self,
        tenant: str,
        zone: str | None = None,
        name: str | None = None,
        retention: Mapping[str, int | None] | None = None,
        hotspot_tones: Sequence[str] | None = None,
        contact_names: bool | None = None,
    ) -> dict[str, Any]:
        """Change zone, name, parts of the retention, the tones that hotspots count, or whether names of contacts are kept.

        All count at once; names of contacts that are no longer kept are deleted.
        """
        current = self.control.tenant(tenant)
        kept = None
        if retention is not None:
            kept = Retention(**({g: getattr(current.retention, g) for g in _GRAINS} | dict(retention)))
        changed = self.control.change_tenant(
            tenant, zone=zone, name=name, retention=kept, hotspot_tones=hotspot_tones, contact_names=contact_names
        )
        if not changed.contact_names:
            self.names.forget(changed, "contact")
        return _tenant_row(changed)

    def calendar(self, tenant: str) -> dict[str, Any]:
        """Return a tenant's business hours: its zone, and the versions of its calendar by date; none: no calendar."""
        return _calendar_row(self.control.tenant(tenant))

    def set_calendar(self, tenant: str, calendar: Mapping[str, Any]) -> dict[str, Any]:
        """Replace a tenant's business hours by a document like that of `docs/howto/business-hours.md`.

        `changed_from` in the answer is the first day whose numbers may change, by the next refresh; null: nothing changed.
        Raises BadInputError that names the field.
        """
        before, after = self.control.tenant(tenant).calendar, business_hours.read(calendar)
        changed = business_hours.first_change(before, after)
        one = self.control.set_calendar(tenant, after)
        return _calendar_row(one) | {"changed_from": changed.isoformat() if changed else None}

    def keys(self, tenant: str | None = None, cursor: str | None = None, limit: int | None = None) -> dict[str, Any]:
        """Return what is known of API keys, oldest first, never a secret; `limit` cuts them into pages."""
        place = place_of(cursor, str, str)
        after = (_moment(place[0]), place[1]) if place else None
        found = self.control.keys(tenant, after, check_limit(limit) + 1 if limit is not None else None)
        rows, following = cut(found, limit, lambda one: (one.created_at.isoformat() if one.created_at else "", one.id))
        return {"rows": [_key_row(one) for one in rows], "next": following}

    def key(self, key: str, owner: str | None = None) -> dict[str, Any]:
        """Return what is known of one key; `owner` finds that tenant's keys alone."""
        return _key_row(self.control.key(key, owner))

    def add_key(
        self,
        tenant: str | None,
        scopes: Sequence[str] = ("ingest", "read"),
        label: str = "",
        expires: str | None = None,
    ) -> dict[str, Any]:
        """Make a key; its text is in the answer and nowhere else, ever."""
        key, text = self.control.add_key(tenant, scopes, label, _end(expires))
        return _key_row(key) | {"key": text}

    def revoke_key(self, key: str, owner: str | None = None) -> dict[str, Any]:
        """Make a key useless from now on; `owner` finds that tenant's keys alone."""
        self.control.key(key, owner)
        return _key_row(self.control.revoke_key(key))

    def rotate_key(
        self, key: str, overlap: float = 3600, expires: str | None = None, owner: str | None = None
    ) -> dict[str, Any]:
        """Make a key in place of another, which works for `overlap` seconds more; the new text is in the answer alone.

        `replaces` is the old key with its new end. The new one ends with `expires`, or when the old one would have.
        `owner` finds that tenant's keys alone. Raises BadInputError, NotFoundError, and ConflictError for a dead key.
        """
        if not 0 <= overlap <= LONGEST_OVERLAP:
            raise BadInputError(f"overlap: {overlap} is not a number of seconds from 0 to {LONGEST_OVERLAP} (30 days)")
        self.control.key(key, owner)
        made, old, text = self.control.rotate_key(key, overlap, _end(expires))
        return _key_row(made) | {"key": text, "replaces": _key_row(old)}

    def quarantine(self, tenant: str, limit: int = 100, cursor: str | None = None) -> dict[str, Any]:
        """Return a page of refused records of a tenant, newest first, with the reason of each."""
        before, one = (place_of(cursor, int) or (FOREVER,))[0], self.control.tenant(tenant)
        refresh(self.store, one.no)
        with self.store.facts.read() as reading:
            found = reading.dicts(
                "SELECT id, received_at, origin, code, field, message, raw FROM quarantine WHERE tenant = :tenant "
                "AND id < :before ORDER BY id DESC LIMIT :limit",
                {"tenant": one.no, "limit": check_limit(limit) + 1, "before": before},
            )
        rows, following = cut(found, limit, lambda row: (row["id"],))
        return {"rows": [{**r, "received_at": _utc(r["received_at"])} for r in rows], "next": following}

    def replay(self, tenant: str, ids: Sequence[int] | None = None) -> dict[str, Any]:
        """Try refused records again (all, or some); those that are taken now leave the quarantine."""
        one = self.control.tenant(tenant)
        refresh(self.store, one.no)
        with self.store.facts.read() as reading:
            rows = reading.rows("SELECT id, raw FROM quarantine WHERE tenant = ? ORDER BY id", (one.no,))
        wanted = [(id_, raw) for id_, raw in rows if raw and (ids is None or id_ in ids)]
        items = [read_one(raw.encode(), index, one.id) for index, (_, raw) in enumerate(wanted)]
        outcome = self.intake.accept(one, items, quarantine=False, history=True)
        refused = {r.index for r in outcome.rejected}
        done = [(one.no, id_) for i, (id_, _) in enumerate(wanted) if i not in refused]
        with self.store.facts.write() as writing:
            writing.many("DELETE FROM quarantine WHERE tenant = ? AND id = ?", done)
        return outcome.answer()

    def ensure_tenant(
        self, tenant: str, zone: str | None, *, retention: Retention | None = None
    ) -> tuple[Tenant, bool]:
        """Return a tenant, made with `retention` when there was none; and whether it was made."""
        try:
            return self.control.tenant(tenant), False
        except NotFoundError:
            return self.control.add_tenant(tenant, zone or self.settings.default_zone, retention=retention), True


def _utc(us: int) -> str:
    return moment(us).replace(tzinfo=None).isoformat() + "Z"


def _end(expires: str | None) -> datetime | None:
    return parse_moment(expires, "UTC") if expires else None


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=None)
    except ValueError:
        raise BadRequestError("this cursor is not the 'next' of a page before") from None


def _tenant_row(tenant: Tenant) -> dict[str, Any]:
    return {
        "tenant": tenant.id, "zone": tenant.zone, "name": tenant.name,
        "retention": {g: getattr(tenant.retention, g) for g in _GRAINS},
        "hotspot_tones": list(tenant.hotspot_tones), "contact_names": tenant.contact_names,
    }  # fmt: skip


def _calendar_row(tenant: Tenant) -> dict[str, Any]:
    return {"tenant": tenant.id, "zone": tenant.zone, **business_hours.document(tenant.calendar)}


def _key_row(key: Key) -> dict[str, Any]:
    return {
        "id": key.id, "tenant": key.tenant, "scopes": list(key.scopes), "label": key.label,
        "created_at": key.created_at.isoformat() + "Z" if key.created_at else None,
        "expires_at": key.expires_at.isoformat() + "Z" if key.expires_at else None,
        "revoked_at": key.revoked_at.isoformat() + "Z" if key.revoked_at else None,
    }  # fmt: skip
