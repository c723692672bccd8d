"""The news of a stretch of days: its numbers beside what is usual of them, and the worst that lie beyond, with their cause.

One mechanism for pages, digests and programs. At most three points, those that went the wrong way first; of a quiet stretch none,
and a sentence that says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from hubbub.errors import BadQuestionError
from hubbub.metrics.catalogue import askable, find
from hubbub.metrics.definition import Unit
from hubbub.model.event import nearest
from hubbub.model.question import NONE, Question
from hubbub.model.tenant import Tenant
from hubbub.model.window import Grain
from hubbub.news import sentences
from hubbub.news.candidates import CANDIDATES, Candidate
from hubbub.news.causes import Cause, causes, made_of, only
from hubbub.news.judge import Judged, Verdict, Way, judged
from hubbub.query.changes import changes_of
from hubbub.query.result import Cell, Row
from hubbub.query.usual import Ask, Usual, UsualRow, usual_of_each
from hubbub.query.usual_stretch import Stretch, usual_of_stretch
from hubbub.storage.transaction import Transaction

MOST = 3
"""Points at most."""
LEAST_CAUSE = 0.3
"""Of the difference: a cause that explains less is left out."""
ROOM = "channel_id"
LONGEST = timedelta(days=366)
"""A longer stretch has no news: eight weeks say nothing of years."""
Label = Callable[[str, str], str]
"""Gives what a dimension's value is called."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number of the stretch beside what is usual of it, and the one before it; `slice` is empty for the whole."""

    metric: str
    dimension: str
    slice: str
    unit: Unit
    cell: Cell
    previous: float | None
    usual: Usual
    judged: Judged
    course: tuple[UsualRow, ...] = ()
    """Its windows, each beside what is usual there, where a grain was asked for."""


@dataclass(frozen=True, slots=True)
class Point:
    """A number that is news: in words, with its cause, and under which filters its rows are found.

    `head` says what happened, `change` how far it is from before, or else from usual, `usual` what is usual where `change` does
    not say so, `because` what made it so.
    """

    number: Number
    head: str
    change: str
    usual: str
    because: str
    cause: Cause | None
    where: Mapping[str, tuple[str, ...]]
    things: str = ""
    """What the number goes over: ratings, conversations."""

    @property
    def sentence(self) -> str:
        """The point in a sentence or two."""
        first = f"{self.head}, {self.change}."
        return f"{first} {self.because}." if self.because else first

    @property
    def whole(self) -> str:
        """The same, with what is usual."""
        return f"{self.sentence} {self.usual}." if self.usual else self.sentence


@dataclass(frozen=True, slots=True)
class News:
    """The news of `[start, end)`: a sentence, its points, the worst first, and every number that was judged."""

    start: datetime
    end: datetime
    before: tuple[datetime, datetime] | None
    lead: str
    points: tuple[Point, ...]
    rest: str
    numbers: tuple[Number, ...]
    freshness: Mapping[str, Any]

    def number(self, metric: str) -> Number | None:
        """Return the whole's number of a metric, where it was judged."""
        return next((one for one in self.numbers if one.metric == metric and not one.dimension), None)

    def public(self, tenant: Tenant) -> dict[str, Any]:
        """Return the public form: plain values, moments in the tenant's zone."""
        return {
            "from": self.start.astimezone(tenant.tz).isoformat(),
            "to": self.end.astimezone(tenant.tz).isoformat(),
            "before": [at.astimezone(tenant.tz).isoformat() for at in self.before] if self.before else None,
            "lead": self.lead,
            "rest": self.rest,
            "points": [_point(one) for one in self.points],
            "numbers": [{**_number(one), **_course(one, tenant)} for one in self.numbers],
            "freshness": dict(self.freshness),
        }


def news(
    ask: Ask, reading: Transaction, tenant: Tenant, question: Question, now: datetime, label: Label, *, most: int = MOST
) -> News:
    """Return the news of a question's range under its filters, compared with what its `compare` names.

    Its metrics are judged beside those of `CANDIDATES`, and none of them becomes a point. What does not know a filter is left out.
    With a `grain` they have their course; each dimension of `by` has numbers for each of its values, too.
    """
    question = replace(question, compare=question.compare or compared(question, now))
    numbers, answer = _judge_all(ask, reading, tenant, question, now)
    worst = sorted(_once([one for one in numbers if one.judged.verdict is Verdict.NEWS]), key=_rank)[:most]
    points = tuple(_point_of(ask, tenant, question, now, one, label) for one in worst)
    span = answer.get("compared_with")
    before = (datetime.fromisoformat(span[0]), datetime.fromisoformat(span[1])) if span else None
    known = [one for one in numbers if not one.dimension and one.judged.verdict is not Verdict.UNKNOWN]
    begun = question.start < now
    return News(
        question.start, min(question.end, now) if begun else question.end, before,
        sentences.lead(points, known) if begun else "These days have not begun.", points,
        sentences.rest(points, known), tuple(numbers), answer,
    )  # fmt: skip


