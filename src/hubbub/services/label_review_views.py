"""Answers of the review of labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from hubbub.labels.reasons import LikelyLabel, MatchedRule, Span


class ReviewOrder(StrEnum):
    """Orders of the messages to review."""

    UNSURE = "unsure"
    """The least confident label first."""
    NEWEST = "newest"
    """The newest message first."""
    LABEL = "label"
    """By suggested label, and of each the least confident first."""


@dataclass(frozen=True, slots=True)
class ToReview:
    """A message to review, with its suggested label."""

    message: str
    """Its key."""
    text: str
    """The message's text."""
    time: datetime
    """The message's time."""
    channel: str | None
    """The medium."""
    channel_id: str | None
    """The room, page or number."""
    conversation_id: str | None
    """The conversation."""
    suggested: str | None
    """The suggested label; null: unlabelled."""
    by: str | None
    """The labeller: rules, classifier or endpoint."""
    confidence: float | None
    """The confidence, from 0 to 1; null: no guess."""
    spans: Sequence[Span]
    """The parts of the text that led to the suggested label: words of a rule, or of the classifier."""
    rule: MatchedRule | None
    """The rule of the suggested label with its words and patterns that the text has; null: it matches none of them now."""
    likely: Sequence[LikelyLabel]
    """The three labels that the classifier in use finds likeliest; empty without one."""


@dataclass(frozen=True, slots=True)
class ReviewQueue:
    """Messages of a label set to review, and the progress of the review."""

    tenant: str
    """The tenant."""
    set: str
    """The label set."""
    labels: Sequence[str]
    """Labels of the set, in order."""
    left: int
    """Messages that wait for review."""
    done: int
    """Messages that people labelled."""
    rows: Sequence[ToReview]
    """The next messages in the requested order."""


@dataclass(frozen=True, slots=True)
class Reviewed:
    """The result of a person's label."""

    message: str
    """Key of the message."""
    label: str | None
    """The person's label; null: skipped."""
    was: str | None
    """The suggested label."""
    changed: int
    """Changed labels."""
    number: int
    """Number of the example."""


@dataclass(frozen=True, slots=True)
class Undone:
    """The undone label."""

    message: str
    """Key of the message."""
    label: str | None
    """The person's label; null: skipped."""
    left: int
    """How many more can be undone."""


@dataclass(frozen=True, slots=True)
class ReviewedLabel:
    """A person's label of a message."""

    message: str
    """Key of the message."""
    text: str
    """The message's text."""
    label: str
    """The person's label."""
    was: str | None
    """The suggested label."""
    suggested_by: str | None
    """The labeller of the suggestion."""
    by: str
    """The person."""
    at: datetime
    """When the label was given."""


@dataclass(frozen=True, slots=True)
class SuggestionScore:
    """How often suggestions of a label were right."""

    label: str
    """The label."""
    checked: int
    """Suggestions that people reviewed."""
    right: float
    """Share of them that people confirmed."""
    low: float
    """Lower end of its 95 % range."""
    high: float
    """Upper end of its 95 % range."""


@dataclass(frozen=True, slots=True)
class ReviewHistory:
    """People's last labels, newest first, and how often suggestions were right."""

    rows: Sequence[ReviewedLabel]
    """People's labels."""
    right: Sequence[SuggestionScore]
    """By label."""


@dataclass(frozen=True, slots=True)
class Taught:
    """The number of examples of a set."""

    tenant: str
    set: str
    examples: int
