"""One Question and one Answer for every face: command line, Python, HTTP, dashboard and reports ask and get the same."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from hubbub.errors import BadQuestionError
from hubbub.model.window import Grain, local_midnight

NONE = "(none)"
"""How a missing dimension value is written in filters."""

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}\Z")


@dataclass(frozen=True)
class Question:
    """Which metrics, of `[start, end)` (aware), in windows of which grain, split and filtered by which dimensions."""

    metrics: tuple[str, ...]
    start: datetime
    end: datetime
    grain: Grain = Grain.TOTAL
    by: tuple[str, ...] = ()
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    include_bots: bool = False
    exact: bool = False
    compare: str | None = None


@dataclass(frozen=True)
class Cell:
    """One number with its parts. `state`: settled, live (from raw events, may grow) or provisional (horizon not passed)."""

    value: float | int | str | None
    numerator: float | int | None = None
    denominator: float | int | None = None
    n: int | None = None
    state: str = "settled"
    details: Mapping[str, Any] | None = None


@dataclass
class Row:
    """A window with its dimension values and a cell per metric, by the asked name."""

    start: datetime
    dims: dict[str, str | None]
    cells: dict[str, Cell]
    compare: dict[str, dict[str, Any]] | None = None


@dataclass
class Answer:
    """Rows in order of window, then dimensions, and how fresh they are."""

    question: Question
    zone: str
    rows: list[Row]
    freshness: dict[str, Any]

    def public(self, *, details: bool = False) -> dict[str, Any]:
        """Return the public form: `{"rows": [{"window": ..., <dims>, <metric>: value}], "freshness": {...}}`."""
        tz = ZoneInfo(self.zone)
        rows = []
        for row in self.rows:
            shown: dict[str, Any] = {"window": row.start.astimezone(tz).isoformat(), **row.dims}
            shown.update({name: cell.value for name, cell in row.cells.items()})
            if row.compare is not None:
                shown["compare"] = row.compare
            if details:
                shown["details"] = {
                    name: {
                        "value": c.value, "numerator": c.numerator, "denominator": c.denominator, "n": c.n, "state": c.state,
                        **(c.details or {}),
                    }
                    for name, c in row.cells.items()
                }  # fmt: skip
            rows.append(shown)
        return {"rows": rows, "freshness": self.freshness}


def parse_moment(text: str, zone: str) -> datetime:
    """Read a date in the tenant's zone (its local midnight) or an RFC 3339 time; returns UTC. Raises BadQuestionError."""
    try:
        if _DATE.match(text):
            return local_midnight(date.fromisoformat(text), ZoneInfo(zone))
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadQuestionError(f"{text[:60]!r} is neither a date (2026-08-01) nor an RFC 3339 time") from None
    raise BadQuestionError(f"{text[:60]!r} has no offset: write 2026-08-01T09:00:00+02:00, or a plain date")


def parse_date(text: str) -> date:
    """Read a plain date of the years 2000 to 2100; raises BadQuestionError."""
    if _DATE.match(text):
        with suppress(ValueError):
            day = date.fromisoformat(text)
            if 2000 <= day.year <= 2100:
                return day
    raise BadQuestionError(f"{text[:60]!r} is not a date of 2000 to 2100, like 2026-08-01")


def parse_grain(text: str) -> Grain:
    """Read the name of a grain; raises BadQuestionError naming all."""
    try:
        return Grain(text)
    except ValueError:
        raise BadQuestionError(f"grain {text[:40]!r} is not one of {', '.join(Grain)}") from None
