"""Conversations that wait for a reply, and how far each wait is past the tenant's target: now, or at the end of windows."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate

from hubbub.metrics.catalogue import RequestedMetric
from hubbub.metrics.definition import State
from hubbub.model.target import Aim, Target
from hubbub.model.tenant import Tenant
from hubbub.query.result import Cell
from hubbub.query.result import State as Known
from hubbub.query.select import Context, Dims, Key
from hubbub.query.silence import states_after_silence
from hubbub.query.states import in_state, moments_of, state_columns
from hubbub.query.targets import Judge
from hubbub.storage.transaction import Bound


@dataclass(frozen=True, slots=True)
class Waiter:
    """A waiting conversation: it waits in `(since, until]` for the reply to a message of `began`; microseconds."""

    id: str
    began: int
    since: int
    until: int
    channel: str | None
    account_id: str | None
    priority: str | None
    first: int
    """1: an episode began with it, so that targets for first responses judge it too; else 0."""


class Distances:
    """How far waits are past a tenant's targets."""

    def __init__(self, tenant: Tenant) -> None:
        self._next, self._first = (Judge(tenant, aim, 0) for aim in (Aim.NEXT_RESPONSE, Aim.FIRST_RESPONSE))

    def of(self, waiter: Waiter, moment: int) -> tuple[int, Target] | None:
        """Return the ms past the most exceeded target at a moment (negative: left), and that target; None without a target."""
        judges = (self._next, self._first) if waiter.first else (self._next,)
        several = [judge.over(waiter.began, moment, waiter.channel, waiter.priority) for judge in judges]
        return max((known for known in several if known is not None), key=lambda known: known[0], default=None)

    def is_past(self, waiter: Waiter, moment: int) -> bool:
        """Whether a wait is past its target at a moment (microseconds)."""
        known = self.of(waiter, moment)
        return known is not None and known[0] > 0


def waiters(context: Context, metric: RequestedMetric, declared: State, low: int, high: int) -> Iterator[Waiter]:
    """Yield the waits between `low` and `high` (microseconds) under a question's filters, the oldest first."""
    params: Bound = {"low": low, "high": high}
    where = in_state(context, metric, declared, params)
    rows = context.reading.each(
        "SELECT s.id, s.began, s.since, s.until, s.channel, s.account_id, s.priority, "
        f"CASE WHEN e.id IS NOT NULL THEN 1 ELSE 0 END FROM {states_after_silence(context.tenant, *declared.held, ':low')} AS s "
        "LEFT JOIN episode AS e ON e.tenant = s.tenant AND e.conversation_id = s.id AND e.first_inbound = s.began "
        f"WHERE {where} AND s.since < :high AND s.until >= :low ORDER BY s.began, s.id, s.since",
        params,
    )
    last: tuple[str, int, int] | None = None
    for row in rows:
        if row[:3] != last:  # two episodes may have the same first message
            last = row[:3]
            yield Waiter(*row)


def past_target(context: Context, metric: RequestedMetric, declared: State, cells: dict[Key, Cell]) -> None:
    """Count the conversations that waited past their target at the end of each window."""
    ends = moments_of(context)
    if not ends:
        return
    moments = [at for _, at in ends]
    columns = [state_columns(metric.rollup, declared)[name].removeprefix("s.") for name in context.question.by]
    distances = Distances(context.tenant)
    slices: dict[Dims, _Counts] = {}
    for waiter in waiters(context, metric, declared, moments[0], moments[-1]):
        first, after = bisect_right(moments, waiter.since), bisect_right(moments, waiter.until)
        if first == after:
            continue
        counts = slices.setdefault(tuple(getattr(waiter, column) for column in columns), _Counts(len(moments)))
        counts.add(counts.waiting, first, after)
        if distances.of(waiter, moments[first]) is not None:
            counts.add(counts.with_target, first, after)
            passed = bisect_left(range(first, after), True, key=partial(_is_past, distances, waiter, moments))
            counts.add(counts.past, first + passed, after)
    for dims, counts in slices.items():
        for place, cell in counts.cells():
            cells[ends[place][0], dims] = cell


def _is_past(distances: Distances, waiter: Waiter, moments: Sequence[int], place: int) -> bool:
    return distances.is_past(waiter, moments[place])


class _Counts:
    """Changes of a slice at each moment: of the waiting, of those with a target, and of those past it."""

    def __init__(self, moments: int) -> None:
        self.waiting, self.with_target, self.past = ([0] * (moments + 1) for _ in range(3))

    def add(self, changes: list[int], first: int, after: int) -> None:
        """Count one wait at the moments `[first, after)`."""
        changes[first] += 1
        changes[after] -= 1

    def cells(self) -> Iterator[tuple[int, Cell]]:
        """Yield the numbers of moments with a wait."""
        several = zip(
            *(accumulate(changes[:-1]) for changes in (self.waiting, self.with_target, self.past)), strict=True
        )
        for place, (waiting, with_target, past) in enumerate(several):
            if waiting:
                yield place, Cell(past, past, None, past) if with_target else Cell(None, n=0, state=Known.NO_TARGET)


def waiting_past(context: Context, metric: RequestedMetric, declared: State, moment: int) -> list[str]:
    """Return the ids of the conversations that have waited past their target at a moment (microseconds)."""
    distances = Distances(context.tenant)
    several = waiters(context, metric, declared, moment, moment)
    return [waiter.id for waiter in several if distances.is_past(waiter, moment)]
