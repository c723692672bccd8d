"""Usual of a stretch of days, shorter or longer than a week, counted by hand from the events."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from statistics import median
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.model.event import Event
from hubbub.model.question import Question
from hubbub.query.usual import BAND, LEAST, LOOK_BACK, WEEKS
from hubbub.query.usual_stretch import CHANCE, Stretch, usual_of_stretch
from tests.laws.conftest import Lab

BEGIN = datetime.fromisoformat("2026-01-05")
ZONES = ("UTC", "Europe/Berlin", "America/New_York")
HOURS = st.lists(st.integers(0, 24 * 7 * 20 - 1), min_size=1, max_size=80)


def _message(zone: str, number: int, hour: int) -> Event:
    local = BEGIN + timedelta(hours=hour, minutes=30)
    time, who = local.replace(tzinfo=ZoneInfo(zone)), f"c{hour % 7}"
    return Event(type="message.received", id=f"m{number}", time=time, channel=f"room{hour % 3}", contact_id=who)


def _ask(lab: Lab, zone: str, days: int, hours: list[int], *metrics: str, by: tuple[str, ...] = ()) -> list[Stretch]:
    tenant = lab.tenant(zone)
    lab.send(tenant, [_message(zone, number, hour) for number, hour in enumerate(hours)])
    start = BEGIN.replace(tzinfo=tenant.tz) + timedelta(weeks=13)
    asked = Question(metrics, start, start + timedelta(days=days), by=by)
    with lab.queries.asking(tenant) as (ask, reading, now):
        return usual_of_stretch(ask, reading, tenant, ask(asked), now)


def _rating(number: int, day: int, value: int) -> Event:
    time, who = (BEGIN + timedelta(days=day, hours=9)).replace(tzinfo=ZoneInfo("UTC")), f"s{number % 3}"
    return Event(
        type="satisfaction.rating_received",
        id=f"r{number}",
        time=time,
        survey_id=f"r{number}",
        value=value,
        staff_id=who,
    )


def _weeks(hours: list[int], days: int) -> list[list[int]]:
    """Return the hours in each earlier window, the latest first; windows begin at the earliest on the day after the
    first event.
    """
    start, length = 24 * 7 * 13, min(days, 7) * 24
    first = (min(hours) // 24 + 1) * 24
    lows = [low for back in range(1, LOOK_BACK + 1) for low in [start - 168 * back] if low >= first]
    return [[hour for hour in hours if low <= hour < low + length] for low in lows]


@given(zone=st.sampled_from(ZONES), hours=HOURS, days=st.sampled_from([1, 2, 4, 7, 14, 28, 56]))
def test_counts_add_up(lab: Lab, zone: str, hours: list[int], days: int) -> None:
    """Median and spread of a count are those of the same weekdays of eight weeks, scaled for stretches longer than a week."""
    lab.empty()
    (found,) = _ask(lab, zone, days, hours, "messages")
    weeks, factor = [len(one) for one in _weeks(hours, days)][:WEEKS], max(1.0, days / 7)
    assert found.cell.value == len([hour for hour in hours if 0 <= hour - 24 * 7 * 13 < days * 24])
    assert found.usual.n == len(weeks)
    if len(weeks) < LEAST:
        assert found.usual.median is None and found.usual.high is None
        return
    middle = median(weeks)
    spread = median(abs(one - middle) for one in weeks)
    assert found.usual.median == pytest.approx(middle * factor, rel=1e-2)  # a clock change makes a week 167 hours
    half = max(BAND * spread * math.sqrt(factor), CHANCE * math.sqrt(max(1, middle * factor)))
    high, low = (max(weeks), min(weeks)) if days <= 7 else (0, math.inf)
    assert found.usual.high == pytest.approx(max(middle * factor + half, high), rel=1e-2)
    assert found.usual.low == pytest.approx(min(max(0, middle * factor - half), low), rel=1e-2, abs=0.5)


@given(hours=HOURS, days=st.sampled_from([2, 7, 28]))
def test_the_slices_of_a_count_are_0_where_others_were_counted(lab: Lab, hours: list[int], days: int) -> None:
    """The usual of a channel counts windows in which only other channels had messages as 0, and leaves out windows
    without any.
    """
    lab.empty()
    for found in _ask(lab, "UTC", days, hours, "messages", by=("channel",)):
        weeks = [
            len([hour for hour in one if f"room{hour % 3}" == found.dims[0]]) for one in _weeks(hours, days) if one
        ][:WEEKS]
        assert found.usual.n == len(weeks)
        if len(weeks) >= LEAST:
            assert found.usual.median == pytest.approx(median(weeks) * max(1.0, days / 7))


@given(hours=HOURS)
def test_distinct_members_are_compared_with_the_stretch_before(lab: Lab, hours: list[int]) -> None:
    """The usual of distinct contacts over four weeks has as its median the four weeks before."""
    lab.empty()
    (found,) = _ask(lab, "UTC", 28, hours, "active_contacts")
    before = {hour % 7 for hour in hours if 24 * 7 * 9 <= hour < 24 * 7 * 13}
    weeks = [len({hour % 7 for hour in one}) for one in _weeks(hours, 28)][:WEEKS]
    if len(weeks) >= LEAST and median(weeks) > 0:
        assert found.usual.median == len(before)
    else:
        assert found.usual.median is None


@given(zone=st.sampled_from(ZONES), hours=HOURS, days=st.integers(50, 70))
def test_more_than_eight_weeks_have_no_usual_range(lab: Lab, zone: str, hours: list[int], days: int) -> None:
    """A stretch longer than the eight weeks of "usual" has its number and no range, whatever its metric; one of eight weeks has."""
    lab.empty()
    for found in _ask(lab, zone, days, hours, "messages", "active_contacts"):
        known = days <= 7 * WEEKS and len(_weeks(hours, days)) >= LEAST
        if days > 7 * WEEKS:
            assert (found.usual.median, found.usual.low, found.usual.high) == (None, None, None)
        elif found.metric == "messages":
            assert (found.usual.high is not None) == known
    assert found.cell.value is not None


RATED = st.lists(st.tuples(st.integers(0, 7 * 17 - 1), st.integers(1, 5)), min_size=1, max_size=80)


@given(rated=RATED, days=st.sampled_from([7, 28]))
def test_shares_and_means_of_few_things_have_a_range_as_wide_as_chance(
    lab: Lab, rated: list[tuple[int, int]], days: int
) -> None:
    """Each person's satisfaction, mean rating and NPS has a range that reaches three standard errors of the difference between its
    own ratings and those of the eight weeks before; all three have those of values at the ends of their scales.
    """
    lab.empty()
    tenant = lab.tenant("UTC")
    lab.send(tenant, [_rating(number, day, value) for number, (day, value) in enumerate(rated)])
    start = BEGIN.replace(tzinfo=tenant.tz) + timedelta(weeks=13)
    scales = {"csat": (0.0, 1.0), "rating_avg": (1.0, 5.0), "nps_score": (-100.0, 100.0)}
    asked = Question(tuple(scales), start, start + timedelta(days=days), by=("staff_id",))
    with lab.queries.asking(tenant) as (ask, reading, now):
        found = usual_of_stretch(ask, reading, tenant, ask(asked), now)
    first = min(day for day, _ in rated) + 1
    for one in found:
        own = [day for number, (day, _) in enumerate(rated) if f"s{number % 3}" == one.dims[0]]
        weeks = [low for back in range(1, LOOK_BACK + 1) if (low := 91 - 7 * back) >= first]
        counts = [n for low in weeks if (n := len([day for day in own if low <= day < low + 7]))][:WEEKS]
        n, base = len([day for day in own if 91 <= day < 91 + days]), sum(counts)
        assert (one.cell.n or 0) == n and one.usual.n == len(counts)
        if one.usual.median is None or not n:
            continue
        least, most = scales[one.metric]
        near = (one.usual.median * min(n, base) + least + most) / (min(n, base) + 2)
        half = CHANCE * math.sqrt((near - least) * (most - near) * (1 / n + 1 / base))
        assert one.usual.low is not None and one.usual.high is not None
        floor, top = scales["csat"] if one.metric == "csat" else (-math.inf, math.inf)
        assert one.usual.low <= max(floor, one.usual.median - half) + 1e-9
        assert one.usual.high >= min(top, one.usual.median + half) - 1e-9
