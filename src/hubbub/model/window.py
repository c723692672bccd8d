"""Grains and windows: the hour, day, week or month of a moment in a tenant's zone.

All arithmetic of local time is here, with zoneinfo; the store holds only moments. Since 2000 every zone's offset is a multiple of
15 minutes, so every hour, day, week and month of every zone begins on a quarter hour.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from zoneinfo import ZoneInfo

SLOT_SECONDS = 900
"""A quarter hour."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Grain(StrEnum):
    """The size of a window. `TOTAL`: the whole range as one window."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    TOTAL = "total"


@dataclass(frozen=True, order=True)
class Window:
    """A range of time `[start, end)`, aware in UTC."""

    start: datetime
    end: datetime


@lru_cache(10_000)  # tenants of one zone ask for the same days
def local_midnight(day: date, tz: ZoneInfo) -> datetime:
    """Return the first moment of a local day, in UTC; where the zone skips midnight, the end of the gap."""
    return datetime.combine(day, time(), tzinfo=tz).astimezone(UTC)


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


@lru_cache(1_000)
def _hours(day: Window, tz: ZoneInfo) -> tuple[Window, ...]:
    """Return the hours of a local day."""
    return tuple(_cut(day, tz))


def _cut(day: Window, tz: ZoneInfo) -> Iterator[Window]:
    """Yield the hours of a local day; where the offset changes inside an hour, a new window begins at the change.

    The last window ends with the day, which may end inside an hour.
    """
    step = timedelta(hours=1)
    offset = day.start.astimezone(tz).utcoffset()
    if offset != (day.end - timedelta(microseconds=1)).astimezone(tz).utcoffset():
        step = timedelta(seconds=SLOT_SECONDS)
    start = moment = day.start
    while moment < day.end:
        moment += step
        local = moment.astimezone(tz)
        if local.minute == 0 or local.utcoffset() != offset or moment >= day.end:
            yield Window(start, min(moment, day.end))
            start, offset = moment, local.utcoffset()


def window_of(moment: datetime, grain: Grain, tz: ZoneInfo) -> Window:
    """Return the window of `grain` (not TOTAL) that holds an aware moment, in a zone."""
    if grain is Grain.HOUR:
        day = window_of(moment, Grain.DAY, tz)
        return next(hour for hour in _hours(day, tz) if hour.start <= moment < hour.end)
    first = first_day(day_of(moment, tz), grain)
    return Window(local_midnight(first, tz), local_midnight(next_first_day(first, grain), tz))


def windows(start: datetime, end: datetime, grain: Grain, tz: ZoneInfo) -> Iterator[Window]:
    """Yield the whole windows that touch `[start, end)`, in order, without gap or overlap. TOTAL yields the range itself."""
    if grain is Grain.TOTAL:
        if start < end:
            yield Window(start, end)
        return
    if grain is Grain.HOUR:
        for day in windows(start, end, Grain.DAY, tz):
            yield from (hour for hour in _hours(day, tz) if hour.end > start and hour.start < end)
        return
    first = first_day(day_of(start, tz), grain)
    low = local_midnight(first, tz)
    while low < end:
        first = next_first_day(first, grain)
        high = local_midnight(first, tz)
        if low < high:  # a day that a zone skipped has no length
            yield Window(low, high)
        low = high


def local_earlier(moment: datetime, span: timedelta, tz: ZoneInfo) -> datetime:
    """Return the moment, in UTC, when local clocks showed `span` less: a day before 09:00 is 09:00, whatever the clock change."""
    return (moment.astimezone(tz).replace(tzinfo=None) - span).replace(tzinfo=tz).astimezone(UTC)


def utc_naive(moment: datetime) -> datetime:
    """Return an aware moment as UTC without zone, as in control data."""
    return moment.astimezone(UTC).replace(tzinfo=None)
