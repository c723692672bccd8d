"""Training a tenant's classifiers, comparing them with those in use, and switching. `LabelService` (labels.py) has it.

A first classifier is used from the start. Later ones are compared with the one in use on the examples that came after that one's
training: neither learned from these, since the new one judges each as held out. The better one is used; `switch` chooses by hand.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from cachetools import LRUCache

from hubbub.calculations import wilson_lower
from hubbub.control.control import Control
from hubbub.control.label_classifiers import LabelClassifiers, Trained
from hubbub.control.label_configurations import LabelConfigurations, Version
from hubbub.control.label_examples import Example, LabelExamples
from hubbub.errors import BadInputError, NotFoundError
from hubbub.labels.configuration import set_named
from hubbub.labels.extra import lacking, require
from hubbub.labels.labelling import Guess
from hubbub.labels.reasons import Reasons
from hubbub.labels.report import SURE, LabelReport
from hubbub.model.label import LabelSet
from hubbub.model.plain import JsonObject

if TYPE_CHECKING:
    from hubbub.labels.classifier import Classifier

FEWEST_COMPARED = 10
"""Fewest examples, unknown to both, that a comparison needs."""
IN_MEMORY = 8
"""Most classifiers in memory."""


@dataclass(frozen=True, slots=True)
class ClassifierView:
    """A trained classifier, and its results on held-out messages."""

    classifier: int
    """Its number."""
    set: str
    """The label set."""
    made_at: datetime
    """When it was trained."""
    examples: int
    """Messages labelled by people that it learned from."""
    accuracy: float | None
    """Share of the held-out messages with the right label."""
    counted: float | None
    """Share of them with enough confidence to count."""
    precision: float | None
    """Share of those with the right label."""
    precision_low: float | None
    """Lower end of that share with 90 % confidence; null: none counts."""
    labels: Sequence[LabelReport]
    """The results of each label."""
    left_out: Sequence[str]
    """Labels with too few examples."""


@dataclass(frozen=True, slots=True)
class Compared:
    """How often a new classifier and the one in use are right on examples that neither learned from."""

    examples: int
    right: int
    classifier_in_use: int
    right_in_use: int


@dataclass(frozen=True, slots=True)
class TrainedClassifier(ClassifierView):
    """A new classifier: whether it is used, and its comparison with the one before, if any."""

    used: bool
    compared: Compared | None


@dataclass(frozen=True, slots=True)
class Switched:
    """The classifier of a set now in use (None: none), and the new version."""

    tenant: str
    set: str
    classifier: int | None
    version: int


class Ready:
    """A classifier that is loaded on first use."""

    def __init__(
        self, store: LabelClassifiers, tenant: str, number: int, ready: LRUCache[int, Any], lock: threading.Lock
    ) -> None:
        self.name = str(number)
        self._store, self._tenant, self._number, self._ready, self._lock = store, tenant, number, ready, lock

    def guess(self, texts: Sequence[str]) -> list[Guess]:
        """Return a guess for each text. Raises BadSettingError without the extra."""
        return self._classifier().guess(texts) if texts else []

    def reasons(self, texts: Sequence[str], labels: Sequence[str | None]) -> list[Reasons]:
        """Return the reasons for each text's label; none without the extra."""
        return self._classifier().reasons(texts, labels) if lacking() is None else [Reasons()] * len(texts)

    def _classifier(self) -> Classifier:
        with self._lock:
            classifier: Classifier | None = self._ready.get(self._number)
        if classifier is None:
            require()
            from hubbub.labels.classifier import Classifier

            classifier = Classifier.of(self._store.body(self._tenant, self._number))
            with self._lock:
                self._ready[self._number] = classifier
        return classifier


