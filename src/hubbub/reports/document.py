"""The input of all formats of a report: facts about it, its data, and its introduction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hubbub.metrics.wording import WORDINGS
from hubbub.reports.formatting import NAMES, moment
from hubbub.reports.introduction import Introduction
from hubbub.reports.tables import Column, ReportData, Row, Table

Facts = Mapping[str, str | int | Sequence[str]]
"""Facts about a report by name; every format shows them."""


@dataclass(frozen=True)
class Document:
    """A report: `about` has facts about it, `data` is the result of `make`, `introduction` the texts before the numbers."""

    about: Facts
    data: ReportData
    introduction: Introduction = field(default_factory=Introduction)

    @property
    def title(self) -> str:
        """The title of the file."""
        return f"{self.data.kind.capitalize()} report of {self.name}"

    @property
    def name(self) -> str:
        """The tenant's name, else its id."""
        return self.introduction.name or self.data.tenant

    @property
    def facts(self) -> Iterator[tuple[str, str]]:
        """The facts about the report, as name and value."""
        for name, value in self.about.items():
            yield name, ", ".join(value) if isinstance(value, list) else str(value)

    @property
    def tables(self) -> Iterator[Table]:
        """The sections."""
        yield from self.data.sections

    @property
    def read(self) -> Iterator[Table]:
        """The sections for reading: in the tenant's wording, with the summary last, since cards show its first numbers.

        Those without a number other than 0 are left out (`nothing`).
        """
        some = (table for table in self.tables if table.name == "summary" or table.has_any(table.columns))
        yield from sorted(map(self._in_words, some), key=lambda table: table.name == "summary")

    @property
    def nothing(self) -> list[str]:
        """The titles of the sections that `read` leaves out."""
        shown = {table.name for table in self.read}
        return [self._in_words(table).title for table in self.tables if table.name not in shown]

    def _in_words(self, table: Table) -> Table:
        words = WORDINGS[self.introduction.wording]
        columns = [
            replace(column, title=words.titles.get(column.name) or words.text(column.title)) for column in table.columns
        ]
        return replace(table, title=words.text(table.title), definition=words.text(table.definition), columns=columns)

    @property
    def notes(self) -> list[str]:
        """The notes of all sections, without duplicates."""
        return list(dict.fromkeys(note for table in self.tables for note in table.notes))


def named(row: Row, column: Column) -> Any:
    """Return a row's value in a column for people: a window as date or time, others, none and total by their names."""
    value = row[column.name]
    if column.name == "window" and value is not None:
        return moment(value)
    return NAMES[row["row"]] if value is None and row.get("row") in NAMES and column.unit == "text" else value
