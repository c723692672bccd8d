"""The introduction of a report: tenant, days, news, missing data, and open tasks.

It is not part of the report's data, of which the hash is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hubbub.metrics.wording import COMMON, WORDINGS


@dataclass(frozen=True, slots=True)
class Beside:
    """The usual range of a number of the summary, in its unit; null if unknown."""

    metric: str
    low: float | None
    high: float | None
    way: str
    """better, worse or beyond, followed by rises or falls; empty if it is no news."""
    held: str = ""
    """The reason why a number outside its usual range is no news, as text."""


@dataclass(frozen=True, slots=True)
class Need:
    """Something that a person has to do, and the path of the page for it."""

    text: str
    path: str


@dataclass(frozen=True, slots=True)
class Introduction:
    """The texts before the numbers of a report."""

    name: str = ""
    """The tenant's name."""
    when: str = ""
    """Kind, days and comparison."""
    news: Sequence[str] = ()
    """Sentences about unusual numbers, worst first; in a quiet period one that says so."""
    rest: str = ""
    """A sentence about numbers within their usual range."""
    behind: str = ""
    """The reason why the last events are not counted; empty if all are."""
    leading: str = ""
    """The metric that leads the news; empty for none."""
    needs: Sequence[Need] = ()
    beside: Sequence[Beside] = ()
    wording: str = COMMON
    """The wording of its texts and titles (`metrics/wording.py`)."""

    def title(self, metric: str) -> str:
        """Return the title of a metric in this wording."""
        return WORDINGS[self.wording].title(metric)

    def usual(self, metric: str) -> Beside:
        """Return the usual range of a metric; without limits if unknown."""
        return next((each for each in self.beside if each.metric == metric), Beside(metric, None, None, ""))
