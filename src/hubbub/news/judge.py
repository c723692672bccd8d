"""Judges a number: whether it is news, and its direction."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from hubbub.metrics.catalogue import find
from hubbub.metrics.definition import Better, Unit
from hubbub.news.candidates import FLOORS, Candidate, candidate_of
from hubbub.query.result import Cell, State
from hubbub.query.usual import Usual, UsualRow
from hubbub.query.usual_stretch import usual_of_part

FURTHEST = 99.0
"""Largest size, also of a number whose usual range has no width."""


class Verdict(StrEnum):
    """The relation of a number to its usual range."""

    NEWS = "news"
    """It lies beyond its noise, and far enough for people to care."""
    BEYOND = "beyond"
    """It is outside its usual range, but no news: see `Held`."""
    USUAL = "usual"
    UNKNOWN = "unknown"
    """It has no value, or its usual range is unknown."""


class Way(StrEnum):
    """Direction of a number; better or worse if the metric declares a better direction."""

    BETTER = "better"
    WORSE = "worse"
    UP = "up"
    DOWN = "down"
    NONE = ""


class Held(StrEnum):
    """The reason why a number outside its usual range is no news."""

    NONE = ""
    INCOMPLETE = "incomplete"
    """Data of its days are missing, which may be the cause."""
    FEW = "few"
    """It is computed from too few things."""
    LITTLE = "little"
    """It is close to usual, or to the compared days, which were usual."""
    BEFORE = "before"
    """It was as far, or farther, from usual in the compared days."""


_HELD = {
    Held.NONE: ("", ""), Held.INCOMPLETE: ("outside, but ", "data are missing"), Held.FEW: ("outside, but ", "too few to tell"),
    Held.LITTLE: ("outside ", "by little"), Held.BEFORE: ("outside, ", "as before"),
}  # fmt: skip
"""Why a number outside its usual range is no news: how the text begins, and the reason."""


@dataclass(frozen=True, slots=True)
class Judged:
    """Verdict, direction, and `size`: distance from the median in half widths of the usual range; `held`: why it is only beyond."""

    verdict: Verdict
    way: Way = Way.NONE
    size: float = 0.0
    held: Held = Held.NONE


def judged(metric: str, cell: Cell, usual: Usual, previous: float | None, candidate: Candidate | None) -> Judged:
    """Judge a number. `previous`: the same number of the compared period, or None; a number that was as far then is no news.

    A candidate has its own floors; without one, those of the metric's unit apply.
    """
    value = cell.value
    if value is None or usual.median is None or usual.low is None or usual.high is None:
        return Judged(Verdict.UNKNOWN)
    rises = value > usual.high
    if not rises and not value < usual.low:
        return Judged(Verdict.USUAL)
    half = (usual.high if rises else usual.median) - (usual.median if rises else usual.low)
    size = min(FURTHEST, abs(value - usual.median) / half) if half > 0 else FURTHEST
    bound = usual.high if rises else usual.low
    held = _held(metric, cell, float(usual.median), bound, previous, candidate, rises=rises)
    return Judged(Verdict.BEYOND if held else Verdict.NEWS, way_of(metric, rises=rises), size, held)


def held_back(held: str | None) -> str:
    """Return the reason why a number outside its usual range is no news, as text after the range; empty for others."""
    return "".join(_HELD[Held(held or "")])


def reason(held: str | None) -> str:
    """Return the same without "outside", for lists of numbers that are."""
    return _HELD[Held(held or "")][1]


def of_window(metric: str, row: UsualRow) -> Judged:
    """Judge a single window by its usual range, chance and the floors."""
    return judged(metric, row.cell, usual_of_part(metric, row.usual, row.cell, 1), None, candidate_of(metric))


def way_of(metric: str, *, rises: bool) -> Way:
    """Return the direction of a metric: better or worse if it declares one, else up or down."""
    better = find(metric).better
    if better is None:
        return Way.UP if rises else Way.DOWN
    return Way.BETTER if rises == (better is Better.HIGHER) else Way.WORSE


def _held(
    metric: str,
    cell: Cell,
    middle: float,
    bound: float,
    previous: float | None,
    candidate: Candidate | None,
    *,
    rises: bool,
) -> Held:
    """Return the reason why a number beyond the bound of its usual range around `middle` is no news, or `Held.NONE`."""
    unit, value = find(metric).unit, float(cell.value or 0)
    least_n, least = (candidate.least_n, candidate.least) if candidate else FLOORS[unit]
    if cell.state == State.INCOMPLETE and not (
        rises and unit is Unit.COUNT
    ):  # what is missing could only add to a count
        return Held.INCOMPLETE
    near = middle if previous is None else min(middle, previous, key=lambda other: abs(value - other))
    if (max(value, near) if unit is Unit.COUNT else cell.n or 0) < least_n:
        return Held.FEW
    if not _is_far(unit, value, middle, least):
        return Held.LITTLE
    if previous is not None and (value > previous) != rises:
        return Held.BEFORE
    if previous is not None and not _is_far(unit, value, previous, least):
        was_outside = previous > bound if rises else previous < bound
        return Held.BEFORE if was_outside else Held.LITTLE
    return Held.NONE


def _is_far(unit: Unit, value: float, other: float, least: float) -> bool:
    if unit in (Unit.SHARE, Unit.SCORE, Unit.INDEX):
        return abs(value - other) >= least
    return max(value, other) >= least * min(value, other)
