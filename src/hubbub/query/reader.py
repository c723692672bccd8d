"""Reads numbers from facts: one statement for all metrics of one declaration, over each stretch of windows.

Every reader fills `Cells`. `select.py` builds the statements; `distributions.py` reads distributions, `states.py` states and first
sights.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import date
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from hubbub import calculations
from hubbub.facts.moments import micros, moment
from hubbub.facts.person import person_of
from hubbub.metrics.catalogue import RequestedMetric
from hubbub.metrics.contacts import DEEDS
from hubbub.metrics.definition import Distinct, DistinctRatio, First, Ratio, Score, State, Stored, Sum, Unit
from hubbub.model.window import Grain, Window, day_of, local_midnight, windows
from hubbub.precedence import step_aside
from hubbub.query.distributions import distributions
from hubbub.query.result import Cell
from hubbub.query.result import State as Known
from hubbub.query.select import Cells, Context, Dims, Key, Select, counts, filtered, measured
from hubbub.query.states import firsts, states
from hubbub.query.targets import judged
from hubbub.query.waiters import past_target

Cellmaker = Callable[[tuple[Any, ...]], Cell]


def read(context: Context, metrics: Sequence[RequestedMetric]) -> Cells:
    """Read all metrics of a question, those of one declaration together."""
    cells: Cells = {metric.name: {} for metric in metrics}
    by_rollup: dict[str, list[RequestedMetric]] = {}
    for metric in metrics:
        by_rollup.setdefault(metric.rollup.name, []).append(metric)
    for together in by_rollup.values():
        step_aside()
        if together[0].rollup.aim is not None:
            judged(context, together, cells)
            continue
        _aggregates(context, together, cells)
        for metric in together:
            if isinstance(metric.declared, State) and metric.declared.past_target:
                past_target(context, metric, metric.declared, cells[metric.name])
            elif isinstance(metric.declared, State):
                states(context, metric, metric.declared, cells[metric.name])
            elif isinstance(metric.declared, First):
                firsts(context, metric, metric.declared, cells[metric.name])
            elif isinstance(metric.declared, Score) and metric.declared.function == "contact_engagement_score":
                _engagement(context, metric, cells[metric.name])
        distributions(context, together, cells)
    return cells


def _aggregates(context: Context, metrics: Sequence[RequestedMetric], cells: Cells) -> None:
    """Read counts, sums, extremes, ratios and distinct members of one declaration, by one statement."""
    select = Select(metrics[0].rollup, context)
    makers = {metric.name: maker for metric in metrics if (maker := _maker(select, metric)) is not None}
    if not makers:
        return
    for window, dims, row in select.run():
        for name, make in makers.items():
            cells[name][window, dims] = make(row)


def _maker(select: Select, metric: RequestedMetric) -> Cellmaker | None:
    """Return the function that makes a metric's cell from a row, after adding its columns; None for metrics read otherwise."""
    declared, context = metric.declared, select.context
    if isinstance(declared, Stored):
        place, divide = select.column(measured(context, metric, declared.measure)), declared.divide
        measure = metric.rollup.measures[declared.measure]
        unknown = Known.NOT_REPORTED if isinstance(measure, Sum) and measure.known else Known.SETTLED
        if declared.times is not None:
            times = declared.times(context.tenant)
            return lambda row: Cell(None if times is None else float(row[place] * times), row[place], None, row[place])

        def stored(row: tuple[Any, ...]) -> Cell:
            value = row[place]
            if value is None:
                return Cell(None, state=unknown)
            if divide == 1:
                return Cell(value, value, None, value)
            total = value // divide if metric.unit is Unit.COUNT else value / divide
            return Cell(total, total)

        return stored
    if isinstance(declared, Ratio):
        over = [(select.column(measured(context, metric, m)), weight) for m, weight in declared.over.items()]
        under, factor = select.column(measured(context, metric, declared.under)), declared.factor

        def ratio(row: tuple[Any, ...]) -> Cell:
            top, bottom = sum(row[p] * weight for p, weight in over), row[under]
            numerator = top if factor != 1e-6 else top * factor
            return Cell(top * factor / bottom if bottom else None, numerator, bottom, bottom)

        return ratio
    if isinstance(declared, Distinct | DistinctRatio):
        return _distinct(select, metric)
    if isinstance(declared, Score) and declared.function == "campaign_score":
        return _campaign_score(select, metric, declared)
    return None


def _members(select: Select, metric: RequestedMetric, member: str, measure: str) -> int:
    """Add a column: distinct members with a fact that counts for a measure. Returns its place; linked contacts are one person."""
    context, column = select.context, f"f.{member}"
    if member == "contact_id" and context.linked:
        column = person_of(column, context.dialect)
    return select.column(filtered(f"count(DISTINCT {column})", counts(context, metric, measure)))


