"""The tables of a report as page and PDF show them: few columns, formatted cells. The other columns are in the files.

Every cell has its text and the exact number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from hubbub.metrics.definition import Unit
from hubbub.query.result import State
from hubbub.reports.dates import windows_in_words
from hubbub.reports.document import Document, named
from hubbub.reports.formatting import between, changed, in_words, reason, shown, unit_of
from hubbub.reports.introduction import Beside, Introduction
from hubbub.reports.sections import SECTIONS, Ranking, Series, Summary
from hubbub.reports.tables import Column, Row, Table

MONTH = 31
"""Most steps of a series that are all shown; of longer ones those without anything are left out."""
FEW = 10
"""Least number of facts behind a mean, a share or a percentile that is not shown in grey."""


@dataclass(frozen=True, slots=True)
class Head:
    """A column: title, whether it has numbers, and its definition."""

    title: str
    is_number: bool = True
    definition: str = ""


@dataclass(frozen=True, slots=True)
class CellShown:
    """A cell: its text, the exact number if it is one, the reason of a missing number, and its appearance.

    `way`: better, worse or beyond (with rises or falls), few, or empty. `share`: length of its bar, from 0 to 1; None: no bar.
    """

    text: str
    value: float | None = None
    why: str = ""
    way: str = ""
    share: float | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A row; `kind`: value, window, others, none or total."""

    kind: str
    cells: tuple[CellShown, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """A table of a report for people."""

    heads: tuple[Head, ...]
    lines: tuple[Line, ...]


def layout(table: Table, document: Document) -> Layout:
    """Return a section's table for people."""
    if isinstance(SECTIONS[table.name], Summary):
        return _summary(table, document.introduction)
    columns, longest = brief(table), _longest(table)
    heads = (
        Head(_title(table), is_number=False),
        *(Head(column.title, definition=column.definition) for column in columns),
    )
    lines = [
        Line(str(row["row"]), (CellShown(label), *(_cell(row, column, longest) for column in columns)))
        for row, label in zip(table.rows, labels(table, document), strict=True)
        if not _is_bare(row, table, columns)
    ]
    return Layout(heads, tuple(lines))


def bare_steps(document: Document) -> bool:
    """Whether a series leaves out steps without anything."""
    return any(_is_bare(row, table, brief(table)) for table in document.read for row in table.rows)


def _is_bare(row: Row, table: Table, columns: Sequence[Column]) -> bool:
    """Whether a step of a long series has nothing but zeros and unknown numbers."""
    is_long = isinstance(SECTIONS[table.name], Series) and len(table.rows) > MONTH + 1
    return is_long and row["row"] == "window" and not any(row[column.name] for column in columns)


def labels(table: Table, document: Document) -> list[str]:
    """Return the labels of a section's rows: names of values, or of windows."""
    section, rows = SECTIONS[table.name], table.rows
    if isinstance(section, Ranking):
        name = table.labelled_by(section.by)
        return [in_words(name, str(named(row, Column(name, "", "text")))) for row in rows]
    windows = [row["window"] for row in rows if row["window"] is not None]
    words = iter(windows_in_words(windows, document.data.step))
    return ["Total" if row["window"] is None else next(words) for row in rows]


def brief(table: Table) -> list[Column]:
    """Return the columns for people, in the order that the section declares; without those of which no number is known."""
    by_name = {column.name: column for column in table.columns}
    declared = [by_name[name] for name in SECTIONS[table.name].brief if name in by_name]
    return [column for column in declared if any(row[column.name] is not None for row in table.rows)]


def left_out(document: Document) -> int:
    """Return the number of columns with numbers that only the workbook, CSV and JSON have."""
    return sum(
        sum(column.unit != "text" for column in table.columns) - len(brief(table))
        for table in document.tables if not isinstance(SECTIONS[table.name], Summary)
    )  # fmt: skip


def summary_rows(document: Document) -> Iterator[Row]:
    """Yield the rows of the summary, if the report has one."""
    for table in document.tables:
        if isinstance(SECTIONS[table.name], Summary):
            yield from table.rows


def usual_in_words(beside: Beside, unit: str) -> str:
    """Return the usual range of a number as text, and why a number outside it is no news; empty if unknown."""
    if beside.low is None or beside.high is None:
        return ""
    return ", ".join(filter(None, (between(beside.low, beside.high, unit), beside.held)))


def change_in_words(row: Row) -> str:
    """Return the change of a summary row as text, in its own unit."""
    return changed(row["absolute"], row["relative"], row["unit"])


def _summary(table: Table, introduction: Introduction) -> Layout:
    heads = (Head("Number", is_number=False), Head("Value"), Head("Before"), Head("Change"), Head("Usual"))
    return Layout(heads, tuple(Line("value", _of_summary(row, introduction)) for row in table.rows))


def _of_summary(row: Row, introduction: Introduction) -> tuple[CellShown, ...]:
    beside, unit = introduction.usual(row["metric"]), row["unit"]
    few = "few" if row["n"] is not None and row["n"] < FEW else ""
    return (
        CellShown(introduction.title(row["metric"])),
        CellShown(_live(row, shown(row["value"], unit)), row["value"], reason(row, "value"), few),
        CellShown(shown(row["previous"], unit), row["previous"], reason(row, "previous")),
        CellShown(change_in_words(row), row["absolute"], way=beside.way),
        CellShown(usual_in_words(beside, unit)),
    )


def _title(table: Table) -> str:
    section = SECTIONS[table.name]
    return section.by.removesuffix("_id").capitalize() if isinstance(section, Ranking) else "When"


def _longest(table: Table) -> dict[str, float]:
    """Return the name of a ranking's column with bars -> its greatest value."""
    if not isinstance(SECTIONS[table.name], Ranking):
        return {}
    rows = [row for row in table.rows if row["row"] == "value"]
    return {name: max((row[name] or 0 for row in rows), default=0) for name in table.drawn[:1]}


def _cell(row: Row, column: Column, longest: Mapping[str, float]) -> CellShown:
    name, unit = column.name, unit_of(column, row)
    value, n, top = row[name], row.get(f"{column.name.partition('.')[0]}.n"), longest.get(name, 0)
    few = unit != Unit.COUNT and n is not None and n < FEW
    share = min(value / top, 1.0) if value and top and row["row"] == "value" else None
    return CellShown(_live(row, shown(value, unit)), value, reason(row, name), "few" if few else "", share)


def _live(row: Row, text: str) -> str:
    """Mark a number of days that have not ended with an asterisk."""
    return f"{text}*" if row["state"] == State.LIVE and text != "–" else text
