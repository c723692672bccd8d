"""How likely a count is by chance, from the eight weeks before its window.

Messages come in bursts, so counts of windows scatter more than Poisson's law says. They follow a negative binomial law, whose
variance is m + m² / k. Its mean m is that of the window's place (weekday, and hour), moved towards that of all places as far as
these differ by chance alone (James and Stein 1961); k is found by moments, from the variance of all windows around such means.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from hubbub.model.window import Grain

UNLIKELY = {Grain.HOUR: 8 / (365.25 * 24), Grain.DAY: 8 / 365.25, Grain.WEEK: 3 / 52}
"""Chance below which a count is unlikely: that of eight hours or days a year, or of three weeks."""
MOST = 1000
"""Largest count whose chance is summed term by term."""


@dataclass(frozen=True, slots=True)
class Scatter:
    """How the counts of windows differ."""

    mean: float
    """Of all windows."""
    kept: float
    """The part (0 to 1) of the differences between places that is not chance."""
    size: float
    """The size k; infinite: Poisson's law."""
    windows: int


@dataclass(frozen=True, slots=True)
class Law:
    """A negative binomial law of counts: its mean and its size k."""

    mean: float
    size: float


def scatter_of(places: Sequence[Sequence[float]]) -> Scatter:
    """Return how counts differ; they are given by place in the week, at least one in all."""
    known = [counts for counts in places if counts]
    windows = [count for counts in known for count in counts]
    mean, kept = fmean(windows), _kept(known)
    means = [mean + kept * (fmean(counts) - mean) for counts in known]
    squares = sum((count - own) ** 2 for counts, own in zip(known, means, strict=True) for count in counts)
    beyond_poisson = squares / max(1, len(windows) - 1) - mean
    size = fmean(own**2 for own in means) / beyond_poisson if beyond_poisson > 0 else math.inf
    return Scatter(mean, kept, size, len(windows))


def _kept(places: Sequence[Sequence[float]]) -> float:
    """Return the part (0 to 1) of the differences between places that is not chance."""
    means = [fmean(counts) for counts in places]
    free = sum(map(len, places)) - len(places)
    overall = fmean(means)
    seen = sum((own - overall) ** 2 for own in means)
    if not seen or free < 1:
        return 0.0
    squares = sum((count - own) ** 2 for counts, own in zip(places, means, strict=True) for count in counts)
    by_chance = squares / free / fmean(map(len, places))
    return max(0.0, 1 - by_chance * (len(means) - 1) / seen)


def law_of(own: Sequence[float], scatter: Scatter) -> Law:
    """Return the law of a window from the earlier counts `own` at its place; its mean is at least one thing in all windows."""
    mean = scatter.mean + scatter.kept * (fmean(own) - scatter.mean) if own else scatter.mean
    return Law(max(mean, 1 / scatter.windows), scatter.size)


def chance_of_at_least(count: float, law: Law) -> float:
    """Return the chance (0 to 1) of a count of at least this many things.

    Above `MOST`, count and mean are scaled down: of so many things the size of the law decides the scatter, not their number.
    """
    scale = max(1.0, count / MOST)
    scaled = Law(law.mean / scale, law.size)
    below, term = 0.0, _log_of_none(scaled)
    for things in range(math.ceil(count / scale)):
        below += math.exp(term)
        term += math.log(_ratio(things, scaled))
    return max(0.0, 1.0 - below)


def _log_of_none(law: Law) -> float:
    """Return the logarithm of the chance of no thing at all."""
    return -law.mean if math.isinf(law.size) else law.size * math.log(law.size / (law.size + law.mean))


def _ratio(things: int, law: Law) -> float:
    """Return the chance of `things + 1` divided by the chance of `things`."""
    if math.isinf(law.size):
        return law.mean / (things + 1)
    return (things + law.size) / (things + 1) * law.mean / (law.mean + law.size)
