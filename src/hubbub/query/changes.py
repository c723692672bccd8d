"""What changed: the contribution of each channel, person or topic to a metric's difference between two periods.

A count's difference is the sum of its parts' differences. A mean or share is a numerator over a denominator, and its difference
has two causes: parts got better or worse (rate), and parts grew or shrank beside the others (volume). With s a part's share of the
denominator, r its own value and R the whole's, and means of both periods written as m():

    rate = (r1 - r0) * m(s)          volume = (s1 - s0) * (m(r) - m(R))

The sum over all parts is exactly R1 - R0 (midpoint decomposition after Bennet, 1920; the changes of the shares add up to zero, so
subtracting m(R) leaves the sum as it is). A part that is missing in one period changed in volume alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from hubbub.errors import BadQuestionError
from hubbub.metrics.catalogue import RequestedMetric, askable, find
from hubbub.metrics.definition import WITHIN, Extreme, Quantiles, Ratio, Score, State, Stored, Unit
from hubbub.model.plain import ABSENT
from hubbub.model.question import Question
from hubbub.model.tenant import Tenant
from hubbub.model.window import Grain
from hubbub.query.answering import Ask
from hubbub.query.checks import check
from hubbub.query.compare import earlier
from hubbub.query.queries import Queries
from hubbub.query.result import STATED, Answer, Cell, Number

USUAL = ("channel", "channel_id", "account_id", "staff_id", "topic", "intent")
"""The dimensions if a question names none."""
TOP = 10
MOST = 100


@dataclass(frozen=True, slots=True)
class Part:
    """A dimension's value and its contribution to the difference: the sum of `volume` and `rate`."""

    value: str | None
    before: float | None
    after: float | None
    contribution: float
    volume: float
    """The contribution of its larger or smaller share of the total."""
    rate: float
    """The contribution of its better or worse value."""
    n: int = 0
    """How many things the number after counts."""
    n_before: int = 0
    """How many things the number before counts."""


@dataclass(frozen=True, slots=True)
class Others:
    """The sum of the smaller contributions of a dimension."""

    count: int
    contribution: float
    volume: float
    rate: float


@dataclass(frozen=True, slots=True)
class Contributions:
    """The contributions of a dimension's values to a difference, the greatest first."""

    rows: Sequence[Part]
    others: Others | None
    """null: all values are in the rows."""
    unexplained: float | None
    """The difference less all contributions; null without a difference."""


@dataclass(frozen=True, slots=True)
class Periods:
    """The two periods, each from and to, RFC 3339 in the tenant's zone."""

    after: Sequence[str]
    before: Sequence[str]


@dataclass(frozen=True, slots=True)
class Changes:
    """The contributions to the difference of a number between two periods."""

    metric: str
    unit: str
    periods: Periods
    before: Number
    after: Number
    difference: float | None
    """null where one of the two is unknown."""
    dimensions: Mapping[str, Contributions]
    before__state: str | None = field(default=None, metadata=ABSENT)
    """Why the number before is unknown or incomplete; absent where it is known."""
    after__state: str | None = field(default=None, metadata=ABSENT)
    """Why the number after is unknown or incomplete; absent where it is known."""


def changes(queries: Queries, tenant: Tenant, question: Question, *, limit: int = TOP) -> Changes:
    """Return the difference of one metric and the contribution of each value of `by` (or of the usual dimensions) to it.

    The periods are the question's range and that of its `compare`. Per dimension at most `limit` values, the greatest
    contributions first, then `others`; `unexplained` is the rest, for example because a contact is in two channels. Raises
    BadQuestionError for percentiles and scores, which have no parts.
    """
    if len(question.metrics) != 1:
        raise BadQuestionError("ask for one metric at a time")
    if not 1 <= limit <= MOST:
        raise BadQuestionError(f"'limit' must be between 1 and {MOST}")
    with queries.counting(tenant, question.as_of) as (ask, _, now):
        return changes_of(ask, now, tenant, question, limit)


