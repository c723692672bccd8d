"""Judge a number: whether it is news, and its direction."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from hubbub.metrics.catalogue import find
from hubbub.metrics.definition import Better, Unit
from hubbub.news.candidates import FLOORS, Candidate, candidate_of
from hubbub.query.result import Cell
from hubbub.query.usual import Usual, UsualRow
from hubbub.query.usual_stretch import usual_of_part

FURTHEST = 99.0
"""Size of a number without noise."""


class Verdict(StrEnum):
    """How a number compares with its usual range."""

    NEWS = "news"
    """It lies beyond its noise, and far enough for people to care."""
    BEYOND = "beyond"
    """It lies beyond its noise, but is about few things or close to usual."""
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


@dataclass(frozen=True, slots=True)
class Judged:
    """Verdict, direction, and `size`: distance from the median in widths of its noise."""

    verdict: Verdict
    way: Way = Way.NONE
    size: float = 0.0


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
    if previous is not None and (value > previous) != rises:
        return Judged(Verdict.USUAL)
    half = (usual.high if rises else usual.median) - (usual.median if rises else usual.low)
    size = min(FURTHEST, abs(value - usual.median) / half) if half > 0 else FURTHEST
    near = usual.median if previous is None else min(usual.median, previous, key=lambda other: abs(value - other))
    matters = _matters(candidate, find(metric).unit, cell, near)
    return Judged(Verdict.NEWS if matters else Verdict.BEYOND, way_of(metric, rises=rises), size)


def of_window(metric: str, row: UsualRow) -> Judged:
    """Judge a window by itself: beyond its usual range, beyond chance, and beyond the floors."""
    return judged(metric, row.cell, usual_of_part(metric, row.usual, row.cell, 1), None, candidate_of(metric))


def way_of(metric: str, *, rises: bool) -> Way:
    """Return the direction of a metric: better or worse where it has one, else up or down."""
    better = find(metric).better
    if better is None:
        return Way.UP if rises else Way.DOWN
    return Way.BETTER if rises == (better is Better.HIGHER) else Way.WORSE


def _matters(candidate: Candidate | None, unit: Unit, cell: Cell, middle: float) -> bool:
    least_n, least = (candidate.least_n, candidate.least) if candidate else FLOORS[unit]
    value = float(cell.value or 0)
    if unit in (Unit.SHARE, Unit.SCORE):
        return (cell.n or 0) >= least_n and abs(value - middle) >= least
    many = max(value, middle) if unit is Unit.COUNT else (cell.n or 0)
    return many >= least_n and max(value, middle) >= least * min(value, middle)
