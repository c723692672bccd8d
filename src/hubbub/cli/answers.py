"""Commands that show numbers: metrics, query, explain, changes, usual, news, dashboard, trends, hotspots."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from hubbub.cli.options import AsOf, Cursor, Data, From, Json, Limit, TenantName, To, Where, pairs

if TYPE_CHECKING:
    from hubbub.model.plain import JsonObject, JsonRow
    from hubbub.query.changes import Others, Part
    from hubbub.query.result import Rows
    from hubbub.query.targets_in_force import TargetInForce
    from hubbub.query.trends import TrendRow
    from hubbub.services.answers import AnswerService

T = TypeVar("T")


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    for command in (metrics, query, explain, changes, usual, news, dashboard, trends, hotspots):
        app.command()(command)


def _ask(data: Path | None, ask: Callable[[AnswerService], T]) -> T:
    """Open the data folder and return the result of `ask`."""
    from hubbub.cli.backend import opened

    with opened(data) as engine:
        return ask(engine.answers)


def metrics(data: Data = None, as_json: Json = False) -> None:
    """List all metrics."""
    from hubbub.cli import show
    from hubbub.metrics.catalogue import entries
    from hubbub.model.page import Page

    rows = entries()
    if as_json:
        show.emit(Page(rows), as_json=True)
        return
    cells = [
        {
            "metric": row.name,
            "unit": row.unit,
            "by": ", ".join(row.dimensions),
            "definition": row.definition,
        }
        for row in rows
    ]
    show.table(cells)


def query(
    metrics: Annotated[list[str], typer.Argument(help="Metrics, like messages or response_ms.p50.")],
    tenant: TenantName,
    start: From,
    end: To,
    grain: Annotated[str, typer.Option("--grain", help="hour, day, week, month or total.")] = "total",
    by: Annotated[list[str] | None, typer.Option("--by", help="Split by this dimension; may be repeated.")] = None,
    where: Where = None,
    compare: Annotated[
        str | None, typer.Option("--compare", help="previous: the period of the same length before.")
    ] = None,
    include_bots: Annotated[bool, typer.Option("--include-bots", help="Count bots and notices too.")] = False,
    as_of: AsOf = None,
    details: Annotated[
        bool, typer.Option("--details", help="With --json: the parts and the state of each number.")
    ] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print the rows as CSV.")] = False,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Answer a question."""
    from hubbub.cli import show

    answer = _ask(
        data,
        lambda answers: answers.query(
            tenant,
            metrics,
            start,
            end,
            grain,
            by or [],
            pairs(where),
            compare,
            include_bots,
            as_of,
            details=details and as_json,
            names=True,
        ),
    )
    if as_csv:
        from hubbub.reports.as_csv import answer_table

        typer.echo(answer_table(answer.rows), nl=False)
        return
    if as_json:
        show.emit(answer, as_json=True)
        return
    _print_rows(answer, daily=grain != "hour")


def _print_rows(answer: Rows, *, daily: bool) -> None:
    """Print an answer as a table; below it the reasons of missing numbers, the targets in force, and the freshness."""
    from hubbub.cli import show

    show.table([_cells(row, daily=daily) for row in answer.rows])
    fresh = answer.freshness
    show.why(answer.rows, fresh)
    for target in answer.targets or ():
        show.say(_in_words(target))
    show.say(f"from {fresh.source}, complete to {fresh.complete_to}, zone {fresh.zone}, percentiles {fresh.quantiles}")


def _cells(row: JsonRow, *, daily: bool) -> JsonObject:
    cells = {name: value for name, value in row.items() if name != "compare" and not name.endswith(".state")}
    for name, compared in row.get("compare", {}).items():
        change = compared["change"]
        cells[f"{name} before"] = compared["previous"]
        cells[f"{name} change"] = f"{change['relative']:+.1%}" if change["relative"] is not None else change["label"]
    if daily:
        cells["window"] = cells["window"][:10]
    return cells


def _in_words(target: TargetInForce) -> str:
    of = f"{target.metric}, {target.channel}" if target.channel else target.metric
    minutes = f"{target.minutes} {'business minutes' if target.business else 'minutes'}"
    wanted = f", wanted for {target.share:.0%}" if target.share is not None else ""
    return f"target of {of}: {minutes}{wanted}, from {target.from_} to before {target.to}"


