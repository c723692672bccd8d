"""Lays out the numbers of an answer: a column for each metric, a row for each window and slice.

A number without facts is 0 where it counts something and null where it divides; an unknown number is null with its reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from hubbub.errors import BadQuestionError
from hubbub.facts.moments import micros, moment
from hubbub.metrics.catalogue import RequestedMetric
from hubbub.metrics.definition import Distinct, First, Score, State, Stored
from hubbub.metrics.topics import FLAGGED
from hubbub.model.tenant import Tenant
from hubbub.model.window import Window
from hubbub.query.freshness import FlaggedRule, Freshness, fresh
from hubbub.query.result import UNKNOWN, Answer, Cell, Column
from hubbub.query.result import State as Known
from hubbub.query.select import Cells, Context, Dims, Key
from hubbub.query.targets import without_target

MAX_ROWS = 100_000
Gone = tuple[int, int]
"""A range past retention: facts from the first moment to the second (microseconds) were deleted."""


def laid_out(
    context: Context, metrics: Sequence[RequestedMetric], cells: Cells, now: datetime, gone: Gone | None
) -> Answer:
    """Return cells as columns: every window has a row for each slice of the range. Raises BadQuestionError for too many rows."""
    windows, tenant = context.windows, context.tenant
    slices = _slices(context, cells)
    lost = {metric.name: _lost(metric, windows, now, gone) for metric in metrics}
    columns = {}
    for metric in metrics:
        unknown = dict.fromkeys(without_target(tenant, metric, windows), Known.NO_TARGET)
        unknown |= dict.fromkeys(lost[metric.name], Known.GONE)
        column = _empty_column(metric, windows, len(slices), now, unknown, tenant)
        _fill(column, cells[metric.name], slices, unknown)
        columns[metric.name] = column
    starts = [start for window in windows for start in [window.start.astimezone(UTC)] * len(slices)]
    freshness = _freshness(context, metrics, now, len(set().union(*lost.values())), gone)
    return Answer(context.question, tenant.zone, starts, slices * len(windows), columns, freshness)


def _slices(context: Context, cells: Cells) -> list[Dims]:
    """Return the combinations of dimension values in the range, in order, null last."""
    slices: list[Dims] = [()]
    if context.question.by:
        combinations = {dims for by_key in cells.values() for _, dims in by_key}
        slices = sorted(combinations, key=lambda dims: tuple((value is None, value or "") for value in dims))
    rows = len(slices) * len(context.windows)
    if rows > MAX_ROWS:
        raise BadQuestionError(
            f"the answer would have {rows} rows, {MAX_ROWS} are allowed; filter, or take a coarser grain"
        )
    return slices


def _lost(metric: RequestedMetric, windows: Sequence[Window], now: datetime, gone: Gone | None) -> set[int]:
    """Return the windows whose data is past retention. A state belongs to its window's end; first sights are kept for ever."""
    if gone is None or isinstance(metric.declared, First):
        return set()
    of_end = isinstance(metric.declared, State)
    return {
        number for number, window in enumerate(windows)
        if micros(min(window.end, now) if of_end else window.start) < gone[1] and micros(window.end) > gone[0]
    }  # fmt: skip


def _empty_column(
    metric: RequestedMetric,
    windows: Sequence[Window],
    width: int,
    now: datetime,
    unknown: Mapping[int, Known],
    tenant: Tenant,
) -> Column:
    """Return a metric's column without facts. `width`: slices of each window; `unknown`: the reasons of unknown windows."""
    rows, horizon = len(windows) * width, metric.rollup.source.look_ahead
    column = Column(metric.unit, [], [None] * rows, [None] * rows, [0] * rows, [])
    for number, window in enumerate(windows):
        state = Known.LIVE if window.end > now else Known.PROVISIONAL if window.end + horizon > now else Known.SETTLED
        column.states += [unknown.get(number, state)] * width
        column.values += [None if number in unknown else _without_facts(metric, window, now, tenant)] * width
        if number in unknown:
            column.n[number * width : (number + 1) * width] = [None] * width
    return column


def _fill(column: Column, cells: Mapping[Key, Cell], slices: Sequence[Dims], unknown: Mapping[int, Known]) -> None:
    """Put the cells of known windows into their rows."""
    place_of = {dims: place for place, dims in enumerate(slices)}
    for (number, dims), cell in cells.items():
        if number in unknown or dims not in place_of:
            continue
        row = number * len(slices) + place_of[dims]
        column.values[row], column.n[row] = cell.value, cell.n
        column.numerators[row], column.denominators[row] = cell.numerator, cell.denominator
        if cell.details is not None:
            column.details[row] = cell.details
        if cell.state in UNKNOWN or (cell.state == Known.PROVISIONAL and column.states[row] == Known.SETTLED):
            column.states[row] = cell.state


def counts(metric: RequestedMetric, tenant: Tenant) -> bool:
    """Whether a metric counts something, so that without facts it is 0; quotients and scores are null then."""
    declared = metric.declared
    if isinstance(declared, Score):
        return False
    if isinstance(declared, Stored) and declared.measure not in ("observed_min", "observed_max"):
        return declared.times is None or declared.times(tenant) is not None
    return isinstance(declared, Distinct | State | First) or metric.statistic == "count"


def _without_facts(metric: RequestedMetric, window: Window, now: datetime, tenant: Tenant) -> int | None:
    """Return the value of a window without facts: also null for states of the future."""
    if isinstance(metric.declared, State) and (window.start >= now or metric.declared.age):
        return None
    return 0 if counts(metric, tenant) else None


def _freshness(
    context: Context, metrics: Sequence[RequestedMetric], now: datetime, nulls: int, gone: Gone | None
) -> Freshness:
    """Return how complete the answer is; `nulls`: its windows past retention."""
    tenant, windows = context.tenant, context.windows
    rule = FlaggedRule(FLAGGED, tenant.hotspot_tones) if any(metric.rollup.by_tones for metric in metrics) else None
    freshness = fresh(context.question, tenant, now, sum(window.end > now for window in windows), rule)
    if not gone or not nulls:
        return freshness
    return replace(
        freshness, gone=f"{nulls} of {len(windows)} windows are null: their data is past retention",
        kept_from=moment(gone[1]).astimezone(tenant.tz).isoformat(),
    )  # fmt: skip
