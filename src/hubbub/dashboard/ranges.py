"""Shares of few things and spreads of waits, drawn in a cell: the 95 % range of a share, and from the median to 9 in 10."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from hubbub.calculations import wilson_lower
from hubbub.reports.formatting import shown

MOST_NAMED = 3
"""Most pairs that the sentence names."""


@dataclass(frozen=True, slots=True)
class Range:
    """A share of some things, and the range that holds its true value in 95 of 100 cases."""

    name: str
    share: float
    low: float
    high: float


def range_of(name: str, share: float | None, n: int | None) -> Range | None:
    """Return the range (Wilson) of a share of `n` things; None without any."""
    if share is None or not n:
        return None
    part = round(share * n)
    low, rest = wilson_lower(part, n), wilson_lower(n - part, n)
    return None if low is None or rest is None else Range(name, share, low, 1 - rest)


def range_plot(within: Range, whole: float | None) -> Markup:
    """Draw a range from 0 to 100 %, its value as a dot, and the value of all as a line."""
    mark = (
        f'<line class="whole" x1="{100 * whole:.1f}%" x2="{100 * whole:.1f}%" y1="2" y2="14"/>'
        if whole is not None
        else ""
    )
    return Markup(
        f'<svg class="range" aria-hidden="true">{mark}'
        f'<line x1="{100 * within.low:.1f}%" x2="{100 * within.high:.1f}%" y1="8" y2="8"/>'
        f'<circle cx="{100 * within.share:.1f}%" cy="8" r="3.5"/></svg>'
    )


def spread_plot(median: float, most: float, low: float, high: float) -> Markup:
    """Draw a wait from its median (a dot) to 9 in 10 (`most`, in ms) on a log scale between `low` and `high`."""
    start, end = (4 + 92 * _place(value, low, high) for value in (median, most))
    return Markup(
        f'<svg class="range" aria-hidden="true"><rect class="spread" x="{start:.1f}%" width="{max(end - start, 0):.1f}%" '
        f'y="3" height="10"/><circle class="median" cx="{start:.1f}%" cy="8" r="3.5"/></svg>'
    )


def _place(value: float, low: float, high: float) -> float:
    """Return where a value lies between two others on a log scale, 0 to 1."""
    if high <= low:
        return 0.0
    return min(max(math.log(max(value, low) / low) / math.log(high / low), 0.0), 1.0)


def apart(people: Sequence[Range], called: Mapping[str, str]) -> str:
    """Return a sentence on those whose ranges do not overlap, the farthest first; or that all do."""
    if len(people) < 2:
        return "Ratings compare nobody: fewer than two people have some."
    pairs = sorted(
        ((high, low) for high in people for low in people if high.low > low.high),
        key=lambda pair: pair[1].high - pair[0].low,
    )
    if not pairs:
        return "All 95 % ranges overlap: these ratings do not tell people apart."
    named = ", ".join(
        f"{called[high.name]} ({shown(high.share, 'share')}) above {called[low.name]} ({shown(low.share, 'share')})"
        for high, low in pairs[:MOST_NAMED]
    )
    more = f" and {len(pairs) - MOST_NAMED} more pairs" if len(pairs) > MOST_NAMED else ""
    return f"Ratings tell apart {named}{more}; where ranges overlap they do not."
