"""Comparison with an earlier period: equal local windows, and changes with labels."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from hubbub.calculations import Change
from hubbub.errors import BadQuestionError
from hubbub.model.event import Event
from hubbub.model.question import Question
from hubbub.model.tenant import Tenant
from hubbub.model.window import Grain, local_midnight
from hubbub.query.compare import earlier
from hubbub.query.result import Compared
from tests.laws.conftest import Lab

ZONE = "America/New_York"
TZ = ZoneInfo(ZONE)
TENANT = Tenant(1, "acme", ZONE)
LATER = datetime(2027, 1, 1, tzinfo=UTC)


def midnight(month: int, day: int, year: int = 2026) -> datetime:
    """A midnight in New York."""
    return local_midnight(date(year, month, day), TZ)


@pytest.mark.parametrize(
    ("start", "end", "grain", "expected"),
    [
        (midnight(3, 9), midnight(3, 10), Grain.DAY, (midnight(3, 8), midnight(3, 9))),
        (midnight(3, 8), midnight(3, 9), Grain.DAY, (midnight(3, 7), midnight(3, 8))),
        (midnight(11, 2), midnight(11, 9), Grain.DAY, (midnight(10, 26), midnight(11, 2))),
        (midnight(3, 9), midnight(3, 16), Grain.WEEK, (midnight(3, 2), midnight(3, 9))),
        *((midnight(1, 1), midnight(3, 1), grain, (midnight(11, 1, 2025), midnight(1, 1))) for grain in Grain),
        *((midnight(3, 1), midnight(4, 1), grain, (midnight(2, 1), midnight(3, 1))) for grain in Grain),
        *((midnight(3, 1), midnight(3, 31), grain, (midnight(1, 30), midnight(3, 1))) for grain in Grain),
    ],
)
def test_the_period_before_is_as_many_days_or_months(
    start: datetime, end: datetime, grain: Grain, expected: tuple[datetime, datetime]
) -> None:
    """Days of 23 and 25 hours count as days, and whole months are compared with whole months at every grain, also over
    a new year.
    """
    assert earlier(Question(("messages",), start, end, grain), TENANT, LATER) == expected


@pytest.mark.parametrize(
    ("start", "end", "compare", "expected"),
    [
        (midnight(3, 9), midnight(3, 10), "weekdays", (midnight(3, 2), midnight(3, 3))),
        (midnight(3, 9), midnight(3, 16), "weekdays", (midnight(3, 2), midnight(3, 9))),
        (midnight(3, 1), midnight(4, 1), "weekdays", (midnight(1, 25), midnight(2, 25))),
        (midnight(3, 8), midnight(3, 9), "year", (midnight(3, 8, 2025), midnight(3, 9, 2025))),
        (midnight(2, 29, 2028), midnight(3, 1, 2028), "year", (midnight(2, 28, 2027), midnight(3, 1, 2027))),
        (midnight(1, 1), midnight(1, 1, 2027), "year", (midnight(1, 1, 2025), midnight(1, 1))),
    ],
)
def test_the_same_weekdays_or_dates_before(
    start: datetime, end: datetime, compare: str, expected: tuple[datetime, datetime]
) -> None:
    """`weekdays` gives the last stretch that begins on the same weekday and does not overlap; `year` the same dates a
    year before.
    """
    asked = Question(("messages",), start, end, compare=compare)
    found = earlier(asked, TENANT, LATER + timedelta(days=900))
    assert found == expected
    assert found[1] <= start and (
        compare == "year" or found[0].astimezone(TZ).weekday() == start.astimezone(TZ).weekday()
    )


def test_more_than_a_year_is_not_compared_with_the_year_before() -> None:
    """A range of more than a year overlaps the year before, and is refused."""
    asked = Question(("messages",), midnight(1, 1, 2025), midnight(1, 2, 2026), compare="year")
    with pytest.raises(BadQuestionError, match="overlaps"):
        earlier(asked, TENANT, LATER)


def test_a_range_of_hours_is_compared_with_the_hours_before() -> None:
    """A range of hours is compared with the same number of hours before it."""
    start, end = midnight(5, 5), midnight(5, 5) + timedelta(hours=6)
    assert earlier(Question(("messages",), start, end), TENANT, LATER) == (start - timedelta(hours=6), start)


def test_today_so_far_is_compared_with_yesterday_so_far() -> None:
    """A range that reaches beyond the present is compared up to the same elapsed time, also across a change of clocks."""
    now = midnight(3, 9) + timedelta(hours=14, minutes=5)
    today = Question(("messages",), midnight(3, 9), midnight(3, 10), Grain.DAY)
    assert earlier(today, TENANT, now) == (midnight(3, 8), midnight(3, 8) + timedelta(hours=14, minutes=5))
    late = midnight(3, 9) + timedelta(hours=23, minutes=30)
    assert earlier(today, TENANT, late) == (midnight(3, 8), midnight(3, 9))


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A laboratory with a tenant in New York: two messages before a Monday and three after, ratings on both sides."""
    made = Lab(tmp_path_factory.mktemp("compare"))
    made.empty()
    tenant = made.tenant(ZONE)
    monday = midnight(3, 9)
    hours = {"a": -30.0, "b": -29, "c": 1, "d": 2, "e": 26}
    made.send(
        tenant,
        [
            Event(
                type="message.received", id=k, time=monday + timedelta(hours=h), channel="email" if h < 10 else "chat"
            )
            for k, h in hours.items()
        ],
    )
    ratings = {"r1": (-20.0, 1.0), "r2": (20, 5.0), "r3": (-20, 4.0)}
    made.send(
        tenant,
        [
            Event(type="satisfaction.rating_received", id=k, time=monday + timedelta(hours=h), value=v)
            for k, (h, v) in ratings.items()
        ],
    )
    yield made
    made.store.close()


