"""A report as CSV: a ZIP with a file for each section, one that says what the report is, and one that defines the columns."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from hubbub.reports.document import Document
from hubbub.reports.words import spreadsheet


def write(document: Document, path: Path) -> None:
    """Write a report. Numbers are whole (milliseconds, shares from 0 to 1), nothing is an empty cell."""
    made = datetime.fromisoformat(str(document.about["made_at"])).timetuple()[:6]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:

        def add(name: str, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
            member = zipfile.ZipInfo(f"{name}.csv", made)
            member.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(member, "w") as raw, io.TextIOWrapper(raw, "utf-8", newline="") as text:
                out = csv.writer(text)
                out.writerow(head)
                out.writerows([_cell(value) for value in row] for row in rows)

        add("about", ("name", "value"), document.facts)
        for table in document.tables:
            names = [column["name"] for column in table["columns"]]
            add(table["name"], names, ([row[name] for name in names] for row in table["rows"]))
        add("columns", ("section", "column", "unit", "definition"), _columns(document))
        add("notes", ("section", "note"), ((t["name"], note) for t in document.tables for note in t["notes"]))


def _columns(document: Document) -> Iterable[Sequence[str]]:
    for table in document.tables:
        for column in table["columns"]:
            yield table["name"], column["name"], column["unit"], column["definition"]


def _cell(value: Any) -> Any:
    return spreadsheet(value) if isinstance(value, str) else value
