"""Rules: whole words and phrases in any case, patterns with a time limit, and the checks of a rule file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.errors import BadInputError, NotFoundError
from hubbub.labels.configuration import Configuration, read, read_file, starter
from hubbub.labels.patterns import matches
from hubbub.labels.rules import Rules
from hubbub.model.label import LabelSet

ROOT = Path(__file__).parents[3]
WORDS = ("wifi", "no internet", "café", "can't connect")


def topics(said: dict[str, Any]) -> Rules:
    """Return rules of topics alone."""
    return Rules(Configuration(read({"topic": said}).sets))


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("The WIFI is slow", "wifi"), ("no  internet since noon", "wifi"), ("I can’t connect!", "wifi"), ("wifis", None),
        ("no, internet works", "wifi"), ("CAFÉ closed?", "wifi"), ("", None), ("internet no", None),
    ],
)  # fmt: skip
def test_words_and_phrases_are_found_whole_in_any_case(text: str, label: str | None) -> None:
    """A word does not match inside a longer one; a phrase is its words in order, with only spaces or signs between them."""
    assert topics({"wifi": {"words": list(WORDS)}}).labels(text).get(LabelSet.TOPIC) == label


@given(st.lists(st.sampled_from(("wifi", "bill", "tv", "x")), max_size=12))
def test_the_most_frequent_label_wins_and_then_the_first(said: list[str]) -> None:
    """The most frequent label wins; of equally frequent ones the first in the configuration."""
    rules = topics({name: {"words": [name]} for name in ("wifi", "bill", "tv")})
    known = [word for word in said if word != "x"]
    best = max(("wifi", "bill", "tv"), key=known.count) if known else None
    assert rules.labels(" ".join(said)).get(LabelSet.TOPIC) == best


def test_a_pattern_that_takes_too_long_matches_nothing() -> None:
    """A pattern that would backtrack for years is stopped and matches nothing; other patterns still match."""
    endless = r"(a+)+$"
    assert not matches(endless, "a" * 200 + "!")
    rules = topics({"one": {"patterns": [r"(a|aa)+(b|bb)+$"]}, "two": {"patterns": [r"invoice \d+"]}})
    assert rules.labels("a" * 300 + " Invoice 12 " + "b" * 300)[LabelSet.TOPIC] == "two"


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"topic": {"a": {"patterns": ["("]}}}, "labels: topic.a: '('"), ({"topics": {}}, "labels"), ([], "labels"),
        ({"topic": {"a": {"words": [""]}}}, "words"), ({"topic": {" a": None}}, "topic: a label's name"),
        ({"topic": {str(n): None for n in range(201)}}, "201 labels"), ({"precision": 0.1}, "precision"),
    ],
)  # fmt: skip
def test_an_invalid_configuration_is_refused_by_place(document: object, said: str) -> None:
    """An invalid configuration is refused, and the error names the set and label."""
    with pytest.raises(BadInputError) as refused:
        read(document)
    assert said in refused.value.message


def test_the_starter_and_the_example_give_their_documented_labels() -> None:
    """The starter knows tone and escalation; the example keeps the starter's tone, has its own topics, and labels thanks as
    closing."""
    rules = Rules(starter())
    said = rules.labels("This is unacceptable, I want to speak to a manager or I call my lawyer :(")
    assert said[LabelSet.TONE] == "negative"
    assert said[LabelSet.ESCALATION] in ("high", "medium")
    assert Rules(starter()).labels("Perfect stay, thank you!") == {LabelSet.TONE: "positive"}
    own = read_file(ROOT / "examples" / "labels" / "support.yaml")
    assert own.sets[LabelSet.TONE] == starter().sets[LabelSet.TONE]
    assert "bug" in own.names(LabelSet.TOPIC)
    assert "escalation" not in own.names(LabelSet.TOPIC)
    closing = {text: Rules(own).labels(text).get(LabelSet.INTENT) for text in (*_THANKS, *_MORE_THAN_THANKS)}
    assert closing == {**dict.fromkeys(_THANKS, "closing"), **dict.fromkeys(_MORE_THAN_THANKS)}


_THANKS = ("Thanks!", "ok, thank you so much 🙏", "Great, thanks a lot everyone", "thx :)", "Thanks, that worked.")
_MORE_THAN_THANKS = ("Thanks, but it still fails", "thank you. One more thing", "no thanks", "Can you help? Thanks", "")


def test_a_configuration_comes_back_from_its_document_and_renames_without_loss() -> None:
    """A written configuration reads back the same; a merged label has the words of both; renaming an unknown label names the
    nearest."""
    own = read({"topic": {"wifi": {"words": ["wifi"]}, "wlan": {"words": ["wlan"], "patterns": ["w.lan"]}, "tv": None}})
    assert read(own.document()) == own
    merged = own.renamed(LabelSet.TOPIC, "wlan", "wifi")
    assert [(one.name, one.words, one.patterns) for one in merged.sets[LabelSet.TOPIC]] == [
        ("wifi", ("wifi", "wlan"), ("w.lan",)), ("tv", (), ()),
    ]  # fmt: skip
    assert own.renamed(LabelSet.TOPIC, "tv", "television").names(LabelSet.TOPIC) == ["wifi", "wlan", "television"]
    with pytest.raises(NotFoundError, match="did you mean 'wifi'"):
        own.renamed(LabelSet.TOPIC, "wify", "x")
