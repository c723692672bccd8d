"""Suggested topics: groups of unlabelled messages, each with a name and rule words from its own texts.

Texts are read in memory; the words of a suggestion are ones that several people used. Mentions, links and emoji codes are left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log

from hubbub.labels.classifier import Floats
from hubbub.labels.clusters import Turn, follow
from hubbub.labels.decision import Message
from hubbub.labels.extra import one_thread, vectors
from hubbub.labels.naming_words import names_something
from hubbub.labels.rules import plain_text, words_of

FEWEST_WORDS = 3
"""Shorter texts (`thanks`, `ok great`) have no topic."""
FEWEST_PEOPLE = 3
"""A word names a topic if so many people used it: one person's words stay theirs."""
NAMED_BY, MOST_RULE_WORDS = 3, 5
COMMON = 0.1
"""Share of a topic's messages that have a word which names it."""
RULE_PRECISION = 0.8
"""Share of the messages with a term that are of its topic, for a rule word."""
EXAMPLES = 8
"""Example messages of a topic: as many as a classifier needs."""


@dataclass(frozen=True, slots=True)
class Suggested:
    """A group of messages, nearest to its centre first, with words of its texts: for its name, and as a rule."""

    number: int
    centre: Floats
    messages: tuple[Message, ...]
    words: tuple[str, ...]
    rule: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Suggestions:
    """The groups by number, the groups that came or went, and how many messages were read."""

    topics: tuple[Suggested, ...]
    turns: tuple[Turn, ...]
    read: int


def suggested(
    messages: Sequence[Message], known: Mapping[int, Floats], lasting: frozenset[int], first: int
) -> Suggestions:
    """Group messages, beginning at the `known` centres; see `clusters.follow`. Their order does not matter.

    Raises BadSettingError without the extra.
    """
    ordered = sorted(messages, key=lambda message: (message.time, message.key))
    texts = [plain_text(message.text) for message in ordered]
    read = [place for place, text in enumerate(texts) if len(text.split()) >= FEWEST_WORDS]
    chosen, texts = [ordered[place] for place in read], [texts[place] for place in read]
    with one_thread():  # the same sums each time
        followed = follow(_embedded(texts), known, lasting, first)
    terms = [terms_of(text) for text in texts]
    everywhere = Counter(term for some in terms for term in some)
    topics = [
        Suggested(
            group.number, group.centre, tuple(chosen[place] for place in group.members),
            *_named([(terms[place], person_of(chosen[place])) for place in group.members], everywhere, len(texts)),
        )
        for group in followed.groups
    ]  # fmt: skip
    return Suggestions(tuple(topics), followed.turns, len(texts))


def terms_of(text: str) -> frozenset[str]:
    """Return the terms of a text: words of three letters or more that may name something, and pairs of neighbouring ones."""
    words = words_of(text)
    naming = {word for word in words if names_something(word)}
    pairs = (f"{word} {following}" for word, following in pairwise(words) if {word, following} <= naming)
    return frozenset((*naming, *pairs))


def _embedded(texts: Sequence[str]) -> Floats:
    return vectors(texts or [""])[: len(texts)]


def person_of(message: Message) -> str:
    """Return who wrote a message; an unknown author is somebody else each time."""
    return message.contact_id or message.key


def _named(
    own: Sequence[tuple[frozenset[str], str]], everywhere: Mapping[str, int], texts: int
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the words that name a topic, and its rule words: terms that set its texts apart, used by several people."""
    counts = Counter(term for terms, _ in own for term in terms)
    people: dict[str, set[str]] = {}
    for terms, person in own:
        for term in terms:
            people.setdefault(term, set()).add(person)

    def weight(term: str) -> float:
        return counts[term] * (COMMON + log((counts[term] / len(own)) / (everywhere[term] / texts)))

    ranked = sorted(
        (
            term for term in counts
            if len(people[term]) >= FEWEST_PEOPLE and counts[term] >= COMMON * len(own) and weight(term) > 0
        ),
        key=lambda term: (-weight(term), term),
    )  # fmt: skip
    rule = [term for term in ranked if counts[term] >= RULE_PRECISION * everywhere[term]]
    return tuple(_apart(ranked, NAMED_BY)), tuple(_apart(rule, MOST_RULE_WORDS))


def _apart(terms: Sequence[str], most: int) -> list[str]:
    """Return the first terms that share no word with one before."""
    kept: list[str] = []
    for term in terms:
        if len(kept) < most and not any(set(term.split()) & set(other.split()) for other in kept):
            kept.append(term)
    return kept
