"""Explain a number: its definition, parts, the windows it was read from, and the raw events behind it, page by page."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, timedelta
from typing import Any

from hubbub.clock import Clock
from hubbub.errors import BadQuestionError
from hubbub.metrics.catalogue import DEFINITION_VERSION, Asked, find
from hubbub.metrics.definition import (
    WITHIN,
    Count,
    Distribution,
    Extreme,
    First,
    Latest,
    Measure,
    Quantiles,
    Ratio,
    State,
    Stored,
    Sum,
)  # fmt: skip
from hubbub.model import calendar, page
from hubbub.model.question import Question
from hubbub.model.tenant import Tenant
from hubbub.model.window import Grain, day_of, slot_of
from hubbub.query.answer import Answers, check
from hubbub.query.facts import Facts
from hubbub.query.plan import Dirt, Piece, buckets, tile
from hubbub.query.read import filters
from hubbub.store.base import Store

PAGE = 50
MAX_PAGE = 1000


def explain(
    store: Store, clock: Clock, tenant: Tenant, question: Question, *, limit: int = PAGE, cursor: str | None = None
) -> dict[str, Any]:
    """Explain one metric over `[start, end)`: stored and recomputed value, formula, parts, windows, and event ids.

    `events` are the things counted (the reply of a response, the message of a count), newest last, `limit` after what
    `cursor`, the `next` of the page before, says.
    """
    if len(question.metrics) != 1:
        raise BadQuestionError("explain one metric at a time")
    if not 0 < limit <= MAX_PAGE:
        raise BadQuestionError(f"'limit' must lie between 1 and {MAX_PAGE}")
    one = find(question.metrics[0])
    question = replace(question, grain=Grain.TOTAL, by=(), compare=None, exact=False)
    check(question, [one], tenant)
    answers = Answers(store, clock)
    shown = answers.answer(tenant, question)
    exact = answers.answer(tenant, replace(question, exact=True))
    cell, again = shown.rows[0].cells[one.name], exact.rows[0].cells[one.name]
    now = clock()
    dirt = Dirt(store, tenant, now)
    cut = buckets(question.start, question.end, Grain.TOTAL, tenant)
    tiles = tile(one.rollup, tenant, cut, Grain.TOTAL, now, dirt)
    total, found = _events(store, tenant, question, one, limit, cursor, clock)
    events, following = page.cut(found, limit, lambda row: (row["time"], row.get("id", "")))
    return {
        "metric": one.name,
        "definition": one.metric.doc,
        "definition_version": DEFINITION_VERSION,
        "unit": one.unit.value,
        "fact": one.rollup.source.doc,
        "formula": _formula(one),
        "value": cell.value,
        "numerator": cell.numerator,
        "denominator": cell.denominator,
        "n": cell.n,
        "state": cell.state,
        "exact": again.value,
        "parts": dict(cell.details or {}),
        "windows": {
            "stored": {g.value: len(pairs) for g, pairs in tiles.stored.items()},
            "raw_quarter_hours": len({s for p in tiles.raw for s in _slots(p)}),
        },
        "events": {"total": total, "rows": events, "next": following},
        "freshness": shown.freshness,
        **({"calendar": _calendar(tenant, question)} if one.rollup.in_hours else {}),
    }


def _calendar(tenant: Tenant, question: Question) -> dict[str, Any]:
    """Return the business hours that spells which end in the range are counted in; they may reach back to any version."""
    last = day_of(question.end - timedelta(microseconds=1), tenant.tz)
    used = [calendar.version_document(v) for v in tenant.calendar.versions if v.valid_from <= last]
    return {"zone": tenant.zone, "versions": used}


def _slots(piece: Piece) -> range:
    """Return the numbers of the quarter hours that a piece touches."""
    last = piece.end - timedelta(microseconds=1)
    return range(slot_of(piece.start.replace(tzinfo=UTC)), slot_of(last.replace(tzinfo=UTC)) + 1)


def _formula(one: Asked) -> str:
    metric, rollup = one.metric, one.rollup
    if isinstance(metric, Ratio):
        over = " + ".join(m if w == 1 else f"{w:g} * {m}" for m, w in metric.over.items())
        factor = f" * {metric.factor:g}" if metric.factor not in (1, 1e-6) else ""
        return f"({over}) / {metric.under}{factor}"
    if isinstance(metric, Stored):
        return f"{metric.measure}: {rollup.measures[metric.measure].doc}"
    if isinstance(metric, Quantiles):
        limit = WITHIN.get(str(one.statistic))
        if limit is not None:
            return f"values of {metric.measure} up to {limit} ms / all of them"
        return f"{one.statistic} of {metric.measure}"
    if isinstance(metric, State):
        what = f"ms since the earliest {metric.since} of entities" if metric.since else "entities"
        return f"{what} ({metric.entity}) whose last known state satisfies: {metric.where}"
    return metric.doc


def _condition(measure: Measure) -> str:
    if isinstance(measure, Count | Sum | Extreme | Latest):
        return measure.where or "TRUE"
    if isinstance(measure, Distribution):
        return f"f.{measure.column} IS NOT NULL"
    return "TRUE"


def _counted(one: Asked) -> str:
    """SQL on the fact rows `f` that are behind a metric: those its measures count."""
    metric, measures = one.metric, one.rollup.measures
    if isinstance(metric, Stored | Quantiles):
        return _condition(measures[metric.measure])
    if isinstance(metric, Ratio):
        return " OR ".join(f"({_condition(measures[m])})" for m in (*metric.over, metric.under))
    return "TRUE"


def _events(
    store: Store, tenant: Tenant, question: Question, one: Asked, limit: int, cursor: str | None, clock: Clock
) -> tuple[int, list[dict[str, Any]]]:
    rollup, fact = one.rollup, one.rollup.source
    now = clock()
    dirt = Dirt(store, tenant, now)
    cut = buckets(question.start, question.end, Grain.TOTAL, tenant)
    if isinstance(one.metric, State | First):  # the whole past decides: what happened in the range is shown
        question = replace(question, where=dict(question.where))
    tiles = tile(rollup, tenant, cut, Grain.TOTAL, now, dirt, exact=True)
    if not tiles.raw:
        return 0, []
    params: dict[str, Any] = {"tenant": tenant.no}
    extra = one.metric.where if isinstance(one.metric, Stored) and not question.include_bots else {}
    where = filters(question, rollup, extra, params)
    anchor = f"r.{rollup.anchor}"
    dims = "".join(f", r.{d}" for d in rollup.dimensions)
    value = ""
    if isinstance(one.metric, Quantiles):
        column = rollup.measures[one.metric.measure].column  # type: ignore[attr-defined]
        value = f', r.{column} AS "value"'
        if column in fact.spells:
            value += f', r.{fact.spells[column][0]} AS "since"'
    with store.work() as work:
        body = (
            f"FROM (SELECT * FROM {Facts(work, tenant).source(fact, tiles)} AS f WHERE ({rollup.where}) AND "
            f"({_counted(one)})) AS r WHERE {anchor} >= TIMESTAMP '{tiles.low}' AND {anchor} < TIMESTAMP '{tiles.high}' "
            f"AND {where}"
        )
        total = work.execute(f"SELECT count(*) {body}", params).rows[0][0]
        after = page.place_of(cursor, str, str)
        if after is not None:
            body += f" AND ({anchor}, r.{fact.id}) > (TRY_CAST($after_time AS TIMESTAMP), $after_id)"
            params |= {"after_time": after[0].removesuffix("Z"), "after_id": after[1]}
        found = work.execute(
            f'SELECT r.{fact.id} AS id, {anchor} AS "time"{dims}{value} {body} ORDER BY 2, 1 LIMIT {limit + 1}',
            params,
        )
    return total, [
        {k: (v.isoformat() + "Z" if k in ("time", "since") else v) for k, v in row.items() if v is not None}
        for row in found.dicts()
    ]
