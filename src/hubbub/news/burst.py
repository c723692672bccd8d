"""Bursts: whether a few days carry the change of a long stretch, so that the news name these days and no level.

The run of days is the one farthest beyond the noise: the sum of its days' distances beyond the bound of the stretch's usual range
is the greatest, each day by its number of things (durations as logarithms, so that one wait does not decide). It is a burst when

- it has at most half of the days,
- its own number is news by the same floors as any (`news/judge.py`), and
- the days before it and the days since are each within what is usual of so many things (`query/usual_stretch.py`).

A stretch of up to a week has none: eight numbers say too little about parts of a week. Distinct contacts of days do not add up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from hubbub.metrics.catalogue import find
from hubbub.metrics.definition import Distinct, Unit
from hubbub.model.question import Question
from hubbub.model.tenant import Tenant
from hubbub.model.window import Grain, window_of
from hubbub.news.candidates import Candidate
from hubbub.news.judge import Judged, Verdict, judged
from hubbub.query.answering import Ask
from hubbub.query.result import Cell, State
from hubbub.query.usual import WEEK, Usual, UsualRow, usual_of_each
from hubbub.query.usual_stretch import usual_of_part
from hubbub.storage.transaction import Reading

MOST_DAYS = 0.5
"""Greatest part of the days that is a burst; of more, the whole stretch is different."""


@dataclass(frozen=True, slots=True)
class Burst:
    """The days `[start, end)` (aware) that carry a change, their number, and what is usual of so many things."""

    start: datetime
    end: datetime
    cell: Cell
    usual: Usual
    lasts: bool
    """Whether it reaches the last whole day; otherwise the days since are as usual."""


@dataclass(frozen=True, slots=True)
class _Part:
    """Some of the days: their number, what is usual of so many things, and how it is judged."""

    cell: Cell
    usual: Usual
    judged: Judged


def burst_of(
    ask: Ask, reading: Reading, tenant: Tenant, question: Question, usual: Usual, candidate: Candidate, *, rises: bool
) -> Burst | None:
    """Return the burst that carries a change of the question's metric, or None; `usual` is that of the whole stretch."""
    (name,) = question.metrics
    if question.end - question.start <= WEEK or isinstance(find(name).declared, Distinct):
        return None
    days = _whole_days(ask, reading, tenant, question)
    weights = _weights(days, find(name).unit)
    first, after = farthest(_excesses(days, weights, usual, find(name).unit, rises=rises))
    if not 0 < after - first <= MOST_DAYS * len(days):
        return None
    ends = [day.start for day in days] + [window_of(days[-1].start, Grain.DAY, tenant.tz).end]
    cuts = sorted({0, first, after, len(days)})
    answer = ask(replace(question, start=ends[0], end=ends[-1], edges=tuple(ends[cut] for cut in cuts)))
    parts = {
        cut: _part(name, row.cells[name], usual, sum(weights[cut:end]), candidate)
        for cut, end, row in zip(cuts, cuts[1:], answer.each(), strict=False)
    }
    burst = parts.pop(first)
    if burst.judged.verdict is not Verdict.NEWS or any(
        part.judged.verdict is not Verdict.USUAL for part in parts.values()
    ):
        return None
    return Burst(ends[first], ends[after], burst.cell, burst.usual, after == len(days))


def _whole_days(ask: Ask, reading: Reading, tenant: Tenant, question: Question) -> list[UsualRow]:
    """Return the days of a range that have ended, each beside its own usual range."""
    (answer,) = usual_of_each(ask, reading, tenant, replace(question, grain=Grain.DAY, compare=None))
    return [row for row in answer.rows if row.start >= question.start and row.cell.state != State.LIVE]


def _weights(days: Sequence[UsualRow], unit: Unit) -> list[float]:
    """Return the part of the stretch that each day is: of a count by what is usual of its weekday, else by its things."""
    weights = [float((day.usual.median if unit is Unit.COUNT else day.cell.n) or 0) for day in days]
    whole = sum(weights)
    return [weight / whole for weight in weights] if whole else [1 / len(days)] * len(days)


def _excesses(
    days: Sequence[UsualRow], weights: Sequence[float], usual: Usual, unit: Unit, *, rises: bool
) -> list[float]:
    """Return how far each day lies beyond the bound of the stretch's usual range; below 0 within it."""
    bound = (usual.high if rises else usual.low) or 0.0
    pairs = [(float(day.cell.value or 0), weight) for day, weight in zip(days, weights, strict=True)]
    if unit is Unit.COUNT:
        far = [value - bound * weight for value, weight in pairs]
    elif unit is Unit.MS:
        far = [weight * math.log(max(value, 1) / max(bound, 1)) for value, weight in pairs]
    else:
        far = [weight * (value - bound) for value, weight in pairs]
    return far if rises else [-excess for excess in far]


def farthest(excesses: Sequence[float]) -> tuple[int, int]:
    """Return the ends `[first, after)` of the run with the greatest sum; nothing beyond the bound: an empty one."""
    best, ends, total, first = 0.0, (0, 0), 0.0, 0
    for place, excess in enumerate(excesses):
        if total <= 0:
            total, first = 0.0, place
        total += excess
        if total > best:
            best, ends = total, (first, place + 1)
    return ends


def _part(name: str, cell: Cell, usual: Usual, share: float, candidate: Candidate) -> _Part:
    known = usual_of_part(name, usual, cell, share)
    return _Part(cell, known, judged(name, cell, known, None, candidate))
