"""Silences: a source that stopped is found, an active one is not, and too little data gives none."""

from __future__ import annotations

import math
import random

import pytest

from hubbub.ingest.silence import HISTORY, silences


def poisson(rate: float, chance: random.Random) -> int:
    """Return a random number of events in an hour, at this rate."""
    left, count = math.exp(-rate), 0
    product = chance.random()
    while product > left:
        product *= chance.random()
        count += 1
    return count


@pytest.mark.parametrize("seed", range(5))
def test_four_hours_of_a_source_with_ten_an_hour_are_found(seed: int) -> None:
    """After five weeks of random ten events an hour, four empty hours are one silence, from first to last."""
    chance = random.Random(seed)
    hours = [poisson(10, chance) for _ in range(35 * 24)]
    hours[-6:-2] = [0] * 4
    assert silences(hours, 48) == [(len(hours) - 6, len(hours) - 2)]


def test_thirty_undisturbed_days_give_at_most_one_finding() -> None:
    """Thirty undisturbed days of a slow or busy source, quiet at night, give one silence at most."""
    for seed, rate in enumerate((1.0, 10.0)):
        chance = random.Random(seed)
        hours = [poisson(rate * (1 if 7 <= n % 24 < 22 else 0.1), chance) for n in range(60 * 24)]
        found = {run for end in range(31 * 24, 61 * 24, 24) for run in silences(hours[:end], 24)}
        assert len(found) <= 1, rate


def test_a_source_with_few_events_is_never_silent() -> None:
    """Fewer than seven expected events, less than two weeks of history, and usual quiet nights give no silence."""
    assert silences([1] * HISTORY + [0] * 6, 6) == []
    assert silences([10] * (HISTORY - 2) + [0] * 2, 2) == []
    night = [0 if n % 24 < 8 else 10 for n in range(40 * 24 + 8)]
    assert silences(night, 8) == []
    assert silences([], 0) == []
