"""Training: a classifier from messages that people labelled, with its results on held-out texts.

Every example is held out once (cross-validation): each part is labelled by a classifier trained on the others. These results give
the thresholds (`thresholds.py`), and how often each label is right.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hubbub.errors import BadInputError
from hubbub.labels.classifier import Classifier, Floats, softmax, terms_of, weighted
from hubbub.labels.extra import language, missing, one_thread, vectors
from hubbub.labels.report import LabelReport, Report
from hubbub.labels.rules import LONGEST_TEXT
from hubbub.labels.thresholds import Threshold, thresholds

FEWEST = 8
"""Fewest examples to learn a label."""
FOLDS, FOLDS_OF_FEW, FEW = 5, 8, 2_000
"""Parts of the cross-validation: eight for few examples, so that nearly all of them train each time."""
OTHER = -1
"""The label of held-out texts whose labels have too few examples to be learned: every guess about them is wrong."""
MOST_TERMS = 20_000
SURENESS = 10.0
"""Inverse regularisation strength: the best of 1, 10, 30, 100 on public sets of questions and of tones."""
FEWEST_IN_LANGUAGE, SHARE_OF_LANGUAGE = 2, 0.05


@dataclass(frozen=True, slots=True)
class Learned:
    """A classifier, its report, and the places of its examples."""

    classifier: Classifier
    report: Report
    learned: tuple[int, ...]


def train(texts: Sequence[str], labels: Sequence[str], precision: float) -> Learned:
    """Learn labels from texts; `precision`: the promised share of right labels among those that count.

    Raises BadInputError if fewer than two labels have enough examples, BadSettingError without the extra.
    """
    counts = Counter(labels)
    names = tuple(sorted(name for name, n in counts.items() if n >= FEWEST))
    if len(names) < 2:
        listed = ", ".join(f"{name} {n}" for name, n in counts.most_common(10)) or "none"
        raise BadInputError(f"a classifier needs {FEWEST} examples each of two labels or more; there are: {listed}")
    places = tuple(place for place, label in enumerate(labels) if label in names)
    chosen = [texts[place][:LONGEST_TEXT] for place in places]
    wanted = np.array([names.index(labels[place]) for place in places])
    meaning = vectors(chosen)
    with one_thread():
        held_out = _held_out(chosen, meaning, wanted, len(names))
        undecided = np.zeros(len(names), dtype=np.float32)
        classifier = _fitted(chosen, meaning, wanted, names, undecided, _languages(chosen))
        others = [texts[place] for place, label in enumerate(labels) if label not in names]
        judged = np.concatenate([held_out, classifier.probabilities(others)]) if others else held_out
    wanted = np.concatenate([wanted, np.full(len(others), OTHER)])
    made = thresholds(judged, wanted, precision)
    least = np.array([threshold.confidence for threshold in made], dtype=np.float32)
    right = tuple(map(bool, (judged.argmax(axis=1) == wanted)[: len(places)]))
    report = _report(judged, wanted, names, made, tuple(sorted(set(counts) - set(names))), right)
    return Learned(replace(classifier, thresholds=least), report, places)


def _held_out(texts: Sequence[str], meaning: Floats, wanted: Any, k: int) -> Floats:
    """Return the probability of each label for each text, by classifiers of the other parts."""
    folds = FOLDS_OF_FEW if len(texts) <= FEW else FOLDS
    part = np.zeros(len(texts), dtype=int)
    for label in range(k):  # every part has its share of each label
        rows = np.flatnonzero(wanted == label)
        part[rows] = (np.arange(len(rows)) + label) % folds
    likely = np.zeros((len(texts), k), dtype=np.float32)
    names = tuple(map(str, range(k)))
    for fold in range(folds):
        other, rows = np.flatnonzero(part != fold), np.flatnonzero(part == fold)
        some = [texts[int(place)] for place in other]
        nothing = np.zeros(k, dtype=np.float32)
        fitted = _fitted(some, meaning[other], wanted[other], names, nothing, frozenset())
        by_terms = np.stack([_scores(fitted, texts[int(place)]) for place in rows])
        likely[rows] = (softmax(by_terms) + softmax(meaning[rows] @ fitted.by_meaning + fitted.meaning_bias)) / 2
    return likely


def _scores(fitted: Classifier, text: str) -> Floats:
    places, values = weighted(text, fitted.terms, fitted.weights)
    scores: Floats = fitted.terms_bias + values @ fitted.by_terms[places]
    return scores


def _fitted(
    texts: Sequence[str],
    meaning: Floats,
    wanted: Any,
    names: tuple[str, ...],
    thresholds: Floats,
    languages: frozenset[str],
) -> Classifier:
    try:
        from scipy.sparse import csr_array
        from sklearn.linear_model import LogisticRegression
    except ImportError as error:
        raise missing(error) from None
    seen = Counter(term for text in texts for term in set(terms_of(text)))
    terms = {term: place for place, (term, _) in enumerate(seen.most_common(MOST_TERMS))}
    weights = np.array([np.log((1 + len(texts)) / (1 + seen[term])) + 1 for term in terms], dtype=np.float32)
    rows = [weighted(text, terms, weights) for text in texts]
    ends = np.cumsum([0, *(len(places) for places, _ in rows)])
    matrix = csr_array(
        (np.concatenate([v for _, v in rows]), np.concatenate([p for p, _ in rows]), ends),
        shape=(len(texts), len(terms)),
    )
    by_terms = LogisticRegression(C=SURENESS, max_iter=300).fit(matrix, wanted)
    by_meaning = LogisticRegression(C=SURENESS, max_iter=300).fit(meaning, wanted)
    return Classifier(names, terms, weights, *_weights(by_terms), *_weights(by_meaning), thresholds, languages)


def _weights(fitted: Any) -> tuple[Floats, Floats]:
    """Return weights (features, k) and bias (k,); for two labels scikit-learn gives only the second's."""
    coef, bias = fitted.coef_, fitted.intercept_
    if len(fitted.classes_) == 2:
        coef, bias = np.vstack([np.zeros_like(coef), coef]), np.concatenate([np.zeros_like(bias), bias])
    return np.ascontiguousarray(coef.T, dtype=np.float32), bias.astype(np.float32)


def _languages(texts: Sequence[str]) -> frozenset[str]:
    """Return the languages of enough examples."""
    counts = Counter(code for code in map(language, texts) if code is not None)
    fewest = max(FEWEST_IN_LANGUAGE, SHARE_OF_LANGUAGE * counts.total())
    return frozenset(code for code, n in counts.items() if n >= fewest)


def _report(
    held_out: Floats, wanted: Any, names: tuple[str, ...], made: Sequence[Threshold], left_out: tuple[str, ...],
    judged: tuple[bool, ...],
) -> Report:  # fmt: skip
    chosen, sure = held_out.argmax(axis=1), held_out.max(axis=1)
    right, counts = chosen == wanted, sure >= np.array([threshold.confidence for threshold in made])[chosen]
    labels = tuple(
        LabelReport(
            name, int((wanted == place).sum()), int((chosen == place).sum()), int((right & (chosen == place)).sum()),
            None if made[place].used_from is None else round(made[place].confidence, 4), made[place].abstains,
        )
        for place, name in enumerate(names)
    )  # fmt: skip
    return Report(
        len(wanted), int(right.sum()), int(counts.sum()), int((right & counts).sum()), labels, left_out,
        judged,
    )  # fmt: skip
