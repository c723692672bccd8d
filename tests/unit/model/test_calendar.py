"""Business hours, by laws against an oracle that counts minutes of the wall clock, and by known days."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubbub.errors import BadInputError
from hubbub.model import calendar
from hubbub.model.calendar import NO_CALENDAR, Calendar, document, first_change, intervals, opened, read, steps
from hubbub.model.window import local_midnight
from tests import hours

DAYS = 9
PLACES = tuple(
    (zone, datetime(*day, tzinfo=UTC))
    for zone, days in {
        "Europe/Berlin": ((2026, 3, 25), (2026, 10, 20)),
        "America/New_York": ((2026, 3, 4), (2026, 10, 28)),
        "Asia/Kolkata": ((2026, 2, 25),),
        "Australia/Lord_Howe": ((2026, 3, 31), (2026, 9, 29)),
        "America/Santiago": ((2026, 9, 1),),
    }.items()
    for day in days
)
"""Zones, and the first of nine days in which their clocks change (Santiago at midnight, Lord Howe by half an hour)."""
OFFICE = {day: ["09:00-17:00"] for day in calendar.WEEKDAYS[:5]}
laws = settings(max_examples=60, deadline=None)


def moments(start: datetime) -> st.SearchStrategy[datetime]:
    """Draw moments of the days, to the microsecond."""
    return st.integers(0, DAYS * 86_400_000_000).map(lambda us: start + timedelta(microseconds=us))


@st.composite
def asked(draw: st.DrawFn, count: int) -> tuple[Calendar, ZoneInfo, list[datetime]]:
    """Draw a zone, a calendar, and moments in ascending order."""
    zone, start = draw(st.sampled_from(PLACES))
    made = draw(hours.calendars(start.date(), DAYS))
    return made, ZoneInfo(zone), sorted(draw(moments(start)) for _ in range(count))


@laws
@given(asked(2))
def test_open_time_is_that_of_the_wall_clock(drawn: tuple[Calendar, ZoneInfo, list[datetime]]) -> None:
    """In every zone, over days of 23, 23.5, 24, 24.5 and 25 hours, open time equals the oracle's."""
    made, tz, (start, end) = drawn
    assert opened(made, tz, start, end) == hours.opened(made, tz, start, end)


@laws
@given(asked(3))
def test_open_time_adds_up_and_never_falls(drawn: tuple[Calendar, ZoneInfo, list[datetime]]) -> None:
    """Open time adds up over adjacent ranges, is never negative or longer than its range, and 0 for an empty range."""
    made, tz, (a, b, c) = drawn
    parts = opened(made, tz, a, b), opened(made, tz, b, c)
    whole = opened(made, tz, a, c)
    if whole is None:
        assert parts[0] is None
        return
    assert parts[0] is not None and parts[1] is not None
    assert parts[0] + parts[1] == whole
    assert timedelta() <= parts[0] <= min(whole, b - a)
    assert opened(made, tz, a, a) == timedelta()


@laws
@given(asked(2))
def test_intervals_are_in_order_apart_and_inside(drawn: tuple[Calendar, ZoneInfo, list[datetime]]) -> None:
    """Open intervals are in order, apart and within the range; each begins open and ends closed, or at the range's end."""
    made, tz, (start, end) = drawn
    found = intervals(made, tz, start, end)
    edges = [edge for span in found for edge in span]
    assert edges == sorted(set(edges))
    assert all(start <= edge <= end for edge in edges)
    for low, high in found:
        assert hours.is_open(made, tz, low)
        assert high == end or not hours.is_open(made, tz, high)


