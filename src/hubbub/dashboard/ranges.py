"""Shares of few things beside each other: each with its 95 % range, and a sentence on whom these ranges tell apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from hubbub.calculations import wilson_lower
from hubbub.dashboard.ask import Ask
from hubbub.dashboard.build import unit_of
from hubbub.dashboard.components import Column, Shown, Table
from hubbub.dashboard.names import labels
from hubbub.dashboard.view import FILTERS
from hubbub.metrics.catalogue import title_of
from hubbub.model.question import NONE
from hubbub.reports.formatting import shown

FEW = 10
"""Fewest things of a share that is not grey."""
MOST = 30
MOST_NAMED = 3
"""Most pairs that the sentence names."""


@dataclass(frozen=True, slots=True)
class Range:
    """A share of `n` things, and the range that holds its true value in 95 of 100 cases."""

    name: str
    share: float
    low: float
    high: float


def ranges(ask: Ask, dimension: str, share: str, count: str, others: Sequence[str], nothing: str) -> Shown:
    """Show a share by the values of a dimension, those with most things first; `count`: how many, `others`: more columns."""
    metrics = [count, share, *others]
    answer = ask.query(metrics, by=[dimension])
    if answer.unfiltered:
        return Shown(empty=f"{title_of(share)} is not known by this filter.")
    rated = sorted((row for row in answer.rows if row[count]), key=lambda row: -row[count])
    if not rated:
        return Shown(empty=nothing)
    values = [row[dimension] if row[dimension] is not None else NONE for row in rated]
    called = labels(ask, dimension, values)
    whole = ask.query([share]).cell(share)["value"]
    found = [_range(row["details"][share], value) for row, value in zip(rated, values, strict=True)]
    rows = [_row(row, value, metrics, within, whole) for row, value, within in zip(rated, values, found, strict=True)]
    links = [_links(ask, dimension, value, metrics) for value in values]
    columns = [
        Column("name", FILTERS.get(dimension, dimension.capitalize()), of=dimension), Column(count, title_of(count), "count"),
        Column(share, title_of(share), "share"), Column("low", "From", "share"), Column("high", "to", "share"),
        *(Column(name, title_of(name), unit_of(name)) for name in others),
    ]  # fmt: skip
    people = [each for each in found if each is not None and each.name != NONE]
    data = {"most": MOST, "share": share, "count": count, "others": list(others)}
    return Shown("ranges", data, Table(columns, rows, links), _apart(people, called))


def _range(cell: Mapping[str, Any], name: str) -> Range | None:
    part, n = cell["numerator"], cell["n"]
    low, rest = wilson_lower(part, n), wilson_lower(n - part, n)
    return None if low is None or rest is None else Range(name, part / n, low, 1 - rest)


def _row(
    row: Mapping[str, Any], value: str, metrics: Sequence[str], within: Range | None, whole: float | None
) -> dict[str, Any]:
    return {
        "name": value, **{name: row[name] for name in metrics}, "few": row[metrics[0]] < FEW,
        "low": within and within.low, "high": within and within.high, "plot": _plot(within, whole) if within else "",
    }  # fmt: skip


def _links(ask: Ask, dimension: str, value: str, metrics: Sequence[str]) -> dict[str, str]:
    only = ask.link(view=ask.view.with_filter(dimension, value)) if dimension in FILTERS else ""
    return {"name": only, **{name: ask.explained(name, where={dimension: value}) for name in metrics}}


def _plot(within: Range, whole: float | None) -> Markup:
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


def _apart(people: Sequence[Range], called: Mapping[str, str]) -> str:
    """Return a sentence on those whose ranges do not overlap, the farthest first; or that all do."""
    if len(people) < 2:
        return "There is nobody to compare with."
    pairs = sorted(
        ((one, other) for one in people for other in people if one.low > other.high),
        key=lambda pair: pair[1].high - pair[0].low,
    )
    if not pairs:
        return "All 95 % ranges overlap: these ratings do not tell people apart."
    named = ", ".join(
        f"{called[one.name]} ({shown(one.share, 'share')}) above {called[other.name]} ({shown(other.share, 'share')})"
        for one, other in pairs[:MOST_NAMED]
    )
    more = f" and {len(pairs) - MOST_NAMED} more pairs" if len(pairs) > MOST_NAMED else ""
    return f"Ratings tell apart {named}{more}; where ranges overlap they do not."
