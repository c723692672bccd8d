"""Turn answers into widgets: lines over time and breakdowns. Every page uses these few, and cards (`cards.py`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from types import MappingProxyType
from typing import Any

from markupsafe import Markup

from hubbub.dashboard import charts
from hubbub.dashboard.answer_rows import PageAnswer, PageNumber, PageRow
from hubbub.dashboard.ask import Ask
from hubbub.dashboard.components import Cells, Column, Shown, Table
from hubbub.dashboard.marked_days import TITLE, MarkedDays, marked_in_words, with_incidents
from hubbub.dashboard.names import labels
from hubbub.dashboard.readings import n_beside, readings
from hubbub.dashboard.sparks import share_bar
from hubbub.dashboard.usual_ranges import so_far, ways_of_slices
from hubbub.dashboard.view import FILTERS
from hubbub.metrics.catalogue import askable, find
from hubbub.metrics.definition import Unit
from hubbub.model.plain import plain
from hubbub.model.question import NONE
from hubbub.model.target import MINUTE_MS
from hubbub.model.window import day_of
from hubbub.news.candidates import FEW
from hubbub.news.number import NewsNumber
from hubbub.query.result import State
from hubbub.query.targets_in_force import TargetInForce
from hubbub.reports.formatting import changed, in_sentence, moment, of_few, shown, window_start

NOTHING_HERE = "Nothing in these days and filters."
NOT_KNOWN = "There are no data of these days and filters."
MOST_GAPS = 3
"""Most gaps that a widget names."""


def beyond(part: Shown, kept_from: str) -> Shown:
    """Add a note that numbers before a moment are not known."""
    missing = (
        f"Nothing before {window_start(kept_from)} is kept of this tenant: numbers of that time are not known (–)."
    )
    if part.empty:
        return replace(part, empty=missing if part.empty == NOTHING_HERE else f"{part.empty} {missing}")
    return replace(part, note=" ".join(filter(None, (part.note, missing))))


def lacking(part: Shown, gaps: Sequence[str], coverage: str = "") -> Shown:
    """Add a note on sources with gaps in the widget's days. `coverage`: address of all gaps, for those who may see them."""
    left = len(gaps) - MOST_GAPS
    listed = f"{'. '.join(gaps[:MOST_GAPS])}.{f' {left} more gaps.' if left > 0 else ''}"
    more = [*part.more, *([("Show all gaps", coverage)] if left > 0 else [])]
    if part.empty:
        return replace(part, empty=f"{NOT_KNOWN if part.empty == NOTHING_HERE else part.empty} {listed}", more=more)
    return replace(part, note=" ".join(filter(None, (part.note, listed))), more=more)


def chosen(ask: Ask, metrics: Sequence[str]) -> str:
    """Return the metric that the address chooses (`metric=`), in the view's time; else the first that sources reported."""
    timed = [ask.timed(name) for name in metrics]
    known = ask.reported(timed) or timed
    metric = ask.timed(ask.param("metric"))
    return metric if metric in known else known[0]


def unit_of(metric: str) -> str:
    """Return a metric's unit."""
    return find(metric).unit.value


def chosen_over_time(metrics: Sequence[str]) -> Callable[[Ask], str]:
    """Return what titles the chart of the chosen one of some metrics: "Responses over time"."""
    return lambda ask: f"{ask.title(chosen(ask, metrics))} over time"


