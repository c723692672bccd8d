"""Charts as inline SVG: lines over time, bars by value. Only shapes and escaped texts, no script or link."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from hubbub.reports.formatting import moment, plain, shown

WIDTH, HEIGHT, LEFT, BAR = 720, 180, 70, 18
COLORS = ("#2563eb", "#d97706", "#059669")
Rows = Sequence[Mapping[str, Any]]


def lines(title: str, rows: Rows, columns: Sequence[Mapping[str, Any]]) -> str:
    """Draw columns over windows; a missing value breaks the line."""
    top = _top(rows, columns)
    step = (WIDTH - LEFT - 10) / max(len(rows) - 1, 1)
    parts = [_grid(top, columns[0]["unit"])]
    for column, color in zip(columns, COLORS, strict=False):
        path, pen = [], "M"
        for number, row in enumerate(rows):
            value = row[column["name"]]
            if value is None:
                pen = "M"
                continue
            x, y = LEFT + number * step, HEIGHT - 20 - (HEIGHT - 40) * value / top
            path.append(f"{pen}{x:.1f} {y:.1f}")
            if len(rows) <= 62:
                parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{color}"/>')
            pen = "L"
        if path:
            parts.append(f'<path d="{" ".join(path)}" fill="none" stroke="{color}" stroke-width="2"/>')
    for place, row in ((LEFT, rows[0]), (WIDTH - 10, rows[-1])):
        anchor = "start" if place == LEFT else "end"
        parts.append(_label(place, HEIGHT - 4, moment(row["window"]), anchor))
    return _svg(title, HEIGHT, parts)


def bars(
    title: str, rows: Rows, columns: Sequence[Mapping[str, Any]], names: str, scale: Rows | None = None
) -> str:  # fmt: skip
    """Draw columns as horizontal bars for each value of the column `names`.

    `scale`: the rows whose highest value is the longest bar; all rows of the table where `rows` are some.
    """
    top, parts, y = _top(scale or rows, columns), [], 4.0
    for row in rows:
        name = plain(str(row[names]))
        parts.append(_label(LEFT + 80, y + 13, name if len(name) <= 24 else f"{name[:23]}…", "end"))
        for column, color in zip(columns, COLORS, strict=False):
            value, width = row[column["name"]], 0.0
            if value is not None:
                width = (WIDTH - LEFT - 160) * max(value, 0) / top
                parts.append(
                    f'<rect x="{LEFT + 86}" y="{y:.1f}" width="{width:.1f}" height="{BAR - 4}" fill="{color}"/>'
                )
            parts.append(_label(LEFT + 90 + width, y + 11, shown(value, column["unit"]), "start"))
            y += BAR
        y += 4
    return _svg(title, int(y) + 4, parts)


def legend(columns: Sequence[Mapping[str, Any]]) -> str:
    """Return the legend as HTML: color and title of each column."""
    items = "".join(
        f'<li><span style="background:{color}"></span>{escape(column["title"])}</li>'
        for column, color in zip(columns, COLORS, strict=False)
    )
    return f'<ul class="legend">{items}</ul>'


def _top(rows: Rows, columns: Sequence[Mapping[str, Any]]) -> float:
    values = [row[c["name"]] for row in rows for c in columns if row[c["name"]] is not None]
    return max([float(v) for v in values if v > 0], default=1.0)


def _grid(top: float, unit: str) -> str:
    parts = []
    for share in (0.0, 0.5, 1.0):
        y = HEIGHT - 20 - (HEIGHT - 40) * share
        value = top * share
        text = shown(round(value) if unit == "count" and top > 4 else value, unit)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - 10}" y1="{y:.1f}" y2="{y:.1f}" stroke="#8884"/>')
        parts.append(_label(LEFT - 6, y + 4, text, "end"))
    return "".join(parts)


def _label(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(title: str, height: int, parts: Sequence[str]) -> str:
    label = escape(title)
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{label}"><title>{label}</title>{"".join(parts)}</svg>'
