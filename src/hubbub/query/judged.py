"""Spells judged by the tenant's targets: how many are within, how many past, and which conversations wait past theirs.

The meaning stands in `metrics/targets.py`. A spell is judged here, row by row, since business hours are not in the store.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from hubbub.facts.moments import micros
from hubbub.metrics.catalogue import Asked
from hubbub.metrics.definition import Ratio, State
from hubbub.model.target import Aim, Target, TargetsOf
from hubbub.model.tenant import Tenant
from hubbub.model.window import Window
from hubbub.query.held import in_state, moments_of, state_columns
from hubbub.query.hours import open_ms
from hubbub.query.result import Cell
from hubbub.query.result import State as Known
from hubbub.query.select import Context, Dims, Found, Key, Select

COLUMNS = ("f.began", "f.ended", "f.waited_until", "f.channel", "f.priority")
"""What a spell is judged by, in the order of `Judge.of`."""


class Verdict(Enum):
    """What a target says of a spell."""

    WITHIN = "within"
    BREACH = "breach"
    OPEN = "open"
    """It goes on, within its target: not counted yet."""
    NOWHERE = "nowhere"
    """Ended without an answer within its target, or not measurable: it never counts."""
    NO_TARGET = "no target"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A spell's verdict, its target, and how long it lasted so far, in ms: of business hours where the target counts these."""

    verdict: Verdict
    target: Target | None = None
    spent_ms: int | None = None


class Judge:
    """Judges the spells of one aim of a tenant at a moment (microseconds)."""

    def __init__(self, tenant: Tenant, aim: Aim, now: int) -> None:
        self._targets, self._opened, self._now = TargetsOf(tenant.targets, aim, tenant.tz), open_ms(tenant), now

    def __bool__(self) -> bool:
        return bool(self._targets)

    def of(
        self, began: int, ended: int | None, waited_until: int | None, channel: str | None, priority: str | None
    ) -> Judgement:
        """Judge a spell by its moments in microseconds; one without an end goes on until `waited_until`, or now."""
        target = self._targets.at(began, channel, priority)
        if target is None:
            return Judgement(Verdict.NO_TARGET)
        if ended is not None:
            return self._ended(target, began, ended)
        if waited_until is None or waited_until <= began:
            return Judgement(Verdict.NOWHERE, target)
        return self._going_on(target, began, waited_until)

    def _ended(self, target: Target, began: int, ended: int) -> Judgement:
        spent = self._spent(target, began, ended)
        if spent is None:
            return Judgement(Verdict.NOWHERE, target)
        return Judgement(Verdict.WITHIN if spent <= target.limit_ms else Verdict.BREACH, target, spent)

    def _going_on(self, target: Target, began: int, waited_until: int) -> Judgement:
        spent = self._spent(target, began, max(began, min(waited_until, self._now)))
        if spent is None:
            return Judgement(Verdict.NOWHERE, target)
        if spent > target.limit_ms:
            return Judgement(Verdict.BREACH, target, spent)
        return Judgement(Verdict.OPEN if waited_until > self._now else Verdict.NOWHERE, target, spent)

    def _spent(self, target: Target, began: int, ended: int) -> int | None:
        return self._opened(began, ended) if target.business else (ended - began + 500) // 1000


def without_target(tenant: Tenant, one: Asked, cut: Sequence[Window]) -> set[int]:
    """Return the windows of a metric of targets in which none was in force."""
    if one.rollup.aim is not None:
        targets = [TargetsOf(tenant.targets, one.rollup.aim, tenant.tz)]
        return {n for n, window in enumerate(cut) if not _any(targets, micros(window.start), micros(window.end))}
    if isinstance(one.metric, State) and one.metric.past_target:
        targets = [TargetsOf(tenant.targets, aim, tenant.tz) for aim in (Aim.FIRST_RESPONSE, Aim.NEXT_RESPONSE)]
        return {n for n, window in enumerate(cut) if not _any(targets, 0, micros(window.end))}
    return set()


def _any(several: Sequence[TargetsOf], start: int, end: int) -> bool:
    return any(targets.any_between(start, end) for targets in several)


@dataclass(slots=True)
class _Tally:
    """Spells of one window and slice: by target how many were within and past it, and those that do not count yet."""

    within: dict[Target, int] = field(default_factory=dict)
    breaches: dict[Target, int] = field(default_factory=dict)
    open: int = 0
    without: int = 0

    def add(self, judgement: Judgement) -> None:
        target = judgement.target
        if target is None:
            self.without += 1
        elif judgement.verdict is Verdict.OPEN:
            self.open += 1
        elif judgement.verdict is not Verdict.NOWHERE:
            counted = self.within if judgement.verdict is Verdict.WITHIN else self.breaches
            counted[target] = counted.get(target, 0) + 1

    def cell(self, metric: object) -> Cell:
        """Return a metric's number: the share within, or the breaches."""
        within, breaches = sum(self.within.values()), sum(self.breaches.values())
        judged = within + breaches
        if not judged and self.without and not self.open:
            return Cell(None, None, None, 0, Known.NO_TARGET)
        state, parts = Known.PROVISIONAL if self.open else Known.SETTLED, self._by_target()
        if isinstance(metric, Ratio):
            return Cell(within / judged if judged else None, within, judged, judged, state, parts)
        return Cell(breaches, breaches, None, breaches, state, parts)

    def _by_target(self) -> Mapping[str, Any]:
        """Return the numbers of each target, the oldest first, and what share should be within: the mean of their shares."""
        targets = sorted({*self.within, *self.breaches}, key=lambda target: (target.valid_from, target.id))
        judged = {target: self.within.get(target, 0) + self.breaches.get(target, 0) for target in targets}
        rows = [_row(target, self.within.get(target, 0), judged[target]) for target in targets]
        wanted = [(target.share, count) for target, count in judged.items()]
        known = [share * count for share, count in wanted if share is not None]
        goal = sum(known) / sum(judged.values()) if wanted and len(known) == len(wanted) else None
        return {"targets": rows, "goal": goal}


