"""Answering a question: it is checked, its tenant refreshed, its metrics read from facts, and the numbers laid out as columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import pairwise

from hubbub.calculations import change
from hubbub.clock import Clock
from hubbub.errors import BadQuestionError, StoreFullError, StoreUnavailableError
from hubbub.facts.moments import micros, moment
from hubbub.facts.past import known_at
from hubbub.facts.refresh import refresh
from hubbub.metrics.catalogue import Asked, askable, find
from hubbub.metrics.definition import Distinct, First, Score, State, Stored, Unit
from hubbub.metrics.topics import FLAGGED
from hubbub.model.coverage import Gap
from hubbub.model.event import nearest
from hubbub.model.question import Question, check_order
from hubbub.model.tenant import Tenant
from hubbub.model.window import Grain, Window, local_midnight, windows
from hubbub.query import gaps as coverage
from hubbub.query.compare import PERIODS, earlier
from hubbub.query.freshness import FlaggedRule, fresh
from hubbub.query.judged import without_target
from hubbub.query.reader import read
from hubbub.query.result import STATED, UNKNOWN, Answer, Cell, Column, Compared
from hubbub.query.result import State as Known
from hubbub.query.select import Context, Dims, Found
from hubbub.storage.store import Store
from hubbub.storage.transaction import Reading, Transaction

MAX_ROWS = 100_000
MAX_WINDOWS = 20_000
MANY = "SELECT 1 FROM event WHERE tenant = ? AND time >= ? AND time < ? LIMIT 1 OFFSET ?"
"""Whether more than so many events of a tenant lie in a range."""
Gaps = Callable[[Tenant, datetime], Sequence[Gap]]
"""Returns the gaps of a tenant's sources, as known at a moment."""
_SECONDS = {Grain.HOUR: 3600, Grain.DAY: 86_400, Grain.WEEK: 7 * 86_400, Grain.MONTH: 30 * 86_400}


def no_gaps(_tenant: Tenant, _now: datetime) -> Sequence[Gap]:
    """Return no gaps: for a store without sources."""
    return ()


