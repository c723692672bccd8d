"""Spells judged by the tenant's targets: how many are within, and how many past. `waiters.py` lists waits past their target.

`metrics/targets.py` has the definitions. A spell is judged here, row by row, since business hours are not in the store.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from hubbub.facts.moments import micros
from hubbub.metrics.catalogue import RequestedMetric
from hubbub.metrics.definition import Ratio, State
from hubbub.model.plain import JsonObject
from hubbub.model.target import Aim, Target, TargetsOf
from hubbub.model.tenant import Tenant
from hubbub.model.window import Window
from hubbub.query.hours import open_ms
from hubbub.query.result import Cell
from hubbub.query.result import State as Known
from hubbub.query.select import Cells, Context, Key, Select

COLUMNS = ("f.began", "f.ended", "f.waited_until", "f.channel", "f.priority")
"""Columns that a spell is judged by, in the order of `Judge.of`."""


class Verdict(Enum):
    """How a spell counts for a target."""

    WITHIN = "within"
    BREACH = "breach"
    OPEN = "open"
    """Not ended, and within its target: not counted yet."""
    NOT_COUNTED = "not counted"
    """Ended within its target without an answer, or not measurable: never counted."""
    NO_TARGET = "no target"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A spell's verdict, its target, and its length so far, in ms: of business hours where the target counts these."""

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
        """Judge a spell by its moments in microseconds; one without an end lasts until `waited_until`, or now."""
        target = self._targets.at(began, channel, priority)
        if target is None:
            return Judgement(Verdict.NO_TARGET)
        if ended is not None:
            return self._ended(target, began, ended)
        if waited_until is None or waited_until <= began:
            return Judgement(Verdict.NOT_COUNTED, target)
        return self._going_on(target, began, waited_until)

    def over(self, began: int, at: int, channel: str | None, priority: str | None) -> tuple[int, Target] | None:
        """Return the ms of a wait past its target at a moment (negative: left), and the target; None without one."""
        target = self._targets.at(began, channel, priority)
        spent = self._spent(target, began, at) if target is not None else None
        return (spent - target.limit_ms, target) if target is not None and spent is not None else None

    def _ended(self, target: Target, began: int, ended: int) -> Judgement:
        spent = self._spent(target, began, ended)
        if spent is None:
            return Judgement(Verdict.NOT_COUNTED, target)
        return Judgement(Verdict.WITHIN if spent <= target.limit_ms else Verdict.BREACH, target, spent)

    def _going_on(self, target: Target, began: int, waited_until: int) -> Judgement:
        spent = self._spent(target, began, max(began, min(waited_until, self._now)))
        if spent is None:
            return Judgement(Verdict.NOT_COUNTED, target)
        if spent > target.limit_ms:
            return Judgement(Verdict.BREACH, target, spent)
        return Judgement(Verdict.OPEN if waited_until > self._now else Verdict.NOT_COUNTED, target, spent)

    def _spent(self, target: Target, began: int, ended: int) -> int | None:
        return self._opened(began, ended) if target.business else (ended - began + 500) // 1000


def without_target(tenant: Tenant, metric: RequestedMetric, windows: Sequence[Window]) -> set[int]:
    """Return the windows of a target's metric in which no target was in force."""
    if metric.rollup.aim is not None:
        targets = [TargetsOf(tenant.targets, metric.rollup.aim, tenant.tz)]
        return {n for n, window in enumerate(windows) if not _any(targets, micros(window.start), micros(window.end))}
    if isinstance(metric.declared, State) and metric.declared.past_target:
        targets = [TargetsOf(tenant.targets, aim, tenant.tz) for aim in (Aim.FIRST_RESPONSE, Aim.NEXT_RESPONSE)]
        return {n for n, window in enumerate(windows) if not _any(targets, 0, micros(window.end))}
    return set()


def _any(several: Sequence[TargetsOf], start: int, end: int) -> bool:
    return any(targets.any_between(start, end) for targets in several)


@dataclass(slots=True)
class _Tally:
    """Spells of one window and slice: by target the numbers within and past it, and those not counted yet."""

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
        elif judgement.verdict is not Verdict.NOT_COUNTED:
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
        """Return the numbers of each target, the oldest first, and the goal: the mean of their shares."""
        targets = sorted({*self.within, *self.breaches}, key=lambda target: (target.valid_from, target.id))
        judged = {target: self.within.get(target, 0) + self.breaches.get(target, 0) for target in targets}
        rows = [_row(target, self.within.get(target, 0), judged[target]) for target in targets]
        shares = [(target.share, count) for target, count in judged.items()]
        known = [share * count for share, count in shares if share is not None]
        goal = sum(known) / sum(judged.values()) if shares and len(known) == len(shares) else None
        return {"targets": rows, "goal": goal}


def _row(target: Target, within: int, judged: int) -> JsonObject:
    return {
        "id": target.id, "minutes": target.minutes, "business": target.business, "channel": target.channel,
        "priority": target.priority, "share": target.share, "valid_from": target.valid_from.isoformat(),
        "valid_to": target.valid_to.isoformat() if target.valid_to else None, "within": within, "judged": judged,
    }  # fmt: skip


def judged(context: Context, metrics: Sequence[RequestedMetric], cells: Cells) -> None:
    """Read the numbers of one aim: the share within the targets, and the breaches."""
    aim = metrics[0].rollup.aim
    assert aim is not None
    judge = Judge(context.tenant, aim, context.now)
    if not judge:
        return
    tallies: dict[Key, _Tally] = {}
    for key, row in _rows(context, metrics[0]):
        tallies.setdefault(key, _Tally()).add(judge.of(*row))
    for key, tally in tallies.items():
        for metric in metrics:
            cells[metric.name][key] = tally.cell(metric.declared)


def _rows(context: Context, metric: RequestedMetric) -> Iterator[tuple[Key, tuple[Any, ...]]]:
    select = Select(metric.rollup, context)
    for column in COLUMNS:
        select.column(column)
    for window, dims, row in select.run(group=False):
        yield (window, dims), row
