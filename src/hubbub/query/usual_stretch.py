"""The usual range of a whole stretch of days: a change within it is noise.

A stretch of up to seven days is compared with the same weekdays and hours of the weeks before, window by window, as
`query/usual.py` does with days. A longer one is compared with the eight settled weeks before it: of numbers that add up, their
median and spread for as many weeks as the stretch has; of others (shares, means, percentiles), their median, with a spread that
shrinks by the root of that number. Distinct members do not add up over weeks: their median is the number of the stretch before,
their spread that of the weeks.

A number that only grows, such as all contacts ever known, has no usual range, nor has a stretch longer than the eight weeks that it
could be compared with (`too_long`).

The range is never narrower than chance alone: a count of n differs by more than three times the root of n, a share or mean score
of n things by more than three times the standard error of its difference from that of the weeks before. For up to a week it
includes the number of each of these weeks: eight numbers of a few days each say too little about the spread.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from hubbub.metrics.catalogue import RequestedMetric, find
from hubbub.metrics.definition import Distinct, Extreme, First, Ratio, Stored, Unit
from hubbub.metrics.definition import State as CurrentState
from hubbub.model.question import Question
from hubbub.model.tenant import Tenant
from hubbub.model.window import Grain, local_earlier
from hubbub.query.answering import Ask
from hubbub.query.result import Answer, Cell, State
from hubbub.query.select import Dims
from hubbub.query.usual import BAND, LOOK_BACK, WEEK, WEEKS, Usual, known_from, limits, usual_among
from hubbub.storage.transaction import Reading

CHANCE = 3
"""Standard errors on each side that count as chance."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A metric's number over a stretch, of a slice, and its usual range."""

    metric: str
    dims: Dims
    cell: Cell
    usual: Usual


def usual_of_stretch(ask: Ask, reading: Reading, tenant: Tenant, answer: Answer, now: datetime) -> list[Stretch]:
    """Return each number of an answer over a whole range, up to `now`, with its usual range."""
    question = replace(answer.question, compare=None)
    elapsed = min(question.end, now) - question.start
    if elapsed <= timedelta(0):
        return []
    if too_long(question.start, question.start + elapsed, tenant):
        unknown = Usual(None, None, 0)
        columns = answer.columns.items()
        return [
            Stretch(name, dims, col.cell(row), unknown) for name, col in columns for row, dims in enumerate(answer.dims)
        ]
    starts, rests = (
        [local_earlier(moment, back * WEEK, tenant.tz) for back in range(1, LOOK_BACK + 1)]
        for moment in (question.start, question.start + elapsed)
    )
    edges = tuple(sorted({*starts, *(rests if elapsed < WEEK else ()), question.start}))
    history = _History(ask(replace(question, start=edges[0], end=edges[-1], edges=edges)), starts, reading, tenant)
    before = _before(ask, question, elapsed, tenant)
    stretches = []
    for name, column in answer.columns.items():
        metric = find(name)
        for row, dims in enumerate(answer.dims):
            cell, (values, things) = column.cell(row), history.values(name, dims)
            middle = before.get((name, dims)) if isinstance(metric.declared, Distinct) else None
            stretches.append(Stretch(name, dims, cell, _usual(metric, values, things, cell, elapsed / WEEK, middle)))
    return stretches


def too_long(start: datetime, end: datetime, tenant: Tenant) -> bool:
    """Whether a stretch `[start, end)` (aware) is longer than the weeks that "usual" looks at, by the tenant's clocks."""
    return local_earlier(end, WEEKS * WEEK, tenant.tz) > start


def _before(ask: Ask, question: Question, elapsed: timedelta, tenant: Tenant) -> dict[tuple[str, Dims], float]:
    """Return the numbers of distinct members over the stretch before a long one."""
    names = tuple(name for name in question.metrics if isinstance(find(name).declared, Distinct))
    if not names or elapsed <= WEEK:
        return {}
    start = local_earlier(question.start, elapsed, tenant.tz)
    answer = ask(replace(question, metrics=names, start=start, end=question.start))
    return {
        (name, dims): value
        for name, column in answer.columns.items()
        for dims, value, state in zip(answer.dims, column.values, column.states, strict=True)
        if value is not None and state == State.SETTLED
    }


