"""Usual ranges: median and spread of the same weekday, and hour where asked, of the last eight settled weeks.

Alert rules, reports and pages all use this meaning of "usual". A window without enough known weeks has no usual value: null,
never 0. Weeks before a tenant's first event are unknown. A number that only grows, such as all contacts ever known, has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime, time, timedelta
from statistics import median

from hubbub.errors import BadQuestionError
from hubbub.facts.moments import moment
from hubbub.metrics.catalogue import find
from hubbub.metrics.definition import State as CurrentState
from hubbub.metrics.definition import Unit
from hubbub.model.plain import AS_JSON, JsonRow
from hubbub.model.question import Question
from hubbub.model.tenant import Tenant
from hubbub.model.window import Grain, local_earlier, window_of
from hubbub.query.answering import Ask
from hubbub.query.checks import check_range
from hubbub.query.freshness import Freshness
from hubbub.query.queries import Queries
from hubbub.query.result import Answer, Cell, State, with_state
from hubbub.query.select import Dims
from hubbub.storage.transaction import Reading

WEEKS = 8
"""Weeks of a usual range."""
LOOK_BACK = 12
"""Weeks that are searched for the last eight settled ones: a gap of a month leaves enough."""
WEEK = timedelta(weeks=1)
LEAST = 4
"""Fewest known weeks of a usual range."""
BAND = 3 * 1.4826
"""Spreads (MAD) on each side of the median that are noise: three standard deviations of normal values."""
DIGITS = 9
"""Decimals of a range's ends."""
GRAINS = (Grain.HOUR, Grain.DAY, Grain.WEEK)
_Place = tuple[date, time | None]
Place = tuple[int, time | None]
"""A weekday and, of hours, a time of day."""


@dataclass(frozen=True, slots=True)
class Usual:
    """The usual range of a number, in its unit; null with fewer than four known weeks."""

    median: float | None
    spread: float | None
    """Median absolute deviation."""
    n: int
    """Known weeks."""
    low: float | None = None
    """From here to `high` is noise; at least 0 for a count, duration or share."""
    high: float | None = None


@dataclass(frozen=True, slots=True)
class UsualRow:
    """A window (`start` aware, in UTC) and slice: its number, and what is usual there."""

    start: datetime
    dims: Dims
    cell: Cell
    usual: Usual


@dataclass(frozen=True, slots=True)
class UsualTable:
    """Windows of a metric, each with its usual range."""

    metric: str
    unit: str
    rows: Sequence[JsonRow] = field(metadata=AS_JSON)
    """`window`, dimensions, the metric by its name, and `usual`: median, spread, n (weeks), low and high."""
    freshness: Freshness


@dataclass(frozen=True, slots=True)
class UsualAnswer:
    """Rows of one metric in order of time, then slice."""

    question: Question
    zone: str
    unit: Unit
    rows: tuple[UsualRow, ...]
    freshness: Freshness

    def public(self, tenant: Tenant) -> UsualTable:
        """Return the public form."""
        name = self.question.metrics[0]
        rows = [
            {
                "window": row.start.astimezone(tenant.tz).isoformat(),
                **dict(zip(self.question.by, row.dims, strict=True)),
                **with_state(name, row.cell),
                "usual": asdict(row.usual),
            }
            for row in self.rows
        ]
        return UsualTable(name, self.unit.value, rows, self.freshness)


def usual(queries: Queries, tenant: Tenant, question: Question) -> UsualAnswer:
    """Return a metric's numbers over the question's windows, each with its usual range.

    Raises BadQuestionError for several metrics, a comparison, and grains other than `GRAINS`.
    """
    with queries.counting(tenant, question.as_of) as (ask, reading, _):
        return usual_of(ask, reading, tenant, question)


def usual_of(ask: Ask, reading: Reading, tenant: Tenant, question: Question) -> UsualAnswer:
    """Return what `usual` returns, through `ask` and `reading`, which are at one moment."""
    if len(question.metrics) != 1 or question.compare is not None:
        raise BadQuestionError("ask for the usual range of one metric, without a comparison")
    check_range(question, tenant)
    (answer,) = usual_of_each(ask, reading, tenant, question)
    return answer


def usual_of_each(ask: Ask, reading: Reading, tenant: Tenant, question: Question) -> list[UsualAnswer]:
    """Return what `usual_of` returns, for each metric of a question, read together."""
    if question.grain not in GRAINS:
        raise BadQuestionError(f"usual ranges exist for hours, days and weeks, not for grain {question.grain}")
    first = window_of(question.start, question.grain, tenant.tz).start
    answer = ask(replace(question, start=local_earlier(first, LOOK_BACK * WEEK, tenant.tz)))
    since = known_from(reading, tenant, question.grain)
    histories = {name: History(answer, tenant, since, name) for name in question.metrics}
    rows = [(row, tuple(row.dims.values())) for row in answer.each() if row.start >= first]
    return [
        UsualAnswer(
            replace(question, metrics=(name,)), tenant.zone, find(name).unit,
            tuple(UsualRow(row.start, dims, row.cells[name], histories[name].usual(row.start, dims)) for row, dims in rows),
            answer.freshness,
        )
        for name in question.metrics
    ]  # fmt: skip


