"""A report as the formats get it: facts about it, and its tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from hubbub.reports.formatting import NAMES, moment
from hubbub.reports.introduction import Introduction


@dataclass(frozen=True)
class Document:
    """`about`: facts for every format; `data`: the result of `make`; `introduction`: the words before the numbers."""

    about: Mapping[str, Any]
    data: Mapping[str, Any]
    introduction: Introduction = field(default_factory=Introduction)

    @property
    def title(self) -> str:
        """The title of the file."""
        return f"{self.data['kind'].capitalize()} report of {self.name}"

    @property
    def name(self) -> str:
        """What the tenant is called, else its id."""
        return self.introduction.name or str(self.data["tenant"])

    @property
    def facts(self) -> Iterator[tuple[str, str]]:
        """The facts about the report, as name and value."""
        for name, value in self.about.items():
            yield name, ", ".join(value) if isinstance(value, list) else str(value)

    @property
    def tables(self) -> Iterator[Mapping[str, Any]]:
        """The sections."""
        yield from self.data["sections"]

    @property
    def read(self) -> Iterator[Mapping[str, Any]]:
        """The sections as people read them: the long table of the summary at the end, as cards show the first of it."""
        yield from sorted(self.tables, key=lambda table: table["name"] == "summary")

    @property
    def notes(self) -> list[str]:
        """What is said about the numbers of any section, each once."""
        return list(dict.fromkeys(note for table in self.tables for note in table["notes"]))


def named(row: Mapping[str, Any], column: Mapping[str, Any]) -> Any:
    """Return a row's value in a column for people: a window as date or time, a summary row by its name."""
    value = row[column["name"]]
    if column["name"] == "window" and value is not None:
        return moment(value)
    return NAMES[row["row"]] if value is None and row.get("row") in NAMES and column["unit"] == "text" else value


def named_by(dimension: str) -> str:
    """Return the name of the column that names a dimension's ids."""
    return f"{dimension}.name"


def labelled_by(table: Mapping[str, Any], dimension: str) -> str:
    """Return the column that labels a ranking's rows: names if it has any, else the values."""
    name = named_by(dimension)
    return name if any(column["name"] == name for column in table["columns"]) else dimension


def points(table: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the rows for a chart: single values or windows."""
    return [row for row in table["rows"] if row.get("row") in ("value", "window")]


def drawn(table: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the columns for a chart, in drawing order."""
    return [column for name in table["drawn"] for column in table["columns"] if column["name"] == name]
