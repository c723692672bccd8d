"""Silence: ranges in which a sending source sent nothing, although so much was expected that chance does not explain it.

The expected count of an hour is the median of the same hour of the week in the weeks before, or of the same hour of the day while
only two weeks are known. A run of empty hours is silent when at least `LEAST` events were expected in it (probability of none e^-7,
less than one in a thousand), and a quarter more than in any earlier run of empty hours: a source that is often quiet is not silent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

LEAST = 7.0
WEEKS = 8
"""Number of earlier weeks that are compared."""
HISTORY = 14 * 24
"""Hours of history needed to expect anything."""
MORE = 1.25
"""Factor by which a silent run's expected count must exceed that of any earlier quiet run."""
_DAY, _WEEK = 24, 7 * 24


def silences(counts: Sequence[int], watched: int) -> list[tuple[int, int]]:
    """Return the silent runs `[first, after)`, by index of hour, among the last `watched` hours.

    `counts` are the events of consecutive hours. With too little history, or too few expected events, the list is empty.
    """
    begin = len(counts) - watched
    if begin < HISTORY:
        return []
    expected = [_expected(counts, hour) for hour in range(len(counts))]
    quiet = max((sum(expected[first:after]) for first, after in _runs(counts, HISTORY, begin)), default=0.0)
    floor = max(LEAST, MORE * quiet)
    return [(first, after) for first, after in _runs(counts, begin, len(counts)) if sum(expected[first:after]) >= floor]


def _expected(counts: Sequence[int], hour: int) -> float:
    """Return the usual number of events in an hour, by similar hours before."""
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
