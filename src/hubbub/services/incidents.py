"""Incidents: shown, acknowledged and snoozed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Literal

from hubbub.clock import Clock
from hubbub.control.alerts import Alerts, Entry, Incident
from hubbub.control.control import Control
from hubbub.control.outbox import Outbox
from hubbub.errors import BadInputError, ConflictError
from hubbub.model.page import Page, check_limit, paged, place_of
from hubbub.model.question import parse_moment
from hubbub.model.tenant import Tenant
from hubbub.services.alerts import AlertService, AlertView
from hubbub.services.messages import MessageView, message_view


@dataclass(frozen=True, slots=True)
class IncidentView:
    """An incident. Moments are in the tenant's zone."""

    id: str
    rule: str
    title: str
    slice: str | None
    state: Literal["open", "acknowledged", "snoozed", "closed"]
    from_: datetime
    """Beginning of the first window that fired."""
    to: datetime
    """End of the last."""
    value: float
    usual: float | None
    peak: float
    peak_at: datetime
    opened_at: datetime
    closed_at: datetime | None
    acknowledged_at: datetime | None
    snoozed_until: datetime | None


@dataclass(frozen=True, slots=True)
class EntryView:
    """An entry of an incident's history."""

    at: datetime
    what: str
    text: str


@dataclass(frozen=True, slots=True)
class OneIncident(IncidentView):
    """An incident with its rule, history, newest first, and messages."""

    alert: AlertView
    entries: Sequence[EntryView]
    messages: Sequence[MessageView]


class IncidentService:
    """Shows incidents, and notes people's actions on them."""

    def __init__(self, clock: Clock, control: Control, store: Alerts, outbox: Outbox, alerts: AlertService) -> None:
        self._clock, self._control, self._store, self._outbox, self._alerts = clock, control, store, outbox, alerts

    def of(
        self,
        tenant: str,
        state: str | None = None,
        alert: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[IncidentView]:
        """Return a tenant's incidents, newest first, all or only `open` or `closed` ones."""
        if state not in (None, "open", "closed"):
            raise BadInputError(f"state {str(state)[:40]!r} is not one of open, closed")
        owner = self._control.tenant(tenant)
        before = (place_of(cursor, str) or ("",))[0]
        is_open = None if state is None else state == "open"
        incidents = self._store.page(owner.id, is_open=is_open, rule=alert, before=before, limit=check_limit(limit) + 1)
        return paged(incidents, limit, lambda incident: (incident.id,), lambda incident: _view(incident, owner))

    def get(self, tenant: str, incident: str) -> OneIncident:
        """Return an incident with its history, newest first, its rule, and its messages with their outcome."""
        owner = self._control.tenant(tenant)
        stored = self._store.incident(owner.id, incident)
        view = _view(stored, owner)
        return OneIncident(
            **{field.name: getattr(view, field.name) for field in fields(view)},
            alert=self._alerts.view(self._store.rule(owner.id, stored.rule)),
            entries=[
                EntryView(entry.at.astimezone(owner.tz).replace(microsecond=0), entry.what, entry.text)
                for entry in self._store.entries(stored.id)
            ],
            messages=[message_view(message) for message in self._outbox.page(owner.id, about=stored.id)],
        )

    def acknowledge(self, tenant: str, incident: str, by: str = "") -> IncidentView:
        """Note that a person (`by`) takes care of an open incident; no more notifications are sent until it closes."""
        owner, stored, now = self._open(tenant, incident)
        entry = Entry(stored.id, now, "acknowledged", f"Acknowledged{f' by {by[:100]}' if by else ''}.")
        return _view(self._store.note(stored, entry, acknowledged_at=now, snoozed_until=None), owner)

    def snooze(self, tenant: str, incident: str, until: str) -> IncidentView:
        """Send nothing about an open incident until a moment (date or RFC 3339); if it is open then, notify again.

        A snooze replaces an acknowledgement: the incident is notified of again too.
        """
        owner, stored, now = self._open(tenant, incident)
        moment = parse_moment(until, owner.zone)
        if not now < moment <= now + timedelta(days=31):
            raise BadInputError("until: must be a time within the next 31 days")
        entry = Entry(stored.id, now, "snoozed", f"Snoozed until {moment.astimezone(owner.tz):%a %d %b %H:%M}.")
        return _view(self._store.note(stored, entry, acknowledged_at=None, snoozed_until=moment), owner)

    def _open(self, tenant: str, incident: str) -> tuple[Tenant, Incident, datetime]:
        owner = self._control.tenant(tenant)
        stored = self._store.incident(owner.id, incident)
        if stored.closed_at is not None:
            raise ConflictError("this incident is closed")
        return owner, stored, self._clock()


def _view(incident: Incident, tenant: Tenant) -> IncidentView:
    def local(moment: datetime) -> datetime:
        return moment.astimezone(tenant.tz).replace(microsecond=0)

    return IncidentView(
        incident.id, incident.rule, incident.title, incident.slice or None, incident.state, local(incident.start),
        local(incident.fired_to), incident.value, incident.usual, incident.peak, local(incident.peak_at),
        local(incident.opened_at), incident.closed_at and local(incident.closed_at),
        incident.acknowledged_at and local(incident.acknowledged_at),
        incident.snoozed_until and local(incident.snoozed_until),
    )  # fmt: skip