class Queries:
    """Answers questions of one tenant at a time from the store's facts. Thread-safe."""

    def __init__(self, store: Store, clock: Clock, gaps: Gaps = no_gaps) -> None:
        self._store = store
        self._clock = clock
        self._gaps = gaps

    def now(self) -> datetime:
        """Return the current moment."""
        return self._clock()

    def answer(self, tenant: Tenant, question: Question) -> Answer:
        """Answer a question; raises BadQuestionError for unknown names and ranges without an answer."""
        return self.together(tenant, [question])[0]

    def together(self, tenant: Tenant, questions: Sequence[Question]) -> list[Answer]:
        """Answer several questions at one moment; their `as_of` is the same."""
        as_of = questions[0].as_of if questions else None
        try:
            with self.counting(tenant, as_of) as (ask, _, _):
                return [ask(question) for question in questions]
        except StoreUnavailableError:
            if self._store.copy is None or self._store.copy.away is None:
                raise
        with self.asking(tenant, as_of) as (ask, _, _):
            return [ask(question) for question in questions]

    @contextmanager
    def at_once(self, tenant: Tenant) -> Iterator[Callable[[Question], Answer]]:
        """Provide a function that answers questions at one moment, where the next question depends on an answer."""
        with self.counting(tenant) as (ask, _, _):
            yield ask

    @contextmanager
    def counting(
        self, tenant: Tenant, as_of: datetime | None = None
    ) -> Iterator[tuple[Callable[[Question], Answer], Transaction, datetime]]:
        """Provide a function that answers questions at one moment, the store's transaction, and that moment.

        Where the store has a copy and the first question is over many events, the copy answers, except what its SQL cannot
        express. With `as_of` (aware) everything is as known then. Raises BadQuestionError for a moment that is past retention, or
        in the future.
        """
        behind = self._refreshed(tenant)
        with self._asking(tenant, as_of, behind) as (in_store, reading, now), ExitStack() as stack:
            chosen: list[Callable[[Question], Answer]] = []

            def ask(question: Question) -> Answer:
                if _correlated(question):
                    return in_store(question)
                if not chosen:
                    copied = stack.enter_context(self._copied(tenant, question, reading)) if as_of is None else None
                    chosen.append(in_store if copied is None else self._ask(tenant, copied, now, behind))
                return chosen[0](question)

            yield ask, reading, now

    @contextmanager
    def _copied(self, tenant: Tenant, question: Question, reading: Transaction) -> Iterator[Reading | None]:
        """Provide the copy of a tenant's facts, or None where there is none or the store answers the question sooner."""
        copy, low, high = self._store.copy, micros(question.start), micros(question.end)
        if copy is None or (copy.fewest and reading.value(MANY, (tenant.no, low, high, copy.fewest - 1)) is None):
            yield None
            return
        with copy.read(tenant.no) as copied:
            yield copied

    @contextmanager
    def asking(
        self, tenant: Tenant, as_of: datetime | None = None
    ) -> Iterator[tuple[Callable[[Question], Answer], Transaction, datetime]]:
        """Provide the same from the store itself, whose events can be read beside the numbers, at the same moment."""
        with self._asking(tenant, as_of, self._refreshed(tenant)) as parts:
            yield parts

    @contextmanager
    def _asking(
        self, tenant: Tenant, as_of: datetime | None, behind: str | None
    ) -> Iterator[tuple[Callable[[Question], Answer], Transaction, datetime]]:
        now = self._clock()
        if as_of is not None and as_of > now:
            raise BadQuestionError(f"'as_of' is in the future: it is {now:%Y-%m-%dT%H:%M:%SZ}")
        with ExitStack() as stack:
            reading = stack.enter_context(self._store.facts.read())
            if as_of is not None:
                gaps = self._gaps(tenant, now)
                reading = stack.enter_context(known_at(reading, tenant.no, micros(as_of)))
                yield self._ask(tenant, reading, as_of, behind, gaps), reading, as_of
            else:
                yield self._ask(tenant, reading, now, behind), reading, now

    def _ask(
        self, tenant: Tenant, reading: Reading, now: datetime, behind: str | None, gaps: Sequence[Gap] | None = None
    ) -> Callable[[Question], Answer]:
        """Return the function that answers questions from `reading` at a moment; `gaps`: as known at another one."""
        known = self._gaps(tenant, now) if gaps is None else gaps

        def ask(question: Question) -> Answer:
            answer = _answer(reading, tenant, question, now, known)
            return replace(answer, freshness=replace(answer.freshness, behind=behind)) if behind else answer

        return ask

    @contextmanager
    def reading(self, tenant: Tenant) -> Iterator[tuple[Transaction, datetime]]:
        """Refresh a tenant, and provide a transaction with its facts of one moment, and that moment."""
        self._refreshed(tenant)
        now = self._clock()
        with self._store.facts.read() as reading:
            yield reading, now

    def _refreshed(self, tenant: Tenant) -> str | None:
        """Refresh a tenant; where nothing can be written now, return the reason, since stored facts can still be read."""
        try:
            refresh(self._store, tenant.no)
        except (StoreFullError, StoreUnavailableError) as error:
            return f"the latest events are not counted: {error.message}"
        return None


def _correlated(question: Question) -> bool:
    return any(find(name).correlated for name in question.metrics)


def check_range(question: Question, tenant: Tenant) -> None:
    """Raise BadQuestionError for a range that is empty, or where no event can be."""
    check_order(question.start, question.end)
    first, after = (local_midnight(date(year, 1, 1), tenant.tz) for year in (2000, 2101))
    if question.start < first or question.end >= after:
        raise BadQuestionError("the range must be between 2000 and 2100")


def check(question: Question, asked: Sequence[Asked], tenant: Tenant) -> None:
    """Raise BadQuestionError for an invalid question: empty ranges, unknown or forbidden dimensions."""
    if not asked:
        raise BadQuestionError("ask for at least one metric; 'hubbub metrics' lists them")
    if question.compare not in (None, *PERIODS):
        raise BadQuestionError(f"compare {str(question.compare)[:40]!r} is not one of {', '.join(PERIODS)}")
    check_range(question, tenant)
    span = (question.end - question.start).total_seconds()
    count = int(span / _SECONDS.get(question.grain, span))
    if count > MAX_WINDOWS:
        raise BadQuestionError(
            f"the range has about {count} windows of grain {question.grain}, {MAX_WINDOWS} are allowed; take a coarser grain"
        )
    for metric in asked:
        allowed = askable(metric.rollup)
        for name in (*question.by, *question.where):
            if name not in allowed:
                raise BadQuestionError(
                    f"metric '{metric.name}' has no dimension {name[:80]!r}{nearest(name, allowed)} "
                    f"(it has {', '.join(sorted(allowed)) or 'none'})"
                )
    if len(set(question.by)) != len(question.by):
        raise BadQuestionError("a dimension occurs twice in 'by'")