def change_in_words(number: PageNumber, unit: str) -> str:
    """Return the change of a compared number in its own unit; empty where nothing is compared."""
    if not number.moved:
        return ""
    if number.moved.absolute == 0:
        return "no change"
    few = unit == Unit.COUNT and (number.previous or 0) < FEW  # a third of three says nothing
    return changed(number.moved.absolute, None if few else number.moved.relative, unit)


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
    marked: Sequence[MarkedDays] = (),
) -> Shown:
    """Show metrics of one unit over the view's windows, one of them beside the compared period.

    `usual`: the first metric's number of the news, with the usual range of each window. `mark`: as in Vega-Lite, or `bands`: the
    first as a line, with the space up to each next one, and the target of the first where one is in force.

    `marked`: days with a name.
    """
    unit = unit_of(metrics[0])
    answer = ask.query(metrics, grain=grain or ask.grain, compare=ask.view.compared if compare else None)
    known = [name for name in metrics if name not in answer.unfiltered]
    if not known:
        return filter_first(ask, metrics[0], answer)
    names = dict(zip(metrics, titles or [ask.title(name) for name in metrics], strict=True))
    starts = [row.window for row in answer.rows]
    rows = [_point(row, known, unit) for row in answer.rows]
    aimed = mark == "bands" and _with_target(rows, [target for target in answer.targets if target.metric == known[0]])
    open_at = open_window(starts, ask)
    course = _with_usual(rows, usual, open_at)
    before = f"{known[0]}_before" if compare and ask.view.compared and len(known) == 1 else ""
    seen = [row[name] for row in rows for name in known if row[name] is not None]
    if not seen or (unit == Unit.COUNT and not any(seen)):  # a share of 0 is a number, a count of 0 is nothing to draw
        return Shown(empty=NOTHING_HERE)
    if before and all(row[before] is None for row in rows):
        before = ""
    series = [(name, names[name]) for name in known]
    span = windows_of(starts, ask)
    ends = ends_of(span, ask)
    has_incidents = with_incidents(rows, ends, marked)
    if mark == "bands":
        spec = charts.bands(rows, series, unit)
    else:
        spec = charts.over_time(
            rows, series, unit, mark=mark, stacked=stacked, before=before, open_at=open_at, usual=course
        )
    more = {"target": "Target"} if aimed else {}
    more |= {"low": "Usual from", "high": "to"} if course else {}
    titled = {name: names[name] for name in known} | ({before: "Before"} if before else {}) | more
    columns = [
        Column("window", "From", "moment"), *(Column(name, title, unit) for name, title in titled.items()),
        *([Column("incident", TITLE)] if has_incidents else []),
    ]  # fmt: skip
    links = [{name: ask.explained(name, span[i]) for name in known} for i in range(len(rows))]
    read = readings(
        ask, rows, {name: names[name] for name in known}, unit, grain or ask.grain, before=before, open_at=open_at
    )
    data = {
        "spec": spec, "title": names[known[0]] if compare else "", "mark": mark, "before": bool(before),
        "usual": usual_of(grain or ask.grain) if course else "", "so_far": in_progress(rows, grain or ask.grain),
        "readings": plain(read), "bands": [names[name] for name in known] if mark == "bands" else [], "aimed": aimed,
    }  # fmt: skip
    note = "" if mark == "bar" else _breaks(rows, known[0], grain or ask.grain)
    summary = ". ".join(filter(None, (_summary(names, known, rows, unit), marked_in_words(rows, ends))))
    return Shown("chart", data, Table(columns, rows, links), summary, note)


def _with_target(rows: Sequence[dict[str, Any]], targets: Sequence[TargetInForce]) -> bool:
    """Write the target of each window into the rows (`target`, in ms); return whether any has one."""
    for row in rows:
        row["target"] = _aim(targets, row["window"][:10])
    return any(row["target"] for row in rows)


def _with_usual(rows: Sequence[dict[str, Any]], usual: NewsNumber | None, open_at: int | None) -> bool:
    """Write the usual range of each window into the rows (`low`, `high`); return whether any is known.

    The window that is not over (`open_at`) also says whether it is not as usual so far (`so_far`).
    """
    course = {window.window: window for window in (usual and usual.course) or () if window.low is not None}
    for number, row in enumerate(rows if course else ()):
        beside = course.get(row["window"])
        far = so_far(beside, usual.unit) if beside and usual and number == open_at else ""
        row |= {"low": beside and beside.low, "high": beside and beside.high, "so_far": far}
    return bool(course)


