"""Business hours: a tenant's calendar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from hubbub.control.control import Control
from hubbub.model import calendar as business_hours
from hubbub.model.plain import JsonObject
from hubbub.model.tenant import Tenant


@dataclass(frozen=True, slots=True)
class CalendarVersion:
    """Hours in force from a day on."""

    valid_from: str
    """The first local day."""
    week: Mapping[str, Sequence[str]]
    """Weekday to intervals; a day not named is closed."""
    holidays: Mapping[str, Sequence[str]]
    """Date to its own intervals; an empty list: closed."""


@dataclass(frozen=True, slots=True)
class CalendarView:
    """A tenant's business hours."""

    tenant: str
    zone: str
    versions: Sequence[CalendarVersion]
    """By their first day; an empty list: no calendar."""


@dataclass(frozen=True, slots=True)
class ChangedCalendar(CalendarView):
    """A changed calendar."""

    changed_from: date | None
    """The first day whose numbers may change, by the next refresh; null: nothing changed."""


class CalendarService:
    """Shows and replaces business hours."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def get(self, tenant: str) -> CalendarView:
        """Return a tenant's business hours."""
        return CalendarView(*_view_fields(self._control.tenant(tenant)))

    def set(self, tenant: str, calendar: JsonObject) -> ChangedCalendar:
        """Replace a tenant's business hours by a document like that of `docs/howto/business-hours.md`.

        Raises BadInputError that names the field.
        """
        before, after = self._control.tenant(tenant).calendar, business_hours.read(calendar)
        return ChangedCalendar(
            *_view_fields(self._control.set_calendar(tenant, after)), business_hours.first_change(before, after)
        )


def _view_fields(tenant: Tenant) -> tuple[str, str, Sequence[CalendarVersion]]:
    """Return the fields of a `CalendarView`."""
    versions = [CalendarVersion(**business_hours.version_document(version)) for version in tenant.calendar.versions]
    return tenant.id, tenant.zone, versions
