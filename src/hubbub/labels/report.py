"""How a trained classifier did on texts that it had not seen."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LabelReport:
    """How a label did on held-out texts."""

    label: str
    """The label."""
    examples: int
    """Messages that people gave it."""
    said: int
    """Held-out messages that the classifier said it of."""
    right: int
    """Of these, how many rightly."""
    used_from: float | None
    """The confidence from which on it counts; null: it never does."""


@dataclass(frozen=True, slots=True)
class Report:
    """How a classifier did on held-out texts: right of all, how many are sure enough to count, and right of those."""

    examples: int
    right: int
    sure: int
    sure_right: int
    labels: tuple[LabelReport, ...]
    left_out: tuple[str, ...]
    """Labels with too few examples to be learned."""
    judged: tuple[bool, ...]
    """Whether each learned example was judged rightly when it was held out, in their order; see `learned`."""