def check_dimensions(question: Question) -> None:
    """Raise BadQuestionError for a filter or a split that no number knows."""
    metrics = {*question.metrics, *(one.metric for one in CANDIDATES)}
    known = {name for metric in metrics for name in askable(find(metric).rollup)}
    for name in (*question.where, *question.by):
        if name not in known:
            raise BadQuestionError(f"no number of the news has a dimension {name[:80]!r}{nearest(name, known)}")


def compared(question: Question, now: datetime) -> str:
    """Return what a range is compared with where nothing is said: less than a week with the same weekdays."""
    return "weekdays" if min(question.end, now) - question.start < timedelta(days=6) else "previous"


def _candidates(question: Question) -> list[Candidate]:
    return [one for one in CANDIDATES if _knows(one.metric, [*question.where, *([one.by] if one.by else [])])]


def _knows(metric: str, dimensions: Sequence[str]) -> bool:
    allowed = askable(find(metric).rollup)
    return all(name in allowed for name in dimensions)


def _judge_all(
    ask: Ask, reading: Transaction, tenant: Tenant, question: Question, now: datetime
) -> tuple[list[Number], Mapping[str, Any]]:
    """Return every judged number, the whole's and those of slices, and how fresh they are."""
    candidates = _candidates(question)
    by_metric = {one.metric: one for one in candidates if not one.by}
    asked = [
        *by_metric,
        *(name for name in question.metrics if name not in by_metric and _knows(name, list(question.where))),
    ]
    comparable = _is_comparable(question, now)
    if not asked or question.start >= now or question.end - question.start > LONGEST:
        return [], {}
    groups = [(tuple(asked), ()), *(((one.metric,), (one.by,)) for one in candidates if one.by), *_slices(question)]
    question, grain = replace(question, grain=Grain.TOTAL, by=()), question.grain
    found: list[Number] = []
    freshness: Mapping[str, Any] = {}
    for metrics, by in groups:
        one = replace(question, metrics=metrics, by=by)
        answer = ask(one)
        freshness = freshness or answer.freshness
        rows = {tuple(row.dims.values()): row for row in answer.each()}
        for stretch in usual_of_stretch(ask, reading, tenant, answer, now):
            of_slice = next((c for c in candidates if c.by and (c.by,) == by and c.metric == stretch.metric), None)
            candidate = of_slice if by else by_metric.get(stretch.metric)
            found.append(_judged(stretch, by, rows.get(stretch.dims), candidate, comparable=comparable))
    if grain is Grain.TOTAL or not question.metrics:
        return found, freshness
    courses = _courses(ask, reading, tenant, replace(question, grain=grain, compare=None))
    return [one if one.dimension else replace(one, course=courses.get(one.metric, ())) for one in found], freshness


