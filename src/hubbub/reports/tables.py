"""The data of a report: its sections as tables with declared columns. Equal data have equal JSON, and so equal hashes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hubbub.model.plain import AS_JSON, plain

Row = Mapping[str, Any]
"""Cells by column, and `<column>.state` for an unknown number. Not a class, since columns are named by metrics."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table."""

    name: str
    title: str
    unit: str
    """A unit of metrics, `text`, or `row`: the unit of the row's metric."""
    definition: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A section of a report."""

    name: str
    title: str
    definition: str
    columns: Sequence[Column]
    drawn: Sequence[str]
    """The columns of its chart, in drawing order; empty for no chart."""
    notes: Sequence[str]
    """Notes on its numbers."""
    rows: Sequence[Row] = field(metadata=AS_JSON)

    @property
    def points(self) -> list[Row]:
        """The rows for a chart: single values or windows."""
        return [row for row in self.rows if row.get("row") in ("value", "window")]

    @property
    def drawn_columns(self) -> list[Column]:
        """The columns for a chart, in drawing order."""
        return [column for name in self.drawn for column in self.columns if column.name == name]

    def has_any(self, columns: Sequence[Column]) -> bool:
        """Whether some row has a number other than 0 in one of these columns."""
        return any(row[column.name] for row in self.rows for column in columns if column.unit != "text")

    def labelled_by(self, dimension: str) -> str:
        """Return the column that labels a ranking's rows: the names of ids if it has any, else the values."""
        name = named_by(dimension)
        return name if any(column.name == name for column in self.columns) else dimension


@dataclass(frozen=True, slots=True)
class ReportData:
    """The period and the numbers of a report."""

    tenant: str
    zone: str
    kind: str
    """daily, weekly or monthly."""
    from_: str
    """First day."""
    to: str
    """Day after the last."""
    step: str
    """Grain of its series."""
    definition_version: int
    sections: Sequence[Table]


def named_by(dimension: str) -> str:
    """Return the column with the names of a dimension's ids."""
    return f"{dimension}.name"


def canonical(data: ReportData) -> bytes:
    """Return data as canonical JSON: sorted keys, no spaces, ASCII."""
    return json.dumps(plain(data), sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def data_hash(data: ReportData) -> str:
    """Return the SHA-256 of canonical data: equal numbers have equal hashes."""
    return f"sha256:{hashlib.sha256(canonical(data)).hexdigest()}"
