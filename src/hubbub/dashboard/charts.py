"""Charts as Vega-Lite specifications, built from the rows of a table: the same numbers as in "view as table".

Times are wall-clock times of the tenant's zone, given to the browser as UTC, so that the browser's zone moves no day.
Colors, fonts and sizes are the page's (`static/charts.js`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from hubbub.dashboard.components import Cells
from hubbub.dashboard.marked_days import bands as marked_bands
from hubbub.metrics.definition import Unit

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
"""For tools only; never fetched."""

_LABELS = {
    Unit.MS: (
        "datum.value >= 86400000 ? format(datum.value / 86400000, ',.1~f') + ' d' : datum.value >= 3600000 ? "
        "format(datum.value / 3600000, ',.1~f') + ' h' : datum.value >= 60000 ? format(datum.value / 60000, ',.1~f') + ' min' : "
        "format(datum.value / 1000, ',.1~f') + ' s'"
    ),
    Unit.SHARE: "format(datum.value, '.0%')",
}
Spec = dict[str, Any]


def wall(window: str) -> str:
    """Return a window's start (RFC 3339 in the tenant's zone) as wall-clock time, marked as UTC."""
    return f"{window[:19]}Z"


def over_time(
    rows: Sequence[Cells],
    series: Sequence[tuple[str, str]],
    unit: str,
    *,
    mark: str = "line",
    stacked: bool = False,
    before: str = "",
    open_at: int | None = None,
    usual: bool = False,
) -> Spec:
    """Draw columns of `rows` over their `window`. `series`: column and title; `before` is the column of the compared period.

    A missing value breaks the line. `<column>_shown` is the text of the tooltip. `open_at`: index of the row that is not
    over: its bar is pale, its line dotted with a hollow end. `usual`: draw the usual range behind, `low` to `high` of the rows.
    Rows with an `incident` have a band under its name.
    """
    values = [
        {
            "t": wall(row["window"]), "s": title, "v": row[name], "shown": row.get(f"{name}_shown", row[name]),
            "at": row["at"] + (", still open" if number == open_at else ""), "open": number == open_at,
            "ends": open_at is not None and number >= open_at - 1,
        }
        for number, row in enumerate(rows)
        for name, title in series
    ]  # fmt: skip
    titles = [title for _, title in series]
    top = _top(rows, [*(name for name, _ in series), *([before] if before else [])])
    encoding = {
        "y": _value("v", unit, "zero" if stacked else None, top),
        "color": {
            "field": "s",
            "type": "nominal",
            "scale": {"domain": titles},
            "legend": None if len(titles) < 2 else {"title": None},
        },
        "tooltip": [
            {"field": "at", "title": "When"}, {"field": "s", "title": "What"}, {"field": "shown", "title": "Value"}
        ],
    }  # fmt: skip
    known = [number for number, row in enumerate(rows) if any(row[name] is not None for name, _ in series)]
    ends = open_at if open_at in known and len(known) > 1 else None
    layers = _lines(encoding, len(rows), ends) if mark == "line" else [_solid(mark, encoding, len(rows))]
    if before:
        past = [{"t": wall(row["window"]), "v": row[before]} for number, row in enumerate(rows) if number != open_at]
        layers.insert(
            0 if mark == "line" else len(layers),
            {
                "data": {"values": past},
                "mark": {"type": "line", "style": "before", "tooltip": None},
                "encoding": {"y": _value("v", unit, None, top)},
            },
        )
    bars = mark == "bar"
    wash = [_usual(rows, unit, top, bars=bars)] if usual else []
    behind, above = marked_bands(rows, _places(rows, bars=bars)) if rows else ([], [])
    layers = [*_gaps(rows, bars=bars), *wash, *behind, *layers, *above]
    return _spec(values, {"layer": layers, "encoding": {"x": _time(rows, bars=bars)}})


def _usual(rows: Sequence[Cells], unit: str, top: float, *, bars: bool) -> Spec:
    """Draw the usual range behind, not across windows without one; cut it far above all values, so that it flattens none."""
    room = 1.0 if unit == Unit.SHARE else top * 1.5 or 1.0
    values: list[Cells] = []
    stretch = 0
    for row, (start, end) in zip(rows, _places(rows, bars=bars), strict=True):
        if row["low"] is None or row["high"] is None:
            stretch += 1
            continue
        reach = {"low": row["low"], "high": min(row["high"], max(room, row["low"])), "stretch": stretch}
        values += [{"t": start, **reach}, {"t": end, **reach}]
    return {
        "data": {"values": values},
        "mark": {"type": "area", "style": "usual", "interpolate": "linear", "tooltip": None},
        "encoding": {
            "y": _value("low", unit, None, top), "y2": {"field": "high"}, "detail": {"field": "stretch"},
        },
    }  # fmt: skip


def _places(rows: Sequence[Cells], *, bars: bool) -> list[tuple[str, str]]:
    """Return from where to where each window is drawn: around its beginning, the outer ones of lines on one side alone."""
    starts = [datetime.fromisoformat(row["window"][:19]) for row in rows]
    steps = [after - before for before, after in pairwise(starts)]
    outer = (max(steps) / 2 if steps else timedelta(hours=1)) if bars else timedelta(0)
    inner = [start + step / 2 for start, step in zip(starts, steps, strict=False)]
    edges = [f"{edge.isoformat()}Z" for edge in (starts[0] - outer, *inner, starts[-1] + outer)]
    return list(pairwise(edges))


def _gaps(rows: Sequence[Cells], *, bars: bool = False) -> list[Spec]:
    """Draw incomplete windows (`gap`: a source has a gap there) as a background."""
    starts = [wall(row["window"]) for row in rows]
    spans = _places(rows, bars=True) if bars else zip(starts, [*starts[1:], None], strict=True)
    gaps = [
        {"t": start, "until": following, "at": row["at"], "shown": "a source has a gap here"}
        for row, (start, following) in zip(rows, spans, strict=True)
        if row.get("gap")
    ]
    if not gaps:
        return []
    if gaps[-1]["until"] is None:  # the last window is as long as the one before
        gaps[-1]["until"] = _after(starts) if len(starts) > 1 else starts[-1]
    tooltip = [{"field": "at", "title": "When"}, {"field": "shown", "title": "What"}]
    edge = {"strokeDash": [3, 3], "stroke": GAP, "strokeWidth": 1, "strokeOpacity": 0.6}
    return [
        {
            "data": {"values": gaps},
            "mark": {"type": "rect", "color": HATCH, "opacity": 0.5, "tooltip": True, **edge},
            "encoding": {"x2": {"field": "until", "type": "temporal"}, "tooltip": tooltip},
        }
    ]


def _after(starts: Sequence[str]) -> str:
    """Return the end of the last window, as if it were as long as the one before."""
    last, before = (datetime.fromisoformat(start) for start in (starts[-1], starts[-2]))
    return f"{(last + (last - before)).replace(tzinfo=None).isoformat()}Z"


def _lines(encoding: Spec, count: int, open_at: int | None) -> list[Spec]:
    """Return the layers of lines: solid for windows that are over, dotted to the open one."""
    solid: Spec = {"mark": {"type": "line", "tooltip": True, "point": count <= 62}, "encoding": encoding}
    if open_at is None:
        return [solid]
    dotted = {"type": "line", "strokeDash": [2, 4], "tooltip": None}
    hollow = {"type": "point", "style": "open", "tooltip": True}
    return [
        solid | {"transform": [{"filter": "!datum.open"}]},
        {"mark": dotted, "encoding": encoding, "transform": [{"filter": "datum.ends"}]},
        {"mark": hollow, "encoding": encoding, "transform": [{"filter": "datum.open"}]},
    ]


def _solid(mark: str, encoding: Spec, count: int) -> Spec:
    """Return the layer of bars or areas, the open window paler."""
    whole = 0.75 if mark == "area" else 1.0
    pale = {"condition": {"test": "datum.open", "value": 0.4}, "value": whole}
    wide = {"width": {"expr": f"max(2, 0.72 * width / {count})"}} if mark == "bar" else {}
    return {"mark": {"type": mark, "tooltip": True, **wide}, "encoding": encoding | {"opacity": pale}}


def bands(rows: Sequence[Cells], names: Sequence[tuple[str, str]], unit: str) -> Spec:
    """Draw the first of `names` (column and title) over the rows' `window` as a line, and the space from each to the next above.

    The scale is logarithmic: a band up to ten hours flattens no median of two minutes. Where rows have a `target`, it is a dashed
    line in steps.
    """
    values = [{"t": wall(row["window"]), "at": row["at"], **_fields(row, names)} for row in rows]
    targets = [{"t": wall(row["window"]), "target": row.get("target")} for row in rows]
    known = [row[name] for row in rows for name, _ in names if row[name]]
    known += [each["target"] for each in targets if each["target"]]
    layers: list[Spec] = [
        {
            "mark": {"type": "area", "opacity": 0.34 / (i + 1)},
            "encoding": {"y": _decades(f"v{i}", unit, known), "y2": {"field": f"v{i + 1}"}},
        }
        for i in range(len(names) - 1)
    ]
    single = _between_unknown(values)
    for i in range(len(names) - 1):
        ends = {"y": _decades(f"v{i}", unit, known), "y2": {"field": f"v{i + 1}"}}
        layers += _layer(single, {"type": "rule", "strokeWidth": 6, "opacity": 0.34 / (i + 1)}, ends)
    line = {"type": "line", "point": len(rows) <= 62}
    layers.append({"mark": line, "encoding": {"y": _decades("v0", unit, known)}})
    if any(each["target"] for each in targets):
        step = {"type": "line", "style": "target", "interpolate": "step-after", "tooltip": None}
        layers.append({
            "data": {"values": targets}, "mark": step, "encoding": {"y": _decades("target", unit, known)},
        })  # fmt: skip
    return _spec(values, {"layer": [*_gaps(rows), *layers], "encoding": {"x": _time(rows)}})


def _between_unknown(values: Sequence[Cells]) -> list[Cells]:
    """Return the windows with a value between two without one, where a line has no length and a band no width."""
    around = zip([None, *values], values, [*values[1:], None], strict=False)
    return [
        here for before, here, after in around
        if here["v0"] is not None and all(side is None or side["v0"] is None for side in (before, after))
    ]  # fmt: skip


def _decades(name: str, unit: str, known: Sequence[float]) -> Spec:
    """Return the axis of durations on a log scale, with its lines at 1 s, 10 s, 1 min, 10 min, 1 h, 10 h, 4 d."""
    low, high = min(known, default=1.0), max(known, default=1.0)
    first = max((n for n, tick in enumerate(_DECADES) if tick <= low), default=0)
    last = next((n for n, tick in enumerate(_DECADES) if tick >= high and n > first), len(_DECADES) - 1)
    ticks = list(_DECADES[min(first, last - 1) : last + 1])
    value = _value(name, unit, None)
    axis = value["axis"] | {"values": ticks, "tickCount": len(ticks), "labelOverlap": False}
    return value | {
        "scale": {"type": "log", "domain": [ticks[0], ticks[-1]], "clamp": True, "nice": False},
        "axis": axis,
    }


def _fields(row: Cells, names: Sequence[tuple[str, str]]) -> Cells:
    """Return the values of columns as v0, v1, …, because field names may not have dots."""
    pairs = [(f"v{i}", row[name]) for i, (name, _) in enumerate(names)]
    return dict(pairs + [(f"s{i}", row[f"{name}_shown"]) for i, (name, _) in enumerate(names)])


def weekly(weeks: Sequence[Cells], days: Sequence[Cells], name: str, before: str, unit: str) -> Spec:
    """Draw a share of few things by week, as steps with their values, over faint days whose size is their n.

    Each week has `window`, `until`, its value by `name`, by `before` that of the compared period, `low` and `high` if known, and
    `open`; each day has `window` and `<name>_n`, and may have an `incident`.
    """
    drawn = [
        {
            "t": wall(week["window"]), "until": wall(week["until"]), "v": week[name], "before": week.get(before),
            "low": week.get("low"), "high": week.get("high"), "shown": week[f"{name}_shown"], "open": week["open"],
        }
        for week in weeks
    ]  # fmt: skip
    points = [
        {"t": f"{day['window'][:10]}T12:00:00Z", "v": day[name], "n": day[f"{name}_n"]}
        for day in days if day[name] is not None
    ]  # fmt: skip
    y, until = _value("v", unit, None), {"field": "until", "type": "temporal"}
    width = {"type": "rule", "strokeWidth": 2.5, "style": "now"}
    size = {"field": "n", "type": "quantitative", "legend": None, "scale": {"range": [12, 160]}}
    known = [week for week in drawn if week["v"] is not None]
    over, not_over = ([week for week in known if week["open"] is is_open] for is_open in (False, True))
    along = {"x2": until, "y": y}
    layers = [
        *_layer(
            [week for week in drawn if week["low"] is not None],
            {"type": "rect", "style": "usual"},
            {"x2": until, "y": _value("low", unit, None), "y2": {"field": "high"}},
        ),
        *_layer(points, {"type": "circle", "opacity": 0.4}, {"y": y, "size": size}),
        *_layer(
            [week for week in drawn if week["before"] is not None],
            {"type": "rule", "style": "before"},
            {"x2": until, "y": _value("before", unit, None)},
        ),
        *_layer(over, width, along),
        *_layer(not_over, width | {"strokeDash": [3, 4]}, along),
        *_layer(
            known,
            {"type": "text", "align": "left", "dx": 4, "dy": 12, "fontWeight": 600},
            {"y": y, "text": {"field": "shown"}},
        ),
    ]
    ends = [f"{(datetime.fromisoformat(day['window'][:10]) + timedelta(days=1)).isoformat()}Z" for day in days]
    behind, above = marked_bands(days, [(wall(day["window"]), end) for day, end in zip(days, ends, strict=True)])
    wash, lines = (layers[:1], layers[1:]) if layers[0]["mark"].get("style") == "usual" else ([], layers)
    return _spec(drawn, {"layer": [*_gaps(days), *wash, *behind, *lines, *above], "encoding": {"x": _time(days)}})


def _layer(values: Sequence[Cells], mark: Spec, encoding: Spec) -> list[Spec]:
    """Return the layer of these rows, or none: of a layer without rows Vega cannot tell the extent, and warns."""
    return [{"data": {"values": list(values)}, "mark": mark, "encoding": encoding}] if values else []


FEW_BARS, WIDEST_BAR = 4, 36
"""With fewer bars than these each is so many pixels wide, and does not fill the panel."""


def bars(rows: Sequence[Cells], name: str, value: str, things: str, *, order: Sequence[str] = ()) -> Spec:
    """Draw a column of counts of `things` as horizontal bars by the names in another, which have an order, like steps or ranges.

    The text beside a bar is `<value>_shown`, if rows have it.
    """
    values = [
        {"n": str(row[name]), "v": row[value], "shown": str(row.get(f"{value}_shown", row[value]))} for row in rows
    ]
    names = {
        "field": "n",
        "type": "nominal",
        "sort": list(order) or None,
        "axis": {"title": None, "ticks": False, "domain": False},
    }
    tooltip = [{"field": "n", "title": "What"}, {"field": "shown", "title": "Value"}]
    room = {"domainMin": 0, "domainMax": _top(rows, [value]) * 1.5 or 1}
    along = _value("v", Unit.COUNT, None) | {"scale": room}
    along["axis"] |= {"title": things}
    labels = {"mark": {"type": "text", "align": "left", "dx": 5}, "encoding": {"text": {"field": "shown"}}}
    bar = {"type": "bar", "tooltip": True, **({"size": WIDEST_BAR} if len(rows) < FEW_BARS else {})}
    layers: list[Spec] = [{"mark": bar, "encoding": {"tooltip": tooltip}}, labels]
    return _spec(values, {"layer": layers, "encoding": {"y": names, "x": along}})


def shares(rows: Sequence[Cells], name: str, series: Sequence[tuple[str, str]], *, windows: bool = False) -> Spec:
    """Draw columns (`series`: column and title) as parts of a horizontal bar per row, in the order of rows and columns.

    `windows`: the rows are successive windows, with vertical bars. An empty row has no bar.
    """
    values = [
        {"n": row[name], "s": title, "o": number, "v": row[column], "shown": row[f"{column}_shown"]}
        for row in rows
        for number, (column, title) in enumerate(series)
    ]
    titles = [title for _, title in series]
    color: Spec = {"field": "s", "type": "nominal", "scale": {"domain": titles}, "legend": _LEGEND}
    if set(titles) & set(TONES):
        color["scale"]["range"] = [TONES.get(title, REST[i % len(REST)]) for i, title in enumerate(titles)]
    axis: Spec = {"title": None, "labelLimit": 140}
    if windows:
        axis |= {"labelExpr": _MOMENT, "labelAngle": 0, "labelOverlap": "greedy", "labelSeparation": 8, "ticks": False}
    names = {"field": "n", "type": "nominal", "sort": [row[name] for row in rows], "axis": axis}
    parts = _value("v", Unit.SHARE, "normalize")
    encoding = {
        "x": names if windows else parts, "y": parts if windows else names, "color": color, "order": {"field": "o"},
        "tooltip": [{"field": "n", "title": "What"}, {"field": "s", "title": "Part"}, {"field": "shown", "title": "Share"}],
    }  # fmt: skip
    return _spec(values, {"mark": {"type": "bar", "tooltip": True}, "encoding": encoding})


_LEGEND = {"title": None, "columns": {"expr": "max(1, floor((containerSize()[0] - 70) / 115))"}, "labelLimit": 95}
"""As many names beside one another as there is room for beside the axis, also on a phone. The plot's own width changes as it is
fitted around the legend."""
GAP = "#858a85"
"""Color of what is not known, in both themes."""
HATCH = {
    "gradient": "linear", "x1": 0, "y1": 0, "x2": 1, "y2": 1,
    "stops": [
        {"offset": (stripe + side) / 36, "color": GAP if stripe % 3 == 0 else "rgba(0,0,0,0)"}
        for stripe in range(36) for side in (0, 1)
    ],
}  # fmt: skip
"""Stripes across what is not known: a gradient with hard edges, which a canvas can draw."""
_MOMENT = "utcFormat(toDate(slice(datum.label, 0, 10)), '%-d %b') + slice(datum.label, 10, 16)"
"""A window's beginning as `words.moment` writes it, shorter."""
TONES = {"positive": "#0f9d6b", "neutral": "#a8a29e", "negative": "#e0533d"}
"""Colors of the tones that everybody knows, in both themes; their order and names tell them apart too."""
REST = ("#2457d6", "#d97706", "#a855f7", "#0891b2", "#84780b")
"""Colors of other tones beside them."""


