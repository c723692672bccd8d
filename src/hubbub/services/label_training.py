"""Training a tenant's classifiers, comparing them with those in use, and switching. `LabelService` (labels.py) has one.

A new classifier is used from the start where there was none. Otherwise both are held against the examples that came after the one
in use was trained: neither learned from these, since the new one judges each as held out. The better one is used; `switch` chooses
by hand.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from cachetools import LRUCache

from hubbub.control.control import Control
from hubbub.control.label_classifiers import LabelClassifiers, Trained
from hubbub.control.label_configurations import LabelConfigurations, Version
from hubbub.control.label_examples import Example, LabelExamples
from hubbub.errors import BadInputError, NotFoundError
from hubbub.labels.configuration import LabelSet, set_named
from hubbub.labels.labelling import Guess, Guesser
from hubbub.labels.report import LabelReport

FEWEST_COMPARED = 10
"""Examples that both have not learned from, which a comparison needs."""
IN_MEMORY = 8
"""Classifiers that are held ready."""


@dataclass(frozen=True, slots=True)
class ClassifierView:
    """A trained classifier, and how it did on messages that it had not seen."""

    classifier: int
    """Its number."""
    set: str
    """The label set."""
    made_at: datetime
    """When it was trained."""
    examples: int
    """Messages labelled by people that it learned from."""
    accuracy: float | None
    """Share of the held-out messages that it labelled rightly."""
    counted: float | None
    """Share of them of which it is sure enough to count."""
    precision: float | None
    """Share of those that it labelled rightly."""
    labels: Sequence[LabelReport]
    """How each label did."""
    left_out: Sequence[str]
    """Labels with too few examples to be learned."""


@dataclass(frozen=True, slots=True)
class Compared:
    """How often a new classifier and the one in use are right of examples that neither learned from."""

    examples: int
    right: int
    classifier_in_use: int
    right_in_use: int


@dataclass(frozen=True, slots=True)
class TrainedClassifier(ClassifierView):
    """A classifier that was just trained: whether it is used, and how it compares with the one before, if there was one."""

    used: bool
    compared: Compared | None


@dataclass(frozen=True, slots=True)
class Switched:
    """Which classifier of a set is used now (None: none), and the version that says so."""

    tenant: str
    set: str
    classifier: int | None
    version: int


class Ready:
    """A classifier that is loaded when it is first asked."""

    def __init__(
        self, store: LabelClassifiers, tenant: str, number: int, ready: LRUCache[int, Any], lock: threading.Lock
    ) -> None:
        self._store, self._tenant, self._number, self._ready, self._lock = store, tenant, number, ready, lock

    def guess(self, texts: Sequence[str]) -> list[Guess]:
        """Return a guess for each text. Raises BadSettingError without the extra."""
        if not texts:
            return []
        with self._lock:
            found = self._ready.get(self._number)
        if found is None:
            from hubbub.labels.classifier import Classifier

            found = Classifier.of(self._store.body(self._tenant, self._number))
            with self._lock:
                self._ready[self._number] = found
        guesses: list[Guess] = found.guess(texts)
        return guesses


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

    def in_use(self, tenant: str, version: Version) -> dict[LabelSet, Guesser]:
        """Return the classifiers of a version, by set."""
        return {
            LabelSet(name): Ready(self._store, tenant, number, self._ready, self._lock)
            for name, number in version.classifiers.items()
        }

    def train(
        self, tenant: str, label_set: str, precision: float, names: Sequence[str], by: str = ""
    ) -> TrainedClassifier:
        """Train a classifier by what people said, and use it where it is not worse than the one in use.

        `names` are the set's labels: an example of another is left out.
        Raises BadInputError for too few examples, BadSettingError without the extra.
        """
        from hubbub.labels.training import train

        chosen = set_named(label_set)
        known = set(names)
        found = [one for one in self._examples.of(tenant, chosen) if one.label in known]
        found.reverse()
        learned = train([one.body.text for one in found], [one.label or "" for one in found], precision)
        report = asdict(learned.report)
        judged = dict(zip(learned.learned, report.pop("judged"), strict=True))
        last = max((one.number for one in found), default=0)
        number = self._store.put(tenant, chosen, learned.classifier.as_bytes(), report, last)
        version = self._configurations.current(tenant)
        compared = self._compared(tenant, version, chosen, found, judged)
        used = compared is None or (compared.examples >= FEWEST_COMPARED and compared.right >= compared.right_in_use)
        if used:
            self._use(tenant, version, chosen, number, by)
        made = next(one for one in self._store.of(tenant) if one.number == number)
        return TrainedClassifier(**_values(made), used=used, compared=compared)

    def _compared(
        self,
        tenant: str,
        version: Version,
        label_set: LabelSet,
        examples: Sequence[Example],
        judged: Mapping[int, bool],
    ) -> Compared | None:
        """Return how often the new classifier and the one in use are right of examples that neither learned from."""
        number = version.classifiers.get(label_set.value)
        if number is None:
            return None
        before = next(one for one in self._store.of(tenant) if one.number == number)
        later = [place for place, one in enumerate(examples) if one.number > before.last_example and place in judged]
        guesses = self.in_use(tenant, version)[label_set].guess([examples[place].body.text for place in later])
        return Compared(
            len(later), sum(judged[place] for place in later), number,
            sum(g.label == examples[p].label for g, p in zip(guesses, later, strict=True)),
        )  # fmt: skip

    def switch(self, tenant: str, label_set: str, number: int | None, by: str = "") -> Switched:
        """Use a classifier for a set, or none. Raises NotFoundError."""
        one, chosen = self._control.tenant(tenant), set_named(label_set)
        mine = {trained.number: trained for trained in self._store.of(one.id) if trained.label_set == chosen}
        if number is not None and number not in mine:
            raise NotFoundError(f"there is no classifier {number} of {chosen}")
        version = self._use(one.id, self._configurations.current(one.id), chosen, number, by)
        return Switched(one.id, chosen.value, number, version.number)

    def _use(self, tenant: str, version: Version, label_set: LabelSet, number: int | None, by: str) -> Version:
        if not version.number:
            raise BadInputError(
                "the starter has rules alone: give the tenant labels of its own first ('hubbub labels set')"
            )
        kept = {name: n for name, n in version.classifiers.items() if name != label_set}
        used = kept | ({label_set.value: number} if number is not None else {})
        what = f"{label_set}: classifier {number}" if number is not None else f"{label_set}: no classifier"
        return self._configurations.add(tenant, version, version.document, used, what, by)

    def classifiers(self, tenant: str) -> list[ClassifierView]:
        """Return a tenant's classifiers, newest first, with their reports."""
        return [ClassifierView(**_values(one)) for one in self._store.of(self._control.tenant(tenant).id)]


def _values(one: Trained) -> dict[str, Any]:
    """Return the fields of a classifier's view, with the shares that people ask for."""
    report = one.report
    examples, sure = report["examples"], report["sure"]
    return {
        "classifier": one.number, "set": one.label_set, "made_at": one.made_at, "examples": examples,
        "accuracy": report["right"] / examples if examples else None, "counted": sure / examples if examples else None,
        "precision": report["sure_right"] / sure if sure else None,
        "labels": [LabelReport(**label) for label in report["labels"]], "left_out": report["left_out"],
    }  # fmt: skip
