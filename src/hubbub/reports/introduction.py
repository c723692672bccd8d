"""How a report begins, in words: whose it is, of which days, the news, what is not complete, and what needs somebody.

It stands beside the numbers of a report, not among them: the hash is of the numbers alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hubbub.metrics.wording import COMMON, WORDINGS


@dataclass(frozen=True, slots=True)
class Beside:
    """What is usual of a number of the summary, in its unit; null where it is not known."""

    metric: str
    low: float | None
    high: float | None
    way: str
    """better, worse or beyond, and rises or falls; empty where it is no news."""
    held: str = ""
    """Why it is no news though outside its usual range, in words."""


@dataclass(frozen=True, slots=True)
class Need:
    """Something that waits for somebody, and the path of the page where it is done."""

    text: str
    path: str


@dataclass(frozen=True, slots=True)
class Introduction:
    """The words before the numbers of a report."""

    name: str = ""
    """What the tenant is called."""
    when: str = ""
    """Kind, days and comparison."""
    news: Sequence[str] = ()
    """Sentences on what was unusual, worst first; on a quiet period that it was quiet."""
    rest: str = ""
    """What was within its usual range."""
    behind: str = ""
    """Why the last events are not counted; empty where all are."""
    leading: str = ""
    """The metric that leads the news; empty for none."""
    needs: Sequence[Need] = ()
    beside: Sequence[Beside] = ()
    wording: str = COMMON
    """The words of its texts and of titles (`metrics/wording.py`)."""

    def title(self, metric: str) -> str:
        """Return the title of a metric in these words."""
        return WORDINGS[self.wording].title(metric)

    def usual(self, metric: str) -> Beside:
        """Return what is usual of a metric."""
        return next((each for each in self.beside if each.metric == metric), Beside(metric, None, None, ""))