def _spec(values: Sequence[Cells], what: Spec) -> Spec:
    size = {"width": "container", "height": "container", "autosize": {"type": "fit", "contains": "padding"}}
    return {"$schema": SCHEMA, "data": {"values": list(values)}, **size, **what}


def _time(rows: Sequence[Cells], *, bars: bool = False) -> Spec:
    """Return the axis of the rows' windows: hours, days, or months, as long as they reach; with room for the outer bars."""
    axis: Spec = {"title": None, "labelOverlap": "parity", "labelSeparation": 8}
    if len(rows) < 2 or _reach(rows) <= MOST_DAYS_BY_DAY:
        named = rows[:: max(1, math.ceil(len(rows) / MOST_TICKS))]
        axis |= {"values": [_moment(row["window"]) for row in named], "labelExpr": _HOURS_OR_DAYS}
    else:
        axis |= {"tickCount": min(len(rows), MOST_TICKS), "labelExpr": "utcFormat(datum.value, '%b %Y')"}
    scale: Spec = {"type": "utc"}
    if bars and rows:
        places = _places(rows, bars=True)
        scale |= {"domain": [places[0][0], places[-1][1]]}
    return {"field": "t", "type": "temporal", "scale": scale, "axis": axis}


def _moment(window: str) -> Spec:
    """Return a window's wall-clock start (RFC 3339), read as UTC, as Vega-Lite names moments."""
    at = datetime.fromisoformat(window[:19])
    return {
        "utc": True, "year": at.year, "month": at.month, "date": at.day, "hours": at.hour, "minutes": at.minute,
    }  # fmt: skip


