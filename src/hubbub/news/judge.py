"""Judge a number: whether it is news, and its direction."""

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
"""Size of a number without noise."""


class Verdict(StrEnum):
    """How a number compares with its usual range."""

    NEWS = "news"
    """It lies beyond its noise, and far enough for people to care."""
    BEYOND = "beyond"
    """It lies outside its usual range, but something holds it back: see `Held`."""
    USUAL = "usual"
    UNKNOWN = "unknown"
    """It has no value, or its usual range is not known."""


class Way(StrEnum):
    """Direction of a number; better or worse where the metric says so."""

    BETTER = "better"
    WORSE = "worse"
    UP = "up"
    DOWN = "down"
    NONE = ""


class Held(StrEnum):
    """Why a number outside its usual range is no news."""

    NONE = ""
    INCOMPLETE = "incomplete"
    """Data of its days are missing, which may be why."""
    FEW = "few"
    """It is of too few things."""
    LITTLE = "little"
    """It lies close to what is usual."""
    BEFORE = "before"
    """It was so in the compared days, or more so."""


_HELD = {
    Held.NONE: "", Held.INCOMPLETE: "outside, but data are missing", Held.FEW: "outside, of too few",
    Held.LITTLE: "outside by little", Held.BEFORE: "outside, as before",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Judged:
    """Verdict, direction, and `size`: distance from the median in widths of its noise; `held`: why it is only beyond."""

    verdict: Verdict
    way: Way = Way.NONE
    size: float = 0.0
    held: Held = Held.NONE


def judged(metric: str, cell: Cell, usual: Usual, previous: float | None, candidate: Candidate | None) -> Judged:
    """Judge a number. `previous` is its comparison, None without: what was so before is no news.

    A candidate has floors of its own; without one, those of the metric's unit hold.
    """
    value = cell.value
    if value is None or usual.median is None or usual.low is None or usual.high is None:
        return Judged(Verdict.UNKNOWN)
    rises = value > usual.high
    if not rises and not value < usual.low:
        return Judged(Verdict.USUAL)
    half = (usual.high if rises else usual.median) - (usual.median if rises else usual.low)
    size = min(FURTHEST, abs(value - usual.median) / half) if half > 0 else FURTHEST
    held = _held(metric, cell, float(usual.median), previous, candidate, rises=rises)
    return Judged(Verdict.BEYOND if held else Verdict.NEWS, way_of(metric, rises=rises), size, held)


def held_back(held: str | None) -> str:
    """Return in words, to read after the usual range, why a number outside it is no news; empty for others."""
    return _HELD[Held(held or "")]


def of_window(metric: str, row: UsualRow) -> Judged:
    """Judge a window by itself: beyond its usual range, beyond chance, and beyond the floors."""
    return judged(metric, row.cell, usual_of_part(metric, row.usual, row.cell, 1), None, candidate_of(metric))


def way_of(metric: str, *, rises: bool) -> Way:
    """Return the direction of a metric: better or worse where it has one, else up or down."""
    better = find(metric).better
    if better is None:
        return Way.UP if rises else Way.DOWN
    return Way.BETTER if rises == (better is Better.HIGHER) else Way.WORSE


def _held(
    metric: str, cell: Cell, middle: float, previous: float | None, candidate: Candidate | None, *, rises: bool
) -> Held:
    """Return why a number outside its usual range around `middle` is no news."""
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
    if previous is not None and ((value > previous) != rises or not _is_far(unit, value, previous, least)):
        return Held.BEFORE
    return Held.NONE


def _is_far(unit: Unit, value: float, other: float, least: float) -> bool:
    if unit in (Unit.SHARE, Unit.SCORE):
        return abs(value - other) >= least
    return max(value, other) >= least * min(value, other)
