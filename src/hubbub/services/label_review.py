"""Review: people say whether labels are right, the least sure first; what they say is the label, and what classifiers learn from.

`LabelService` (labels.py) has one as `review`. Only messages whose text is stored come up.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from hubbub.calculations import wilson_lower
from hubbub.control.control import Control
from hubbub.control.label_examples import Example, LabelExamples, Sealed
from hubbub.errors import BadInputError, NotFoundError
from hubbub.facts.moments import moment
from hubbub.facts.refresh import refresh
from hubbub.labels import stored
from hubbub.labels.as_events import FIELDS, KINDS, SOURCE
from hubbub.labels.configuration import LabelSet, set_named
from hubbub.labels.decision import Message
from hubbub.model.event import nearest
from hubbub.model.page import check_limit
from hubbub.model.tenant import Tenant
from hubbub.storage.store import Store

MOST_LOOKED_AT = 5_000
"""Labels that are looked through for those to be reviewed, least sure first."""
MOST_EXAMPLES = 100_000
Names = Callable[[Tenant, LabelSet], list[str]]
Relabel = Callable[[Tenant, Message], int]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What is suggested for a message, by whom and how surely."""

    label: str | None
    by: str | None
    confidence: float | None


@dataclass(frozen=True, slots=True)
class ToReview:
    """A message to be reviewed, and what is suggested for it."""

    message: str
    """Its key."""
    text: str
    """What it says."""
    time: datetime
    """When it came."""
    channel: str | None
    """Its medium."""
    channel_id: str | None
    """Its room, page or number."""
    conversation_id: str | None
    """Its conversation."""
    suggested: str | None
    """The label that is suggested; null: unlabelled."""
    by: str | None
    """Who suggests it: rules, classifier or endpoint."""
    confidence: float | None
    """How sure that is, from 0 to 1; null: nobody guessed."""


@dataclass(frozen=True, slots=True)
class ReviewQueue:
    """Messages of a label set to be reviewed, and how far the review is."""

    tenant: str
    """The tenant."""
    set: str
    """The label set."""
    labels: Sequence[str]
    """Of the set, in their order."""
    left: int
    """Messages that wait for review."""
    done: int
    """Messages that people labelled."""
    rows: Sequence[ToReview]
    """The next ones, the least sure first."""


@dataclass(frozen=True, slots=True)
class Reviewed:
    """What became of a person's word."""

    message: str
    """Key of the message."""
    label: str | None
    """What was said; null: it was skipped."""
    was: str | None
    """What was suggested."""
    changed: int
    """Labels that are others now."""
    number: int
    """Number of the example."""


@dataclass(frozen=True, slots=True)
class Undone:
    """What was taken back."""

    message: str
    """Key of the message."""
    label: str | None
    """What had been said of it; null: it had been skipped."""
    left: int
    """How many more can be taken back."""


@dataclass(frozen=True, slots=True)
class SaidLabel:
    """What a person said of a message."""

    message: str
    """Key of the message."""
    text: str
    """What it says."""
    label: str
    """What was said."""
    was: str | None
    """What was suggested."""
    suggested_by: str | None
    """Who suggested it."""
    by: str
    """Who said it."""
    at: datetime
    """When."""


@dataclass(frozen=True, slots=True)
class SuggestionScore:
    """How often suggestions of a label were right."""

    label: str
    """The label."""
    checked: int
    """Suggestions that people looked at."""
    right: float
    """Share of them that people said too."""
    low: float
    """Lower end of its 95 % range."""
    high: float
    """Upper end of it."""


@dataclass(frozen=True, slots=True)
class ReviewHistory:
    """What was said last, newest first, and how often suggestions were right."""

    rows: Sequence[SaidLabel]
    """What people said."""
    right: Sequence[SuggestionScore]
    """By label."""


@dataclass(frozen=True, slots=True)
class Taught:
    """How many examples a set has now."""

    tenant: str
    set: str
    examples: int


