"""Suggested topics as a function of texts: their order does not matter, and a group keeps its number when texts are added."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

np = pytest.importorskip("numpy")
pytest.importorskip("wordllama")
pytest.importorskip("threadpoolctl")

from hubbub.labels.clusters import FEWEST, Fate, follow  # noqa: E402
from hubbub.labels.decision import Message  # noqa: E402
from hubbub.labels.rules import plain_text  # noqa: E402
from hubbub.labels.suggested import FEWEST_PEOPLE, Suggested, suggested, terms_of  # noqa: E402

THEMES = {
    "wifi": ("The wifi in our room is down again", "No internet connection on my laptop", "The wireless network is very slow"),
    "parking": ("Where can I park the car", "Is there a parking garage at the hotel", "How much is parking for a night"),
    "refund": ("I want my money back", "Please refund the booking fee", "When will I get the refund of my payment"),
    "pool": ("When does the swimming pool open", "Is the pool heated in winter", "Are towels given out at the pool"),
}  # fmt: skip
ENDINGS = (
    "please",
    "today",
    "can you help",
    "thanks",
    "since yesterday",
    "asked my wife",
    "for two people",
    "next weekend",
)


def messages(theme: str, count: int, first: int = 0) -> list[Message]:
    """Return messages about a theme by different people."""
    texts = THEMES[theme]
    return [
        Message(
            f"{theme}-{n}", n, f"{texts[n % len(texts)]} {ENDINGS[n % len(ENDINGS)]}", contact_id=f"{theme}-person-{n}"
        )
        for n in range(first, first + count)
    ]


def groups(topics: Sequence[Suggested]) -> dict[int, frozenset[str]]:
    """Return the keys of the messages of each group."""
    return {topic.number: frozenset(message.key for message in topic.messages) for topic in topics}


MANY = [message for theme in THEMES for message in messages(theme, 24)]


@settings(max_examples=20, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_texts_does_not_matter(draw: random.Random) -> None:
    """The same messages in another order give the same groups, numbers, centres, words and rules."""
    shuffled = list(MANY)
    draw.shuffle(shuffled)
    expected, actual = (suggested(many, {}, frozenset(), 1) for many in (MANY, shuffled))
    assert [(t.number, t.messages, t.words, t.rule, t.centre.tobytes()) for t in actual.topics] == [
        (t.number, t.messages, t.words, t.rule, t.centre.tobytes()) for t in expected.topics
    ]
    assert actual.turns == expected.turns and actual.read == len(MANY)


def test_groups_are_of_one_theme_and_named_by_it() -> None:
    """With texts of four themes every group holds one theme, each theme has a group, and names are words of its texts."""
    topics = suggested(MANY, {}, frozenset(), 1).topics
    themes = [{message.key.split("-")[0] for message in topic.messages} for topic in topics]
    assert all(len(theme) == 1 for theme in themes)
    assert {theme.pop() for theme in themes} == set(THEMES)
    for topic in topics:
        spoken = {term for message in topic.messages for term in terms_of(message.text)}
        assert topic.words and set(topic.words) <= spoken
        others = {term for message in MANY if message not in topic.messages for term in terms_of(message.text)}
        assert not set(topic.rule) & others or len(topic.rule) < 3


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(sorted(THEMES)), st.integers(1, 20), st.lists(st.sampled_from(sorted(THEMES)), max_size=3))
def test_groups_keep_their_numbers_when_a_week_is_added(theme: str, more: int, gone: list[str]) -> None:
    """At least 93 % of the messages that stay keep their group's number after texts came and left; only groups of removed themes
    die."""
    before = suggested(MANY, {}, frozenset(), 1)
    known = {topic.number: topic.centre for topic in before.topics}
    left = [message for message in MANY if message.key.split("-")[0] not in gone or message.key.split("-")[0] == theme]
    after = suggested([*left, *messages(theme, more, first=24)], known, frozenset(), 100)
    number_of = {key: number for number, keys in groups(after.topics).items() for key in keys}
    stays = [(key, number) for number, keys in groups(before.topics).items() for key in keys if key in number_of]
    assert sum(number_of[key] == number for key, number in stays) >= 0.93 * len(stays)
    alive = {key.split("-")[0] for key in number_of}
    assert alive == {theme, *(name for name in THEMES if name not in gone)}
    died = {turn.number for turn in after.turns if turn.fate is Fate.DIED}
    whole = {next(iter(keys)).split("-")[0] for number, keys in groups(before.topics).items() if number in died}
    assert whole <= set(gone) - {theme}


def test_a_new_theme_gets_an_unused_number() -> None:
    """A new theme gets a new number from `first` on; the others keep theirs."""
    old = [message for message in MANY if not message.key.startswith("pool")]
    before = suggested(old, {}, frozenset(), 1)
    after = suggested(MANY, {topic.number: topic.centre for topic in before.topics}, frozenset(), 50)
    new = [topic for topic in after.topics if topic.number >= 50]
    assert new and all(message.key.startswith("pool") for topic in new for message in topic.messages)
    assert {turn.number for turn in after.turns if turn.fate in (Fate.BORN, Fate.SPLIT)} == {t.number for t in new}
    assert {topic.number for topic in before.topics} <= {topic.number for topic in after.topics}


def unit(angle: float) -> list[float]:
    """Return a direction in the plane."""
    return [float(np.cos(angle)), float(np.sin(angle)), 0.0]


def test_groups_merge_and_die_by_their_texts() -> None:
    """Two centres on one cluster merge into the older; a centre without texts dies, unless it is kept."""
    heap = np.array([unit(0.0)] * 20 + [unit(3.1)] * 20, dtype=np.float32)
    east, west, north = (np.array(unit(angle), dtype=np.float32) for angle in (0.0, 3.1, 1.6))
    near_east = np.array(unit(0.1), dtype=np.float32)
    merged = follow(heap, {1: east, 2: near_east, 3: west}, frozenset(), 4)
    assert [(turn.number, turn.fate) for turn in merged.turns] == [(2, Fate.DIED)] or merged.turns[0].other == 1
    assert [group.number for group in merged.groups] == [1, 3]
    died = follow(heap, {1: east, 3: west, 5: north}, frozenset(), 6)
    assert [(turn.number, turn.fate) for turn in died.turns] == [(5, Fate.DIED)]
    lasts = follow(heap, {1: east, 3: west, 5: north}, frozenset({5}), 6)
    assert [group.number for group in lasts.groups] == [1, 3, 5] and lasts.turns == ()


def test_a_few_texts_or_none_have_no_group() -> None:
    """Fewer than FEWEST similar texts, texts of a word or two, and no text at all suggest nothing."""
    assert suggested([], {}, frozenset(), 1).topics == ()
    assert suggested(messages("wifi", FEWEST - 1), {}, frozenset(), 1).topics == ()
    assert suggested([Message(f"m{n}", n, "thanks a lot"[: n + 1]) for n in range(9)], {}, frozenset(), 1).topics == ()


def test_a_word_of_few_people_is_in_no_name_or_rule() -> None:
    """A word used by fewer than FEWEST_PEOPLE people is in no name and no rule, however often they wrote it."""
    secret = [
        Message(f"s{n}", n, f"The wifi of Ottokar Zweig is slow {ENDINGS[n % 8]}", contact_id=f"p{n % (FEWEST_PEOPLE - 1)}")
        for n in range(30)
    ]  # fmt: skip
    topics = suggested([*secret, *MANY], {}, frozenset(), 1).topics
    assert any(set(secret) & set(topic.messages) for topic in topics)
    assert not [
        word for topic in topics for word in (*topic.words, *topic.rule) if "ottokar" in word or "zweig" in word
    ]


def test_markup_of_chat_services_is_removed() -> None:
    """Mentions, links, mail addresses and emoji codes are removed before a text is read."""
    assert (
        plain_text("<@U123> see <https://x.example|here> https://y.example :+1: mail a@b.example now") == "see mail now"
    )
