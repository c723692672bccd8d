"""The staff in one table: work, speed and ratings side by side, with ranges that say when people do not differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from markupsafe import Markup

from hubbub.dashboard.ask import Ask
from hubbub.dashboard.components import Cells, Column, Shown
from hubbub.dashboard.names import labels
from hubbub.dashboard.ranges import Range, apart, range_of, range_plot, spread_plot
from hubbub.dashboard.widgets import breakdown, unit_of
from hubbub.dashboard.within_target import share_in_time
from hubbub.dashboard.written import NO_STAFF
from hubbub.metrics.definition import Unit
from hubbub.model.question import NONE
from hubbub.query.result import Number

MOST = 30
NO_CHANGE: Mapping[str, str] = {"change": "", "way": ""}
NOBODY = "Nobody replied, did a task or was rated in these days."
NO_PERSON = f"The row “{NO_STAFF}” has what AI did, or an author whom the source does not name."
HANDLED, SATISFIED, RATINGS = "conversations_handled", "csat", "ratings"
KINDS: Mapping[str, str] = {
    "response": "answers", "first_response": "first responses", "next_response": "answers", SATISFIED: "ratings",
    RATINGS: "ratings", "tasks": "tasks", "sla": "SLA breaches",
}  # fmt: skip
"""What a column counts, by the beginning of its metric."""
FIRST, SLOWEST = "first_response_ms.p50", "first_response_ms.p90"


def _titles(ask: Ask) -> Mapping[str, str]:
    """Return the columns, in the view's time, and their titles."""
    within, title = share_in_time(ask, "first_response_ms.within_15min")
    return {
        HANDLED: "Conversations handled", ask.timed("response_ms.count"): "Answers",
        ask.timed(FIRST): "First response, median", ask.timed(SLOWEST): "9 in 10 within",
        within: title or "Within 15 min", SATISFIED: "Satisfied", RATINGS: "Ratings",
        "tasks_completed": "Tasks", "sla_breaches": "SLA breaches",
    }  # fmt: skip


def agents(ask: Ask) -> Shown:
    """Show each of the staff, those with most conversations first, everyone below, and whom the ratings tell apart."""
    titles = _titles(ask)
    everyone = _everyone(ask, list(titles))
    absent = [name for name, value in everyone.items() if not _happened(value, name)]
    titles = {name: title for name, title in titles.items() if name not in absent or name == HANDLED}
    shown = breakdown(ask, "staff_id", list(titles), most=MOST, titles=titles, nothing=NOBODY)
    if shown.table is None:
        return shown
    ranges = {row["name"]: range_of(row["name"], row.get(SATISFIED), row.get(RATINGS)) for row in shown.table.rows}
    waits = _limits(shown.table.rows, ask)
    rows = [_row(ask, row, ranges[row["name"]], everyone.get(SATISFIED), waits) for row in shown.table.rows]
    people = [within for name, within in ranges.items() if within is not None and name != NONE]
    summary = apart(people, labels(ask, "staff_id", [person.name for person in people])) if people else ""
    known = {column.name for column in shown.table.columns}
    plots = {ask.timed(FIRST): "Median … 9 in 10, log scale", SATISFIED: "95 % range; the line is everyone"}
    columns = list(shown.table.columns)
    if SATISFIED in known:
        columns += [Column("low", "Satisfied, from", "share"), Column("high", "to", "share")]
    data = {
        **shown.data, "plots": {name: title for name, title in plots.items() if name in known}, "everyone": everyone,
        "lead": summary, "beside": ("low", "high"),
    }  # fmt: skip
    nobody = NO_PERSON if any(row["name"] == NONE for row in rows) else ""
    note = " ".join(filter(None, (shown.note, nobody, _left_out(ask.reported(absent)))))
    return replace(shown, table=replace(shown.table, columns=columns, rows=rows), data=data, summary=summary, note=note)


def _happened(value: Number, metric: str) -> bool:
    """Whether anybody has something of a column: a known share or duration, or a count above 0."""
    return value is not None and (unit_of(metric) != Unit.COUNT or value > 0)


def _left_out(absent: Sequence[str]) -> str:
    """Return which kinds of events nobody has, whose columns are left out; empty where each is there."""
    kinds = dict.fromkeys(kind for name in absent for begins, kind in KINDS.items() if name.startswith(begins))
    return f"Without columns, since nobody has any in these days: {', '.join(kinds)}." if kinds else ""


def _everyone(ask: Ask, metrics: Sequence[str]) -> Mapping[str, Number]:
    """Return the numbers of all staff together, with those without a person."""
    answer = ask.query(metrics)
    known = [name for name in metrics if name not in answer.unfiltered] if answer.rows else []
    return {name: answer.number(name).value for name in known}


def _row(ask: Ask, row: Cells, within: Range | None, whole: float | None, waits: tuple[float, float]) -> Cells:
    """Return a row with its drawings; only a change for better or worse beyond its noise is kept."""
    median, slowest = row.get(ask.timed(FIRST)), row.get(ask.timed(SLOWEST))
    plots = {
        ask.timed(FIRST): spread_plot(median, slowest, *waits) if median and slowest else Markup(""),
        SATISFIED: range_plot(within, whole) if within else Markup(""),
    }
    changes = {name: change if _is_judged(change["way"]) else NO_CHANGE for name, change in row["changes"].items()}
    return {
        **row, "plots": plots, "changes": changes, "low": within and within.low, "high": within and within.high,
    }  # fmt: skip


def _is_judged(way: str) -> bool:
    return "better" in way or "worse" in way


def _limits(rows: Sequence[Cells], ask: Ask) -> tuple[float, float]:
    """Return the least and greatest wait that is drawn, in ms."""
    drawn = [row[name] for row in rows for name in (ask.timed(FIRST), ask.timed(SLOWEST)) if row.get(name)]
    return (max(min(drawn), 1.0), max(drawn)) if drawn else (1.0, 1.0)
