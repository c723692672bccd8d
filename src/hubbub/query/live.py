"""The present: entities in a state now, and counts by the minute.

Both use the metrics' declarations: the list is as long as the metric counts, and minutes add up to the hour.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from hubbub.errors import BadQuestionError
from hubbub.facts.moments import in_utc, micros
from hubbub.metrics.catalogue import RequestedMetric, find
from hubbub.metrics.definition import First, State, Stored
from hubbub.model.question import Question
from hubbub.model.tenant import Tenant
from hubbub.model.window import Window
from hubbub.query.checks import check
from hubbub.query.filters import listed
from hubbub.query.queries import Queries
from hubbub.query.reader import read
from hubbub.query.select import Context
from hubbub.query.silence import states_after_silence
from hubbub.query.states import in_state, state_columns
from hubbub.query.waiters import waiting_past
from hubbub.storage.transaction import Bound

MOST = 1000
"""Entities that can be named at once, and windows of `lately`."""


@dataclass(frozen=True, slots=True)
class Member:
    """An entity in a state."""

    id: str
    """Id of the conversation, staff member, task or campaign."""
    since: datetime | None
    """The beginning of the state, for metrics that measure it."""
    dimensions: Mapping[str, str | None]
    """Its values of the metric's dimensions."""


@dataclass(frozen=True, slots=True)
class Minute:
    """Counts of a minute, or of another step."""

    window: str
    """Its beginning, in the tenant's zone."""
    values: Mapping[str, int]
    """By metric; a minute without events is 0."""


def members(queries: Queries, tenant: Tenant, question: Question, *, limit: int = 50) -> list[Member]:
    """Return the entities that a state metric counts at the question's end (or now), those longest in the state first.

    An entity with several values of a dimension has the greatest. Raises BadQuestionError for other metrics, and beyond `MOST`.
    """
    metric, *more = [find(name) for name in question.metrics]
    if more or not isinstance(metric.declared, State) or not 0 < limit <= MOST:
        raise BadQuestionError(f"name one state metric, and up to {MOST} entities in it")
    check(question, [metric], tenant)
    params: Bound = {"limit": limit}
    with queries.reading(tenant) as (reading, now):
        context = Context(reading, tenant, question, (), micros(now))
        says_since = metric.declared.age or metric.declared.past_target
        rows = reading.dicts(f"{entities(context, metric, params)} ORDER BY began NULLS FIRST, id LIMIT :limit", params)
    return [
        Member(
            row["id"], in_utc(row["began"]) if says_since and row["began"] is not None else None,
            {name: value for name, value in row.items() if name not in ("id", "time", "began")},
        )
        for row in rows
    ]  # fmt: skip


def entities(context: Context, metric: RequestedMetric, params: Bound) -> str:
    """Return the SELECT of a metric's entities: those in its state at the question's end (or now), or first seen in its range.

    Its columns are `id`, `time` (beginning of the stretch), `began`, and the dimensions; bound values go into `params`.
    """
    declared = metric.declared
    assert isinstance(declared, State | First)
    low, high = micros(context.question.start), min(micros(context.question.end), context.now)
    when = (
        "s.since >= :low AND s.since < :high" if isinstance(declared, First) else "s.since < :high AND s.until >= :high"
    )
    params |= {"low": low, "high": high}
    rows = "state" if isinstance(declared, First) else states_after_silence(context.tenant, *declared.held, ":high")
    dims = "".join(
        f", max({column}) AS {name}" for name, column in state_columns(metric.rollup, declared).items() if column != "s.id"
        and name not in metric.rollup.hidden
    )  # fmt: skip
    if isinstance(declared, State) and declared.past_target:
        when += f" AND s.id IN ({listed('id', waiting_past(context, metric, declared, high), params)})"
    return (
        f"SELECT s.id AS id, min(s.since) AS time, min(s.began) AS began{dims} FROM {rows} AS s "
        f"WHERE {in_state(context, metric, declared, params)} AND {when} GROUP BY s.id"
    )


def lately(
    queries: Queries, tenant: Tenant, question: Question, step: timedelta = timedelta(minutes=1)
) -> list[Minute]:
    """Return counts by windows of `step`, from the question's start to its end.

    Raises BadQuestionError unless the metrics are counts of one declaration without dimensions, over at most `MOST` windows.
    """
    metrics = [find(name) for name in question.metrics]
    if (
        question.by
        or len({metric.rollup.name for metric in metrics}) != 1
        or not all(type(metric.declared) is Stored for metric in metrics)
    ):
        raise BadQuestionError("by the minute: ask for counts of one kind of fact, without dimensions")
    check(question, metrics, tenant)
    windows = _windows(question.start, question.end, step)
    with queries.reading(tenant) as (reading, now):
        cells = read(Context(reading, tenant, question, windows, micros(now)), metrics)
    return [
        Minute(
            window.start.astimezone(tenant.tz).isoformat(),
            {name: int(of[number, ()].value or 0) if (number, ()) in of else 0 for name, of in cells.items()},
        )
        for number, window in enumerate(windows)
    ]


def _windows(start: datetime, end: datetime, step: timedelta) -> list[Window]:
    if (end - start) / step > MOST:
        raise BadQuestionError(f"up to {MOST} windows at once")
    windows = []
    while start < end:
        windows.append(Window(start, min(start + step, end)))
        start += step
    return windows
