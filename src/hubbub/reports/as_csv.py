"""A report as CSV: a ZIP with a file for each section, and the files about, columns (definitions) and notes.

Also an answer as one CSV table. Files for people begin with a byte order mark, so that spreadsheets read UTF-8.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from hubbub.reports.document import Document
from hubbub.reports.formatting import spreadsheet
from hubbub.reports.tables import Row


def write(document: Document, path: Path) -> None:
    """Write a report. Numbers are unrounded (milliseconds, shares from 0 to 1); a missing one is an empty cell."""
    written_at = datetime.fromisoformat(str(document.about["made_at"])).timetuple()[:6]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:

        def add(name: str, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
            member = zipfile.ZipInfo(f"{name}.csv", written_at)
            member.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(member, "w") as raw, io.TextIOWrapper(raw, "utf-8-sig", newline="") as text:
                out = csv.writer(text)
                out.writerow(head)
                out.writerows([_cell(value) for value in row] for row in rows)

        add("about", ("name", "value"), document.facts)
        for table in document.tables:
            names = with_states((column.name for column in table.columns), table.rows)
            add(table.name, names, ([row.get(name) for name in names] for row in table.rows))
        add("columns", ("section", "column", "unit", "definition"), _columns(document))
        add("notes", ("section", "note"), ((t.name, note) for t in document.tables for note in t.notes))


BYTE_ORDER_MARK = "\ufeff"


def answer_table(rows: Iterable[Mapping[str, Any]], *, mark: bool = False, head: Sequence[str] = ("window",)) -> str:
    """Return the rows of an answer as CSV. A comparison has its own columns; a missing value is an empty cell.

    `head`: the columns of a table without rows. `mark`: begin with a byte order mark, for spreadsheets. A column `<name>.state` has
    the reasons of missing numbers.
    """
    flat = [_flat(row) for row in rows]
    text = io.StringIO(newline="")
    out = csv.writer(text)
    names = with_states(flat[0], flat) if flat else head
    out.writerow(names)
    out.writerows([_cell(row.get(name)) for name in names] for row in flat)
    return (BYTE_ORDER_MARK if mark else "") + text.getvalue()


def with_states(names: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the columns, each followed by `<column>.state` if a row has it."""
    states = {name for row in rows for name in row if name.endswith(".state")}
    plain = [name for name in names if name not in states]
    return [column for name in plain for column in (name, f"{name}.state") if column == name or column in states]


def _flat(row: Row) -> dict[str, Any]:
    cells = {name: value for name, value in row.items() if name not in ("compare", "details")}
    for name, pair in (row.get("compare") or {}).items():
        cells[f"{name} before"] = pair["previous"]
        if "previous_state" in pair:
            cells[f"{name} before.state"] = pair["previous_state"]
        cells[f"{name} difference"] = (pair["change"] or {}).get("absolute")
    return cells


def _columns(document: Document) -> Iterable[Sequence[str]]:
    for table in document.tables:
        for column in table.columns:
            yield table.name, column.name, column.unit, column.definition


def _cell(value: Any) -> Any:
    return spreadsheet(value) if isinstance(value, str) else value
