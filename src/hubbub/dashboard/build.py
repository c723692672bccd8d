"""Turn answers into widgets: cards, lines over time, breakdowns. Every page uses these few."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import date, datetime, timedelta
from types import MappingProxyType
from typing import Any

from markupsafe import Markup

from hubbub.calculations import change
from hubbub.dashboard import charts
from hubbub.dashboard.ask import Ask, Found
from hubbub.dashboard.components import Column, Shown, Table
from hubbub.dashboard.judged import judged, ways_of_slices
from hubbub.dashboard.names import labels
from hubbub.dashboard.readings import readings, with_n
from hubbub.dashboard.sparks import share_bar, sparkline
from hubbub.dashboard.view import FILTERS
from hubbub.metrics.catalogue import find, title_of
from hubbub.metrics.definition import Score, Unit
from hubbub.model.plain import plain
from hubbub.model.question import NONE
from hubbub.model.target import MINUTE_MS
from hubbub.model.window import day_of
from hubbub.news.answer import NewsNumber
from hubbub.news.direction import way_beyond
from hubbub.query.in_force import TargetInForce
from hubbub.query.result import UNKNOWN, State
from hubbub.reports.formatting import between, changed, moment, shown

NOTHING_HERE = "Nothing in these days and filters."
NOT_KNOWN = "There are no data of these days and filters."
MOST_GAPS = 3
"""Most gaps that a widget names."""


def beyond(part: Shown, kept_from: str) -> Shown:
    """Add a note that numbers before a moment are not known."""
    missing = f"Nothing before {moment(kept_from)} is kept of this tenant: numbers of that time are not known (–)."
    if part.empty:
        return replace(part, empty=missing if part.empty == NOTHING_HERE else f"{part.empty} {missing}")
    return replace(part, note=" ".join(filter(None, (part.note, missing))))


def lacking(part: Shown, gaps: Sequence[str]) -> Shown:
    """Add a note on sources with gaps in the widget's days."""
    more = f" {len(gaps) - MOST_GAPS} more gaps: see Sources." if len(gaps) > MOST_GAPS else ""
    listed = f"{'. '.join(gaps[:MOST_GAPS])}.{more}"
    if part.empty:
        return replace(part, empty=f"{NOT_KNOWN if part.empty == NOTHING_HERE else part.empty} {listed}")
    return replace(part, note=" ".join(filter(None, (part.note, listed))))


def chosen(ask: Ask, metrics: Sequence[str]) -> str:
    """Return the metric that the address chooses (`metric=`), in the view's time; else the first."""
    timed = [ask.timed(name) for name in metrics]
    metric = ask.timed(ask.param("metric"))
    return metric if metric in timed else timed[0]


def unit_of(metric: str) -> str:
    """Return a metric's unit."""
    return find(metric).unit.value


def cards(
    ask: Ask,
    metrics: Sequence[str],
    *,
    driving: str | None = None,
    page: str = "",
    beside: Mapping[str, NewsNumber] = MappingProxyType({}),
    titles: Mapping[str, str] = MappingProxyType({}),
) -> Shown:
    """Show metrics with change, direction, sparkline, usual range and n. `driving`: the metric of the chart below.

    `beside`: the same numbers from the news, if known. Noise decides the color of a change. `titles`: titles of cards.
    """
    beside = beside or judged(ask, metrics)
    whole = all(name in beside or ask.unfiltered(name) for name in metrics)
    total = _of_news(ask, metrics, beside) if beside and whole else ask.query(metrics, compare=ask.view.compared)
    lines = _sparks(ask, [name for name in metrics if name not in beside]) | _courses(ask, beside)
    drawn = [
        _card(ask, name, total, lines.get(name, ""), driving, page)
        | ({"title": titles[name]} if name in titles else {})
        | (_noise(beside[name]) if name in beside else {})
        for name in metrics
    ]
    return shown_cards(drawn)


def _of_news(ask: Ask, metrics: Sequence[str], beside: Mapping[str, NewsNumber]) -> Found:
    """Return numbers of the news in the form of an answer."""
    row: dict[str, Any] = {"details": {}, "compare": {}}
    for name, number in beside.items():
        row["details"][name] = {"value": number.value, "n": number.n, "state": number.state}
        if ask.view.compared:
            moved = change(number.value, number.previous, unit_of(name) == Unit.SHARE)
            row["compare"][name] = {"previous": number.previous, "change": asdict(moved)}
    return Found([row], ask.freshness, {name: why for name in metrics if (why := ask.unfiltered(name))})