def with_history(ask: Ask, reading: Reading, tenant: Tenant, question: Question) -> tuple[Answer, History]:
    """Return the answer to a question of one metric that begins `LOOK_BACK` weeks earlier, and its history."""
    first = window_of(question.start, question.grain, tenant.tz).start
    answer = ask(replace(question, start=local_earlier(first, LOOK_BACK * WEEK, tenant.tz)))
    return answer, History(answer, tenant, known_from(reading, tenant, question.grain))


def known_from(reading: Reading, tenant: Tenant, grain: Grain) -> datetime | None:
    """Return the end of the window with a tenant's first event, from where windows are whole; None without events."""
    first = reading.value("SELECT min(time) FROM event WHERE tenant = ?", (tenant.no,))
    return window_of(moment(first), grain, tenant.tz).end if first is not None else None


class History:
    """The settled values of an answer's metric (None: its first), by slice, local day and hour."""

    def __init__(self, answer: Answer, tenant: Tenant, since: datetime | None, metric: str | None = None) -> None:
        """Values before `since` are unknown: the tenant had no events yet (None: it has none)."""
        self._tz, self._by_hour = tenant.tz, answer.question.grain is Grain.HOUR
        self._hours = [time(hour) for hour in range(24)] if self._by_hour else [None]
        name = metric or answer.question.metrics[0]
        column, declared = answer.columns[name], find(name).declared
        self._only_grows = isinstance(declared, CurrentState) and declared.only_grows
        self._counts = column.unit in (Unit.COUNT, Unit.MS, Unit.SHARE)
        self._is_share = column.unit is Unit.SHARE
        self._at: dict[Dims, dict[_Place, float]] = {}
        for start, dims, value, state in zip(answer.starts, answer.dims, column.values, column.states, strict=True):
            if value is not None and state == State.SETTLED and since is not None and start >= since:
                # of an hour that a clock change repeats, the first counts
                self._at.setdefault(dims, {}).setdefault(self._place(start), value)

    def _place(self, start: datetime) -> _Place:
        local = start.astimezone(self._tz)
        return local.date(), local.time() if self._by_hour else None

    def earlier(self, start: datetime, dims: Dims) -> list[float | None]:
        """Return the values 1, 2, ... `LOOK_BACK` weeks before a window, None where unknown or not settled."""
        day, hour = self._place(start)
        values = self._at.get(dims, {})
        return [values.get((day - timedelta(weeks=back), hour)) for back in range(1, LOOK_BACK + 1)]

    def places(self, day: date, dims: Dims) -> dict[Place, list[float]]:
        """Return the values of the `WEEKS` before a local day, by weekday and time of day."""
        values = self._at.get(dims, {})
        by_place: dict[Place, list[float]] = {}
        for back in range(1, 7 * WEEKS + 1):
            earlier = day - timedelta(days=back)
            for hour in self._hours:
                if (value := values.get((earlier, hour))) is not None:
                    by_place.setdefault((earlier.weekday(), hour), []).append(value)
        return by_place

    def day_and_place(self, start: datetime) -> tuple[date, Place]:
        """Return the local day of a window, and its weekday and time of day."""
        day, hour = self._place(start)
        return day, (day.weekday(), hour)

    def usual(self, start: datetime, dims: Dims) -> Usual:
        """Return the usual range of a window."""
        values = [value for value in self.earlier(start, dims) if value is not None][:WEEKS]
        if self._only_grows:
            return Usual(None, None, len(values))
        usual = usual_among(values, from_zero=self._counts)
        return replace(usual, high=min(usual.high, 1.0)) if self._is_share and usual.high is not None else usual


def usual_among(values: list[float], *, from_zero: bool) -> Usual:
    """Return the usual range of values of earlier windows; `from_zero` when none can be below 0."""
    if len(values) < LEAST:
        return Usual(None, None, len(values))
    middle = float(median(values))
    spread = float(median(abs(value - middle) for value in values))
    low, high = limits(middle, BAND * spread)
    return Usual(middle, spread, len(values), max(0.0, low) if from_zero else low, high)


def limits(middle: float, half: float) -> tuple[float, float]:
    """Return the ends of a range around a middle, without the last digits that are rounding: 3.3805, not 3.3804999999999996."""
    return round(middle - half, DIGITS), round(middle + half, DIGITS)
