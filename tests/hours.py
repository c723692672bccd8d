"""Business hours for tests: drawn calendars, and an oracle that counts minutes of the wall clock."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import accumulate, pairwise
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from hubbub.model.calendar import Calendar, Interval, Version

MINUTE = timedelta(minutes=1)
ODD = (0, 1, 45, 60, 75, 90, 119, 120, 121, 150, 180, 185, 539, 540, 750, 1020, 1050, 1380, 1439, 1440)
"""Minutes of a day at which hours begin and end, many of them around clock changes."""


def is_open(calendar: Calendar, tz: ZoneInfo, moment: datetime) -> bool:
    """Whether the local time of a moment is within the hours of its day, or of the day before past midnight."""
    wall = moment.astimezone(tz)
    in_force = [version for version in calendar.versions if version.valid_from <= wall.date()]
    if not in_force:
        return False
    shown = wall.hour * 60 + wall.minute
    today, yesterday = (in_force[-1].hours(wall.date() - timedelta(days=back)) for back in (0, 1))
    return any(a <= shown < b for a, b in today) or any(a <= shown + 1440 < b for a, b in yesterday)


@lru_cache(maxsize=8)
def _minutes(calendar: Calendar, zone: str, start: datetime, end: datetime) -> list[int]:
    """Return, for every minute from `start` to `end`, how many open minutes came before it."""
    tz = ZoneInfo(zone)
    count = (end - start) // MINUTE
    return [0, *accumulate(is_open(calendar, tz, start + number * MINUTE) for number in range(count))]


class Clock:
    """The oracle for many durations of one world: it looks at the open minutes of its days once."""

    def __init__(self, calendar: Calendar, zone: str, first: datetime, last: datetime) -> None:
        """Look up all minutes from four days before the first moment to the last."""
        self._calendar, self._tz = calendar, ZoneInfo(zone)
        self._start = first.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=4)
        end = last.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        self._open = _minutes(calendar, zone, self._start, end) if calendar else []

    def ms(self, start: datetime, end: datetime) -> int | None:
        """Return the open milliseconds of a duration; None if there was no calendar at its start."""
        if not self._calendar or start.astimezone(self._tz).date() < self._calendar.versions[0].valid_from:
            return None
        return whole_ms(self._until(end) - self._until(start))

    def _until(self, moment: datetime) -> timedelta:
        number, rest = divmod(moment - self._start, MINUTE)
        return self._open[number] * MINUTE + (rest if self._open[number + 1] > self._open[number] else timedelta())


def opened(calendar: Calendar, tz: ZoneInfo, start: datetime, end: datetime) -> timedelta | None:
    """Return the open time from `start` to `end`, minute by minute; None if there was no calendar at the start."""
    if not calendar.versions or start.astimezone(tz).date() < calendar.versions[0].valid_from:
        return None
    found, minute = timedelta(), start.astimezone(UTC).replace(second=0, microsecond=0)
    while minute < end:
        if is_open(calendar, tz, minute):
            found += min(minute + MINUTE, end) - max(minute, start)
        minute += MINUTE
    return found


def whole_ms(span: timedelta | None) -> int | None:
    """Return whole milliseconds, halves rounded up."""
    return None if span is None else (span // timedelta(microseconds=1) + 500) // 1000


@st.composite
def _weeks(draw: st.DrawFn) -> tuple[tuple[Interval, ...], ...]:
    """Draw the hours of seven days; some go on past midnight, up to the next day's first hours."""
    days = [draw(_days) for _ in range(7)]
    for number, hours in enumerate(days):
        following = days[(number + 1) % 7]
        limit = min(following[0][0] if following else 1440, hours[-1][0] - 1) if hours else 0
        if limit > 0 and draw(st.booleans()):
            days[number] = (*hours[:-1], (hours[-1][0], 1440 + draw(st.integers(1, limit))))
    return tuple(days)


_days: st.SearchStrategy[tuple[Interval, ...]] = st.lists(st.sampled_from(ODD), max_size=6, unique=True).map(
    lambda cuts: tuple(list(pairwise(sorted(cuts)))[::2])
)


@st.composite
def calendars(draw: st.DrawFn, start: date, days: int, *, least: int = 1) -> Calendar:
    """Draw a calendar with versions that begin before or within the days, and holidays among them."""
    within = st.integers(0, days).map(lambda n: start + timedelta(days=n))
    begins = draw(
        st.lists(st.one_of(st.just(start - timedelta(days=400)), within), min_size=least, max_size=3, unique=True)
    )
    return Calendar(
        tuple(
            Version(begin, draw(_weeks()), tuple(sorted(draw(st.dictionaries(within, _days, max_size=3)).items())))
            for begin in sorted(begins)
        )
    )
