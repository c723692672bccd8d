"""Days that a chart marks with a pale band under their name: those that the news name, and those of open incidents.

The names stand in the rows (`incident`), from where the chart, its table, its summary and what it says at each window have them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from hubbub.dashboard.components import Cells
from hubbub.reports.dates import short_days

Spec = dict[str, Any]
WORSE = "worse"
TITLE = "What happened"
"""Title of the names in a chart's table."""


@dataclass(frozen=True, slots=True)
class MarkedDays:
    """The time `[start, end)` (aware) under a name; `way`: worse, or anything else."""

    name: str
    start: datetime
    end: datetime
    way: str = WORSE


def with_incidents(rows: Sequence[dict[str, Any]], ends: Sequence[datetime], marked: Sequence[MarkedDays]) -> bool:
    """Write the names of marked days into the rows that overlap them (`incident`, `incident_way`); return whether any does.

    `ends`: the end (aware) of each row's window. Days that all rows overlap tell nothing apart, and are left out.
    """
    starts = [datetime.fromisoformat(row["window"]) for row in rows]
    marked = [mark for mark in marked if starts and not (mark.start <= starts[0] and starts[-1] < mark.end)]
    for row, end in zip(rows, ends, strict=True):
        start = datetime.fromisoformat(row["window"])
        here = [mark for mark in marked if mark.start < end and start < mark.end]
        row["incident"] = ", ".join(dict.fromkeys(mark.name for mark in here))
        row["incident_way"] = WORSE if any(mark.way == WORSE for mark in here) else ""
    return any(row["incident"] for row in rows)


def _runs(rows: Sequence[Cells]) -> list[tuple[int, int]]:
    """Return the runs `[first, after)` of rows with the same names."""
    found: list[tuple[int, int]] = []
    for number, row in enumerate(rows):
        if found and found[-1][1] == number and rows[number - 1].get("incident") == row.get("incident"):
            found[-1] = (found[-1][0], number + 1)
        else:
            found.append((number, number + 1))
    return [run for run in found if rows[run[0]].get("incident")]


def marked_in_words(rows: Sequence[Cells], ends: Sequence[datetime]) -> str:
    """Return the marked days of a chart for its summary: "Air conditioning: 28 – 30 Nov 2026"; empty without any."""
    return ". ".join(
        f"{rows[first]['incident']}: {short_days(start, after)}"
        for first, last in _runs(rows)
        for start in [datetime.fromisoformat(rows[first]["window"]).date()]
        for after in [(ends[last - 1] - timedelta(microseconds=1)).date() + timedelta(days=1)]
    )


def bands(rows: Sequence[Cells], places: Sequence[tuple[str, str]]) -> tuple[list[Spec], list[Spec]]:
    """Return the layers of marked days: the bands, for behind, and the caps with names, for above the plot.

    `places`: from where to where each window is drawn, in wall-clock times as charts have them. A name begins at its band's left
    edge, or in the right half of the plot ends at its right one, so that it stays within the plot.
    """
    drawn = []
    for first, after in _runs(rows):
        start, end, early = places[first][0], places[after - 1][1], first + after <= len(rows)
        drawn.append({
            "t": start, "until": end, "incident": rows[first]["incident"], "align": "left" if early else "right",
            "named": start if early else end, "style": "incident" if rows[first]["incident_way"] else "marked",
        })  # fmt: skip
    until, at = ({"field": name, "type": "temporal"} for name in ("until", "named"))
    top = {"value": 0}
    behind, above = [], []
    for style in ("incident", "marked"):
        of_style = [one for one in drawn if one["style"] == style]
        behind += _layer(of_style, {"type": "rect", "style": style, "opacity": 0.09, "stroke": None}, {"x2": until})
        above += _layer(of_style, {"type": "rule", "style": style, "strokeWidth": 2}, {"x2": until, "y": top})
        for align in ("left", "right"):
            name = {
                "type": "text",
                "style": style,
                "align": align,
                "dy": -7,
                "fontWeight": 600,
                "limit": 200,
                "stroke": None,
            }
            named = [one for one in of_style if one["align"] == align]
            above += _layer(named, name, {"x": at, "y": top, "text": {"field": "incident"}})
    return behind, above


def _layer(values: Sequence[Cells], mark: Spec, encoding: Spec) -> list[Spec]:
    return (
        [{"data": {"values": list(values)}, "mark": {"tooltip": None, **mark}, "encoding": encoding}] if values else []
    )
