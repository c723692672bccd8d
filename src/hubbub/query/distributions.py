"""Exact statistics of distributions: from all values in order, or by the database where no order is needed."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence

from hubbub.metrics.catalogue import RequestedMetric
from hubbub.metrics.definition import WITHIN, Distribution, Quantiles
from hubbub.query.hours import open_ms
from hubbub.query.result import Cell
from hubbub.query.select import Cells, Context, Key, Select

QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}


def spell_of(metric: RequestedMetric) -> tuple[str, str] | None:
    """Return the SQL of the two moments between which a distribution counts open time; None where values are stored."""
    spell = metric.rollup.source.spells.get(_column(metric))
    return (f"f.{spell[0]}", f"f.{spell[1]}") if spell else None


def value_of(metric: RequestedMetric) -> str:
    """Return SQL for the value of a fact in a stored distribution."""
    return f"f.{_column(metric)}"


def _column(metric: RequestedMetric) -> str:
    assert isinstance(metric.declared, Quantiles)
    measure = metric.rollup.measures[metric.declared.measure]
    assert isinstance(measure, Distribution)
    return measure.column


def distributions(context: Context, metrics: Sequence[RequestedMetric], cells: Cells) -> None:
    """Compute distributions from their values in order: percentiles by linear interpolation (type 7, Hyndman and Fan)."""
    by_column: dict[str, list[RequestedMetric]] = {}
    for metric in metrics:
        if isinstance(metric.declared, Quantiles):
            by_column.setdefault(_column(metric), []).append(metric)
    for same_column in by_column.values():
        select, spell = Select(same_column[0].rollup, context), spell_of(same_column[0])
        if spell is not None:
            if context.tenant.calendar:
                _in_order(_opened(select, spell), same_column, cells)
        elif context.dialect.at_rank is None and any(metric.statistic in QUANTILES for metric in same_column):
            _in_order(_values(select, value_of(same_column[0])), same_column, cells)
        else:
            _summed(select, value_of(same_column[0]), same_column, cells)


def _values(select: Select, value: str) -> Iterator[tuple[Key, int]]:
    """Yield every value with its window and dimensions."""
    select.column(value)
    for window, dims, (number,) in select.run(group=False, more=f"{value} IS NOT NULL"):
        yield (window, dims), number


def _opened(select: Select, spell: tuple[str, str]) -> Iterator[tuple[Key, int]]:
    """Yield every open time (ms), computed in Python, with its window and dimensions."""
    start, end = map(select.column, spell)
    opened = open_ms(select.context.tenant)
    for window, dims, row in select.run(group=False):
        number = opened(row[start], row[end])
        if number is not None:
            yield (window, dims), number


def _in_order(values_by_key: Iterable[tuple[Key, int]], same_column: Sequence[RequestedMetric], cells: Cells) -> None:
    values: dict[Key, list[int]] = {}
    for key, number in values_by_key:
        values.setdefault(key, []).append(number)
    for key, numbers in values.items():
        numbers.sort()
        for metric in same_column:
            cells[metric.name][key] = statistic(str(metric.statistic), numbers)


def statistic(name: str, ordered: Sequence[int]) -> Cell:
    """Return a statistic of ordered values, of which there is at least one."""
    n = len(ordered)
    if name in QUANTILES:
        return Cell(quantile(ordered, QUANTILES[name]), None, None, n)
    if name in WITHIN:
        inside = bisect_right(ordered, WITHIN[name])
        return Cell(inside / n, inside, n, n)
    return _plain(name, n, sum(ordered), ordered[0], ordered[-1])


def quantile(ordered: Sequence[int], share: float) -> float:
    """Return the percentile `share` (0 to 1) of ordered values, interpolated linearly between the two nearest ranks."""
    low = math.floor((len(ordered) - 1) * share)
    return _between(ordered[low], ordered[min(low + 1, len(ordered) - 1)], (len(ordered) - 1) * share)


def _between(first: int, second: int, rank: float) -> float:
    """Return the value at a rank between two neighbours."""
    low = math.floor(rank)
    return first if rank == low else first + (second - first) * (rank - low)


def _plain(name: str, n: int, total: int | None, low: int | None, high: int | None) -> Cell:
    if name == "count":
        return Cell(n, None, None, n)
    if name in ("avg", "sum"):
        value = total / n if name == "avg" and total is not None and n else total
        return Cell(value, total, n if name == "avg" else None, n)
    return Cell(low if name == "min" else high, None, None, n)


def _summed(select: Select, value: str, same_column: Sequence[RequestedMetric], cells: Cells) -> None:
    """Compute statistics in one statement: those that need no order, and percentiles where the database orders quickly."""
    for sql in (f"count({value})", f"sum({value})", f"min({value})", f"max({value})"):
        select.column(sql)
    statistics = {str(metric.statistic) for metric in same_column}
    limits = {
        name: select.column(f"count(*) FILTER (WHERE {value} <= {limit})")
        for name, limit in WITHIN.items() if name in statistics
    }  # fmt: skip
    ranks = _ranked(select, value, statistics)
    for window, dims, row in select.run(more=f"{value} IS NOT NULL"):
        n, total, low, high = row[:4]
        for metric in same_column if n else ():
            name = str(metric.statistic)
            if name in limits:
                cell = Cell(row[limits[name]] / n, row[limits[name]], n, n)
            elif name in ranks:
                first, second = (row[place] for place in ranks[name])
                cell = Cell(_between(first, second, (n - 1) * QUANTILES[name]), None, None, n)
            else:
                cell = _plain(name, n, total, low, high)
            cells[metric.name][window, dims] = cell


def _ranked(select: Select, value: str, statistics: set[str]) -> dict[str, list[int]]:
    """Add the values around each percentile, where the database orders them; return their places by statistic."""
    at_rank = select.context.dialect.at_rank
    return {
        name: [select.column(at_rank(value, share, ahead)) for ahead in (0, 1)]
        for name, share in QUANTILES.items() if at_rank is not None and name in statistics
    }  # fmt: skip
