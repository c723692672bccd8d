"""Judging: nothing within its noise is news, and a number beyond it only if it matters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.metrics.catalogue import askable, find
from hubbub.metrics.definition import Better, Unit
from hubbub.news.candidates import CANDIDATES, FLOORS, candidate_of
from hubbub.news.direction import way_beyond
from hubbub.news.judge import Held, Verdict, Way, held_back, judged
from hubbub.news.number import NewsNumber
from hubbub.query.result import Cell, State
from hubbub.query.usual import Usual

CSAT = next(one for one in CANDIDATES if one.metric == "csat")
MESSAGES = next(one for one in CANDIDATES if one.metric == "messages")
USUAL = Usual(0.8, 0.02, 8, 0.72, 0.88)


def test_candidates_are_metrics_of_the_catalogue() -> None:
    """Each candidate is unique, is in the catalogue with its dimension, has sentences, and has floors."""
    assert len({(one.metric, one.by) for one in CANDIDATES}) == len(CANDIDATES)
    for one in CANDIDATES:
        assert one.up or one.down
        assert all("{value}" in text and ("{slice}" in text) == bool(one.by) for text in (one.up, one.down) if text)
        assert not one.by or one.by in askable(find(one.metric).rollup)
        assert one.least_n >= 10 and one.least > 0


def test_metrics_with_a_better_direction_have_sentences_for_the_worse() -> None:
    """A metric that should be high has a sentence for falling, and one that should be low for rising."""
    for one in CANDIDATES:
        better = find(one.metric).better
        assert better is not Better.HIGHER or one.down
        assert better is not Better.LOWER or one.up


@given(value=st.floats(0, 1), low=st.floats(0, 0.5), high=st.floats(0.5, 1), n=st.integers(0, 500))
def test_a_number_within_its_noise_is_no_news(value: float, low: float, high: float, n: int) -> None:
    """A share is news or beyond exactly outside its band, and has a way only there; news needs enough ratings."""
    found = judged("csat", Cell(value, n=n), Usual(0.5, 0.01, 8, low, high), None, CSAT)
    assert (found.verdict is Verdict.USUAL) == (low <= value <= high)
    assert (found.verdict is Verdict.BEYOND) == bool(found.held)
    assert (found.way is Way.NONE) == (low <= value <= high)
    assert found.verdict is not Verdict.NEWS or n >= CSAT.least_n


@pytest.mark.parametrize(
    ("value", "n", "previous", "verdict", "way", "held"),
    [
        (0.65, 135, 0.80, Verdict.NEWS, Way.WORSE, Held.NONE),
        (0.65, 12, 0.80, Verdict.BEYOND, Way.WORSE, Held.FEW),
        (0.65, 135, 0.66, Verdict.BEYOND, Way.WORSE, Held.BEFORE),
        (0.65, 135, 0.60, Verdict.BEYOND, Way.WORSE, Held.BEFORE),  # on its way back
        (0.69, 135, 0.73, Verdict.BEYOND, Way.WORSE, Held.LITTLE),  # the compared days were usual
        (0.95, 135, 0.80, Verdict.NEWS, Way.BETTER, Held.NONE),
        (0.80, 135, 0.60, Verdict.USUAL, Way.NONE, Held.NONE),
        (None, 0, 0.80, Verdict.UNKNOWN, Way.NONE, Held.NONE),
    ],
)  # fmt: skip
def test_a_fall_of_satisfaction_is_news_with_enough_ratings(
    value: float | None, n: int, previous: float, verdict: Verdict, way: Way, held: Held
) -> None:
    """A fall is news if it has enough ratings and is new; otherwise the reason it is held back is given."""
    found = judged("csat", Cell(value, n=n), USUAL, previous, CSAT)
    assert (found.verdict, found.way, found.held) == (verdict, way, held)


@pytest.mark.parametrize(
    ("metric", "value", "usual", "held"),
    [
        ("csat", 0.65, USUAL, Held.INCOMPLETE),
        ("messages", 50.0, Usual(100.0, 3.0, 8, 90.0, 110.0), Held.INCOMPLETE),
        ("messages", 150.0, Usual(100.0, 3.0, 8, 90.0, 110.0), Held.NONE),
    ],
)
def test_missing_data_are_no_news(metric: str, value: float, usual: Usual, held: Held) -> None:
    """A low number with a gap is no news; a high count in spite of a gap is."""
    found = judged(metric, Cell(value, n=135, state=State.INCOMPLETE), usual, None, candidate_of(metric))
    assert (found.verdict, found.held) == (Verdict.BEYOND if held else Verdict.NEWS, held)


def test_reasons_to_hold_a_number_back_are_written_in_words() -> None:
    """Each reason for holding back has words, and no reason has none."""
    assert all(held_back(held).startswith("outside") for held in Held if held)
    assert (held_back(None), held_back("")) == ("", "")


@pytest.mark.parametrize(
    ("value", "verdict"), [(130, Verdict.NEWS), (115, Verdict.BEYOND), (105, Verdict.USUAL), (70, Verdict.NEWS)]
)
def test_messages_are_neither_better_nor_worse(value: int, verdict: Verdict) -> None:
    """More or fewer messages are up or down, neither better nor worse, and news from a fifth on."""
    found = judged("messages", Cell(value, n=value), Usual(100.0, 3.0, 8, 90.0, 110.0), 100, MESSAGES)
    assert (found.verdict, found.way in (Way.UP, Way.DOWN, Way.NONE)) == (verdict, True)


def test_without_usual_weeks_there_is_no_verdict() -> None:
    """With fewer than four known weeks there is no verdict; a number without a candidate has its unit's floors."""
    assert judged("csat", Cell(0.1, n=99), Usual(None, None, 2), 0.9, CSAT).verdict is Verdict.UNKNOWN
    least_n, least = FLOORS[find("csat").unit]
    assert judged("csat", Cell(0.1, n=least_n), USUAL, 0.9, None).verdict is Verdict.NEWS
    assert judged("csat", Cell(0.1, n=least_n - 1), USUAL, 0.9, None).verdict is Verdict.BEYOND
    assert judged("csat", Cell(0.9, n=99), USUAL, 0.9 - least / 2, None).verdict is Verdict.BEYOND


def test_every_unit_has_floors() -> None:
    """Every unit has floors."""
    assert set(FLOORS) == set(Unit)


@given(value=st.floats(0, 1), n=st.integers(0, 99))
def test_a_color_is_an_unusual_number(value: float, n: int) -> None:
    """A number has a color exactly if it is news, and outside its usual range it has a color or a reason."""
    verdict = judged("csat", Cell(value, n=n), USUAL, None, CSAT)
    number = NewsNumber(
        metric="csat", dimension=None, slice=None, unit="share", value=value, n=n, state="settled", previous=None, usual=USUAL,
        verdict=verdict.verdict.value, held=verdict.held.value or None, way=verdict.way.value or None, size=verdict.size,
    )  # fmt: skip
    assert bool(way_beyond(number)) == (verdict.verdict is Verdict.NEWS)
    assert bool(way_beyond(number) or held_back(number.held)) == (not 0.72 <= value <= 0.88)
