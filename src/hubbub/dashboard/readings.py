"""What a chart says at each of its windows: the lines beside the pointer, and the page that a click or Enter opens.

The pointer and the arrow keys read them (`static/readings.js`); the numbers are those of the chart's table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from hubbub.dashboard import charts
from hubbub.dashboard.answer_rows import PageNumber
from hubbub.dashboard.ask import Ask
from hubbub.dashboard.components import Cells
from hubbub.metrics.definition import Unit
from hubbub.reports.formatting import about, shown


@dataclass(frozen=True, slots=True)
class Reading:
    """A window of a chart: where it stands (wall-clock time), its name, a line for each number, and the address that it opens."""

    at: str
    when: str
    lines: tuple[str, ...]
    link: str


def readings(
    ask: Ask,
    rows: Sequence[Cells],
    names: Mapping[str, str],
    unit: str,
    grain: str,
    *,
    before: str = "",
    open_at: int | None = None,
) -> list[Reading]:
    """Return what a chart of columns (`names`: column and title) over the windows of `rows` says at each.

    `before`: the column of the compared period. `open_at`: number of the window that is not over. A row may have `<column>_n`,
    `low` and `high`, its usual range, the name of an `incident`, and what
    is unusual `so_far`.
    """
    return [
        Reading(
            charts.wall(row["window"]), _when(datetime.fromisoformat(row["window"]), grain),
            tuple(_lines(row, names, unit, before, is_open=number == open_at)), _link(ask, row["window"], grain, names),
        )
        for number, row in enumerate(rows)
    ]  # fmt: skip


def _lines(row: Cells, names: Mapping[str, str], unit: str, before: str, *, is_open: bool) -> Iterator[str]:
    for name, title in names.items():
        n = row.get(f"{name}_n")
        of = f" (n = {n:,})" if n is not None and row[name] is not None else ""
        yield f"{title}: {row.get(f'{name}_shown') or shown(row[name], unit)}{of}"
    if before and row[before] is not None:
        yield f"Before: {shown(row[before], unit)}"
    if row.get("low") is not None:
        yield f"Usual: {about(row['low'], unit)} – {about(row['high'], unit)}"
    if incident := row.get("incident"):
        yield incident
    if is_open:
        yield "Not over yet" + (f", {far}" if (far := row.get("so_far")) else "")


def _when(at: datetime, grain: str) -> str:
    day = f"{at:%a} {at.day} {at:%b}"
    if grain in ("minute", "hour"):
        return f"{day}, {at:%H:%M}"
    if grain == "month":
        return f"{at:%B %Y}"
    return f"Week from {day}" if grain == "week" else f"{day} {at.year}"


def _link(ask: Ask, window: str, grain: str, names: Mapping[str, str]) -> str:
    """Return this page on the window's days, or of an hour the explanation of its number; empty where days are fixed."""
    at = datetime.fromisoformat(window)
    if grain == "hour":
        metric = next(iter(names))
        return ask.explained(metric, (at, at + timedelta(hours=1)))
    if grain == "minute" or "range" in ask.view.locked:
        return ""
    return ask.link(view=ask.view.on(range="custom", first=at.date(), after=_after(at.date(), grain)))


def _after(first: date, grain: str) -> date:
    if grain == "month":
        return (first.replace(day=28) + timedelta(days=4)).replace(day=1)
    return first + timedelta(days=7 - first.weekday() if grain == "week" else 1)


def n_beside(number: PageNumber, unit: str) -> int | None:
    """Return how many things a number is of; None where it is a count itself."""
    return None if unit == Unit.COUNT else number.n
