"""Read groups of metrics: one statement over the rows of a rollup, stored and raw alike, merged, divided last.

Every reader yields (key, metric name, Cell) with key = (bucket start, values of the asked dimensions).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from hubbub import calculations
from hubbub.metrics import fold
from hubbub.metrics.catalogue import Asked, dimensions_of
from hubbub.metrics.definition import (
    WITHIN,
    Column,
    Distinct,
    DistinctRatio,
    Distribution,
    First,
    Quantiles,
    Ratio,
    Rollup,
    Score,
    State,
    Stored,
    estimate,
    last_bucket,
)  # fmt: skip
from hubbub.metrics.engagement import DEEDS
from hubbub.model.question import NONE, Cell, Question
from hubbub.model.tenant import Tenant
from hubbub.model.window import Window, day_of
from hubbub.query.facts import Facts, relation
from hubbub.query.history import history
from hubbub.query.plan import Dirt, Tiles, cut_by
from hubbub.store.base import Work, utc_naive

Key = tuple[datetime, tuple[str | None, ...]]
Cells = Iterator[tuple[Key, str, Cell]]
QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}


@dataclass(frozen=True)
class Context:
    """What every reader needs to know of the question being answered."""

    work: Work
    tenant: Tenant
    question: Question
    cut: Sequence[Window]
    now: datetime
    dirt: Dirt
    facts: Facts

    def columns(self, rollup: Rollup, alias: str = "r") -> list[str]:
        """Return the columns of the asked dimensions."""
        names = dimensions_of(rollup)
        return [f"{alias}.{names[d]}" for d in self.question.by]

    def filters(self, rollup: Rollup, extra: Mapping[str, tuple[str, ...]], params: dict[str, Any]) -> str:
        """Return the condition on `r` of the asked filters and a metric's own."""
        return filters(self.question, rollup, extra, params)

    def history(
        self, rollup: Rollup, moments: Sequence[datetime], *, by_day: bool = False
    ) -> tuple[str, dict[str, Any]]:
        """Return SQL and parameters of a rollup's rows up to each of some moments."""
        return history(
            rollup, self.work, self.tenant, moments, self.dirt, self.facts, exact=self.question.exact, by_day=by_day
        )

    def run(self, sql: str, params: dict[str, Any]) -> list[dict[str, Any]]:
        """Run a statement for this tenant."""
        return self.work.execute(sql, {"tenant": self.tenant.no, **params}).dicts()


def filters(question: Question, rollup: Rollup, extra: Mapping[str, tuple[str, ...]], params: dict[str, Any]) -> str:
    """Return the condition on `r` of a question's filters and a metric's own, which an asked one overrides."""
    names = dimensions_of(rollup)
    parts = ["TRUE"]
    wanted = {**{d: v for d, v in extra.items() if d not in question.by}, **question.where}
    for number, (name, values) in enumerate(wanted.items()):
        column, param = f"r.{names[name]}", f"where_{number}"
        params[param] = [v for v in values if v != NONE]
        null = f" OR {column} IS NULL" if NONE in values else ""
        parts.append(f"(list_contains(${param}::VARCHAR[], {column}){null})")
    return " AND ".join(parts)


def _by(context: Context, rollup: Rollup) -> tuple[str, str]:
    """SQL for the selected dimensions as d0, d1, …, and their names for grouping."""
    columns = context.columns(rollup)
    return "".join(f", {c} AS d{i}" for i, c in enumerate(columns)), "".join(f", d{i}" for i in range(len(columns)))


def _key(context: Context, row: Mapping[str, Any]) -> Key:
    return row["window_start"], tuple(row[f"d{i}"] for i in range(len(context.question.by)))


def _columns(rollup: Rollup, measures: Sequence[str]) -> list[Column]:
    return [c for m in dict.fromkeys(measures) for c in rollup.measures[m].columns(m)]


