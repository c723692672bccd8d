"""Incidents: what alert rules found, shown, acknowledged and snoozed."""

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
    """Something that happened to an incident."""

    at: datetime
    what: str
    text: str


@dataclass(frozen=True, slots=True)
class OneIncident(IncidentView):
    """An incident with its rule, what happened, newest first, and who was notified."""

    alert: AlertView
    entries: Sequence[EntryView]
    messages: Sequence[MessageView]


class IncidentService:
    """Shows incidents, and notes what people do with them."""

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
        """Return a tenant's incidents, newest first, all or those that are `open` or `closed`."""
        if state not in (None, "open", "closed"):
            raise BadInputError(f"state {str(state)[:40]!r} is not one of open, closed")
        one = self._control.tenant(tenant)
        before = (place_of(cursor, str) or ("",))[0]
        is_open = None if state is None else state == "open"
        found = self._store.page(one.id, is_open=is_open, rule=alert, before=before, limit=check_limit(limit) + 1)
        return paged(found, limit, lambda incident: (incident.id,), lambda incident: _view(incident, one))

    def get(self, tenant: str, incident: str) -> OneIncident:
        """Return an incident with what happened, newest first, its rule, and its messages with what became of each."""
        one = self._control.tenant(tenant)
        found = self._store.incident(one.id, incident)
        shown = _view(found, one)
        return OneIncident(
            **{field.name: getattr(shown, field.name) for field in fields(shown)},
            alert=self._alerts.view(self._store.rule(one.id, found.rule)),
            entries=[
                EntryView(entry.at.astimezone(one.tz).replace(microsecond=0), entry.what, entry.text)
                for entry in self._store.entries(found.id)
            ],
            messages=[message_view(message) for message in self._outbox.page(one.id, about=found.id)],
        )

    def acknowledge(self, tenant: str, incident: str, by: str = "") -> IncidentView:
        """Note that somebody takes care of an open incident; nobody is notified of it again until it closes. `by` names who."""
        one, found, now = self._open(tenant, incident)
        entry = Entry(found.id, now, "acknowledged", f"Acknowledged{f' by {by[:100]}' if by else ''}.")
        return _view(self._store.note(found, entry, acknowledged_at=now, snoozed_until=None), one)

    def snooze(self, tenant: str, incident: str, until: str) -> IncidentView:
        """Leave an open incident alone until a moment (date or RFC 3339); destinations are notified again if it is open then."""
        one, found, now = self._open(tenant, incident)
        moment = parse_moment(until, one.zone)
        if not now < moment <= now + timedelta(days=31):
            raise BadInputError("until: a moment within the next 31 days")
        entry = Entry(found.id, now, "snoozed", f"Snoozed until {moment.astimezone(one.tz):%a %d %b %H:%M}.")
        return _view(self._store.note(found, entry, snoozed_until=moment), one)

    def _open(self, tenant: str, incident: str) -> tuple[Tenant, Incident, datetime]:
        one = self._control.tenant(tenant)
        found = self._store.incident(one.id, incident)
        if found.closed_at is not None:
            raise ConflictError("this incident is closed")
        return one, found, self._clock()


def _view(one: Incident, tenant: Tenant) -> IncidentView:
    def local(moment: datetime) -> datetime:
        return moment.astimezone(tenant.tz).replace(microsecond=0)

    return IncidentView(
        one.id, one.rule, one.title, one.slice or None, one.state, local(one.start), local(one.fired_to), one.value, one.usual,
        one.peak, local(one.peak_at), local(one.opened_at), one.closed_at and local(one.closed_at),
        one.acknowledged_at and local(one.acknowledged_at), one.snoozed_until and local(one.snoozed_until),
    )  # fmt: skip