def compared(lab: Lab, metric: str, **changes: Any) -> list[Compared]:
    """Return the comparisons of a metric over the week after the Monday, row by row."""
    asked = Question((metric,), midnight(3, 9), midnight(3, 16), compare="previous", **changes)
    rows = lab.queries.answer(lab.tenants[0], asked).rows
    return [(row.compare or {})[metric] for row in rows]


def test_a_count_changes_in_percent(lab: Lab) -> None:
    """Three after two is 1 more, 50 % more, up."""
    assert compared(lab, "messages") == [Compared(2, Change(1, 0.5, "up"))]


def test_a_rate_changes_in_points(lab: Lab) -> None:
    """A rate changes by a difference, without a relative change."""
    assert compared(lab, "csat") == [Compared(0.5, Change(0.5, None, "up"))]


def test_from_nothing_is_new_and_nothing_from_nothing_is_flat(lab: Lab) -> None:
    """By day, 0 to more is new without a relative change, 0 to 0 is flat, and more to 0 is down."""
    labels = [c.change.label for c in compared(lab, "messages", grain=Grain.DAY)]
    assert labels == ["new", "new", "flat", "flat", "flat", "down", "flat"]
    first = compared(lab, "messages", grain=Grain.DAY)[0]
    assert first == Compared(0, Change(2, None, "new"))


def test_a_missing_value_has_no_change(lab: Lab) -> None:
    """A missing value on either side gives a null change."""
    nothing = Compared(None, Change(None, None, "n/a"))
    assert compared(lab, "response_ms.avg") == [nothing]


def test_rows_pair_up_by_position_and_dimensions(lab: Lab) -> None:
    """Split by channel, each row is compared with the same channel; a new channel has no previous value."""
    by_channel = compared(lab, "messages", by=("channel",))
    assert [c.previous for c in by_channel] == [None, 2]


def test_the_answer_names_the_period_it_was_compared_with(lab: Lab) -> None:
    """Freshness gives the compared period, with the offsets of that time."""
    asked = Question(("messages",), midnight(3, 9), midnight(3, 16), compare="previous")
    answer = lab.queries.answer(lab.tenants[0], asked)
    assert answer.freshness.compared_with == ["2026-03-02T00:00:00-05:00", "2026-03-09T00:00:00-04:00"]


def test_a_comparison_of_a_future_range_is_refused(lab: Lab) -> None:
    """A comparison of a future range is refused."""
    lab.empty()
    tenant = lab.tenant()
    ahead = Question(("messages",), lab.now + timedelta(days=1), lab.now + timedelta(days=2), compare="previous")
    with pytest.raises(BadQuestionError, match="has not begun"):
        lab.queries.answer(tenant, ahead)
