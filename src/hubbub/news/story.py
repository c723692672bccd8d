"""Stories: a number, the place that explains its change, and a topic that rose there in the same days, told as one point.

A topic belongs to a number whose change a place explains (a room, channel or account, or there is only one place) if

- the topic is itself news, and rose,
- the number and the topic share at least `SAME_DAYS` of their days, and
- at least `IN_PLACE` of the topic's messages of these days are in that place.

The days of each are those of its burst, else the whole range; the days of the topic are tested as a burst of a number without one.
Of several topics, the one with the most messages belongs. The text says only that both happened at the same time, not that one
caused the other.
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
"""Least share of the days of both that they have in common."""
IN_PLACE = 0.7
"""Least share of a topic's messages in the place."""
MOST_TOPICS = 3
"""Most topics that are tested."""
TOPIC = "topic"
ROOM = "channel_id"
ONLY_ROOM = 0.9
"""Least share of a topic's messages in a room that is named as the topic's room."""
Days = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic that rose in the days `[start, end)`, mostly in the place of a number's cause."""

    name: str
    messages: int
    """Number of its messages in these days."""
    start: datetime
    end: datetime
    share: float
    """Share of its messages in the place of the number's cause."""
    room: str
    """The room with nearly all of its messages; empty if there is none."""


def topic_of(
    about: About, numbers: Sequence[Number], bursts: Bursts, place: Cause | None
) -> tuple[Topic, Burst | None] | None:
    """Return the topic that belongs to a number and its place, and the number's burst, if any; None without a topic.

    `numbers`: all judged numbers; `bursts`: those of the number; `place`: its cause; None: everything is in one place.
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
    """Return the share of the days from the first start to the last end of two ranges that is in both, 0 to 1."""
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
