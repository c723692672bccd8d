"""Read numbers from facts: one statement for all metrics of one declaration, over each stretch of windows.

Every reader fills `Found`: by metric, by window number and dimension values, a `Cell`. SQL here holds only names of the catalogue
and numbers; what a user gave is always bound.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from hubbub import calculations
from hubbub.facts.moments import micros, moment
from hubbub.facts.person import person_of
from hubbub.metrics.catalogue import Asked, dimensions_of
from hubbub.metrics.contacts import DEEDS
from hubbub.metrics.definition import (
    WITHIN,
    Count,
    Distinct,
    DistinctRatio,
    Distribution,
    Extreme,
    First,
    Quantiles,
    Ratio,
    Rollup,
    Score,
    State,
    Stored,
    Sum,
)  # fmt: skip
from hubbub.model.question import NONE, Question
from hubbub.model.tenant import Tenant
from hubbub.model.window import Grain, Window, day_of, windows
from hubbub.query.bucket import stretches
from hubbub.query.hours import open_ms
from hubbub.query.result import Cell
from hubbub.storage.sqlite import Transaction

Dims = tuple[str | None, ...]
Key = tuple[int, Dims]
Found = dict[str, dict[Key, Cell]]
QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
OPENED = "open_ms"
_MILLION = 1e6
"""Name of the function by which statements work open time out."""


@dataclass(frozen=True, slots=True)
class Context:
    """What every reader needs of the question being answered; `cut` are its windows, `now` the moment in microseconds."""

    reading: Transaction
    tenant: Tenant
    question: Question
    cut: Sequence[Window]
    now: int


@dataclass(slots=True)
class _Select:
    """A statement over one declaration's facts: columns beside window and dimensions, and what is bound."""

    rollup: Rollup
    context: Context
    columns: list[str] = field(default_factory=list)
    params: dict[str, Any] = field(default_factory=dict)

    def column(self, sql: str) -> int:
        """Add a column, once; returns its place behind window and dimensions."""
        if sql not in self.columns:
            self.columns.append(sql)
        return self.columns.index(sql)

    def run(
        self, *, order: str = "", group: bool = True, more: str = "TRUE"
    ) -> Iterator[tuple[int, Dims, tuple[Any, ...]]]:
        """Yield window number, dimension values and columns; the rows of several stretches follow on each other."""
        context, rollup = self.context, self.rollup
        by = [f"f.{dimensions_of(rollup)[name]}" for name in context.question.by]
        width = len(by)
        where = filters(context.question, rollup, self.params)
        anchor = f"f.{rollup.anchor}"
        shown = "".join(f", {column}" for column in (*by, *self.columns))
        grouped = f"GROUP BY {', '.join(str(n + 1) for n in range(width + 1))}" if group else ""
        for stretch in stretches(context.cut):
            sql = (
                f"SELECT {stretch.number(anchor)}{shown} FROM ({rollup.source.view}) AS f WHERE f.tenant = :tenant "
                f"AND {anchor} >= :low AND {anchor} < :high AND ({rollup.where}) AND ({more}) AND {where} {grouped} {order}"
            )
            params = {"tenant": context.tenant.no, "low": stretch.low, "high": stretch.high, **self.params}
            for row in context.reading.each(sql, params):
                yield row[0], row[1 : width + 1], row[width + 1 :]


def filters(question: Question, rollup: Rollup, params: dict[str, Any]) -> str:
    """Return the condition on facts `f` of a question's filters; their values go into `params`."""
    columns = {name: f"f.{column}" for name, column in dimensions_of(rollup).items()}
    return _filters(question, columns, params)


def _filters(question: Question, columns: Mapping[str, str], params: dict[str, Any]) -> str:
    parts = ["TRUE"]
    for number, (name, values) in enumerate(question.where.items()):
        column = columns[name]
        given = [value for value in values if value != NONE]
        wanted = []
        for place, value in enumerate(given):
            params[f"where_{number}_{place}"] = value
            wanted.append(f":where_{number}_{place}")
        null = f" OR {column} IS NULL" if NONE in values else ""
        parts.append(f"({column} IN ({', '.join(wanted)}){null})")
    return " AND ".join(parts)


