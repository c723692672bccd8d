"""Answers of the label service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from hubbub.model.label import Labeller, LabelSet
from hubbub.model.plain import JsonObject
from hubbub.services.label_training import ClassifierView


@dataclass(frozen=True, slots=True)
class VersionView:
    """A version of a tenant's labels."""

    version: int
    """Its number."""
    what: str
    """The change."""
    made_by: str
    """The person who made it; empty: unknown."""
    made_at: datetime | None
    """When it was made."""


@dataclass(frozen=True, slots=True)
class LabelsView:
    """A tenant's labels."""

    tenant: str
    """The tenant."""
    version: int
    """The version in force; 0: the starter."""
    starter: bool
    """Whether it is the configuration that every tenant begins with."""
    labels: JsonObject
    """Labels by set, with words and patterns, and the required precision."""
    in_use: Mapping[str, int]
    """The number of the classifier in use, by set."""
    classifiers: Sequence[ClassifierView]
    """Classifiers, newest first, with their results."""
    versions: Sequence[VersionView]
    """The versions, newest first."""


@dataclass(frozen=True, slots=True)
class Renamed:
    """The result of a rename."""

    tenant: str
    """The tenant."""
    version: int
    """The version in force now."""
    changed: int
    """Labels with the new name."""
    examples: int
    """Examples with the new name."""


@dataclass(frozen=True, slots=True)
class TriedLabel:
    """The label that a text would get in a set."""

    set: LabelSet
    """The label set."""
    label: str | None
    """The label; null: unlabelled."""
    by: Labeller
    """The labeller: person, source, rules, classifier or endpoint."""
    confidence: float | None
    """The confidence, from 0 to 1; null: no guess."""
    guess: str | None
    """The label with more confidence."""


@dataclass(frozen=True, slots=True)
class Tried:
    """The labels that a text would get."""

    version: int
    """The version in force."""
    rows: Sequence[TriedLabel]
    """One for each set."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """The result of labelling: examined messages, changed labels (new ones too), and labels of each set by labeller."""

    looked_at: int
    changed: int
    topic: Mapping[Labeller, int]
    tone: Mapping[Labeller, int]
    intent: Mapping[Labeller, int]
    escalation: Mapping[Labeller, int]


@dataclass(frozen=True, slots=True)
class LabelRun(Labelled):
    """The result for stored messages, with the version."""

    tenant: str
    version: int


@dataclass(frozen=True, slots=True)
class LabelRuns:
    """The result for the stored messages of several tenants; errors by tenant."""

    tenants_processed: int
    changed: int
    errors: Mapping[str, str]
