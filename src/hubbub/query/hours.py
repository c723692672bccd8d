"""Open time: the milliseconds of a wait in a tenant's business hours, by the calendar in force at each instant."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import cache, lru_cache

from hubbub.facts.moments import micros, moment
from hubbub.model.calendar import Calendar, steps
from hubbub.model.tenant import Tenant
from hubbub.model.window import Grain, day_of, first_day, next_first_day

Steps = tuple[list[int], list[tuple[int, int]]]
"""The starts of a month's opening hours, and of each its length and the open time before it; microseconds."""


def open_ms(tenant: Tenant) -> Callable[[int | None, int | None], int | None]:
    """Return a function of two moments (microseconds): the open milliseconds between them, rounded half up.

    It returns None without a calendar, and where the first moment is before the calendar's beginning.
    """
    if not tenant.calendar:
        return lambda start, end: None
    begins, calendar, zone, tz = micros(tenant.calendar.begins(tenant.tz)), tenant.calendar, tenant.zone, tenant.tz

    @cache  # of this function alone: looking a calendar up by its value takes longer than the rest
    def of_month(month: date) -> Steps:
        return _steps(calendar, zone, month)

    def month_of(at: int) -> date:
        return first_day(day_of(moment(at), tz), Grain.MONTH)

    def between(start: int | None, end: int | None) -> int | None:
        if start is None or end is None or start < begins:
            return None
        month, last = month_of(start), month_of(end)
        opened = _open_until(of_month(last), end) - _open_until(of_month(month), start)
        while month < last:  # a wait of years is a few sums of months
            _, rows = of_month(month)
            opened += sum(rows[-1])
            month = next_first_day(month, Grain.MONTH)
        return (opened + 500) // 1000

    return between


def _open_until(of_month: Steps, at: int) -> int:
    """Return the open time from the beginning of a month up to a moment in it."""
    starts, rows = of_month
    place = bisect_right(starts, at) - 1
    length, before = rows[place]
    return before + min(at - starts[place], length)


@lru_cache(maxsize=2048)
def _steps(calendar: Calendar, zone: str, month: date) -> Steps:
    known = steps(calendar, zone, month, next_first_day(month, Grain.MONTH))
    return [_micros(start) for start, _, _, _ in known], [(length, before) for _, _, length, before in known]


def _micros(naive: datetime) -> int:
    return micros(naive.replace(tzinfo=UTC))
