"""The period of a report: its days, and the step of its series."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import islice

from hubbub.errors import BadQuestionError
from hubbub.model.question import check_order, parse_date
from hubbub.model.tenant import Tenant
from hubbub.model.window import Grain, Window, day_of, first_day, local_midnight, next_first_day, windows

KINDS = {"daily": Grain.DAY, "weekly": Grain.WEEK, "monthly": Grain.MONTH}
STEPS = {Grain.DAY: Grain.HOUR, Grain.WEEK: Grain.DAY, Grain.MONTH: Grain.DAY}
MOST_STEPS = 1_100
"""Most rows of a series: three years of days."""


@dataclass(frozen=True)
class Period:
    """Days `[start, end)` in a tenant's zone; `whole`: the grain of the period, `step`: the grain of its rows."""

    kind: str
    start: date
    end: date
    whole: Grain
    step: Grain

    def window(self, tenant: Tenant) -> Window:
        """Return the period as two moments, the midnights of the tenant's zone."""
        return Window(local_midnight(self.start, tenant.tz), local_midnight(self.end, tenant.tz))


def period_of(
    tenant: Tenant, kind: str, now: datetime, date: str | None = None, start: str | None = None, end: str | None = None
) -> Period:
    """Return the day, week or month with `date`, the days `[start, end)`, or by default the last complete day, week or month.

    The step is finer than the kind if the range is exactly one day, week or month of the kind; else it is the kind. Raises
    BadQuestionError.
    """
    if kind not in KINDS:
        raise BadQuestionError(f"report kind {kind[:40]!r} is not one of {', '.join(KINDS)}")
    if (start is None) != (end is None) or (start is not None and date is not None):
        raise BadQuestionError("name a date, or 'from' and 'to', or neither for the last period that is over")
    grain, today = KINDS[kind], day_of(now, tenant.tz)
    if start is not None and end is not None:
        first, last = parse_date(start), parse_date(end)
    else:
        day = parse_date(date) if date is not None else first_day(today, grain) - timedelta(days=1)
        first = first_day(day, grain)
        last = next_first_day(first, grain)
    check_order(first, last)
    if first.year < 2000:  # a week or month that began before the first day of questions
        raise BadQuestionError(f"the period begins on {first}: it must begin in 2000 or later")
    if first > today:
        raise BadQuestionError(f"the period from {first} to {last} has not begun in {tenant.zone}")
    exact = first == first_day(first, grain) and last == next_first_day(first, grain)
    period = Period(kind, first, last, grain if exact else Grain.TOTAL, STEPS[grain] if exact else grain)
    window = period.window(tenant)
    if next(islice(windows(window.start, window.end, period.step, tenant.tz), MOST_STEPS, None), None) is not None:
        raise BadQuestionError(f"a report has at most {MOST_STEPS} rows: take a shorter range, or a coarser kind")
    return period
