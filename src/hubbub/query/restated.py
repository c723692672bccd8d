"""Changes of closed numbers: the settled numbers of each day, compared with those stored before.

A number is closed once it is settled: after that only late events, erasures, links, settings and definitions can change it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta

from hubbub.control.restatements import Closed, Numbers, Restatement
from hubbub.facts.moments import micros
from hubbub.metrics.catalogue import DEFINITION_VERSION, METRICS, askable, find
from hubbub.metrics.definition import Distinct, Quantiles, Ratio, Stored
from hubbub.model.question import NONE, Question
from hubbub.model.tenant import Tenant
from hubbub.model.window import Grain, day_of, local_midnight
from hubbub.query.answering import Ask
from hubbub.query.layout import counts
from hubbub.query.result import State
from hubbub.storage.transaction import Transaction

AT_ONCE = 31
"""Days of one question."""
CHANNEL = "channel"


def watched() -> tuple[str, ...]:
    """Return the metrics whose closed numbers are watched: counts, shares, and mean and median of durations."""
    names: list[str] = []
    for name, (metric, _) in METRICS.items():
        if isinstance(metric, Quantiles):
            names += [f"{name}.{statistic}" for statistic in ("avg", "p50", "count")]
        elif isinstance(metric, Stored | Ratio | Distinct):
            names.append(name)
    return tuple(names)


def seen(ask: Ask, tenant: Tenant, first: date, after: date) -> dict[date, dict[str, dict[str, float | int | None]]]:
    """Return the settled numbers of local days `[first, after)`: by day, metric, and slice."""
    by_day: dict[date, dict[str, dict[str, float | int | None]]] = {}
    start, end = local_midnight(first, tenant.tz), local_midnight(after, tenant.tz)
    names = watched()
    by_channel = tuple(name for name in names if CHANNEL in askable(METRICS[name.partition(".")[0]][1]))
    for metrics, by in ((names, ()), (by_channel, (CHANNEL,))):
        for row in ask(Question(metrics, start, end, Grain.DAY, by)).each():
            slice_ = (row.dims[CHANNEL] or NONE) if by else ""
            for name, cell in row.cells.items():
                if cell.state == State.SETTLED:
                    day = by_day.setdefault(day_of(row.start, tenant.tz), {})
                    day.setdefault(name, {})[slice_] = cell.value
    return by_day


def changed(
    was: Numbers, now: Numbers, tenant: Tenant
) -> Iterator[tuple[str, str, float | int | None, float | int | None]]:
    """Yield metric, slice, old and new value of closed numbers that changed; a missing slice of a count is 0, of others null."""
    for metric, old in was.items():
        new = now.get(metric)
        if new is None:  # not settled or unknown now
            continue
        nothing = 0 if counts(find(metric), tenant) else None
        for slice_ in sorted({*old, *new}):
            before, after = old.get(slice_, nothing), new.get(slice_, nothing)
            if before != after:
                yield metric, slice_, before, after


def compare(
    reading: Transaction, tenant: Tenant, was: Mapping[date, Closed], now_: Mapping[date, Numbers], erased_at: datetime | None,
    now: datetime,
) -> tuple[list[Closed], list[Restatement]]:  # fmt: skip
    """Return the days to store, and the changes of closed days; an unchanged day is in neither.

    `was` and `now_`: the stored and the present numbers by local day. `erased_at`: the tenant's last erasure of a contact.
    """
    days, changes = [], []
    for day, numbers in now_.items():
        before = was.get(day)
        if before is None:
            days.append(Closed(day, tenant.zone, DEFINITION_VERSION, now, numbers))
            continue
        differences = list(changed(before.numbers, numbers, tenant))
        merged = {**before.numbers, **numbers}
        if differences:
            cause, events = _cause(reading, tenant, before, erased_at)
            changes += [
                Restatement(now, day, metric, slice_ or None, old, new, cause, events)
                for metric, slice_, old, new in differences
            ]
        if merged.keys() != before.numbers.keys() or differences:
            days.append(Closed(day, tenant.zone, DEFINITION_VERSION, now, merged))
    return days, changes


def _cause(reading: Transaction, tenant: Tenant, before: Closed, erased_at: datetime | None) -> tuple[str, int]:
    """Return why a day's numbers changed, as far as known, and the number of events that arrived for it since."""
    start, end = (micros(local_midnight(day, tenant.tz)) for day in (before.day, before.day + timedelta(days=1)))
    events = reading.value(
        "SELECT count(*) FROM event WHERE tenant = ? AND time >= ? AND time < ? AND received_at > ?",
        (tenant.no, start, end, micros(before.seen_at)),
    )
    if before.definition_version != DEFINITION_VERSION:
        return "definition", events
    if before.zone != tenant.zone:
        return "zone", events
    if events:
        return "late events", events
    if erased_at is not None and erased_at > before.seen_at:
        return "erasure", 0
    return "links, corrections or events of other days", 0
