"""A number of some days, judged beside what is usual of it, and the same as faces return it."""

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
    """A number of the days beside its usual range and its comparison; `slice` is empty for the whole."""

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
        """Whether it lies above the middle of what is usual."""
        return self.usual.median is not None and (self.cell.value or 0) > self.usual.median


@dataclass(frozen=True, slots=True)
class CourseRow:
    """A window of a number, beside its usual range."""

    window: str
    """Start of the window, in the tenant's zone."""
    value: Value
    n: int | None
    state: str
    low: float | None
    high: float | None
    median: float | None
    verdict: str
    """Of this window alone, as for the whole."""
    held: str | None
    """As for the whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewsNumber:
    """A number beside its usual range."""

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
    """Why it is only beyond: incomplete, few, little or before (so or more so in the compared days); else null."""
    way: str | None
    """better, worse, up or down; null: within its usual range."""
    size: float
    """Distance from the median, in widths of its noise."""
    course: Sequence[CourseRow] | None = field(default=None, metadata=ABSENT)
    """Its windows, with a grain; else absent."""