def _slices(question: Question) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Yield, for each dimension of a question, the metrics that know it."""
    for name in question.by:
        if metrics := tuple(one for one in question.metrics if _knows(one, [*question.where, name])):
            yield metrics, (name,)


def _courses(ask: Ask, reading: Transaction, tenant: Tenant, question: Question) -> dict[str, tuple[UsualRow, ...]]:
    known = tuple(name for name in question.metrics if _knows(name, list(question.where)))
    found = usual_of_each(ask, reading, tenant, replace(question, metrics=known)) if known else []
    return {one.question.metrics[0]: one.rows for one in found}


def _is_comparable(question: Question, now: datetime) -> bool:
    """Whether the period before has the same weekdays, so that a number may be held against it."""
    days = (min(question.end, now) - question.start) / timedelta(days=1)
    return question.compare in ("week", "weekdays") or days >= 27 or abs(days - 7 * round(days / 7)) <= 1


def _judged(
    stretch: Stretch, by: tuple[str, ...], row: Row | None, candidate: Candidate | None, *, comparable: bool
) -> Number:
    pair = (row.compare or {}).get(stretch.metric, {}) if row is not None else {}
    previous = pair.get("previous")
    slice_ = "".join(value if value is not None else NONE for value in stretch.dims)
    held = previous if comparable else None
    verdict = judged(stretch.metric, stretch.cell, stretch.usual, held, candidate if slice_ != NONE else None)
    unit = find(stretch.metric).unit
    return Number(stretch.metric, by[0] if by else "", slice_, unit, stretch.cell, previous, stretch.usual, verdict)


_ORDER = {one.metric: (place, one.weight) for place, one in enumerate(CANDIDATES)}
_FAR = 3.0
"""Times its noise from where on a number is just far from usual."""


def _rank(one: Number) -> tuple[int, float, int]:
    """Worse comes first, then what is of single slices, then what is neither, then better; of these the farther by weight."""
    level = 0 if one.judged.way is Way.WORSE else 1 if one.dimension else 3 if one.judged.way is Way.BETTER else 2
    place, weight = _ORDER[one.metric]
    return level, -weight * min(one.judged.size, _FAR), place


def _once(numbers: Sequence[Number]) -> list[Number]:
    """Return one number of each kind, the farthest from usual: of a duration's statistics, and of a dimension's values."""
    found: dict[tuple[str, str], Number] = {}
    for one in sorted(numbers, key=lambda one: -one.judged.size):
        found.setdefault((one.metric.partition(".")[0], one.dimension), one)
    return list(found.values())


def _point_of(ask: Ask, tenant: Tenant, question: Question, now: datetime, one: Number, label: Label) -> Point:
    candidate = next(c for c in CANDIDATES if c.metric == one.metric and bool(c.by) == bool(one.dimension))
    where = dict(question.where) | ({one.dimension: (one.slice,)} if one.dimension else {})
    metric = made_of(one.metric, one.previous or one.usual.median)
    asked = replace(question, metrics=(metric,), where=where, by=(), cut=())
    row = _cause(ask, tenant, asked, now, one)
    rises = one.usual.median is not None and (one.cell.value or 0) > one.usual.median
    named = label(one.dimension, one.slice) if one.dimension else ""
    by = sentences.within(metric) if metric != one.metric else ""
    because = sentences.because(row, label(row.dimension, row.value), by) if row else ""
    rows_of = {**where, **({row.dimension: (row.value,)} if row else {})}
    change = sentences.change(one)
    return Point(
        one, sentences.head(candidate, one, named, rises=rises), change or sentences.expected(one),
        sentences.usual(candidate, one) if change else "", because, row,
        rows_of if _knows(one.metric, list(rows_of)) else where, candidate.things,
    )  # fmt: skip


def _cause(ask: Ask, tenant: Tenant, asked: Question, now: datetime, one: Number) -> Cause | None:
    """Return the part that made most of a change, where it made enough; of a slice also the one room that all of it is in."""
    if not _knows(asked.metrics[0], list(asked.where)):
        return None
    found = changes_of(ask, now, tenant, asked)
    if one.dimension:
        everything = {name: values for name, values in asked.where.items() if name != one.dimension}
        known = ask(replace(asked, where=everything, by=(ROOM,), compare=None)) if _knows(one.metric, [ROOM]) else None
        whole = only(found, ROOM) if known is not None and len(known.dims) > 1 else None
        if whole is not None:
            return whole
    return next((row for row in causes(found).rows if row.share >= LEAST_CAUSE), None)


def _number(one: Number) -> dict[str, Any]:
    cell, usual = one.cell, one.usual
    return {
        "metric": one.metric, "dimension": one.dimension or None, "slice": one.slice or None, "unit": one.unit.value,
        "value": cell.value, "n": cell.n, "state": cell.state, "previous": one.previous,
        "usual": {"median": usual.median, "spread": usual.spread, "n": usual.n, "low": usual.low, "high": usual.high},
        "verdict": one.judged.verdict.value, "way": one.judged.way.value or None, "size": round(one.judged.size, 3),
    }  # fmt: skip


def _course(one: Number, tenant: Tenant) -> dict[str, Any]:
    rows = [
        {
            "window": row.start.astimezone(tenant.tz).isoformat(), "value": row.cell.value, "n": row.cell.n,
            "state": row.cell.state, "low": row.usual.low, "high": row.usual.high, "median": row.usual.median,
        }
        for row in one.course
    ]  # fmt: skip
    return {"course": rows} if rows else {}


def _point(one: Point) -> dict[str, Any]:
    cause = one.cause
    return {
        **_number(one.number), "head": one.head, "things": one.things, "change": one.change, "in_words": one.usual or None,
        "because": one.because or None, "sentence": one.sentence,
        "cause": {
            "dimension": cause.dimension, "value": cause.value, "before": cause.before, "after": cause.after, "n": cause.n,
            "contribution": cause.contribution, "share": cause.share, "same": cause.same or None,
        } if cause else None,
        "where": {name: list(values) for name, values in one.where.items()},
    }  # fmt: skip
