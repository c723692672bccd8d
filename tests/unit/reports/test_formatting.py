"""Times and ranges as people write them."""

from __future__ import annotations

import pytest

from hubbub.reports.formatting import between, day, in_sentence, instant


def test_the_time_of_an_event_is_that_of_its_own_offset() -> None:
    """A time is formatted in its own offset, whatever the machine's zone."""
    assert instant("2026-11-28T17:19:59+01:00") == "Sat 28 Nov 2026, 17:19"
    assert day("2026-11-28") == "Sat 28 Nov 2026"


@pytest.mark.parametrize(
    ("low", "high", "unit", "text"),
    [
        (0.8, 20.4, "count", "1 – 20"),
        (1234.5, 9999.6, "count", "1,234 – 10,000"),
        (0.61, 0.719, "share", "61 – 72%"),
        (0.012, 0.03, "share", "1.2 – 3.0%"),
        (600_000, 1_200_000, "ms", "10 min – 20 min"),
        (0.4, 416_000, "ms", "up to 6 min 56 s"),
        (0.5, 2.25, "score", "0.50 – 2.25"),
        (3.6, 4.4, "count", "4"),
        (0.901, 0.9013, "share", "90.1%"),
        (60_000, 60_400, "ms", "1 min"),
    ],
)
def test_a_range_has_no_more_digits_than_it_is_wide(low: float, high: float, unit: str, text: str) -> None:
    """Counts are whole; shares have a decimal only if the range is narrow; ends that read alike are written once."""
    assert between(low, high, unit) == text


def test_a_title_inside_a_sentence_keeps_its_abbreviation() -> None:
    """The first capital is lowered, except in AI or CSAT."""
    assert [in_sentence(title) for title in ("Messages", "AI hand-offs", "CSAT", "")] == [
        "messages",
        "AI hand-offs",
        "CSAT",
        "",
    ]