def _courses(ask: Ask, beside: Mapping[str, NewsNumber]) -> dict[str, Markup]:
    """Draw the course of numbers over their usual range."""
    return {
        name: sparkline(
            [row.value for row in number.course], _open_at([row.window for row in number.course], ask),
            [(row.low, row.high) for row in number.course],
        )
        for name, number in beside.items() if number.course
    }  # fmt: skip


def _noise(number: NewsNumber) -> dict[str, Any]:
    """Return the color class and the foot of a card: a number beyond its noise has a color, or is bold."""
    low, high, unit = number.usual.low, number.usual.high, number.unit
    usual = f"usual {between(low, high, unit)}" if low is not None and high is not None else ""
    n = f"n = {number.n:,}" if unit != Unit.COUNT and number.n else ""
    return {"way": way_beyond(number), "foot": " · ".join(filter(None, (usual, n)))}


def _sparks(ask: Ask, metrics: Sequence[str]) -> dict[str, Markup]:
    sparks: dict[str, Markup] = {}
    for grain, names in _by_grain(ask, metrics).items():
        answer = ask.query(names, grain=grain)
        for name in names:
            if name not in answer.unfiltered:
                sparks[name] = sparkline(
                    [row[name] for row in answer.rows], _open_at([row["window"] for row in answer.rows], ask)
                )
    return sparks


def _by_grain(ask: Ask, metrics: Sequence[str]) -> dict[str, list[str]]:
    grains: dict[str, list[str]] = {}
    for name in metrics:
        if isinstance(find(name).declared, Score):  # one number at the end of all days
            continue
        grains.setdefault(ask.grain, []).append(name)
    return grains


def _card(ask: Ask, name: str, total: Found, spark: str, driving: str | None, page: str) -> dict[str, Any]:
    cell, compared, unit = total.cell(name), total.change(name), unit_of(name)
    return {
        "name": name,
        "title": title_of(name),
        "value": cell["value"],
        "unit": unit,
        "shown": shown(cell["value"], unit),
        "previous": compared.get("previous"),
        "n": cell["n"],
        "state": cell["state"],
        "why": UNKNOWN.get(cell["state"], ""),
        "incomplete": cell["state"] == State.INCOMPLETE,
        "spark": spark,
        "unfiltered": total.unfiltered.get(name, ""),
        "explained": "" if name in total.unfiltered else ask.explained(name),
        "chosen": name == driving,
        "chart": ask.link(page, metric=name) if driving is not None else "",
        "foot": None,
        "change": change_in_words(compared, unit),
        "way": "",
    }


def plain_card(
    name: str, value: Any, explained: str, *, unfiltered: str = "", note: str = "", why: str = ""
) -> dict[str, Any]:
    """Return a card without comparison, for present numbers. `note` replaces the change.

    `why`: why the number is not known.
    """
    unit = unit_of(name)
    return {
        "name": name, "title": title_of(name), "value": value, "unit": unit, "shown": shown(value, unit), "previous": None,
        "n": None, "state": "", "why": why, "incomplete": False, "spark": "", "unfiltered": unfiltered,
        "explained": "" if unfiltered else explained, "chosen": False, "chart": "", "change": note, "way": "", "foot": None,
    }  # fmt: skip


def shown_cards(drawn: Sequence[Mapping[str, Any]]) -> Shown:
    """Show cards with their table and summary."""
    columns = [
        Column("metric", "Metric"),
        Column("value", "Value", "row"),
        Column("previous", "Before", "row"),
        Column("n", "n", "count"),
    ]
    rows = [
        {"metric": c["title"], "value": c["value"], "previous": c["previous"], "n": c["n"], "unit": c["unit"]}
        for c in drawn
    ]
    summary = "; ".join(", ".join(filter(None, (f"{c['title']} {c['shown']}", c["change"]))) for c in drawn)
    return Shown("cards", {"cards": drawn}, Table(columns, rows), summary)


def change_in_words(compared: Mapping[str, Any], unit: str) -> str:
    """Return the change of a compared number in its own unit; empty for none."""
    moved = compared.get("change")
    return changed(moved["absolute"], moved["relative"], unit) if moved else ""


