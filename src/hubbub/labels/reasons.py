"""Why a label is suggested: the words of the text that led to it, and the labels that the classifier finds likeliest."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

LIKELIEST = 3
"""Labels of a text that are shown with their probability."""


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A part of a text."""

    start: int
    """Its first character, from 0."""
    end: int
    """The character after its last."""


@dataclass(frozen=True, slots=True)
class LikelyLabel:
    """A label that a classifier finds likely."""

    label: str
    """The label."""
    confidence: float
    """Its probability, from 0 to 1."""


@dataclass(frozen=True, slots=True)
class MatchedRule:
    """The rule of a label, as far as a text matches it."""

    label: str
    """The label."""
    words: tuple[str, ...]
    """Its words and phrases that the text has, in lower case."""
    patterns: tuple[str, ...]
    """Its regular expressions that the text matches."""

    def in_words(self) -> str:
        """Return the rule, and what of it the text has, like `the rule “wifi” (“no internet”, pattern error \\d+)`."""
        matches = [*(f"“{word}”" for word in self.words), *(f"pattern {pattern}" for pattern in self.patterns)]
        return f"the rule “{self.label}” ({', '.join(matches)})"


@dataclass(frozen=True, slots=True)
class Reasons:
    """The reasons for a suggestion: spans in order, apart from each other, and the likeliest labels first.

    `rule`: that of the suggested label; None where the text does not match it.
    """

    spans: tuple[Span, ...] = ()
    likely: tuple[LikelyLabel, ...] = ()
    rule: MatchedRule | None = None


def joined(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Return spans in order; those that overlap are one, empty ones none."""
    apart: list[Span] = []
    for span in sorted(span for span in spans if span.start < span.end):
        if apart and span.start < apart[-1].end:
            apart[-1] = Span(apart[-1].start, max(apart[-1].end, span.end))
        else:
            apart.append(span)
    return tuple(apart)
