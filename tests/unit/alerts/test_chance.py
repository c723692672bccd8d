"""Chance of a count: the negative binomial law, and how its mean and size follow from earlier weeks."""

from __future__ import annotations

import math
from statistics import fmean, variance

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.alerts.chance import MOST, Law, chance_of_at_least, law_of, scatter_of

MEANS = st.floats(0.02, 40)
SIZES = st.floats(0.05, 50) | st.just(math.inf)
COUNTS = st.lists(st.integers(0, 30).map(float), min_size=8, max_size=8)


def _probability(count: int, law: Law) -> float:
    """Return the probability of exactly this count, from the textbook's formula."""
    if math.isinf(law.size):
        return math.exp(count * math.log(law.mean) - law.mean - math.lgamma(count + 1))
    success = law.mean / (law.mean + law.size)
    ways = math.lgamma(count + law.size) - math.lgamma(law.size) - math.lgamma(count + 1)
    return math.exp(ways + count * math.log(success) + law.size * math.log(1 - success))


@given(MEANS, SIZES, st.integers(0, 120))
def test_the_chance_is_that_of_the_textbook(mean: float, size: float, count: int) -> None:
    """The chance of at least `count` is one minus the probabilities of all smaller counts, for Poisson's law and wider ones."""
    law = Law(mean, size)
    expected = 1 - math.fsum(_probability(smaller, law) for smaller in range(count))
    assert chance_of_at_least(count, law) == pytest.approx(expected, abs=1e-9)


@given(MEANS, SIZES, st.floats(0, 5 * MOST), st.floats(0, 500))
def test_a_higher_count_is_never_likelier(mean: float, size: float, count: float, more: float) -> None:
    """A higher count is at most as likely as a lower one, within 0.02 for counts that are scaled down."""
    law = Law(mean, size)
    assert chance_of_at_least(0, law) == 1
    assert 0 <= chance_of_at_least(count + more, law) <= chance_of_at_least(count, law) + 0.02


@pytest.mark.parametrize(("count", "unlikely"), [(900_000, False), (1_100_000, False), (3_000_000, True)])
def test_counts_in_millions_are_judged(count: int, unlikely: bool) -> None:
    """With a usual million and a size of 100, three million are unlikely; a tenth more or less is not."""
    assert (chance_of_at_least(count, Law(1_000_000, 100)) < 0.01) == unlikely


@given(COUNTS)
def test_the_size_of_equal_weeks_follows_from_mean_and_variance(counts: list[float]) -> None:
    """With one place the mean is kept, and variance beyond Poisson's gives the size; with less variance the law is Poisson's."""
    scatter, mean = scatter_of([counts]), fmean(counts)
    law = law_of(counts, scatter)
    assert law.mean == pytest.approx(max(mean, 1 / 8))
    beyond = variance(counts) - mean
    assert law.size == (pytest.approx(mean**2 / beyond) if beyond > 1e-9 else math.inf) or abs(beyond) < 1e-9


def test_weekdays_that_differ_keep_their_own_mean() -> None:
    """Mondays of 20 among empty days keep a mean of 20; days that differ by chance alone share the mean of all."""
    apart = scatter_of([[20.0, 21, 19, 20, 20, 21, 19, 20], *([[0.0] * 8] * 6)])
    assert law_of([20.0, 21, 19, 20, 20, 21, 19, 20], apart).mean == pytest.approx(20, abs=0.1)
    alike = scatter_of([[1.0, 0, 2, 0, 1, 3, 0, 1], *([[0.0, 2, 1, 0, 3, 0, 1, 1]] * 6)])
    assert law_of([1.0, 0, 2, 0, 1, 3, 0, 1], alike).mean == 1


def test_empty_weeks_give_a_small_mean() -> None:
    """After eight empty weeks the mean is one thing in 56 days, so that three on one day are unlikely."""
    law = law_of([0.0] * 8, scatter_of([[0.0] * 8] * 7))
    assert law == Law(1 / 56, math.inf)
    assert chance_of_at_least(3, law) < 1e-5