def _row(target: Target, within: int, judged: int) -> dict[str, Any]:
    return {
        "id": target.id, "minutes": target.minutes, "business": target.business, "channel": target.channel,
        "priority": target.priority, "share": target.share, "valid_from": target.valid_from.isoformat(),
        "valid_to": target.valid_to.isoformat() if target.valid_to else None, "within": within, "judged": judged,
    }  # fmt: skip


def judged(context: Context, several: Sequence[Asked], found: Found) -> None:
    """Numbers of one aim: the share within the targets, and the breaches."""
    aim = several[0].rollup.aim
    assert aim is not None
    judge = Judge(context.tenant, aim, context.now)
    if not judge:
        return
    tallies: dict[Key, _Tally] = {}
    for key, row in _rows(context, several[0]):
        tallies.setdefault(key, _Tally()).add(judge.of(*row))
    for key, tally in tallies.items():
        for one in several:
            found[one.name][key] = tally.cell(one.metric)


def _rows(context: Context, one: Asked) -> Iterator[tuple[Key, tuple[Any, ...]]]:
    select = Select(one.rollup, context)
    for column in COLUMNS:
        select.column(column)
    for window, dims, row in select.run(group=False):
        yield (window, dims), row


# --- who waits now


@dataclass(frozen=True, slots=True)
class Waiter:
    """A conversation that waits at a moment, and the target that it is furthest past, or nearest to."""

    id: str
    since: int
    """Microseconds."""
    channel: str | None
    account_id: str | None
    priority: str | None
    target: Target | None
    over_ms: int | None
    """Past its target; negative: so much is left. None without a target."""


def waiters(context: Context, one: Asked, metric: State, moment: int) -> Iterator[Waiter]:
    """Yield the conversations that wait at a moment (microseconds), under a question's filters."""
    params: dict[str, Any] = {"at": moment}
    where = in_state(context, one, metric, params)
    judges = [Judge(context.tenant, aim, moment) for aim in (Aim.NEXT_RESPONSE, Aim.FIRST_RESPONSE)]
    first = "e.tenant = s.tenant AND e.conversation_id = s.id AND e.first_inbound = s.began"
    rows = context.reading.each(
        "SELECT s.id, s.began, s.until, s.channel, s.account_id, s.priority, "
        f"CASE WHEN e.id IS NOT NULL THEN 1 ELSE 0 END FROM state AS s LEFT JOIN episode AS e ON {first} "
        f"WHERE {where} AND s.since < :at AND s.until >= :at ORDER BY s.began, s.id",
        params,
    )
    seen: tuple[str, int] | None = None
    for id_, began, until, channel, account, priority, is_first in rows:
        if (id_, began) == seen:  # two episodes with one first message
            continue
        seen = id_, began
        several = [judge.of(began, None, until, channel, priority) for judge in judges[: 1 + is_first]]
        target, over = _furthest(several)
        yield Waiter(id_, began, channel, account, priority, target, over)


def _furthest(several: Sequence[Judgement]) -> tuple[Target | None, int | None]:
    """Return the target that a wait is furthest past, and how far, in ms."""
    known = [
        (one.spent_ms - one.target.limit_ms, one.target) for one in several if one.target and one.spent_ms is not None
    ]
    if not known:
        return None, None
    over, target = max(known, key=lambda pair: pair[0])
    return target, over


def waiting_past(context: Context, one: Asked, metric: State, moment: int) -> list[str]:
    """Return the ids of the conversations that have waited past their target at a moment (microseconds)."""
    return [
        waiter.id
        for waiter in waiters(context, one, metric, moment)
        if waiter.over_ms is not None and waiter.over_ms > 0
    ]


def past_target(context: Context, one: Asked, metric: State, found: dict[Key, Cell]) -> None:
    """How many conversations waited past their target at the end of each window."""
    columns = state_columns(one.rollup, metric)
    for window, moment in moments_of(context):
        counts: dict[Dims, list[int]] = {}
        for waiter in waiters(context, one, metric, moment):
            dims = tuple(_value(waiter, columns[name]) for name in context.question.by)
            count = counts.setdefault(dims, [0, 0])
            count[0] += waiter.target is not None
            count[1] += waiter.over_ms is not None and waiter.over_ms > 0
        for dims, (with_target, over) in counts.items():
            missing = Cell(None, None, None, 0, Known.NO_TARGET)
            found[window, dims] = Cell(over, over, None, over) if with_target else missing


def _value(waiter: Waiter, column: str) -> str | None:
    value: str | None = getattr(waiter, column.removeprefix("s."))
    return value
