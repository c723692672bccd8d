"""The engagement score in SQL, for thousands of contacts in one statement: `calculations.contact_engagement_score` once more.

Both read the same constants, and a test holds them together. Points are added as whole billionths, so that the score of
the same deeds has the same last digit in whatever order an engine adds them.
"""

from __future__ import annotations

from collections.abc import Mapping

from hubbub.calculations import DEED_HALF_LIFE_DAYS, DEED_SCALE, DEED_WEIGHTS, DEEDS_PER_DAY

DEEDS: Mapping[str, str] = {
    "conversions": "conversion", "inbound": "inbound", "good_ratings": "rating", "clicks": "click", "reads": "read",
}  # fmt: skip
"""Measure of the rollup `contacts` -> kind of deed."""

BILLION = 1_000_000_000


def points(row: str, age: str) -> str:
    """SQL for the points, in billionths, of a contact's deeds on one local day that was `age` days ago (0 or more)."""
    worth = " + ".join(f"least({row}.{m}, {DEEDS_PER_DAY}) * {DEED_WEIGHTS[kind]!r}e0" for m, kind in DEEDS.items())
    return f"CAST(round(({worth}) * pow(2e0, -({age}) / {DEED_HALF_LIFE_DAYS!r}e0) * {BILLION}) AS BIGINT)"


def score(raw: str) -> str:
    """SQL for the score, in billionths, of points added over all days."""
    return f"CAST(round(100e0 * (1e0 - exp(-({raw}) / {DEED_SCALE * BILLION!r}e0)) * {BILLION}) AS BIGINT)"
