"""A tenant's classifier of one label set: the mean of two logistic regressions, over a text's words and over its embedding.

`training.py` makes it; this file applies it with numpy and stores it as arrays, never as code. It abstains: a label counts only
above the confidence that was right often enough on held-out texts, and only in the languages and words of its examples.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from hubbub.labels.extra import language, vectors
from hubbub.labels.labelling import Guess
from hubbub.labels.naming_words import names_something
from hubbub.labels.reasons import LIKELIEST, LikelyLabel, Reasons, Span, joined
from hubbub.labels.rules import LONGEST_TEXT, placed_words, plain_text, words_of

NEVER = 2.0
"""A threshold above every confidence: the classifier was never right often enough about this label."""
LEADING = 0.4
"""A word is a reason from this share of the weight of the strongest word on."""
KNOWN = 0.5
"""More than this share of a text's words must occur in examples: others are in another language, or about something else."""
Floats = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True, slots=True)
class Classifier:
    """Learned parameters. `k` labels, `v` terms: shapes (v,) of `weights`, (v, k) and (k,) of terms, (256, k) and (k,) of meaning.

    `thresholds` (k,): least confidence for each label to count. `languages`: those of its examples; empty: unknown.
    """

    labels: tuple[str, ...]
    terms: Mapping[str, int]
    weights: Floats
    by_terms: Floats
    terms_bias: Floats
    by_meaning: Floats
    meaning_bias: Floats
    thresholds: Floats
    languages: frozenset[str]

    def probabilities(self, texts: Sequence[str]) -> Floats:
        """Return the probability of each label for each text: shape (texts, k)."""
        texts = [text[:LONGEST_TEXT] for text in texts]
        by_meaning = softmax(vectors(texts) @ self.by_meaning + self.meaning_bias)
        shares: Floats = (softmax(self._by_terms(texts)) + by_meaning) / np.float32(2)
        return shares

    def _by_terms(self, texts: Sequence[str]) -> Floats:
        scores = np.repeat(self.terms_bias[None, :], len(texts), axis=0)
        for row, text in enumerate(texts):
            places, values = weighted(text, self.terms, self.weights)
            if len(places):
                scores[row] += values @ self.by_terms[places]
        return scores

    def guess(self, texts: Sequence[str]) -> list[Guess]:
        """Return the likeliest label of each text, and whether it counts."""
        if not texts:
            return []
        shares = self.probabilities(texts)
        best = shares.argmax(axis=1)
        return [
            self._guess(text, int(place), float(shares[row, place]))
            for row, (text, place) in enumerate(zip(texts, best, strict=True))
        ]

    def _guess(self, text: str, place: int, confidence: float) -> Guess:
        if confidence < self.thresholds[place]:
            return Guess(self.labels[place], confidence, sure=False)
        if not self._knows(text):
            return Guess(self.labels[place], confidence, sure=False)
        if self.languages and (spoken := language(text)) is not None and spoken not in self.languages:
            return Guess(None, None, sure=False)
        return Guess(self.labels[place], confidence, sure=True)

    def _knows(self, text: str) -> bool:
        """Whether more than `KNOWN` of the words of a text, without links and mentions, are words of the examples."""
        words = [word for word in words_of(plain_text(text)) if word.isalpha()]
        return sum(word in self.terms for word in words) > KNOWN * len(words)

    def reasons(self, texts: Sequence[str], labels: Sequence[str | None]) -> list[Reasons]:
        """Return for each text the likeliest labels, and the words that speak for its given label (None: no words)."""
        if not texts:
            return []
        shares = self.probabilities(texts)
        best = np.argsort(-shares, axis=1, kind="stable")[:, :LIKELIEST]
        return [
            Reasons(
                self._spans(text, label) if label in self.labels else (),
                tuple(LikelyLabel(self.labels[place], round(float(shares[row, place]), 4)) for place in best[row]),
            )
            for row, (text, label) in enumerate(zip(texts, labels, strict=True))
        ]

    def _spans(self, text: str, label: str) -> tuple[Span, ...]:
        """Return the words that speak for a label rather than for the others, by the weights of terms."""
        placed, chosen = placed_words(text), self.labels.index(label)
        places, values = weighted(text, self.terms, self.weights)
        others = np.delete(self.by_terms[places], chosen, axis=1).mean(axis=1)
        speaks = dict(zip(places.tolist(), (values * (self.by_terms[places, chosen] - others)).tolist(), strict=True))
        words = [word for word, _ in placed]
        alone = [speaks.get(self.terms.get(word, -1), 0.0) for word in words]
        pairs = [speaks.get(self.terms.get(f"{word} {following}", -1), 0.0) / 2 for word, following in pairwise(words)]
        led = [own + before + after for own, before, after in zip(alone, [0.0, *pairs], [*pairs, 0.0], strict=False)]
        naming = [much if names_something(word) else 0.0 for word, much in zip(words, led, strict=True)]
        most = max(naming, default=0.0)
        return joined(
            span for (_, span), much in zip(placed, naming, strict=True) if much > 0 and much >= LEADING * most
        )

    def as_bytes(self) -> bytes:
        """Return the classifier as a file of arrays."""
        file = io.BytesIO()
        np.savez_compressed(
            file, labels=np.array(self.labels), terms=np.array(list(self.terms)), weights=self.weights,
            by_terms=self.by_terms.astype(np.float16), terms_bias=self.terms_bias, by_meaning=self.by_meaning,
            meaning_bias=self.meaning_bias, thresholds=self.thresholds, languages=np.array(sorted(self.languages), dtype="U8"),
        )  # fmt: skip
        return file.getvalue()

    @classmethod
    def of(cls, body: bytes) -> Classifier:
        """Return the classifier of a file of arrays."""
        with np.load(io.BytesIO(body), allow_pickle=False) as file:
            return cls(
                labels=tuple(map(str, file["labels"])), terms={str(t): n for n, t in enumerate(file["terms"])},
                weights=file["weights"], by_terms=file["by_terms"].astype(np.float32), terms_bias=file["terms_bias"],
                by_meaning=file["by_meaning"], meaning_bias=file["meaning_bias"], thresholds=file["thresholds"],
                languages=frozenset(map(str, file["languages"])),
            )  # fmt: skip


def terms_of(text: str) -> list[str]:
    """Return the terms of a text: words and pairs of neighbouring words."""
    words = words_of(text)
    return [*words, *(f"{word} {following}" for word, following in pairwise(words))]


def weighted(text: str, terms: Mapping[str, int], weights: Floats) -> tuple[np.ndarray[Any, np.dtype[np.intp]], Floats]:
    """Return the places of a text's known terms and their weights, normed to length 1: rarer terms weigh more."""
    counts = Counter(place for term in terms_of(text) if (place := terms.get(term)) is not None)
    places = np.fromiter(counts.keys(), dtype=np.intp, count=len(counts))
    values = (1 + np.log(np.fromiter(counts.values(), dtype=np.float32, count=len(counts)))) * weights[places]
    length = float(np.sqrt((values * values).sum()))
    return places, (values / length if length else values).astype(np.float32)


def softmax(scores: Floats) -> Floats:
    """Return scores as probabilities, row by row."""
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: Floats = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    return shares
