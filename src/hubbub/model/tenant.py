"""A tenant: the owner of data, with its zone, business hours and retention."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from hubbub.errors import BadInputError
from hubbub.model.calendar import NO_CALENDAR, Calendar
from hubbub.model.target import Target
from hubbub.model.threads import Threads
from hubbub.model.window import EPOCH, Grain, day_of, local_midnight

MOST_TONES, LONGEST_TONE = 20, 64
MOST_MINUTES = 1440
_NO_ZONES = frozenset({"localtime", "posixrules", "Factory"})
"""Names of zone files that are the machine's own zone, or not a zone; those in `right/` count leap seconds."""
TENANT_ID = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z")


@dataclass(frozen=True)
class Retention:
    """Days for which attributes of events (`raw`), snapshots by grain, and facts are kept; None: for ever."""

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
        """Return the days of retention for a grain."""
        days: int | None = getattr(self, grain.value)
        return days


def longest(days: Mapping[str, int | None]) -> int | None:
    """Return the default days of retention of facts: the longest of hour, day, week and month; None: for ever."""
    kept_days = [days[grain] for grain in ("hour", "day", "week", "month")]
    return None if None in kept_days else max(n for n in kept_days if n is not None)


KEEP_EVERYTHING = Retention(raw=None, hour=None, day=None, week=None, month=None, facts=None)


@dataclass(frozen=True)
class Tenant:
    """An owner of events. `no`: the small number that the store has in place of the id; never 0."""

    no: int
    id: str
    zone: str = "UTC"
    name: str = ""
    retention: Retention = field(default_factory=Retention)
    calendar: Calendar = NO_CALENDAR
    hotspot_tones: tuple[str, ...] = ()
    """Tones, in lower case, whose messages `hotspot_ratio` counts besides the topics complaint and escalation."""
    contact_names: bool = True
    """Whether names of contacts are stored."""
    threads: Threads = field(default_factory=Threads)
    targets: tuple[Target, ...] = ()
    """Its targets for answering and resolving, by the day from which each is in force."""
    ai_minutes_saved: float | None = None
    """Minutes of a person's work that an episode handled by AI is assumed to save; None: no assumption."""

    @property
    def tz(self) -> ZoneInfo:
        """The IANA zone of this tenant's hours, days, weeks and months."""
        return ZoneInfo(self.zone)


def kept_from(tenant: Tenant, days: int | None, now: datetime) -> datetime:
    """Return the local midnight, in UTC, since which data kept for `days` exists; 1970 when kept for ever."""
    if days is None:
        return EPOCH
    return local_midnight(day_of(now, tenant.tz) - timedelta(days=days), tenant.tz)


def check_tenant_id(text: str) -> str:
    """Return `text` if it is a valid tenant id (a-z, 0-9, inner hyphens, at most 63). Raises BadInputError."""
    if not TENANT_ID.match(text):
        raise BadInputError(f"tenant {text[:80]!r}: use 1 to 63 of a-z, 0-9 and inner hyphens")
    return text


def check_tones(tones: Sequence[str]) -> tuple[str, ...]:
    """Return names of tones, with A to Z in lower case as in SQLite, each once, in order.

    Raises BadInputError for an empty, long or 21st name.
    """
    names = tuple(sorted({tone.strip().encode().lower().decode() for tone in tones}))
    if len(names) > MOST_TONES or not all(1 <= len(tone) <= LONGEST_TONE for tone in names):
        raise BadInputError(
            f"hotspot_tones: name at most {MOST_TONES} tones of 1 to {LONGEST_TONE} characters, like negative"
        )
    return names


def check_minutes(minutes: float) -> float | None:
    """Return the minutes that AI saves in an episode, None for 0. Raises BadInputError below 0, above a day, and for NaN."""
    if not 0 <= minutes <= MOST_MINUTES:
        raise BadInputError(f"ai_minutes_saved: state 0 (no assumption) to {MOST_MINUTES} minutes, like 6.5")
    return minutes or None


def check_zone(text: str) -> str:
    """Return `text` if it is an IANA time zone, the same on every machine. Raises BadInputError."""
    try:
        if text in _NO_ZONES or text.startswith(("posix/", "right/")):
            raise ValueError
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise BadInputError(f"zone {text[:80]!r} is not an IANA time zone, like Europe/Rome or UTC") from None
    return text
