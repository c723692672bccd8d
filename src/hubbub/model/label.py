"""Labels of messages: their sets, who gives them, and how an event carries them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

SOURCE = "labels"
"""Source of the label events that Hubbub makes."""


class LabelSet(StrEnum):
    """A kind of label; a message has at most one label of each."""

    TOPIC = "topic"
    TONE = "tone"
    INTENT = "intent"
    ESCALATION = "escalation"


class Labeller(StrEnum):
    """Labellers, in order of authority."""

    SOURCE = "source"
    PERSON = "person"
    RULES = "rules"
    CLASSIFIER = "classifier"
    ENDPOINT = "endpoint"


FIELDS: Mapping[LabelSet, str] = {
    LabelSet.TOPIC: "topic", LabelSet.TONE: "sentiment", LabelSet.INTENT: "intent", LabelSet.ESCALATION: "severity",
}  # fmt: skip
"""Label set -> field of the event."""
TYPES: Mapping[LabelSet, str] = {
    LabelSet.TOPIC: "topic.classified", LabelSet.TONE: "topic.classified", LabelSet.INTENT: "intent.classified",
    LabelSet.ESCALATION: "escalation.raised",
}  # fmt: skip
"""Label set -> type of the event that labels a message."""


@dataclass(frozen=True, slots=True)
class GivenLabel:
    """A label of a message, and who gave it."""

    set: LabelSet
    """The label set."""
    label: str
    """The label."""
    by: Labeller
    """The labeller: person, source, rules, classifier or endpoint."""
    who: str | None
    """The person, the source, the classifier's number or the model; null: the rules, or unknown."""
    version: int | None
    """The version of the tenant's labels that gave it; null: a source gave it, or unknown."""
    confidence: float | None
    """The confidence, from 0 to 1; null: unknown."""


def given_labels(event: Mapping[str, Any]) -> tuple[GivenLabel, ...]:
    """Return the labels that an event gives: its fields by name, `attributes` as a mapping; absent fields may be missing.

    A severity is a label only of an alert: elsewhere it is a priority.
    """
    given = (_given(event, label_set) for label_set in LabelSet if event.get("type") == TYPES[label_set])
    return tuple(label for label in given if label is not None)


def _given(event: Mapping[str, Any], label_set: LabelSet) -> GivenLabel | None:
    label, confidence = event.get(FIELDS[label_set]), event.get("confidence")
    if label is None:
        return None
    if event.get("source") != SOURCE:
        return GivenLabel(label_set, label, Labeller.SOURCE, event.get("source"), None, confidence)
    decided = ((event.get("attributes") or {}).get("labels") or {}).get(label_set.value, {})
    by = decided.get("by") or event.get("name") or Labeller.RULES
    return GivenLabel(
        label_set,
        label,
        Labeller(by),
        decided.get("who"),
        decided.get("version"),
        decided.get("confidence", confidence),
    )
