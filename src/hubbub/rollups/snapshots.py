"""Snapshots: what a tenant's whole team and each account came to in a day, week or month, one JSON document each, kept.

A snapshot is read from stored days by `rollups.setwise`, for all tenants in a few statements, and replaces the one of the
same period. When the raw events of a period are all gone, its settled snapshot stays as it is: what it was made from is
partly gone too. A period whose stored days are gone is refused, never made from nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import pyarrow as pa

from hubbub.errors import BadQuestionError, HubbubError, WindowFrozenError
from hubbub.metrics.catalogue import DEFINITION_VERSION, find
from hubbub.metrics.snapshots import PROVISIONAL_FOR, SECTIONS, Kind
from hubbub.model.tenant import Tenant, kept_from
from hubbub.model.window import Grain, Window, day_of, first_day, local_midnight, next_first_day, windows
from hubbub.rollups.halves import by_halves
from hubbub.rollups.setwise import documents
from hubbub.store.base import Store, Work, utc_naive
from hubbub.telemetry import log

_STAMP = pa.timestamp("us")


@dataclass(frozen=True)
class Period:
    """A tenant's day, week or month: its first local day, and its window in UTC."""

    tenant: Tenant
    day: date
    window: Window

    def state(self, now: datetime) -> str:
        """Say whether its numbers are still to come (live), may still change by receipts (provisional), or stand."""
        if self.window.end > now:
            return "live"
        return "provisional" if self.window.end + PROVISIONAL_FOR > now else "settled"


@dataclass
class Made:
    """What making snapshots did: tenants looked after, documents written, tenants whose kept one stays, errors by tenant."""

    processed: int = 0
    created: int = 0
    kept: int = 0
    errors: dict[str, str] = field(default_factory=dict)

    def answer(self) -> dict[str, Any]:
        """Return the public form."""
        return {"processed": self.processed, "created": self.created, "kept": self.kept, "errors": self.errors}


def period_of(tenant: Tenant, kind: Kind, day: date | None, now: datetime) -> Period:
    """Return the period that holds `day`, or the last one that is over at `now`, in the tenant's zone."""
    grain = kind.grain
    first = first_day(day_of(now, tenant.tz), grain)
    first = first_day(first - timedelta(days=1), grain) if day is None else first_day(day, grain)
    span = Window(local_midnight(first, tenant.tz), local_midnight(next_first_day(first, grain), tenant.tz))
    return Period(tenant, first, span)


def make(
    store: Store,
    tenants: Sequence[Tenant],
    kind: Kind,
    day: date | None,
    now: datetime,
    failed: Mapping[str, str] | None = None,
    *,
    over: datetime | None = None,
) -> Made:
    """Make the snapshots of one period of these tenants, whose stored days must be up to date; see `period_of`.

    Without a `day` it is the last period that was over at the moment `over` (`now` when None): each tenant's own.

    `failed` names tenants whose days are not, with the reason: they are reported and not made. A single tenant whose period
    is refused raises: BadQuestionError when it has not begun, WindowFrozenError when what it is made from is gone.
    """
    made = Made(processed=len(tenants), errors=dict(failed or {}))
    periods = {t.no: period_of(t, kind, day, over or now) for t in tenants if t.id not in made.errors}
    refused = _refused(store, periods, now)
    if refused and len(tenants) == 1:
        raise refused[tenants[0].no]
    made.errors |= {periods[no].tenant.id: error.message for no, error in refused.items()}
    kept = _kept(store, kind, periods)
    made.kept = len(kept)
    wanted = [p.tenant for no, p in periods.items() if no not in kept and no not in refused]

    def act(some: Sequence[Tenant]) -> None:
        with store.change() as work:
            count = _replace(work, kind, [periods[t.no] for t in some], now)
        made.created += count

    if wanted:
        for tenant, error in by_halves(wanted, act):
            log.error("snapshot failed", tenant=tenant.id, kind=kind.value, error=error)
            made.errors[tenant.id] = error
    return made


def unsettled(store: Store, now: datetime) -> list[tuple[Kind, date, list[int]]]:
    """Return the snapshots that were made too early to be settled and can be settled now: kind, date, tenants' numbers."""
    rows = store.query(
        "SELECT kind, date, list(DISTINCT tenant ORDER BY tenant) FROM snapshots "
        "WHERE state <> 'settled' AND window_end <= $before "
        "GROUP BY kind, date ORDER BY date, kind",
        {"before": utc_naive(now - PROVISIONAL_FOR)},
    ).rows
    return [(Kind(kind), day, numbers) for kind, day, numbers in rows]


def _table(periods: Sequence[Period], now: datetime) -> tuple[pa.Table, list[str]]:
    """Return the relation `asked` of setwise, with what else is kept of each period, and the zones it numbers."""
    zones = sorted({p.tenant.zone for p in periods})
    number = {zone: n for n, zone in enumerate(zones)}
    moments = {w: min(w.end, now) for w in {p.window for p in periods}}
    today = {p.window: day_of(moments[p.window], p.tenant.tz).toordinal() for p in periods}
    columns: dict[str, Any] = {
        "tenant": pa.array([p.tenant.no for p in periods], pa.int32()),
        "zone": pa.array([number[p.tenant.zone] for p in periods], pa.int32()),
        "start": pa.array([utc_naive(p.window.start) for p in periods], _STAMP),
        "finish": pa.array([utc_naive(p.window.end) for p in periods], _STAMP),
        "moment": pa.array([utc_naive(moments[p.window]) for p in periods], _STAMP),
        "today": pa.array([today[p.window] for p in periods], pa.int32()),
        "date": pa.array([p.day for p in periods], pa.date32()),
        "name": pa.array([p.tenant.zone for p in periods], pa.string()),
        "state": pa.array([p.state(now) for p in periods], pa.string()),
    }
    return pa.table(columns), zones


