"""Statistics of distributions, exact: from all values in order, or by the database where no order is needed."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence

from hubbub.metrics.catalogue import Asked
from hubbub.metrics.definition import WITHIN, Distribution, Quantiles
from hubbub.query.hours import open_ms
from hubbub.query.result import Cell
from hubbub.query.select import Context, Found, Key, Select

QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
OPENED = "open_ms"
"""Name of the function by which statements work open time out."""


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


def distributions(context: Context, several: Sequence[Asked], found: Found) -> None:
    """Statistics of distributions from their values in order: percentiles by linear interpolation (type 7, Hyndman and Fan)."""
    by_value: dict[str, list[Asked]] = {}
    for one in several:
        if isinstance(one.metric, Quantiles):
            by_value.setdefault(value_of(one), []).append(one)
    for value, mine in by_value.items():
        select = Select(mine[0].rollup, context)
        if mine[0].rollup.in_hours and not lets_work_out(context):
            continue
        if any(one.statistic in QUANTILES for one in mine):
            _in_order(select, value, mine, found)
        else:
            _summed(select, value, mine, found)


def _in_order(select: Select, value: str, mine: Sequence[Asked], found: Found) -> None:
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


def _summed(select: Select, value: str, mine: Sequence[Asked], found: Found) -> None:
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
