"""Thresholds: the confidence from which a label of a classifier counts, so that a promised precision is kept.

Both bounds are shown on held-out texts, with 90 % confidence, or the label abstains:

- The promise: of all texts that count together, at least `precision` are right.
- The floor: of the texts of each label that count, at least `precision` - BELOW are right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hubbub.calculations import wilson_lower
from hubbub.labels.classifier import NEVER, Floats
from hubbub.labels.report import SURE

BELOW = 0.2
"""How far a label's own precision may be below the promised one: a bound on few texts is wide."""
FEWEST_JUDGED = 20
"""Held-out texts of a label from which on its own share must reach the precision, too."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """The least confidence of a label that counts; None with the reason: the label abstains."""

    used_from: float | None
    abstains: str | None = None

    @property
    def confidence(self) -> float:
        """The least confidence as a number: above every confidence for a label that abstains."""
        return NEVER if self.used_from is None else self.used_from


def thresholds(held_out: Floats, wanted: Any, precision: float) -> list[Threshold]:
    """Return the threshold of each label from the probabilities of held-out texts, shape (texts, labels), and their labels."""
    chosen, sure = held_out.argmax(axis=1), held_out.max(axis=1)
    right, floor = chosen == wanted, max(precision - BELOW, 0.0)
    own = [_own(sure[chosen == label], right[chosen == label], precision, floor) for label in range(held_out.shape[1])]
    counted = sure >= np.array([threshold.confidence for threshold in own])[chosen]
    whole = _least(sure[counted], right[counted], precision, precision)
    if whole is None and counted.any():
        return [_not_promised(threshold, right[counted], precision) for threshold in own]
    return [
        Threshold(max(threshold.used_from, whole))
        if threshold.used_from is not None and whole is not None
        else threshold
        for threshold in own
    ]


def _own(sure: Floats, right: Any, precision: float, floor: float) -> Threshold:
    """Return a label's own threshold: its floor is shown, and among many texts the precision reached."""
    least = _least(sure, right, precision if len(sure) >= FEWEST_JUDGED else 0.0, floor)
    if least is not None:
        return Threshold(least)
    n, k = len(sure), int(right.sum())
    return Threshold(None, f"the floor of {floor:.2f} is not shown: {k} of {n} held-out messages were right")


def _not_promised(threshold: Threshold, right: Any, precision: float) -> Threshold:
    if threshold.used_from is None:
        return threshold
    n, k = len(right), int(right.sum())
    return Threshold(
        None, f"the promised {precision:.2f} is not shown: {k} of {n} held-out messages of all labels were right"
    )


def _least(sure: Floats, right: Sequence[bool], share: float, bound: float) -> float | None:
    """Return the smallest confidence from which on the share of right texts is at least `share`, and its lower bound `bound`."""
    order = np.argsort(-sure, kind="stable")
    hits = np.cumsum(np.asarray(right)[order])
    for place in range(len(order) - 1, -1, -1):
        n, k = place + 1, int(hits[place])
        if k >= share * n and (wilson_lower(k, n, SURE) or 0.0) >= bound:
            return float(sure[order[place]])
    return None
