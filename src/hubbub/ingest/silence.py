"""Silence: stretches in which a source that sends by itself sent nothing, and far too much was expected for that to be chance.

What is expected of an hour is the median of the same hour of the week in the weeks before, or of the same hour of the day where
only two weeks are known. A run of empty hours is a finding when at least `LEAST` events were expected in it (chance e^-7, less than
one in a thousand), and a quarter more than in any run of empty hours before: a source that is often quiet is not called silent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

LEAST = 7.0
WEEKS = 8
"""Weeks before that are looked at."""
HISTORY = 14 * 24
"""Hours that have to be known before anything can be expected."""
MORE = 1.25
"""How much more has to be expected than in any quiet run before."""
_DAY, _WEEK = 24, 7 * 24


def silences(counts: Sequence[int], watched: int) -> list[tuple[int, int]]:
    """Return the silent runs `[first, after)`, by number of hour, among the last `watched` of hours that follow on each other.

    `counts` are events by hour. Where too little is known or expected, nothing is said.
    """
    begin = len(counts) - watched
    if begin < HISTORY:
        return []
    expected = [_expected(counts, hour) for hour in range(len(counts))]
    quiet = max((sum(expected[first:after]) for first, after in _runs(counts, HISTORY, begin)), default=0.0)
    floor = max(LEAST, MORE * quiet)
    return [(first, after) for first, after in _runs(counts, begin, len(counts)) if sum(expected[first:after]) >= floor]


def _expected(counts: Sequence[int], hour: int) -> float:
    """Return how many events are usual in an hour, by the hours like it before."""
    weekly = [counts[hour - n * _WEEK] for n in range(1, WEEKS + 1) if hour >= n * _WEEK]
    if len(weekly) >= 4:
        return float(median(weekly))
    daily = [counts[hour - n * _DAY] for n in range(1, 15) if hour >= n * _DAY]
    return float(median(daily)) if daily else 0.0


def _runs(counts: Sequence[int], begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the runs of empty hours in `[begin, end)`."""
    first = None
    for hour in range(begin, end):
        if counts[hour]:
            if first is not None:
                yield first, hour
            first = None
        elif first is None:
            first = hour
    if first is not None:
        yield first, end
