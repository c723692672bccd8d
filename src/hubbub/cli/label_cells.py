"""Labels in a cell of a table, shortened: `topic build (rules v3, 0.91)`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeGuard

from hubbub.model.label import GivenLabel, Labeller

_NAMES = frozenset(field.name for field in fields(GivenLabel))


def are_labels(value: object) -> TypeGuard[Sequence[Mapping[str, Any]]]:
    """Say whether a cell is a list of at least one label, as plain values of `GivenLabel`."""
    return isinstance(value, list) and bool(value) and all(isinstance(i, Mapping) and set(i) == _NAMES for i in value)


def in_short(labels: Sequence[Mapping[str, Any]]) -> str:
    """Return labels as short text: set, label, labeller, and the confidence if known."""
    return "; ".join(f"{label['set']} {label['label']} ({_given(label)})" for label in labels)


def _given(label: Mapping[str, Any]) -> str:
    """Return the labeller of a label: rules with version, classifier with number, person, source or model."""
    by, who = label["by"], label["who"]
    if by == Labeller.RULES:
        version = label["version"]
        giver = "starter rules" if version == 0 else by if version is None else f"{by} v{version}"
    elif by == Labeller.CLASSIFIER:
        giver = by if who is None else f"{by} {who}"
    else:
        giver = by if who is None else who
    return giver if label["confidence"] is None or by == Labeller.PERSON else f"{giver}, {label['confidence']:.2f}"
