"""Compare an answer with an earlier period: the same stretch of local time, cut at the same elapsed moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from typing import Any

from hubbub.calculations import change
from hubbub.errors import BadQuestionError
from hubbub.metrics.catalogue import Asked
from hubbub.metrics.definition import Unit
from hubbub.model.question import Answer, Cell, Question, Row
from hubbub.model.tenant import Tenant
from hubbub.model.window import Grain

SHIFTS = {"day": 1, "week": 7}
PERIODS = ("previous", *SHIFTS, "weekdays", "year")
"""What can be compared with: the stretch just before; the same stretch so many local days earlier; the last one before that
begins on the same weekday; the same dates a year before."""


def compare(answer: Answer, old: Answer, asked: Sequence[Asked], tenant: Tenant) -> Answer:
    """Give each row `compare`: per metric the earlier value and its change. Rows pair up by position and dimensions."""
    start, end = old.question.start, old.question.end
    before = {key: row.cells for key, row in _positions(old.rows).items()}
    for key, row in _positions(answer.rows).items():
        cells = before.get(key, {})
        row.compare = {one.name: _pair(row.cells[one.name], cells.get(one.name), one.unit) for one in asked}
    if "gone" in old.freshness:
        answer.freshness["gone_before"] = old.freshness["gone"]
    answer.freshness["compared_with"] = [m.astimezone(tenant.tz).isoformat() for m in (start, end)]
    return answer


def earlier(question: Question, tenant: Tenant, now: datetime) -> tuple[datetime, datetime]:
    """Return the range compared with: local days earlier (so that 23-hour days stay days), elapsed time cut alike.

    Raises BadQuestionError for a range that would overlap itself.
    """
    if question.compare in SHIFTS:
        return _shifted(question, tenant, now, lambda day: day - timedelta(days=SHIFTS[str(question.compare)]))
    if question.compare == "weekdays":
        weeks = -(-(_day_after(question, tenant) - question.start.astimezone(tenant.tz).date()).days // 7)
        return _shifted(question, tenant, now, lambda day: day - timedelta(weeks=weeks))
    if question.compare == "year":
        return _shifted(question, tenant, now, _year_before)
    start, end, tz = question.start.astimezone(tenant.tz), question.end.astimezone(tenant.tz), tenant.tz
    if question.grain is Grain.MONTH and start.day == 1 and end.day == 1 and start.time() == end.time():
        months = (end.year - start.year) * 12 + end.month - start.month
        index = start.year * 12 + start.month - 1 - months
        before = start.replace(tzinfo=None, year=index // 12, month=index % 12 + 1).replace(tzinfo=tz)
    elif start.time() == end.time():
        days = (end.date() - start.date()).days
        before = (start.replace(tzinfo=None) - timedelta(days=days)).replace(tzinfo=tz)
    else:
        return _cut(question.start - (question.end - question.start), question.start, question, now)
    return _cut(before.astimezone(UTC), question.start, question, now)


def _day_after(question: Question, tenant: Tenant) -> date:
    """Return the local day after the last of a question."""
    return (question.end - timedelta(microseconds=1)).astimezone(tenant.tz).date() + timedelta(days=1)


def _year_before(day: date) -> date:
    """Return the same date a year before; of 29 February, the 28th."""
    return day.replace(year=day.year - 1, day=28 if (day.month, day.day) == (2, 29) else day.day)


def _shifted(
    question: Question, tenant: Tenant, now: datetime, earlier_day: Callable[[date], date]
) -> tuple[datetime, datetime]:
    def back(moment: datetime) -> datetime:
        local = moment.astimezone(tenant.tz).replace(tzinfo=None)
        return datetime.combine(earlier_day(local.date()), local.time(), tenant.tz).astimezone(UTC)

    start, end = back(question.start), back(question.end)
    if end > question.start:
        raise BadQuestionError(
            f"the range is longer than what 'compare' goes back ({question.compare}); compare with 'previous'"
        )
    local = question.end.astimezone(tenant.tz)
    if (
        local.time() != local.replace(hour=0, minute=0, second=0, microsecond=0).time()
    ):  # a part of a day: equal elapsed time
        end = min(start + (question.end - question.start), question.start)
    return _cut(start, end, question, now)


def _cut(start: datetime, end: datetime, question: Question, now: datetime) -> tuple[datetime, datetime]:
    """Where the asked range reaches beyond now, the earlier one ends after as much elapsed time."""
    if question.start < now < question.end:
        end = min(end, start + (now - question.start))
    return start, end


def _positions(rows: Sequence[Row]) -> dict[tuple[int, tuple[str | None, ...]], Row]:
    order = {start: i for i, start in enumerate(sorted({row.start for row in rows}))}
    return {(order[row.start], tuple(row.dims.values())): row for row in rows}


def _pair(current: Cell, old: Cell | None, unit: Unit) -> dict[str, Any]:
    now_, then = current.value, old.value if old is not None else None
    if isinstance(now_, str) or isinstance(then, str):
        return {"previous": then, "change": None}
    return {"previous": then, "change": asdict(change(now_, then, unit is Unit.SHARE))}
