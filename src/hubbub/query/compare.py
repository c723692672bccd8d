"""Compare an answer with the period before it: the same stretch of local time, cut at the same elapsed moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from hubbub.calculations import change
from hubbub.metrics.catalogue import Asked
from hubbub.metrics.definition import Unit
from hubbub.model.question import Answer, Cell, Question, Row
from hubbub.model.tenant import Tenant
from hubbub.model.window import Grain

PERIODS = ("previous",)


def compare(answer: Answer, earlier: Answer, asked: Sequence[Asked], tenant: Tenant) -> Answer:
    """Give each row `compare`: per metric the earlier value and its change. Rows pair up by position and dimensions."""
    start, end = earlier.question.start, earlier.question.end
    before = {key: row.cells for key, row in _positions(earlier.rows).items()}
    for key, row in _positions(answer.rows).items():
        old = before.get(key, {})
        row.compare = {one.name: _pair(row.cells[one.name], old.get(one.name), one.unit) for one in asked}
    answer.freshness["compared_with"] = [m.astimezone(tenant.tz).isoformat() for m in (start, end)]
    return answer


def previous(question: Question, tenant: Tenant, now: datetime) -> tuple[datetime, datetime]:
    """Return the range before: as many local days earlier (so that 23-hour days stay days), elapsed time cut alike."""
    start, end, tz = question.start.astimezone(tenant.tz), question.end.astimezone(tenant.tz), tenant.tz
    if question.grain is Grain.MONTH and start.day == 1 and end.day == 1 and start.time() == end.time():
        months = (end.year - start.year) * 12 + end.month - start.month
        index = start.year * 12 + start.month - 1 - months
        earlier = start.replace(tzinfo=None, year=index // 12, month=index % 12 + 1).replace(tzinfo=tz)
    elif start.time() == end.time():
        days = (end.date() - start.date()).days
        earlier = (start.replace(tzinfo=None) - timedelta(days=days)).replace(tzinfo=tz)
    else:
        return _cut(question.start - (question.end - question.start), question.start, question, now)
    return _cut(earlier.astimezone(UTC), question.start, question, now)


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