class _History:
    """The settled numbers of earlier windows, by metric and slice, the newest first."""

    def __init__(self, answer: Answer, starts: Sequence[datetime], reading: Reading, tenant: Tenant) -> None:
        """`starts`: beginnings of the windows that count; the answer's other windows are the rests of weeks."""
        since = known_from(reading, tenant, Grain.DAY)
        self._answer = answer
        self._starts = {start for start in starts if since is not None and start >= since}
        self._rows: dict[Dims, list[int]] = {}
        for row, dims in enumerate(answer.dims):
            self._rows.setdefault(dims, []).append(row)

    def values(self, metric: str, dims: Dims) -> tuple[list[float], int]:
        """Return the numbers of the last eight known, settled windows, and of how many things they are together.

        A count's slice is 0 where only other slices counted.
        """
        column, starts = self._answer.columns[metric], self._answer.starts
        by_start = {
            starts[row]: float(value)
            for row in self._rows.get(dims, ())
            if starts[row] in self._starts and column.states[row] == State.SETTLED
            for value in [column.values[row]]
            if value is not None
        }
        if self._answer.question.by and column.unit is Unit.COUNT:
            alive = {start for start, value in zip(starts, column.values, strict=True) if value} & self._starts
            by_start = {start: by_start.get(start, 0.0) for start in alive}
        newest = sorted(by_start, reverse=True)[:WEEKS]
        things = {starts[row]: column.n[row] or 0 for row in self._rows.get(dims, ())}
        return [by_start[start] for start in newest], sum(things.get(start, 0) for start in newest)


def _usual(
    metric: RequestedMetric, values: Sequence[float], things: int, cell: Cell, weeks: float, before: float | None
) -> Usual:
    """Return the usual range of a stretch of `weeks`, from the numbers of single weeks (or of the same part of each).

    `things`: of how many these numbers are together.
    """
    if isinstance(metric.declared, CurrentState) and metric.declared.only_grows:
        return Usual(None, None, len(values))
    from_zero = metric.unit in (Unit.COUNT, Unit.MS, Unit.SHARE)
    week = usual_among(list(values), from_zero=from_zero)
    if week.median is None or week.spread is None:
        return week
    middle, spread = week.median, week.spread
    if weeks > 1:
        if isinstance(metric.declared, Distinct):
            if before is None or not middle:
                return Usual(None, None, week.n)
            middle, spread = before, spread * before / middle / math.sqrt(weeks)
        elif _adds_up(metric):
            middle, spread = middle * weeks, spread * math.sqrt(weeks)
        else:
            spread /= math.sqrt(weeks)
    usual = _between(metric, middle, spread, week.n, cell, things)
    if weeks > 1 or usual.low is None or usual.high is None:
        return usual
    return replace(usual, low=min(usual.low, *values), high=max(usual.high, *values))


def usual_of_part(name: str, usual: Usual, cell: Cell, share: float) -> Usual:
    """Return the usual range of a part of a long stretch: `usual` is the whole's, `share` (0 to 1) the part's share of it.

    A part without a share has no usual range.
    """
    metric = find(name)
    if usual.median is None or usual.spread is None or not share:
        return Usual(None, None, usual.n)
    if _adds_up(metric):
        return _between(metric, usual.median * share, usual.spread * math.sqrt(share), usual.n, cell)
    return _between(metric, usual.median, usual.spread / math.sqrt(share), usual.n, cell)


def _between(
    metric: RequestedMetric, middle: float, spread: float, weeks: int, cell: Cell, things: int | None = None
) -> Usual:
    """Return the range around a middle that noise and chance reach, within the limits of the unit.

    `things`: of how many the middle is; None: known as exactly as the number itself can be.
    """
    unit = metric.unit
    half = max(BAND * spread, CHANCE * _chance(metric, middle, cell.n, things))
    low, high = limits(middle, half)
    if unit is Unit.SHARE:
        high = min(1.0, high)
    return Usual(middle, spread, weeks, max(0.0, low) if unit in (Unit.COUNT, Unit.MS, Unit.SHARE) else low, high)


def _adds_up(metric: RequestedMetric) -> bool:
    """Whether the sum of a metric's numbers over weeks is its number over all of them."""
    stored = isinstance(metric.declared, Stored) and not isinstance(
        metric.rollup.measures[metric.declared.measure], Extreme
    )
    return stored or isinstance(metric.declared, First) or metric.statistic in ("count", "sum")


def _chance(metric: RequestedMetric, middle: float, n: int | None, things: int | None) -> float:
    """Return the standard error by chance alone of a number of `n` things beside a middle of `things`; 0 where unknown.

    Values on a scale with this mean scatter at most as far as if all were at its ends, as those of a share are.
    """
    if metric.unit is Unit.COUNT:
        return math.sqrt(max(middle, 1.0))
    scale = _scale(metric)
    if scale is None or not n:
        return 0.0
    least, most = scale
    few = min(n, things or n)
    near = (middle * few + least + most) / (few + 2)  # a share of 0 or 1 of few things proves little
    return math.sqrt((near - least) * (most - near) * (1 / n + (1 / things if things else 0)))


def _scale(metric: RequestedMetric) -> tuple[float, float] | None:
    """Return the least and greatest value that a thing of a share or mean score has; None for other metrics."""
    if metric.unit is Unit.SHARE:
        return 0.0, 1.0
    declared = metric.declared
    if metric.unit not in (Unit.SCORE, Unit.INDEX) or not isinstance(declared, Ratio):
        return None
    weights = declared.over.values()
    return float(min(weights) * declared.factor), float(max(weights) * declared.factor)
