"""Answers as pages read them: rows of a window, dimension values and numbers. Nothing else of the pages reads the JSON of a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hubbub.model.plain import JsonRow
from hubbub.query.freshness import Freshness
from hubbub.query.result import UNKNOWN, Number
from hubbub.query.targets_in_force import TargetInForce


@dataclass(frozen=True, slots=True)
class PageNumber:
    """A number of a row; `n`: how many things it counts. `previous` and `moved` are None without a compared period."""

    value: Number = None
    n: int | None = None
    state: str = "unknown"
    numerator: Number = None
    goal: float | None = None
    """The share that targets want."""
    previous: Number = None
    moved: Moved | None = None


@dataclass(frozen=True, slots=True)
class Moved:
    """A change from the compared period: in percentage points for shares, else in the number's own unit; and as a share of it."""

    absolute: float | None
    relative: float | None


UNASKED = PageNumber()
"""A number that was left out, because its metric does not have a filter of the page."""


@dataclass(frozen=True, slots=True)
class PageRow:
    """A row of an answer."""

    row: JsonRow

    @property
    def window(self) -> str:
        """The beginning of its window (RFC 3339, in the tenant's zone)."""
        begins: str = self.row["window"]
        return begins

    def dim(self, dimension: str) -> str | None:
        """Return the value of a dimension that the question split by."""
        value: str | None = self.row[dimension]
        return value

    def value(self, metric: str) -> Number:
        """Return a metric's value; None when it is unknown or was left out."""
        value: Number = self.row.get(metric)
        return value

    def state(self, metric: str) -> str:
        """Return the state of an unknown or incomplete number; empty for others."""
        state: str = self.row.get(f"{metric}.state", "")
        return state

    def why(self, metric: str) -> str:
        """Return why a number is unknown, in words; empty for others."""
        return UNKNOWN.get(self.state(metric), "")

    def number(self, metric: str) -> PageNumber:
        """Return a metric's number with its parts."""
        parts = self.row["details"][metric]
        compared = (self.row.get("compare") or {}).get(metric) or {}
        moved = compared.get("change")
        return PageNumber(
            parts["value"], parts["n"], parts["state"], parts.get("numerator"), parts.get("goal"), compared.get("previous"),
            Moved(moved["absolute"], moved["relative"]) if moved else None,
        )  # fmt: skip

    @property
    def compared(self) -> bool:
        """Whether it has numbers of the compared period."""
        return "compare" in self.row


@dataclass(frozen=True, slots=True)
class PageAnswer:
    """The rows of an answer, and its freshness (None where nothing was asked)."""

    rows: Sequence[PageRow]
    freshness: Freshness | None
    unfiltered: Mapping[str, str] = field(default_factory=dict)
    """Metric -> a filter that it does not have; the rows leave such metrics out."""
    targets: Sequence[TargetInForce] = ()
    """The targets in force in its days."""

    def number(self, metric: str) -> PageNumber:
        """Return a number of the first row: of all days, where the question has no grain."""
        return UNASKED if metric in self.unfiltered or not self.rows else self.rows[0].number(metric)
