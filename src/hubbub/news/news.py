"""The news of some days: their numbers beside the usual range, and the worst outliers with their cause.

One mechanism for pages, digests and programs. At most three points, worse ones first; quiet days have none, and a sentence says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from hubbub.errors import BadQuestionError
from hubbub.metrics.catalogue import askable, find
from hubbub.metrics.definition import Unit
from hubbub.metrics.wording import COMMON, WORDINGS, Wording, kind_of
from hubbub.model.event import nearest
from hubbub.model.question import NONE, Question
from hubbub.model.tenant import Tenant
from hubbub.model.window import Grain
from hubbub.news import sentences
from hubbub.news.burst import Burst, burst_of
from hubbub.news.candidates import CANDIDATES, Candidate, candidate_of, in_words
from hubbub.news.causes import Cause, causes, made_of, only
from hubbub.news.judge import Judged, Verdict, Way, judged
from hubbub.query.answering import Ask
from hubbub.query.changes import changes_of
from hubbub.query.freshness import Freshness, fresh
from hubbub.query.result import Cell, Row
from hubbub.query.usual import Usual, UsualRow, usual_of_each
from hubbub.query.usual_stretch import Stretch, usual_of_stretch
from hubbub.storage.transaction import Reading

MOST = 3
"""Most points."""
LEAST_CAUSE = 0.3
"""Smallest share of the difference that a cause must explain."""
ROOM = "channel_id"
LONGEST = timedelta(days=366)
"""A longer stretch has no news: eight weeks say nothing of years."""
Label = Callable[[str, str], str]
"""Dimension and value to display name."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number of the days beside its usual range and its comparison; `slice` is empty for the whole."""

    metric: str
    dimension: str
    slice: str
    unit: Unit
    cell: Cell
    previous: float | None
    usual: Usual
    judged: Judged
    course: tuple[UsualRow, ...] = ()
    """Its windows with their usual ranges, if the question has a grain."""

    @property
    def rises(self) -> bool:
        """Whether it lies above the middle of what is usual."""
        return self.usual.median is not None and (self.cell.value or 0) > self.usual.median


@dataclass(frozen=True, slots=True)
class Point:
    """A number that is news: in words, with its cause, and the filters that find its rows.

    `head` says what happened, `change` the distance from before or else from usual, `usual` the usual range where `change` does
    not, `because` the cause.
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

    @property
    def sentence(self) -> str:
        """The point in a sentence or two."""
        first = f"{self.head}, {self.change}."
        return f"{first} {self.because}." if self.because else first

    @property
    def whole(self) -> str:
        """The same, with the usual range."""
        return f"{self.sentence} {self.usual}." if self.usual else self.sentence


@dataclass(frozen=True, slots=True)
class News:
    """The news of `[start, end)`: a sentence, points (worst first), and every judged number."""

    start: datetime
    end: datetime
    before: tuple[datetime, datetime] | None
    lead: str
    points: tuple[Point, ...]
    rest: str
    numbers: tuple[Number, ...]
    freshness: Freshness
    wording: str = COMMON
    """Name of the words in which it is written (`metrics/wording.py`)."""

    def number(self, metric: str) -> Number | None:
        """Return the judged number of a metric for the whole, or None."""
        return next((n for n in self.numbers if n.metric == metric and not n.dimension), None)


def news(
    ask: Ask, reading: Reading, tenant: Tenant, question: Question, now: datetime, label: Label, *, most: int = MOST
) -> News:
    """Return the news of a question's range under its filters, compared as its `compare` says.

    Its metrics are judged beside `CANDIDATES`, but become no points. Metrics that do not have a filter's dimension are left out.
    With a `grain` its metrics have a course; each value of a dimension of `by` has a number, too.
    """
    question = replace(question, compare=question.compare or compared(question, now))
    numbers, judged_by = _judge_all(ask, reading, tenant, question, now, _candidates(question))
    begun = question.start < now
    freshness = judged_by or fresh(question, tenant, now, live_windows=int(question.end > now))
    worst = sorted(_once([number for number in numbers if _has_words(number)]), key=_rank)[:most]
    kind = _kind(ask, question)
    wording = WORDINGS[kind]
    points = tuple(_point_of(ask, reading, tenant, question, now, number, label, wording) for number in worst)
    span = freshness.compared_with
    before = (datetime.fromisoformat(span[0]), datetime.fromisoformat(span[1])) if span else None
    known = [number for number in numbers if not number.dimension and number.judged.verdict is not Verdict.UNKNOWN]
    return News(
        question.start, min(question.end, now) if begun else question.end, before,
        sentences.lead(points, known, wording) if begun else "These days have not begun.", points,
        sentences.rest(points, known, wording), tuple(numbers), freshness, kind,
    )  # fmt: skip


def _has_words(number: Number) -> bool:
    """Whether a number is unusual and has a sentence for that."""
    candidate = candidate_of(number.metric, number.dimension)
    words = candidate and (candidate.up if number.rises else candidate.down)
    return number.judged.verdict is Verdict.NEWS and number.slice != NONE and bool(words)


def numbers_beside_usual(
    ask: Ask, reading: Reading, tenant: Tenant, question: Question, now: datetime
) -> tuple[list[Number], Freshness]:
    """Return a question's metrics judged as the news judge them, and how fresh they are; with dimensions their slices alone."""
    question = replace(question, compare=question.compare or compared(question, now))
    numbers, judged_by = _judge_all(ask, reading, tenant, question, now, [])
    return numbers, judged_by or fresh(question, tenant, now, live_windows=int(question.end > now))