def _merged(
    context: Context, rollup: Rollup, tiles: Tiles, measures: Sequence[str], extra: Any, seen: str | None
) -> Any:
    rel, params = relation(rollup, tiles, context.facts)
    where = context.filters(rollup, extra, params)
    selected, grouped = _by(context, rollup)
    if seen:
        where += (
            f" AND coalesce(r.channel, '') IN (SELECT coalesce(channel, '') FROM rel GROUP BY 1 HAVING sum({seen}) > 0)"
        )
    values = fold.merge_columns(_columns(rollup, measures))
    return context.run(
        f"WITH rel AS ({rel}) SELECT r.window_start{selected}{values} FROM rel AS r WHERE {where} "
        f"GROUP BY r.window_start{grouped}", params,
    )  # fmt: skip


def sums(context: Context, metrics: Sequence[Asked], tiles: Tiles) -> Cells:
    """Stored measures and ratios of them."""
    rollup, first = metrics[0].rollup, metrics[0].metric
    needed: list[str] = []
    for one in metrics:
        metric = one.metric
        needed += [metric.measure] if isinstance(metric, Stored) else [*metric.over, metric.under]  # type: ignore[attr-defined]
    extra = {} if context.question.include_bots or not isinstance(first, Stored) else first.where
    seen = first.where_seen if isinstance(first, Ratio) else None
    for row in _merged(context, rollup, tiles, needed, extra, seen):
        for one in metrics:
            metric = one.metric
            if isinstance(metric, Stored):
                value = row[metric.measure]
                value = value / metric.divide if metric.divide != 1 and value is not None else value
                yield _key(context, row), one.name, Cell(value, value, None, value if metric.divide == 1 else None)
            elif isinstance(metric, Ratio):
                over = sum(row[m] * weight for m, weight in metric.over.items())
                under = row[metric.under]
                value = over * metric.factor / under if under else None
                whole = over if metric.factor != 1e-6 else over * metric.factor
                yield _key(context, row), one.name, Cell(value, whole, under, under)


def quantiles(context: Context, metrics: Sequence[Asked], tiles: Tiles) -> Cells:
    """Statistics of distributions: mean and extremes from exact columns, the others from merged histograms (or raw rows)."""
    rollup = metrics[0].rollup
    for measure in dict.fromkeys(_measure(one) for one in metrics):
        mine = [one for one in metrics if _measure(one) == measure]
        main = {_key(context, row): row for row in _merged(context, rollup, tiles, [measure], {}, None)}
        wanted = sorted({str(one.statistic) for one in mine} & {*QUANTILES, *WITHIN})
        found: dict[Key, dict[str, Any]] = {}
        if wanted:
            exact = context.question.exact and not tiles.stored
            found = (_exact if exact else _from_histogram)(context, rollup, measure, tiles, wanted)
        for key, row in main.items():
            count = row[f"{measure}_count"]
            total = row[f"{measure}_sum"] if count else None  # rows without a value add up to nothing, not to 0
            low, high = row[f"{measure}_min"], row[f"{measure}_max"]
            plain = {
                "count": count,
                "sum": total,
                "min": low,
                "max": high,
                "avg": total / count if total is not None else None,
            }
            for one in mine:
                if (name := str(one.statistic)) in WITHIN:
                    inside = _inside(found.get(key, {}).get(name, 0), count, low, high, WITHIN[name])
                    yield key, one.name, Cell(inside / count if count else None, inside, count, count)
                    continue
                if one.statistic in QUANTILES:
                    value = found.get(key, {}).get(one.statistic)
                    value = min(max(value, low), high) if value is not None else None
                else:
                    value = plain[str(one.statistic)]
                top = total if one.statistic in ("avg", "sum") else None
                yield key, one.name, Cell(value, top, count if one.statistic == "avg" else None, count)


def _measure(one: Asked) -> str:
    metric = one.metric
    assert isinstance(metric, Quantiles)
    return metric.measure


def _inside(found: int, count: int, low: int | None, high: int | None, limit: int) -> int:
    """Return how many values lie within a limit: as found in buckets, and all or none where the extremes say so."""
    if low is None or high is None or low > limit:
        return 0
    return count if high <= limit else found


