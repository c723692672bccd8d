"""An answer: columns of numbers, one for each metric, over rows of a window and its dimension values.

A number keeps its unit, parts and state up to every interface. A `Cell` is a single number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from hubbub.calculations import Change
from hubbub.metrics.definition import Unit
from hubbub.model.plain import ABSENT, AS_JSON, JsonObject, JsonRow, plain
from hubbub.model.question import Question
from hubbub.query.freshness import Freshness
from hubbub.query.targets_in_force import TargetInForce

Number = float | int | None


class State(StrEnum):
    """Whether a number may still change, or why it is unknown."""

    SETTLED = "settled"
    LIVE = "live"
    PROVISIONAL = "provisional"
    INCOMPLETE = "incomplete"
    NOT_FETCHED = "not_fetched"
    NOT_KNOWN_THEN = "not_known_then"
    GONE = "gone"
    NO_TARGET = "no_target"
    NOT_REPORTED = "not_reported"


@dataclass(frozen=True, slots=True)
class Cell:
    """A number with its parts; `n`: how many things it counts."""

    value: Number
    numerator: Number = None
    denominator: Number = None
    n: int | None = None
    state: str = State.SETTLED
    details: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Compared:
    """A number in the earlier period, and its change."""

    previous: Number
    change: Change
    previous_state: str | None = field(default=None, metadata=ABSENT)
    """Why the earlier number is unknown or incomplete; absent where it is known."""


Comparison = Mapping[str, Compared]
"""The earlier number of each metric of a row."""


@dataclass(slots=True)
class Column:
    """A metric's numbers, row by row; `details` holds by row what only some metrics have."""

    unit: Unit
    values: list[Number] = field(default_factory=list)
    numerators: list[Number] = field(default_factory=list)
    denominators: list[Number] = field(default_factory=list)
    n: list[int | None] = field(default_factory=list)
    states: list[str] = field(default_factory=list)
    details: dict[int, Mapping[str, Any]] = field(default_factory=dict)

    def cell(self, row: int) -> Cell:
        """Return the number of a row."""
        return Cell(
            self.values[row], self.numerators[row], self.denominators[row], self.n[row], self.states[row],
            self.details.get(row),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """A row of an answer, for code that reads number by number; `start` is aware, in UTC."""

    start: datetime
    dims: dict[str, str | None]
    cells: dict[str, Cell]
    compare: Comparison | None = None


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of windows, dimensions and values, and their freshness."""

    rows: Sequence[JsonRow] = field(metadata=AS_JSON)
    """`window`, dimensions and metrics by their names; `<metric>.state` beside an unknown or incomplete one."""
    freshness: Freshness
    targets: Sequence[TargetInForce] | None = field(default=None, metadata=ABSENT)
    """The targets in force, where one judges all that a metric counts; absent: none does."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Columns by the metrics' names in the question; `starts` (aware, UTC) and `dims` identify the rows, in order."""

    question: Question
    zone: str
    starts: list[datetime]
    dims: list[tuple[str | None, ...]]
    columns: dict[str, Column]
    freshness: Freshness
    compare: Sequence[Comparison] | None = None

    @property
    def rows(self) -> list[Row]:
        """The rows, each with its numbers."""
        return list(self.each())

    def each(self) -> Iterator[Row]:
        """Yield the rows."""
        by = self.question.by
        for i, (start, dims) in enumerate(zip(self.starts, self.dims, strict=True)):
            cells = {name: column.cell(i) for name, column in self.columns.items()}
            yield Row(start, dict(zip(by, dims, strict=True)), cells, self.compare[i] if self.compare else None)

    def public(self, *, details: bool = False) -> Rows:
        """Return the rows as JSON: `{"window": ..., <dims>, <metric>: value}`.

        An unknown or incomplete number has its reason beside it as `<metric>.state`; `details` adds the parts of each.
        """
        tz, by = ZoneInfo(self.zone), self.question.by
        windows = {start: start.astimezone(tz).isoformat() for start in set(self.starts)}
        names = {dims: dict(zip(by, dims, strict=True)) for dims in set(self.dims)}
        values = [(name, column.values) for name, column in self.columns.items()]
        unknown = [
            (f"{name}.state", column.states)
            for name, column in self.columns.items()
            if not STATED.isdisjoint(column.states)
        ]
        rows = []
        for i, (start, dims) in enumerate(zip(self.starts, self.dims, strict=True)):
            shown: dict[str, Any] = {"window": windows[start], **names[dims]}
            for name, numbers in values:
                shown[name] = numbers[i]
            for name, states in unknown:
                if states[i] in STATED:
                    shown[name] = states[i]
            if self.compare is not None:
                shown["compare"] = plain(self.compare[i])
            if details:
                shown["details"] = {name: _details(column.cell(i)) for name, column in self.columns.items()}
            rows.append(shown)
        return Rows(rows, self.freshness)


UNKNOWN: Mapping[str, str] = {
    State.GONE: "past the retention of this tenant",
    State.NOT_FETCHED: "not fetched from its source",
    State.NOT_KNOWN_THEN: "not counted at that time",
    State.NO_TARGET: "no target was in force",
    State.NOT_REPORTED: "not reported by its source",
}
"""States of unknown numbers, with the reason in words: their value is None, never 0."""
STATED = frozenset({*UNKNOWN, State.INCOMPLETE})
"""States that an answer shows beside a number."""


def with_state(name: str, cell: Cell) -> dict[str, Number | str]:
    """Return a number by its name, with the reason of an unknown or incomplete one as `<name>.state`."""
    return {name: cell.value, **({f"{name}.state": cell.state} if cell.state in STATED else {})}


def reasons(rows: Iterable[JsonRow]) -> dict[str, str]:
    """Return the reasons of unknown numbers, in words by name; rows may hold a comparison."""
    by_name: dict[str, str] = {}
    for row in rows:
        for name, value in row.items():
            if name.endswith(".state") and value in UNKNOWN:
                by_name.setdefault(name.removesuffix(".state"), UNKNOWN[value])
        for name, pair in row.get("compare", {}).items():
            if pair.get("previous_state") in UNKNOWN:
                by_name.setdefault(f"{name} before", UNKNOWN[pair["previous_state"]])
    return by_name


def _details(cell: Cell) -> JsonObject:
    return {
        "value": cell.value, "numerator": cell.numerator, "denominator": cell.denominator, "n": cell.n, "state": cell.state,
        **(cell.details or {}),
    }  # fmt: skip
