"""The news as every face has them: moments in the tenant's zone, and what is not there is null."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hubbub.model.plain import ABSENT
from hubbub.model.tenant import Tenant
from hubbub.news.causes import Cause
from hubbub.news.news import News, Number, Point
from hubbub.query.freshness import Freshness
from hubbub.query.result import Number as Value
from hubbub.query.usual import Usual, UsualRow


@dataclass(frozen=True, slots=True)
class CourseRow:
    """A window of a number, beside what is usual of it."""

    window: str
    """When it begins, in the tenant's zone."""
    value: Value
    n: int | None
    state: str
    low: float | None
    high: float | None
    median: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewsNumber:
    """A number beside what is usual of it."""

    metric: str
    dimension: str | None
    slice: str | None
    """The value of the dimension; null: the whole."""
    unit: str
    value: Value
    n: int | None
    state: str
    previous: float | None
    usual: Usual
    verdict: str
    """news, beyond (but of little), usual or unknown."""
    way: str | None
    """better, worse, up or down; null: within its noise."""
    size: float
    """How many times as far from the median as its noise reaches."""
    course: Sequence[CourseRow] | None = field(default=None, metadata=ABSENT)
    """With a grain: its windows; else absent."""


@dataclass(frozen=True, slots=True)
class NewsCause:
    """The part of a number that made most of its change."""

    dimension: str
    value: str
    before: float | None
    after: float | None
    n: int
    contribution: float
    share: float
    """Of the difference."""
    same: str | None
    """The value of another dimension that is the same rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewsPoint(NewsNumber):
    """A number that is news, in words, with its cause."""

    head: str
    things: str
    """What it goes over: ratings, conversations; empty: it counts."""
    change: str
    """Against the period before, or what is usual."""
    in_words: str | None
    """What is usual, where `change` does not say so."""
    because: str | None
    sentence: str
    cause: NewsCause | None
    where: Mapping[str, Sequence[str]]
    """Filters under which its rows are found, as for /v1/explain."""


@dataclass(frozen=True, slots=True)
class NewsAnswer:
    """What is unusual of some days."""

    from_: str
    """RFC 3339, in the tenant's zone."""
    to: str
    """Where the days end, or now."""
    before: Sequence[str] | None
    """The period compared with: from and to."""
    lead: str
    """The sentence on top."""
    rest: str
    """What is within its usual range, in words."""
    points: Sequence[NewsPoint]
    """At most three, the worst first."""
    numbers: Sequence[NewsNumber]
    """Every number that was judged."""
    freshness: Freshness


def answer_of(news: News, tenant: Tenant) -> NewsAnswer:
    """Return the news of a tenant as every face has them."""
    return NewsAnswer(
        news.start.astimezone(tenant.tz).isoformat(),
        news.end.astimezone(tenant.tz).isoformat(),
        [at.astimezone(tenant.tz).isoformat() for at in news.before] if news.before else None,
        news.lead,
        news.rest,
        [_point(one) for one in news.points],
        [NewsNumber(**_shared(one), course=_course(one.course, tenant)) for one in news.numbers],
        news.freshness,
    )


def _shared(one: Number) -> dict[str, Any]:
    """Return what a number and a point have in common."""
    return {
        "metric": one.metric, "dimension": one.dimension or None, "slice": one.slice or None, "unit": one.unit.value,
        "value": one.cell.value, "n": one.cell.n, "state": one.cell.state, "previous": one.previous, "usual": one.usual,
        "verdict": one.judged.verdict.value, "way": one.judged.way.value or None, "size": round(one.judged.size, 3),
    }  # fmt: skip


def _course(rows: Sequence[UsualRow], tenant: Tenant) -> Sequence[CourseRow] | None:
    return [
        CourseRow(
            row.start.astimezone(tenant.tz).isoformat(), row.cell.value, row.cell.n, row.cell.state,
            row.usual.low, row.usual.high, row.usual.median,
        )
        for row in rows
    ] or None  # fmt: skip


def _point(one: Point) -> NewsPoint:
    return NewsPoint(
        **_shared(one.number),
        head=one.head,
        things=one.things,
        change=one.change,
        in_words=one.usual or None,
        because=one.because or None,
        sentence=one.sentence,
        cause=_cause(one.cause) if one.cause else None,
        where=one.where,
    )


def _cause(one: Cause) -> NewsCause:
    return NewsCause(
        one.dimension, one.value, one.before, one.after, one.n, one.contribution, one.share, one.same or None
    )
