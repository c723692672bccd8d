"""Judging one number: whether it is news, and which way it went."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from hubbub.metrics.catalogue import find
from hubbub.metrics.definition import Better, Unit
from hubbub.news.candidates import Candidate
from hubbub.query.result import Cell
from hubbub.query.usual import Usual

FURTHEST = 99.0
"""The size of what is not comparable with its noise, because there was none."""


class Verdict(StrEnum):
    """What is said of a number."""

    NEWS = "news"
    """It lies beyond its noise, and far enough for people to care."""
    BEYOND = "beyond"
    """It lies beyond its noise, but is of few things, or hardly other than usual."""
    USUAL = "usual"
    UNKNOWN = "unknown"
    """It has no value, or what is usual of it is not known."""


class Way(StrEnum):
    """Which way a number went; better or worse where one of them is."""

    BETTER = "better"
    WORSE = "worse"
    UP = "up"
    DOWN = "down"
    NONE = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict, the way, and how many times as far from the middle as its noise reaches."""

    verdict: Verdict
    way: Way = Way.NONE
    size: float = 0.0


def judged(metric: str, cell: Cell, usual: Usual, previous: float | None, candidate: Candidate | None) -> Judged:
    """Return what is said of a number. `previous` is the one that it is compared with: what was so before is no news.

    Without a candidate nothing is news: a number is beyond its noise, or it is not.
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
    has_words = candidate is not None and bool(candidate.up if rises else candidate.down)
    near = usual.median if previous is None else min(usual.median, previous, key=lambda one: abs(value - one))
    matters = has_words and candidate is not None and _matters(candidate, find(metric).unit, cell, near)
    return Judged(Verdict.NEWS if matters else Verdict.BEYOND, way_of(metric, rises=rises), size)


def way_of(metric: str, *, rises: bool) -> Way:
    """Return whether up or down is better or worse for a metric, or just that where it is neither."""
    better = find(metric).better
    if better is None:
        return Way.UP if rises else Way.DOWN
    return Way.BETTER if rises == (better is Better.HIGHER) else Way.WORSE


def _matters(candidate: Candidate, unit: Unit, cell: Cell, middle: float) -> bool:
    value = float(cell.value or 0)
    if unit is Unit.SHARE:
        return (cell.n or 0) >= candidate.least_n and abs(value - middle) >= candidate.least
    many = max(value, middle) if unit is Unit.COUNT else (cell.n or 0)
    return many >= candidate.least_n and max(value, middle) >= candidate.least * min(value, middle)
