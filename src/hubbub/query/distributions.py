"""Statistics of distributions, exact: from all values in order, or by the database where no order is needed."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence

from hubbub.metrics.catalogue import Asked
from hubbub.metrics.definition import WITHIN, Distribution, Quantiles
from hubbub.query.hours import open_ms
from hubbub.query.result import Cell
from hubbub.query.select import Context, Found, Key, Select

QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}


def spell_of(one: Asked) -> tuple[str, str] | None:
    """Return the two moments (SQL) between which a distribution counts open time; None for values that are stored."""
    spell = one.rollup.source.spells.get(_column(one))
    return (f"f.{spell[0]}", f"f.{spell[1]}") if spell else None


def value_of(one: Asked) -> str:
    """Return SQL for the value of a fact in a distribution that is stored."""
    return f"f.{_column(one)}"


def _column(one: Asked) -> str:
    assert isinstance(one.metric, Quantiles)
    measure = one.rollup.measures[one.metric.measure]
    assert isinstance(measure, Distribution)
    return measure.column


def distributions(context: Context, several: Sequence[Asked], found: Found) -> None:
    """Statistics of distributions from their values in order: percentiles by linear interpolation (type 7, Hyndman and Fan)."""
    by_column: dict[str, list[Asked]] = {}
    for one in several:
        if isinstance(one.metric, Quantiles):
            by_column.setdefault(_column(one), []).append(one)
    for mine in by_column.values():
        select, spell = Select(mine[0].rollup, context), spell_of(mine[0])
        if spell is not None:
            if context.tenant.calendar:
                _in_order(_opened(select, spell), mine, found)
        elif any(one.statistic in QUANTILES for one in mine):
            _in_order(_values(select, value_of(mine[0])), mine, found)
        else:
            _summed(select, value_of(mine[0]), mine, found)


def _values(select: Select, value: str) -> Iterator[tuple[Key, int]]:
    """Yield every value with its window and dimensions."""
    select.column(value)
    for window, dims, (number,) in select.run(group=False, more=f"{value} IS NOT NULL"):
        yield (window, dims), number


def _opened(select: Select, spell: tuple[str, str]) -> Iterator[tuple[Key, int]]:
    """Yield every open time, which is worked out here."""
    start, end = map(select.column, spell)
    opened = open_ms(select.context.tenant)
    for window, dims, row in select.run(group=False):
        number = opened(row[start], row[end])
        if number is not None:
            yield (window, dims), number


def _in_order(found_values: Iterable[tuple[Key, int]], mine: Sequence[Asked], found: Found) -> None:
    values: dict[Key, list[int]] = {}
    for key, number in found_values:
        values.setdefault(key, []).append(number)
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
