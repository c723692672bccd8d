"""The present: which entities are in a state now, and counts by the minute, which no rollup keeps.

Both read by the metrics' own declarations: as many entities are named as the metric counts, and minutes add up to the hour.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from hubbub.clock import Clock
from hubbub.errors import BadQuestionError
from hubbub.metrics import fold
from hubbub.metrics.catalogue import find
from hubbub.metrics.definition import State, Stored
from hubbub.model.question import Question
from hubbub.model.tenant import Tenant
from hubbub.model.window import Window
from hubbub.query.answer import check
from hubbub.query.facts import Facts
from hubbub.query.plan import Dirt, Tiles
from hubbub.query.read import Context, sums
from hubbub.store.base import Store, utc_naive

MOST = 1000
"""Entities that can be named at once, and windows of `lately`."""


def members(store: Store, clock: Clock, tenant: Tenant, question: Question, *, limit: int = 50) -> list[dict[str, Any]]:
    """Name the entities that a state metric counts at the question's end, or now: those that are in it longest first.

    Rows hold `id`, the metric's dimensions (as the entity has them, the greatest of several), and `since` (RFC 3339, UTC) where
    the metric says since when, else None. Raises BadQuestionError.
    """
    one, *more = [find(name) for name in question.metrics]
    metric, rollup, now = one.metric, one.rollup, clock()
    if more or not isinstance(metric, State) or not 0 < limit <= MOST:
        raise BadQuestionError(f"name one state metric, and up to {MOST} entities in it")
    check(question, [one], tenant)
    moment = min(question.end, now)
    dims = [d for d in rollup.dimensions if d not in rollup.hidden and d != metric.entity]
    with store.work() as work:
        context = Context(work, tenant, question, (), now, Dirt(store, tenant, now), Facts(work, tenant))
        rel, params = context.history(rollup, [moment])
        where = context.filters(rollup, {}, params)
        shown = "".join(f", max(r.{d}) AS {d}" for d in dims)
        rows = context.run(
            f"""WITH rel AS ({rel}), m AS (
                SELECT r.{metric.entity} AS id{shown}{fold.merge_columns(rollup.columns())} FROM rel AS r
                WHERE {where} GROUP BY r.{metric.entity}
            )
            SELECT id{"".join(f", {d}" for d in dims)}, {metric.since or "CAST(NULL AS TIMESTAMP)"} AS since FROM m
            WHERE {metric.where} ORDER BY since, id LIMIT {limit}""",
            params,
        )
    return [{**row, "since": f"{row['since'].isoformat()}Z" if row["since"] else None} for row in rows]


def lately(
    store: Store, clock: Clock, tenant: Tenant, question: Question, step: timedelta = timedelta(minutes=1)
) -> list[dict[str, Any]]:
    """Count by windows of `step` from the question's start to its end, straight from raw events.

    Rows hold `window` (its beginning in the tenant's zone) and each metric's value. Its metrics are counts of one rollup, without
    dimensions. Raises BadQuestionError.
    """
    asked = [find(name) for name in question.metrics]
    if question.by or len({one.rollup.name for one in asked}) != 1 or not all(type(a.metric) is Stored for a in asked):
        raise BadQuestionError("counts of one rollup, without dimensions, can be had by the minute")
    check(question, asked, tenant)
    cut = _windows(question.start, question.end, step)
    tiles, now = Tiles(), clock()
    for window in cut:
        tiles.add_raw(window.start, window.end, utc_naive(window.start))
    found: dict[datetime, dict[str, Any]] = {}
    with store.work() as work:
        context = Context(work, tenant, question, cut, now, Dirt(store, tenant, now), Facts(work, tenant))
        for (start, _), name, cell in sums(context, asked, tiles):
            found.setdefault(start, {})[name] = cell.value
    return [
        {
            "window": window.start.astimezone(tenant.tz).isoformat(),
            **{one.name: found.get(utc_naive(window.start), {}).get(one.name) or 0 for one in asked},
        }
        for window in cut
    ]


def _windows(start: datetime, end: datetime, step: timedelta) -> list[Window]:
    if (end - start) / step > MOST:
        raise BadQuestionError(f"up to {MOST} windows at once")
    windows = []
    while start < end:
        windows.append(Window(start, min(start + step, end)))
        start += step
    return windows