def changes_of(ask: Ask, now: datetime, tenant: Tenant, question: Question, limit: int = TOP) -> Changes:
    """Return what `changes` returns, through `ask`, which answers at the moment `now` (aware)."""
    metric = find(question.metrics[0])
    _splittable(metric)
    question = replace(question, grain=Grain.TOTAL, compare=question.compare or "previous")
    check(question, [metric], tenant)
    allowed = askable(metric.rollup)
    by = question.by or tuple(d for d in USUAL if d in allowed)
    compared = earlier(question, tenant, now)
    periods = ((question.start, min(question.end, now)), compared)
    questions = [
        replace(question, start=start, end=end, by=split, compare=None)
        for split in ((), *((d,) for d in by)) for start, end in periods
    ]  # fmt: skip
    answers = map(ask, questions)
    after, before = (answer.rows[0].cells[metric.name] for answer in (next(answers), next(answers)))
    difference = None if after.value is None or before.value is None else _number(after) - _number(before)
    dimensions = {
        name: _dimension(name, metric, next(answers), next(answers), after, before, difference, limit) for name in by
    }
    return Changes(
        metric.name, metric.unit.value,
        Periods(*([moment.astimezone(tenant.tz).isoformat() for moment in period] for period in periods)),
        before.value, after.value, difference, dimensions, _stated(before), _stated(after),
    )  # fmt: skip


def _stated(cell: Cell) -> str | None:
    return cell.state if cell.state in STATED else None


def _splittable(metric: RequestedMetric) -> None:
    declared = metric.declared
    extreme = isinstance(declared, Stored) and isinstance(metric.rollup.measures[declared.measure], Extreme)
    if isinstance(declared, Score) or extreme or (isinstance(declared, State) and declared.age):
        raise BadQuestionError(f"'{metric.name}' is not made of parts: ask for the metrics it is made from")
    if isinstance(declared, Quantiles) and metric.statistic not in ("avg", "count", "sum", *WITHIN):
        raise BadQuestionError(
            f"'{metric.name}' is not a sum or mean of parts; ask for '{metric.name.partition('.')[0]}.avg', '.count' or a share "
            "within a limit like '.within_15min'"
        )


def _dimension(
    name: str,
    metric: RequestedMetric,
    after: Answer,
    before: Answer,
    total: Cell,
    old: Cell,
    difference: float | None,
    limit: int,
) -> Contributions:
    now, then = (
        {
            row.dims[name]: cell
            for row in answer.rows
            for cell in [row.cells[metric.name]]
            if cell.value is not None and cell.n != 0
        }
        for answer in (after, before)
    )
    if difference is None:
        return Contributions([], None, None)
    split = _of_mean if _is_mean(metric) else _of_sum
    parts = sorted(
        split(metric, now, then, total, old), key=lambda p: (-abs(p.contribution), p.value is None, p.value or "")
    )
    rest = parts[limit:]
    left = difference - sum(p.contribution for p in parts)
    others = Others(
        len(rest), sum(p.contribution for p in rest), sum(p.volume for p in rest), sum(p.rate for p in rest)
    )
    is_noise = abs(left) <= 1e-9 * max(1.0, abs(difference), abs(_number(total)))
    return Contributions(parts[:limit], others if rest else None, 0.0 if is_noise else left)


def _is_mean(metric: RequestedMetric) -> bool:
    return metric.unit is Unit.SHARE or isinstance(metric.declared, Ratio) or metric.statistic == "avg"


def _of_sum(
    metric: RequestedMetric, now: Mapping[str | None, Cell], then: Mapping[str | None, Cell], total: Cell, old: Cell
) -> Sequence[Part]:
    """Split a count or sum: all of it is volume."""
    return [
        Part(value, before, after, after - before, after - before, 0.0, _n(now.get(value)), _n(then.get(value)))
        for value in {**now, **then}
        for after, before in [(_number(now.get(value)), _number(then.get(value)))]
    ]


def _of_mean(
    metric: RequestedMetric, now: Mapping[str | None, Cell], then: Mapping[str | None, Cell], total: Cell, old: Cell
) -> Sequence[Part]:
    """Split a mean or share into volume and rate."""
    total_after, total_before = float(total.denominator or 0), float(old.denominator or 0)
    middle = (_number(total) + _number(old)) / 2
    parts = []
    for value in {**now, **then}:
        cell, past = now.get(value), then.get(value)
        share_after = float(cell.denominator or 0) / total_after if cell else 0.0
        share_before = float(past.denominator or 0) / total_before if past else 0.0
        rate_after = _number(cell if cell else past)
        rate_before = _number(past if past else cell)
        rate = (rate_after - rate_before) * (share_after + share_before) / 2
        volume = (share_after - share_before) * ((rate_after + rate_before) / 2 - middle)
        numbers = past.value if past else None, cell.value if cell else None
        parts.append(Part(value, *numbers, rate + volume, volume, rate, _n(cell), _n(past)))
    return parts


def _n(cell: Cell | None) -> int:
    return (cell.n or 0) if cell is not None else 0


def _number(cell: Cell | None) -> float:
    return float(cell.value) if cell is not None and cell.value is not None else 0.0
