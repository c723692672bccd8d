"""A report as writers get it: what is said of it, and its tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hubbub.reports.formatting import NAMES, moment


@dataclass(frozen=True)
class Document:
    """`about` is what every format tells of the report itself; `data` is what `make` returned."""

    about: Mapping[str, Any]
    data: Mapping[str, Any]

    @property
    def title(self) -> str:
        """A heading."""
        return f"{self.data['kind'].capitalize()} report of {self.data['tenant']}"

    @property
    def facts(self) -> Iterator[tuple[str, str]]:
        """What every format tells of the report itself, as lines."""
        for name, value in self.about.items():
            yield name, ", ".join(value) if isinstance(value, list) else str(value)

    @property
    def tables(self) -> Iterator[Mapping[str, Any]]:
        """The sections."""
        yield from self.data["sections"]


def named(row: Mapping[str, Any], column: Mapping[str, Any]) -> Any:
    """Return a row's value in a column as people read it: a window is a date or time, a row of several has a name."""
    value = row[column["name"]]
    if column["name"] == "window" and value is not None:
        return moment(value)
    return NAMES[row["row"]] if value is None and row.get("row") in NAMES and column["unit"] == "text" else value


def named_by(dimension: str) -> str:
    """Return the column of the names of a dimension's ids."""
    return f"{dimension}.name"


def labelled_by(table: Mapping[str, Any], dimension: str) -> str:
    """Return the column whose texts tell a ranking's rows apart for people: names where there are any, else the values."""
    name = named_by(dimension)
    return name if any(column["name"] == name for column in table["columns"]) else dimension


def points(table: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the rows that a chart shows: each a value or window of its own."""
    return [row for row in table["rows"] if row.get("row") in ("value", "window")]


def drawn(table: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the columns that a chart shows, in the order in which they are to be drawn."""
    return [column for name in table["drawn"] for column in table["columns"] if column["name"] == name]