def over_time(
    ask: Ask,
    metrics: Sequence[str],
    *,
    titles: Sequence[str] | None = None,
    mark: str = "line",
    stacked: bool = False,
    compare: bool = False,
    usual: NewsNumber | None = None,
    grain: str = "",
) -> Shown:
    """Show metrics of one unit over the view's windows, one of them beside the compared period.

    `usual`: the first metric's number of the news, with the usual range of each window. `mark`: as in Vega-Lite, or `bands`: the
    first as a line, with the space up to each next one, and the target of the first where one is in force.
    """
    unit = unit_of(metrics[0])
    answer = ask.query(metrics, grain=grain or ask.grain, compare=ask.view.compared if compare else None)
    known = [name for name in metrics if name not in answer.unfiltered]
    if not known:
        return Shown(empty=_unfiltered(metrics[0], answer))
    names = dict(zip(metrics, titles or [title_of(name) for name in metrics], strict=True))
    rows = [_point(row, known, unit) for row in answer.rows]
    aimed = mark == "bands" and _aimed(rows, [target for target in answer.targets if target.metric == known[0]])
    course = {window.window: window for window in (usual and usual.course) or () if window.low is not None}
    for row in rows if course else ():
        beside = course.get(row["window"])
        row |= {"low": beside and beside.low, "high": beside and beside.high}
    before = f"{known[0]}_before" if compare and ask.view.compared and len(known) == 1 else ""
    seen = [row[name] for row in rows for name in known if row[name] is not None]
    if not seen or (unit == Unit.COUNT and not any(seen)):  # a share of 0 is a number, a count of 0 is nothing to draw
        return Shown(empty=NOTHING_HERE)
    if before and all(row[before] is None for row in rows):
        before = ""
    series = [(name, names[name]) for name in known]
    open_at = _open_at([row["window"] for row in rows], ask)
    if mark == "bands":
        spec = charts.bands(rows, series, unit)
    else:
        spec = charts.over_time(
            rows, series, unit, mark=mark, stacked=stacked, before=before, open_at=open_at, usual=bool(course)
        )
    columns = [Column("window", "From", "moment"), *(Column(name, names[name], unit) for name in known)]
    if before:
        columns.append(Column(before, "Before", unit))
    if aimed:
        columns.append(Column("target", "Target", unit))
    if course:
        columns += [Column("low", "Usual from", unit), Column("high", "to", unit)]
    span = windows_of(rows, ask)
    links = [{name: ask.explained(name, span[i]) for name in known} for i in range(len(rows))]
    read = readings(
        ask, rows, {name: names[name] for name in known}, unit, grain or ask.grain, before=before, open_at=open_at
    )
    data = {
        "spec": spec, "title": names[known[0]] if compare else "", "before": bool(before), "usual": bool(course),
        "readings": plain(read),
    }  # fmt: skip
    note = "The dashed line is the target." if aimed else ""
    return Shown("chart", data, Table(columns, rows, links), _said(names, known, rows, unit), note)


def _aimed(rows: Sequence[dict[str, Any]], targets: Sequence[TargetInForce]) -> bool:
    """Write the target of each window's first day into its row, in ms; returns whether there is any."""
    for row in rows:
        day = row["window"][:10]
        row["target"] = next((each.minutes * MINUTE_MS for each in targets if each.from_ <= day < each.to), None)
    return any(row["target"] for row in rows)


def _open_at(windows: Sequence[str], ask: Ask) -> int | None:
    """Return the number of the window that is not over, if one is; they are given by their beginnings."""
    begun = [n for n, window in enumerate(windows) if datetime.fromisoformat(window) <= ask.now]
    if not begun or (begun[-1] == len(windows) - 1 and ask.view.after <= day_of(ask.now, ask.tenant.tz)):
        return None
    return begun[-1]


def windows_of(rows: Sequence[Mapping[str, Any]], ask: Ask) -> list[tuple[datetime | date, datetime | date]]:
    """Return `[start, end)` of successive rows."""
    starts = [datetime.fromisoformat(row["window"]) for row in rows]
    return list(zip(starts, [*starts[1:], ask.view.after], strict=True))


def _point(row: Mapping[str, Any], names: Sequence[str], unit: str) -> dict[str, Any]:
    point: dict[str, Any] = {"window": row["window"], "at": moment(row["window"])}
    for name in names:
        state = row.get(f"{name}.state", "")
        point[name] = row[name]
        point[f"{name}_n"] = with_n(row, name, unit)
        point[f"{name}_shown"] = UNKNOWN.get(state) or shown(row[name], unit) + (" (incomplete)" if state else "")
        point["gap"] = point.get("gap") or state in (State.NOT_FETCHED, State.INCOMPLETE)
        if "compare" in row:
            point[f"{name}_before"] = row["compare"][name]["previous"]
    return point


