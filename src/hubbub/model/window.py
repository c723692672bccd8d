"""Grains, windows and calendars: which stretch of time a moment belongs to in a tenant's own zone.

Everything calendar-like happens here, with zoneinfo. The store only ever sees *slots*: quarter hours since 1970 in UTC.
Since 2000 every zone's offset is a multiple of 15 minutes, so every hour, day, week and month of every zone begins on a
slot, and a table slot -> window start is all that SQL needs to know of daylight saving.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from zoneinfo import ZoneInfo

SLOT_SECONDS = 900
SLOT_US = SLOT_SECONDS * 1_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Grain(StrEnum):
    """The size of a window. `TOTAL` is the whole asked range as one window."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    TOTAL = "total"


STORED_GRAINS = (Grain.HOUR, Grain.DAY, Grain.WEEK, Grain.MONTH)
FINER = {Grain.WEEK: Grain.DAY, Grain.MONTH: Grain.DAY}
"""Weeks and months merge from days; hours and days fold from raw events."""


@dataclass(frozen=True, order=True)
class Window:
    """A half-open stretch of time, `start` and `end` aware in UTC."""

    start: datetime
    end: datetime


def slot_of(moment: datetime) -> int:
    """Return the number of the quarter hour that holds an aware moment."""
    return int((moment - EPOCH).total_seconds() // SLOT_SECONDS)


def local_midnight(day: date, tz: ZoneInfo) -> datetime:
    """Return the first moment of a local day, in UTC (after the gap, where a zone skips midnight)."""
    naive = datetime.combine(day, time(), tzinfo=tz)
    start = naive.astimezone(UTC)
    if start.astimezone(tz).replace(tzinfo=None) != naive.replace(tzinfo=None):
        # midnight does not exist here on this day: with fold=0 the offset before the gap applies, so `start` is the gap's end
        start = naive.replace(fold=0).astimezone(UTC)
    return start


def day_of(moment: datetime, tz: ZoneInfo) -> date:
    """Return the local calendar day of an aware moment."""
    return moment.astimezone(tz).date()


def first_day(day: date, grain: Grain) -> date:
    """Return the first day of the day, ISO week (Monday) or month that holds `day`."""
    if grain is Grain.WEEK:
        return day - timedelta(days=day.weekday())
    if grain is Grain.MONTH:
        return day.replace(day=1)
    return day


def next_first_day(first: date, grain: Grain) -> date:
    """Return the first day of the following day, week or month."""
    if grain is Grain.WEEK:
        return first + timedelta(days=7)
    if grain is Grain.MONTH:
        return (first.replace(day=1) + timedelta(days=32)).replace(day=1)
    return first + timedelta(days=1)


def _hour_start(moment: datetime, tz: ZoneInfo) -> datetime:
    """Return the start of the local hour that holds `moment`; a change of offset inside an hour begins a new window."""
    local = moment.astimezone(tz)
    start = moment - timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    while start.astimezone(tz).utcoffset() != local.utcoffset():
        start += timedelta(seconds=SLOT_SECONDS)
    return start


def _hour_end(start: datetime, tz: ZoneInfo) -> datetime:
    step = timedelta(seconds=SLOT_SECONDS)
    end = start + step
    while _hour_start(end, tz) == start:
        end += step
    return end


def window_of(moment: datetime, grain: Grain, tz: ZoneInfo) -> Window:
    """Return the window of `grain` (not TOTAL) that holds an aware moment, in a zone."""
    if grain is Grain.HOUR:
        start = _hour_start(moment.astimezone(UTC), tz)
        return Window(start, _hour_end(start, tz))
    first = first_day(day_of(moment, tz), grain)
    return Window(local_midnight(first, tz), local_midnight(next_first_day(first, grain), tz))


def windows(start: datetime, end: datetime, grain: Grain, tz: ZoneInfo) -> Iterator[Window]:
    """Yield the whole windows that touch `[start, end)`, in order, without gap or overlap. TOTAL yields the range itself."""
    if grain is Grain.TOTAL:
        if start < end:
            yield Window(start, end)
        return
    moment = start
    while moment < end:
        window = window_of(moment, grain, tz)
        yield window
        moment = window.end


@lru_cache(maxsize=256)
def slot_starts(zone: str, grain: Grain, first: int, last: int) -> tuple[list[int], list[datetime]]:
    """Return slots `first..last` (inclusive) of a zone and, beside each, the UTC start of its window."""
    tz = ZoneInfo(zone)
    start = EPOCH + timedelta(seconds=first * SLOT_SECONDS)
    end = EPOCH + timedelta(seconds=(last + 1) * SLOT_SECONDS)
    slots: list[int] = []
    starts: list[datetime] = []
    for window in windows(start, end, grain, tz):
        low, high = max(slot_of(window.start), first), min(slot_of(window.end), last + 1)
        slots.extend(range(low, high))
        starts.extend([window.start.replace(tzinfo=None)] * (high - low))
    return slots, starts