def _breaks(rows: Sequence[Cells], name: str, grain: str) -> str:
    """Say why a line breaks, if a window between two with a value has none; hatched ones say it themselves."""
    known = [number for number, row in enumerate(rows) if row[name] is not None]
    between = rows[known[0] : known[-1]] if known else ()
    broken = any(row[name] is None and not row["gap"] for row in between)
    return f"The line breaks where {'an' if grain == 'hour' else 'a'} {grain} has no value." if broken else ""


THIS = {"hour": "this hour", "day": "today", "week": "this week"}


def in_progress(rows: Sequence[Cells], grain: str) -> str:
    """Return for a chart's legend that the window in progress is not as usual so far; else empty."""
    return next((f"{THIS[grain]} {far}" for row in rows if (far := row.get("so_far"))), "")


def usual_of(grain: str) -> str:
    """Return the name of a chart's usual range in its legend."""
    return f"usual for {'an' if grain == 'hour' else 'a'} {grain}"


def _aim(targets: Sequence[TargetInForce], day: str) -> int | None:
    """Return the target that is in force on a day, in ms."""
    return next((target.minutes * MINUTE_MS for target in targets if target.from_ <= day < target.to), None)


def open_window(windows: Sequence[str], ask: Ask) -> int | None:
    """Return the number of the window that is not over, if one is; they are given by their beginnings."""
    begun = [n for n, window in enumerate(windows) if datetime.fromisoformat(window) <= ask.now]
    if not begun or (begun[-1] == len(windows) - 1 and ask.view.after <= day_of(ask.now, ask.tenant.tz)):
        return None
    return begun[-1]


def windows_of(starts: Sequence[str], ask: Ask) -> list[tuple[datetime | date, datetime | date]]:
    """Return `[start, end)` of successive windows, given by their beginnings."""
    begun = [datetime.fromisoformat(start) for start in starts]
    return list(zip(begun, [*begun[1:], ask.view.after], strict=True))


def ends_of(spans: Sequence[tuple[datetime | date, datetime | date]], ask: Ask) -> list[datetime]:
    """Return the ends (aware) of successive windows."""
    ends = [end for _, end in spans]
    return [end if isinstance(end, datetime) else datetime.combine(end, time(), ask.tenant.tz) for end in ends]


def _point(row: PageRow, names: Sequence[str], unit: str) -> dict[str, Any]:
    """Return a row of a chart's table: values, texts, and what stood before."""
    point: dict[str, Any] = {"window": row.window, "at": moment(row.window), "gap": False}
    for name in names:
        number, state = row.number(name), row.state(name)
        point[name] = number.value
        point[f"{name}_n"] = n_beside(number, unit)
        point[f"{name}_shown"] = row.why(name) or shown(number.value, unit) + (" (incomplete)" if state else "")
        point["gap"] |= state in (State.NOT_FETCHED, State.INCOMPLETE)
        if row.compared:
            point[f"{name}_before"] = number.previous
    return point


