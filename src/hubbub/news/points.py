"""Points: a number that is news in words, with its cause and, where it is one story, the topic that rose with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from hubbub.news import sentences
from hubbub.news.about import About, knows
from hubbub.news.burst import Burst, Bursts
from hubbub.news.candidates import candidate_of, in_words
from hubbub.news.causes import Cause, causes, in_one_place, made_of, only
from hubbub.news.number import Number
from hubbub.news.story import ROOM, TOPIC, Topic, topic_of
from hubbub.query.changes import MOST, Changes, changes_of

LEAST_CAUSE = 0.3
"""Smallest share of the difference that a cause must explain."""


@dataclass(frozen=True, slots=True)
class Point:
    """A number that is news: in words, with its cause, and the filters that find its rows.

    `head` says what happened, `change` the distance from before or else from usual, `usual` the usual range where `change` does
    not, `because` the cause and the topic of its story, to be read after the change.
    """

    number: Number
    head: str
    change: str
    usual: str
    because: str
    cause: Cause | None
    where: Mapping[str, tuple[str, ...]]
    things: str = ""
    """What the number counts or averages over: ratings, conversations."""
    burst: Burst | None = None
    """The few days that carry the change, if it is no level."""
    topic: Topic | None = None
    """The topic that rose in the same days and mostly in the place of the cause."""

    @property
    def sentence(self) -> str:
        """The point in a sentence."""
        return f"{self.head}, {self.change}{f'; {self.because}' if self.because else ''}."

    @property
    def whole(self) -> str:
        """The same, with the usual range."""
        return f"{self.sentence} {self.usual}." if self.usual else self.sentence


def points_of(about: About, worst: Sequence[Number], numbers: Sequence[Number], most: int) -> tuple[Point, ...]:
    """Return the points of the worst numbers, in their order, at most `most`; `numbers`: all judged ones.

    The first number of the whole may have a topic, which then is no point of its own.
    """
    points: list[Point] = []
    for number in worst[: most + 1]:  # one more, in place of a topic that belongs to another
        has_topic = any(point.topic for point in points)
        points.append(_point_of(about, number, () if number.dimension or has_topic else numbers))
    topics = {point.topic.name for point in points if point.topic}
    return tuple(point for point in points if point.number.dimension != TOPIC or point.number.slice not in topics)[
        :most
    ]


def _point_of(about: About, number: Number, numbers: Sequence[Number]) -> Point:
    """Return the point of a number; `numbers`: among which its topic is looked for."""
    candidate = candidate_of(number.metric, number.dimension)
    assert candidate is not None
    candidate = in_words(candidate, about.wording)
    where = dict(about.question.where) | ({number.dimension: (number.slice,)} if number.dimension else {})
    asked = about.narrowed(number.metric, where)
    bursts = Bursts(about, number, candidate, asked)
    metric = made_of(number.metric, number.previous or number.usual.median)
    change = (
        changes_of(about.ask, about.now, about.tenant, about.narrowed(metric, where), MOST)
        if knows(metric, list(where))
        else None
    )
    cause = _cause(about, change, number) if change else None
    story = topic_of(about, numbers, bursts, cause) if numbers and change and (cause or in_one_place(change)) else None
    topic = story[0] if story else None
    burst = None
    if candidate.burst and knows(number.metric, list(where)):
        burst = story[1] if story else bursts.farthest
    named = about.label(number.dimension, number.slice) if number.dimension else ""
    head, changed, usual = sentences.words_of(candidate, number, burst, named, about.tenant.tz)
    rows = {**where, **({cause.dimension: (cause.value,)} if cause else {})}
    return Point(
        number, head, changed, usual, _because(about, number, metric, cause, topic), cause,
        rows if knows(number.metric, list(rows)) else where, candidate.things, burst, topic,
    )  # fmt: skip


def _because(about: About, number: Number, metric: str, cause: Cause | None, topic: Topic | None) -> str:
    parts = []
    if cause:
        there = sentences.there(cause, metric) if metric != number.metric else ""
        parts.append(sentences.because(cause, about.label(cause.dimension, cause.value), there, about.wording))
    if topic:
        own = cause is not None and (cause.dimension, cause.value) == (ROOM, topic.room)
        room = "" if own or not topic.room else about.label(ROOM, topic.room)
        parts.append(sentences.at_the_same_time(topic.messages, about.label(TOPIC, topic.name), room))
    return ", ".join(parts)


def _cause(about: About, change: Changes, number: Number) -> Cause | None:
    """Return the cause that explains most of a change, if enough; for a slice also the only room it is in."""
    if number.dimension:
        whole = only(change, ROOM) if _rooms(about, number) > 1 else None
        if whole is not None:
            return whole
    return next((row for row in causes(change).rows if row.share >= LEAST_CAUSE), None)


def _rooms(about: About, number: Number) -> int:
    """Return the number of rooms with the metric of a slice, of all slices."""
    where = {name: values for name, values in about.question.where.items() if name != number.dimension}
    if not knows(number.metric, [ROOM, *where]):
        return 0
    return len(about.ask(replace(about.narrowed(number.metric, where), by=(ROOM,), compare=None)).dims)
