"""Commands that answer: metrics, query, explain, changes, usual, news, dashboard, trends, hotspots."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from hubbub.cli.options import AsOf, Cursor, Data, From, Json, Limit, TenantName, To, Where, pairs

if TYPE_CHECKING:
    from hubbub.query.changes import Others, Part
    from hubbub.query.trends import TrendRow
    from hubbub.services.answers import AnswerService

T = TypeVar("T")


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    for command in (metrics, query, explain, changes, usual, news, dashboard, trends, hotspots):
        app.command()(command)


def _ask(data: Path | None, ask: Callable[[AnswerService], T]) -> T:
    """Ask the engine over a data folder."""
    from hubbub.cli.backend import opened

    with opened(data) as engine:
        return ask(engine.answers)


def metrics(data: Data = None, as_json: Json = False) -> None:
    """List everything that can be asked for."""
    from hubbub.cli import show
    from hubbub.metrics.catalogue import entries
    from hubbub.model.page import Page

    rows = entries()
    if as_json:
        show.emit(Page(rows), as_json=True)
        return
    shown = [
        {
            "metric": row.name,
            "unit": row.unit,
            "by": ", ".join(row.dimensions),
            "definition": row.definition,
        }
        for row in rows
    ]
    show.table(shown)


def query(
    metrics: Annotated[list[str], typer.Argument(help="Metrics, like messages or response_ms.p50.")],
    tenant: TenantName,
    start: From,
    end: To,
    grain: Annotated[str, typer.Option("--grain", help="hour, day, week, month or total.")] = "total",
    by: Annotated[list[str] | None, typer.Option("--by", help="Split by this dimension; may be repeated.")] = None,
    where: Where = None,
    compare: Annotated[str | None, typer.Option("--compare", help="previous: the same stretch before.")] = None,
    include_bots: Annotated[bool, typer.Option("--include-bots", help="Count bots and notices too.")] = False,
    as_of: AsOf = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print the rows as CSV.")] = False,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Answer a question."""
    from hubbub.cli import show

    answer = _ask(
        data,
        lambda answers: answers.query(
            tenant, metrics, start, end, grain, by or [], pairs(where), compare, include_bots, as_of, names=True
        ),
    )
    if as_csv:
        from hubbub.reports.as_csv import answer_table

        typer.echo(answer_table(answer.rows), nl=False)
        return
    if as_json:
        show.emit(answer, as_json=True)
        return
    rows = []
    for row in answer.rows:
        shown = {name: value for name, value in row.items() if name != "compare" and not name.endswith(".state")}
        for name, compared in row.get("compare", {}).items():
            change = compared["change"]
            shown[f"{name} before"] = compared["previous"]
            shown[f"{name} change"] = (
                f"{change['relative']:+.1%}" if change["relative"] is not None else change["label"]
            )
        if grain != "hour":
            shown["window"] = shown["window"][:10]
        rows.append(shown)
    show.table(rows)
    fresh = answer.freshness
    show.why(answer.rows, fresh)
    show.say(f"from {fresh.source}, complete to {fresh.complete_to}, zone {fresh.zone}, percentiles {fresh.quantiles}")


