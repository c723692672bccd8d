"""Answers of the service of suggested topics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class ExampleMessage:
    """An example of a suggested topic."""

    message: str
    """Key of the message."""
    text: str
    """The message's text."""


@dataclass(frozen=True, slots=True)
class SuggestedTopic:
    """A suggested topic with the figures of its messages."""

    number: int
    """Its number, the same in every run."""
    words: Sequence[str]
    """Words of its texts that set it apart, each used by three people or more."""
    rule: Sequence[str]
    """Words and phrases that nearly always mean it; may be empty."""
    messages: int
    """Unlabelled messages."""
    people: int
    """Their contacts."""
    conversations: int
    """Their conversations."""
    unresolved: float | None
    """Share of these conversations that are open, or were closed by silence without a reply; null: none has a known state."""
    handling_ms: float | None
    """Mean time from opening to last resolve of these conversations; null: none was resolved."""
    opportunity_ms: float | None
    """Messages × unresolved × handling time; null: one of them is not known."""
    since: datetime
    """Time of the run that first suggested it."""
    examples: Sequence[ExampleMessage]
    """Messages nearest to its centre."""


@dataclass(frozen=True, slots=True)
class TopicTurn:
    """An entry of a topic's history."""

    number: int
    """Its number."""
    fate: str
    """born, split (from `other`), merged (into `other`), died, accepted or dismissed."""
    other: int | None
    """The other topic of a split or merger."""
    by: str
    """Who decided; empty: a run."""
    at: datetime
    """When it happened."""


@dataclass(frozen=True, slots=True)
class TopicSuggestionsView:
    """The suggested topics of a tenant."""

    tenant: str
    """The tenant."""
    made_at: datetime | None
    """When topics were last looked for; null: never."""
    read: int
    """Unlabelled messages that were read."""
    rows: Sequence[SuggestedTopic]
    """Undecided topics above the floor, by opportunity; factors that are not known count as the mean of the others."""
    below: int
    """Topics below the floor."""
    history: Sequence[TopicTurn]
    """The history of topics, newest first."""


@dataclass(frozen=True, slots=True)
class SuggestionRun:
    """The result of a run."""

    tenant: str
    read: int
    """Unlabelled messages that were read."""
    topics: int
    """Undecided topics above the floor."""
    changed: bool
    """Whether the messages differ from those of the run before."""


@dataclass(frozen=True, slots=True)
class SuggestionRuns:
    """The result for several tenants; errors by tenant. `skipped`: why no tenant was processed."""

    tenants_processed: int
    errors: Mapping[str, str]
    skipped: str = ""


@dataclass(frozen=True, slots=True)
class AcceptedTopic:
    """A topic that is a label now. Numbers change once stored messages are labelled again."""

    tenant: str
    number: int
    label: str
    """The label."""
    words: Sequence[str]
    """The words that it got as a rule."""
    examples: int
    """Messages that were labelled as examples."""


@dataclass(frozen=True, slots=True)
class DismissedTopic:
    """A topic that is not suggested any more."""

    tenant: str
    number: int
