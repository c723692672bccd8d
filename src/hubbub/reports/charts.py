"""Charts of a report as inline SVG: counts as columns from zero, shares as lines, durations on a log scale. No script, no link.

Shapes have a color and a class: a page restyles them by its theme, a PDF uses the colors. Windows that are not over are hollow.
Windows with an unknown number are hatched, and interrupt a line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

from hubbub.metrics.definition import Unit
from hubbub.query.result import State
from hubbub.reports.formatting import shown
from hubbub.reports.tables import Column, Row

WIDTH, HEIGHT, LEFT, TOP, FOOT = 720, 168, 64, 16, 22
COLORS = ("#2b54c8", "#aeb2b9", "#b7791f")
GRID, INK, HATCH = "#ecece8", "#60656e", "#b9bdc3"
MOST_NUMBERED = 8
"""Most windows of a chart with a number above each column."""
MOST_COLUMNS = 62
"""Most windows that are drawn as columns, or with points on lines; more are lines alone."""
TIMES = (100, 1_000, 10_000, 60_000, 600_000, 3_600_000, 36_000_000, 345_600_000, 3_456_000_000)
"""Ticks of durations: 100 ms, 1 s, 10 s, 1 min, 10 min, 1 h, 10 h, 4 d, 40 d."""
Rows = Sequence[Row]
Columns = Sequence[Column]


@dataclass(frozen=True, slots=True)
class Scale:
    """The ticks of an axis, from low to high; `log`: a logarithmic axis."""

    ticks: tuple[float, ...]
    log: bool = False

    def y(self, value: float) -> float:
        """Return the position of a value in pixels from the top."""
        low, high = self.ticks[0], self.ticks[-1]
        if self.log:
            low, high, value = log10(low), log10(high), log10(max(value, low))
        return HEIGHT - FOOT - (HEIGHT - FOOT - TOP) * (value - low) / (high - low)


def over_time(title: str, rows: Rows, columns: Columns, names: Sequence[str]) -> str:
    """Return a chart of columns of one unit over windows, as SVG; `names` are the labels of the windows."""
    unit = columns[0].unit
    scale = _scale([float(row[c.name]) for row in rows for c in columns if row[c.name]], unit)
    drawn = _columns if unit == Unit.COUNT and len(rows) <= MOST_COLUMNS else _lines
    parts = [*_grid(scale, unit), *_gaps(rows, columns), *drawn(rows, columns, scale), *_below(names)]
    return _svg(title, parts)


def legend(columns: Columns) -> str:
    """Return the legend as HTML: color and title of each column."""
    items = "".join(
        f'<li><svg class="key" viewBox="0 0 10 10" aria-hidden="true">'
        f'<rect class="s{number}" width="10" height="10" fill="{color}"/></svg>{escape(column.title)}</li>'
        for number, (column, color) in enumerate(zip(columns, COLORS, strict=False))
    )
    return f'<ul class="legend">{items}</ul>'


# --- positions


def _band(rows: Rows) -> float:
    return (WIDTH - LEFT) / len(rows)


def _x(rows: Rows, number: int) -> float:
    """Return the middle of a window in pixels from the left."""
    return LEFT + _band(rows) * (number + 0.5)


def _scale(values: Sequence[float], unit: str) -> Scale:
    """Return a scale that includes the values: logarithmic for durations, else from 0 in a few round steps."""
    top = max([value for value in values if value > 0], default=1.0)
    if unit == Unit.MS:
        low = min([value for value in values if value > 0], default=1.0)
        first = max((n for n, tick in enumerate(TIMES) if tick <= low), default=0)
        last = next((n for n, tick in enumerate(TIMES) if tick >= top and n > first), len(TIMES) - 1)
        return Scale(TIMES[min(first, last - 1) : last + 1], log=True)
    power = 10.0 ** floor(log10(top))
    step = next(power * part for part in (0.2, 0.25, 0.5, 1.0, 2.0, 5.0) if top / (power * part) <= 4)
    step = max(step, 1.0) if unit == Unit.COUNT else step
    return Scale(tuple(step * number for number in range(ceil(top / step - 1e-9) + 1)))


# --- shapes


def _grid(scale: Scale, unit: str) -> Iterator[str]:
    for value in scale.ticks:
        y = scale.y(value)
        yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}" stroke="{GRID}"/>'
        text = f"{value:,.0f}" if unit == Unit.COUNT else shown(value, unit)
        yield _label(LEFT - 6, y + 4, _short(text), "end")


def _short(text: str) -> str:
    """Shorten a round number by its zero parts: 5 min 0 s to 5 min, 20.0% to 20%."""
    return text.replace(".0%", "%").replace(" 0 s", "").replace(" 0 min", "").replace(".0 ", " ")


def _columns(rows: Rows, columns: Columns, scale: Scale) -> Iterator[str]:
    wide = _band(rows) * 0.7 / len(columns)
    for number, row in enumerate(rows):
        for place, (column, color) in enumerate(zip(columns, COLORS, strict=False)):
            value, x = row[column.name], _x(rows, number) + (place - len(columns) / 2) * wide
            if not value:
                continue
            y = scale.y(value)
            ink = f'fill="{color}"'
            if row.get("state") == State.LIVE:
                ink = f'fill="none" stroke="{color}" stroke-width="1.5"'
            yield (
                f'<rect class="s{place}" x="{x:.1f}" y="{y:.1f}" width="{max(wide - 2, 1):.1f}" '
                f'height="{HEIGHT - FOOT - y:.1f}" {ink}/>'
            )
            if len(rows) <= MOST_NUMBERED:
                yield _label(x + wide / 2 - 1, y - 4, f"{value:,}", "middle")


def _lines(rows: Rows, columns: Columns, scale: Scale) -> Iterator[str]:
    for place, (column, color) in enumerate(zip(columns, COLORS, strict=False)):
        path, pen = [], "M"
        for number, row in enumerate(rows):
            value = row[column.name]
            if value is None:
                pen = "M"
                continue
            x, y = _x(rows, number), scale.y(value)
            path.append(f"{pen}{x:.1f} {y:.1f}")
            pen = "L"
            if len(rows) <= MOST_COLUMNS:
                fill = "#ffffff" if row.get("state") == State.LIVE else color
                yield f'<circle class="c{place}" cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{fill}" stroke="{color}"/>'
        if path:
            yield f'<path class="l{place}" d="{" ".join(path)}" fill="none" stroke="{color}" stroke-width="2"/>'


def _gaps(rows: Rows, columns: Columns) -> Iterator[str]:
    """Hatch windows in which a drawn number is unknown."""
    for number, row in enumerate(rows):
        if not any(f"{column.name}.state" in row and row[column.name] is None for column in columns):
            continue
        left, right = _x(rows, number) - _band(rows) / 2, _x(rows, number) + _band(rows) / 2
        strokes, y = [], float(TOP)
        while y < HEIGHT - FOOT:
            strokes.append(f"M{left:.1f} {min(y + 6, HEIGHT - FOOT):.1f} L{right:.1f} {y:.1f}")
            y += 6
        yield f'<path class="gap" d="{" ".join(strokes)}" fill="none" stroke="{HATCH}" stroke-width="1"/>'


def _below(names: Sequence[str]) -> Iterator[str]:
    """Write names of windows below the plot, at most about MOST_NUMBERED of them."""
    every = -(-len(names) // MOST_NUMBERED)
    for number in range(0, len(names), every):
        yield _label(LEFT + (WIDTH - LEFT) / len(names) * (number + 0.5), HEIGHT - 5, names[number], "middle")


def _label(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{INK}">{escape(text)}</text>'


def _svg(title: str, parts: Sequence[str]) -> str:
    label = escape(title)
    return (
        f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}"><title>{label}</title>'
        f"{''.join(parts)}</svg>"
    )
