"""What was decided of a message: its label in each set, by whom, how sure, and under which version of the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from hubbub.labels.configuration import LabelSet


class Labeller(StrEnum):
    """Who labels, in the order of their authority."""

    PERSON = "person"
    SOURCE = "source"
    RULES = "rules"
    CLASSIFIER = "classifier"
    ENDPOINT = "endpoint"


@dataclass(frozen=True, slots=True)
class Decision:
    """A label of one set. `label` None: unlabelled; then `guess` is what the labeller would have said were it surer.

    `confidence` lies between 0 and 1: what a rule or a person says is certain. `version` is the configuration's.
    """

    label: str | None
    by: Labeller
    version: int
    confidence: float | None = 1.0
    guess: str | None = None


Decisions = Mapping[LabelSet, Decision]
"""What was decided of one message; a set that nobody said anything of is absent."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message to be labelled. `key` is what it counts by: its `message_id`, else its event's id.

    `time` is in microseconds since 1970; `revision` is the message's own; `given` are the sets that the source labelled itself.
    """

    key: str
    time: int
    text: str
    channel: str | None = None
    channel_id: str | None = None
    account_id: str | None = None
    conversation_id: str | None = None
    contact_id: str | None = None
    revision: int | None = None
    given: frozenset[LabelSet] = field(default_factory=frozenset)