def check_dimensions(question: Question) -> None:
    """Raise BadQuestionError for a dimension in `where` or `by` that no number has."""
    metrics = {*question.metrics, *(candidate.metric for candidate in CANDIDATES)}
    known = {name for metric in metrics for name in askable(find(metric).rollup)}
    for name in (*question.where, *question.by):
        if name not in known:
            raise BadQuestionError(f"no number of the news has a dimension {name[:80]!r}{nearest(name, known)}")


def compared(question: Question, now: datetime) -> str:
    """Return the default comparison of a range: `weekdays` for less than a week, else `previous`."""
    return "weekdays" if min(question.end, now) - question.start < timedelta(days=6) else "previous"


def _kind(ask: Ask, question: Question) -> str:
    """Return the kind of words for the tenant's messages of these days, whatever the filters are."""
    answer = ask(replace(question, metrics=("messages",), by=("channel",), where={}, grain=Grain.TOTAL, compare=None))
    counted = zip(answer.dims, answer.columns["messages"].values, strict=True)
    return kind_of([channel for (channel,), messages in counted if messages])


def _candidates(question: Question) -> list[Candidate]:
    return [c for c in CANDIDATES if _knows(c.metric, [*question.where, *([c.by] if c.by else [])])]


def _knows(metric: str, dimensions: Sequence[str]) -> bool:
    allowed = askable(find(metric).rollup)
    return all(name in allowed for name in dimensions)


def _judge_all(
    ask: Ask, reading: Reading, tenant: Tenant, question: Question, now: datetime, candidates: Sequence[Candidate]
) -> tuple[list[Number], Freshness | None]:
    """Return every judged number, of the whole and of slices, and the freshness; None where nothing is judged."""
    in_table = [candidate.metric for candidate in candidates if not candidate.by]
    of_whole = [
        *in_table,
        *(name for name in question.metrics if name not in in_table and _knows(name, list(question.where))),
    ]
    comparable = _is_comparable(question, now)
    if not of_whole or question.start >= now or question.end - question.start > LONGEST:
        return [], None
    whole = [(tuple(of_whole), ())] if candidates or not question.by else []
    groups = [*whole, *(((c.metric,), (c.by,)) for c in candidates if c.by), *_slices(question)]
    question, grain = replace(question, grain=Grain.TOTAL, by=()), question.grain
    numbers: list[Number] = []
    freshness: Freshness | None = None
    for metrics, by in groups:
        split = replace(question, metrics=metrics, by=by)
        answer = ask(split)
        freshness = freshness or answer.freshness
        rows = {tuple(row.dims.values()): row for row in answer.each()}
        stretches = usual_of_stretch(ask, reading, tenant, answer, now)
        numbers += [_judged(each, by, rows.get(each.dims), comparable=comparable) for each in stretches]
    if grain is Grain.TOTAL or not question.metrics:
        return numbers, freshness
    courses = _courses(ask, reading, tenant, replace(question, grain=grain, compare=None))
    return [n if n.dimension else replace(n, course=courses.get(n.metric, ())) for n in numbers], freshness


def _slices(question: Question) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Yield, for each dimension in `by`, the question's metrics that have it."""
    for name in question.by:
        if metrics := tuple(metric for metric in question.metrics if _knows(metric, [*question.where, name])):
            yield metrics, (name,)