def explain(
    metric: Annotated[str, typer.Argument(help="One metric, like csat or response_ms.p95.")],
    tenant: TenantName,
    start: From,
    end: To,
    where: Where = None,
    as_of: AsOf = None,
    limit: Limit = 20,
    cursor: Cursor = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Explain one number: formula, parts, windows used and the events behind it."""
    from hubbub.cli import show
    from hubbub.model.plain import plain

    answer = plain(
        _ask(
            data,
            lambda answers: answers.explain(
                tenant, metric, start, end, pairs(where), as_of=as_of, limit=limit, cursor=cursor
            ),
        )
    )
    if not as_json:
        answer["value"] = show.text(answer["value"], metric)
        for row in answer["events"]["rows"]:  # of a distribution: the value of each, a duration
            row |= {name: show.text(row[name], "duration_ms") for name in ("value",) if name in row}
    show.emit(answer, as_json=as_json)


def changes(
    metric: Annotated[str, typer.Argument(help="One count, share or mean, like csat or response_ms.avg.")],
    tenant: TenantName,
    start: From,
    end: To,
    by: Annotated[
        list[str] | None, typer.Option("--by", help="A dimension; may be repeated. Absent: the usual.")
    ] = None,
    where: Where = None,
    compare: Annotated[
        str, typer.Option("--compare", help="previous, day, week, weekdays or year: the period before.")
    ] = "previous",
    limit: Annotated[int, typer.Option("--limit", help="Values per dimension; the rest is added up.")] = 10,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Say which channels, people or topics made a number change, by growing (volume) or getting better or worse (rate)."""
    from hubbub.cli import show
    from hubbub.model.plain import plain

    answer = _ask(
        data,
        lambda answers: answers.changes(tenant, metric, start, end, by or [], pairs(where), compare, limit=limit),
    )
    if as_json:
        show.emit(answer, as_json=True)
        return
    numbers = {"before": answer.before, "after": answer.after, "difference": answer.difference}
    show.table([{name: show.text(value, metric) for name, value in numbers.items()}], title=metric)
    show.why([plain(answer)])
    for name, parts in answer.dimensions.items():
        rows = [{name: part.value or "(none)", **_without(part, "value")} for part in parts.rows]
        if parts.others:
            rows.append({name: f"{parts.others.count} others", **_without(parts.others, "count")})
        show.table([{k: show.text(v, metric) for k, v in row.items()} for row in rows])


def _without(part: Part | Others, field: str) -> dict[str, Any]:
    return {name: value for name, value in asdict(part).items() if name != field}


def usual(
    metric: Annotated[str, typer.Argument(help="One metric, like messages or response_ms.p50.")],
    tenant: TenantName,
    start: From,
    end: To,
    grain: Annotated[str, typer.Option("--grain", help="hour, day or week.")] = "day",
    by: Annotated[list[str] | None, typer.Option("--by", help="Split by this dimension; may be repeated.")] = None,
    where: Where = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Show a metric beside what is usual: the same weekday (and hour) of the last eight settled weeks."""
    from hubbub.cli import show

    answer = _ask(data, lambda answers: answers.usual(tenant, metric, start, end, grain, by or [], pairs(where)))
    if as_json:
        show.emit(answer, as_json=True)
        return
    rows = []
    for row in answer.rows:
        shown = {name: value for name, value in row.items() if name != "usual" and not name.endswith(".state")}
        usual = {name: show.text(row["usual"][name], metric) for name in ("median", "low", "high")}
        rows.append(
            shown | {"usual": usual["median"], "from": usual["low"], "to": usual["high"], "weeks": row["usual"]["n"]}
        )
    show.table(rows)
    show.why(answer.rows, answer.freshness)


def news(
    tenant: TenantName,
    start: From,
    end: To,
    where: Where = None,
    compare: Annotated[
        str | None,
        typer.Option("--compare", help="previous, day, week, weekdays or year. Absent: weekdays of less than a week."),
    ] = None,
    metric: Annotated[
        list[str] | None, typer.Option("--metric", help="Judge this metric, too; may be repeated.")
    ] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Say what is unusual of some days, the worst first, with its cause; nothing within its own noise."""
    from hubbub.cli import show
    from hubbub.reports.formatting import near

    answer = _ask(
        data,
        lambda answers: answers.news(tenant, start, end, metric or [], where=pairs(where), compare=compare),
    )
    if as_json:
        show.emit(answer, as_json=True)
        return
    lines = [
        " ".join(filter(None, (point.sentence, point.in_words and f"{point.in_words}."))) for point in answer.points
    ] or [answer.lead]
    for line in [*lines, answer.rest]:
        if line:
            typer.echo(line)
    rows = [
        {
            "metric": one.metric, "value": near(one.value, one.unit), "before": near(one.previous, one.unit),
            "median": near(one.usual.median, one.unit), "low": near(one.usual.low, one.unit),
            "high": near(one.usual.high, one.unit), "verdict": one.verdict,
        }
        for one in answer.numbers if not one.dimension
    ]  # fmt: skip
    show.table(rows)


def dashboard(
    tenant: TenantName,
    days: Annotated[int, typer.Option("--days", help="Local days, today among them.")] = 1,
    against: Annotated[str, typer.Option("--against", help="Of a single day: yesterday, or week.")] = "yesterday",
    account: Annotated[str | None, typer.Option("--account", help="Only this account.")] = None,
    at: Annotated[str | None, typer.Option("--at", help="As it was at a past date or time.")] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Show today so far against the same part of yesterday, and what is the case now."""
    from hubbub.cli import show

    answer = _ask(data, lambda answers: answers.dashboard(tenant, days, against, account, at))
    if as_json:
        show.emit(answer, as_json=True)
        return
    shown, before = (
        ("today so far", "yesterday by now") if days == 1 else (f"{days} days so far", f"{days} days before")
    )
    rows = [
        {
            shown: name, "value": show.text(number.value, name),
            before if against == "yesterday" else "a week before": show.text(number.previous, name),
            "change": number.change.label,
        }
        for name, number in answer.today.items()
    ]  # fmt: skip
    show.table(rows, title=f"{account or tenant}, {answer.day} ({answer.zone})")
    now = {name: show.text(value, name) for name, value in answer.now.items() if not name.endswith(".state")}
    show.table([now], title="now" if at is None else at)
    today = {
        key: value for name, number in answer.today.items()
        for key, value in ((f"{name}.state", number.state), (f"{name} before.state", number.previous_state))
    }  # fmt: skip
    show.why([today, answer.now], answer.freshness)


def trends(
    tenant: TenantName,
    start: From,
    end: To,
    grain: Annotated[str, typer.Option("--grain", help="day, week, month or total.")] = "day",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Show topics, tone, escalations and hotspots per day, week or month."""
    from hubbub.cli import show

    answer = _ask(data, lambda answers: answers.trends(tenant, start, end, grain))
    if as_json:
        show.emit(answer, as_json=True)
        return
    show.table([_trend(row) for row in answer.rows], title=f"{tenant}, by {grain}")
    show.why([], answer.freshness)


def _trend(row: TrendRow) -> dict[str, Any]:
    """Write a window's trends for people: the greatest of each distribution, and what moved."""
    from hubbub.cli import show

    def greatest(counts: Mapping[str, int] | None) -> str | None:
        return (
            None
            if counts is None
            else ", ".join(f"{name} {n:,}" for name, n in sorted(counts.items(), key=lambda item: -item[1])[:3])
        )

    return {
        "date": row.trend_date, "classified": row.total_classifications,
        "of messages": show.text(row.coverage, "coverage"), "confidence": row.avg_confidence,
        "topics": greatest(row.topic_distribution), "tone": greatest(row.sentiment_distribution),
        "movers": None if row.movers is None else ", ".join(
            f"{mover.topic} {mover.change * 100:+.1f} pp" for mover in row.movers[:3]
        ),
        "alerts": greatest(row.escalation_counts),
        "hotspots": None if row.channel_hotspots is None else ", ".join(
            f"{spot.channel_id} {spot.hotspot_ratio:.0%}" for spot in row.channel_hotspots
        ),
    }  # fmt: skip


def hotspots(
    tenant: TenantName,
    start: From,
    end: To,
    minimum: Annotated[int, typer.Option("--min", help="Fewest classified messages of a hotspot.")] = 10,
    ratio: Annotated[
        float, typer.Option("--ratio", help="Share of complaints and escalations above which it is one.")
    ] = 0.30,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Show channels by their share of complaints and escalations, and of the tones that the tenant counts."""
    from hubbub.cli import show
    from hubbub.query.trends import rule_text

    answer = _ask(data, lambda answers: answers.hotspots(tenant, start, end, minimum, ratio))
    show.emit(answer, as_json=as_json)
    if not as_json:
        show.say(rule_text(answer.rule.tones))
    show.why([], answer.freshness)