def buckets(start: datetime, end: datetime, grain: Grain, tenant: Tenant) -> list[Window]:
    """Return the windows of an answer, clipped to the range; a row has the start of its window."""
    return [Window(max(w.start, start), min(w.end, end)) for w in windows(start, end, grain, tenant.tz)]


def windows_of(question: Question, tenant: Tenant) -> list[Window]:
    """Return the windows of a question: its own cuts, or else those of its grain."""
    if question.cut:
        return [Window(*pair) for pair in pairwise(question.cut)]
    return buckets(question.start, question.end, question.grain, tenant)


def _answer(reading: Reading, tenant: Tenant, question: Question, now: datetime, gaps: Sequence[Gap]) -> Answer:
    asked = [find(name) for name in question.metrics]
    check(question, asked, tenant)
    if question.compare is None:
        return _read(reading, tenant, [question], asked, now, gaps)[0]
    start, end = earlier(question, tenant, now)
    past = replace(question, compare=None, start=start, end=end)
    answer, before = _read(reading, tenant, [question, past], asked, now, gaps)
    return _compared(answer, before, tenant)


def _read(
    reading: Reading,
    tenant: Tenant,
    periods: Sequence[Question],
    asked: Sequence[Asked],
    now: datetime,
    gaps: Sequence[Gap],
) -> list[Answer]:
    """Answer one question over several periods."""
    gone = reading.rows("SELECT gone_from, since FROM kept WHERE tenant = ? AND what = 'facts'", (tenant.no,))
    answers = []
    for question in periods:
        cut = windows_of(question, tenant)
        cells = read(Context(reading, tenant, question, cut, micros(now)), asked)
        answer = _laid_out(question, tenant, asked, cut, cells, now, gone[0] if gone else None)
        answers.append(_with_gaps(answer, tenant, asked, cut, gaps, now))
    return answers


