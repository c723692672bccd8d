"""Labels: what a tenant labels, labelling what arrives and what is stored. What people say of labels is in `label_review.py`."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import msgspec

from hubbub.clock import Clock
from hubbub.control.control import Control
from hubbub.control.database import Database
from hubbub.control.encryption import Encryption
from hubbub.control.label_answers import LabelAnswers
from hubbub.control.label_classifiers import LabelClassifiers
from hubbub.control.label_configurations import LabelConfigurations, Version
from hubbub.control.label_examples import LabelExamples
from hubbub.errors import BadInputError, BadQuestionError, HubbubError
from hubbub.facts.moments import micros
from hubbub.facts.refresh import refresh
from hubbub.ingest.accept import Outcome
from hubbub.labels import stored
from hubbub.labels.as_events import FIELDS, Stored, renamed, revised
from hubbub.labels.configuration import Configuration, LabelSet, read, set_named, starter
from hubbub.labels.decision import Decisions, Labeller, Message
from hubbub.labels.labelling import Labelling
from hubbub.model.event import NOTHING, Event, Item
from hubbub.model.question import parse_moment
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
        self.review = LabelReview(store, control, self.examples, self._names, self._relabel)

    # --- what is labelled

    def of(self, tenant: str) -> LabelsView:
        """Return a tenant's label sets with their labels and rules, in order, and the versions that they had, newest first."""
        one = self._control.tenant(tenant)
        version = self.configurations.current(one.id)
        versions = [VersionView(v.number, v.what, v.made_by, v.made_at) for v in self.configurations.versions(one.id)]
        return LabelsView(
            one.id, version.number, version.number == 0, self.configuration(version).document(), version.classifiers,
            self._training.classifiers(one.id), versions,
        )  # fmt: skip

    def replace(self, tenant: str, document: Mapping[str, Any], by: str = "") -> LabelsView:
        """Give a tenant its labels and rules, in place of those it had; sets that it does not name are the starter's.

        Numbers follow when `run` has labelled what is stored. Raises BadInputError naming the place.
        """
        one = self._control.tenant(tenant)
        before = self.configurations.current(one.id)
        self._change(one, before, read(document), "labels and rules", by)
        return self.of(one.id)

    def add(self, tenant: str, label_set: str, label: str, by: str = "") -> LabelsView:
        """Add a label without rules to a set; one that is there stays."""
        one, chosen = self._control.tenant(tenant), set_named(label_set)
        before = self.configurations.current(one.id)
        after = self.configuration(before).with_label(chosen, label)
        self._change(one, before, after, f"{chosen}: {label!r} was added", by)
        return self.of(one.id)

    def rename(self, tenant: str, label_set: str, label: str, to: str, by: str = "") -> Renamed:
        """Give a label another name, in all that was ever labelled here; one that is there already takes it in.

        What a source classified itself keeps the source's word.
        """
        one, chosen = self._control.tenant(tenant), set_named(label_set)
        before = self.configurations.current(one.id)
        after = self.configuration(before).renamed(chosen, label, to)
        version = self._change(one, before, after, f"{chosen}: {label!r} is {to!r} now", by)
        examples = self.examples.rename(one.id, chosen, label, to)
        refresh(self._store, one.no)
        rows = list(stored.labelled(self._store, one.no, chosen, 0, FOREVER, label))
        changed = self._take(one, renamed(rows, chosen, to, version.number))
        return Renamed(one.id, version.number, changed, examples)

    def configuration(self, version: Version) -> Configuration:
        """Return the configuration of a version; the starter's where a tenant has none of its own."""
        return read(version.document) if version.number else starter()

    def _change(self, tenant: Tenant, before: Version, after: Configuration, what: str, by: str) -> Version:
        document = after.document()
        if before.number and document == dict(before.document):
            return before
        return self.configurations.add(tenant.id, before, document, before.classifiers, what, by)

    # --- labelling

    def try_text(self, tenant: str, text: str) -> Tried:
        """Say how a text would be labelled now, by whom and how surely; nothing of it is kept."""
        one = self._control.tenant(tenant)
        if not text.strip() or len(text) > MOST_TEXT:
            raise BadInputError(f"text: give 1 to {MOST_TEXT} characters")
        labelling = self.labelling(one)
        (decisions,) = labelling.decide([Message("", 0, text)])
        rows = [TriedLabel(set_, d.label, d.by, d.confidence, d.guess) for set_, d in decisions.items()]
        return Tried(labelling.version, rows)

    def labelling(self, tenant: Tenant, *, asks: bool = False) -> Labelling:
        """Return what decides for a tenant under the version in force; `asks`: a model may be asked, within the budget."""
        version = self.configurations.current(tenant.id)
        own = self.configuration(version)
        return Labelling(
            version.number, own, self._training.in_use(tenant.id, version),
            lambda keys: self.examples.labels_of(tenant.id, keys), self._endpoint.guessers(tenant.id, own, asks=asks),
        )  # fmt: skip

    def train(self, tenant: str, label_set: str, by: str = "") -> TrainedClassifier:
        """Train a classifier of a set by what people said; see `Training.train`. Labelling again is for `run`."""
        one, chosen = self._control.tenant(tenant), set_named(label_set)
        own = self.configuration(self.configurations.current(one.id))
        return self._training.train(one.id, chosen, own.precision, own.names(chosen), by)

    def switch(self, tenant: str, label_set: str, classifier: int | None, by: str = "") -> Switched:
        """Use another classifier of a set, or none; labelling again is for `run`."""
        return self._training.switch(tenant, label_set, classifier, by)

    def run_all(self) -> LabelRuns:
        """Label the stored messages of all tenants that have labels of their own; one that fails stops no other."""
        tenants = [one for one in self.configurations.tenants() if one in self._control.tenants()]
        changed, errors = 0, {}
        for tenant in tenants:
            try:
                changed += self.run(tenant).changed
            except HubbubError as error:
                errors[tenant] = error.message
        return LabelRuns(len(tenants) - len(errors), changed, errors)

    def run(self, tenant: str, start: str | None = None, end: str | None = None) -> LabelRun:
        """Label all messages of a range whose text is stored, under the version in force; dates are the tenant's days.

        Without dates all of them. What is labelled so already stays; running it again changes nothing. Raises BadQuestionError.
        """
        one = self._control.tenant(tenant)
        low = micros(parse_moment(start, one.zone)) if start else 0
        high = micros(parse_moment(end, one.zone)) if end else micros(self._clock() + timedelta(days=2))
        if low >= high:
            raise BadQuestionError("'from' must lie before 'to': the range is [from, to)")
        refresh(self._store, one.no)
        labelling = self.labelling(one, asks=True)
        looked_at = changed = 0
        by = _no_labels()
        for some in stored.messages(self._store, one.no, low, high):
            found = self._label(one, labelling, some)
            looked_at, changed = looked_at + found.looked_at, changed + found.changed
            for label_set, counts in by.items():
                counts.update(getattr(found, label_set))
        refresh(self._store, one.no)
        return LabelRun(looked_at, changed, **_by_name(by), tenant=one.id, version=labelling.version)

    def label_arrived(self, tenant: str, items: Sequence[Item]) -> Labelled:
        """Label messages that were just accepted, by texts that may not be stored."""
        one = self._control.tenant(tenant)
        return self.label(items, one, self.labelling(one))

    def label(self, items: Sequence[Item], tenant: Tenant, labelling: Labelling) -> Labelled:
        """Label the messages among accepted events as `labelling` decides."""
        found = [
            message for item in items
            if isinstance(item, Event) and item.time.tzinfo is not None
            and (message := stored.message_of(item, micros(item.time))) is not None
        ]  # fmt: skip
        refresh(self._store, tenant.no)
        return self._label(tenant, labelling, found)

    def _label(self, tenant: Tenant, labelling: Labelling, messages: Sequence[Message]) -> Labelled:
        """Decide of messages and store what differs from the labels they have."""
        decisions = labelling.decide(messages)
        there = stored.labels(self._store, tenant.no, messages)
        events = [
            event
            for message, decided in zip(messages, decisions, strict=True)
            for event in self.events_of(tenant, message, decided, there.get(message.key, {}), labelling.version)
        ]
        return Labelled(len(messages), self._take(tenant, events), **_by_name(_counted(decisions)))

    def events_of(
        self, tenant: Tenant, message: Message, decided: Decisions, there: Mapping[str, Stored], version: int
    ) -> list[Event]:
        """Return the events by which a message's stored labels say what was decided."""
        return revised(message, decided, there, lambda text: self._text_digest(tenant.id, text), version)

    def _names(self, tenant: Tenant, label_set: LabelSet) -> list[str]:
        return self.configuration(self.configurations.current(tenant.id)).names(label_set)

    def _relabel(self, tenant: Tenant, message: Message) -> int:
        """Label one message as things are now; returns how many of its labels are others."""
        refresh(self._store, tenant.no)
        return self._label(tenant, self.labelling(tenant), [message]).changed

    def _take(self, tenant: Tenant, events: Sequence[Event]) -> int:
        """Store label events; returns how many labels are others now."""
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
    """Return events without the texts of their messages, which were kept in memory to be labelled."""
    return [
        _without_text(item) if isinstance(item, Event) and item.attributes is not NOTHING else item for item in items
    ]


def _without_text(event: Event) -> Event:
    said = stored.attributes_of(event.attributes)
    if "text" not in said:
        return event
    left = {name: value for name, value in said.items() if name != "text"}
    return msgspec.structs.replace(event, attributes=msgspec.Raw(msgspec.json.encode(left)) if left else NOTHING)


def _no_labels() -> dict[LabelSet, Counter[Labeller]]:
    return {one: Counter() for one in FIELDS}


def _counted(decisions: Sequence[Decisions]) -> dict[LabelSet, Counter[Labeller]]:
    found = _no_labels()
    for decided in decisions:
        for label_set, decision in decided.items():
            if decision.label is not None:
                found[label_set][decision.by] += 1
    return found


def _by_name(counts: Mapping[LabelSet, Mapping[Labeller, int]]) -> dict[str, Mapping[Labeller, int]]:
    return {label_set.value: by for label_set, by in counts.items()}