def _reach(rows: Sequence[Cells]) -> int:
    """Return the days from the first to the last window."""
    first, last = (datetime.fromisoformat(rows[n]["window"][:10]) for n in (0, -1))
    return (last - first).days


MOST_TICKS = 8
"""Most windows that an axis of hours or days names: the first, and others at equal distances; or most months."""
MOST_DAYS_BY_DAY = 150
"""Most days of an axis that names days; a longer one names months."""
_HOURS_OR_DAYS = (
    "utchours(datum.value) || utcminutes(datum.value) ? "
    "utcFormat(datum.value, '%H:%M') : utcFormat(datum.value, '%a %-d %b')"
)


_DECADES = (100, 1_000, 10_000, 60_000, 600_000, 3_600_000, 36_000_000, 345_600_000, 3_456_000_000)
_SECOND, _MINUTE, _HOUR, _DAY = 1000, 60_000, 3_600_000, 86_400_000
_STEPS = (
    *(n * _SECOND for n in (1, 5, 15, 30)), *(n * _MINUTE for n in (1, 2, 5, 10, 15, 30)), *(n * _HOUR for n in (1, 2, 3, 6, 12)),
    *(n * _DAY for n in (1, 2, 5, 10, 30, 90, 365)),
)  # fmt: skip
"""Distances between the lines of an axis of waits."""


def _ticks(top: float) -> list[int]:
    """Return where an axis of waits up to `top` ms has its lines: at whole seconds, minutes, hours or days, up to six of them."""
    step = next((size for size in _STEPS if top / size <= 5), _STEPS[-1])
    return [step * i for i in range(int(top // step) + 2)]


def _top(rows: Sequence[Cells], names: Iterable[str]) -> float:
    return max((row[name] for name in names for row in rows if row[name] is not None), default=0)


def _value(name: str, unit: str, stack: str | None, top: float = 0) -> Spec:
    axis: Spec = {"title": None, "tickCount": 4}
    if unit in _LABELS:
        axis["labelExpr"] = _LABELS[Unit(unit)]
        if unit == Unit.MS and 1000 <= top <= _STEPS[-1] * 5:
            axis["values"] = _ticks(top)
            axis["tickCount"] = len(axis["values"])  # with fewer, Vega leaves out every other
    elif unit == Unit.COUNT:
        axis["labelExpr"] = "datum.value % 1 ? '' : format(datum.value, ',.0f')"  # there is no half of a thing
    return {"field": name, "type": "quantitative", "stack": stack, "axis": axis}