def _said(names: Mapping[str, str], known: Sequence[str], rows: Sequence[Mapping[str, Any]], unit: str) -> str:
    """Return a chart in words: first, last and highest value of each line."""
    parts = []
    for name in known:
        seen = [row for row in rows if row[name] is not None]
        if seen:
            top = max(seen, key=lambda row: row[name])
            parts.append(
                f"{names[name]}: {seen[0][f'{name}_shown']} at first ({seen[0]['at']}), {seen[-1][f'{name}_shown']} at last "
                f"({seen[-1]['at']}), most {top[f'{name}_shown']} ({top['at']})"
            )
    return ". ".join(parts)


def breakdown(
    ask: Ask,
    dimension: str,
    metrics: Sequence[str],
    *,
    title: str = "",
    most: int = 12,
    rank: str | None = None,
    compare: bool = True,
    where: Mapping[str, Sequence[str]] | None = None,
    titles: Mapping[str, str] = MappingProxyType({}),
    nothing: str = NOTHING_HERE,
    only_ranked: bool = False,
) -> Shown:
    """Show metrics by the values of a dimension, those with most of `rank` (the first) first; names filter the page.

    `titles`: titles of columns. `nothing`: text without rows. `only_ranked`: leave out rows without a value of `rank`.
    """
    rank = rank or metrics[0]
    answer = ask.query(metrics, by=[dimension], compare=ask.view.compared if compare else None, where=where)
    if rank in answer.unfiltered:
        return Shown(empty=_unfiltered(rank, answer))
    known = [name for name in metrics if name not in answer.unfiltered]
    ranked = [row for row in answer.rows if any(row[name] for name in ([rank] if only_ranked else known))]
    if not ranked:
        return Shown(empty=nothing)
    ranked.sort(key=lambda row: (row[rank] is None, -(row[rank] or 0)))
    top, whole = max((row[rank] or 0) for row in ranked) or 1, sum(row[rank] or 0 for row in ranked)
    ways = ways_of_slices(ask, known, dimension, where or {}) if compare and ask.view.compared else {}
    values = [row[dimension] if row[dimension] is not None else NONE for row in ranked]
    rows = [
        _slice(row, value, known, share_bar((row[rank] or 0) / top), ways)
        for row, value in zip(ranked, values, strict=True)
    ]
    links = [
        {
            "name": ask.link(view=ask.view.with_filter(dimension, value)) if dimension in FILTERS else "",
            **{name: ask.explained(name, where={dimension: value}) for name in known},
        }
        for value in values
    ]
    columns = [
        Column("name", title or FILTERS.get(dimension, dimension.capitalize()), of=dimension),
        *(Column(n, titles.get(n) or title_of(n), unit_of(n)) for n in known),
    ]
    called = labels(ask, dimension, [row["name"] for row in rows[:3]])
    summary = f"{len(rows)} values; most {title_of(rank).lower()}: " + ", ".join(
        f"{called[row['name']]} {shown(row[rank], unit_of(rank))}" for row in rows[:3]
    )
    left = len(rows) - most
    note = f"{left} more in the table below" if left > 0 else ""
    return Shown("breakdown", {"most": most, "whole": whole}, Table(columns, rows, links), summary, note)


def _slice(
    row: Mapping[str, Any], value: str, names: Sequence[str], bar: Markup, ways: Mapping[tuple[str, str], str]
) -> dict[str, Any]:
    """Return a row of a breakdown: its numbers with n and change, whose look is in `ways`."""
    compared = row.get("compare") or {}
    return {
        "name": value, "bar": bar, **{name: row[name] for name in names},
        **{f"{name}_n": row["details"][name]["n"] for name in names},
        "changes": {
            name: {"change": change_in_words(compared.get(name, {}), unit_of(name)), "way": ways.get((name, value), "")}
            for name in names
        },
    }  # fmt: skip


def filter_first(metric: str, answer: Found) -> Shown:
    """Show that a metric does not have a filter of the page."""
    return Shown(empty=_unfiltered(metric, answer))


def _unfiltered(metric: str, answer: Found) -> str:
    return f"{title_of(metric)} is not known by {answer.unfiltered[metric].lower()}: remove that filter to see it."


def days(first: date, count: int) -> list[date]:
    """Return `count` days from the first."""
    return [first + timedelta(days=i) for i in range(count)]
