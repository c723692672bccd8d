"""Rules: labels by words, phrases and patterns. In each set the label with most matches wins."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from hubbub.labels.configuration import Configuration
from hubbub.labels.patterns import matches, spans
from hubbub.labels.reasons import MatchedRule, Span, joined
from hubbub.model.label import LabelSet

LONGEST_TEXT = 4000
"""Characters of a text that rules and classifiers read; requests are at the beginning."""

_WORD = re.compile(r"\w+(?:['’]\w+)*")
_MARKS = re.compile(r"<[^<>]*>|https?://\S+|:[\w+'-]+:|[\w.+-]+@[\w-]+\.\S+")
Place = tuple[LabelSet, str]


def plain_text(text: str) -> str:
    """Return a text without mentions, links, addresses and emoji codes."""
    return " ".join(_MARKS.sub(" ", text[:LONGEST_TEXT]).split())


def words_of(text: str) -> list[str]:
    """Return a text's words in lower case."""
    return _WORD.findall(text[:LONGEST_TEXT].casefold().replace("’", "'"))


def placed_words(text: str) -> list[tuple[str, Span]]:
    """Return the words of `words_of`, each with its place in the text; in lower case a character may become several."""
    folded = [(part, at) for at, character in enumerate(text[:LONGEST_TEXT]) for part in character.casefold()]
    lower = "".join(part for part, _ in folded).replace("’", "'")
    return [
        (word.group(), Span(folded[word.start()][1], folded[word.end() - 1][1] + 1)) for word in _WORD.finditer(lower)
    ]


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
        counts: Counter[Place] = Counter(self._matches(text))
        best: dict[LabelSet, str] = {}
        for label_set, name in sorted(counts, key=lambda place: (-counts[place], self._order[place])):
            best.setdefault(label_set, name)
        return best

    def spans(self, text: str, label_set: LabelSet, label: str) -> tuple[Span, ...]:
        """Return the parts of a text that match the rule of a label."""
        placed, wanted = placed_words(text), (label_set, label)
        words = [
            Span(placed[first][1].start, placed[last][1].end)
            for first, last, place in self._phrases_in([word for word, _ in placed]) if place == wanted
        ]  # fmt: skip
        patterns = [pattern for pattern, place in self._patterns if place == wanted]
        return joined([*words, *(span for pattern in patterns for span in spans(pattern, text[:LONGEST_TEXT]))])

    def matched(self, text: str, label_set: LabelSet, label: str) -> MatchedRule | None:
        """Return which words and patterns of a label's rule a text has; None if none."""
        words, wanted = words_of(text), (label_set, label)
        phrases = [
            " ".join(words[first : last + 1]) for first, last, place in self._phrases_in(words) if place == wanted
        ]
        beginning = text[:LONGEST_TEXT]
        patterns = [p for p, place in self._patterns if place == wanted and matches(p, beginning)]
        if not phrases and not patterns:
            return None
        return MatchedRule(label, tuple(dict.fromkeys(phrases)), tuple(patterns))

    def _matches(self, text: str) -> Iterator[Place]:
        yield from (place for _, _, place in self._phrases_in(words_of(text)))
        beginning = text[:LONGEST_TEXT]
        yield from (place for pattern, place in self._patterns if matches(pattern, beginning))

    def _phrases_in(self, words: Sequence[str]) -> Iterator[tuple[int, int, Place]]:
        """Yield the first and last word of each phrase in a text, and its label."""
        for at, word in enumerate(words):
            for phrase, place in self._phrases.get(word, ()):
                if tuple(words[at : at + len(phrase)]) == phrase:
                    yield at, at + len(phrase) - 1, place
