"""The numbers that a rule judges: one for each window and slice, from ordinary queries.

A budget adds up the days of a month, a rule on silent sources the hours without an event.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import partial
from statistics import median

from hubbub.alerts.chance import Law, Scatter, law_of, scatter_of
from hubbub.alerts.judge import FEWEST, Number
from hubbub.metrics.catalogue import find
from hubbub.metrics.definition import State, Unit
from hubbub.model.alert import Kind, Rule
from hubbub.model.question import NONE, Question
from hubbub.model.tenant import Tenant
from hubbub.model.window import Grain, window_of
from hubbub.query.answering import Ask
from hubbub.query.layout import MAX_ROWS
from hubbub.query.result import UNKNOWN, Answer, Cell
from hubbub.query.result import State as Known
from hubbub.query.select import Dims
from hubbub.query.usual import LEAST, LOOK_BACK, WEEKS, History, Place, Usual, with_history
from hubbub.storage.transaction import Reading

LONGEST_SILENCE = 168
"""Most hours to add up: a source with fewer than 7 events a week is never silent."""
SEEN = timedelta(weeks=4)
"""A slice is judged in a window without it, if it was seen in this time before."""
MOST_SLICES = 200


@dataclass(frozen=True, slots=True)
class Facts:
    """A tenant's facts at one moment, as `Queries.asking` provides them."""

    tenant: Tenant
    ask: Ask
    reading: Reading


def series_of(facts: Facts, rule: Rule, start: datetime, end: datetime) -> Iterator[Number]:
    """Yield the numbers of a rule over the windows that begin in `[start, end)` (aware), slice by slice in order of time.

    The windows at both ends are whole; each number's state says whether its window has ended.
    """
    question = Question(
        (rule.metric,), window_of(start, rule.grain, facts.tenant.tz).start, _end(end, rule, facts.tenant), rule.grain,
        (rule.by,) if rule.by else (), rule.where,
    )  # fmt: skip
    for piece in _pieces(facts, question, rule):
        if rule.kind is Kind.CHANGE:
            yield from _beside_usual(facts, piece)
        elif rule.kind is Kind.SOURCE:
            yield from _silences(facts, piece)
        elif rule.kind is Kind.BUDGET:
            yield from _added_up(facts, piece)
        else:
            yield from _as_they_are(facts, piece)


def now_waiting(facts: Facts, rule: Rule, start: datetime, now: datetime) -> Iterator[Number]:
    """Yield the longest present wait of each slice, in ms."""
    question = Question((rule.metric,), start, now, Grain.TOTAL, (rule.by,) if rule.by else (), rule.where)
    for row in facts.ask(question).each():
        yield Number(start, now, slice_of(tuple(row.dims.values())), row.cells[rule.metric])


def slice_of(dims: Dims) -> str:
    """Return the name of a slice: the value of its dimension, `(none)` without a value, "" for the whole."""
    return NONE if dims == (None,) else "".join(value or "" for value in dims)


def _end(end: datetime, rule: Rule, tenant: Tenant) -> datetime:
    return window_of(end - timedelta(microseconds=1), rule.grain, tenant.tz).end


def _pieces(facts: Facts, question: Question, rule: Rule) -> Iterator[Question]:
    """Yield the question, split by slices where its answer would have too many rows."""
    if not rule.by:
        yield question
        return
    names = _slices(facts, question, rule)
    windows = (question.end - question.start + timedelta(weeks=LOOK_BACK)) / (
        timedelta(hours=1) if question.grain is Grain.HOUR else timedelta(days=1)
    )
    at_once = max(1, int(MAX_ROWS / 2 / windows))
    for first in range(0, len(names), at_once):
        yield replace(question, where={**question.where, rule.by: tuple(names[first : first + at_once])})


def _slices(facts: Facts, question: Question, rule: Rule) -> list[str]:
    """Return the slices with a number in a question's range or the weeks before it, the largest first; 200 at most."""
    sizes: dict[str, float] = {}
    for whole in _wholes(question, rule):
        for row in facts.ask(whole).each():
            cell, name = row.cells[rule.metric], slice_of(tuple(row.dims.values()))
            if cell.value:
                sizes[name] = max(sizes.get(name, 0), cell.n or cell.value)
    return sorted(sizes, key=lambda name: -sizes[name])[:MOST_SLICES]


