"""Business hours: when a tenant is open by the wall clock of its zone, and for how long between two moments.

A calendar is a list of versions, each in force from its local date until the next one's. It has the hours of each weekday and of
holidays, which are closed or have other hours. A minute is open if the wall clock shows a time within the hours of its day,
or within hours of the day before that continue past midnight, by the version in force on that day. So a shift with a repeated hour
is an hour longer, and one with a skipped hour an hour shorter. Before the first version there is no calendar, and no answer.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from hubbub.errors import BadInputError
from hubbub.model.plain import JsonObject
from hubbub.model.window import SLOT_SECONDS, day_of, local_midnight

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MAX_VERSIONS = 100
MAX_HOLIDAYS = 1000
MAX_INTERVALS = 24
DAY_MINUTES = 24 * 60

Interval = tuple[int, int]
"""Minutes since the midnight that begins a day, `[start, end)`; an end above 1440 is past the midnight that ends it."""
Span = tuple[datetime, datetime]
"""A range of time `[start, end)`, aware in UTC."""

_INTERVAL = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-(?:([01]\d|2[0-3]):([0-5]\d)|24:00)\Z")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}\Z")


@dataclass(frozen=True)
class Version:
    """Hours in force from the local day `valid_from` on: Monday to Sunday, and holidays by date."""

    valid_from: date
    week: tuple[tuple[Interval, ...], ...]
    holidays: tuple[tuple[date, tuple[Interval, ...]], ...] = ()
    _by_date: Mapping[date, tuple[Interval, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_date", dict(self.holidays))

    def hours(self, day: date) -> tuple[Interval, ...]:
        """Return the intervals that begin on a local day."""
        holiday = self._by_date.get(day)
        return self.week[day.weekday()] if holiday is None else holiday


@dataclass(frozen=True)
class Calendar:
    """A tenant's business hours: versions by ascending date. Without versions the tenant has no calendar, and this is falsy."""

    versions: tuple[Version, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.versions)

    def at(self, day: date) -> Version | None:
        """Return the version in force on a local day, or None before the first."""
        place = bisect_right(self.versions, day, key=lambda version: version.valid_from)
        return self.versions[place - 1] if place else None

    def begins(self, tz: ZoneInfo) -> datetime:
        """Return the time, in UTC, from which the calendar is in force; it must have a version."""
        return local_midnight(self.versions[0].valid_from, tz)


NO_CALENDAR = Calendar()


def intervals(calendar: Calendar, tz: ZoneInfo, start: datetime, end: datetime) -> list[Span]:
    """Return the open times within `[start, end)` (aware): ascending, neither touching nor overlapping."""
    spans: list[Span] = []
    day = day_of(start, tz)
    while (midnight := local_midnight(day, tz)) < end:
        for low, high in _open_on(calendar, tz, day, midnight):
            low, high = max(low, start), min(high, end)
            if low >= high:
                continue
            if spans and low <= spans[-1][1]:
                spans[-1] = (spans[-1][0], max(spans[-1][1], high))
            else:
                spans.append((low, high))
        day += timedelta(days=1)
    return spans


def opened(calendar: Calendar, tz: ZoneInfo, start: datetime, end: datetime) -> timedelta | None:
    """Return the open time in `[start, end)` (aware); None where `start` lies before the first version."""
    if not calendar or start < calendar.begins(tz):
        return None
    return sum((high - low for low, high in intervals(calendar, tz, start, end)), timedelta())


def _open_on(calendar: Calendar, tz: ZoneInfo, day: date, midnight: datetime) -> Iterator[Span]:
    """Yield the open times of one local day, ascending; they may touch or overlap."""
    version = calendar.at(day)
    if version is None:
        return
    before = [(low - DAY_MINUTES, high - DAY_MINUTES) for low, high in version.hours(day - timedelta(days=1))]
    minutes = sorted((max(low, 0), min(high, DAY_MINUTES)) for low, high in (*before, *version.hours(day)) if high > 0)
    if not minutes:
        return
    wall = datetime.combine(day, time(), UTC)  # the day as if its clock were that of UTC
    for low, high, offset in _even(midnight, local_midnight(day + timedelta(days=1), tz), tz):
        for first, last in minutes:
            opens = max(wall + timedelta(minutes=first) - offset, low)
            closes = min(wall + timedelta(minutes=last) - offset, high)
            if opens < closes:
                yield opens, closes


