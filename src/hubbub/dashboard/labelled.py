"""Labels on pages: what they are, who gave them, and how surely, as cells and columns of tables and as marks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from hubbub.dashboard.components import Column
from hubbub.model.label import GivenLabel, Labeller
from hubbub.reports.formatting import plain

GIVEN_BY = (Column("labelled_by", "Labelled by"), Column("confidence", "Confidence"))
"""The last columns of a table whose rows have labels, also in its CSV."""
LABELS = (Column("labels", "Labels"), *(replace(column, within="labels") for column in GIVEN_BY))
"""The same in one cell: labels, and below them who gave them and how surely."""


def labelled_by(label: GivenLabel) -> str:
    """Return who gave a label, in words: a person, a source, the rules and their version, a classifier by number, or a model."""
    known = label.who is not None
    if label.by is Labeller.RULES:
        return (
            "starter rules"
            if label.version == 0
            else "rules"
            if label.version is None
            else f"rules, version {label.version}"
        )
    if label.by is Labeller.PERSON:
        return plain(str(label.who)) if known else "a person"
    kind = "model" if label.by is Labeller.ENDPOINT else label.by.value
    return f"{kind} {plain(str(label.who))}" if known else kind


def cells(labels: Sequence[GivenLabel]) -> dict[str, str | None]:
    """Return the cells of a row: its labels, who gave them, and how surely; None without labels.

    Where the sets differ, each names its set. A label without a confidence is left out of the last cell.
    """
    return {
        "labels": ", ".join(plain(label.label) for label in labels) or None,
        "labelled_by": _joined(labels, labelled_by),
        "confidence": _joined([label for label in labels if label.confidence is not None], _confidence),
    }


def _confidence(label: GivenLabel) -> str:
    return f"{label.confidence:.0%} sure"


def _joined(labels: Sequence[GivenLabel], words: Callable[[GivenLabel], str]) -> str | None:
    texts = [words(label) for label in labels]
    if len(set(texts)) < 2:
        return texts[0] if texts else None
    return "; ".join(f"{label.set.value}: {text}" for label, text in zip(labels, texts, strict=True))
