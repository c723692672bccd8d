"""Open time: the milliseconds of a wait in a tenant's business hours, by the calendar in force at each instant."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from hubbub.facts.moments import micros, moment
from hubbub.model.calendar import Calendar, steps
from hubbub.model.tenant import Tenant
from hubbub.model.window import Grain, day_of, first_day, next_first_day


def open_ms(tenant: Tenant) -> Callable[[int | None, int | None], int | None]:
    """Return the function of two moments that returns the open milliseconds between them, rounded half up.

    It returns None without a calendar, and where the first moment is before the calendar's beginning.
    """
    if not tenant.calendar:
        return lambda start, end: None
    begins, calendar, zone, tz = micros(tenant.calendar.begins(tenant.tz)), tenant.calendar, tenant.zone, tenant.tz

    def between(start: int | None, end: int | None) -> int | None:
        if start is None or end is None or start < begins:
            return None
        first = first_day(day_of(moment(start), tz), Grain.MONTH)
        last = next_first_day(first_day(day_of(moment(end), tz), Grain.MONTH), Grain.MONTH)
        starts, rows = _steps(calendar, zone, first, last)
        return (_open_until(starts, rows, end) - _open_until(starts, rows, start) + 500) // 1000

    return between


def _open_until(starts: list[int], rows: list[tuple[int, int]], at: int) -> int:
    place = bisect_right(starts, at) - 1
    length, before = rows[place]
    return before + min(at - starts[place], length)


@lru_cache(maxsize=512)
def _steps(calendar: Calendar, zone: str, first: date, last: date) -> tuple[list[int], list[tuple[int, int]]]:
    intervals = steps(calendar, zone, first, last + timedelta(days=1))
    return [_micros(start) for start, _, _, _ in intervals], [(length, before) for _, _, length, before in intervals]


def _micros(naive: datetime) -> int:
    return micros(naive.replace(tzinfo=UTC))
