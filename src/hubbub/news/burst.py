"""Bursts: a few days that account for the change of a long range of days, so that the news name these days.

Days are a burst if

- they are at most half of the days,
- the first and the last of them are each unusual in the direction of the change,
- their own number is news, by the same floors as any number (`news/judge.py`), and
- the days before them and the days after them are each within the usual range of as many things (`query/usual_stretch.py`), or
  without any.

One run of days is tested: the one with the greatest sum of distances beyond the usual range, each day weighted by its number of
things (durations as logarithms, so that a single wait does not decide). The days of a topic are tested for other numbers, too
(`news/story.py`). Both may begin or end with days that are not unusual themselves: these are cut off. A day is unusual outside its
own usual range; one of too few things to be judged alone (`FEW`) outside that of all days.

A range of up to a week has no bursts: eight usual weeks say too little about parts of a week. Neither have distinct counts, since
those of days do not add up.
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
from hubbub.news.candidates import FEW, Candidate
from hubbub.news.judge import Judged, Verdict, judged, of_window
from hubbub.news.number import Number
from hubbub.query.result import Cell, State
from hubbub.query.usual import WEEK, Usual, UsualRow, usual_of_each
from hubbub.query.usual_stretch import usual_of_part

MOST_DAYS = 0.5
"""Largest share of the days that is a burst."""


@dataclass(frozen=True, slots=True)
class Burst:
    """The days `[start, end)` (aware) that account for a change, their number, and the usual range of as many things."""

    start: datetime
    end: datetime
    cell: Cell
    usual: Usual
    days_since: int
    """Whole days after it."""
    lasts: bool
    """Whether it reaches the last whole day with any things; otherwise the days after it are as usual."""


@dataclass(frozen=True, slots=True)
class _Part:
    """Some of the days: their number, the usual range of as many things, and the verdict."""

    cell: Cell
    usual: Usual
    judged: Judged


@dataclass(frozen=True)
class Bursts:
    """Finds the burst of a number, if any."""

    about: About
    number: Number
    candidate: Candidate
    question: Question
    """The question of the number's metric alone, over the whole range."""

    @cached_property
    def farthest(self) -> Burst | None:
        """The burst of the run farthest beyond the usual range, or None."""
        return self._carrying(*farthest(self._excesses)) if self._has_parts else None

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
        """The days that have ended, each with its own usual range."""
        about, question = self.about, replace(self.question, grain=Grain.DAY, compare=None)
        (answer,) = usual_of_each(about.ask, about.reading, about.tenant, question)
        return [row for row in answer.rows if row.start >= question.start and row.cell.state != State.LIVE]

    @cached_property
    def _weights(self) -> list[float]:
        """Weight of each day, 1 in all: for a count by the usual count of its weekday, else by its number of things."""
        counts = self.number.unit is Unit.COUNT
        weights = [float((day.usual.median if counts else day.cell.n) or 0) for day in self._days]
        whole = sum(weights)
        return [weight / whole for weight in weights] if whole else [1 / len(weights)] * len(weights)

    @cached_property
    def _unusual(self) -> list[bool]:
        """Whether each day is unusual in the direction of the change."""
        rises, pairs = self.number.rises, zip(self._days, self._excesses, strict=True)
        return [excess > 0 if (way := way_of_day(self.number.metric, day)) is None else way == (1 if rises else -1)
                for day, excess in pairs]  # fmt: skip

    @cached_property
    def _excesses(self) -> list[float]:
        """Return the distance of each day beyond the usual range of the whole, weighted; below 0: within it."""
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
        """Return the days `[first, after)`, trimmed, as a burst, or None if they do not account for the change."""
        days, weights, name = self._days, self._weights, self.number.metric
        first, after = trimmed(first, after, self._unusual)
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
        quiet = all(part.judged.verdict in (Verdict.USUAL, Verdict.UNKNOWN) for part in parts.values())
        if burst.judged.verdict is not Verdict.NEWS or not quiet:
            return None
        lasts = after not in parts or parts[after].judged.verdict is Verdict.UNKNOWN
        return Burst(ends[first], ends[after], burst.cell, burst.usual, len(days) - after, lasts)

    def _part(self, cell: Cell, share: float) -> _Part:
        name = self.number.metric
        known = usual_of_part(name, self.number.usual, cell, share)
        return _Part(cell, known, judged(name, cell, known, None, self.candidate))


def way_of_day(metric: str, day: UsualRow) -> int | None:
    """Return 1 for a day above its own usual range, -1 below, 0 within it; None for too few things, or without a range."""
    value, middle = day.cell.value, day.usual.median
    if value is None or middle is None:
        return None
    things = max(value, middle) if find(metric).unit is Unit.COUNT else day.cell.n or 0
    verdict = of_window(metric, day).verdict
    if things < FEW or verdict is Verdict.UNKNOWN:
        return None
    return 0 if verdict is Verdict.USUAL else 1 if value > middle else -1


def trimmed(first: int, after: int, unusual: Sequence[bool]) -> tuple[int, int]:
    """Return a run `[first, after)` without the days at its ends that are not unusual; an empty one if none is."""
    kept = [place for place in range(first, after) if unusual[place]]
    return (kept[0], kept[-1] + 1) if kept else (first, first)


def farthest(excesses: Sequence[float]) -> tuple[int, int]:
    """Return the run `[first, after)` with the greatest sum; an empty one if no excess is above 0."""
    best, ends, total, first = 0.0, (0, 0), 0.0, 0
    for place, excess in enumerate(excesses):
        if total <= 0:
            total, first = 0.0, place
        total += excess
        if total > best:
            best, ends = total, (first, place + 1)
    return ends