def counts(context: Context, one: Asked, name: str) -> str:
    """Return the condition on `f` under which a fact counts for a measure, with the metric's own filters; empty: always."""
    measure = one.rollup.measures[name]
    parts = [f"({measure.where})"] if isinstance(measure, Count | Sum) and measure.where else []
    metric, question = one.metric, context.question
    if isinstance(metric, Stored) and not question.include_bots:
        for dimension, values in metric.where.items():
            if dimension not in question.where and dimension not in question.by:
                parts.append(f"f.{dimensions_of(one.rollup)[dimension]} IN ({', '.join(repr(v) for v in values)})")
    if isinstance(metric, Ratio) and metric.receipted:
        parts.append("coalesce(f.channel, '') IN (SELECT channel FROM receipt_channel WHERE tenant = :tenant)")
    return " AND ".join(parts)


def _filtered(aggregate: str, condition: str) -> str:
    return f"{aggregate} FILTER (WHERE {condition})" if condition else aggregate


def _measured(context: Context, one: Asked, name: str) -> str:
    """Return the aggregate of a measure, over its facts that count for a metric."""
    measure = one.rollup.measures[name]
    condition = counts(context, one, name)
    if isinstance(measure, Count):
        return _filtered("count(*)", condition)
    if isinstance(measure, Sum):
        whole = f"CAST(f.{measure.column} / {_MILLION} AS INTEGER)"  # apart, so that no sum of integers overflows
        rest = f"CAST(round((f.{measure.column} - {whole} * {_MILLION}) * {Sum.SCALE}) AS INTEGER)"
        high, low = (_filtered(f"sum({part})", condition) for part in (whole, rest))
        return f"coalesce({high} * {int(_MILLION) * Sum.SCALE} + {low}, 0)"
    assert isinstance(measure, Extreme)
    return _filtered(f"{'max' if measure.largest else 'min'}(f.{measure.column})", condition)


Cellmaker = Callable[[tuple[Any, ...]], Cell]


def read(context: Context, asked: Sequence[Asked]) -> Found:
    """Read all metrics of a question."""
    found: Found = {one.name: {} for one in asked}
    by_rollup: dict[str, list[Asked]] = {}
    for one in asked:
        by_rollup.setdefault(one.rollup.name, []).append(one)
    for several in by_rollup.values():
        _aggregates(context, several, found)
        for one in several:
            if isinstance(one.metric, State):
                _states(context, one, one.metric, found[one.name])
            elif isinstance(one.metric, First):
                _firsts(context, one, one.metric, found[one.name])
            elif isinstance(one.metric, Score) and one.metric.function == "contact_engagement_score":
                _engagement(context, one, found[one.name])
        _distributions(context, several, found)
    return found


def _aggregates(context: Context, several: Sequence[Asked], found: Found) -> None:
    """Counts, sums, extremes, ratios and distinct members of one declaration, by one statement."""
    select = _Select(several[0].rollup, context)
    makers = {one.name: made for one in several if (made := _maker(select, one)) is not None}
    if not makers:
        return
    for window, dims, row in select.run():
        for name, make in makers.items():
            found[name][window, dims] = make(row)


def _maker(select: _Select, one: Asked) -> Cellmaker | None:
    """Return what makes a metric's cell of a row, after adding the columns that it needs; None for what is read otherwise."""
    metric, context = one.metric, select.context
    if isinstance(metric, Stored):
        place, divide = select.column(_measured(context, one, metric.measure)), metric.divide

        def stored(row: tuple[Any, ...]) -> Cell:
            value = row[place]
            if divide == 1 or value is None:
                return Cell(value, value, None, value if divide == 1 else None)
            return Cell(value / divide, value / divide)

        return stored
    if isinstance(metric, Ratio):
        over = [(select.column(_measured(context, one, m)), weight) for m, weight in metric.over.items()]
        under, factor = select.column(_measured(context, one, metric.under)), metric.factor

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


def _members(select: _Select, one: Asked, member: str, measure: str) -> int:
    """Add the count of distinct members with a fact that counts for a measure; contacts that are linked are one person."""
    context, column = select.context, f"f.{member}"
    if member == "contact_id" and _linked(context):
        column = person_of(column)
    return select.column(_filtered(f"count(DISTINCT {column})", counts(context, one, measure)))