def _with_gaps(
    answer: Answer, tenant: Tenant, asked: Sequence[Asked], cut: Sequence[Window], gaps: Sequence[Gap], now: datetime
) -> Answer:
    """Mark the numbers of an answer that gaps of sources affect, and list these gaps."""
    question = answer.question
    touching = coverage.relevant(gaps, asked, question) if question.start < now else []
    if not touching:
        return answer
    combos = answer.dims[: len(answer.dims) // len(cut)]
    coverage.mark(answer.columns, asked, question, cut, combos, touching, now)
    complete_to = coverage.complete_to(touching, datetime.fromisoformat(answer.freshness.complete_to))
    freshness = replace(
        answer.freshness, complete=False, gaps=coverage.told(touching, question, tenant),
        complete_to=complete_to.astimezone(tenant.tz).isoformat(),
    )  # fmt: skip
    return replace(answer, freshness=freshness)


def _compared(answer: Answer, old: Answer, tenant: Tenant) -> Answer:
    """Add the earlier number and the change to each row; rows pair up by the place of their window and dimension values."""
    order = {start: place for place, start in enumerate(sorted(set(old.starts)))}
    before = {(order[start], dims): row for row, (start, dims) in enumerate(zip(old.starts, old.dims, strict=True))}
    places = {start: place for place, start in enumerate(sorted(set(answer.starts)))}
    compared = []
    for row, (start, dims) in enumerate(zip(answer.starts, answer.dims, strict=True)):
        was = before.get((places[start], dims))
        pairs = {}
        for name, column in answer.columns.items():
            then = old.columns[name].cell(was) if was is not None else Cell(None)
            changed = change(column.values[row], then.value, column.unit is Unit.SHARE)
            pairs[name] = Compared(then.value, changed, then.state if then.state in STATED else None)
        compared.append(pairs)
    period = [moment.astimezone(tenant.tz).isoformat() for moment in (old.question.start, old.question.end)]
    freshness = replace(
        answer.freshness, gone_before=old.freshness.gone, gaps_before=old.freshness.gaps, compared_with=period
    )
    return replace(answer, compare=compared, freshness=freshness)


def _laid_out(
    question: Question,
    tenant: Tenant,
    asked: Sequence[Asked],
    cut: Sequence[Window],
    cells_by_metric: Found,
    now: datetime,
    gone: tuple[int, int] | None,
) -> Answer:
    """Return cells as columns: every window has a row for each combination of dimension values in the range."""
    combos: list[Dims] = [()]
    if question.by:
        combinations = {dims for cells in cells_by_metric.values() for _, dims in cells}
        combos = sorted(combinations, key=lambda dims: tuple((value is None, value or "") for value in dims))
    if len(combos) * len(cut) > MAX_ROWS:
        raise BadQuestionError(
            f"the answer would have {len(combos) * len(cut)} rows, {MAX_ROWS} are allowed; filter, or take a coarser grain"
        )
    lost = {metric.name: _lost(metric, cut, now, gone) for metric in asked}
    unknown = {
        metric.name: dict.fromkeys(without_target(tenant, metric, cut), Known.NO_TARGET)
        | dict.fromkeys(lost[metric.name], Known.GONE)
        for metric in asked
    }
    columns = {
        metric.name: _column(metric, cut, combos, cells_by_metric[metric.name], now, unknown[metric.name], tenant)
        for metric in asked
    }
    starts = [start for window in cut for start in [window.start.astimezone(UTC)] * len(combos)]
    rule = FlaggedRule(FLAGGED, tenant.hotspot_tones) if any(metric.rollup.by_tones for metric in asked) else None
    known = fresh(question, tenant, now, sum(window.end > now for window in cut), rule)
    if gone and (nulls := len(set().union(*lost.values()))):
        known = replace(
            known, gone=f"{nulls} of {len(cut)} windows are null: their data is past retention",
            kept_from=moment(gone[1]).astimezone(tenant.tz).isoformat(),
        )  # fmt: skip
    return Answer(question, tenant.zone, starts, combos * len(cut), columns, known)


def _lost(asked: Asked, cut: Sequence[Window], now: datetime, gone: tuple[int, int] | None) -> set[int]:
    """Return the windows for which a metric's data is gone: a state belongs to a window's end, and first sights never go."""
    if gone is None or isinstance(asked.metric, First):
        return set()
    of_end = isinstance(asked.metric, State)
    return {
        i for i, window in enumerate(cut)
        if micros(min(window.end, now) if of_end else window.start) < gone[1] and micros(window.end) > gone[0]
    }  # fmt: skip


def _column(
    asked: Asked,
    cut: Sequence[Window],
    combos: Sequence[Dims],
    cells: dict[tuple[int, Dims], Cell],
    now: datetime,
    unknown: Mapping[int, Known],
    tenant: Tenant,
) -> Column:
    """Return a metric's cells over all rows: the values of empty ones first, then the cells.

    `unknown`: the windows whose number is unknown, with the reason.
    """
    width, rows = len(combos), len(cut) * len(combos)
    horizon = asked.rollup.source.look_ahead
    column = Column(asked.unit, [], [None] * rows, [None] * rows, [0] * rows, [])
    for number, window in enumerate(cut):
        state = Known.LIVE if window.end > now else Known.PROVISIONAL if window.end + horizon > now else Known.SETTLED
        column.states += [unknown.get(number, state)] * width
        column.values += [None if number in unknown else _without_facts(asked, window, now, tenant)] * width
        if number in unknown:
            column.n[number * width : (number + 1) * width] = [None] * width
    place_of = {dims: place for place, dims in enumerate(combos)}
    for (number, dims), cell in cells.items():
        if number not in unknown and dims in place_of:
            row = number * width + place_of[dims]
            column.values[row], column.n[row] = cell.value, cell.n
            column.numerators[row], column.denominators[row] = cell.numerator, cell.denominator
            if cell.details is not None:
                column.details[row] = cell.details
            if cell.state in UNKNOWN or (cell.state == Known.PROVISIONAL and column.states[row] == Known.SETTLED):
                column.states[row] = cell.state
    return column


def _without_facts(asked: Asked, window: Window, now: datetime, tenant: Tenant) -> int | None:
    """Return the value of a window without facts: counts are 0; everything that divides or has no value is null, as are future
    states.
    """
    metric = asked.metric
    counted = isinstance(metric, Distinct | State | First) or asked.statistic == "count"
    if isinstance(metric, Stored) and metric.measure not in ("observed_min", "observed_max"):
        counted = metric.times is None or metric.times(tenant) is not None
    if isinstance(metric, State) and (window.start >= now or metric.age):
        counted = False
    return 0 if counted and not isinstance(metric, Score) else None