def explain(
    metric: Annotated[str, typer.Argument(help="One metric, like csat or response_ms.p95.")],
    tenant: TenantName,
    start: From,
    end: To,
    where: Where = None,
    as_of: AsOf = None,
    limit: Limit = 20,
    cursor: Cursor = None,
    part: Annotated[str, typer.Option(help="Only the events in the numerator of a share, or the rest.")] = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Explain a number: formula, parts, windows and the events behind it."""
    from hubbub.cli import show
    from hubbub.model.plain import plain

    answer = plain(
        _ask(
            data,
            lambda answers: answers.explain(
                tenant, metric, start, end, pairs(where), as_of=as_of, limit=limit, cursor=cursor, part=part
            ),
        )
    )
    if not as_json:
        answer["value"] = show.text(answer["value"], metric)
        for row in answer["events"]["rows"]:  # in a distribution each event's value is a duration
            row |= {name: show.text(row[name], "duration_ms") for name in ("value",) if name in row}
    show.emit(answer, as_json=as_json)


def changes(
    metric: Annotated[str, typer.Argument(help="One count, share or mean, like csat or response_ms.avg.")],
    tenant: TenantName,
    start: From,
    end: To,
    by: Annotated[
        list[str] | None, typer.Option("--by", help="A dimension; may be repeated. Absent: the default ones.")
    ] = None,
    where: Where = None,
    compare: Annotated[
        str, typer.Option("--compare", help="previous, day, week, weekdays or year: the period before.")
    ] = "previous",
    limit: Annotated[int, typer.Option("--limit", help="Values of each dimension; further ones are added up.")] = 10,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Show which channels, people or topics changed a number, by volume (growing) or by rate (getting better or worse)."""
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


def _without(part: Part | Others, field: str) -> JsonObject:
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
    """Show a metric with its usual range: the same weekday (and hour) of the last eight settled weeks."""
    from hubbub.cli import show

    answer = _ask(data, lambda answers: answers.usual(tenant, metric, start, end, grain, by or [], pairs(where)))
    if as_json:
        show.emit(answer, as_json=True)
        return
    rows = []
    for row in answer.rows:
        cells = {name: value for name, value in row.items() if name != "usual" and not name.endswith(".state")}
        usual = {name: show.text(row["usual"][name], metric) for name in ("median", "low", "high")}
        rows.append(
            cells | {"usual": usual["median"], "from": usual["low"], "to": usual["high"], "weeks": row["usual"]["n"]}
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
        list[str] | None, typer.Option("--metric", help="A further metric to judge; may be repeated.")
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option("--by", help="Judge the values of this dimension by these metrics; may be repeated."),
    ] = None,
    grain: Annotated[
        str, typer.Option("--grain", help="hour, day or week: with these metrics over time; total: without.")
    ] = "total",
    include_bots: Annotated[bool, typer.Option("--include-bots", help="Count bots and notices too.")] = False,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Show unusual numbers of some days, the worst first, with causes; numbers within their usual range are left out."""
    from hubbub.cli import show
    from hubbub.reports.formatting import near

    answer = _ask(
        data,
        lambda answers: answers.news(
            tenant, start, end, metric or [], grain, by or [], pairs(where), compare, include_bots
        ),
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
            "metric": number.metric, "value": near(number.value, number.unit), "before": near(number.previous, number.unit),
            "median": near(number.usual.median, number.unit), "low": near(number.usual.low, number.unit),
            "high": near(number.usual.high, number.unit), "verdict": number.verdict,
        }
        for number in answer.numbers if not number.dimension
    ]  # fmt: skip
    show.table(rows)


def dashboard(
    tenant: TenantName,
    days: Annotated[int, typer.Option("--days", help="Local days, today among them.")] = 1,
    against: Annotated[
        str, typer.Option("--against", help="For a single day, compare with yesterday, or week (same weekday).")
    ] = "yesterday",
    account: Annotated[str | None, typer.Option("--account", help="Only this account.")] = None,
    at: Annotated[str | None, typer.Option("--at", help="As it was at a past date or time.")] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Show today so far against the same part of yesterday, and the numbers of the present."""
    from hubbub.cli import show

    answer = _ask(data, lambda answers: answers.dashboard(tenant, days, against, account, at))
    if as_json:
        show.emit(answer, as_json=True)
        return
    title, before = (
        ("today so far", "yesterday by now") if days == 1 else (f"{days} days so far", f"{days} days before")
    )
    rows = [
        {
            title: name, "value": show.text(number.value, name),
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
    """Show topics, tone, escalations and hotspots by day, week or month."""
    from hubbub.cli import show

    answer = _ask(data, lambda answers: answers.trends(tenant, start, end, grain))
    if as_json:
        show.emit(answer, as_json=True)
        return
    show.table([_trend(row) for row in answer.rows], title=f"{tenant}, by {grain}")
    show.why([], answer.freshness)


def _trend(row: TrendRow) -> JsonObject:
    """Return a window's trends as texts: the three largest values of each distribution, and the movers."""
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
        float, typer.Option("--ratio", help="Share of complaints and escalations that makes a hotspot.")
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
