"""A number of some days, judged by its usual range; and the same as API, commands and pages get it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from hubbub.metrics.definition import Unit
from hubbub.model.plain import ABSENT
from hubbub.news.judge import Judged
from hubbub.query.result import Cell
from hubbub.query.result import Number as Value
from hubbub.query.usual import Usual, UsualRow


@dataclass(frozen=True, slots=True)
class Number:
    """A number of some days, with its usual range and the compared number; `slice` is empty for the whole."""

    metric: str
    dimension: str
    slice: str
    unit: Unit
    cell: Cell
    previous: float | None
    usual: Usual
    judged: Judged
    course: tuple[UsualRow, ...] = ()
    """Its windows with their usual ranges, if the question has a grain."""

    @property
    def rises(self) -> bool:
        """Whether it is above the median of the usual range."""
        return self.usual.median is not None and (self.cell.value or 0) > self.usual.median


@dataclass(frozen=True, slots=True)
class CourseRow:
    """A window of a number, with its usual range."""

    window: str
    """Start of the window, in the tenant's zone."""
    value: Value
    n: int | None
    state: str
    low: float | None
    high: float | None
    median: float | None
    verdict: str
    """Verdict on this window alone; values as for the whole."""
    held: str | None
    """As for the whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewsNumber:
    """A number with its usual range."""

    metric: str
    dimension: str | None
    slice: str | None
    """The value of the dimension; null: the whole."""
    unit: str
    value: Value
    n: int | None
    state: str
    previous: float | None
    usual: Usual
    verdict: str
    """news, beyond (outside its usual range, but no news), usual or unknown."""
    held: str | None
    """Why it is only beyond: incomplete, few, little, or before (as far in the compared days); else null."""
    way: str | None
    """better, worse, up or down; null: within its usual range."""
    size: float
    """Distance from the median, in half widths of the usual range."""
    course: Sequence[CourseRow] | None = field(default=None, metadata=ABSENT)
    """Its windows, with a grain; else absent."""