def _even(start: datetime, end: datetime, tz: ZoneInfo) -> Iterator[tuple[datetime, datetime, timedelta]]:
    """Split a day where its offset from UTC changes; yields each range with its offset."""
    offset = _offset(start, tz)
    if offset == _offset(end - timedelta(microseconds=1), tz):
        yield start, end, offset
        return
    moment = start
    while moment < end:
        moment = min(moment + timedelta(seconds=SLOT_SECONDS), end)
        now = _offset(moment, tz)
        if now != offset or moment == end:
            yield start, moment, offset
            start, offset = moment, now


def _offset(moment: datetime, tz: ZoneInfo) -> timedelta:
    return moment.astimezone(tz).utcoffset() or timedelta()


@lru_cache(maxsize=512)
def steps(calendar: Calendar, zone: str, first: date, last: date) -> list[tuple[datetime, datetime, int, int]]:
    """Return steps `(start, end, length, before)` to look up "open until t": UTC without zone, and microseconds.

    The steps cover the time between the beginnings of the local days `first` and `last`, from the calendar's beginning on,
    without gaps; none crosses a midnight in UTC. For t within `[start, end)`, open until t is before + min(t - start, length).
    Open time before the first step is not counted.
    """
    tz = ZoneInfo(zone)
    start, end = max(local_midnight(first, tz), calendar.begins(tz)), local_midnight(last, tz)
    if start >= end:
        return []
    several = intervals(calendar, tz, start, end)
    midnight = datetime.combine(start.date(), time(), UTC)
    nights = (midnight + timedelta(days=number) for number in range(1, (end - midnight).days + 1))
    cuts = sorted({start, end, *(low for low, _ in several), *(night for night in nights if night < end)})
    rows, before, place = [], 0, 0
    for low, high in pairwise(cuts):
        while place < len(several) and several[place][1] <= low:
            place += 1
        opens = place < len(several) and several[place][0] <= low
        length = (min(several[place][1], high) - low) // timedelta(microseconds=1) if opens else 0
        rows.append((low.replace(tzinfo=None), high.replace(tzinfo=None), length, before))
        before += length
    return rows


def first_change(one: Calendar, other: Calendar) -> date | None:
    """Return the first local day on which two calendars may differ, None if they are equal."""
    for left, right in zip(one.versions, other.versions, strict=False):
        if left == right:
            continue
        if left.valid_from == right.valid_from and left.week == right.week:
            differ = set(left.holidays) ^ set(right.holidays)
            # a holiday before the version's first day still decides which hours continue past that midnight
            first = max(min(day for day, _ in differ), left.valid_from)
            later = [v.valid_from for v in (*one.versions, *other.versions) if v.valid_from > left.valid_from]
            return min([first, *later])
        return min(left.valid_from, right.valid_from)
    longer = max(one.versions, other.versions, key=len)
    shared = min(len(one.versions), len(other.versions))
    return longer[shared].valid_from if len(longer) > shared else None


# --- reading and writing


def read(document: object) -> Calendar:
    """Return the calendar of a document (from YAML, JSON or a request). Raises BadInputError naming the field.

    `{"versions": [{"valid_from": "2026-01-01", "week": {"monday": ["09:00-12:30", "13:30-18:00"]},
    "holidays": {"2026-12-25": [], "2026-12-24": ["09:00-13:00"]}}]}`. A missing weekday is closed, and so is a
    holiday without hours. An interval that ends before its start continues past midnight. No versions: no calendar.
    """
    top = _fields(document, "calendar", {"versions"}, {"versions"})
    several = _items(top["versions"], "versions", MAX_VERSIONS)
    versions = [_version(item, f"versions[{number}]") for number, item in enumerate(several)]
    seen: dict[date, int] = {}
    for number, version in enumerate(versions):
        if version.valid_from in seen:
            raise BadInputError(
                f"versions[{number}].valid_from: {version.valid_from} is also that of versions[{seen[version.valid_from]}]; "
                "each version needs its own day"
            )
        seen[version.valid_from] = number
    return Calendar(tuple(sorted(versions, key=lambda version: version.valid_from)))


@lru_cache(maxsize=16_384)
def stored(text: str) -> Calendar:
    """Return the calendar of a document stored as JSON."""
    return read(json.loads(text))


def document(calendar: Calendar) -> dict[str, Any]:
    """Return a calendar as the document that `read` takes."""
    return {"versions": [version_document(version) for version in calendar.versions]}


