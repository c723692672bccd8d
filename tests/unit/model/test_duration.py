"""Durations for people have one form everywhere."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.model.duration import DAY, HOUR, MINUTE, SECOND, duration
from hubbub.query.waiting import countdown
from hubbub.reports.formatting import about, shown

SIZES = {"ms": 1, "s": SECOND, "min": MINUTE, "h": HOUR, "d": DAY}
PARTS = re.compile(r"([\d,.]+) (ms|s|min|h|d)")


def parts(text: str) -> list[tuple[float, str]]:
    """Return the amounts of a formatted duration with their units."""
    assert PARTS.sub("", text).strip() == ""
    return [(float(amount.replace(",", "")), unit) for amount, unit in PARTS.findall(text)]


@given(st.floats(0, 4_000 * DAY))
def test_every_duration_is_written_by_one_rule(ms: float) -> None:
    """A duration has at most two adjacent units, no 0 beside another and no ".0", rounded down by at most a tenth or 1 ms."""
    text = duration(ms)
    written, units = parts(text), list(SIZES)
    assert len(written) <= 2 and ".0" not in text
    if len(written) == 2:
        (_, large), (rest, small) = written
        assert units.index(large) - units.index(small) == 1 and 0 < rest < SIZES[large] / SIZES[small]
    told = sum(amount * SIZES[unit] for amount, unit in written)
    assert told <= ms + 1e-6 and ms - told <= max(1, 0.1 * ms)


@given(st.integers(MINUTE, 400 * DAY))
def test_countdowns_and_cells_use_the_same_words(ms: int) -> None:
    """A countdown is a duration of whole minutes, and a cell the duration itself."""
    assert countdown(ms) == f"{duration(ms // MINUTE * MINUTE)} over"
    assert shown(ms, "ms") == duration(ms)
    assert "s" not in about(max(ms, 10 * MINUTE), "ms")


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "0 ms"), (999.9, "999 ms"), (5_000, "5 s"), (59_990, "59.9 s"), (60_000, "1 min"), (200_000, "3 min 20 s"),
        (23 * HOUR + 5 * MINUTE, "23 h 5 min"), (24 * HOUR, "1 d"), (25 * HOUR + 5 * MINUTE, "1 d 1 h"),
        (2 * DAY, "2 d"), (3.5 * DAY, "3 d 12 h"),
        (156 * DAY, "156 d"), (1_200 * DAY, "1,200 d"), (-90_000, "−1 min 30 s"),
    ],
)  # fmt: skip
def test_long_durations_are_written_in_hours_or_days(ms: float, text: str) -> None:
    """Less than a day is in hours, from a day on it is in days, from ten days on without hours."""
    assert duration(ms) == text
