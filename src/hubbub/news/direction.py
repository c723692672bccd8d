"""How the change of a number looks: coloured or bold only beyond its noise, and of enough things."""

from __future__ import annotations

from hubbub.metrics.definition import Unit
from hubbub.news.answer import NewsNumber

FEW = 10
"""Fewest things behind a share or duration with a color."""


def way_beyond(number: NewsNumber) -> str:
    """Return the class of a change beyond its noise: better, worse or beyond; empty for others."""
    if number.verdict not in ("news", "beyond") or (number.unit != Unit.COUNT and (number.n or 0) < FEW):
        return ""
    value = number.value or 0
    rises = value > (number.usual.median or 0)
    if number.previous is not None and (value > number.previous) != rises:
        return ""
    way = number.way if number.way in ("better", "worse") else "beyond"
    return f"{way} {'rises' if rises else 'falls'}"
