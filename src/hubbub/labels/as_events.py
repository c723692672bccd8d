"""Labels as events: `topic.classified`, `intent.classified` and `escalation.raised` of the source `labels`, one of each a message.

An event's id is made from its message, so that a message is labelled once; another label is a revision of the same event. Its
revision is the configuration's version times `STEP`, so that what a newer configuration says goes before what an older one says,
in whatever order they arrive; a message that is edited, or labelled by a person, takes the next number after what is stored.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec

from hubbub.labels.configuration import LabelSet
from hubbub.labels.decision import Decision, Decisions, Labeller, Message
from hubbub.model.event import Event
from hubbub.model.window import EPOCH

SOURCE = "labels"
STEP = 1_000
LONGEST_ID = 512

FIELDS: Mapping[LabelSet, str] = {
    LabelSet.TOPIC: "topic", LabelSet.TONE: "sentiment", LabelSet.INTENT: "intent", LabelSet.ESCALATION: "severity",
}  # fmt: skip
"""Set -> the field of an event that holds its label."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One event of a message: the sets it holds, its type with a label and without one. None: then there is no such event."""

    name: str
    sets: tuple[LabelSet, ...]
    labelled: str
    unlabelled: str | None


KINDS = (
    Kind("topic", (LabelSet.TOPIC, LabelSet.TONE), "topic.classified", "topic.unlabelled"),
    Kind("intent", (LabelSet.INTENT,), "intent.classified", "intent.confidence_low"),
    Kind("escalation", (LabelSet.ESCALATION,), "escalation.raised", None),
)
RETRACTED = "label.retracted"
"""The type of a label that holds no longer, and in whose place there is none: it counts nowhere."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A label event as it is stored: its type, its fields by set, what its attributes say, and its revision."""

    type: str
    labels: Mapping[LabelSet, str | None]
    said: Mapping[str, Any]
    revision: int

    @property
    def version(self) -> int:
        """The version of the configuration that it was made under."""
        return max((one["version"] for one in self.said.get("labels", {}).values()), default=self.revision // STEP)

    def by(self, label_set: LabelSet) -> str | None:
        """Return who labelled a set."""
        found: str | None = self.said.get("labels", {}).get(label_set.value, {}).get("by")
        return found


def id_of(kind: Kind, key: str) -> str:
    """Return the id of a message's label event."""
    plain = f"{kind.name}:{key}"
    return plain if len(plain) <= LONGEST_ID else f"{kind.name}:{hashlib.sha256(key.encode()).hexdigest()}"


def revised(
    message: Message, decisions: Decisions, stored: Mapping[str, Stored], digest: Callable[[str], str], version: int
) -> list[Event]:
    """Return the events by which what is stored of a message (by kind) says what was decided; none where it does.

    `digest` makes a short keyed hash of a text, by which an edit is seen. What a newer version or a person said stays.
    """
    found = []
    for kind in KINDS:
        mine = {one: decisions[one] for one in kind.sets if one in decisions}
        there = stored.get(kind.name)
        event = _event(kind, message, mine, digest(message.text), there)
        if event is None or (there is not None and _same(event, there)):
            continue
        if there is not None and not _may_follow(there, message, version, mine):
            continue
        event.revision = max(version * STEP, there.revision + 1 if there is not None else 0)
        found.append(event)
    return found


def _event(kind: Kind, message: Message, mine: Decisions, text: str, there: Stored | None) -> Event | None:
    """Return the event of a kind, without a revision; None where there is nothing to say, and nothing to take back."""
    labels = {one: decision.label for one, decision in mine.items() if decision.label is not None}
    type_ = kind.labelled if labels else kind.unlabelled if mine else None
    if type_ is None:
        if there is None:
            return None
        type_ = RETRACTED
    event = Event(
        type=type_, time=EPOCH + timedelta(microseconds=message.time), id=id_of(kind, message.key), source=SOURCE,
        channel=message.channel, channel_id=message.channel_id, account_id=message.account_id,
        conversation_id=message.conversation_id, contact_id=message.contact_id, message_id=message.key,
    )  # fmt: skip
    for one, label in labels.items():
        setattr(event, FIELDS[one], label)
    first = next((mine[one] for one in kind.sets if one in labels), next(iter(mine.values()), None))
    if first is not None and type_ != RETRACTED:
        event.confidence = None if first.confidence is None else round(first.confidence, 4)
        event.name = first.by.value
    said: dict[str, Any] = {"labels": {one.value: _told(decision) for one, decision in mine.items()}, "text": text}
    if message.revision is not None:
        said["revision"] = message.revision
    event.attributes = msgspec.Raw(msgspec.json.encode(said))
    return event


def _told(decision: Decision) -> dict[str, Any]:
    told: dict[str, Any] = {"by": decision.by.value, "version": decision.version}
    if decision.confidence is not None:
        told["confidence"] = round(decision.confidence, 4)
    if decision.label is None and decision.guess is not None:
        told["guess"] = decision.guess
    return told


def _same(event: Event, there: Stored) -> bool:
    """Say whether a stored event says the same of the same text; by which version does not matter."""
    said = msgspec.json.decode(event.attributes)
    return (
        event.type == there.type
        and all(getattr(event, FIELDS[one]) == label for one, label in there.labels.items())
        and said["text"] == there.said.get("text")
        and _without_version(said["labels"]) == _without_version(there.said.get("labels", {}))
    )


def _without_version(labels: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: {k: v for k, v in told.items() if k != "version"} for name, told in labels.items()}


def _may_follow(there: Stored, message: Message, version: int, decisions: Decisions) -> bool:
    """Say whether a label may take the place of a stored one: not of a newer version's, nor of a newer text's."""
    if (message.revision or 0) < there.said.get("revision", 0):
        return False
    return there.version <= version or any(decision.by is Labeller.PERSON for decision in decisions.values())


def renamed(rows: Sequence[tuple[Event, Stored]], label_set: LabelSet, new: str, version: int) -> list[Event]:
    """Return stored label events with another name for the label of a set, as revisions of themselves."""
    for event, there in rows:
        setattr(event, FIELDS[label_set], new)
        event.revision = max(version * STEP, there.revision + 1)
    return [event for event, _ in rows]