def _from_histogram(
    context: Context, rollup: Rollup, measure: str, tiles: Tiles, wanted: Sequence[str]
) -> dict[Key, Any]:
    """Percentiles with linear interpolation between the estimates of the two neighbouring ranks, as in exact ones; counts."""
    rel, params = relation(rollup, tiles, context.facts, measure)
    where = context.filters(rollup, {}, params)
    selected, grouped = _by(context, rollup)
    values = "".join(
        f", min(bucket) FILTER (WHERE upto > floor((total - 1) * {q}e0)) AS {name}_low"
        f", min(bucket) FILTER (WHERE upto > ceil((total - 1) * {q}e0)) AS {name}_high"
        for name, q in ((n, QUANTILES[n]) for n in wanted if n in QUANTILES)
    )
    values += "".join(
        f", CAST(coalesce(sum(n) FILTER (WHERE bucket <= {last_bucket(WITHIN[name])}), 0) AS BIGINT) AS {name}"
        for name in wanted
        if name in WITHIN
    )
    rows = context.run(
        f"""WITH rel AS ({rel}), g AS (
            SELECT r.window_start{selected}, r.bucket, sum(r.n) AS n FROM rel AS r WHERE {where}
            GROUP BY r.window_start{grouped}, r.bucket
        ), c AS (
            SELECT *, sum(n) OVER (PARTITION BY window_start{grouped} ORDER BY bucket) AS upto,
                sum(n) OVER (PARTITION BY window_start{grouped}) AS total FROM g
        )
        SELECT window_start{grouped}, max(total) AS total{values} FROM c GROUP BY window_start{grouped}""",
        params,
    )
    return {_key(context, row): _told(row, wanted, estimate) for row in rows}


def _exact(context: Context, rollup: Rollup, measure: str, tiles: Tiles, wanted: Sequence[str]) -> dict[Key, Any]:
    """Percentiles of the raw fact rows themselves (linear interpolation, type 7 of Hyndman and Fan), and counts of them."""
    distribution = rollup.measures[measure]
    assert isinstance(distribution, Distribution)
    params: dict[str, Any] = {}
    source = context.facts.source(rollup.source, tiles)
    cut = cut_by(f"f.{rollup.anchor}", tiles.raw, "raw_pieces", params)
    where = context.filters(rollup, {}, params)
    selected, grouped = _by(context, rollup)
    column = f"r.{distribution.column}"
    places = "".join(
        f", ordered[CAST({way}((total - 1) * {QUANTILES[name]}e0) AS BIGINT) + 1] AS {name}_{end}"
        for name in wanted
        if name in QUANTILES
        for end, way in (("low", "floor"), ("high", "ceil"))
    )
    counts = "".join(f", count(*) FILTER (WHERE {column} <= {WITHIN[n]}) AS {n}" for n in wanted if n in WITHIN)
    counted = "".join(f", {name}" for name in wanted if name in WITHIN)
    rows = context.run(
        f"""WITH rel AS (
            SELECT f.*, {cut.bucket} AS window_start FROM {source} AS f{cut.join} WHERE ({rollup.where}) AND {cut.where}
        ), g AS (
            SELECT r.window_start{selected}, list_sort(list({column})) AS ordered, count(*) AS total{counts} FROM rel AS r
            WHERE {where} AND {column} IS NOT NULL GROUP BY r.window_start{grouped}
        )
        SELECT window_start{grouped}, total{places}{counted} FROM g""",
        params,
    )
    return {_key(context, row): _told(row, wanted, lambda value: value) for row in rows}


def _told(row: Mapping[str, Any], wanted: Sequence[str], value_of: Callable[[Any], float]) -> dict[str, Any]:
    """Return a row's percentiles, and its counts as they are."""
    return {name: row[name] if name in WITHIN else _between(row, name, value_of) for name in wanted}


def _between(row: Mapping[str, Any], name: str, value_of: Callable[[Any], float]) -> float:
    """Return a percentile by the values at the two ranks next to it."""
    rank = (int(row["total"]) - 1) * QUANTILES[name]
    low, high = value_of(row[f"{name}_low"]), value_of(row[f"{name}_high"])
    return low + (high - low) * (rank - math.floor(rank))


