"""What gaps of sources do to an answer: which numbers are known in part or not at all, and which sources say so.

A gap concerns a metric when its source can bring events that the metric's facts are made of, and a row when what is missing may
belong to it. A number over a window that touches such a gap is incomplete. One that would be nothing at all, over a window most of
which lies in gaps, is not known: nothing was fetched that could have been counted.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from hubbub.metrics.catalogue import Asked
from hubbub.model.coverage import WORDS, Gap, Reason
from hubbub.model.question import Question
from hubbub.model.tenant import Tenant
from hubbub.model.window import Window
from hubbub.query.freshness import AnswerGap, Freshness
from hubbub.query.result import UNKNOWN, Column, State
from hubbub.query.select import Dims

MOST = 20
"""Stretches of gaps that an answer names."""


def relevant(gaps: Sequence[Gap], asked: Sequence[Asked], question: Question) -> list[Gap]:
    """Return the gaps that may change a number of the question."""
    return [
        gap for gap in gaps
        if gap.start < question.end and gap.end > question.start
        and any(gap.concerns(one.rollup.source.subjects, question.where) for one in asked)
    ]  # fmt: skip


def mark(
    columns: Mapping[str, Column],
    asked: Sequence[Asked],
    question: Question,
    cut: Sequence[Window],
    combos: Sequence[Dims],
    gaps: Sequence[Gap],
    now: datetime,
) -> None:
    """Give the numbers that gaps touch their state, and take away those that are not known."""
    starts = [window.start for window in cut]
    for one in asked:
        mine = [gap for gap in gaps if gap.concerns(one.rollup.source.subjects, question.where)]
        touched: dict[tuple[int, ...], Sequence[tuple[int, bool]]] = {}
        for place, dims in enumerate(combos if mine else ()):
            theirs = tuple(n for n, gap in enumerate(mine) if _may_belong(gap, question.by, dims))
            if theirs not in touched:
                touched[theirs] = list(_windows([mine[n] for n in theirs], cut, starts, now))
            for number, mostly in touched[theirs]:
                is_open = cut[number].end > now
                _mark(columns[one.name], number * len(combos) + place, mostly=mostly, is_open=is_open)


def _may_belong(gap: Gap, by: Sequence[str], dims: Dims) -> bool:
    known = gap.feed.dims
    return all(name not in known or value in known[name] for name, value in zip(by, dims, strict=True))


def _windows(
    gaps: Sequence[Gap], cut: Sequence[Window], starts: Sequence[datetime], now: datetime
) -> Iterator[tuple[int, bool]]:
    """Yield the windows that gaps touch, in order, and whether at least half of what has passed of each lies in gaps.

    Half, since the days of a source may be cut in another zone than the tenant's.
    """
    covered: dict[int, timedelta] = {}
    for start, end in _joined(gaps):
        number = max(bisect_right(starts, start) - 1, 0)
        while number < len(cut) and cut[number].start < end:
            if cut[number].end > start:
                inside = min(end, cut[number].end, now) - max(start, cut[number].start)
                covered[number] = covered.get(number, timedelta(0)) + max(inside, timedelta(0))
            number += 1
    for number, inside in sorted(covered.items()):
        yield number, 2 * inside >= min(cut[number].end, now) - cut[number].start


def _joined(gaps: Sequence[Gap]) -> list[tuple[datetime, datetime]]:
    """Return the stretches that gaps cover together, in order."""
    found: list[tuple[datetime, datetime]] = []
    for start, end in sorted((gap.start, gap.end) for gap in gaps):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((start, end))
    return found


def _mark(column: Column, row: int, *, mostly: bool, is_open: bool) -> None:
    if column.states[row] in UNKNOWN:
        return
    if mostly and not column.n[row] and not column.values[row]:
        column.values[row] = column.numerators[row] = column.denominators[row] = column.n[row] = None
        column.states[row] = State.NOT_FETCHED
        column.details.pop(row, None)
    elif not is_open:
        column.states[row] = State.INCOMPLETE


def told(gaps: Sequence[Gap], question: Question, tenant: Tenant) -> list[AnswerGap]:
    """Return gaps as an answer's freshness names them: source, range, why and what to do; neighbours of one kind as one."""
    joined: list[tuple[Gap, datetime]] = []
    for gap in sorted(gaps, key=lambda one: (one.integration, one.start)):
        last, end = joined[-1] if joined else (gap, gap.start)
        if (
            joined
            and (last.integration, last.reason, last.detail) == (gap.integration, gap.reason, gap.detail)
            and end == gap.start
        ):
            joined[-1] = last, gap.end
        else:
            joined.append((gap, gap.end))
    return [
        AnswerGap(
            gap.name, gap.integration, gap.provider,
            _local(max(gap.start, question.start), tenant), _local(min(end, question.end), tenant),
            gap.reason.value, f"{WORDS[gap.reason]}{f': {gap.detail}' if gap.detail else ''}", gap.action or None,
        )
        for gap, end in joined[:MOST]
    ]  # fmt: skip


def sentences(freshness: Freshness, *, daily: bool = True) -> list[str]:
    """Return what an answer's freshness says of gaps, each in words; without `daily` those of days that are not over."""
    return [
        f"{gap.source}: {gap.from_[:16]} to {gap.to[:16]} is not complete: {gap.message}"
        f"{'. ' + gap.action if gap.action else ''}"
        for gap in (*(freshness.gaps or ()), *(freshness.gaps_before or ()))
        if daily or gap.reason != Reason.NOT_OVER
    ]


def _local(moment: datetime, tenant: Tenant) -> str:
    return moment.astimezone(tenant.tz).isoformat()


def complete_to(gaps: Sequence[Gap], moment: datetime) -> datetime:
    """Return how far an answer is complete that would be up to a moment: to where its first gap begins."""
    return min([moment, *(gap.start for gap in gaps)]).astimezone(UTC)
