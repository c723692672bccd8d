"""Comparison with an earlier period: its range in local time, cut at the same elapsed time, and the change of each number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

from hubbub.calculations import change
from hubbub.errors import BadQuestionError
from hubbub.metrics.definition import Unit
from hubbub.model.question import Question
from hubbub.model.tenant import Tenant
from hubbub.model.window import local_earlier
from hubbub.query.result import STATED, Answer, Cell, Compared, Comparison

SHIFTS = {"day": 1, "week": 7}
PERIODS = ("previous", *SHIFTS, "weekdays", "year")
"""Values of `compare`.

previous: the range just before, of as many calendar months where the range is whole months, else of as many local days.
day, week: the same range one or seven local days earlier.
weekdays: the last range before that begins on the same weekday.
year: the same dates a year earlier.
"""


def earlier(question: Question, tenant: Tenant, now: datetime) -> tuple[datetime, datetime]:
    """Return the earlier range `[start, end)`, moved by local days. If the question's is not over, it ends after the elapsed time.

    Raises BadQuestionError for a range that overlaps its earlier one, or has not begun.
    """
    if question.compare in SHIFTS:
        return _shifted(question, tenant, now, lambda day: day - timedelta(days=SHIFTS[str(question.compare)]))
    if question.compare == "weekdays":
        weeks = -(-(_day_after(question, tenant) - question.start.astimezone(tenant.tz).date()).days // 7)
        return _shifted(question, tenant, now, lambda day: day - timedelta(weeks=weeks))
    if question.compare == "year":
        return _shifted(question, tenant, now, _year_before)
    start, end, tz = question.start.astimezone(tenant.tz), question.end.astimezone(tenant.tz), tenant.tz
    if start.day == 1 and end.day == 1 and start.time() == end.time():
        months = (end.year - start.year) * 12 + end.month - start.month
        index = start.year * 12 + start.month - 1 - months
        before = start.replace(tzinfo=None, year=index // 12, month=index % 12 + 1).replace(tzinfo=tz)
    elif start.time() == end.time():
        days = (end.date() - start.date()).days
        before = local_earlier(start, timedelta(days=days), tz)
    else:
        return _cut(question.start - (question.end - question.start), question.start, question, now)
    return _cut(before.astimezone(UTC), question.start, question, now)


def compared(answer: Answer, old: Answer, tenant: Tenant) -> Answer:
    """Add the earlier number and the change to each row; rows pair up by the place of their window and dimension values."""
    order = {start: place for place, start in enumerate(sorted(set(old.starts)))}
    before = {(order[start], dims): row for row, (start, dims) in enumerate(zip(old.starts, old.dims, strict=True))}
    places = {start: place for place, start in enumerate(sorted(set(answer.starts)))}
    changes = [
        _changes(answer, row, old, before.get((places[start], dims)))
        for row, (start, dims) in enumerate(zip(answer.starts, answer.dims, strict=True))
    ]
    period = [moment.astimezone(tenant.tz).isoformat() for moment in (old.question.start, old.question.end)]
    freshness = replace(
        answer.freshness, gone_before=old.freshness.gone, gaps_before=old.freshness.gaps, compared_with=period
    )
    return replace(answer, compare=changes, freshness=freshness)


def _changes(answer: Answer, row: int, old: Answer, old_row: int | None) -> Comparison:
    """Return the earlier number and the change of each number of a row; `old_row`: the earlier row, if any."""
    pairs = {}
    for name, column in answer.columns.items():
        then = old.columns[name].cell(old_row) if old_row is not None else Cell(None)
        changed = change(column.values[row], then.value, column.unit is Unit.SHARE)
        pairs[name] = Compared(then.value, changed, then.state if then.state in STATED else None)
    return pairs


def _day_after(question: Question, tenant: Tenant) -> date:
    """Return the local day after the last of a question."""
    return (question.end - timedelta(microseconds=1)).astimezone(tenant.tz).date() + timedelta(days=1)


def _year_before(day: date) -> date:
    """Return the same date a year before; for 29 February, the 28th."""
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
            f"the range overlaps the earlier one of 'compare' ({question.compare}); compare with 'previous'"
        )
    if question.end.astimezone(tenant.tz).time() != time():  # a part of a day: equal elapsed time
        end = min(start + (question.end - question.start), question.start)
    return _cut(start, end, question, now)


def _cut(start: datetime, end: datetime, question: Question, now: datetime) -> tuple[datetime, datetime]:
    """Return the earlier range; where the question's reaches beyond now, it ends after the same elapsed time."""
    if now < question.start:
        raise BadQuestionError("the range has not begun, so it cannot be compared: take earlier days")
    if question.start < now < question.end:
        end = min(end, start + (now - question.start))
    return start, end