def _summary(names: Mapping[str, str], known: Sequence[str], rows: Sequence[Cells], unit: str) -> str:
    """Return a chart in words: first, last and highest value of each line."""
    parts = []
    for name in known:
        seen = [row for row in rows if row[name] is not None]
        if seen:
            top = max(seen, key=lambda row: row[name])
            first, last, most = (
                f"{row[f'{name}_shown']} ({window_start(row['window'])})" for row in (seen[0], seen[-1], top)
            )
            parts.append(f"{names[name]}: at first {first}, at last {last}, most {most}")
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

    Of a tenant with only one channel its rooms are shown, where all metrics know them.

    `titles`: titles of columns. `nothing`: text without rows. `only_ranked`: leave out rows without a value of `rank`.
    """
    rank = rank or metrics[0]
    if missing := ask.not_reported([rank]):
        return Shown(empty=missing)
    metrics = ask.reported(metrics)
    dimension = _rooms_if_alone(ask, dimension, metrics)
    if dimension == "channel" and ask.wording.only_channel:
        return Shown(empty=ask.in_words("These numbers are not known by room."))
    answer = ask.query(metrics, by=[dimension], compare=ask.view.compared if compare else None, where=where)
    if rank in answer.unfiltered:
        return filter_first(ask, rank, answer)
    known = [name for name in metrics if name not in answer.unfiltered]
    ranked = [row for row in answer.rows if any(row.value(name) for name in ([rank] if only_ranked else known))]
    if not ranked:
        return Shown(empty=nothing)
    ranked.sort(key=lambda row: (row.value(rank) is None, -(row.value(rank) or 0)))
    sizes = [row.value(rank) or 0 for row in ranked]
    top, whole = max(sizes) or 1, sum(sizes)
    ways = ways_of_slices(ask, known, dimension, where or {}) if compare and ask.view.compared else {}
    values = [value if (value := row.dim(dimension)) is not None else NONE for row in ranked]
    rows = [
        _slice(row, value, known, share_bar(size / top), ways)
        for row, value, size in zip(ranked, values, sizes, strict=True)
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
        *(Column(n, titles.get(n) or ask.title(n), unit_of(n)) for n in known),
    ]
    if values == [NONE]:
        lacks = f"No {(title or FILTERS.get(dimension, dimension)).lower()} is known in these days and filters."
        return Shown(table=Table(columns, rows, links), empty=ask.in_words(lacks))
    called = labels(ask, dimension, [row["name"] for row in rows[:3]])
    summary = f"{len(rows)} value{'s' * (len(rows) != 1)}; most {in_sentence(ask.title(rank))}: " + ", ".join(
        f"{called[row['name']]} {shown(row[rank], unit_of(rank))}" for row in rows[:3]
    )
    left = len(rows) - most
    note = " ".join(filter(None, (f"{left} more in the table below." if left > 0 else "", note_of_few(rows[:most]))))
    return Shown("breakdown", {"most": most, "whole": whole}, Table(columns, rows, links), summary, note)


def _rooms_if_alone(ask: Ask, dimension: str, metrics: Sequence[str]) -> str:
    """Return the rooms in place of a tenant's only channel, where all metrics know them; else the dimension."""
    alone = dimension == "channel" and ask.wording.only_channel
    return "channel_id" if alone and all("channel_id" in askable(find(name).rollup) for name in metrics) else dimension


def is_few(number: PageNumber, metric: str) -> bool:
    """Whether a number is of so few things that it says little: a share, wait or mean of fewer than `FEW`, but not a count."""
    return unit_of(metric) != Unit.COUNT and number.value is not None and number.n is not None and number.n < FEW


def note_of_few(rows: Sequence[Cells]) -> str:
    """Return what grey numbers are, where some of these rows are `few`; else nothing."""
    return f"Grey: numbers of fewer than {FEW}, which say little." if any(row["few"] for row in rows) else ""


def _slice(
    row: PageRow, value: str, names: Sequence[str], bar: Markup, ways: Mapping[tuple[str, str], str]
) -> dict[str, Any]:
    """Return a row of a breakdown: its numbers with n and change, whose look is in `ways`; none for few things."""
    numbers = {name: row.number(name) for name in names}
    counts = {name: text for name, number in numbers.items() if (text := of_few(number.value, number.n, unit_of(name)))}
    return {
        "name": value, "bar": bar, "counts": counts, **{name: number.value for name, number in numbers.items()},
        **{f"{name}_n": number.n for name, number in numbers.items()},
        "few": [name for name, number in numbers.items() if is_few(number, name)],
        "changes": {
            name: {
                "change": "" if is_few(number, name) else change_in_words(number, unit_of(name)),
                "way": "" if is_few(number, name) else ways.get((name, value), ""),
            }
            for name, number in numbers.items()
        },
    }  # fmt: skip


def filter_first(ask: Ask, metric: str, answer: PageAnswer) -> Shown:
    """Show that a metric does not have a filter of the page."""
    by = answer.unfiltered[metric].lower()
    return Shown(empty=f"{ask.title(metric)} is not known by {by}: remove that filter to see it.")


def days(first: date, count: int) -> list[date]:
    """Return `count` days from the first."""
    return [first + timedelta(days=i) for i in range(count)]
