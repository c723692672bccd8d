"""A tenant: the owner of data, with the zone its days are in, its business hours, and how long its numbers are kept."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from hubbub.errors import BadInputError
from hubbub.model.calendar import NO_CALENDAR, Calendar
from hubbub.model.window import EPOCH, Grain, day_of, local_midnight

MOST_TONES, LONGEST_TONE = 20, 64
_NO_ZONES = frozenset({"localtime", "posixrules", "Factory"})
"""Files that lie among the zones and mean the machine's own, or none; `right/` counts leap seconds."""
TENANT_ID = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z")


@dataclass(frozen=True)
class Retention:
    """Days that texts of events (`raw`), snapshots by grain, and facts are kept; None keeps them for ever."""

    raw: int | None = 90
    hour: int | None = 30
    day: int | None = 365
    week: int | None = 730
    month: int | None = 1095
    facts: int | None = 1095

    def __post_init__(self) -> None:
        for name in ("raw", "hour", "day", "week", "month", "facts"):
            days = getattr(self, name)
            if days is not None and not 1 <= days <= 36500:
                raise BadInputError(f"retention.{name}: {days} is not a number of days from 1 to 36500")

    def days(self, grain: Grain) -> int | None:
        """Return the days that what is kept by a grain is kept."""
        found: int | None = getattr(self, grain.value)
        return found


def longest(days: Mapping[str, int | None]) -> int | None:
    """Return the days that facts are kept where nobody says: the longest of hour, day, week and month; None is for ever."""
    given = [days[grain] for grain in ("hour", "day", "week", "month")]
    return None if None in given else max(n for n in given if n is not None)


KEEP_EVERYTHING = Retention(raw=None, hour=None, day=None, week=None, month=None, facts=None)


@dataclass(frozen=True)
class Tenant:
    """Who owns events. `no` is the small number that the store keeps instead of the name; 0 is never used."""

    no: int
    id: str
    zone: str = "UTC"
    name: str = ""
    retention: Retention = field(default_factory=Retention)
    calendar: Calendar = NO_CALENDAR
    hotspot_tones: tuple[str, ...] = ()
    """Tones, in lower case, whose messages `hotspot_ratio` counts beside the topics complaint and escalation."""
    contact_names: bool = True
    """Whether what contacts are called is kept."""

    @property
    def tz(self) -> ZoneInfo:
        """The IANA zone that this tenant's hours, days, weeks and months are cut in."""
        return ZoneInfo(self.zone)


def kept_from(tenant: Tenant, days: int | None, now: datetime) -> datetime:
    """Return the local midnight, in UTC, from which on something kept for `days` is there; 1970 when kept for ever."""
    if days is None:
        return EPOCH
    return local_midnight(day_of(now, tenant.tz) - timedelta(days=days), tenant.tz)


def check_tenant_id(text: str) -> str:
    """Return `text` when it can name a tenant (a-z, 0-9, inner hyphens, 63 at most), else raise `BadInputError`."""
    if not TENANT_ID.match(text):
        raise BadInputError(f"tenant {text[:80]!r}: use 1 to 63 of a-z, 0-9 and inner hyphens")
    return text


def check_tones(tones: Sequence[str]) -> tuple[str, ...]:
    """Return names of tones, A to Z in lower case as SQLite has it, each once, in order.

    Raises BadInputError for an empty, long or 21st name.
    """
    found = tuple(sorted({tone.strip().encode().lower().decode() for tone in tones}))
    if len(found) > MOST_TONES or not all(1 <= len(tone) <= LONGEST_TONE for tone in found):
        raise BadInputError(
            f"hotspot_tones: name at most {MOST_TONES} tones of 1 to {LONGEST_TONE} characters, like negative"
        )
    return found


def check_zone(text: str) -> str:
    """Return `text` when it names an IANA time zone, the same on every machine, else raise `BadInputError`."""
    try:
        if text in _NO_ZONES or text.startswith(("posix/", "right/")):
            raise ValueError
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise BadInputError(f"zone {text[:80]!r} is not an IANA time zone, like Europe/Rome or UTC") from None
    return text