def _distinct(select: Select, metric: RequestedMetric) -> Cellmaker:
    declared = metric.declared
    if isinstance(declared, Distinct):
        place = _members(select, metric, declared.member, declared.measure)
        return lambda row: Cell(row[place], row[place], None, row[place])
    assert isinstance(declared, DistinctRatio)
    over, under = (_members(select, metric, declared.member, measure) for measure in (declared.over, declared.under))
    return lambda row: Cell(row[over] / row[under] if row[under] else None, row[over], row[under], row[under])


def _campaign_score(select: Select, metric: RequestedMetric, declared: Score) -> Cellmaker:
    """Return the maker of a campaign's score: delivered and read count messages; engaged, converted and opted out count contacts,
    each once.
    """
    contacts = ("engaged", "converted", "opted_out")
    places = {
        part: select.column(measured(select.context, metric, part)) for part in declared.parts if part not in contacts
    }
    places |= {part: _members(select, metric, "contact_id", part) for part in contacts}
    recipients = _members(select, metric, "contact_id", "delivered")

    def score(row: tuple[Any, ...]) -> Cell:
        n = {part: row[place] for part, place in places.items()}
        result = calculations.campaign_score(
            attempted=n["attempted"], delivered=n["delivered"], read=n["read"], recipients=row[recipients],
            engaged=n["engaged"], converted=n["converted"], opted_out=n["opted_out"],
        )  # fmt: skip
        parts = {
            name: {"numerator": p.numerator, "denominator": p.denominator, "weight": p.weight, "points": p.points}
            for name, p in result.parts.items()
        }
        details = {"parts": parts, "penalty": result.penalty, "reason": result.reason}
        return Cell(result.value, None, None, n["attempted"], details=details)

    return score


@lru_cache(16)  # questions of one request have the same days, and tenants of one zone often do
def _days(first: date, end: int, tz: ZoneInfo) -> tuple[Sequence[Window], Sequence[date]]:
    """Return the local days from the first one up to a moment (microseconds), the last one cut there, and their dates."""
    full_days = list(windows(local_midnight(first, tz), moment(end), Grain.DAY, tz))
    clipped = [Window(window.start, min(window.end, moment(end))) for window in full_days]
    return clipped, [day_of(window.start, tz) for window in full_days]


def _engagement(context: Context, metric: RequestedMetric, cells: dict[Key, Cell]) -> None:
    """Read the mean engagement score of contacts at the range's end, from their actions up to then, by local day.

    Linked contacts are one person, who is blocked when any of them is.
    """
    tenant, end = context.tenant, min(micros(context.windows[-1].end), context.now)
    first = context.reading.value("SELECT min(time) FROM event WHERE tenant = ?", (tenant.no,))
    if first is None or first >= end:
        return
    days, dates = _days(day_of(moment(first), tenant.tz), end, tenant.tz)
    all_days = Context(context.reading, tenant, context.question, days, context.now)
    select = Select(metric.rollup, all_days)
    select.column(person_of("f.contact_id", context.dialect) if context.linked else "f.contact_id")
    places = {kind: select.column(measured(all_days, metric, measure)) for measure, kind in DEEDS.items()}
    blocked = {
        row[0]
        for row in context.reading.each(
            f"SELECT {person_of('id', context.dialect)} FROM state WHERE tenant = :tenant AND entity = 'contact' "
            "AND state = 'is blocked' AND until >= :end AND since < :end",
            {"tenant": tenant.no, "end": end},
        )
    }
    deeds: dict[tuple[Dims, str], dict[tuple[str, date], int]] = {}
    width = len(context.question.by)
    for window, dims, row in select.run(
        group=False, order=f"GROUP BY {', '.join(str(n + 1) for n in range(width + 2))}"
    ):
        own_deeds = deeds.setdefault((dims, row[0]), {})
        for kind, place in places.items():
            if row[place]:
                own_deeds[kind, dates[window]] = row[place]
    today = day_of(moment(end - 1), tenant.tz)  # at midnight the day before, whose actions are less than a day old
    values: dict[Dims, list[float]] = {}
    for (dims, contact), own_deeds in deeds.items():
        score = calculations.contact_engagement_score(own_deeds, today, blocked=contact in blocked)
        values.setdefault(dims, []).append(score.value)
    for dims, scores in values.items():
        cells[len(context.windows) - 1, dims] = Cell(math.fsum(scores) / len(scores), None, None, len(scores))
