"""Stories: a number, the place that explains it, and a topic that rose in the same days and mostly there are one piece of news.

A topic belongs to a number whose change a place explains (a room, a channel or an account; or there is only one place) when

- the topic is itself news, and rose,
- its days and those of the number have at least `SAME_DAYS` of all their days in common, and
- at least `IN_PLACE` of its messages of these days are in that place.

The days of each are those of its burst, else the whole stretch; a number without a burst is tried for one in the days of the topic.
Of several topics that with the most messages belongs. Both rose at the same time: that one caused the other is not said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from hubbub.model.question import NONE
from hubbub.news.about import About, knows
from hubbub.news.burst import Burst, Bursts
from hubbub.news.candidates import candidate_of
from hubbub.news.causes import PLACES, Cause
from hubbub.news.judge import Verdict
from hubbub.news.number import Number

SAME_DAYS = 0.5
"""Least part of the days of both that they have in common."""
IN_PLACE = 0.7
"""Least part of a topic's messages in the place."""
MOST_TOPICS = 3
"""Most topics that are tried."""
TOPIC = "topic"
ROOM = "channel_id"
ONLY_ROOM = 0.9
"""Least part of a topic's messages in the room that is named as its own."""
Days = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic that rose in the days `[start, end)` of a number, and mostly in its place."""

    name: str
    messages: int
    """Of these days."""
    start: datetime
    end: datetime
    share: float
    """Part of its messages in the place of the number's cause."""
    room: str
    """The room of nearly all of its messages; empty where there is none."""


def topic_of(
    about: About, numbers: Sequence[Number], bursts: Bursts, place: Cause | None
) -> tuple[Topic, Burst | None] | None:
    """Return the topic that belongs to a number and its place, and the number's burst; None without one.

    `numbers`: all judged numbers; `bursts`: of the number; `place`: its cause, None where all is in one place.
    """
    if (place is not None and place.dimension not in PLACES) or not knows(
        "classifications", list(about.question.where)
    ):
        return None
    topics = sorted(filter(_rose, numbers), key=lambda number: -(number.cell.value or 0))
    for topic in topics[:MOST_TOPICS]:
        days = _days_of_topic(about, topic)
        burst = bursts.farthest or bursts.of(*days)
        if in_common(days, (burst.start, burst.end) if burst else _whole(about)) < SAME_DAYS:
            continue
        belonging = _in_place(about, topic, days, place)
        if belonging.share >= IN_PLACE:
            return belonging, burst
    return None


def in_common(one: Days, other: Days) -> float:
    """Return the part of all days of two ranges that lies in both, 0 to 1."""
    both = min(one[1], other[1]) - max(one[0], other[0])
    return max(0.0, both / (max(one[1], other[1]) - min(one[0], other[0])))


def _rose(number: Number) -> bool:
    return number.dimension == TOPIC and number.judged.verdict is Verdict.NEWS and number.rises and number.slice != NONE


def _whole(about: About) -> Days:
    return about.question.start, min(about.question.end, about.now)


def _days_of_topic(about: About, topic: Number) -> Days:
    candidate = candidate_of(topic.metric, TOPIC)
    assert candidate is not None
    asked = about.narrowed(topic.metric, {**about.question.where, TOPIC: (topic.slice,)})
    burst = Bursts(about, topic, candidate, asked).farthest
    return (burst.start, burst.end) if burst else _whole(about)


def _in_place(about: About, topic: Number, days: Days, place: Cause | None) -> Topic:
    asked = about.narrowed(topic.metric, {**about.question.where, TOPIC: (topic.slice,)})

    def counted(dimension: str) -> dict[str | None, int]:
        answer = about.ask(replace(asked, start=days[0], end=days[1], by=(dimension,), compare=None))
        return {row.dims[dimension]: int(row.cells[topic.metric].value or 0) for row in answer.each()}

    rooms = counted(ROOM)
    places = rooms if place is None or place.dimension == ROOM else counted(place.dimension)
    messages = sum(places.values())
    share = 1.0 if place is None else places.get(place.value, 0) / max(messages, 1)
    room = max(rooms, key=lambda name: rooms[name], default=None)
    own = room if room is not None and rooms[room] >= ONLY_ROOM * messages else None
    return Topic(topic.slice, messages, *days, share, own or "")