def _replace(work: Work, kind: Kind, periods: Sequence[Period], now: datetime) -> int:
    asked, zones = _table(periods, now)
    work.table("asked", asked)
    count = documents(work, SECTIONS, zones)
    named = {"kind": kind.value}
    work.execute(
        "DELETE FROM snapshots AS s USING asked AS a WHERE s.tenant = a.tenant AND s.kind = $kind AND s.date = a.date",
        named,
    )
    work.execute(
        "INSERT INTO snapshots SELECT d.tenant, d.account, $kind, a.date, a.start, a.finish, a.name, a.state, "
        f"{DEFINITION_VERSION}, $now, d.document FROM documents AS d JOIN asked AS a ON a.tenant = d.tenant ORDER BY 1, 2",
        {**named, "now": utc_naive(now)},
    )
    return count


def _refused(store: Store, periods: Mapping[int, Period], now: datetime) -> dict[int, HubbubError]:
    """Return why a tenant's period cannot be made, by tenant number."""
    refused: dict[int, HubbubError] = {}
    for no, period in periods.items():
        tenant, start = period.tenant, period.window.start
        if start >= now:
            refused[no] = BadQuestionError(f"{period.day} has not begun in {tenant.zone}")
        elif start < kept_from(tenant, tenant.retention.days(Grain.DAY), now):
            refused[no] = WindowFrozenError(
                f"the daily rollups of {period.day} are past retention: snapshots made in time stay, no new one can be made"
            )
    for no in _hollow(store, [p for no, p in periods.items() if no not in refused]):
        refused[no] = WindowFrozenError(
            f"raw events of {periods[no].day} are gone and the days stored of it, if any, are those of another zone: a "
            "snapshot made in time stays, no new one can be made"
        )
    return refused


def _hollow(store: Store, periods: Sequence[Period]) -> list[int]:
    """Return tenants with a frozen period whose stored days do not cut it as their zone does, or are not there."""
    until = dict(store.query("SELECT tenant, max(until) FROM frozen GROUP BY tenant").rows)
    old = [p for p in periods if p.tenant.no in until and utc_naive(p.window.start) < until[p.tenant.no]]
    if not old:
        return []
    days = [
        (p.tenant.no, utc_naive(w.start))
        for p in old
        for w in windows(p.window.start, p.window.end, Grain.DAY, p.tenant.tz)
    ]
    rows = store.query(
        "SELECT o.tenant, count(r.tenant), count(r.tenant) FILTER (WHERE d.tenant IS NULL) FROM old AS o "
        f"LEFT JOIN {find('events').rollup.table(Grain.DAY)} AS r ON r.tenant = o.tenant AND r.window_start >= o.start "
        "AND r.window_start < o.finish LEFT JOIN days AS d ON d.tenant = r.tenant AND d.day = r.window_start GROUP BY o.tenant",
        {
            "old": _table(old, old[0].window.end)[0],
            "days": pa.table(
                {"tenant": pa.array([n for n, _ in days], pa.int32()), "day": pa.array([d for _, d in days], _STAMP)}
            ),
        },
    ).rows
    ends = {p.tenant.no: utc_naive(p.window.end) for p in old}
    return [no for no, there, strange in rows if strange or (not there and ends[no] <= until[no])]


def _kept(store: Store, kind: Kind, periods: Mapping[int, Period]) -> set[int]:
    """Return tenants whose period is frozen and has a settled snapshot: that one stays as it is."""
    rows = store.query(
        "SELECT s.tenant, s.date FROM snapshots AS s JOIN (SELECT tenant, max(until) AS until FROM frozen GROUP BY tenant) "
        "AS f ON f.tenant = s.tenant AND s.window_end <= f.until WHERE s.kind = $kind AND s.account = '' "
        "AND s.state = 'settled'",
        {"kind": kind.value},
    ).rows
    return {no for no, day in rows if no in periods and periods[no].day == day}


def read(
    store: Store, tenant: Tenant, start: date, end: date, kind: Kind | None = None, account: str | None = None
) -> list[dict[str, Any]]:
    """Return the kept snapshots whose periods begin in `[start, end)`, as they were made: by kind, date and account.

    `account` is one account's id, '' for the whole team alone, None for all. Nothing is made or changed by reading.
    """
    rows = store.query(
        "SELECT kind, date, account, state, zone, definition_version, made_at, document FROM snapshots "
        "WHERE tenant = $tenant AND date >= $start AND date < $finish AND ($kind IS NULL OR kind = $kind) "
        "AND ($account IS NULL OR account = $account) ORDER BY array_position(['Daily', 'Weekly', 'Monthly'], kind), date, account",
        {"tenant": tenant.no, "start": start, "finish": end, "kind": kind.value if kind else None, "account": account},
    ).rows
    return [
        {
            "kind": row[0], "date": row[1].isoformat(), "account_id": row[2] or None, "state": row[3], "zone": row[4],
            "definition_version": row[5], "made_at": row[6].isoformat() + "Z", **json.loads(row[7]),
        }
        for row in rows
    ]  # fmt: skip
