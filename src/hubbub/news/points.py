"""Makes the points of the news: each unusual number with its texts, its cause and, if there is one, the topic that rose with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from hubbub.news import sentences
from hubbub.news.about import About, knows
from hubbub.news.burst import Burst, Bursts
from hubbub.news.candidates import candidate_of, in_words
from hubbub.news.causes import Cause, causes, in_one_place, made_of, only
from hubbub.news.number import Number
from hubbub.news.point import Point
from hubbub.news.story import ROOM, TOPIC, Topic, topic_of
from hubbub.query.changes import MOST, Changes, changes_of

LEAST_CAUSE = 0.3
"""Smallest share of the difference that a cause must explain."""


def points_of(about: About, worst: Sequence[Number], numbers: Sequence[Number], most: int) -> tuple[Point, ...]:
    """Return the points of the first `most` of the worst numbers, in their order; `numbers`: all judged ones.

    Only the first number without a slice can have a topic; that topic is then no point of its own. A burst with the days of the
    point before says so, and does not name them again.
    """
    points: list[Point] = []
    for number in worst[: most + 1]:  # one more, in place of a topic that belongs to a point
        has_topic = any(point.topic for point in points)
        kept = _without_told_topics(points)
        before = (
            kept[-1].burst if kept and kept[-1].number.dimension != TOPIC else None
        )  # a later point may tell the topic
        points.append(_point_of(about, number, () if number.dimension or has_topic else numbers, before))
    return tuple(_without_told_topics(points)[:most])


def _without_told_topics(points: Sequence[Point]) -> list[Point]:
    """Return the points without those of topics that belong to another point."""
    told = {point.topic.name for point in points if point.topic}
    return [point for point in points if point.number.dimension != TOPIC or point.number.slice not in told]


def _point_of(about: About, number: Number, numbers: Sequence[Number], before: Burst | None) -> Point:
    """Return the point of a number; `numbers`: numbers of topics that may belong to it; `before`: the burst before it."""
    candidate = candidate_of(number.metric, number.dimension)
    assert candidate is not None
    candidate = in_words(candidate, about.wording)
    where = dict(about.question.where) | ({number.dimension: (number.slice,)} if number.dimension else {})
    asked = about.narrowed(number.metric, where)
    bursts = Bursts(about, number, candidate, asked)
    metric, change = _change(about, number, where)
    cause = _cause(about, change, number) if change else None
    story = topic_of(about, numbers, bursts, cause) if numbers and change and (cause or in_one_place(change)) else None
    topic = story[0] if story else None
    burst = None
    if candidate.burst and knows(number.metric, list(where)):
        burst = story[1] if story else bursts.farthest
    named = about.label(number.dimension, number.slice) if number.dimension else ""
    same = burst is not None and before is not None and (burst.start, burst.end) == (before.start, before.end)
    head, changed, usual = sentences.words_of(candidate, number, burst, named, about.tenant.tz, about.days, same=same)
    rows = {**where, **({cause.dimension: (cause.value,)} if cause else {})}
    return Point(
        number, head, changed, usual, _because(about, number, metric, cause, topic, about.days if burst else None), cause,
        rows if knows(number.metric, list(rows)) else where, candidate.things, burst, topic,
    )  # fmt: skip


def _change(about: About, number: Number, where: Mapping[str, Sequence[str]]) -> tuple[str, Changes | None]:
    """Return the metric whose parts explain a number, and its change; None where no such metric has these dimensions."""
    metric, change = number.metric, None
    for metric in made_of(number.metric, number.previous or number.usual.median, about.tenant.targets):
        if knows(metric, list(where)):
            change = changes_of(about.ask, about.now, about.tenant, about.narrowed(metric, where), MOST)
            if change.difference is not None:
                break
    return metric, change


def _because(
    about: About, number: Number, metric: str, cause: Cause | None, topic: Topic | None, days: int | None
) -> str:
    """Return the cause and topic as text; `days`: number of all days, of which the cause is, where the point is of some."""
    parts = []
    if cause:
        there = sentences.there(cause, metric, days) if metric != number.metric else ""
        parts.append(sentences.because(cause, about.label(cause.dimension, cause.value), there, about.wording))
    if topic:
        own = cause is not None and (cause.dimension, cause.value) == (ROOM, topic.room)
        room = "" if own or not topic.room else about.label(ROOM, topic.room)
        parts.append(sentences.at_the_same_time(topic.messages, about.label(TOPIC, topic.name), room))
    return "; ".join(parts)


def _cause(about: About, change: Changes, number: Number) -> Cause | None:
    """Return the cause that explains most of a change, if it explains enough; for a slice in a single room, that room."""
    if number.dimension:
        whole = only(change, ROOM) if _rooms(about, number) > 1 else None
        if whole is not None:
            return whole
    return next((row for row in causes(change).rows if row.share >= LEAST_CAUSE), None)


def _rooms(about: About, number: Number) -> int:
    """Return the number of rooms in which a slice's metric has rows, whatever the slice."""
    where = {name: values for name, values in about.question.where.items() if name != number.dimension}
    if not knows(number.metric, [ROOM, *where]):
        return 0
    return len(about.ask(replace(about.narrowed(number.metric, where), by=(ROOM,), compare=None)).dims)