@laws
@given(asked(2))
def test_steps_look_up_open_time(drawn: tuple[Calendar, ZoneInfo, list[datetime]]) -> None:
    """The difference of two moments in the steps is the open time between them; there is no step before the calendar.

    Steps follow each other without a gap, and none crosses midnight in UTC.
    """
    made, tz, (start, end) = drawn
    first, last = start.date() - timedelta(days=2), end.date() + timedelta(days=2)
    found = steps(made, tz.key, first, last)
    assert all(step[1] == following[0] for step, following in pairwise(found))
    assert all(low.date() == (high - timedelta(microseconds=1)).date() for low, high, _, _ in found)

    def until(moment: datetime) -> int | None:
        t = moment.replace(tzinfo=None)
        for low, high, length, earlier in found:
            if low <= t < high:
                return earlier + min((t - low) // timedelta(microseconds=1), length)
        return None

    expected = opened(made, tz, start, end)
    low, high = until(start), until(end)
    if expected is None:
        assert low is None
    else:
        assert low is not None and high is not None
        assert high - low == expected // timedelta(microseconds=1)


@laws
@given(st.sampled_from(PLACES), st.data())
def test_before_the_first_change_two_calendars_are_open_alike(place: tuple[str, datetime], data: st.DataObject) -> None:
    """Open time of two calendars is the same up to their first change."""
    zone, start = place
    one = data.draw(hours.calendars(start.date(), DAYS, least=0))
    other = data.draw(hours.calendars(start.date(), DAYS, least=0) | st.just(one))
    if data.draw(st.booleans()) and one.versions:  # fewer holidays
        few = data.draw(st.integers(0, len(one.versions[0].holidays)))
        version = calendar.Version(one.versions[0].valid_from, one.versions[0].week, one.versions[0].holidays[:few])
        other = Calendar((version, *one.versions[1:]))
    tz, end = ZoneInfo(zone), start + timedelta(days=DAYS)
    changed = first_change(one, other)
    assert (changed is None) == (one == other)
    assert changed == first_change(other, one)
    same_to = end if changed is None else min(end, local_midnight(changed, tz))
    if start < same_to:
        assert intervals(one, tz, start, same_to) == intervals(other, tz, start, same_to)
        assert opened(one, tz, start, same_to) == opened(other, tz, start, same_to)


@laws
@given(st.sampled_from(PLACES), st.data())
def test_a_written_calendar_is_read_back_equal(place: tuple[str, datetime], data: st.DataObject) -> None:
    """A calendar written as a document, its versions in any order, is read back equal."""
    made = data.draw(hours.calendars(place[1].date(), DAYS, least=0))
    told = document(made)
    told["versions"] = data.draw(st.permutations(told["versions"]))
    assert read(told) == made


def between(zone: str, start: str, end: str, made: Calendar) -> float | None:
    """Return the open hours between two local times; a repeated time has its first offset."""
    tz = ZoneInfo(zone)
    low, high = (datetime.fromisoformat(text).replace(tzinfo=tz) for text in (start, end))
    found = opened(made, tz, low, high)
    return None if found is None else found / timedelta(hours=1)


def since(day: str, week: dict[str, list[str]], holidays: dict[str, list[str]] | None = None) -> dict[str, Any]:
    """Return a version of a document."""
    return {"valid_from": day, "week": week, "holidays": holidays or {}}


def of(*versions: dict[str, Any]) -> Calendar:
    """Read a calendar of versions."""
    return read({"versions": list(versions)})


@pytest.mark.parametrize(
    ("zone", "day", "expected"),
    [
        ("Europe/Berlin", "2026-03-29", 23), ("Europe/Berlin", "2026-10-25", 25), ("America/New_York", "2026-03-08", 23),
        ("America/New_York", "2026-11-01", 25), ("Asia/Kolkata", "2026-03-29", 24), ("Australia/Lord_Howe", "2026-04-05", 24.5),
        ("Australia/Lord_Howe", "2026-10-04", 23.5), ("America/Santiago", "2026-09-06", 23),
    ],
)  # fmt: skip
def test_a_day_that_is_open_throughout_is_as_long_as_it_is(zone: str, day: str, expected: float) -> None:
    """A day open from 00:00 to 24:00 has 23 to 25 hours where clocks change, and so does a shift of 22:00 to 06:00."""
    always = of(since("2026-01-01", {name: ["00:00-24:00"] for name in calendar.WEEKDAYS}))
    tomorrow = (date.fromisoformat(day) + timedelta(days=1)).isoformat()
    assert between(zone, f"{day}T00:00", f"{tomorrow}T00:00", always) == expected
    shift = of(since("2026-01-01", {"saturday": ["22:00-06:00"]}))
    eve = (date.fromisoformat(day) - timedelta(days=1)).isoformat()
    assert between(zone, f"{eve}T12:00", f"{day}T12:00", shift) == 8 + expected - 24


def test_versions_holidays_and_nights_match_a_hand_calculation() -> None:
    """Weekends are closed, holidays close or shorten a day but let the night before run out, and versions switch on
    their date.
    """
    office = of(since("2026-01-01", OFFICE))
    assert between("Europe/Berlin", "2026-11-20T16:00", "2026-11-23T12:00", office) == 4
    feast = of(since("2026-01-01", OFFICE, {"2026-12-25": [], "2026-12-24": ["09:00-13:00"]}))
    assert between("Europe/Berlin", "2026-12-24T10:00", "2026-12-28T10:00", feast) == 4
    night = of(since("2026-01-01", {"thursday": ["22:00-06:00"]}, {"2026-12-25": []}))
    assert between("Europe/Berlin", "2026-12-24T20:00", "2026-12-26T00:00", night) == 8
    longer = of(since("2026-01-01", OFFICE), since("2026-11-19", {**OFFICE, "saturday": ["10:00-12:00"]}))
    assert between("Europe/Berlin", "2026-11-13T16:00", "2026-11-23T09:00", longer) == 1 + 5 * 8 + 2
    assert between("Europe/Berlin", "2025-12-31T16:00", "2026-11-23T09:00", longer) is None
    assert (
        opened(NO_CALENDAR, ZoneInfo("UTC"), datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)) is None
    )


