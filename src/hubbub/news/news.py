"""The news of some days: their numbers compared with their usual range, and the worst outliers with their causes.

Pages, digests and programs all use it. It has at most three points, worst first; quiet days have none, and a sentence says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from hubbub.errors import BadQuestionError
from hubbub.metrics.catalogue import askable, find
from hubbub.metrics.wording import COMMON, WORDINGS, kind_of
from hubbub.model.event import nearest
from hubbub.model.question import NONE, Question
from hubbub.model.tenant import Tenant
from hubbub.model.window import Grain
from hubbub.news import sentences
from hubbub.news.about import About, Label, knows
from hubbub.news.candidates import CANDIDATES, Candidate, candidate_of
from hubbub.news.judge import Verdict, Way, judged
from hubbub.news.number import Number
from hubbub.news.point import Point
from hubbub.news.points import points_of
from hubbub.query.answering import Ask
from hubbub.query.freshness import Freshness, fresh
from hubbub.query.result import Row
from hubbub.query.usual import UsualRow, known_from, usual_of_each
from hubbub.query.usual_stretch import Stretch, too_long, usual_of_stretch
from hubbub.storage.transaction import Reading

MOST = 3
"""Most points."""
LONGEST = timedelta(days=366)
"""A longer range has no news: eight usual weeks say nothing about years."""


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
    """Name of the wording of its texts (`metrics/wording.py`)."""

    def number(self, metric: str) -> Number | None:
        """Return the judged number of a metric without a slice, or None."""
        return next((n for n in self.numbers if n.metric == metric and not n.dimension), None)


def news(
    ask: Ask, reading: Reading, tenant: Tenant, question: Question, now: datetime, label: Label, *, most: int = MOST
) -> News:
    """Return the news of a question's range with its filters, compared with the period of its `compare`.

    The question's metrics are judged in addition to `CANDIDATES`, but become no points. Metrics without a filter's dimension are
    left out. With a `grain`, the question's metrics have a course; each value of the dimensions `by` has a number, too.
    """
    question = replace(question, compare=question.compare or compared(question, now))
    numbers, judged_by = _judge_all(ask, reading, tenant, question, now, _candidates(question))
    begun = question.start < now
    freshness = judged_by or fresh(question, tenant, now, live_windows=int(question.end > now))
    worst = sorted(_once([number for number in numbers if _has_words(number)]), key=_rank)
    kind = _kind(ask, question)
    wording = WORDINGS[kind]
    points = points_of(About(ask, reading, tenant, question, now, label, wording), worst, numbers, most)
    span = freshness.compared_with
    before = (datetime.fromisoformat(span[0]), datetime.fromisoformat(span[1])) if span else None
    began = known_from(reading, tenant, Grain.DAY)
    compares = began is not None and began <= question.start  # else there was nothing before these days
    of_whole = [n if compares else replace(n, previous=None) for n in numbers if not n.dimension]
    longer = too_long(question.start, min(question.end, now), tenant)
    return News(
        question.start, min(question.end, now) if begun else question.end, before,
        sentences.lead(points, of_whole, wording, too_long=longer) if begun else "These days have not begun.", points,
        sentences.rest(points, of_whole, wording, too_long=longer) if begun else "", tuple(numbers), freshness, kind,
    )  # fmt: skip


def _has_words(number: Number) -> bool:
    """Say whether a number is news and has a sentence for its direction."""
    candidate = candidate_of(number.metric, number.dimension)
    words = candidate and (candidate.up if number.rises else candidate.down)
    return number.judged.verdict is Verdict.NEWS and number.slice != NONE and bool(words)


def numbers_beside_usual(
    ask: Ask, reading: Reading, tenant: Tenant, question: Question, now: datetime
) -> tuple[list[Number], Freshness]:
    """Return a question's metrics, judged as in the news, and their freshness; with dimensions `by` only their slices."""
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
    """Return the wording for all of the tenant's messages of these days, without the filters."""
    answer = ask(replace(question, metrics=("messages",), by=("channel",), where={}, grain=Grain.TOTAL, compare=None))
    counted = zip(answer.dims, answer.columns["messages"].values, strict=True)
    return kind_of([channel for (channel,), messages in counted if messages])


def _candidates(question: Question) -> list[Candidate]:
    return [c for c in CANDIDATES if knows(c.metric, [*question.where, *([c.by] if c.by else [])])]


def _judge_all(
    ask: Ask, reading: Reading, tenant: Tenant, question: Question, now: datetime, candidates: Sequence[Candidate]
) -> tuple[list[Number], Freshness | None]:
    """Return all judged numbers, of the whole and of slices, and the freshness; None if nothing is judged."""
    in_table = [candidate.metric for candidate in candidates if not candidate.by]
    of_whole = [
        *in_table,
        *(name for name in question.metrics if name not in in_table and knows(name, list(question.where))),
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
    """Yield, for each dimension in `by`, the question's metrics that have it, and the dimension."""
    for name in question.by:
        if metrics := tuple(metric for metric in question.metrics if knows(metric, [*question.where, name])):
            yield metrics, (name,)


def _courses(ask: Ask, reading: Reading, tenant: Tenant, question: Question) -> dict[str, tuple[UsualRow, ...]]:
    known = tuple(name for name in question.metrics if knows(name, list(question.where)))
    series = usual_of_each(ask, reading, tenant, replace(question, metrics=known)) if known else []
    return {usual.question.metrics[0]: usual.rows for usual in series}


def _is_comparable(question: Question, now: datetime) -> bool:
    """Say whether the compared period has the same weekdays, so that numbers are comparable."""
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
"""Size from which all numbers count as equally far from usual."""


def _rank(number: Number) -> tuple[int, float, int]:
    """Return a sort key: worse numbers first, then slices, then neutral, then better ones; each group by weighted size."""
    way = number.judged.way
    level = 0 if way is Way.WORSE else 1 if number.dimension else 3 if way is Way.BETTER else 2
    place, weight = _ORDER[number.metric]
    return level, -weight * min(number.judged.size, _FAR), place


def _once(numbers: Sequence[Number]) -> list[Number]:
    """Return the farthest number of each kind: one for all statistics of a duration, one for all values of a dimension."""
    farthest: dict[tuple[str, str], Number] = {}
    for number in sorted(numbers, key=lambda number: -number.judged.size):
        farthest.setdefault((number.metric.partition(".")[0], number.dimension), number)
    return list(farthest.values())