def _courses(ask: Ask, reading: Reading, tenant: Tenant, question: Question) -> dict[str, tuple[UsualRow, ...]]:
    known = tuple(name for name in question.metrics if _knows(name, list(question.where)))
    series = usual_of_each(ask, reading, tenant, replace(question, metrics=known)) if known else []
    return {usual.question.metrics[0]: usual.rows for usual in series}


def _is_comparable(question: Question, now: datetime) -> bool:
    """Whether the period before has the same weekdays, so that numbers are comparable."""
    days = (min(question.end, now) - question.start) / timedelta(days=1)
    return question.compare in ("week", "weekdays") or days >= 27 or abs(days - 7 * round(days / 7)) <= 1


def _judged(stretch: Stretch, by: tuple[str, ...], row: Row | None, *, comparable: bool) -> Number:
    pair = (row.compare or {}).get(stretch.metric) if row is not None else None
    previous = pair.previous if pair is not None else None
    slice_ = "".join(value if value is not None else NONE for value in stretch.dims)
    held = previous if comparable else None
    candidate = candidate_of(stretch.metric, "".join(by)) or candidate_of(stretch.metric)
    verdict = judged(stretch.metric, stretch.cell, stretch.usual, held, candidate)
    unit = find(stretch.metric).unit
    return Number(stretch.metric, by[0] if by else "", slice_, unit, stretch.cell, previous, stretch.usual, verdict)


_ORDER = {candidate.metric: (place, candidate.weight) for place, candidate in enumerate(CANDIDATES)}
_FAR = 3.0
"""Size from which numbers count as equally far from usual."""


def _rank(number: Number) -> tuple[int, float, int]:
    """Sort key: worse first, then slices, then neutral, then better; within each by weighted size."""
    way = number.judged.way
    level = 0 if way is Way.WORSE else 1 if number.dimension else 3 if way is Way.BETTER else 2
    place, weight = _ORDER[number.metric]
    return level, -weight * min(number.judged.size, _FAR), place


def _once(numbers: Sequence[Number]) -> list[Number]:
    """Return the farthest number of each kind: one of a duration's statistics, one of a dimension's values."""
    farthest: dict[tuple[str, str], Number] = {}
    for number in sorted(numbers, key=lambda number: -number.judged.size):
        farthest.setdefault((number.metric.partition(".")[0], number.dimension), number)
    return list(farthest.values())


def _point_of(
    ask: Ask,
    reading: Reading,
    tenant: Tenant,
    question: Question,
    now: datetime,
    number: Number,
    label: Label,
    wording: Wording,
) -> Point:
    candidate = candidate_of(number.metric, number.dimension)
    assert candidate is not None
    candidate = in_words(candidate, wording)
    where = dict(question.where) | ({number.dimension: (number.slice,)} if number.dimension else {})
    metric = made_of(number.metric, number.previous or number.usual.median)
    narrowed = replace(question, metrics=(metric,), where=where, by=(), edges=(), grain=Grain.TOTAL)
    row = _cause(ask, tenant, narrowed, now, number)
    by = sentences.within(metric) if metric != number.metric else ""
    because = sentences.because(row, label(row.dimension, row.value), by, wording) if row else ""
    rows_of = {**where, **({row.dimension: (row.value,)} if row else {})}
    named = label(number.dimension, number.slice) if number.dimension else ""
    burst = None
    if candidate.burst and _knows(number.metric, list(where)):
        burst = burst_of(
            ask,
            reading,
            tenant,
            replace(narrowed, metrics=(number.metric,)),
            number.usual,
            candidate,
            rises=number.rises,
        )
    head, change, usual = sentences.words_of(candidate, number, burst, named, tenant.tz)
    rows = rows_of if _knows(number.metric, list(rows_of)) else where
    return Point(number, head, change, usual, because, row, rows, candidate.things, burst)


def _cause(ask: Ask, tenant: Tenant, narrowed: Question, now: datetime, number: Number) -> Cause | None:
    """Return the cause that explains most of a change, if enough; for a slice also the only room it is in."""
    if not _knows(narrowed.metrics[0], list(narrowed.where)):
        return None
    change = changes_of(ask, now, tenant, narrowed)
    if number.dimension:
        everything = {name: values for name, values in narrowed.where.items() if name != number.dimension}
        by_room = replace(narrowed, where=everything, by=(ROOM,), compare=None)
        known = ask(by_room) if _knows(number.metric, [ROOM]) else None
        whole = only(change, ROOM) if known is not None and len(known.dims) > 1 else None
        if whole is not None:
            return whole
    return next((row for row in causes(change).rows if row.share >= LEAST_CAUSE), None)