class Training:
    """Classifiers of all tenants."""

    def __init__(
        self,
        control: Control,
        configurations: LabelConfigurations,
        examples: LabelExamples,
        classifiers: LabelClassifiers,
    ) -> None:
        self._control, self._configurations, self._examples, self._store = (
            control,
            configurations,
            examples,
            classifiers,
        )
        self._ready: LRUCache[int, Any] = LRUCache(IN_MEMORY)
        self._lock = threading.Lock()

    def in_use(self, tenant: str, version: Version) -> dict[LabelSet, Ready]:
        """Return the classifiers of a version, by set."""
        return {
            LabelSet(name): Ready(self._store, tenant, number, self._ready, self._lock)
            for name, number in version.classifiers.items()
        }

    def train(
        self, tenant: str, label_set: str, precision: float, names: Sequence[str], by: str = ""
    ) -> TrainedClassifier:
        """Train a classifier from people's labels, and use it unless it is worse than the one in use.

        `names` are the set's labels: examples of others are left out. Raises BadInputError for too few examples, BadSettingError
        without the extra.
        """
        require()
        from hubbub.labels.training import train

        chosen = set_named(label_set)
        known = set(names)
        usable = [
            example for example in self._examples.of(tenant, chosen) if example.label in known and example.body.text
        ]
        usable.reverse()
        learned = train(
            [example.body.text for example in usable], [example.label or "" for example in usable], precision
        )
        report = asdict(learned.report)
        judged = dict(zip(learned.learned, report.pop("judged"), strict=True))
        last = max((example.number for example in usable), default=0)
        number = self._store.put(tenant, chosen, learned.classifier.as_bytes(), report, last)
        version = self._configurations.current(tenant)
        compared = self._compared(tenant, version, chosen, usable, judged)
        used = compared is None or (compared.examples >= FEWEST_COMPARED and compared.right >= compared.right_in_use)
        if used:
            self._use(tenant, version, chosen, number, by)
        trained = next(example for example in self._store.of(tenant) if example.number == number)
        return TrainedClassifier(**_values(trained), used=used, compared=compared)

    def _compared(
        self,
        tenant: str,
        version: Version,
        label_set: LabelSet,
        examples: Sequence[Example],
        judged: Mapping[int, bool],
    ) -> Compared | None:
        """Return how often the new classifier and the one in use are right on examples that neither learned from."""
        number = version.classifiers.get(label_set.value)
        if number is None:
            return None
        before = next(trained for trained in self._store.of(tenant) if trained.number == number)
        later = [
            place for place, example in enumerate(examples) if example.number > before.last_example and place in judged
        ]
        guesses = self.in_use(tenant, version)[label_set].guess([examples[place].body.text for place in later])
        return Compared(
            len(later), sum(judged[place] for place in later), number,
            sum(g.label == examples[p].label for g, p in zip(guesses, later, strict=True)),
        )  # fmt: skip

    def switch(self, tenant: str, label_set: str, number: int | None, by: str = "") -> Switched:
        """Use a classifier for a set, or none. Raises NotFoundError."""
        owner, chosen = self._control.tenant(tenant), set_named(label_set)
        of_set = {trained.number: trained for trained in self._store.of(owner.id) if trained.label_set == chosen}
        if number is not None and number not in of_set:
            raise NotFoundError(f"there is no classifier {number} of {chosen}")
        version = self._use(owner.id, self._configurations.current(owner.id), chosen, number, by)
        return Switched(owner.id, chosen.value, number, version.number)

    def _use(self, tenant: str, version: Version, label_set: LabelSet, number: int | None, by: str) -> Version:
        if not version.number:
            raise BadInputError(
                "the starter has only rules: give the tenant its own labels first ('hubbub labels set')"
            )
        others = {name: n for name, n in version.classifiers.items() if name != label_set}
        used = others | ({label_set.value: number} if number is not None else {})
        description = f"{label_set}: classifier {number}" if number is not None else f"{label_set}: no classifier"
        return self._configurations.add(tenant, version, version.document, used, description, by)

    def classifiers(self, tenant: str) -> list[ClassifierView]:
        """Return a tenant's classifiers, newest first, with their reports."""
        return [ClassifierView(**_values(trained)) for trained in self._store.of(self._control.tenant(tenant).id)]


def _values(trained: Trained) -> JsonObject:
    """Return the fields of a classifier's view, with its shares."""
    report = trained.report
    examples, sure = report["examples"], report["sure"]
    return {
        "classifier": trained.number, "set": trained.label_set, "made_at": trained.made_at, "examples": examples,
        "accuracy": report["right"] / examples if examples else None, "counted": sure / examples if examples else None,
        "precision": report["sure_right"] / sure if sure else None,
        "precision_low": wilson_lower(report["sure_right"], sure, SURE),
        "labels": [LabelReport(*label.values()) for label in report["labels"]], "left_out": report["left_out"],
    }  # fmt: skip