def distinct(context: Context, metrics: Sequence[Asked], tiles: Tiles) -> Cells:
    """Distinct members, and ratios of two distinct counts over the same members."""
    rollup = metrics[0].rollup
    rel, params = relation(rollup, tiles, context.facts)
    where = context.filters(rollup, {}, params)
    selected, grouped = _by(context, rollup)
    member = metrics[0].metric.member  # type: ignore[attr-defined]
    counts = ""
    for number, one in enumerate(metrics):
        metric = one.metric
        if isinstance(metric, Distinct):
            counts += f", count(*) FILTER (WHERE {metric.where}) AS over_{number}"
        elif isinstance(metric, DistinctRatio):
            counts += f", count(*) FILTER (WHERE {metric.over}) AS over_{number}"
            counts += f", count(*) FILTER (WHERE {metric.under}) AS under_{number}"
    rows = context.run(
        f"""WITH rel AS ({rel}), m AS (
            SELECT r.window_start{selected}, r.{member} AS member{fold.merge_columns(rollup.columns())}
            FROM rel AS r WHERE {where} GROUP BY r.window_start{grouped}, r.{member}
        )
        SELECT window_start{grouped}{counts} FROM m GROUP BY window_start{grouped}""",
        params,
    )
    for row in rows:
        for number, one in enumerate(metrics):
            over = row[f"over_{number}"]
            if isinstance(one.metric, Distinct):
                yield _key(context, row), one.name, Cell(over, over, None, over)
            else:
                under = row[f"under_{number}"]
                yield _key(context, row), one.name, Cell(over / under if under else None, over, under, under)


def states(context: Context, metrics: Sequence[Asked], tiles: Tiles) -> Cells:
    """How many entities are in a state at the end of each bucket, or now where the bucket is still open."""
    rollup = metrics[0].rollup
    ends = {min(w.end, context.now): utc_naive(w.start) for w in context.cut if w.start < context.now}
    if not ends:
        return
    rel, params = context.history(rollup, sorted(ends))
    moments = ", ".join(f"(TIMESTAMP '{utc_naive(end)}')" for end in sorted(ends))
    where = context.filters(rollup, {}, params)
    selected, grouped = _by(context, rollup)
    conditions = [(one, one.metric) for one in metrics if isinstance(one.metric, State)]
    counts = "".join(
        f", count(*) FILTER (WHERE {m.where}) AS n_{i}"
        + (
            f", (epoch_us(window_start) - epoch_us(min({m.since}) FILTER (WHERE {m.where}))) // 1000 AS ms_{i}"
            if m.since
            else ""
        )
        for i, (_, m) in enumerate(conditions)
    )
    entity = conditions[0][1].entity
    starts = {utc_naive(end): start for end, start in ends.items()}
    rows = context.run(
        f"""WITH rel AS ({rel}), m AS (
            SELECT i.moment AS window_start{selected}, r.{entity} AS entity{fold.merge_columns(rollup.columns())}
            FROM (VALUES {moments}) AS i(moment) JOIN rel AS r ON r.window_start <= i.moment
            WHERE {where} GROUP BY i.moment{grouped}, r.{entity}
        )
        SELECT window_start{grouped}{counts} FROM m GROUP BY window_start{grouped}""",
        params,
    )
    for row in rows:
        row["window_start"] = starts[row["window_start"]]
        for i, (one, m) in enumerate(conditions):
            n, value = row[f"n_{i}"], row[f"ms_{i}" if m.since else f"n_{i}"]
            yield _key(context, row), one.name, Cell(value, value, None, n)


