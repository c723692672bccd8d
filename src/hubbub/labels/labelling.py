"""Who labels a message: a person's word, its source's own, the rules, the classifier, the endpoint; else nobody does.

The order is that of authority, set by set. What a classifier is not sure enough of stays unlabelled, with its guess beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from hubbub.labels.configuration import Configuration, LabelSet
from hubbub.labels.decision import Decision, Decisions, Labeller, Message
from hubbub.labels.rules import Rules

Said = Mapping[str, Mapping[str, str]]
"""What people said: by message, the label by set."""


@dataclass(frozen=True, slots=True)
class Guess:
    """What a classifier or an endpoint says of a text. `sure`: sure enough to be counted."""

    label: str | None
    confidence: float | None
    sure: bool


class Guesser(Protocol):
    """Says of texts which label of a set they have."""

    def guess(self, texts: Sequence[str]) -> list[Guess]:
        """Return a guess for each text."""


class Labelling:
    """Decides under one version of a tenant's configuration. `said` looks up what people said of messages."""

    def __init__(
        self,
        version: int,
        configuration: Configuration,
        classifiers: Mapping[LabelSet, Guesser],
        said: Callable[[Sequence[str]], Said],
        endpoint: Mapping[LabelSet, Guesser] | None = None,
    ) -> None:
        self.version, self.configuration = version, configuration
        self._rules = Rules(configuration)
        self._guessers = (Labeller.CLASSIFIER, classifiers), (Labeller.ENDPOINT, endpoint or {})
        self._said = said
        self._sets = [one for one in LabelSet if configuration.sets.get(one)]

    def decide(self, messages: Sequence[Message]) -> list[Decisions]:
        """Return what is decided of each message; sets that its source labelled are left to it."""
        said = self._said([one.key for one in messages])
        found = [self._certain(one, said.get(one.key, {})) for one in messages]
        for by, guessers in self._guessers:
            for label_set, guesser in guessers.items():
                self._guess(by, label_set, guesser, messages, found)
        for one, mine in zip(messages, found, strict=True):
            for label_set in self._sets:
                if label_set not in mine and label_set not in one.given and label_set is not LabelSet.ESCALATION:
                    mine[label_set] = Decision(None, Labeller.RULES, self.version, None)
        return list(found)

    def _certain(self, message: Message, said: Mapping[str, str]) -> dict[LabelSet, Decision]:
        """Return what people said of a message, else its rules."""
        by_people = {LabelSet(name): label for name, label in said.items()}
        found = {}
        for by, labels in ((Labeller.PERSON, by_people), (Labeller.RULES, self._rules.labels(message.text))):
            for label_set in self._sets:
                if label_set in labels and label_set not in found and label_set not in message.given:
                    found[label_set] = Decision(labels[label_set], by, self.version)
        return found

    def _guess(
        self, by: Labeller, label_set: LabelSet, guesser: Guesser, messages: Sequence[Message],
        found: Sequence[dict[LabelSet, Decision]],
    ) -> None:  # fmt: skip
        """Let a guesser say what nobody before it was sure of."""
        places = [
            place for place, one in enumerate(messages)
            if label_set not in one.given and (label_set not in found[place] or found[place][label_set].label is None)
        ]  # fmt: skip
        for place, guess in zip(places, guesser.guess([messages[place].text for place in places]), strict=True):
            if guess.sure:
                found[place][label_set] = Decision(guess.label, by, self.version, guess.confidence)
            elif guess.label is not None and label_set not in found[place]:
                found[place][label_set] = Decision(None, by, self.version, guess.confidence, guess.label)
