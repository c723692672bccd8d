"""Rules: labels by words, phrases and patterns. In each set the label with most matches wins."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

from hubbub.labels.configuration import Configuration, LabelSet
from hubbub.labels.patterns import matches

LONGEST_TEXT = 4000
"""Characters of a text that rules and classifiers read; requests are at the beginning."""

_WORD = re.compile(r"\w+(?:['’]\w+)*")
Place = tuple[LabelSet, str]


def words_of(text: str) -> list[str]:
    """Return a text's words in lower case."""
    return _WORD.findall(text[:LONGEST_TEXT].casefold().replace("’", "'"))


class Rules:
    """The prepared rules of a configuration: a text is read once for all words."""

    def __init__(self, configuration: Configuration) -> None:
        self._phrases: dict[str, list[tuple[tuple[str, ...], Place]]] = defaultdict(list)
        """First word -> phrases."""
        self._patterns: list[tuple[str, Place]] = []
        self._order: dict[Place, int] = {}
        for label_set, labels in configuration.sets.items():
            for label in labels:
                place = label_set, label.name
                self._order[place] = len(self._order)
                for words in filter(None, map(words_of, label.words)):
                    self._phrases[words[0]].append((tuple(words), place))
                self._patterns += [(pattern, place) for pattern in label.patterns]

    def labels(self, text: str) -> Mapping[LabelSet, str]:
        """Return the label of each set for a text; a set without a match is absent.

        With equally many matches the first label of the configuration wins.
        """
        counts: Counter[Place] = Counter(self._said(text))
        best: dict[LabelSet, str] = {}
        for label_set, name in sorted(counts, key=lambda place: (-counts[place], self._order[place])):
            best.setdefault(label_set, name)
        return best

    def _said(self, text: str) -> Iterator[Place]:
        words = words_of(text)
        for at, word in enumerate(words):
            for phrase, place in self._phrases.get(word, ()):
                if tuple(words[at : at + len(phrase)]) == phrase:
                    yield place
        beginning = text[:LONGEST_TEXT]
        yield from (place for pattern, place in self._patterns if matches(pattern, beginning))
