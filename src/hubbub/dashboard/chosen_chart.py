"""The chart of the card that is chosen: counts as bars, others as lines, and a share of few things a day by week.

A day of three ratings says nothing: such a share is drawn as weekly steps over faint days.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from hubbub.dashboard import charts
from hubbub.dashboard.answer_rows import PageRow
from hubbub.dashboard.ask import Ask
from hubbub.dashboard.components import Cells, Column, Shown, Table
from hubbub.dashboard.marked_days import TITLE, MarkedDays, marked_in_words, with_incidents
from hubbub.dashboard.readings import n_beside, readings
from hubbub.dashboard.usual_ranges import judged, so_far
from hubbub.dashboard.widgets import ends_of, in_progress, open_window, over_time, unit_of, usual_of, windows_of
from hubbub.metrics.definition import Unit
from hubbub.model.plain import plain
from hubbub.model.window import day_of
from hubbub.news.number import CourseRow, NewsNumber
from hubbub.query.result import State
from hubbub.reports.formatting import moment, shown, window_start

FEW_A_DAY = 10
"""Fewest things a day of a share that is drawn day by day."""


def chosen_chart(ask: Ask, name: str, number: NewsNumber | None = None, marked: Sequence[MarkedDays] = ()) -> Shown:
    """Show a card's number over time beside the compared period and its usual range.

    `number`: as judged, if it is known. `marked`: days with a name.
    """
    if missing := ask.not_reported([name]):
        return Shown(empty=missing)
    number = number or judged(ask, [name]).get(name)
    title = ask.title(name)
    days = (min(ask.view.after, day_of(ask.now, ask.tenant.tz) + timedelta(days=1)) - ask.view.first).days
    few = number is not None and number.unit == Unit.SHARE and (number.n or 0) < FEW_A_DAY * days
    if few and ask.grain == "day" and days > 7:
        drawn = _weekly(ask, name, title, marked)
        return drawn if drawn.empty else replace(drawn, note=_why(number, days))
    mark = "bar" if unit_of(name) == Unit.COUNT else "line"
    return over_time(ask, [name], titles=[title], compare=True, mark=mark, usual=number, marked=marked)


def _why(number: NewsNumber | None, days: int) -> str:
    return f"Drawn by week: a day has {((number and number.n) or 0) / days:.0f} on average."


def _weekly(ask: Ask, name: str, title: str, marked: Sequence[MarkedDays]) -> Shown:
    answer = ask.query([name], grain="week", compare=ask.view.compared)
    days = ask.query([name], grain="day")
    unit = unit_of(name)
    if answer.unfiltered or not any(row.value(name) is not None for row in answer.rows):
        return over_time(ask, [name], titles=[title], marked=marked)
    usual = _usual(ask, name)
    spans = windows_of([row.window for row in answer.rows], ask)
    weeks = [
        {**_week(row, name, unit, usual.get(row.window)), "until": until.isoformat()}
        for row, (_, until) in zip(answer.rows, spans, strict=True)
    ]
    rows = [_day(row, name, unit, weeks) for row in days.rows]
    day_spans = windows_of([row.window for row in days.rows], ask)
    ends = ends_of(day_spans, ask)
    has_incidents = with_incidents(rows, ends, marked)
    before = "before" if any(week["before"] is not None for week in weeks) else ""
    columns = [
        Column("window", "From", "moment"), Column(name, title, unit), Column("n", "n", "count"), Column("week", "Its week", unit),
        *([Column("before", "Before", unit)] if before else []), *([Column("incident", TITLE)] if has_incidents else []),
    ]  # fmt: skip
    open_at = open_window([row.window for row in days.rows], ask)
    read = readings(ask, rows, {name: title, "week": "Its week"}, unit, "day", before=before, open_at=open_at)
    data = {
        "spec": charts.weekly(weeks, rows, name, "before", unit), "title": f"{title}, by week", "before": bool(before),
        "usual": usual_of("week") if usual else "", "so_far": in_progress(weeks, "week"), "days": True, "readings": plain(read),
    }  # fmt: skip
    links = [{name: ask.explained(name, span)} for span in day_spans]
    words = ", ".join(f"{window_start(week['window'])} {week[f'{name}_shown']}" for week in weeks)
    summary = ". ".join(filter(None, (f"{title} by week: {words}", marked_in_words(rows, ends))))
    return Shown("chart", data, Table(columns, rows, links), summary)


def _week(row: PageRow, name: str, unit: str, usual: CourseRow | None) -> Cells:
    """Return a week with its usual range; one that is not over says so, and whether it is not as usual so far."""
    number = row.number(name)
    is_open = number.state == State.LIVE
    far = so_far(usual, unit) if usual and is_open else ""
    return {
        "window": row.window, "at": moment(row.window), name: number.value, f"{name}_shown": shown(number.value, unit),
        "n": n_beside(number, unit), "before": number.previous, "open": is_open, "so_far": far,
        "state": f", {far or 'not over yet'}" if is_open else "",
        **({"low": usual.low, "high": usual.high} if usual else {}),
    }  # fmt: skip


def _day(row: PageRow, name: str, unit: str, weeks: Sequence[Cells]) -> dict[str, Any]:
    week = next(week for week in reversed(weeks) if week["window"][:10] <= row.window[:10])
    number = row.number(name)
    n = n_beside(number, unit)
    return {
        "window": row.window, "at": moment(row.window), name: number.value, f"{name}_n": n, "n": n, "week": week[name],
        "week_n": week["n"], "week_shown": f"{week[f'{name}_shown']}{week['state']}",
        "before": week["before"], "low": week.get("low"), "high": week.get("high"),
        "gap": bool(row.state(name)),
    }  # fmt: skip


def _usual(ask: Ask, name: str) -> dict[str, CourseRow]:
    """Return each week with a usual range, by its beginning."""
    number = judged(ask, [name], "week").get(name)
    return {row.window: row for row in (number and number.course) or () if row.low is not None}
