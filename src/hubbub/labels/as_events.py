"""Labels as events of the source `labels`: `topic.classified`, `intent.classified`, `escalation.raised`, each once for a message.

The event's id derives from its message, so a message is labelled once; another label is a revision of the same event. The revision
is the configuration's version times `STEP`, so a newer configuration wins in any order of arrival; an edited message, or a person's
label, takes the next number after the stored one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec

from hubbub.labels.decision import Decision, Decisions, Message
from hubbub.model.event import Event
from hubbub.model.label import FIELDS, SOURCE, TYPES, Labeller, LabelSet
from hubbub.model.plain import JsonObject
from hubbub.model.window import EPOCH

STEP = 1_000
LONGEST_ID = 512


@dataclass(frozen=True, slots=True)
class Kind:
    """One label event of a message: its sets, and its type with and without a label; None: no event."""

    name: str
    sets: tuple[LabelSet, ...]
    labelled: str
    unlabelled: str | None


KINDS = (
    Kind("topic", (LabelSet.TOPIC, LabelSet.TONE), TYPES[LabelSet.TOPIC], "topic.unlabelled"),
    Kind("intent", (LabelSet.INTENT,), TYPES[LabelSet.INTENT], "intent.confidence_low"),
    Kind("escalation", (LabelSet.ESCALATION,), TYPES[LabelSet.ESCALATION], None),
)
RETRACTED = "label.retracted"
"""The type of a retracted label without a successor; no metric counts it."""


def kind_of(label_set: LabelSet) -> Kind:
    """Return the kind of event that holds the labels of a set."""
    return next(kind for kind in KINDS if label_set in kind.sets)


@dataclass(frozen=True, slots=True)
class Stored:
    """A stored label event: type, labels by set, attributes, revision."""

    type: str
    labels: Mapping[LabelSet, str | None]
    attributes: Mapping[str, Any]
    revision: int

    @property
    def version(self) -> int:
        """The version of its configuration."""
        return max(
            (row["version"] for row in self.attributes.get("labels", {}).values()), default=self.revision // STEP
        )

    def by(self, label_set: LabelSet) -> str | None:
        """Return the labeller of a set."""
        labeller: str | None = self.attributes.get("labels", {}).get(label_set.value, {}).get("by")
        return labeller


def id_of(kind: Kind, key: str) -> str:
    """Return the id of a message's label event."""
    plain = f"{kind.name}:{key}"
    return plain if len(plain) <= LONGEST_ID else f"{kind.name}:{hashlib.sha256(key.encode()).hexdigest()}"


def revised(
    message: Message, decisions: Decisions, stored: Mapping[str, Stored], digest: Callable[[str], str], version: int
) -> list[Event]:
    """Return the events that bring the stored labels of a message (by kind) to the decisions; none where they agree.

    `digest` makes a short keyed hash of a text, to detect edits. Labels of a newer version or of a person stay.
    """
    events = []
    for kind in KINDS:
        own = {label_set: decisions[label_set] for label_set in kind.sets if label_set in decisions}
        before = stored.get(kind.name)
        event = _event(kind, message, own, digest(message.text), before)
        if event is None or (before is not None and _same(event, before)):
            continue
        if before is not None and not _may_follow(before, message, version, own):
            continue
        event.revision = max(version * STEP, before.revision + 1 if before is not None else 0)
        events.append(event)
    return events


def _event(kind: Kind, message: Message, own: Decisions, text: str, before: Stored | None) -> Event | None:
    """Return the event of a kind, without a revision; None if there is nothing to label or retract."""
    labels = {label_set: decision.label for label_set, decision in own.items() if decision.label is not None}
    type_ = kind.labelled if labels else kind.unlabelled if own else None
    if type_ is None:
        if before is None:
            return None
        type_ = RETRACTED
    event = Event(
        type=type_, time=EPOCH + timedelta(microseconds=message.time), id=id_of(kind, message.key), source=SOURCE,
        channel=message.channel, channel_id=message.channel_id, account_id=message.account_id,
        conversation_id=message.conversation_id, contact_id=message.contact_id, message_id=message.key,
    )  # fmt: skip
    for label_set, label in labels.items():
        setattr(event, FIELDS[label_set], label)
    first = next((own[label_set] for label_set in kind.sets if label_set in labels), next(iter(own.values()), None))
    if first is not None and type_ != RETRACTED:
        event.confidence = None if first.confidence is None else round(first.confidence, 4)
        event.name = first.by.value
    by_set = {label_set.value: _plain(decision) for label_set, decision in own.items()}
    attributes: dict[str, Any] = {"labels": by_set, "text": text}
    if message.revision is not None:
        attributes["revision"] = message.revision
    event.attributes = msgspec.Raw(msgspec.json.encode(attributes))
    return event


def _plain(decision: Decision) -> JsonObject:
    values: dict[str, Any] = {"by": decision.by.value, "version": decision.version}
    if decision.confidence is not None:
        values["confidence"] = round(decision.confidence, 4)
    if decision.who is not None:
        values["who"] = decision.who
    if decision.label is None and decision.guess is not None:
        values["guess"] = decision.guess
    return values


def _same(event: Event, before: Stored) -> bool:
    """Whether a stored event has the same labels and text; versions, and who gave them, may differ."""
    attributes = msgspec.json.decode(event.attributes)
    return (
        event.type == before.type
        and all(getattr(event, FIELDS[label_set]) == label for label_set, label in before.labels.items())
        and attributes["text"] == before.attributes.get("text")
        and _essence(attributes["labels"]) == _essence(before.attributes.get("labels", {}))
    )


def decisions_of(stored: Mapping[str, Stored]) -> dict[LabelSet, Decision]:
    """Return the decisions that stored label events hold, by set."""
    return {
        label_set: Decision(
            before.labels.get(label_set), Labeller(values["by"]), values.get("version", before.version), values.get("confidence"),
            values.get("guess"), values.get("who"),
        )
        for kind in KINDS if (before := stored.get(kind.name)) is not None and before.type != RETRACTED
        for label_set in kind.sets if (values := before.attributes.get("labels", {}).get(label_set.value)) is not None
    }  # fmt: skip


def _essence(labels: Mapping[str, Mapping[str, Any]]) -> dict[str, JsonObject]:
    return {name: {k: v for k, v in values.items() if k not in ("version", "who")} for name, values in labels.items()}


def _may_follow(before: Stored, message: Message, version: int, decisions: Decisions) -> bool:
    """Whether a label may replace a stored one: not one of a newer version or a newer text."""
    if (message.revision or 0) < before.attributes.get("revision", 0):
        return False
    return before.version <= version or any(decision.by is Labeller.PERSON for decision in decisions.values())


def renamed(rows: Sequence[tuple[Event, Stored]], label_set: LabelSet, new: str, version: int) -> list[Event]:
    """Return revisions of stored label events with a new name for the label of a set."""
    for event, before in rows:
        setattr(event, FIELDS[label_set], new)
        event.revision = max(version * STEP, before.revision + 1)
    return [event for event, _ in rows]
