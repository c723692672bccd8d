"""Effects of gaps of sources on an answer: which numbers are incomplete or unknown, and why.

A gap concerns a metric when its source can bring events of the metric's facts, and a row when the missing data may belong to it.
A number over a window that overlaps such a gap is incomplete. A number without any data, over a window mostly covered by gaps, is
unknown: nothing was fetched that could count.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

from hubbub.metrics.catalogue import RequestedMetric
from hubbub.model.coverage import WORDS, Gap, Reason
from hubbub.model.question import Question
from hubbub.model.tenant import Tenant
from hubbub.model.window import Window
from hubbub.query.freshness import AnswerGap, Freshness
from hubbub.query.result import UNKNOWN, Answer, Column, State
from hubbub.query.select import Dims

MOST = 20
"""Most gaps that an answer lists."""


def relevant(gaps: Sequence[Gap], metrics: Sequence[RequestedMetric], question: Question) -> list[Gap]:
    """Return the gaps that may change a number of the question."""
    return [
        gap for gap in gaps
        if gap.start < question.end and gap.end > question.start
        and any(gap.concerns(metric.rollup.source.subjects, question.where) for metric in metrics)
    ]  # fmt: skip


def with_gaps(
    answer: Answer,
    tenant: Tenant,
    metrics: Sequence[RequestedMetric],
    windows: Sequence[Window],
    gaps: Sequence[Gap],
    now: datetime,
) -> Answer:
    """Mark the numbers of an answer that gaps of sources affect, and list these gaps."""
    question = answer.question
    touching = relevant(gaps, metrics, question) if question.start < now else []
    if not touching:
        return answer
    slices = answer.dims[: len(answer.dims) // len(windows)]
    mark(answer.columns, metrics, question, windows, slices, touching, now)
    complete = complete_to(touching, datetime.fromisoformat(answer.freshness.complete_to))
    freshness = replace(
        answer.freshness, complete=False, gaps=listed(touching, question, tenant),
        complete_to=complete.astimezone(tenant.tz).isoformat(),
    )  # fmt: skip
    return replace(answer, freshness=freshness)


def mark(
    columns: Mapping[str, Column],
    metrics: Sequence[RequestedMetric],
    question: Question,
    windows: Sequence[Window],
    slices: Sequence[Dims],
    gaps: Sequence[Gap],
    now: datetime,
) -> None:
    """Set the states of numbers that gaps affect, and remove unknown numbers."""
    starts = [window.start for window in windows]
    for metric in metrics:
        own_gaps = [gap for gap in gaps if gap.concerns(metric.rollup.source.subjects, question.where)]
        touched: dict[tuple[int, ...], Sequence[tuple[int, bool]]] = {}
        for place, dims in enumerate(slices if own_gaps else ()):
            theirs = tuple(n for n, gap in enumerate(own_gaps) if _may_belong(gap, question.by, dims))
            if theirs not in touched:
                touched[theirs] = list(_windows([own_gaps[n] for n in theirs], windows, starts, now))
            for number, mostly in touched[theirs]:
                is_open = windows[number].end > now
                _mark(columns[metric.name], number * len(slices) + place, mostly=mostly, is_open=is_open)


def _may_belong(gap: Gap, by: Sequence[str], dims: Dims) -> bool:
    known = gap.feed.dims
    return all(name not in known or value in known[name] for name, value in zip(by, dims, strict=True))


def _windows(
    gaps: Sequence[Gap], windows: Sequence[Window], starts: Sequence[datetime], now: datetime
) -> Iterator[tuple[int, bool]]:
    """Yield the windows that gaps overlap, in order, and whether gaps cover at least half of the elapsed part of each.

    Half, since the days of a source may be of another zone than the tenant's.
    """
    covered: dict[int, timedelta] = {}
    for start, end in _joined(gaps):
        number = max(bisect_right(starts, start) - 1, 0)
        while number < len(windows) and windows[number].start < end:
            if windows[number].end > start:
                inside = min(end, windows[number].end, now) - max(start, windows[number].start)
                covered[number] = covered.get(number, timedelta(0)) + max(inside, timedelta(0))
            number += 1
    for number, inside in sorted(covered.items()):
        yield number, 2 * inside >= min(windows[number].end, now) - windows[number].start


def _joined(gaps: Sequence[Gap]) -> list[tuple[datetime, datetime]]:
    """Return the union of the gaps' ranges, in order."""
    joined: list[tuple[datetime, datetime]] = []
    for start, end in sorted((gap.start, gap.end) for gap in gaps):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], end)
        else:
            joined.append((start, end))
    return joined


def _mark(column: Column, row: int, *, mostly: bool, is_open: bool) -> None:
    if column.states[row] in UNKNOWN:
        return
    if mostly and not column.n[row] and not column.values[row]:
        column.values[row] = column.numerators[row] = column.denominators[row] = column.n[row] = None
        column.states[row] = State.NOT_FETCHED
        column.details.pop(row, None)
    elif not is_open:
        column.states[row] = State.INCOMPLETE


def listed(gaps: Sequence[Gap], question: Question, tenant: Tenant) -> list[AnswerGap]:
    """Return gaps as an answer's freshness lists them, at most `MOST`; neighbours with one reason become one."""
    joined: list[tuple[Gap, datetime]] = []
    for gap in sorted(gaps, key=lambda gap: (gap.integration, gap.start)):
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
    """Return an answer's gaps as sentences; `daily`: include those of days that are not over."""
    return [
        f"{gap.source} is not complete {_when(datetime.fromisoformat(gap.from_), datetime.fromisoformat(gap.to))}: {gap.message}"
        f"{'. ' + gap.action if gap.action else ''}"
        for gap in (*(freshness.gaps or ()), *(freshness.gaps_before or ()))
        if daily or gap.reason != Reason.NOT_OVER
    ]


def _when(start: datetime, end: datetime) -> str:
    """Write a half-open range of local times: whole days as days, others to the minute."""
    if start.time() == end.time() == time():
        last = end - timedelta(days=1)
        return f"on {_day(start)}" if start.date() == last.date() else f"from {_day(start)} to {_day(last)}"
    until = f"{end:%H:%M}" if start.date() == end.date() else f"{_day(end)}, {end:%H:%M}"
    return f"from {_day(start)}, {start:%H:%M} to {until}"


def _day(at: datetime) -> str:
    return f"{at:%a} {at.day} {at:%b} {at.year}"


def _local(moment: datetime, tenant: Tenant) -> str:
    return moment.astimezone(tenant.tz).isoformat()


def complete_to(gaps: Sequence[Gap], moment: datetime) -> datetime:
    """Return until when an answer up to a moment is complete, in UTC: at most to the start of its first gap."""
    return min([moment, *(gap.start for gap in gaps)]).astimezone(UTC)
