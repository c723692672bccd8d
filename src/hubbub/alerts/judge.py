"""Judges a number by a rule: fired, quiet, or unknown with a reason.

These are pure functions of a number and its usual range. Only complete numbers are judged: their window has ended and is folded,
and no source has a gap in it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from hubbub.alerts.chance import UNLIKELY, Law, chance_of_at_least
from hubbub.metrics.definition import Unit
from hubbub.model.alert import Direction, Kind, Rule
from hubbub.query.result import UNKNOWN, Cell, State
from hubbub.query.usual import LEAST, Usual

FEWEST = 7
"""Fewest expected things whose absence is not chance: e^-7 is one in a thousand."""
LEAST_RISE = 3
"""Smallest count that can be a rise: two messages where none are usual are no news."""


class Verdict(StrEnum):
    """The result of a rule for a window."""

    FIRED = "fired"
    QUIET = "quiet"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Judged:
    """A rule's verdict on a slice (`""`: the whole) of a window `[start, end)`; `why` is the reason of an unknown one."""

    start: datetime
    end: datetime
    slice: str
    value: float | None
    n: int | None
    usual: Usual | None
    verdict: Verdict
    why: str = ""


@dataclass(frozen=True, slots=True)
class Number:
    """A number to judge: window, slice, cell; its usual range and the law of its counts where known."""

    start: datetime
    end: datetime
    slice: str
    cell: Cell
    usual: Usual | None = None
    law: Callable[[], Law] | None = None


_MISSING = {**UNKNOWN, State.INCOMPLETE: "a source has a gap in it", State.LIVE: "its window is still open"}


def judged(rule: Rule, unit: Unit, number: Number) -> Judged:
    """Return a rule's verdict on a number of a metric in `unit`."""
    cell = number.cell
    unknown = Judged(
        number.start, number.end, number.slice, cell.value, cell.n, number.usual, Verdict.UNKNOWN, _MISSING.get(cell.state, "")
    )  # fmt: skip
    if unknown.why:
        return unknown
    if cell.value is None:  # a share or duration of nothing is complete, and no news
        return replace(unknown, verdict=Verdict.QUIET)
    if rule.kind is Kind.SOURCE:
        fired = cell.value == 0 and number.usual is not None and _is_silence(number.usual)
    elif rule.kind is not Kind.CHANGE:
        fired = _beyond(rule, unit, cell.value, cell.n)
    elif number.usual is None or number.usual.median is None:
        return replace(unknown, why=f"fewer than {LEAST} settled weeks before it are known")
    else:
        fired = _unusual(rule, unit, number, cell.value, number.usual)
    return replace(unknown, verdict=Verdict.FIRED if fired else Verdict.QUIET)


def _is_silence(expected: Usual) -> bool:
    """Whether so many events were expected that their absence is not chance, and no earlier week was silent then."""
    return (expected.median or 0) >= FEWEST and (expected.low or 0) > 0


def _beyond(rule: Rule, unit: Unit, value: float, n: int | None) -> bool:
    """Whether a value lies beyond the limit; a share of fewer things than the floor does not count."""
    assert rule.limit is not None
    if unit is Unit.SHARE and (n or 0) < rule.floor:
        return False
    return value > rule.limit if rule.direction is Direction.ABOVE else value < rule.limit


def _unusual(rule: Rule, unit: Unit, number: Number, value: float, usual: Usual) -> bool:
    """Whether a value lies outside its noise band and beyond both floors, in the direction of the rule."""
    assert usual.median is not None and usual.low is not None and usual.high is not None
    rises, falls = value > usual.high, value < usual.low
    if rule.direction is Direction.ABOVE:
        falls = False
    if rule.direction is Direction.BELOW:
        rises = False
    if unit in (Unit.COUNT, Unit.NUMBER) and usual.median < FEWEST:
        falls = False
    if not (rises or falls) or not _is_much(rule, unit, value, usual.median):
        return False
    if rises and rule.at_least is None and number.law is not None:
        return value >= LEAST_RISE and chance_of_at_least(value, number.law()) < UNLIKELY[rule.grain]
    return _is_many(rule, unit, value, number.cell.n, usual.median)


def _is_many(rule: Rule, unit: Unit, value: float, n: int | None, middle: float) -> bool:
    """Whether the absolute floor is reached: by the count or its usual value; for shares, by the number of things that differ."""
    if unit is Unit.SHARE:
        return abs(value - middle) * (n or 0) >= rule.floor
    return (max(value, middle) if unit in (Unit.COUNT, Unit.NUMBER) else (n or 0)) >= rule.floor


def _is_much(rule: Rule, unit: Unit, value: float, middle: float) -> bool:
    """Whether the relative floor is reached; for a share, by itself or by its complement."""
    rests = ((1 - value, 1 - middle),) if unit is Unit.SHARE else ()
    return any(max(first, second) >= rule.times * min(first, second) for first, second in ((value, middle), *rests))
