"""The news as API, commands, pages and mails get them: times in the tenant's zone, null for missing values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hubbub.model.plain import JsonObject
from hubbub.model.tenant import Tenant
from hubbub.news.burst import Burst
from hubbub.news.causes import Cause
from hubbub.news.judge import of_window
from hubbub.news.news import News
from hubbub.news.number import CourseRow, NewsNumber, Number
from hubbub.news.point import Point
from hubbub.news.story import Topic
from hubbub.query.freshness import Freshness
from hubbub.query.result import Number as Value
from hubbub.query.usual import Usual


@dataclass(frozen=True, slots=True)
class NewsBurst:
    """The few days that account for a change; the other days are within their usual range."""

    from_: str
    """Local midnight, RFC 3339, in the tenant's zone."""
    to: str
    """Their end, exclusive."""
    value: Value
    """The number of these days."""
    n: int | None
    usual: Usual
    """The usual range of as many things."""
    lasts: bool
    """Whether they reach the last whole day."""


@dataclass(frozen=True, slots=True)
class NewsTopic:
    """A topic that rose in the same days as a number, mostly in the place of the number's cause."""

    name: str
    messages: int
    """Number of its messages in its days."""
    from_: str
    """Start of its days, RFC 3339, in the tenant's zone."""
    to: str
    """Their end, exclusive."""
    share: float
    """Share of its messages in the place of the number's cause."""
    room: str | None
    """The room with nearly all of its messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewsPoint(NewsNumber):
    """A number that is news, as text, with its cause."""

    head: str
    things: str
    """What it counts or averages over: ratings, conversations; may be empty."""
    change: str
    """Difference from the period before, or from usual."""
    in_words: str | None
    """The usual range, if `change` does not have it."""
    because: str | None
    """The cause and the topic, as they stand in the sentence."""
    sentence: str
    cause: Cause | None
    """The part of the number that explains most of its change."""
    where: Mapping[str, Sequence[str]]
    """Filters that find its rows, as for /v1/explain."""
    burst: NewsBurst | None = None
    """The few days that account for the change; null if the whole range is different."""
    topic: NewsTopic | None = None
    """The topic that rose with it; such a topic is no point of its own."""


@dataclass(frozen=True, slots=True)
class NewsAnswer:
    """The news of some days."""

    from_: str
    """RFC 3339, in the tenant's zone."""
    to: str
    """The end of the days, or now."""
    before: Sequence[str] | None
    """The compared period: start and end."""
    lead: str
    """The first sentence."""
    rest: str
    """A sentence about the other numbers."""
    points: Sequence[NewsPoint]
    """At most three, worst first."""
    numbers: Sequence[NewsNumber]
    """Every judged number."""
    freshness: Freshness
    wording: str
    """The wording of the texts: `slack` if all messages are Slack's (threads, members, channels), else `common`."""


@dataclass(frozen=True, slots=True)
class JudgedNumbers:
    """Numbers compared with their usual range, and their freshness."""

    numbers: Sequence[NewsNumber]
    freshness: Freshness


def numbers_of(numbers: Sequence[Number], freshness: Freshness, tenant: Tenant) -> JudgedNumbers:
    """Convert judged numbers of a tenant."""
    return JudgedNumbers([_number(number, tenant) for number in numbers], freshness)


def _number(number: Number, tenant: Tenant) -> NewsNumber:
    return NewsNumber(**_shared(number), course=_course(number, tenant))


def answer_of(news: News, tenant: Tenant) -> NewsAnswer:
    """Convert the news of a tenant."""
    return NewsAnswer(
        news.start.astimezone(tenant.tz).isoformat(),
        news.end.astimezone(tenant.tz).isoformat(),
        [at.astimezone(tenant.tz).isoformat() for at in news.before] if news.before else None,
        news.lead,
        news.rest,
        [_point(point, tenant) for point in news.points],
        [_number(number, tenant) for number in news.numbers],
        news.freshness,
        news.wording,
    )


def _shared(number: Number) -> JsonObject:
    """Return the fields that a number and a point share."""
    return {
        "metric": number.metric, "dimension": number.dimension or None, "slice": number.slice or None, "unit": number.unit.value,
        "value": number.cell.value, "n": number.cell.n, "state": number.cell.state, "previous": number.previous,
        "usual": number.usual,
        "verdict": number.judged.verdict.value,
        "held": number.judged.held.value or None, "way": number.judged.way.value or None, "size": round(number.judged.size, 3),
    }  # fmt: skip


def _course(number: Number, tenant: Tenant) -> Sequence[CourseRow] | None:
    return [
        CourseRow(
            row.start.astimezone(tenant.tz).isoformat(), row.cell.value, row.cell.n, row.cell.state,
            row.usual.low, row.usual.high, row.usual.median, known.verdict, known.held or None,
        )
        for row in number.course for known in (of_window(number.metric, row),)
    ] or None  # fmt: skip


def _point(point: Point, tenant: Tenant) -> NewsPoint:
    return NewsPoint(
        **_shared(point.number),
        head=point.head,
        things=point.things,
        change=point.change,
        in_words=point.usual or None,
        because=point.because or None,
        sentence=point.sentence,
        cause=point.cause,
        where=point.where,
        burst=_burst(point.burst, tenant) if point.burst else None,
        topic=_topic(point.topic, tenant) if point.topic else None,
    )


def _burst(burst: Burst, tenant: Tenant) -> NewsBurst:
    start, end = (at.astimezone(tenant.tz).isoformat() for at in (burst.start, burst.end))
    return NewsBurst(start, end, burst.cell.value, burst.cell.n, burst.usual, burst.lasts)


def _topic(topic: Topic, tenant: Tenant) -> NewsTopic:
    start, end = (at.astimezone(tenant.tz).isoformat() for at in (topic.start, topic.end))
    return NewsTopic(topic.name, topic.messages, start, end, topic.share, topic.room or None)