def _linked(context: Context) -> bool:
    """Whether any contacts of the tenant are linked: then who is one person is worked out."""
    return context.reading.value("SELECT 1 FROM person WHERE tenant = ? LIMIT 1", (context.tenant.no,)) is not None


def _distinct(select: _Select, one: Asked) -> Cellmaker:
    metric = one.metric
    if isinstance(metric, Distinct):
        place = _members(select, one, metric.member, metric.measure)
        return lambda row: Cell(row[place], row[place], None, row[place])
    assert isinstance(metric, DistinctRatio)
    over, under = (_members(select, one, metric.member, measure) for measure in (metric.over, metric.under))
    return lambda row: Cell(row[over] / row[under] if row[under] else None, row[over], row[under], row[under])


def _campaign_score(select: _Select, one: Asked, metric: Score) -> Cellmaker:
    places = {part: select.column(_measured(select.context, one, part)) for part in metric.parts}

    def score(row: tuple[Any, ...]) -> Cell:
        n = {part: row[place] for part, place in places.items()}
        made = calculations.campaign_score(
            attempted=n["attempted"], delivered=n["delivered"], read=n["read"], recipients=n["delivered"],
            engaged=n["engaged"], converted=n["converted"], opted_out=n["opted_out"],
        )  # fmt: skip
        parts = {
            name: {"numerator": p.numerator, "denominator": p.denominator, "weight": p.weight, "points": p.points}
            for name, p in made.parts.items()
        }
        details = {"parts": parts, "penalty": made.penalty, "reason": made.reason}
        return Cell(made.value, None, None, n["attempted"], details=details)

    return score


# --- distributions


def value_of(one: Asked) -> str:
    """Return SQL for the value of a fact in a distribution: a column, or the open time between two of its moments."""
    metric = one.metric
    assert isinstance(metric, Quantiles)
    measure = one.rollup.measures[metric.measure]
    assert isinstance(measure, Distribution)
    spell = one.rollup.source.spells.get(measure.column)
    return f"{OPENED}(f.{spell[0]}, f.{spell[1]})" if spell else f"f.{measure.column}"


def lets_work_out(context: Context) -> bool:
    """Let statements work open time out; False for a tenant without a calendar, who has none."""
    if context.tenant.calendar:
        context.reading.define(OPENED, 2, open_ms(context.tenant))
    return bool(context.tenant.calendar)


def _distributions(context: Context, several: Sequence[Asked], found: Found) -> None:
    """Statistics of distributions from their values in order: percentiles by linear interpolation (type 7, Hyndman and Fan)."""
    by_value: dict[str, list[Asked]] = {}
    for one in several:
        if isinstance(one.metric, Quantiles):
            by_value.setdefault(value_of(one), []).append(one)
    for value, mine in by_value.items():
        select = _Select(mine[0].rollup, context)
        if mine[0].rollup.in_hours and not lets_work_out(context):
            continue
        if any(one.statistic in QUANTILES for one in mine):
            _in_order(select, value, mine, found)
        else:
            _summed(select, value, mine, found)


def _in_order(select: _Select, value: str, mine: Sequence[Asked], found: Found) -> None:
    select.column(value)
    values: dict[Key, list[int]] = {}
    for window, dims, (number,) in select.run(group=False, more=f"{value} IS NOT NULL"):
        values.setdefault((window, dims), []).append(number)
    for key, numbers in values.items():
        numbers.sort()
        for one in mine:
            found[one.name][key] = statistic(str(one.statistic), numbers)


def statistic(name: str, ordered: Sequence[int]) -> Cell:
    """Return one statistic of ordered values, of which there is at least one."""
    n = len(ordered)
    if name in QUANTILES:
        return Cell(quantile(ordered, QUANTILES[name]), None, None, n)
    if name in WITHIN:
        inside = bisect_right(ordered, WITHIN[name])
        return Cell(inside / n, inside, n, n)
    return _plain(name, n, sum(ordered), ordered[0], ordered[-1])


def quantile(ordered: Sequence[int], share: float) -> float:
    """Return a percentile of ordered values, by linear interpolation between the two ranks next to it."""
    rank = (len(ordered) - 1) * share
    low = math.floor(rank)
    first = ordered[low]
    return first if rank == low else first + (ordered[low + 1] - first) * (rank - low)


