"""Who labels a message: a person, its source, the rules, the classifier or the endpoint, in this order, set by set.

A message without a certain label stays unlabelled, with the guess beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from hubbub.control.label_examples import PersonLabel
from hubbub.labels.configuration import Configuration
from hubbub.labels.decision import Decision, Decisions, Message
from hubbub.labels.reasons import Reasons
from hubbub.labels.rules import Rules
from hubbub.model.label import Labeller, LabelSet
from hubbub.model.readable import readable

PeoplesLabels = Mapping[str, Mapping[str, PersonLabel]]
"""Labels by people: message -> set -> label."""


@dataclass(frozen=True, slots=True)
class Guess:
    """A guess of a classifier or endpoint. `sure`: enough to count."""

    label: str | None
    confidence: float | None
    sure: bool


class Guesser(Protocol):
    """Guesses the labels of texts in one set. `name`: the number of a classifier, or the model."""

    name: str

    def guess(self, texts: Sequence[str]) -> list[Guess]:
        """Return a guess for each text."""


class LearnedGuesser(Guesser, Protocol):
    """A guesser that gives its reasons: a tenant's classifier."""

    def reasons(self, texts: Sequence[str], labels: Sequence[str | None]) -> list[Reasons]:
        """Return for each text the likeliest labels, and the words that speak for its given label (None: no words)."""


class Labelling:
    """Decides under one version of a tenant's configuration. `by_people` looks up the labels that people gave."""

    def __init__(
        self,
        version: int,
        configuration: Configuration,
        classifiers: Mapping[LabelSet, LearnedGuesser],
        by_people: Callable[[Sequence[str]], PeoplesLabels],
        endpoint: Mapping[LabelSet, Guesser] | None = None,
    ) -> None:
        self.version, self.configuration = version, configuration
        self._rules = Rules(configuration)
        self._classifiers = classifiers
        self._guessers: tuple[tuple[Labeller, Mapping[LabelSet, Guesser]], ...] = (
            (Labeller.CLASSIFIER, classifiers), (Labeller.ENDPOINT, endpoint or {})
        )  # fmt: skip
        self._by_people = by_people
        self._sets = [label_set for label_set in LabelSet if configuration.sets.get(label_set)]

    def decide(self, messages: Sequence[Message]) -> list[Decisions]:
        """Return the decisions on each message; sets that its source labelled are left out."""
        by_people = self._by_people([message.key for message in messages])
        decisions = [self._certain(message, by_people.get(message.key, {})) for message in messages]
        for by, guessers in self._guessers:
            for label_set, guesser in guessers.items():
                self._guess(by, label_set, guesser, messages, decisions)
        for message, own in zip(messages, decisions, strict=True):
            for label_set in self._sets:
                if label_set not in own and label_set not in message.given and label_set is not LabelSet.ESCALATION:
                    own[label_set] = Decision(None, Labeller.RULES, self.version, None)
        return list(decisions)

    def without_text(self, message: Message, before: Decisions) -> Decisions:
        """Return the decisions on a message without a text: people's labels, and earlier ones that no person gave."""
        people = self._by_people([message.key]).get(message.key, {})
        decided = {
            label_set: Decision(None, Labeller.RULES, self.version, None) if earlier.by is Labeller.PERSON else earlier
            for label_set, earlier in before.items()
        }
        for label_set in self._sets:
            if (by_person := people.get(label_set)) is not None:
                decided[label_set] = Decision(by_person.label, Labeller.PERSON, self.version, who=by_person.by or None)
        return decided

    def reasons(self, label_set: LabelSet, texts: Sequence[str], labels: Sequence[str | None]) -> list[Reasons]:
        """Return why each text may have its label: the matching rule with its words, else the words that led the classifier."""
        classifier = self._classifiers.get(label_set)
        learned = classifier.reasons(texts, labels) if classifier is not None else [Reasons()] * len(texts)
        return [
            self._with_rule(own, label_set, text, label)
            for own, text, label in zip(learned, texts, labels, strict=True)
        ]

    def _with_rule(self, learned: Reasons, label_set: LabelSet, text: str, label: str | None) -> Reasons:
        rule = self._rules.matched(text, label_set, label) if label is not None else None
        if rule is None:
            return learned
        return replace(learned, rule=rule, spans=self._rules.spans(text, label_set, rule.label) or learned.spans)

    def _certain(self, message: Message, people: Mapping[str, PersonLabel]) -> dict[LabelSet, Decision]:
        """Return the labels of people, else of the rules."""
        by_rules = self._rules.labels(readable(message.text))
        decisions = {}
        for label_set in self._sets:
            if label_set in message.given:
                continue
            if (by_person := people.get(label_set)) is not None:
                decisions[label_set] = Decision(
                    by_person.label, Labeller.PERSON, self.version, who=by_person.by or None
                )
            elif label_set in by_rules:
                decisions[label_set] = Decision(by_rules[label_set], Labeller.RULES, self.version)
        return decisions

    def _guess(
        self, by: Labeller, label_set: LabelSet, guesser: Guesser, messages: Sequence[Message],
        decisions: Sequence[dict[LabelSet, Decision]],
    ) -> None:  # fmt: skip
        """Add the guesses for sets without a certain label."""
        places = [
            place for place, message in enumerate(messages)
            if label_set not in message.given and (label_set not in decisions[place] or decisions[place][label_set].label is None)
        ]  # fmt: skip
        for place, guess in zip(places, guesser.guess([messages[place].text for place in places]), strict=True):
            if guess.sure:
                decisions[place][label_set] = Decision(
                    guess.label, by, self.version, guess.confidence, who=guesser.name
                )
            elif guess.label is not None and label_set not in decisions[place]:
                decisions[place][label_set] = Decision(
                    None, by, self.version, guess.confidence, guess.label, guesser.name
                )