def version_document(version: Version) -> dict[str, Any]:
    """Return a version in its document form."""
    return {
        "valid_from": version.valid_from.isoformat(),
        "week": {name: _texts(hours) for name, hours in zip(WEEKDAYS, version.week, strict=True) if hours},
        "holidays": {day.isoformat(): _texts(hours) for day, hours in version.holidays},
    }


def _texts(hours: Sequence[Interval]) -> list[str]:
    return [f"{_clock(low)}-{'24:00' if high == DAY_MINUTES else _clock(high % DAY_MINUTES)}" for low, high in hours]


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _version(value: object, where: str) -> Version:
    fields = _fields(value, where, {"valid_from", "week", "holidays"}, {"valid_from", "week"})
    week = _fields(fields["week"], f"{where}.week", set(WEEKDAYS), set())
    days = [(name, _hours(week.get(name, []), f"{where}.week.{name}")) for name in WEEKDAYS]
    for (name, hours), (tomorrow, following) in zip(days, [*days[1:], days[0]], strict=True):
        if hours and following and hours[-1][1] - DAY_MINUTES > following[0][0]:
            raise BadInputError(
                f"{where}.week.{name}: {_texts(hours[-1:])[0]} goes on into {_texts(following[:1])[0]} of {tomorrow}"
            )
    listed = fields.get("holidays") or {}
    if not isinstance(listed, Mapping):
        raise BadInputError(f"{where}.holidays: must be dates with their hours, like 2026-12-25: []")
    if len(listed) > MAX_HOLIDAYS:
        raise BadInputError(f"{where}.holidays: {len(listed)} dates, {MAX_HOLIDAYS} are allowed in a version")
    holidays: dict[date, tuple[Interval, ...]] = {}
    for key, hours in listed.items():
        day = _day(key, f"{where}.holidays")
        holidays[day] = _hours(hours, f"{where}.holidays.{day}")
    return Version(
        _day(fields["valid_from"], f"{where}.valid_from"),
        tuple(hours for _, hours in days),
        tuple(sorted(holidays.items())),
    )


def _fields(value: object, where: str, known: set[str], needed: set[str]) -> JsonObject:
    if not isinstance(value, Mapping):
        raise BadInputError(f"{where}: must be a mapping with {', '.join(sorted(known))}")
    for name in value:
        if name not in known:
            raise BadInputError(f"{where}: there is no {str(name)[:40]!r}; known are {', '.join(sorted(known))}")
    for name in sorted(needed - set(value)):
        raise BadInputError(f"{where}: '{name}' is missing")
    return value


def _items(value: object, where: str, most: int) -> Sequence[object]:
    if not isinstance(value, list):
        raise BadInputError(f"{where}: must be a list")
    if len(value) > most:
        raise BadInputError(f"{where}: {len(value)} entries, {most} are allowed")
    return value


def _day(value: object, where: str) -> date:
    text = value.isoformat() if type(value) is date else value
    try:
        if not isinstance(text, str) or not _DATE.match(text):
            raise ValueError
        day = date.fromisoformat(text)
    except ValueError:
        raise BadInputError(f"{where}: {str(value)[:40]!r} is not a date like 2026-12-25") from None
    if not 2000 <= day.year <= 2100:
        raise BadInputError(f"{where}: {day} must be between 2000 and 2100")
    return day


def _hours(value: object, where: str) -> tuple[Interval, ...]:
    hours: list[Interval] = []
    for number, text in enumerate(_items(value, where, MAX_INTERVALS)):
        match = _INTERVAL.match(text) if isinstance(text, str) else None
        if match is None:
            raise BadInputError(f"{where}[{number}]: {str(text)[:40]!r} is not an interval like 09:00-17:30")
        start = int(match[1]) * 60 + int(match[2])
        end = int(match[3]) * 60 + int(match[4]) if match[3] else DAY_MINUTES
        if start == end:
            raise BadInputError(f"{where}[{number}]: {text} begins where it ends; all day is 00:00-24:00")
        hours.append((start, end if end > start else end + DAY_MINUTES))
    hours.sort()
    for (low, high), (following, end) in pairwise(hours):
        if following < high:
            raise BadInputError(f"{where}: {_texts([(following, end)])[0]} overlaps {_texts([(low, high)])[0]}")
    return tuple(hours)
