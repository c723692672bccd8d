"""Read numbers from facts: one statement for all metrics of one declaration, over each stretch of windows.

Every reader fills `Found`: by metric, by window number and dimension values, a `Cell`. What a statement is made of stands in
`select.py`; distributions are read in `distributions.py`, states and first sights in `held.py`.
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
from hubbub.metrics.catalogue import Asked
from hubbub.metrics.contacts import DEEDS
from hubbub.metrics.definition import Distinct, DistinctRatio, First, Ratio, Score, State, Stored, Sum, Unit
from hubbub.model.window import Grain, Window, day_of, local_midnight, windows
from hubbub.query.distributions import distributions
from hubbub.query.held import firsts, states
from hubbub.query.judged import judged
from hubbub.query.result import Cell
from hubbub.query.result import State as Known
from hubbub.query.select import Context, Dims, Found, Key, Select, counts, filtered, measured
from hubbub.query.waiters import past_target

Cellmaker = Callable[[tuple[Any, ...]], Cell]


def read(context: Context, asked: Sequence[Asked]) -> Found:
    """Read all metrics of a question."""
    found: Found = {one.name: {} for one in asked}
    by_rollup: dict[str, list[Asked]] = {}
    for one in asked:
        by_rollup.setdefault(one.rollup.name, []).append(one)
    for several in by_rollup.values():
        if several[0].rollup.aim is not None:
            judged(context, several, found)
            continue
        _aggregates(context, several, found)
        for one in several:
            if isinstance(one.metric, State) and one.metric.past_target:
                past_target(context, one, one.metric, found[one.name])
            elif isinstance(one.metric, State):
                states(context, one, one.metric, found[one.name])
            elif isinstance(one.metric, First):
                firsts(context, one, one.metric, found[one.name])
            elif isinstance(one.metric, Score) and one.metric.function == "contact_engagement_score":
                _engagement(context, one, found[one.name])
        distributions(context, several, found)
    return found


def _aggregates(context: Context, several: Sequence[Asked], found: Found) -> None:
    """Counts, sums, extremes, ratios and distinct members of one declaration, by one statement."""
    select = Select(several[0].rollup, context)
    makers = {one.name: made for one in several if (made := _maker(select, one)) is not None}
    if not makers:
        return
    for window, dims, row in select.run():
        for name, make in makers.items():
            found[name][window, dims] = make(row)


def _maker(select: Select, one: Asked) -> Cellmaker | None:
    """Return what makes a metric's cell of a row, after adding the columns that it needs; None for what is read otherwise."""
    metric, context = one.metric, select.context
    if isinstance(metric, Stored):
        place, divide = select.column(measured(context, one, metric.measure)), metric.divide
        measure = one.rollup.measures[metric.measure]
        unknown = Known.NOT_FETCHED if isinstance(measure, Sum) and measure.known else Known.SETTLED
        if metric.times is not None:
            factor = metric.times(context.tenant)
            return lambda row: Cell(None if factor is None else row[place] * factor, row[place], None, row[place])

        def stored(row: tuple[Any, ...]) -> Cell:
            value = row[place]
            if value is None:
                return Cell(None, state=unknown)
            if divide == 1:
                return Cell(value, value, None, value)
            total = value // divide if one.unit is Unit.COUNT else value / divide
            return Cell(total, total)

        return stored
    if isinstance(metric, Ratio):
        over = [(select.column(measured(context, one, m)), weight) for m, weight in metric.over.items()]
        under, factor = select.column(measured(context, one, metric.under)), metric.factor

        def ratio(row: tuple[Any, ...]) -> Cell:
            top, bottom = sum(row[p] * weight for p, weight in over), row[under]
            whole = top if factor != 1e-6 else top * factor
            return Cell(top * factor / bottom if bottom else None, whole, bottom, bottom)

        return ratio
    if isinstance(metric, Distinct | DistinctRatio):
        return _distinct(select, one)
    if isinstance(metric, Score) and metric.function == "campaign_score":
        return _campaign_score(select, one, metric)
    return None


