"""A report as a workbook: a sheet with a chart for each section, and one about the report.

Rows go to disk as they are written. Texts are always text cells: never a formula, a link or a number. Windows are dates.
"""

from __future__ import annotations

from datetime import datetime, time
from pathlib import Path

import xlsxwriter
from xlsxwriter.format import Format
from xlsxwriter.workbook import Workbook
from xlsxwriter.worksheet import Worksheet

from hubbub.reports.document import Document, named
from hubbub.reports.formatting import reason, spreadsheet, unit_of
from hubbub.reports.sections import SECTIONS, Ranking
from hubbub.reports.tables import Table

NUMBERS = {"count": "#,##0", "ms": "#,##0", "share": "0.0%", "score": "0.00", "index": "0.0", "number": "0.000"}
LONGEST = 32_767
"""Most characters in a cell."""


def write(document: Document, path: Path) -> None:
    """Write a report. Durations are milliseconds; shares are numbers from 0 to 1, shown in percent."""
    options = {
        "constant_memory": True, "tmpdir": str(path.parent), "strings_to_formulas": False, "strings_to_urls": False,
        "strings_to_numbers": False, "nan_inf_to_errors": False,
    }  # fmt: skip
    with xlsxwriter.Workbook(str(path), options) as book:
        head = book.add_format({"bold": True, "bottom": 1})
        formats = {form: book.add_format({"num_format": form}) for form in NUMBERS.values()}
        about = book.add_worksheet("About")
        about.set_column(0, 1, 30)
        for number, (name, value) in enumerate(document.facts):
            about.write_string(number, 0, name, head)
            about.write_string(number, 1, _text(value))
        for table in document.tables:
            _sheet(book, table, head, formats)


def _sheet(book: Workbook, table: Table, head: Format, formats: dict[str, Format]) -> None:
    sheet = book.add_worksheet(table.title)
    sheet.set_column(0, 1, 26)
    sheet.set_column(2, len(table.columns) - 1, 14)
    sheet.freeze_panes(1, 2)
    for number, column in enumerate(table.columns):
        unit = " (ms)" if column.unit == "ms" else ""
        sheet.write_string(0, number, _text(f"{column.title}{unit}"), head)
    for line, row in enumerate(table.rows, 1):
        for number, column in enumerate(table.columns):
            value = named(row, column)
            if column.name == "window" and row["window"] is not None:
                moment = datetime.fromisoformat(row["window"])
                form = _form(book, formats, _shown(moment))
                sheet.write_datetime(line, number, moment.replace(tzinfo=None), form)
            elif isinstance(value, str):
                sheet.write_string(line, number, _text(value))
            elif value is not None:
                sheet.write_number(line, number, value, _form(book, formats, NUMBERS.get(unit_of(column, row))))
            elif why := reason(row, column.name):
                sheet.write_comment(line, number, why)
    for line, note in enumerate([table.definition, *table.notes], len(table.rows) + 2):
        sheet.write_string(line, 0, _text(note))
    if table.drawn and table.points:
        _chart(book, sheet, table)


def _shown(moment: datetime) -> str:
    """Return the number format of a window: the day, or day, time and offset from UTC if it does not begin at midnight.

    The offset distinguishes the two equal hours when clocks are set back.
    """
    if moment.time() == time():
        return "yyyy-mm-dd"
    return f'yyyy-mm-dd hh:mm "{moment.isoformat()[19:]}"'


def _form(book: Workbook, formats: dict[str, Format], form: str | None) -> Format | None:
    """Return the format of a cell, created on first use."""
    if form is not None and form not in formats:
        formats[form] = book.add_format({"num_format": form})
    return formats[form] if form is not None else None


def _chart(book: Workbook, sheet: Worksheet, table: Table) -> None:
    """Draw the columns `table.drawn`. Rows of values or windows are the first ones of every table."""
    ranking = isinstance(SECTIONS[table.name], Ranking)
    chart = book.add_chart({"type": "bar" if ranking else "line"})
    names = [column.name for column in table.columns]
    last = len(table.points)
    for name in table.drawn:
        at = names.index(name)
        chart.add_series({
            "name": [table.title, 0, at], "categories": [table.title, 1, 1, last, 1],
            "values": [table.title, 1, at, last, at],
        })  # fmt: skip
    chart.set_title({"name": table.title})
    chart.set_y_axis({"reverse": True} if ranking else {})
    sheet.insert_chart(len(table.rows) + len(table.notes) + 4, 0, chart, {"x_scale": 1.6})


def _text(value: str) -> str:
    return spreadsheet(value)[:LONGEST]
