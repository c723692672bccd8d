"""What the label service answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hubbub.labels.configuration import LabelSet
from hubbub.labels.decision import Labeller
from hubbub.services.label_training import ClassifierView


@dataclass(frozen=True, slots=True)
class VersionView:
    """A version of a tenant's labels."""

    version: int
    """Its number."""
    what: str
    """What was changed by it."""
    made_by: str
    """Who made it; empty: unknown."""
    made_at: datetime | None
    """When it was made."""


@dataclass(frozen=True, slots=True)
class LabelsView:
    """What a tenant labels."""

    tenant: str
    """The tenant."""
    version: int
    """The version in force; 0: the starter."""
    starter: bool
    """Whether it is what every tenant begins with."""
    labels: Mapping[str, Any]
    """Labels by set, with words and patterns, and the precision that is asked for."""
    in_use: Mapping[str, int]
    """The number of the classifier in use, by set."""
    classifiers: Sequence[ClassifierView]
    """Trained ones, newest first, with their reports."""
    versions: Sequence[VersionView]
    """The versions, newest first."""


@dataclass(frozen=True, slots=True)
class Renamed:
    """What a rename came to."""

    tenant: str
    """The tenant."""
    version: int
    """The version in force now."""
    changed: int
    """Labels that have the new name now."""
    examples: int
    """Examples that have it."""


@dataclass(frozen=True, slots=True)
class TriedLabel:
    """What a text's label of a set would be."""

    set: LabelSet
    """The label set."""
    label: str | None
    """The label; null: unlabelled."""
    by: Labeller
    """Who would give it: person, source, rules, classifier or endpoint."""
    confidence: float | None
    """How sure that is, from 0 to 1; null: nobody guessed."""
    guess: str | None
    """What it would be, were its labeller surer."""


@dataclass(frozen=True, slots=True)
class Tried:
    """How a text would be labelled."""

    version: int
    """The version in force."""
    rows: Sequence[TriedLabel]
    """One for each set."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """What labelling came to: messages looked at, labels that are others now (new ones too), and labels of each set by labeller."""

    looked_at: int
    changed: int
    topic: Mapping[Labeller, int]
    tone: Mapping[Labeller, int]
    intent: Mapping[Labeller, int]
    escalation: Mapping[Labeller, int]


@dataclass(frozen=True, slots=True)
class LabelRun(Labelled):
    """The same of stored messages, under which version."""

    tenant: str
    version: int


@dataclass(frozen=True, slots=True)
class LabelRuns:
    """What labelling the stored messages of several tenants came to; errors by tenant."""

    tenants_processed: int
    changed: int
    errors: Mapping[str, str]