def test_a_change_applies_from_its_date_on() -> None:
    """A new version changes from its date on, a new holiday from its day on, and an equal calendar not at all."""
    one = since("2026-01-01", OFFICE, {"2026-12-25": []})
    assert first_change(of(one), of(one)) is None
    assert first_change(of(one), of(one, since("2026-07-01", OFFICE))) == date(2026, 7, 1)
    assert first_change(of(one), of(since("2026-01-01", OFFICE))) == date(2026, 12, 25)
    assert first_change(of(one), NO_CALENDAR) == date(2026, 1, 1)
    assert first_change(of(one), of(since("2026-01-01", {**OFFICE, "sunday": ["10:00-11:00"]}))) == date(2026, 1, 1)


def week(*texts: object, day: str = "monday") -> dict[str, Any]:
    """Return a document with these hours on a day."""
    return {"versions": [{"valid_from": "2026-01-01", "week": {day: list(texts)}}]}


BAD: Sequence[tuple[object, str]] = (
    (None, "calendar: must be a mapping"),
    ({}, "calendar: 'versions' is missing"),
    ({"versions": {}}, "versions: must be a list"),
    ({"versions": [{}] * 101}, "versions: 101 entries, 100 are allowed"),
    ({"versions": [], "zone": "UTC"}, "calendar: there is no 'zone'"),
    ({"versions": ["x"]}, "versions[0]: must be a mapping"),
    ({"versions": [{"week": {}}]}, "versions[0]: 'valid_from' is missing"),
    ({"versions": [{"valid_from": "2026-01-01"}]}, "versions[0]: 'week' is missing"),
    ({"versions": [{"valid_from": "2026-02-30", "week": {}}]}, "versions[0].valid_from: '2026-02-30' is not a date"),
    ({"versions": [{"valid_from": "20260101", "week": {}}]}, "versions[0].valid_from: '20260101' is not a date"),
    ({"versions": [{"valid_from": "1999-12-31", "week": {}}]}, "versions[0].valid_from: 1999-12-31 must be between"),
    ({"versions": [since("2026-01-01", {}), since("2026-01-01", {})]}, "versions[1].valid_from: 2026-01-01 is also that of"),
    (week("09:00-17:00", day="mon"), "versions[0].week: there is no 'mon'; known are friday"),
    (week("9-17"), "versions[0].week.monday[0]: '9-17' is not an interval like 09:00-17:30"),
    (week("09:00-12:00", "12:60-13:00"), "versions[0].week.monday[1]: '12:60-13:00' is not an interval"),
    (week("24:00-01:00"), "versions[0].week.monday[0]: '24:00-01:00' is not an interval"),
    (week("09:00-24:30"), "versions[0].week.monday[0]: '09:00-24:30' is not an interval"),
    (week(32400), "versions[0].week.monday[0]: '32400' is not an interval"),
    (week("09:00-09:00"), "versions[0].week.monday[0]: 09:00-09:00 begins where it ends; all day is 00:00-24:00"),
    (week("09:00-12:00", "11:00-13:00"), "versions[0].week.monday: 11:00-13:00 overlaps 09:00-12:00"),
    (week("22:00-06:00", "23:00-23:30"), "versions[0].week.monday: 23:00-23:30 overlaps 22:00-06:00"),
    (week(*["09:00-10:00"] * 25), "versions[0].week.monday: 25 entries, 24 are allowed"),
    ({"versions": [since("2026-01-01", {"sunday": ["22:00-06:00"], "monday": ["05:00-07:00"]})]},
     "versions[0].week.sunday: 22:00-06:00 goes on into 05:00-07:00 of monday"),
    ({"versions": [{"valid_from": "2026-01-01", "week": {}, "holidays": []}, 1]}, "versions[1]: must be a mapping"),
    ({"versions": [{"valid_from": "2026-01-01", "week": {}, "holidays": ["x"]}]}, "versions[0].holidays: must be dates"),
    ({"versions": [since("2026-01-01", {}, {"christmas": []})]}, "versions[0].holidays: 'christmas' is not a date"),
    ({"versions": [since("2026-01-01", {}, {"2026-12-24": ["13:00"]})]},
     "versions[0].holidays.2026-12-24[0]: '13:00' is not an interval"),
)  # fmt: skip


@pytest.mark.parametrize(("told", "message"), BAD, ids=[message for _, message in BAD])
def test_an_invalid_calendar_is_refused_by_field(told: object, message: str) -> None:
    """Bad times, overlaps, repeated dates, unknown days and wrong shapes are refused with their place in the document."""
    with pytest.raises(BadInputError) as refused:
        read(told)
    assert str(refused.value).startswith(message)
