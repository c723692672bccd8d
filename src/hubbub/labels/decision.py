"""The decision on a message: its label in each set, by whom, how sure, and by which version of the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hubbub.model.label import Labeller, LabelSet


@dataclass(frozen=True, slots=True)
class Decision:
    """A label of one set. `label` None: unlabelled; then `guess` is the likeliest label, below its threshold.

    `confidence`: 0 to 1; rules and people are certain. `version`: of the configuration. `who`: the person, the classifier's
    number, or the model.
    """

    label: str | None
    by: Labeller
    version: int
    confidence: float | None = 1.0
    guess: str | None = None
    who: str | None = None


Decisions = Mapping[LabelSet, Decision]
"""The decisions on a message by set; a set without a labeller is absent."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message to label. `key`: its `message_id`, else its event's id.

    `time`: microseconds since 1970. `revision`: the message's own. `given`: the sets that the source labelled.
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
