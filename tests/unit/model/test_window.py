"""Windows follow the local clock in every zone, and every moment is in exactly one."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.model.window import (
    EPOCH,
    SLOT_SECONDS,
    Grain,
    Window,
    day_of,
    first_day,
    local_midnight,
    next_first_day,
    window_of,
    windows,
)

NEW_YORK, LORD_HOWE = ZoneInfo("America/New_York"), ZoneInfo("Australia/Lord_Howe")
CALENDAR = tuple(grain for grain in Grain if grain is not Grain.TOTAL)
ZONES = ("UTC", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Havana", "Africa/Cairo",
         "America/Santiago", "Pacific/Apia", "Europe/Dublin")  # fmt: skip
moments = st.datetimes(datetime(2000, 1, 2), datetime(2099, 12, 1), timezones=st.just(UTC))  # noqa: DTZ001


def utc(*parts: int) -> datetime:
    """Return a moment in UTC."""
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]


def hours_of(day: Window) -> float:
    """Return the hours of a window."""
    return (day.end - day.start).total_seconds() / 3600


@pytest.mark.parametrize(
    ("tz", "noon", "hours"),
    [
        (NEW_YORK, utc(2026, 3, 8, 17), 23),
        (NEW_YORK, utc(2026, 11, 1, 17), 25),
        (NEW_YORK, utc(2026, 7, 1, 17), 24),
        (LORD_HOWE, utc(2026, 4, 5, 1), 24.5),
        (LORD_HOWE, utc(2026, 10, 4, 1), 23.5),
    ],
)
def test_a_day_is_as_long_as_its_clocks_make_it(tz: ZoneInfo, noon: datetime, hours: float) -> None:
    """Days on which clocks change have 23 or 25 hours, in Lord Howe 23.5 or 24.5."""
    assert hours_of(window_of(noon, Grain.DAY, tz)) == hours


def test_a_repeated_hour_is_two_windows() -> None:
    """The repeated hour in New York is two windows of one hour each."""
    found = list(windows(utc(2026, 11, 1, 5), utc(2026, 11, 1, 7), Grain.HOUR, NEW_YORK))
    assert [w.start.astimezone(NEW_YORK).strftime("%H %Z") for w in found] == ["01 EDT", "01 EST"]


def test_a_repeated_half_hour_is_a_window_of_its_own() -> None:
    """A repeated half hour is a window of its own."""
    day = window_of(utc(2026, 4, 5, 1), Grain.DAY, LORD_HOWE)
    lengths = [hours_of(w) for w in windows(day.start, day.end, Grain.HOUR, LORD_HOWE)]
    assert lengths.count(0.5) == 1
    assert sum(lengths) == 24.5


def test_midnight_that_a_clock_skips_is_the_end_of_the_gap() -> None:
    """In Cairo 2026-04-24 begins at 01:00, since midnight is skipped."""
    cairo = ZoneInfo("Africa/Cairo")
    assert local_midnight(date(2026, 4, 24), cairo).astimezone(cairo).hour == 1


def test_weeks_begin_on_monday_and_months_on_the_first() -> None:
    """Weeks are ISO weeks and months calendar months, also over a new year."""
    assert first_day(date(2026, 1, 1), Grain.WEEK) == date(2025, 12, 29)
    assert next_first_day(date(2025, 12, 29), Grain.WEEK) == date(2026, 1, 5)
    assert first_day(date(2026, 12, 31), Grain.MONTH) == date(2026, 12, 1)
    assert next_first_day(date(2026, 12, 1), Grain.MONTH) == date(2027, 1, 1)
    assert first_day(date(2026, 5, 5), Grain.DAY) == date(2026, 5, 5)


def test_a_zone_that_skipped_a_day_has_no_window_for_it() -> None:
    """Apia had no 2011-12-30: the 29th ends where the 31st begins."""
    apia = ZoneInfo("Pacific/Apia")
    found = list(windows(utc(2011, 12, 29, 12), utc(2011, 12, 31, 0), Grain.DAY, apia))
    assert [day_of(w.start, apia) for w in found] == [date(2011, 12, 29), date(2011, 12, 31)]
    assert all(a.end == b.start for a, b in pairwise(found))


@given(moment=moments, zone=st.sampled_from(ZONES), grain=st.sampled_from(CALENDAR))
def test_every_moment_lies_in_its_window(moment: datetime, zone: str, grain: Grain) -> None:
    """A moment's window contains it, and both ends are on quarter hours of UTC."""
    window = window_of(moment, grain, ZoneInfo(zone))
    assert window.start <= moment < window.end
    for edge in (window.start, window.end):
        assert (edge - EPOCH) % timedelta(seconds=SLOT_SECONDS) == timedelta(0)


@given(
    moment=moments, days=st.integers(1, 40), zone=st.sampled_from(ZONES),
    grain=st.sampled_from((Grain.DAY, Grain.WEEK, Grain.MONTH)),
)  # fmt: skip
def test_windows_follow_each_other_without_gap(moment: datetime, days: int, zone: str, grain: Grain) -> None:
    """The windows of a range cover it without gaps."""
    end = moment + timedelta(days=days)
    found = list(windows(moment, end, grain, ZoneInfo(zone)))
    assert found[0].start <= moment and found[-1].end >= end > found[-1].start
    assert all(a.end == b.start for a, b in pairwise(found))


@given(moment=moments, zone=st.sampled_from(ZONES))
def test_hours_tile_their_day_and_days_their_week_and_month(moment: datetime, zone: str) -> None:
    """The hours of a day add up to it, and so do the days of a week and a month."""
    tz = ZoneInfo(zone)
    for coarse, fine in ((Grain.DAY, Grain.HOUR), (Grain.WEEK, Grain.DAY), (Grain.MONTH, Grain.DAY)):
        whole = window_of(moment, coarse, tz)
        parts = list(windows(whole.start, whole.end, fine, tz))
        assert (parts[0].start, parts[-1].end) == (whole.start, whole.end)
        assert all(a.end == b.start for a, b in pairwise(parts))


def test_a_range_inside_an_hour_gives_that_hour() -> None:
    """A range inside an hour gives that hour; an empty range gives none."""
    found = list(windows(utc(2026, 5, 5, 10, 20), utc(2026, 5, 5, 10, 40), Grain.HOUR, NEW_YORK))
    assert found == [Window(utc(2026, 5, 5, 10), utc(2026, 5, 5, 11))]
    assert list(windows(utc(2026, 5, 5), utc(2026, 5, 5), Grain.HOUR, NEW_YORK)) == []


def test_the_total_is_the_range_itself() -> None:
    """The total of a range is one window with its ends; an empty range has none."""
    start, end = utc(2026, 5, 5, 10, 20), utc(2026, 5, 9)
    assert list(windows(start, end, Grain.TOTAL, NEW_YORK)) == [Window(start, end)]
    assert list(windows(end, start, Grain.TOTAL, NEW_YORK)) == []


def test_hours_end_with_their_day() -> None:
    """Pyongyang's 2018-05-04 was half an hour short: its last hour ends where the next day begins."""
    tz = ZoneInfo("Asia/Pyongyang")
    day = window_of(utc(2018, 5, 4), Grain.DAY, tz)
    hours = list(windows(day.start, day.end, Grain.HOUR, tz))
    assert (len(hours), hours[-1].end - hours[-1].start) == (24, timedelta(minutes=30))
    assert hours[-1].end == day.end == window_of(day.end, Grain.HOUR, tz).start
