"""Review: people confirm or correct labels, in an order they choose; a person's label counts, and classifiers learn from it.

`LabelService` (labels.py) has it as `review`. Only messages with a stored text appear.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hubbub.calculations import wilson_lower
from hubbub.control.control import Control
from hubbub.control.label_examples import Example, LabelExamples, Sealed
from hubbub.errors import BadInputError, ConflictError, NotFoundError
from hubbub.facts.moments import moment
from hubbub.facts.refresh import refresh
from hubbub.labels import stored
from hubbub.labels.as_events import kind_of
from hubbub.labels.configuration import set_named
from hubbub.labels.decision import Message
from hubbub.labels.reasons import Reasons
from hubbub.model.event import nearest
from hubbub.model.label import FIELDS, SOURCE, LabelSet
from hubbub.model.page import check_limit
from hubbub.model.readable import readable
from hubbub.model.tenant import Tenant
from hubbub.query.cached import cacheable
from hubbub.services.label_review_views import (
    Reviewed,
    ReviewedLabel,
    ReviewHistory,
    ReviewOrder,
    ReviewQueue,
    SuggestionScore,
    Taught,
    ToReview,
    Undone,
)
from hubbub.storage.store import Store

MOST_EXAMINED = 5_000
"""Most labels that are searched for review, the first in its order."""
MOST_EXAMPLES = 100_000
Names = Callable[[Tenant, LabelSet], list[str]]
Relabel = Callable[[Tenant, Message], int]
Why = Callable[[Tenant, LabelSet, Sequence[str], Sequence[str | None]], list[Reasons]]
_ORDERS = {
    ReviewOrder.UNSURE: "coalesce(confidence, 0), time DESC",
    ReviewOrder.NEWEST: "time DESC",
    ReviewOrder.LABEL: "CASE WHEN label IS NULL THEN 1 ELSE 0 END, label, coalesce(confidence, 0), time DESC",
}


@dataclass(frozen=True, slots=True)
class Suggestion:
    """The suggested label of a message, its labeller and confidence."""

    label: str | None
    by: str | None
    confidence: float | None


class LabelReview:
    """Review of all tenants' labels. `names` returns a set's labels, `relabel` labels a message again, `why` gives reasons."""

    def __init__(
        self, store: Store, control: Control, examples: LabelExamples, names: Names, relabel: Relabel, why: Why
    ) -> None:
        self._store, self._control, self._examples = store, control, examples
        self._names, self._relabel, self._why = names, relabel, why

    def queue(self, tenant: str, label_set: str, limit: int = 20, order: str = ReviewOrder.UNSURE) -> ReviewQueue:
        """Return the messages of a set to review, in an order, and the progress of the review.

        Raises BadInputError for an unknown order.
        """
        owner, chosen = self._control.tenant(tenant), set_named(label_set)
        left, suggestions = self._left(owner, chosen, _order_named(order))
        messages = stored.of_keys(self._store, owner.no, left[: check_limit(limit)])
        suggested = [suggestions[message.key] for message in messages]
        why = self._why(
            owner, chosen, [readable(message.text) for message in messages], [one.label for one in suggested]
        )
        rows = [_row(*row) for row in zip(messages, suggested, why, strict=True)]
        done = self._examples.of(owner.id, chosen)
        labelled = sum(example.label is not None for example in done)
        return ReviewQueue(owner.id, chosen.value, self._names(owner, chosen), len(left), labelled, rows)

    @cacheable("period")
    def left(self, tenant: str, label_set: str) -> int:
        """Return the number of messages of a set to review, as `queue` does; 0 for a set without labels.

        No change of data drops a cached count: it reads all labels, and is asked with every page.
        """
        owner, chosen = self._control.tenant(tenant), set_named(label_set)
        if not self._names(owner, chosen):
            return 0
        return len(self._left(owner, chosen, ReviewOrder.UNSURE)[0])

    def say(
        self, tenant: str, label_set: str, message: str | None, label: str | None, by: str = "", *,
        conversation: str | None = None,
    ) -> Reviewed:  # fmt: skip
        """Store a person's label of a message (None: skip it). Numbers change at once; repeating it changes nothing.

        With `conversation` in place of `message`, its first incoming message is labelled. Raises NotFoundError for an unknown
        message, ConflictError for one that its source labelled, BadInputError for an unknown label.
        """
        owner, chosen = self._control.tenant(tenant), set_named(label_set)
        refresh(self._store, owner.no)
        names = self._names(owner, chosen)
        if label is not None and label not in names:
            hint = nearest(label, names) or f"; add it with 'hubbub labels add {chosen} ...'"
            raise BadInputError(f"{chosen} has no label {label[:100]!r}{hint}")
        labelled = self._message(owner, message, conversation)
        if chosen in labelled.given:
            raise ConflictError(
                f"the source of message {labelled.key[:100]!r} gave its {chosen}: correct it there, by a higher revision"
            )
        suggested = self._suggestion(owner, chosen, labelled)
        number = self._examples.number(owner.id, chosen, labelled.key, label)
        if number is None:
            number = self._examples.put(
                owner.id, chosen, label, Sealed(labelled.key, labelled.text, labelled.contact_id, labelled.time), by,
                suggested=suggested.label, suggested_by=suggested.by, confidence=suggested.confidence,
            )  # fmt: skip
        changed = self._relabel(owner, labelled) if label is not None else 0
        return Reviewed(labelled.key, label, suggested.label, changed, number)

    def undo(self, tenant: str, label_set: str, by: str = "") -> Undone:
        """Undo a person's last label of a set. Raises NotFoundError when there is none."""
        owner, chosen = self._control.tenant(tenant), set_named(label_set)
        own_examples = [
            example
            for example in self._examples.of(owner.id, chosen)
            if example.made_by == by and example.body.time is not None
        ]
        if not own_examples:
            raise NotFoundError("there is nothing to undo")
        self._examples.remove(owner.id, own_examples[0].number)
        message = stored.incoming(self._store, owner.no, own_examples[0].body.key)
        if message is not None:
            self._relabel(owner, message)
        return Undone(own_examples[0].body.key, own_examples[0].label, len(own_examples) - 1)

    def teach(self, tenant: str, label_set: str, examples: Sequence[tuple[str, str]], by: str = "") -> Taught:
        """Store texts with their labels as examples without a message; the same text twice is one example."""
        owner, chosen = self._control.tenant(tenant), set_named(label_set)
        names = set(self._names(owner, chosen))
        if len(examples) > MOST_EXAMPLES:
            raise BadInputError(f"{len(examples)} examples at once, {MOST_EXAMPLES} are allowed")
        for number, (text, label) in enumerate(examples, 1):
            if label not in names or not text.strip():
                why = (
                    "has no text"
                    if not text.strip()
                    else f"has the label {label[:100]!r}, which {chosen} does not have"
                )
                raise BadInputError(f"example {number} {why}{nearest(label, names)}")
        for text, label in examples:
            key = f"text:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"
            self._examples.put(owner.id, chosen, label, Sealed(key, text), by)
        return Taught(owner.id, chosen.value, len(self._examples.of(owner.id, chosen)))

    def done(self, tenant: str, label_set: str, limit: int = 20) -> ReviewHistory:
        """Return people's last labels, newest first, and how often suggestions were right, by label with a 95 % range."""
        owner, chosen = self._control.tenant(tenant), set_named(label_set)
        labelled = [
            (example, example.label) for example in self._examples.of(owner.id, chosen) if example.label is not None
        ]
        rows = [_reviewed_label(example, label) for example, label in labelled[: check_limit(limit)]]
        return ReviewHistory(rows, _right([example for example, _ in labelled]))

    def _left(self, tenant: Tenant, label_set: LabelSet, order: ReviewOrder) -> tuple[list[str], dict[str, Suggestion]]:
        """Return the messages that nobody reviewed, in an order, and the suggestions of all."""
        refresh(self._store, tenant.no)
        suggestions = self._waiting(tenant, label_set, order)
        reviewed = self._examples.seen(tenant.id, label_set, list(suggestions))
        return [key for key in suggestions if key not in reviewed], suggestions

    def _waiting(self, tenant: Tenant, label_set: LabelSet, order: ReviewOrder) -> dict[str, Suggestion]:
        """Return labels that no person gave, by message, in an order."""
        kind = kind_of(label_set)
        types = [type_ for type_ in (kind.labelled, kind.unlabelled) if type_]
        with self._store.facts.read() as reading:
            dialect, place = reading.dialect, ("labels", label_set.value)
            by, guess = (dialect.text_at("attributes", (*place, name)) for name in ("by", "guess"))
            confidence = dialect.number_at("attributes", (*place, "confidence"))
            rows = reading.rows(
                f"SELECT message_id, label, labeller, confidence FROM (SELECT message_id, time, "
                f"coalesce({FIELDS[label_set]}, {guess}) AS label, {by} AS labeller, {confidence} AS confidence FROM event "
                f"WHERE tenant = ? AND source = ? AND type IN ({', '.join('?' * len(types))}) AND message_id IS NOT NULL) AS l "
                f"WHERE coalesce(labeller, '') <> 'person' ORDER BY {_ORDERS[order]}, message_id LIMIT ?",
                (tenant.no, SOURCE, *types, MOST_EXAMINED),
            )
        return {key: Suggestion(label, who, sure) for key, label, who, sure in rows}

    def _suggestion(self, tenant: Tenant, label_set: LabelSet, message: Message) -> Suggestion:
        kind = kind_of(label_set)
        stored_label = stored.labels(self._store, tenant.no, [message]).get(message.key, {}).get(kind.name)
        if stored_label is None:
            return Suggestion(None, None, None)
        decision = stored_label.attributes.get("labels", {}).get(label_set.value, {})
        return Suggestion(
            stored_label.labels.get(label_set) or decision.get("guess"), decision.get("by"), decision.get("confidence")
        )

    def _message(self, tenant: Tenant, key: str | None, conversation: str | None) -> Message:
        if (key is None) == (conversation is None):
            raise BadInputError("name either a message or a conversation")
        if conversation is not None:
            message = stored.first_incoming(self._store, tenant.no, conversation)
            missing = (
                f"there is no conversation {conversation[:100]!r} with an incoming message of a person: "
                "'hubbub conversations list' shows their ids"
            )
        else:
            message = stored.incoming(self._store, tenant.no, key or "")
            missing = (
                f"there is no incoming message {(key or '')[:100]!r} of a person: give its message_id, "
                "or the id of its event without one"
            )
        if message is None:
            raise NotFoundError(missing)
        return message


def _order_named(name: str) -> ReviewOrder:
    try:
        return ReviewOrder(name)
    except ValueError:
        raise BadInputError(f"order {name[:40]!r} is not one of {', '.join(ReviewOrder)}") from None


def _row(message: Message, suggested: Suggestion, why: Reasons) -> ToReview:
    return ToReview(
        message.key, readable(message.text), moment(message.time), message.channel, message.channel_id, message.conversation_id,
        suggested.label, suggested.by, suggested.confidence, why.spans, why.rule, why.likely,
    )  # fmt: skip


def _reviewed_label(example: Example, label: str) -> ReviewedLabel:
    return ReviewedLabel(
        example.body.key, readable(example.body.text), label, example.suggested, example.suggested_by, example.made_by,
        example.made_at,
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
