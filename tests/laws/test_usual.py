"""Usual: median and spread are those of earlier weeks, counted by hand from the events."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from statistics import median
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.errors import BadQuestionError
from hubbub.model.event import Event
from hubbub.model.question import Question
from hubbub.model.window import Grain
from hubbub.query.usual import LEAST, LOOK_BACK, WEEKS, usual
from tests.laws.conftest import Lab
from tests.laws.oracle import utc

BEGIN = datetime.fromisoformat("2026-01-05")  # a Monday, in local time
ZONES = ("UTC", "Europe/Berlin", "America/New_York")
HOURS = st.lists(st.integers(0, 24 * 7 * 16 - 1), min_size=1, max_size=60)


def _message(zone: str, number: int, hour: int) -> Event:
    local = BEGIN + timedelta(hours=hour, minutes=30)
    return Event(type="message.received", id=f"m{number}", time=local.replace(tzinfo=ZoneInfo(zone)), channel="chat")


def _exists(place: datetime, zone: ZoneInfo) -> bool:
    """Whether a clock in the zone ever shows a local time: in spring it skips an hour."""
    return place.replace(tzinfo=zone).astimezone(UTC).astimezone(zone).replace(tzinfo=None) == place


@given(zone=st.sampled_from(ZONES), hours=HOURS, grain=st.sampled_from([Grain.HOUR, Grain.DAY]))
def test_usual_is_the_median_of_the_same_weekday_and_hour(lab: Lab, zone: str, hours: list[int], grain: Grain) -> None:
    """Median and spread of every window in three weeks are those of the last eight whole windows at the same weekday and hour."""
    lab.empty()
    tenant = lab.tenant(zone)
    lab.send(tenant, [_message(zone, number, hour) for number, hour in enumerate(hours)])
    start = BEGIN.replace(tzinfo=tenant.tz) + timedelta(weeks=13)
    asked = Question(("messages",), start, start + timedelta(weeks=3), grain)
    answer = usual(lab.queries, tenant, asked)
    step = timedelta(hours=1) if grain is Grain.HOUR else timedelta(days=1)
    counts: dict[datetime, int] = {}
    for hour in hours:
        place = BEGIN + (hour * timedelta(hours=1) // step) * step
        counts[place] = counts.get(place, 0) + 1
    first = min(counts)
    assert answer.rows
    for row in answer.rows:
        local = row.start.astimezone(tenant.tz).replace(tzinfo=None)
        before = [local - timedelta(weeks=back) for back in range(1, LOOK_BACK + 1)]
        known = [counts.get(place, 0) for place in before if place > first and _exists(place, tenant.tz)][:WEEKS]
        assert row.usual.n == len(known)
        if len(known) < LEAST:
            assert row.usual.median is None and row.usual.spread is None and row.usual.high is None
            continue
        middle = median(known)
        assert row.usual.median == middle
        assert row.usual.spread == median(abs(count - middle) for count in known)


def test_unsettled_windows_are_left_out_of_the_usual(lab: Lab) -> None:
    """Windows that may still change are left out of the usual: for rates with receipts, the last ten days."""
    lab.empty()
    tenant = lab.tenant()
    begin = utc(2026, 1, 5)
    lab.send(tenant, [
        Event(type="message.sent", id=f"m{day}", message_id=f"m{day}", time=begin + timedelta(days=day), channel="chat")
        for day in range(100)
    ])  # fmt: skip
    lab.now = begin + timedelta(days=100)
    day = begin + timedelta(days=99)
    counted = usual(lab.queries, tenant, Question(("messages_sent",), day, day + timedelta(days=1), Grain.DAY)).rows[0]
    followed = usual(
        lab.queries, tenant, Question(("messages_attempted",), day, day + timedelta(days=1), Grain.DAY, ("channel",))
    ).rows[0]
    assert (counted.usual.n, followed.usual.n) == (WEEKS, WEEKS)
    lab.now = begin + timedelta(days=40)
    day = begin + timedelta(days=38)
    counted = usual(lab.queries, tenant, Question(("messages_sent",), day, day + timedelta(days=1), Grain.DAY)).rows[0]
    followed = usual(
        lab.queries, tenant, Question(("messages_attempted",), day, day + timedelta(days=1), Grain.DAY)
    ).rows[0]
    assert (counted.usual.n, followed.usual.n) == (5, 4)


def test_usual_of_months_ranges_and_comparisons_is_refused(lab: Lab) -> None:
    """Months, whole ranges, two metrics and comparisons have no usual and are refused."""
    lab.empty()
    tenant = lab.tenant()
    week = (utc(2026, 3, 2), utc(2026, 3, 9))
    for question in (
        Question(("messages",), *week, Grain.MONTH),
        Question(("messages",), *week),
        Question(("messages", "responses"), *week, Grain.DAY),
        Question(("messages",), *week, Grain.DAY, compare="previous"),
    ):
        with pytest.raises(BadQuestionError):
            usual(lab.queries, tenant, question)