def _wholes(question: Question, rule: Rule) -> Iterator[Question]:
    """Yield questions whose answers name all slices: one total; of a state, whose total is its last moment, all windows."""
    start = question.start - timedelta(weeks=LOOK_BACK)
    if not isinstance(find(rule.metric).declared, State):
        yield replace(question, start=start, grain=Grain.TOTAL)
        return
    step = timedelta(weeks=1 if question.grain is Grain.HOUR else LOOK_BACK)
    while start < question.end:
        end = min(start + step, question.end)
        yield replace(question, start=start, end=end)
        start = end


def _rows(facts: Facts, answer: Answer, start: datetime) -> Iterator[tuple[Number, Dims]]:
    """Yield an answer's numbers from `start` on, with their dimensions."""
    (name,) = answer.question.metrics
    for row in answer.each():
        if row.start >= start:
            dims = tuple(row.dims.values())
            end = window_of(row.start, answer.question.grain, facts.tenant.tz).end
            yield Number(row.start, end, slice_of(dims), row.cells[name]), dims


def _as_they_are(facts: Facts, question: Question) -> Iterator[Number]:
    wider = replace(question, start=question.start - SEEN) if question.by else question
    yield from (number for number, _ in _rows(facts, facts.ask(wider), question.start))


def _beside_usual(facts: Facts, question: Question) -> Iterator[Number]:
    answer, history = with_history(facts.ask, facts.reading, facts.tenant, question)
    laws = _Laws(history) if find(question.metrics[0]).unit is Unit.COUNT else None
    for number, dims in _rows(facts, answer, question.start):
        law = partial(laws.of, number.start, dims) if laws else None
        yield replace(number, usual=history.usual(number.start, dims), law=law)


class _Laws:
    """The laws of an answer's counts; the hours of a day share their scatter."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._scattered: dict[tuple[date, Dims], tuple[dict[Place, list[float]], Scatter]] = {}

    def of(self, start: datetime, dims: Dims) -> Law:
        """Return the law of a window's count, whose usual range must be known."""
        day, place = self._history.day_and_place(start)
        if (day, dims) not in self._scattered:
            places = self._history.places(day, dims)
            self._scattered[day, dims] = places, scatter_of(list(places.values()))
        places, scatter = self._scattered[day, dims]
        return law_of(places.get(place, ()), scatter)


def _added_up(facts: Facts, question: Question) -> Iterator[Number]:
    """Yield the sum since the month began, day by day; it takes the state of a day that is missing in it."""
    tz = facts.tenant.tz
    month = window_of(question.start, Grain.MONTH, tz).start
    sums: dict[tuple[datetime, str], Cell] = {}
    for number, _ in _rows(facts, facts.ask(replace(question, start=month)), month):
        key = window_of(number.start, Grain.MONTH, tz).start, number.slice
        sums[key] = _sum(sums.get(key, Cell(0)), number.cell)
        if number.start >= question.start:
            yield replace(number, cell=sums[key])


def _sum(sofar: Cell, day: Cell) -> Cell:
    missing = next((cell.state for cell in (sofar, day) if cell.state in (*UNKNOWN, Known.INCOMPLETE)), None)
    value = None if sofar.value is None or day.value is None else sofar.value + day.value
    return Cell(value, state=missing or day.state)


def _silences(facts: Facts, question: Question) -> Iterator[Number]:
    """Yield each hour's count; without an event, `usual.median` is the number expected since the last one."""
    since = question.start - timedelta(hours=LONGEST_SILENCE)
    answer, history = with_history(facts.ask, facts.reading, facts.tenant, replace(question, start=since))
    quiet: dict[str, list[datetime]] = {}
    for number, dims in _rows(facts, answer, since):
        hours = quiet.setdefault(number.slice, [])
        if number.cell.value != 0:
            hours.clear()
        else:
            hours.append(number.start)
        if number.start >= question.start:
            yield replace(number, usual=_expected(history, hours, dims))


def _expected(history: History, hours: Sequence[datetime], dims: Dims) -> Usual:
    """Return how many events were expected in these hours: median and smallest number of the same hours in earlier weeks.

    Hours are added up backwards, until enough events were expected and no week was silent in them.
    """
    sums: list[float | None] = [0.0] * LOOK_BACK
    expected = Usual(None, None, 0)
    for hour in reversed(hours[-LONGEST_SILENCE:]):
        earlier = history.earlier(hour, dims)
        sums = [None if a is None or b is None else a + b for a, b in zip(sums, earlier, strict=True)]
        known = [total for total in sums if total is not None][:WEEKS]
        if len(known) < LEAST:
            break
        expected = Usual(float(median(known)), None, len(known), min(known))
        if median(known) >= FEWEST and min(known) > 0:
            break
    return expected
