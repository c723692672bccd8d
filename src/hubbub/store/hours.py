"""Business hours for SQL: fact rows get their business milliseconds from steps that Python makes of the tenants' calendars.

`keeps_hours` (keeper, hours) and `open_hours` (hours, day, start, end, length, before) are temporary tables that reach over
just the spells of the rows at hand. Tenants with the same calendar and zone share a number; without any calendar nothing is made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import pyarrow as pa

from hubbub.metrics import fold
from hubbub.metrics.definition import Fact
from hubbub.model.calendar import NO_CALENDAR, Calendar, first_change, steps, stored
from hubbub.model.tenant import Tenant
from hubbub.model.window import Grain, first_day, local_midnight, next_first_day
from hubbub.store.base import Work, utc_naive

_1970 = date(1970, 1, 1).toordinal()


def make_rows(
    work: Work, name: str, fact: Fact, rows: str, tenants: Sequence[Tenant], params: Mapping[str, Any] | None = None
) -> None:
    """Make the temporary table `name` of a fact's rows (a SELECT of its SQL), with the columns of its spells."""
    numbers: dict[tuple[str, Calendar], int] = {}
    keeping = {t.no: numbers.setdefault((t.zone, t.calendar), len(numbers)) for t in tenants if t.calendar}
    if not fact.spells or not keeping:
        work.make(name, fold.with_hours(fact, rows, known=False) if fact.spells else rows, params)
        return
    columns = pa.array(keeping, pa.int32()), pa.array(keeping.values(), pa.int32())
    work.table("keeps_hours", pa.table(columns, names=["keeper", "hours"]))
    work.make("plain_rows", rows, params)
    first = ", ".join(f"min({start})" for start, _ in fact.spells.values())
    last = ", ".join(f"max({end})" for _, end in fact.spells.values())
    low, high = work.execute(
        f"SELECT least({first}), greatest({last}) FROM plain_rows SEMI JOIN keeps_hours ON keeper = tenant"
    ).rows[0]
    work.table("open_hours", _steps(numbers, low, high))
    work.make(name, fold.with_hours(fact, "SELECT * FROM plain_rows", known=True))
    work.execute("DROP TABLE plain_rows")


def hours_from(known: tuple[str, datetime | None] | None, tenant: Tenant) -> datetime | None:
    """Return from where on (UTC without zone) stored numbers in business hours are not by a tenant's calendar; None: all are.

    `known` is the tenant's row of the store's table `hours`: the calendar that folds go by, and from where on they have not.
    """
    folded, since = (stored(known[0]), known[1]) if known else (NO_CALENDAR, None)
    changed = first_change(folded, tenant.calendar)
    if changed is None:
        return since
    moment = utc_naive(local_midnight(changed, tenant.tz))
    return moment if since is None else min(since, moment)


def _steps(calendars: Mapping[tuple[str, Calendar], int], low: datetime | None, high: datetime | None) -> pa.Table:
    """Return `open_hours` for spells within `[low, high]` (UTC without zone), in whole months, so that steps are made once."""
    hours: list[int] = []
    found: list[tuple[datetime, datetime, int, int]] = []
    if low is not None and high is not None:
        day = timedelta(days=1)  # a local day may begin that much earlier or later than that of UTC
        first, last = first_day((low - day).date(), Grain.MONTH), next_first_day((high + day).date(), Grain.MONTH)
        for (zone, calendar), number in calendars.items():
            mine = steps(calendar, zone, first, last)
            hours += [number] * len(mine)
            found += mine
    kinds = (pa.timestamp("us"), pa.timestamp("us"), pa.int64(), pa.int64())
    columns = [pa.array([step[i] for step in found], kind) for i, kind in enumerate(kinds)]
    days = pa.array([step[0].toordinal() - _1970 for step in found], pa.int64())
    names = ["hours", "day", "start", "end", "length", "before"]
    return pa.table([pa.array(hours, pa.int32()), days, *columns], names=names)
