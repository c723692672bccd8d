"""A number of some days, judged beside what is usual of it."""

from __future__ import annotations

from dataclasses import dataclass

from hubbub.metrics.definition import Unit
from hubbub.news.judge import Judged
from hubbub.query.result import Cell
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
