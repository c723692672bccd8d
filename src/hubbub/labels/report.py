"""Results of a trained classifier on held-out texts."""

from __future__ import annotations

from dataclasses import dataclass

SURE = 1.2816
"""Standard deviations of a lower bound that holds with 90 % confidence."""


@dataclass(frozen=True, slots=True)
class LabelReport:
    """Results of a label on held-out texts."""

    label: str
    """The label."""
    examples: int
    """Messages that people labelled so."""
    predicted: int
    """Held-out messages that the classifier labelled so."""
    right: int
    """Of these, the right ones."""
    used_from: float | None
    """Least confidence to count; null: the label abstains."""
    abstains: str | None = None
    """Why it abstains."""


@dataclass(frozen=True, slots=True)
class Report:
    """Results of a classifier on held-out texts: right of all, how many count, and right of those.

    Texts of labels with too few examples are among them: a classifier does not know these labels, so it is wrong about them.
    """

    examples: int
    right: int
    sure: int
    sure_right: int
    labels: tuple[LabelReport, ...]
    left_out: tuple[str, ...]
    """Labels with too few examples to learn."""
    judged: tuple[bool, ...]
    """Whether each learned example was labelled rightly when held out, in order; see `learned`."""
