"""A tenant's classifier of one label set: the mean of two logistic regressions, over a text's words and over what it means.

`training.py` makes one; this file only applies it, with numpy alone, and keeps it as arrays: nothing of it is ever executed. It
abstains: a label counts from the confidence on that was right often enough on texts it had not seen, and a language that its
examples are not in is left alone.
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
from hubbub.labels.rules import LONGEST_TEXT, words_of

NEVER = 2.0
"""A threshold that no confidence reaches: of this label the classifier was never right often enough."""
Floats = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True, slots=True)
class Classifier:
    """What was learned. `k` labels, `v` terms: shapes (v,) of `weights`, (v, k) and (k,) of terms, (256, k) and (k,) of meaning.

    `thresholds` (k,): from which confidence on each label counts. `languages`: those of its examples; empty: it was not said.
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
        """Return how likely each label is for each text: shape (texts, k)."""
        texts = [text[:LONGEST_TEXT] for text in texts]
        by_meaning = softmax(vectors(texts) @ self.by_meaning + self.meaning_bias)
        found: Floats = (softmax(self._by_terms(texts)) + by_meaning) / np.float32(2)
        return found

    def _by_terms(self, texts: Sequence[str]) -> Floats:
        found = np.repeat(self.terms_bias[None, :], len(texts), axis=0)
        for row, text in enumerate(texts):
            places, values = weighted(text, self.terms, self.weights)
            if len(places):
                found[row] += values @ self.by_terms[places]
        return found

    def guess(self, texts: Sequence[str]) -> list[Guess]:
        """Return the likeliest label of each text, and whether it is sure enough to count."""
        if not texts:
            return []
        found = self.probabilities(texts)
        best = found.argmax(axis=1)
        return [
            self._guess(text, int(place), float(found[row, place]))
            for row, (text, place) in enumerate(zip(texts, best, strict=True))
        ]

    def _guess(self, text: str, place: int, confidence: float) -> Guess:
        if confidence < self.thresholds[place]:
            return Guess(self.labels[place], confidence, sure=False)
        if self.languages and (found := language(text)) is not None and found not in self.languages:
            return Guess(None, None, sure=False)
        return Guess(self.labels[place], confidence, sure=True)

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
    """Return the terms of a text: its words, and each two that follow one another."""
    words = words_of(text)
    return [*words, *(f"{one} {other}" for one, other in pairwise(words))]


def weighted(text: str, terms: Mapping[str, int], weights: Floats) -> tuple[np.ndarray[Any, np.dtype[np.intp]], Floats]:
    """Return the places of a text's known terms, and their weights: rarer ones weigh more, and all together have length 1."""
    counts = Counter(place for term in terms_of(text) if (place := terms.get(term)) is not None)
    places = np.fromiter(counts.keys(), dtype=np.intp, count=len(counts))
    values = (1 + np.log(np.fromiter(counts.values(), dtype=np.float32, count=len(counts)))) * weights[places]
    length = float(np.sqrt((values * values).sum()))
    return places, (values / length if length else values).astype(np.float32)


def softmax(scores: Floats) -> Floats:
    """Return scores as probabilities, row by row."""
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    found: Floats = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    return found
