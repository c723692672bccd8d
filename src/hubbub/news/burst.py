"""Bursts: whether a few days carry the change of a long stretch, so that the news name these days and no level.

Days are a burst when

- they are at most half of the days,
- their own number is news by the same floors as any (`news/judge.py`), and
- the days before them and the days since are each within what is usual of so many things (`query/usual_stretch.py`).

Tried is the run of days farthest beyond the noise: the sum of its days' distances beyond the bound of the stretch's usual range
is the greatest, each day by its number of things (durations as logarithms, so that one wait does not decide). The days of a topic
are tried for other numbers, too (`news/story.py`).

A stretch of up to a week has none: eight numbers say too little about parts of a week. Distinct contacts of days do not add up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

from hubbub.metrics.catalogue import find
from hubbub.metrics.definition import Distinct, Unit
from hubbub.model.question import Question
from hubbub.model.window import Grain, window_of
from hubbub.news.about import About
from hubbub.news.candidates import Candidate
from hubbub.news.judge import Judged, Verdict, judged
from hubbub.news.number import Number
from hubbub.query.result import Cell, State
from hubbub.query.usual import WEEK, Usual, UsualRow, usual_of_each
from hubbub.query.usual_stretch import usual_of_part

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


@dataclass(frozen=True)
class Bursts:
    """The runs of days of a number's stretch, of which one may carry its change."""

    about: About
    number: Number
    candidate: Candidate
    question: Question
    """Of the number's metric alone, over the stretch."""

    @cached_property
    def farthest(self) -> Burst | None:
        """The burst of the run farthest beyond the noise, or None."""
        return self._carrying(*farthest(self._excesses())) if self._has_parts else None

    def of(self, start: datetime, end: datetime) -> Burst | None:
        """Return the burst of the whole days in a range (aware), or None."""
        if not self._has_parts:
            return None
        inside = [place for place, day in enumerate(self._days) if start <= day.start < end]
        return self._carrying(inside[0], inside[-1] + 1) if inside else None

    @property
    def _has_parts(self) -> bool:
        question = self.question
        return question.end - question.start > WEEK and not isinstance(find(self.number.metric).declared, Distinct)

    @cached_property
    def _days(self) -> list[UsualRow]:
        """The days of the stretch that have ended, each beside its own usual range."""
        about, question = self.about, replace(self.question, grain=Grain.DAY, compare=None)
        (answer,) = usual_of_each(about.ask, about.reading, about.tenant, question)
        return [row for row in answer.rows if row.start >= question.start and row.cell.state != State.LIVE]

    @cached_property
    def _weights(self) -> list[float]:
        """The part of the stretch that each day is: of a count by what is usual of its weekday, else by its things."""
        counts = self.number.unit is Unit.COUNT
        weights = [float((day.usual.median if counts else day.cell.n) or 0) for day in self._days]
        whole = sum(weights)
        return [weight / whole for weight in weights] if whole else [1 / len(weights)] * len(weights)

    def _excesses(self) -> list[float]:
        """Return how far each day lies beyond the bound of the stretch's usual range; below 0 within it."""
        usual, unit, rises = self.number.usual, self.number.unit, self.number.rises
        bound = (usual.high if rises else usual.low) or 0.0
        pairs = [(float(day.cell.value or 0), weight) for day, weight in zip(self._days, self._weights, strict=True)]
        if unit is Unit.COUNT:
            far = [value - bound * weight for value, weight in pairs]
        elif unit is Unit.MS:
            far = [weight * math.log(max(value, 1) / max(bound, 1)) for value, weight in pairs]
        else:
            far = [weight * (value - bound) for value, weight in pairs]
        return far if rises else [-excess for excess in far]

    def _carrying(self, first: int, after: int) -> Burst | None:
        """Return the burst of the days `[first, after)`, if they carry the change."""
        days, weights, name = self._days, self._weights, self.number.metric
        if not 0 < after - first <= MOST_DAYS * len(days):
            return None
        ends = [day.start for day in days] + [window_of(days[-1].start, Grain.DAY, self.about.tenant.tz).end]
        cuts = sorted({0, first, after, len(days)})
        edges = tuple(ends[cut] for cut in cuts)
        answer = self.about.ask(replace(self.question, start=ends[0], end=ends[-1], edges=edges, compare=None))
        parts = {
            cut: self._part(row.cells[name], sum(weights[cut:end]))
            for cut, end, row in zip(cuts, cuts[1:], answer.each(), strict=False)
        }
        burst = parts.pop(first)
        quiet = all(part.judged.verdict is Verdict.USUAL for part in parts.values())
        if burst.judged.verdict is not Verdict.NEWS or not quiet:
            return None
        return Burst(ends[first], ends[after], burst.cell, burst.usual, after == len(days))

    def _part(self, cell: Cell, share: float) -> _Part:
        name = self.number.metric
        known = usual_of_part(name, self.number.usual, cell, share)
        return _Part(cell, known, judged(name, cell, known, None, self.candidate))


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
