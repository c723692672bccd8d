"""Entities in a state at the end of each window, and entities first seen in it: counted in the table `state`."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import Any

from hubbub.facts.moments import micros
from hubbub.facts.person import person_of
from hubbub.metrics.catalogue import RequestedMetric, dimensions_of
from hubbub.metrics.definition import First, Rollup, State
from hubbub.query.result import Cell
from hubbub.query.select import Context, Dims, Key, filters_on
from hubbub.query.silence import states_after_silence
from hubbub.storage.transaction import Bound


def moments_of(context: Context) -> list[tuple[int, int]]:
    """Return the number of each window that has begun, and the moment of its state: its end, or now."""
    return [
        (number, min(micros(window.end), context.now))
        for number, window in enumerate(context.windows)
        if micros(window.start) < context.now
    ]


def state_columns(rollup: Rollup, metric: State | First) -> dict[str, str]:
    """Return public dimension name -> column of the table `state` (as `s`): the entity's own is its id."""
    own = f"{metric.held[0]}_id"
    return {name: "s.id" if column == own else f"s.{column}" for name, column in dimensions_of(rollup).items()}


def in_state(context: Context, metric: RequestedMetric, declared: State | First, params: Bound) -> str:
    """Return the condition on rows of `state` (as `s`) that are in a metric's state and match a question's filters."""
    params |= {"tenant": context.tenant.no, "entity": declared.held[0], "state": declared.held[1]}
    where = filters_on(context.question, state_columns(metric.rollup, declared), params)
    return f"s.tenant = :tenant AND s.entity = :entity AND s.state = :state AND {where}"


def states(context: Context, metric: RequestedMetric, declared: State, cells: dict[Key, Cell]) -> None:
    """Count the entities in a state at the end of each window, or measure how long (ms) the longest has been in it."""
    ends = moments_of(context)
    if not ends:
        return
    moments = [at for _, at in ends]
    columns = state_columns(metric.rollup, declared)
    by = [columns[name] for name in context.question.by]
    entity, state = declared.held
    params: Bound = {"low": moments[0], "high": moments[-1]}
    once = entity == "contact" and (state == "known" or context.linked)
    who = person_of("s.id", context.dialect) if once and context.linked else "s.id"
    rows_of = states_after_silence(context.tenant, entity, state, ":low")
    of = f"FROM {rows_of} AS s WHERE {in_state(context, metric, declared, params)} AND s.until >= :low AND s.since < :high"
    if len(ends) == 1:  # the database counts
        ((window, at),) = ends
        group = f"GROUP BY {', '.join(by)}" if by else ""
        shown = (*by, f"count(DISTINCT {who})" if once else "count(*)", "min(s.began)" if declared.age else "NULL")
        for *values, n, began in context.reading.each(f"SELECT {', '.join(shown)} {of} {group}", params):
            if n:
                cells[window, tuple(values)] = _cell(declared, at, began, n)
        return
    rows = context.reading.each(f"SELECT {', '.join((*by, who, 's.since', 's.until', 's.began'))} {of}", params)
    width = len(by)
    counts: dict[Dims, list[int]] = {}
    earliest: dict[Dims, list[int | None]] = {}
    for dims, since, until, began in _once(rows, width) if once else _plainly(rows, width):
        first, after = bisect_right(moments, since), bisect_right(moments, until)
        steps = counts.setdefault(dims, [0] * (len(moments) + 1))
        steps[first] += 1
        steps[after] -= 1
        if declared.age:
            begun = earliest.setdefault(dims, [None] * len(moments))
            for place in range(first, after):
                held = begun[place]
                begun[place] = began if held is None or began < held else held
    for dims, steps in counts.items():
        n = 0
        for place, (window, at) in enumerate(ends):
            n += steps[place]
            cells[window, dims] = _cell(declared, at, earliest[dims][place] if declared.age else None, n)


def _cell(metric: State, at: int, began: int | None, n: int) -> Cell:
    """Return the count at a moment, or the milliseconds since the earliest beginning."""
    if not metric.age:
        return Cell(n, n, None, n)
    value = None if began is None else (at - began) // 1000
    return Cell(value, value, None, n)


def _plainly(rows: Iterator[tuple[Any, ...]], width: int) -> Iterator[tuple[Dims, int, int, Any]]:
    for row in rows:
        yield row[:width], row[width + 1], row[width + 2], row[width + 3]


def _once(rows: Iterator[tuple[Any, ...]], width: int) -> Iterator[tuple[Dims, int, int, Any]]:
    """Yield each contact's or person's stretches without overlaps: several channels or ids may know it at once."""
    held: dict[tuple[Dims, str], list[tuple[int, int]]] = {}
    for row in rows:
        held.setdefault((row[:width], row[width]), []).append((row[width + 1], row[width + 2]))
    for (dims, _), several in held.items():
        several.sort()
        begun, ended = several[0]
        for since, until in several[1:]:
            if since > ended:
                yield dims, begun, ended, None
                begun = since
            ended = max(ended, until)
        yield dims, begun, ended, None


_SEEN_BEFORE = (
    "SELECT t.id, t.since FROM person AS p JOIN person AS q ON q.tenant = p.tenant AND q.root = p.root "
    "JOIN state AS t ON t.tenant = p.tenant AND t.id = p.contact_id JOIN state AS o ON o.tenant = q.tenant AND o.id = q.contact_id "
    "WHERE p.tenant = :tenant AND t.entity = :entity AND t.state = :state AND o.entity = :entity AND o.state = :state "
    "AND (o.since, o.id) < (t.since, t.id)"
)
"""Ids and moments of first sights whose person was first seen under another id."""


def firsts(context: Context, metric: RequestedMetric, declared: First, cells: dict[Key, Cell]) -> None:
    """Count the entities first seen in each window; dimensions and filters are those of the first sight."""
    columns, params = state_columns(metric.rollup, declared), Bound()
    by = [columns[name] for name in context.question.by]
    where = in_state(context, metric, declared, params)
    if context.linked:
        where += f" AND (s.id, s.since) NOT IN ({_SEEN_BEFORE})"
    shown = "".join(f", {column}" for column in by)
    for stretch in context.stretches:
        for window, *dims, n in context.reading.each(
            f"SELECT {stretch.number('s.since')}{shown}, count(*) FROM state AS s WHERE {where} "
            f"AND s.since >= :low AND s.since < :high "
            f"GROUP BY {', '.join(str(n + 1) for n in range(len(by) + 1))}",
            {**params, "low": stretch.low, "high": min(stretch.high, context.now)},
        ):
            cells[window, tuple(dims)] = Cell(n, n, None, n)
