"""Reasons of a suggested label: the marked words are those that the rules or the classifier used."""

from __future__ import annotations

from functools import cache
from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.labels.configuration import Configuration, read
from hubbub.labels.reasons import MatchedRule, Span, joined
from hubbub.labels.rules import Rules, placed_words, words_of
from hubbub.model.label import LabelSet

np = pytest.importorskip("numpy")
pytest.importorskip("wordllama")
pytest.importorskip("threadpoolctl")

from hubbub.labels.classifier import Classifier  # noqa: E402
from hubbub.labels.training import train  # noqa: E402

SAID = {
    "wifi": ["connection", "internet", "router", "signal", "network", "password", "laptop", "online"],
    "food": ["breakfast", "coffee", "eggs", "croissants", "buffet", "bread", "dinner", "kitchen"],
}


def read_at(text: str, spans: tuple[Span, ...]) -> list[str]:
    """Return the text of each span."""
    return [text[span.start : span.end] for span in spans]


@cache
def learned() -> Classifier:
    """Return a classifier of two topics, trained on texts with two of a topic's words each."""
    pairs = [
        (f"There is a problem with the {word} and the {other} in our room, please help", label)
        for label, words in SAID.items()
        for word, other in combinations(words, 2)
    ]
    return train([text for text, _ in pairs], [label for _, label in pairs], 0.9).classifier


@given(st.text(st.characters(codec="utf-8") | st.sampled_from("İß’' ıŉᾳ\u0345ΐﬁaB"), max_size=40))
def test_placed_words_are_the_words(text: str) -> None:
    """Words with places equal those without, in any script, and each place holds its word in some case."""
    placed = placed_words(text)
    assert [word for word, _ in placed] == words_of(text)
    for word, span in placed:
        assert word in text[span.start : span.end].casefold().replace("’", "'")


@given(st.lists(st.builds(Span, st.integers(0, 20), st.integers(0, 20)), max_size=8))
def test_joined_spans_are_disjoint_and_hold_the_same_characters(spans: list[Span]) -> None:
    """No character is lost, added, or in two spans, and the spans are in order."""
    apart = joined(spans)
    assert all(first.end <= second.start for first, second in pairwise(apart))
    assert [at for span in apart for at in range(span.start, span.end)] == sorted(
        {at for span in spans for at in range(span.start, span.end)}
    )


def test_rules_mark_their_words_phrases_and_patterns() -> None:
    """Words, phrases and patterns of the label are marked, those of another label are not; a pattern that takes too long marks
    nothing."""
    wifi = {"words": ["WiFi", "no internet"], "patterns": [r"error \d+", "(a+)+$"]}
    rules = Rules(Configuration(read({"topic": {"wifi": wifi, "tv": {"words": ["tv"]}}}).sets))
    text = f"No  internet, tv and WIFI: Error 17 {'a' * 200}!"
    assert read_at(text, rules.spans(text, LabelSet.TOPIC, "wifi")) == ["No  internet", "WIFI", "Error 17"]
    assert read_at(text, rules.spans(text, LabelSet.TOPIC, "tv")) == ["tv"]
    assert rules.spans(text, LabelSet.TONE, "wifi") == ()


def test_a_matched_rule_names_its_words_and_patterns() -> None:
    """The matched rule has the words, phrases and patterns that are in the text, each once; without any it is None."""
    wifi = {"words": ["WiFi", "no internet", "router"], "patterns": [r"error \d+", "(a+)+$"]}
    rules = Rules(Configuration(read({"topic": {"wifi": wifi, "tv": {"words": ["tv"]}}}).sets))
    text = f"No  internet, tv and WIFI, wifi: Error 17 {'a' * 200}!"
    rule = rules.matched(text, LabelSet.TOPIC, "wifi")
    assert rule == MatchedRule("wifi", ("no internet", "wifi"), (r"error \d+",))
    assert rule.in_words() == r"the rule “wifi” (“no internet”, “wifi”, pattern error \d+)"
    assert rules.matched("hello", LabelSet.TOPIC, "wifi") is None
    assert rules.matched(text, LabelSet.TONE, "wifi") is None


@pytest.mark.parametrize("label", list(SAID))
def test_a_classifier_marks_the_words_of_its_label(label: str) -> None:
    """A classifier marks the words of the label and no others; without them the label is less likely."""
    said, other = SAID[label][:2], SAID["food" if label == "wifi" else "wifi"][0]
    text = f"Please help, {said[0].upper()} and the {said[1]} in the room, not the {other}"
    (reasons,) = learned().reasons([text], [label])
    marked = read_at(text, reasons.spans)
    assert {word.lower() for word in marked} == set(said)
    without = text
    for word in marked:
        without = without.replace(word, "")
    place = learned().labels.index(label)
    before, after = learned().probabilities([text, without])[:, place]
    assert after < before


def test_common_words_are_not_marked() -> None:
    """In a text whose only known words are like "the" and "with", nothing is marked."""
    for reasons in learned().reasons(["with the and our in there"] * 2, list(SAID)):
        assert reasons.spans == ()


def test_the_likeliest_labels_come_first_and_an_unknown_label_has_no_words() -> None:
    """Probabilities are the classifier's, the largest first; an unknown label, or None, marks nothing."""
    text = "the breakfast"
    first, second = learned().reasons([text, text], ["sauna", None])
    assert first == second and first.spans == ()
    assert [likely.label for likely in first.likely] == ["food", "wifi"]
    assert sum(likely.confidence for likely in first.likely) == pytest.approx(1, abs=1e-3)
    assert learned().reasons([], []) == []