def _plain(name: str, n: int, total: int | None, low: int | None, high: int | None) -> Cell:
    if name == "count":
        return Cell(n, None, None, n)
    if name in ("avg", "sum"):
        value = total / n if name == "avg" and total is not None and n else total
        return Cell(value, total, n if name == "avg" else None, n)
    return Cell(low if name == "min" else high, None, None, n)


def _summed(select: _Select, value: str, mine: Sequence[Asked], found: Found) -> None:
    """Statistics that need no order, by one statement."""
    for sql in (f"count({value})", f"sum({value})", f"min({value})", f"max({value})"):
        select.column(sql)
    limits = {
        str(one.statistic): select.column(f"count(*) FILTER (WHERE {value} <= {WITHIN[str(one.statistic)]})")
        for one in mine if one.statistic in WITHIN
    }  # fmt: skip
    for window, dims, row in select.run(more=f"{value} IS NOT NULL"):
        n, total, low, high = row[:4]
        if not n:
            continue
        for one in mine:
            name = str(one.statistic)
            found[one.name][window, dims] = (
                Cell(row[limits[name]] / n, row[limits[name]], n, n)
                if name in limits
                else _plain(name, n, total, low, high)
            )


# --- states and first sights


def moments_of(context: Context) -> list[tuple[int, int]]:
    """Return the number of each window that has begun, and the moment its state is asked of: its end, or now."""
    return [
        (number, min(micros(window.end), context.now))
        for number, window in enumerate(context.cut)
        if micros(window.start) < context.now
    ]


def state_columns(rollup: Rollup, metric: State | First) -> dict[str, str]:
    """Return public dimension name -> column of the table `state` (as `s`): the entity's own is its id."""
    own = f"{metric.held[0]}_id"
    return {name: "s.id" if column == own else f"s.{column}" for name, column in dimensions_of(rollup).items()}


def in_state(context: Context, one: Asked, metric: State | First, params: dict[str, Any]) -> str:
    """Return the condition on rows of `state` (as `s`) that are of a metric's state and in a question's filters."""
    params |= {"tenant": context.tenant.no, "entity": metric.held[0], "state": metric.held[1]}
    where = _filters(context.question, state_columns(one.rollup, metric), params)
    return f"s.tenant = :tenant AND s.entity = :entity AND s.state = :state AND {where}"


def _states(context: Context, one: Asked, metric: State, found: dict[Key, Cell]) -> None:
    """How many entities were in a state at the end of each window, or how long ago the earliest of theirs began."""
    asked = moments_of(context)
    if not asked:
        return
    moments = [at for _, at in asked]
    columns = state_columns(one.rollup, metric)
    by = [columns[name] for name in context.question.by]
    entity, state = metric.held
    params: dict[str, Any] = {"low": moments[0], "high": moments[-1]}
    once = (entity, state) == ("contact", "known")
    who = person_of("s.id") if once and _linked(context) else "s.id"
    rows = context.reading.each(
        f"SELECT {', '.join((*by, who, 's.since', 's.until', 's.began'))} FROM state AS s "
        f"WHERE {in_state(context, one, metric, params)} AND s.until >= :low AND s.since < :high", params,
    )  # fmt: skip
    width = len(by)
    counts: dict[Dims, list[int]] = {}
    earliest: dict[Dims, list[int | None]] = {}
    for dims, since, until, began in _once(rows, width) if once else _plainly(rows, width):
        first, after = bisect_right(moments, since), bisect_right(moments, until)
        steps = counts.setdefault(dims, [0] * (len(moments) + 1))
        steps[first] += 1
        steps[after] -= 1
        if metric.age:
            begun = earliest.setdefault(dims, [None] * len(moments))
            for place in range(first, after):
                held = begun[place]
                begun[place] = began if held is None or began < held else held
    for dims, steps in counts.items():
        n = 0
        for place, (window, at) in enumerate(asked):
            n += steps[place]
            if metric.age:
                start = earliest[dims][place]
                value = None if start is None else (at - start) // 1000
                found[window, dims] = Cell(value, value, None, n)
            else:
                found[window, dims] = Cell(n, n, None, n)


