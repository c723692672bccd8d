"""Times and ranges as people write them."""

from __future__ import annotations

import pytest

from hubbub.metrics.catalogue import find
from hubbub.reports.formatting import JOINER, between, changed, day, in_sentence, instant, shown, unbroken, window_start


def test_the_time_of_an_event_is_that_of_its_own_offset() -> None:
    """A time is formatted in its own offset, whatever the machine's zone."""
    assert instant("2026-11-28T17:19:59+01:00") == "Sat 28 Nov 2026, 17:19"
    assert day("2026-11-28") == window_start("2026-11-28T00:00:00+01:00") == "Sat 28 Nov 2026"
    assert window_start("2026-10-25T02:00:00+01:00") == "Sun 25 Oct 2026, 02:00 +01:00"


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
        (-10.154, 24.49, "index", "−10.2 – 24.5"),
        (3.6, 4.4, "count", "4"),
        (0.901, 0.9013, "share", "90.1%"),
        (60_000, 60_400, "ms", "1 min"),
    ],
)
def test_a_range_has_no_more_digits_than_it_is_wide(low: float, high: float, unit: str, text: str) -> None:
    """Counts are whole; shares have a decimal only if the range is narrow; ends that read alike are written once."""
    assert between(low, high, unit) == text


@pytest.mark.parametrize(
    ("text", "together"),
    [
        ("within 7 h 49 min, where 7 min 53 s – 38 min is usual", ["7 h 49 min", "7 min 53 s – 38 min"]),
        ("33%, where 66 – 85% is usual; 1,206 – 1,445 of 3 d 15 h", ["66 – 85%", "1,206 – 1,445", "3 d 15 h"]),
        ("usual 0 – 4, of n = 57 or n = none", ["0 – 4", "n = 57"]),
        ("4.2 s or 250 ms, 3 min", ["4.2 s", "250 ms", "3 min"]),
        ("from 27 to 30 November, 5 days; 12 hours – none; 2 seats", []),
    ],
)
def test_durations_and_ranges_stay_on_one_line(text: str, together: list[str]) -> None:
    """Spaces inside durations and ranges are no-break spaces, and no dash ends a line; the characters are otherwise the same."""
    joined = unbroken(text)
    assert joined.count(f"–{JOINER}") == joined.count("\xa0–") == sum(part.count("–") for part in together)
    written = joined.replace(JOINER, "")
    assert written.replace("\xa0", " ") == text
    assert all(part.replace(" ", "\xa0") in written for part in together)
    assert written.count("\xa0") == sum(part.count(" ") for part in together)


@pytest.mark.parametrize(
    "ms", [250, 4_200, 59_999, 200_000, 3_599_999, 5_000_000, 90_300_000, 302_400_000, 8_121_600_000]
)
def test_no_written_duration_can_break(ms: int) -> None:
    """A duration written by us has no space at which a line can break, alone and as an end of a range."""
    assert " " not in unbroken(shown(ms, "ms")) and " " not in unbroken(between(0.5 * ms, ms, "ms")).replace(
        "up to ", ""
    )


def test_a_title_inside_a_sentence_keeps_its_abbreviation() -> None:
    """The first capital is lowered, except in AI or CSAT."""
    assert [in_sentence(title) for title in ("Messages", "AI hand-offs", "CSAT", "")] == [
        "messages",
        "AI hand-offs",
        "CSAT",
        "",
    ]


def test_scores_to_100_have_one_decimal_and_means_on_short_scales_two() -> None:
    """NPS, campaign scores and engagement, and their changes, have one decimal; a mean rating of 1 to 5 has two."""
    assert (shown(-9.375, "index"), shown(100.0, "index"), changed(-28.73, None, "index")) == ("−9.4", "100.0", "−28.7")
    assert (shown(3.4444, "score"), changed(-0.614, None, "score")) == ("3.44", "−0.61")
    units = {
        name: find(name).unit
        for name in ("rating_avg", "nps_score", "nps10_score", "campaign_score", "contact_engagement_score")
    }
    assert [name for name, unit in units.items() if unit == "score"] == ["rating_avg"]
    assert set(units.values()) == {"score", "index"}
