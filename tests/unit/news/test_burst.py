"""Bursts: news name the few days that carry a change, if the other days are usual."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.app import Engine
from hubbub.news.burst import farthest, trimmed, way_of_day
from hubbub.query.result import Cell
from hubbub.query.usual import Usual, UsualRow
from hubbub.settings import load

NOW = datetime(2026, 3, 2, tzinfo=UTC)
DAY = timedelta(days=1)
A_DAY = 10
"""Ratings a day, of which 2 are usually bad."""
Bad = Callable[[datetime], int]


@given(st.lists(st.integers(-9, 9), max_size=12))
def test_the_farthest_run_has_the_greatest_sum(excesses: list[int]) -> None:
    """No other run of days has a greater sum, an empty run has 0, and both ends lie beyond the bound."""
    first, after = farthest(excesses)
    ends = combinations_with_replacement(range(len(excesses) + 1), 2)
    assert sum(excesses[first:after]) == max(sum(excesses[low:high]) for low, high in ends)
    assert first == after or (excesses[first] > 0 and excesses[after - 1] > 0)


@given(st.lists(st.booleans(), max_size=12), st.integers(0, 12), st.integers(0, 12))
def test_a_trimmed_run_begins_and_ends_with_unusual_days(unusual: list[bool], one: int, other: int) -> None:
    """A trimmed run has unusual days at both ends, and without the days cut off it is the same run."""
    first, after = sorted(min(end, len(unusual)) for end in (one, other))
    low, high = trimmed(first, after, unusual)
    assert first <= low <= high <= after
    assert low == high or (unusual[low] and unusual[high - 1])
    assert low == high or not any([*unusual[first:low], *unusual[high:after]])
    assert (low == high) == (not any(unusual[first:after]))
    if low < high:
        assert trimmed(low, high, unusual) == (low, high)


@pytest.mark.parametrize(
    ("metric", "value", "n", "way"),
    [
        ("csat", 0.2, 40, -1), ("csat", 0.95, 400, 1), ("csat", 0.78, 40, 0), ("csat", 0.2, 19, None), ("csat", None, 0, None),
        ("messages", 90.0, 90, 1), ("messages", 0.0, 0, -1), ("first_response_ms.p90", 9.0, 20, 1),
    ],
)  # fmt: skip
def test_a_day_is_compared_with_its_own_range(metric: str, value: float | None, n: int, way: int | None) -> None:
    """A day is above, below or within its own usual range; of fewer than 20 things, or without a value, it is not judged."""
    usual = {"csat": Usual(0.8, 0.02, 8, 0.75, 0.85), "messages": Usual(40.0, 2.0, 8, 35.0, 45.0)}
    day = UsualRow(NOW, (), Cell(value, n=n), usual.get(metric, Usual(3.0, 0.1, 8, 2.0, 4.0)))
    assert way_of_day(metric, day) == way
    assert way_of_day(metric, UsualRow(NOW, (), day.cell, Usual(None, None, 0))) is None


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """An engine with ten weeks in which four of five ratings are satisfied."""
    with closing(Engine(load(data=tmp_path / "data", free_floor_mb=0), lambda: NOW)) as made:
        made.add_tenant("shop", zone="UTC")
        _rate(made, 98, 28, lambda _: 2)
        yield made


def _rate(engine: Engine, first: int, last: int, bad: Bad) -> None:
    """Record ratings from `first` to `last` days ago."""
    noons = [NOW - back * DAY + timedelta(hours=12) for back in range(first, last, -1)]
    engine.record("shop", [_rating(at, number, bad(at)) for at in noons for number in range(A_DAY)], history=True)


def _rating(at: datetime, number: int, bad: int) -> dict[str, Any]:
    survey = f"s{at:%Y%j}-{number}"
    return {
        "type": "satisfaction.rating_received", "time": at, "id": survey, "survey_id": survey, "channel": "web",
        "value": 1.0 if number < bad else 5.0, "contact_id": f"c{number}",
    }  # fmt: skip


def _point(engine: Engine, bad: Bad) -> dict[str, Any]:
    """Return the only point of the last four weeks, with these bad ratings a day."""
    _rate(engine, 28, 0, bad)
    found = engine.news("shop", start="2026-02-02", end="2026-03-02", compare="previous")
    (point,) = found["points"]
    return dict(point)


def test_a_single_day_after_a_burst_is_named_as_one(engine: Engine) -> None:
    """Where only one whole day has followed, the text says that it was as usual, and not that all is since then."""
    point = _point(
        engine, lambda at: 9 if datetime(2026, 2, 25, tzinfo=UTC) < at < datetime(2026, 3, 1, tzinfo=UTC) else 2
    )
    assert point["head"] == "Satisfaction was low from 25 to 28 February: 10.0%"
    assert point["in_words"].startswith("Back to the usual range on 1 March. ") and not point["burst"]["lasts"]


def test_a_burst_is_named_by_its_days(engine: Engine) -> None:
    """Days that carry the change are named with their own number and range, followed by the number of all days."""
    point = _point(
        engine, lambda at: 9 if datetime(2026, 2, 10, tzinfo=UTC) < at < datetime(2026, 2, 15, tzinfo=UTC) else 2
    )
    assert point["head"] == "Satisfaction was low from 10 to 14 February: 10.0%"
    assert point["change"].startswith("where ") and point["change"].endswith(" is usual for 5 days")
    assert point["in_words"].startswith(
        "Back to the usual range since 15 February. Satisfaction over all 28 days: 67.5%, 12.5 points less than before."
        " Usual for 28 days:"
    )
    asked = engine.query("shop", metrics=["csat"], start="2026-02-10", end="2026-02-15", details=True)["rows"][0][
        "details"
    ]["csat"]
    burst = point["burst"]
    assert (burst["from"][:10], burst["to"][:10], burst["lasts"]) == ("2026-02-10", "2026-02-15", False)
    assert (burst["value"], burst["n"]) == (asked["value"], asked["n"]) and burst["value"] < burst["usual"]["low"]


def test_a_burst_up_to_the_last_whole_day_has_no_end(engine: Engine) -> None:
    """A burst that reaches the last whole day lasts since its first day."""
    point = _point(engine, lambda at: 8 if at > datetime(2026, 2, 24, tzinfo=UTC) else 2)
    assert point["head"] == "Satisfaction has been low since 24 February: 20.0%"
    assert point["in_words"].startswith("Satisfaction over all 28 days: ") and point["burst"]["lasts"]


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(lambda at: 5, id="every day"),
        pytest.param(lambda at: 6 if at.day < 20 else 2, id="more than half of the days"),
        pytest.param(lambda at: 10 if 10 <= at.day < 13 else 4, id="the other days lie beyond usual"),
    ],
)
def test_a_level_stays_a_level(engine: Engine, bad: Bad) -> None:
    """No burst is named if all days, more than half, or the other days are beyond their usual range."""
    point = _point(engine, bad)
    assert point["burst"] is None and point["head"].startswith("Satisfaction fell to ")


def test_a_week_has_no_burst(engine: Engine) -> None:
    """A single week has no burst."""
    _rate(engine, 28, 0, lambda at: 10 if at > datetime(2026, 2, 26, tzinfo=UTC) else 2)
    (point,) = engine.news("shop", start="2026-02-23", end="2026-03-02")["points"]
    assert point["burst"] is None