def _plainly(rows: Iterator[tuple[Any, ...]], width: int) -> Iterator[tuple[Dims, int, int, Any]]:
    for row in rows:
        yield row[:width], row[width + 1], row[width + 2], row[width + 3]


def _once(rows: Iterator[tuple[Any, ...]], width: int) -> Iterator[tuple[Dims, int, int, Any]]:
    """Yield each entity once, from its earliest row on: a contact is known by each channel and account that heard of it."""
    first: dict[tuple[Dims, str], tuple[int, int]] = {}
    for row in rows:
        key = row[:width], row[width]
        held = first.get(key)
        if held is None or row[width + 1] < held[0]:
            first[key] = row[width + 1], row[width + 2]
    for (dims, _), (since, until) in first.items():
        yield dims, since, until, None


_SEEN_BEFORE = (
    "SELECT 1 FROM person AS p JOIN person AS q ON q.tenant = p.tenant AND q.root = p.root JOIN state AS o ON o.tenant = q.tenant "
    "AND o.entity = s.entity AND o.id = q.contact_id AND o.state = s.state WHERE p.tenant = s.tenant AND p.contact_id = s.id "
    "AND (o.since, o.id) < (s.since, s.id)"
)
"""That the same person was first seen under another id."""


def _firsts(context: Context, one: Asked, metric: First, found: dict[Key, Cell]) -> None:
    """How many entities were first seen in each window; a dimension or filter is that of the first sight."""
    columns, params = state_columns(one.rollup, metric), dict[str, Any]()
    by = [columns[name] for name in context.question.by]
    where = in_state(context, one, metric, params)
    if _linked(context):
        where += f" AND NOT EXISTS ({_SEEN_BEFORE})"
    shown = "".join(f", {column}" for column in by)
    for stretch in stretches(context.cut):
        for window, *dims, n in context.reading.each(
            f"SELECT {stretch.number('s.since')}{shown}, count(*) FROM state AS s WHERE {where} "
            f"AND s.since >= :low AND s.since < :high "
            f"GROUP BY {', '.join(str(n + 1) for n in range(len(by) + 1))}",
            {**params, "low": stretch.low, "high": min(stretch.high, context.now)},
        ):
            found[window, tuple(dims)] = Cell(n, n, None, n)


def _engagement(context: Context, one: Asked, found: dict[Key, Cell]) -> None:
    """Scores of contacts at the end of the range, of all their deeds up to then by local day; of several contacts the mean."""
    tenant, end = context.tenant, min(micros(context.cut[-1].end), context.now)
    first = context.reading.value("SELECT min(time) FROM event WHERE tenant = ?", (tenant.no,))
    if first is None or first >= end:
        return
    days = [
        Window(window.start, min(window.end, moment(end)))
        for window in windows(moment(first), moment(end), Grain.DAY, tenant.tz)
    ]
    whole = Context(context.reading, tenant, context.question, days, context.now)
    select = _Select(one.rollup, whole)
    select.column("f.contact_id")
    places = {kind: select.column(_measured(whole, one, measure)) for measure, kind in DEEDS.items()}
    blocked = {
        row[0]
        for row in context.reading.each(
            "SELECT id FROM state WHERE tenant = ? AND entity = 'contact' AND state = 'is blocked' AND until >= ? AND since < ?",
            (tenant.no, end, end),
        )
    }
    deeds: dict[tuple[Dims, str], dict[tuple[str, date], int]] = {}
    width = len(context.question.by)
    dates = [day_of(window.start, tenant.tz) for window in days]
    for window, dims, row in select.run(
        group=False, order=f"GROUP BY {', '.join(str(n + 1) for n in range(width + 2))}"
    ):
        mine = deeds.setdefault((dims, row[0]), {})
        for kind, place in places.items():
            mine[kind, dates[window]] = row[place]
    today = day_of(moment(end), tenant.tz)
    values: dict[Dims, list[float]] = {}
    for (dims, contact), mine in deeds.items():
        score = calculations.contact_engagement_score(mine, today, blocked=contact in blocked)
        values.setdefault(dims, []).append(score.value)
    for dims, scores in values.items():
        found[len(context.cut) - 1, dims] = Cell(math.fsum(scores) / len(scores), None, None, len(scores))
