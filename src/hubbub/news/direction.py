"""How the change of a number looks: coloured or bold only where it is unusual, by the same floors as the news."""

from __future__ import annotations

from hubbub.news.judge import Verdict
from hubbub.news.number import NewsNumber


def way_beyond(number: NewsNumber) -> str:
    """Return the class of an unusual change: better, worse or beyond; empty for others."""
    if number.verdict != Verdict.NEWS:
        return ""
    value = number.value or 0
    rises = value > (number.usual.median or 0)
    if number.previous is not None and (value > number.previous) != rises:
        return ""
    way = number.way if number.way in ("better", "worse") else "beyond"
    return f"{way} {'rises' if rises else 'falls'}"