def firsts(context: Context, metrics: Sequence[Asked], tiles: Tiles) -> Cells:
    """How many entities were first seen in each bucket; the whole past decides, a dimension is that of the first sight.

    A filter too: who was first seen by another account is no account's newcomer but that one's.
    """
    rollup = metrics[0].rollup
    moment = min(max(w.end for w in context.cut), context.now)
    rel, params = context.history(rollup, [moment])
    where = context.filters(rollup, {}, params)
    names = dimensions_of(rollup)
    used = dict.fromkeys(names[d] for d in (*context.question.by, *context.question.where))
    selected, grouped = _by(context, rollup)
    for one in metrics:
        metric = one.metric
        assert isinstance(metric, First)
        dims = "".join(f", arg_min(r.{c}, (r.{metric.column}, r.{c})) AS {c}" for c in used)
        rows = context.run(
            f"""WITH rel AS ({rel}), m AS (
                SELECT min(r.{metric.column}) AS first{dims} FROM rel AS r
                WHERE r.{metric.column} IS NOT NULL GROUP BY r.{metric.entity}
            )
            SELECT w.start AS window_start{selected}, count(*) AS n FROM m AS r JOIN asked_windows AS w
                ON r.first >= w.start AND r.first < w.finish
            WHERE {where} GROUP BY w.start{grouped}""",
            {
                **params,
                "asked_windows": pa.table(
                    {
                        "start": pa.array([utc_naive(w.start) for w in context.cut], pa.timestamp("us")),
                        "finish": pa.array([utc_naive(w.end) for w in context.cut], pa.timestamp("us")),
                    }
                ),
            },
        )
        for row in rows:
            yield _key(context, row), one.name, Cell(row["n"], row["n"], None, row["n"])


def scores(context: Context, metrics: Sequence[Asked], tiles: Tiles) -> Cells:
    """Scores, by the public calculations."""
    for one in metrics:
        metric = one.metric
        assert isinstance(metric, Score)
        yield from (_engagement if metric.function == "contact_engagement_score" else _campaigns)(context, one, tiles)


def _campaigns(context: Context, one: Asked, tiles: Tiles) -> Cells:
    for row in _merged(context, one.rollup, tiles, one.metric.parts, {}, None):  # type: ignore[attr-defined]
        score = calculations.campaign_score(
            attempted=row["attempted"], delivered=row["delivered"], read=row["read"], recipients=row["delivered"],
            engaged=row["engaged"], converted=row["converted"], opted_out=row["opted_out"],
        )  # fmt: skip
        parts = {
            name: {"numerator": p.numerator, "denominator": p.denominator, "weight": p.weight, "points": p.points}
            for name, p in score.parts.items()
        }
        details = {"parts": parts, "penalty": score.penalty, "reason": score.reason}
        yield _key(context, row), one.name, Cell(score.value, None, None, row["attempted"], details=details)


def _engagement(context: Context, one: Asked, tiles: Tiles) -> Cells:
    """Scores of contacts at the end of the range: of all their deeds up to then, by local day; several contacts: the mean."""
    rollup = one.rollup
    moment = min(max(w.end for w in context.cut), context.now)
    rel, params = context.history(rollup, [moment], by_day=True)
    where = context.filters(rollup, {}, params)
    selected, grouped = _by(context, rollup)
    tz = context.tenant.tz
    rows = context.run(
        f"WITH rel AS ({rel}) SELECT r.window_start{selected}, r.contact_id AS contact"
        f"{fold.merge_columns(rollup.columns())} FROM rel AS r WHERE {where} GROUP BY r.window_start{grouped}, r.contact_id "
        "ORDER BY r.window_start", params,
    )  # fmt: skip
    deeds: dict[tuple[tuple[str | None, ...], str], dict[tuple[str, Any], int]] = {}
    blocked: dict[tuple[tuple[str | None, ...], str], bool] = {}
    for row in rows:
        dims, contact = _key(context, row)[1], row["contact"]
        day = day_of(row["window_start"].replace(tzinfo=context.now.tzinfo), tz)
        mine = deeds.setdefault((dims, contact), {})
        for column, kind in DEEDS.items():
            mine[kind, day] = mine.get((kind, day), 0) + row[column]
        if row["state"] is not None:
            blocked[dims, contact] = row["state"] == "blocked"
    today = day_of(moment, tz)
    values: dict[tuple[str | None, ...], list[float]] = {}
    for (dims, contact), mine in deeds.items():
        score = calculations.contact_engagement_score(mine, today, blocked=blocked.get((dims, contact), False))
        values.setdefault(dims, []).append(score.value)
    start = utc_naive(context.cut[-1].start)
    for dims, scores_ in values.items():
        yield (start, dims), one.name, Cell(math.fsum(scores_) / len(scores_), None, None, len(scores_))
