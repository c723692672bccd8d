"""Labels: a tenant's configuration, and labelling of arriving and stored messages. `label_review.py` has people's labels."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

import msgspec

from hubbub.clock import Clock
from hubbub.control.control import Control
from hubbub.control.database import Database
from hubbub.control.encryption import Encryption
from hubbub.control.label_answers import LabelAnswers
from hubbub.control.label_classifiers import LabelClassifiers
from hubbub.control.label_configurations import LabelConfigurations, Version
from hubbub.control.label_examples import LabelExamples
from hubbub.control.topic_suggestions import TopicSuggestions
from hubbub.errors import BadInputError, HubbubError
from hubbub.facts.moments import micros
from hubbub.facts.refresh import refresh
from hubbub.ingest.accept import Outcome
from hubbub.labels import stored
from hubbub.labels.as_events import Stored, decisions_of, renamed, revised
from hubbub.labels.configuration import Configuration, read, set_named, starter
from hubbub.labels.decision import Decisions, Message
from hubbub.labels.labelling import Labelling
from hubbub.labels.reasons import Reasons
from hubbub.model.event import NOTHING, Event, Item
from hubbub.model.label import FIELDS, Labeller, LabelSet
from hubbub.model.plain import JsonObject
from hubbub.model.question import check_order, parse_moment
from hubbub.model.tenant import Tenant
from hubbub.outgoing.http import Outgoing
from hubbub.services.label_endpoint import LabelEndpoint
from hubbub.services.label_review import LabelReview
from hubbub.services.label_training import Switched, TrainedClassifier, Training
from hubbub.services.label_views import (
    Labelled,
    LabelRun,
    LabelRuns,
    LabelsView,
    Renamed,
    Tried,
    TriedLabel,
    VersionView,
)
from hubbub.services.topic_suggestion_views import SuggestionRuns
from hubbub.services.topic_suggestions import TopicSuggestionService
from hubbub.settings import Ai
from hubbub.storage.schema import FOREVER
from hubbub.storage.store import Store

MOST_TEXT = 20_000
Accept = Callable[[str, Sequence[Item]], Outcome]
"""Stores events of a tenant as history."""


class LabelService:
    """Labels of all tenants. `accept` stores events as history."""

    def __init__(
        self, store: Store, control: Control, database: Database, encryption: Encryption, accept: Accept, clock: Clock, ai: Ai,
        http: Outgoing,
    ) -> None:  # fmt: skip
        self._store, self._control, self._accept, self._clock = store, control, accept, clock
        self._key = control.derived("labels")
        self.configurations = LabelConfigurations(database)
        self.examples = LabelExamples(database, encryption, self._message_digest)
        classifiers = LabelClassifiers(database, encryption)
        self._training = Training(control, self.configurations, self.examples, classifiers)
        self._endpoint = LabelEndpoint(ai, http, LabelAnswers(database), self._digest, clock)
        self.review = LabelReview(store, control, self.examples, self._names, self._relabel, self._why)
        self.suggestions = TopicSuggestionService(
            store, control, TopicSuggestions(database, encryption), self._digest, clock, self.add, self.review
        )

    # --- configuration

    def of(self, tenant: str) -> LabelsView:
        """Return a tenant's label sets with labels and rules, in order, and their versions, newest first."""
        owner = self._control.tenant(tenant)
        version = self.configurations.current(owner.id)
        versions = [VersionView(v.number, v.what, v.made_by, v.made_at) for v in self.configurations.versions(owner.id)]
        return LabelsView(
            owner.id, version.number, version.number == 0, self.configuration(version).document(), version.classifiers,
            self._training.classifiers(owner.id), versions,
        )  # fmt: skip

    def replace(self, tenant: str, document: JsonObject, by: str = "") -> LabelsView:
        """Replace a tenant's labels and rules; absent sets are the starter's.

        Numbers change once `run` has labelled the stored messages. Raises BadInputError naming the place.
        """
        owner = self._control.tenant(tenant)
        before = self.configurations.current(owner.id)
        self._change(owner, before, read(document), "labels and rules", by)
        return self.of(owner.id)

    def add(self, tenant: str, label_set: str, label: str, by: str = "", words: Sequence[str] = ()) -> LabelsView:
        """Add a label with words to a set; an existing one gets the further words."""
        owner, chosen = self._control.tenant(tenant), set_named(label_set)
        before = self.configurations.current(owner.id)
        after = self.configuration(before).with_label(chosen, label, words)
        self._change(owner, before, after, f"{chosen}: {label!r} was added", by)
        return self.of(owner.id)

    def rename(self, tenant: str, label_set: str, label: str, to: str, by: str = "") -> Renamed:
        """Rename a label, for all labelled messages; an existing label of that name absorbs it.

        Labels from a source stay.
        """
        owner, chosen = self._control.tenant(tenant), set_named(label_set)
        before = self.configurations.current(owner.id)
        after = self.configuration(before).renamed(chosen, label, to)
        version = self._change(owner, before, after, f"{chosen}: {label!r} is {to!r} now", by)
        examples = self.examples.rename(owner.id, chosen, label, to)
        refresh(self._store, owner.no)
        rows = list(stored.labelled(self._store, owner.no, chosen, 0, FOREVER, label))
        changed = self._take(owner, renamed(rows, chosen, to, version.number))
        return Renamed(owner.id, version.number, changed, examples)

    def configuration(self, version: Version) -> Configuration:
        """Return the configuration of a version; the starter's for a tenant without its own."""
        return read(version.document) if version.number else starter()

    def _change(self, tenant: Tenant, before: Version, after: Configuration, description: str, by: str) -> Version:
        document = after.document()
        if before.number and document == dict(before.document):
            return before
        return self.configurations.add(tenant.id, before, document, before.classifiers, description, by)

    # --- labelling

    def try_text(self, tenant: str, text: str) -> Tried:
        """Return the labels that a text would get now, with labeller and confidence; nothing is stored."""
        owner = self._control.tenant(tenant)
        if not text.strip() or len(text) > MOST_TEXT:
            raise BadInputError(f"text: give 1 to {MOST_TEXT} characters")
        labelling = self.labelling(owner)
        (decisions,) = labelling.decide([Message("", 0, text)])
        rows = [TriedLabel(set_, d.label, d.by, d.confidence, d.guess) for set_, d in decisions.items()]
        return Tried(labelling.version, rows)

    def labelling(self, tenant: Tenant, *, asks: bool = False) -> Labelling:
        """Return the labelling of a tenant with the version in force; `asks`: a model may be called, within the budget."""
        version = self.configurations.current(tenant.id)
        own = self.configuration(version)
        return Labelling(
            version.number, own, self._training.in_use(tenant.id, version),
            lambda keys: self.examples.labels_of(tenant.id, keys), self._endpoint.guessers(tenant.id, own, asks=asks),
        )  # fmt: skip

    def train(self, tenant: str, label_set: str, by: str = "") -> TrainedClassifier:
        """Train a classifier of a set from people's labels; see `Training.train`. `run` labels again."""
        owner, chosen = self._control.tenant(tenant), set_named(label_set)
        own = self.configuration(self.configurations.current(owner.id))
        return self._training.train(owner.id, chosen, own.precision, own.names(chosen), by)

    def switch(self, tenant: str, label_set: str, classifier: int | None, by: str = "") -> Switched:
        """Use another classifier of a set, or none; `run` labels again."""
        return self._training.switch(tenant, label_set, classifier, by)

    def run_all(self) -> LabelRuns:
        """Label the stored messages of all tenants with their own labels; a failing one stops no other."""
        tenants = self._with_own_labels()
        changed, errors = 0, {}
        for tenant in tenants:
            try:
                changed += self.run(tenant).changed
            except HubbubError as error:
                errors[tenant] = error.message
        return LabelRuns(len(tenants) - len(errors), changed, errors)

    def suggest_all(self) -> SuggestionRuns:
        """Look for topics in the unlabelled messages of all tenants with their own labels; a failing one stops no other."""
        return self.suggestions.run_all(self._with_own_labels())

    def _with_own_labels(self) -> list[str]:
        return [name for name in self.configurations.tenants() if name in self._control.tenants()]

    def run(self, tenant: str, start: str | None = None, end: str | None = None) -> LabelRun:
        """Label all messages of a range with a stored text, with the version in force; dates are the tenant's days.

        Without dates all messages. Equal labels stay; a second run changes nothing. Raises BadQuestionError.
        """
        owner = self._control.tenant(tenant)
        low = micros(parse_moment(start, owner.zone)) if start else 0
        high = micros(parse_moment(end, owner.zone)) if end else micros(self._clock() + timedelta(days=2))
        check_order(low, high)
        refresh(self._store, owner.no)
        labelling = self.labelling(owner, asks=True)
        looked_at = changed = 0
        by = _no_labels()
        for messages in stored.messages(self._store, owner.no, low, high):
            result = self._label(owner, labelling, messages)
            looked_at, changed = looked_at + result.looked_at, changed + result.changed
            for label_set, counts in by.items():
                counts.update(getattr(result, label_set))
        refresh(self._store, owner.no)
        return LabelRun(looked_at, changed, **_by_name(by), tenant=owner.id, version=labelling.version)

    def label_arrived(self, tenant: str, items: Sequence[Item]) -> Labelled:
        """Label accepted messages, by texts that may not be stored."""
        owner = self._control.tenant(tenant)
        return self.label(items, owner, self.labelling(owner))

    def label(self, items: Sequence[Item], tenant: Tenant, labelling: Labelling) -> Labelled:
        """Label the messages among accepted events with `labelling`."""
        messages = [
            message for item in items
            if isinstance(item, Event) and item.time.tzinfo is not None
            and (message := stored.message_of(item, micros(item.time))) is not None
        ]  # fmt: skip
        refresh(self._store, tenant.no)
        return self._label(tenant, labelling, messages)

    def _label(self, tenant: Tenant, labelling: Labelling, messages: Sequence[Message]) -> Labelled:
        """Decide the labels of messages and store the differences."""
        decisions = labelling.decide(messages)
        there = stored.labels(self._store, tenant.no, messages)
        events = [
            event
            for message, decided in zip(messages, decisions, strict=True)
            for event in self.events_of(tenant, message, decided, there.get(message.key, {}), labelling.version)
        ]
        return Labelled(len(messages), self._take(tenant, events), **_by_name(_counted(decisions)))

    def events_of(
        self, tenant: Tenant, message: Message, decided: Decisions, stored_labels: Mapping[str, Stored], version: int
    ) -> list[Event]:
        """Return the events that bring a message's stored labels to the decided ones."""
        return revised(message, decided, stored_labels, lambda text: self._text_digest(tenant.id, text), version)

    def _names(self, tenant: Tenant, label_set: LabelSet) -> list[str]:
        return self.configuration(self.configurations.current(tenant.id)).names(label_set)

    def _why(
        self, tenant: Tenant, label_set: LabelSet, texts: Sequence[str], labels: Sequence[str | None]
    ) -> list[Reasons]:
        """Return why each text may have its label."""
        return self.labelling(tenant).reasons(label_set, texts, labels)

    def _relabel(self, tenant: Tenant, message: Message) -> int:
        """Label a message again; returns the number of changed labels.

        Without a stored text only people's labels are applied: other labels stay, and a message whose label its person
        took back is unlabelled.
        """
        refresh(self._store, tenant.no)
        labelling = self.labelling(tenant)
        if message.text.strip():
            return self._label(tenant, labelling, [message]).changed
        before = stored.labels(self._store, tenant.no, [message]).get(message.key, {})
        decided = labelling.without_text(message, decisions_of(before))
        digest = next((label.attributes.get("text", "") for label in before.values()), "")
        return self._take(tenant, revised(message, decided, before, lambda _: digest, labelling.version))

    def _take(self, tenant: Tenant, events: Sequence[Event]) -> int:
        """Store label events; returns the number of changed labels."""
        if not events:
            return 0
        return self._accept(tenant.id, events).accepted

    def _text_digest(self, tenant: str, text: str) -> str:
        return self._digest(tenant, "text", text)[:12]

    def _message_digest(self, tenant: str, key: str) -> str:
        return self._digest(tenant, "message", key)

    def _digest(self, tenant: str, kind: str, text: str) -> str:
        named = f"{tenant}\0{kind}\0{text}".encode("utf-8", "surrogatepass")
        return hashlib.blake2b(named, key=self._key, digest_size=16).hexdigest()


def without_texts(items: Sequence[Item]) -> list[Item]:
    """Return events without the texts of their messages, which were held in memory for labels."""
    return [
        _without_text(item) if isinstance(item, Event) and item.attributes is not NOTHING else item for item in items
    ]


def _without_text(event: Event) -> Event:
    attributes = stored.attributes_of(event.attributes)
    if "text" not in attributes:
        return event
    remaining = {name: value for name, value in attributes.items() if name != "text"}
    return msgspec.structs.replace(
        event, attributes=msgspec.Raw(msgspec.json.encode(remaining)) if remaining else NOTHING
    )


def _no_labels() -> dict[LabelSet, Counter[Labeller]]:
    return {label_set: Counter() for label_set in FIELDS}


def _counted(decisions: Sequence[Decisions]) -> dict[LabelSet, Counter[Labeller]]:
    counts = _no_labels()
    for decided in decisions:
        for label_set, decision in decided.items():
            if decision.label is not None:
                counts[label_set][decision.by] += 1
    return counts


def _by_name(counts: Mapping[LabelSet, Mapping[Labeller, int]]) -> dict[str, Mapping[Labeller, int]]:
    return {label_set.value: by for label_set, by in counts.items()}