class LabelReview:
    """Review of all tenants' labels. `names` gives a set's labels, `relabel` labels a message as things are now."""

    def __init__(self, store: Store, control: Control, examples: LabelExamples, names: Names, relabel: Relabel) -> None:
        self._store, self._control, self._examples = store, control, examples
        self._names, self._relabel = names, relabel

    def queue(self, tenant: str, label_set: str, limit: int = 20) -> ReviewQueue:
        """Return the messages of a set to be reviewed, the least sure first, and how far the review is."""
        one, chosen = self._control.tenant(tenant), set_named(label_set)
        refresh(self._store, one.no)
        found = self._unsure(one, chosen)
        seen = self._examples.seen(one.id, chosen, list(found))
        left = [key for key in found if key not in seen]
        messages = stored.of_keys(self._store, one.no, left[: check_limit(limit)])
        rows = [_row(message, found[message.key]) for message in messages]
        done = self._examples.of(one.id, chosen)
        labelled = sum(example.label is not None for example in done)
        return ReviewQueue(one.id, chosen.value, self._names(one, chosen), len(left), labelled, rows)

    def say(self, tenant: str, label_set: str, message: str, label: str | None, by: str = "") -> Reviewed:
        """Say which label a message has, or with None skip it; numbers follow at once.

        Raises NotFoundError for a message whose text is not stored, BadInputError for an unknown label.
        """
        one, chosen = self._control.tenant(tenant), set_named(label_set)
        names = self._names(one, chosen)
        if label is not None and label not in names:
            hint = nearest(label, names) or f"; add it with 'hubbub labels add {chosen} ...'"
            raise BadInputError(f"{chosen} has no label {label[:100]!r}{hint}")
        found = self._message(one, message)
        suggested = self._suggestion(one, chosen, found)
        body = Sealed(found.key, found.text, found.contact_id, found.time)
        number = self._examples.put(
            one.id, chosen, label, body, by, suggested=suggested.label, suggested_by=suggested.by,
            confidence=suggested.confidence,
        )  # fmt: skip
        changed = self._relabel(one, found) if label is not None else 0
        return Reviewed(found.key, label, suggested.label, changed, number)

    def undo(self, tenant: str, label_set: str, by: str = "") -> Undone:
        """Take back the last thing that somebody said of a set's messages. Raises NotFoundError where there is none."""
        one, chosen = self._control.tenant(tenant), set_named(label_set)
        mine = [
            example
            for example in self._examples.of(one.id, chosen)
            if example.made_by == by and example.body.time is not None
        ]
        if not mine:
            raise NotFoundError("there is nothing to take back")
        self._examples.remove(one.id, mine[0].number)
        for message in stored.of_keys(self._store, one.no, [mine[0].body.key]):
            self._relabel(one, message)
        return Undone(mine[0].body.key, mine[0].label, len(mine) - 1)

    def teach(self, tenant: str, label_set: str, examples: Sequence[tuple[str, str]], by: str = "") -> Taught:
        """Keep texts with their labels as examples, of no message; the same text twice is one."""
        one, chosen = self._control.tenant(tenant), set_named(label_set)
        names = set(self._names(one, chosen))
        if len(examples) > MOST_EXAMPLES:
            raise BadInputError(f"{len(examples)} examples at once, {MOST_EXAMPLES} are allowed")
        for number, (text, label) in enumerate(examples, 1):
            if label not in names or not text.strip():
                why = "has no text" if not text.strip() else f"has the label {label[:100]!r}, which {chosen} has not"
                raise BadInputError(f"example {number} {why}{nearest(label, names)}")
        for text, label in examples:
            key = f"text:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"
            self._examples.put(one.id, chosen, label, Sealed(key, text), by)
        return Taught(one.id, chosen.value, len(self._examples.of(one.id, chosen)))

    def done(self, tenant: str, label_set: str, limit: int = 20) -> ReviewHistory:
        """Return what was said last, newest first, and how often suggestions were right, by label with a 95 % range."""
        one, chosen = self._control.tenant(tenant), set_named(label_set)
        found = [(example, example.label) for example in self._examples.of(one.id, chosen) if example.label is not None]
        rows = [_said(example, label) for example, label in found[: check_limit(limit)]]
        return ReviewHistory(rows, _right([example for example, _ in found]))

    def _unsure(self, tenant: Tenant, label_set: LabelSet) -> dict[str, Suggestion]:
        """Return labels that no person gave, by message, the least sure first."""
        kind = next(kind for kind in KINDS if label_set in kind.sets)
        types = [type_ for type_ in (kind.labelled, kind.unlabelled) if type_]
        with self._store.facts.read() as reading:
            said, place = reading.dialect, ("labels", label_set.value)
            by, guess = (said.text_at("attributes", (*place, name)) for name in ("by", "guess"))
            confidence = said.number_at("attributes", (*place, "confidence"))
            rows = reading.rows(
                f"SELECT message_id, coalesce({FIELDS[label_set]}, {guess}), {by}, {confidence} FROM event "
                f"WHERE tenant = ? AND source = ? AND type IN ({', '.join('?' * len(types))}) AND message_id IS NOT NULL "
                f"AND coalesce({by}, '') <> 'person' ORDER BY coalesce({confidence}, 0), time DESC LIMIT ?",
                (tenant.no, SOURCE, *types, MOST_LOOKED_AT),
            )
        return {key: Suggestion(label, who, sure) for key, label, who, sure in rows}

    def _suggestion(self, tenant: Tenant, label_set: LabelSet, message: Message) -> Suggestion:
        kind = next(kind for kind in KINDS if label_set in kind.sets)
        there = stored.labels(self._store, tenant.no, [message]).get(message.key, {}).get(kind.name)
        if there is None:
            return Suggestion(None, None, None)
        said = there.attributes.get("labels", {}).get(label_set.value, {})
        return Suggestion(there.labels.get(label_set) or said.get("guess"), said.get("by"), said.get("confidence"))

    def _message(self, tenant: Tenant, key: str) -> Message:
        found = stored.of_keys(self._store, tenant.no, [key])
        if not found:
            raise NotFoundError(f"there is no message {key[:100]!r} whose text is stored")
        return found[0]


def _row(message: Message, suggested: Suggestion) -> ToReview:
    return ToReview(
        message.key, message.text, moment(message.time), message.channel, message.channel_id, message.conversation_id,
        suggested.label, suggested.by, suggested.confidence,
    )  # fmt: skip


def _said(example: Example, label: str) -> SaidLabel:
    return SaidLabel(
        example.body.key, example.body.text, label, example.suggested, example.suggested_by, example.made_by, example.made_at
    )  # fmt: skip


def _right(examples: Sequence[Example]) -> list[SuggestionScore]:
    checked, right = Counter[str](), Counter[str]()
    for example in examples:
        if example.suggested is not None:
            checked[example.suggested] += 1
            right[example.suggested] += example.suggested == example.label
    rows = []
    for label, n in checked.most_common():
        low, wrong = wilson_lower(right[label], n) or 0.0, wilson_lower(n - right[label], n) or 0.0
        rows.append(SuggestionScore(label, n, right[label] / n, low, 1 - wrong))
    return rows
