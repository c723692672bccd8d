"""The causes of a change: the values of one dimension that contributed most, from an answer of `changes`.

Left out are dimensions with one value, or with a value that has nearly everything in both periods; values that contributed less
than chance would; and rows without a value. A channel with the same numbers as a room is noted with the room.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from hubbub.metrics.definition import WITHIN, Unit
from hubbub.model.target import Aim, Target
from hubbub.query.changes import Changes, Part
from hubbub.query.distributions import QUANTILES

MOST = 6
"""Most rows shown."""
LEAST_SHARE = 0.1
"""Smallest share of the difference that is shown."""
CHANCE = 3
"""Number of standard errors below which the change of a part counts as chance."""
FINE = ("channel_id", "staff_id", "topic", "intent", "account_id", "channel")
"""Of dimensions that explain nearly as much, the first is shown: a room says more than its channel."""
NEARLY = 0.7
WHOLE = 0.9
"""Share of all things, in both periods, from which a value is nearly everything and explains nothing."""
PLACES = ("channel_id", "channel", "account_id")
"""Dimensions whose values are places."""
NAMES = {
    "channel": "channels", "channel_id": "rooms", "account_id": "accounts", "staff_id": "staff", "topic": "topics",
    "intent": "intents",
}  # fmt: skip


_AIMS = {"first_response_ms": Aim.FIRST_RESPONSE, "response_ms": Aim.NEXT_RESPONSE}
"""Durations -> the targets that judge them."""


@dataclass(frozen=True, slots=True)
class Cause:
    """A part of a number and its contribution to the difference."""

    dimension: str
    value: str
    before: float | None
    after: float | None
    n: int
    contribution: float
    share: float
    """Share of the difference, 1 for all of it; negative if it counteracts."""
    same: str | None = None
    """A value of another dimension with the same rows."""


@dataclass(frozen=True, slots=True)
class Causes:
    """The rows of the dimension that explains most, greatest first; `left_out`: a text about rows that are not shown."""

    dimension: str
    rows: tuple[Cause, ...]
    left_out: str


def made_of(metric: str, near: float | None, targets: Iterable[Target]) -> tuple[str, ...]:
    """Return the metrics whose parts explain a change, the best first, of which the first with a difference is to be used.

    That is the metric itself, or for a percentile the share within the tenant's target for all such waits, as on its pages, and
    then the share within the limit nearest to `near`.
    """
    name, _, statistic = metric.partition(".")
    if statistic not in QUANTILES:
        return (metric,)
    aim = next((one.aim for one in targets if one.aim == _AIMS.get(name) and one.scope == (None, None)), None)
    within = (f"{aim}_within_target",) if aim else ()
    if not near or near <= 0:
        return (*within, f"{name}.avg")
    return (*within, f"{name}.{min(WITHIN, key=lambda limit: abs(math.log(WITHIN[limit] / near)))}")


def causes(changes: Changes) -> Causes:
    """Return the causes in an answer of `changes`."""
    difference, unit = changes.difference, changes.unit
    if not difference:
        return Causes("", (), "")
    dimensions = changes.dimensions
    known = {name: [row for row in dimensions[name].rows if row.value is not None] for name in dimensions}
    wholes = [name for name in dimensions if _is_whole(dimensions[name].rows)]
    able = [name for name in _in_order(known) if name not in wholes and known[name]]
    if not able:
        return Causes("", (), "")
    most = max(_greatest_share(known[name], difference) for name in able)
    dimension = next(name for name in able if _greatest_share(known[name], difference) >= min(most, NEARLY * most))
    rows = known[dimension]
    moving = [row for row in rows if _matters(row, difference, unit)]
    doubles = {_key(row): row.value for row in known.get("channel", [])} if dimension == "channel_id" else {}
    top = tuple(_cause(dimension, row, row.contribution / difference, doubles.get(_key(row))) for row in moving[:MOST])
    others = dimensions[dimension].others
    quiet = len(dimensions[dimension].rows) - len(top) + (others.count if others else 0)
    return Causes(dimension, top, _left_out(dimension, len(top), quiet, [name for name in able if name != dimension]))


def only(changes: Changes, dimension: str) -> Cause | None:
    """Return the value of a dimension that is its only one, else None."""
    parts = changes.dimensions.get(dimension)
    if parts is None or len(parts.rows) != 1 or parts.rows[0].value is None:
        return None
    return _cause(dimension, parts.rows[0], 1.0)


def in_one_place(changes: Changes) -> bool:
    """Say whether nearly all things of a number are in one room, channel and account, as far as it has these dimensions."""
    known = [changes.dimensions[name].rows for name in PLACES if name in changes.dimensions]
    return bool(known) and all(_is_whole(rows) for rows in known)


def _is_whole(rows: Sequence[Part]) -> bool:
    """Say whether a dimension has one value, or the value with the greatest contribution has nearly everything, before and now."""
    if len(rows) < 2:
        return True
    now, before = sum(row.n for row in rows), sum(row.n_before for row in rows)
    return rows[0].n >= WHOLE * now and rows[0].n_before >= WHOLE * before > 0


def _cause(dimension: str, row: Part, share: float, same: str | None = None) -> Cause:
    return Cause(dimension, row.value or "", row.before, row.after, row.n, row.contribution, share, same)


def _in_order(known: Mapping[str, Sequence[Part]]) -> list[str]:
    return sorted(known, key=lambda name: FINE.index(name) if name in FINE else len(FINE))


def _greatest_share(rows: Sequence[Part], difference: float) -> float:
    """Return the greatest share of the difference among the rows."""
    return max((row.contribution / difference for row in rows), default=0.0)


def _key(row: Part) -> tuple[float | None, ...]:
    return row.before, row.after, row.n, row.n_before, row.contribution


def _matters(row: Part, difference: float, unit: str) -> bool:
    """Say whether a part made at least LEAST_SHARE of the difference, and more than chance would."""
    moved = abs(row.contribution)
    return moved >= LEAST_SHARE * abs(difference) and moved > CHANCE * _error(row, difference, unit)


def _error(row: Part, difference: float, unit: str) -> float:
    """Return the standard error of a contribution; for shares and durations by their weight in the whole, else for counts or 0."""
    if unit == Unit.COUNT:
        return math.sqrt(max(1.0, row.n + row.n_before) / 2)
    if row.before is None or row.after is None:
        return 0.0
    own = row.after - row.before
    both = [(value, n) for value, n in ((row.after, row.n), (row.before, row.n_before)) if n]
    if unit == Unit.SHARE:
        spread = sum(p * (1 - p) / n for p, n in both)
    elif unit == Unit.MS:  # durations spread at least as far as their mean
        spread = sum(mean * mean / n for mean, n in both)
    else:
        return 0.0
    return math.sqrt(spread) * abs(row.rate / own) if own else 0.0


def _left_out(dimension: str, shown: int, quiet: int, others: Sequence[str]) -> str:
    """Return a text about rows that are not shown, and dimensions that show the same change."""
    name, parts = NAMES.get(dimension, dimension), []
    if quiet > 0:
        alone = f"None of the {quiet} other {name} changed clearly by itself."
        if quiet == 1:
            alone = f"The change of the other {name.removesuffix('s')} is not clear by itself."
        parts.append(alone if shown else f"None of the {name} stands out.")
    if others and shown:
        text = _and([NAMES.get(other, other) for other in others])
        parts.append(f"{text[:1].upper()}{text[1:]} show the same change.")
    return " ".join(parts)


def _and(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1]))) if words else ""
