"""Evaluating a number: missing data is never evaluated, floors hold, and a run closes after enough quiet windows."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.alerts.chance import UNLIKELY, Law, chance_of_at_least
from hubbub.alerts.judge import FEWEST, Judged, Number, Verdict, judged
from hubbub.alerts.run import Run, runs
from hubbub.metrics.definition import Unit
from hubbub.model.alert import Direction, Kind, Rule
from hubbub.model.window import Grain
from hubbub.query.result import Cell, State
from hubbub.query.usual import Usual, usual_among

START = datetime(2026, 3, 2, tzinfo=UTC)
DAY = timedelta(days=1)
CHANGE = Rule(name="x", kind=Kind.CHANGE, metric="messages", direction=Direction.EITHER)
LIMIT = Rule(name="x", kind=Kind.THRESHOLD, metric="messages", limit=10)
MISSING = (State.INCOMPLETE, State.NOT_FETCHED, State.LIVE, State.GONE, State.NOT_KNOWN_THEN)


def number(value: float | None, usual: Usual | None = None, state: str = State.SETTLED, n: int | None = None) -> Number:
    """Return a day's number."""
    return Number(START, START + DAY, "", Cell(value, n=n, state=state), usual)


@given(st.sampled_from(MISSING), st.none() | st.integers(0, 10_000), st.sampled_from([CHANGE, LIMIT]))
def test_live_gone_and_incomplete_windows_are_never_judged(state: State, value: int | None, rule: Rule) -> None:
    """A window that is live, gone, not fetched or has a gap neither fires nor counts as quiet, whatever its value, and says why."""
    usual = usual_among([1.0] * 8, from_zero=True)
    verdict = judged(rule, Unit.COUNT, number(value, usual, state))
    assert verdict.verdict is Verdict.UNKNOWN
    assert verdict.why


@given(st.lists(st.integers(0, 200), min_size=8, max_size=8), st.integers(0, 1000))
def test_a_change_fires_beyond_the_noise_and_both_floors(weeks: list[int], value: int) -> None:
    """A count fires exactly if it is outside the band, 10 or more are involved, it doubled or halved, and a fall started from 7 or
    more."""
    usual = usual_among([float(week) for week in weeks], from_zero=True)
    assert usual.median is not None and usual.low is not None and usual.high is not None
    many = max(value, usual.median) >= 10
    rises = value > usual.high and value >= 2 * usual.median
    falls = value < usual.low and 2 * value <= usual.median and usual.median >= FEWEST
    found = judged(CHANGE, Unit.COUNT, number(value, usual)).verdict
    assert (found is Verdict.FIRED) == (many and (rises or falls))
    above = judged(replace(CHANGE, direction=Direction.ABOVE), Unit.COUNT, number(value, usual)).verdict
    assert (above is Verdict.FIRED) == (many and rises)


@given(st.lists(st.integers(0, 12), min_size=8, max_size=8), st.integers(0, 60), st.sampled_from([0.5, 2.0, math.inf]))
def test_a_rise_without_a_floor_is_beyond_chance(weeks: list[int], value: int, size: float) -> None:
    """Without an absolute floor a count fires if it is above the band, doubled, at least 3, and unlikely by chance."""
    usual = usual_among([float(week) for week in weeks], from_zero=True)
    assert usual.median is not None and usual.high is not None
    law = Law(max(sum(weeks) / 8, 1 / 8), size)
    rare = chance_of_at_least(value, law) < UNLIKELY[Grain.DAY]
    expected = value > usual.high and value >= 2 * usual.median and value >= 3 and rare
    above = replace(CHANGE, direction=Direction.ABOVE)
    counted = replace(number(value, usual), law=lambda: law)
    assert (judged(above, Unit.COUNT, counted).verdict is Verdict.FIRED) == expected
    floored = judged(replace(above, at_least=10), Unit.COUNT, counted).verdict
    assert floored is judged(above, Unit.COUNT, number(value, usual)).verdict


def test_a_change_without_enough_weeks_is_unknown() -> None:
    """With three known weeks there is no usual range, so that no value is unusual."""
    usual = usual_among([1.0, 1.0, 1.0], from_zero=True)
    assert judged(CHANGE, Unit.COUNT, number(500, usual)).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("value", "n", "fires"),
    [(0.364, 22, False), (0.364, 40, True), (0.79, 400, False), (0.0, 5, False), (0.0, 20, True)],
)
def test_a_share_fires_with_enough_ratings_and_a_doubled_remainder(value: float, n: int, fires: bool) -> None:
    """Satisfaction of usually 79 % fires if at least ten ratings differ from usual and the dissatisfied share doubled."""
    usual = usual_among([0.79, 0.78, 0.8, 0.79, 0.79, 0.8, 0.78, 0.79], from_zero=True)
    assert (judged(CHANGE, Unit.SHARE, number(value, usual, n=n)).verdict is Verdict.FIRED) == fires


def test_a_limit_on_a_share_of_few_messages_does_not_fire() -> None:
    """One complaint of one message is no hotspot; ten of ten are. A duration without a value is quiet."""
    rule = Rule(name="x", kind=Kind.HOTSPOT, metric="hotspot_ratio", limit=0.3)
    assert judged(rule, Unit.SHARE, number(1.0, n=1)).verdict is Verdict.QUIET
    assert judged(rule, Unit.SHARE, number(1.0, n=10)).verdict is Verdict.FIRED
    assert judged(LIMIT, Unit.MS, number(None)).verdict is Verdict.QUIET


VERDICTS = st.lists(st.sampled_from(Verdict), max_size=40)


@given(VERDICTS, st.integers(1, 3))
def test_runs_are_stretches_between_enough_quiet_windows(verdicts: list[Verdict], close_after: int) -> None:
    """A run begins with a window that fired and ends after `close_after` quiet ones in a row; unknown windows change nothing."""
    days = [
        Judged(START + number * DAY, START + (number + 1) * DAY, "", 20.0 + number, None, None, verdict)
        for number, verdict in enumerate(verdicts)
    ]
    known = [day for day in days if day.verdict is not Verdict.UNKNOWN]
    text = "".join("F" if day.verdict is Verdict.FIRED else "q" for day in known)
    pieces = [piece for piece in text.replace("q" * close_after, "|").split("|") if "F" in piece]
    found = runs(days, close_after, Direction.ABOVE)
    assert len(found) == len(pieces)
    assert all(run.closed_at is not None for run in found[:-1])
    assert sum(run.fired_to > run.start for run in found) == len(found)
    assert [run for run in found if not _fired_at_both_ends(run, days)] == []


def _fired_at_both_ends(run: Run, days: list[Judged]) -> bool:
    fired = {day.start for day in days if day.verdict is Verdict.FIRED}
    return run.start in fired and run.fired_to - DAY in fired and run.peak_at in fired


def test_the_ends_of_a_usual_range_have_no_digits_that_are_rounding() -> None:
    """Ends of ranges are written as short as they are: 5.5522 and 14.4478, not 14.447800000000001."""
    for middle in range(5, 400):
        usual = usual_among([middle - 1.0] * 4 + [middle + 1.0] * 4, from_zero=False)
        assert (str(usual.low), str(usual.high)) == (f"{middle - 4.4478:.4f}", f"{middle + 4.4478:.4f}")