def _members(select: Select, one: Asked, member: str, measure: str) -> int:
    """Add the count of distinct members with a fact that counts for a measure; contacts that are linked are one person."""
    context, column = select.context, f"f.{member}"
    if member == "contact_id" and context.linked:
        column = person_of(column, context.dialect)
    return select.column(filtered(f"count(DISTINCT {column})", counts(context, one, measure)))


def _distinct(select: Select, one: Asked) -> Cellmaker:
    metric = one.metric
    if isinstance(metric, Distinct):
        place = _members(select, one, metric.member, metric.measure)
        return lambda row: Cell(row[place], row[place], None, row[place])
    assert isinstance(metric, DistinctRatio)
    over, under = (_members(select, one, metric.member, measure) for measure in (metric.over, metric.under))
    return lambda row: Cell(row[over] / row[under] if row[under] else None, row[over], row[under], row[under])


def _campaign_score(select: Select, one: Asked, metric: Score) -> Cellmaker:
    """A campaign's score: delivered and read are messages; who engaged, converted or left are contacts, each once."""
    contacts = ("engaged", "converted", "opted_out")
    places = {part: select.column(measured(select.context, one, part)) for part in metric.parts if part not in contacts}
    places |= {part: _members(select, one, "contact_id", part) for part in contacts}
    recipients = _members(select, one, "contact_id", "delivered")

    def score(row: tuple[Any, ...]) -> Cell:
        n = {part: row[place] for part, place in places.items()}
        made = calculations.campaign_score(
            attempted=n["attempted"], delivered=n["delivered"], read=n["read"], recipients=row[recipients],
            engaged=n["engaged"], converted=n["converted"], opted_out=n["opted_out"],
        )  # fmt: skip
        parts = {
            name: {"numerator": p.numerator, "denominator": p.denominator, "weight": p.weight, "points": p.points}
            for name, p in made.parts.items()
        }
        details = {"parts": parts, "penalty": made.penalty, "reason": made.reason}
        return Cell(made.value, None, None, n["attempted"], details=details)

    return score


@lru_cache(16)  # questions that are asked together ask for the same days, and tenants of one zone often do
def _days(first: date, end: int, tz: ZoneInfo) -> tuple[Sequence[Window], Sequence[date]]:
    """Return the local days from the first one up to a moment (microseconds), the last one cut there, and their dates."""
    whole = list(windows(local_midnight(first, tz), moment(end), Grain.DAY, tz))
    cut = [Window(window.start, min(window.end, moment(end))) for window in whole]
    return cut, [day_of(window.start, tz) for window in whole]


def _engagement(context: Context, one: Asked, found: dict[Key, Cell]) -> None:
    """Scores of contacts at the end of the range, of all their deeds up to then by local day; of several contacts the mean.

    Contacts that are linked are one person, who is blocked when any of them is.
    """
    tenant, end = context.tenant, min(micros(context.cut[-1].end), context.now)
    first = context.reading.value("SELECT min(time) FROM event WHERE tenant = ?", (tenant.no,))
    if first is None or first >= end:
        return
    days, dates = _days(day_of(moment(first), tenant.tz), end, tenant.tz)
    whole = Context(context.reading, tenant, context.question, days, context.now)
    select = Select(one.rollup, whole)
    select.column(person_of("f.contact_id", context.dialect) if context.linked else "f.contact_id")
    places = {kind: select.column(measured(whole, one, measure)) for measure, kind in DEEDS.items()}
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
        mine = deeds.setdefault((dims, row[0]), {})
        for kind, place in places.items():
            if row[place]:
                mine[kind, dates[window]] = row[place]
    today = day_of(moment(end - 1), tenant.tz)  # at midnight the day that ends, whose deeds are not a day old
    values: dict[Dims, list[float]] = {}
    for (dims, contact), mine in deeds.items():
        score = calculations.contact_engagement_score(mine, today, blocked=contact in blocked)
        values.setdefault(dims, []).append(score.value)
    for dims, scores in values.items():
        found[len(context.cut) - 1, dims] = Cell(math.fsum(scores) / len(scores), None, None, len(scores))
