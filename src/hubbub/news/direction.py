"""The style of a number's change: colored or bold only if it is unusual, by the same floors as the news."""

from __future__ import annotations

from hubbub.news.judge import Verdict
from hubbub.news.number import NewsNumber


def way_beyond(number: NewsNumber) -> str:
    """Return the class of an unusual change: better, worse or beyond, with rises or falls; empty for others."""
    if number.verdict != Verdict.NEWS:
        return ""
    rises = (number.value or 0) > (number.usual.median or 0)
    way = number.way if number.way in ("better", "worse") else "beyond"
    return f"{way} {'rises' if rises else 'falls'}"
