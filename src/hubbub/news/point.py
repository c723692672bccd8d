"""A point of the news: a number that is news, as text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hubbub.news.burst import Burst
from hubbub.news.causes import Cause
from hubbub.news.number import Number
from hubbub.news.story import Topic


@dataclass(frozen=True, slots=True)
class Point:
    """A number that is news: texts, cause, and the filters that find its rows.

    `head`: what happened; `change`: the distance from the compared period, else from usual; `usual`: the usual range, if `change`
    does not have it; `because`: the cause and the topic, to be read after the change.
    """

    number: Number
    head: str
    change: str
    usual: str
    because: str
    cause: Cause | None
    where: Mapping[str, tuple[str, ...]]
    things: str = ""
    """What the number counts or averages over: ratings, conversations."""
    burst: Burst | None = None
    """The few days that account for the change, if any."""
    topic: Topic | None = None
    """The topic that rose in the same days and mostly in the place of the cause."""

    @property
    def sentence(self) -> str:
        """The point as a sentence."""
        return f"{self.head}, {self.change}{f'; {self.because}' if self.because else ''}."

    @property
    def whole(self) -> str:
        """The sentence with the usual range."""
        return f"{self.sentence} {self.usual}." if self.usual else self.sentence
