"""Publish: rewrite the rows of published tables whose facts changed, and delete those past their retention.

A change of facts marks its days as stale in the same transaction (`storage/published.py`). Whoever publishes takes the marks, reads
the rows from the catalogue's metrics, and writes what differs together with the end of the marks it took. A mark that was set again
meanwhile stays; where another publisher took it, that one writes. Windows whose facts are gone keep their rows.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from hubbub.errors import NOT_NOW
from hubbub.facts.moments import DAY, micros, moment
from hubbub.facts.refresh import refresh
from hubbub.metrics.catalogue import DEFINITION_VERSION
from hubbub.model.tenant import Tenant, kept_from
from hubbub.model.window import Grain, Window, local_midnight, window_of, windows
from hubbub.publishing.tables import TABLES, Row, Table, table_of
from hubbub.query.queries import Queries
from hubbub.storage.sqlite import Transaction
from hubbub.storage.store import Store
from hubbub.telemetry import log

AT_ONCE = 31
"""Windows that one question asks for: an answer has a row for each of them and each value seen in any."""


@dataclass
class Published:
    """What publishing did: tenants looked after, rows that came or changed, errors by tenant."""

    processed: int = 0
    written: int = 0
    errors: dict[str, str] = field(default_factory=dict)

    def answer(self) -> dict[str, Any]:
        """Return the public form."""
        return {"processed": self.processed, "created": self.written, "errors": self.errors}


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows that a table is to have in a span of whole windows, given by the labels of its first and of the one after its last."""

    table: Table
    span: Window
    low: str
    high: str
    rows: Sequence[Row]


def stale(writing: Transaction, tenant: int, low: int, high: int) -> None:
    """Mark what is published of `[low, high]` (microseconds) as stale, in the transaction that changes what it says."""
    days = range(low // DAY, high // DAY + 1)
    writing.many("INSERT OR REPLACE INTO stale VALUES (?, ?, NULL)", [(tenant, day) for day in days])


def forget(writing: Transaction, tenant: Tenant) -> None:
    """Delete all that is published of a tenant; the last thing to do when a tenant goes, since what goes before marks days."""
    for table in TABLES:
        writing.run(f"DELETE FROM {table.name} WHERE tenant = ?", (tenant.id,))
    for name in ("published_tenant", "stale", "snapshot"):
        writing.run(f"DELETE FROM {name} WHERE tenant = ?", (tenant.no,))


def publish(
    store: Store,
    queries: Queries,
    tenants: Sequence[Tenant],
    now: datetime,
    *,
    table: str | None = None,
    days: tuple[date, date] | None = None,
) -> Published:
    """Rewrite what is stale of these tenants. Of one `table` (or its job), also its last window that was over at `now`.

    `days` are local days `[first, after)` that are written again whether stale or not. Raises BadQuestionError for an unknown
    table, and what a store raises that does not answer; whatever else fails for one tenant is among the errors.
    """
    chosen = TABLES if table is None else (table_of(table),)
    refresh(store)
    me = secrets.randbits(62)
    taken = _take(store, tenants, now, me, chosen, days)
    published = Published(processed=len(tenants))
    for tenant in tenants:
        if not (mine := taken.get(tenant.no)):
            continue
        try:
            found = _read(queries, tenant, now, chosen, mine)
            published.written += _write(store, tenant, now, found, mine, me, done=table is None)
        except NOT_NOW:
            raise
        except Exception as error:  # one tenant's fault never stops the others
            log.error("publishing failed", tenant=tenant.id, error=str(error))
            published.errors[tenant.id] = str(error) or type(error).__name__
    return published


def _take(
    store: Store,
    tenants: Sequence[Tenant],
    now: datetime,
    me: int,
    chosen: Sequence[Table],
    days: tuple[date, date] | None,
) -> dict[int, list[int]]:
    """Say who the tenants are, delete what is past its retention, and take the marks; returns days by tenant."""
    with store.facts.write() as writing:
        _introduce(writing, tenants)
        for tenant in tenants:
            for table in chosen:
                first = table.label(_kept(tenant, table, now).start, tenant)
                writing.run(f"DELETE FROM {table.name} WHERE tenant = ? AND {table.period} < ?", (tenant.id, first))
            if days is not None or len(chosen) == 1:
                span = _named(tenant, chosen[0], now, days)
                stale(writing, tenant.no, micros(span.start), micros(span.end) - 1)
        numbers = {tenant.no for tenant in tenants}
        found: dict[int, list[int]] = {}
        for no, day in writing.rows("SELECT tenant, day FROM stale ORDER BY tenant, day"):
            if no in numbers:
                found.setdefault(no, []).append(day)
        writing.many("UPDATE stale SET taken = ? WHERE tenant = ?", [(me, no) for no in found])
    return found


def _introduce(writing: Transaction, tenants: Sequence[Tenant]) -> None:
    """Name the tenants for other programs; all days are stale of one whose zone is another, or by new definitions."""
    known = {row[0]: row[1:] for row in writing.rows("SELECT * FROM published_tenant")}
    for tenant in tenants:
        today = (tenant.id, tenant.zone, DEFINITION_VERSION)
        if known.get(tenant.no) == today:
            continue
        writing.run("INSERT OR REPLACE INTO published_tenant VALUES (?, ?, ?, ?)", (tenant.no, *today))
        if tenant.no in known:
            writing.run(
                f"INSERT OR REPLACE INTO stale SELECT DISTINCT tenant, time / {DAY}, NULL FROM event WHERE tenant = ?",
                (tenant.no,),
            )


def _named(tenant: Tenant, table: Table, now: datetime, days: tuple[date, date] | None) -> Window:
    """Return the span that is asked for by name: some local days, or a table's last window that is over."""
    if days is not None:
        return Window(*(local_midnight(day, tenant.tz) for day in days))
    last = window_of(now, table.grain, tenant.tz).start - timedelta(microseconds=1)
    return window_of(last, table.grain, tenant.tz)


def _kept(tenant: Tenant, table: Table, now: datetime) -> Window:
    """Return the span of whole windows that a table keeps rows of, within what can be asked."""
    first, after = (local_midnight(date(year, 1, 1), tenant.tz) for year in (2000, 2101))
    oldest = max(kept_from(tenant, tenant.retention.days(table.grain), now), first)
    return Window(max(window_of(oldest, table.grain, tenant.tz).start, first), after)


def _read(queries: Queries, tenant: Tenant, now: datetime, chosen: Sequence[Table], days: Sequence[int]) -> list[_Rows]:
    """Return the rows of all windows that touch the days, of all tables as of one moment."""
    found = []
    with queries.at_once(tenant) as ask:
        for table in chosen:
            for span in _spans(tenant, table.grain, days, _kept(tenant, table, now)):
                low, high = table.label(span.start, tenant), table.label(span.end, tenant)
                found.append(_Rows(table, span, low, high, table.rows(ask, tenant, span)))
    return found


def _spans(tenant: Tenant, grain: Grain, days: Iterable[int], kept: Window) -> Iterator[Window]:
    """Yield the spans of whole windows that touch days of UTC and are kept, each of at most `AT_ONCE` windows, in order."""
    held: list[Window] = []
    for day in days:
        start = held[-1].end if held and held[-1].end > moment(day * DAY) else moment(day * DAY)
        for window in windows(start, moment((day + 1) * DAY), grain, tenant.tz):
            if window.start < kept.start or window.end >= kept.end or (held and window.start < held[-1].end):
                continue
            if held and (held[-1].end != window.start or len(held) == AT_ONCE):
                yield Window(held[0].start, held[-1].end)
                held = []
            held.append(window)
    if held:
        yield Window(held[0].start, held[-1].end)


def _write(
    store: Store, tenant: Tenant, now: datetime, found: Sequence[_Rows], days: Sequence[int], me: int, *, done: bool
) -> int:
    """Write what differs and end the marks; returns how many rows. Nothing where another publisher took the same days."""
    with store.facts.write() as writing:
        marks = dict(writing.rows("SELECT day, taken FROM stale WHERE tenant = ?", (tenant.no,)))
        if any(marks.get(day, 0) not in (me, None) for day in days):
            return 0
        gone = writing.rows("SELECT gone_from, since FROM kept WHERE tenant = ? AND what = 'facts'", (tenant.no,))
        lost = Window(moment(gone[0][0]), moment(gone[0][1])) if gone else None
        count = sum(_replace(writing, tenant, now, one, lost) for one in found)
        if done:
            writing.run("DELETE FROM stale WHERE tenant = ? AND taken = ?", (tenant.no, me))
    return count


def _replace(writing: Transaction, tenant: Tenant, now: datetime, one: _Rows, lost: Window | None) -> int:
    """Make the rows of a span these, but for windows whose facts are gone: their rows stay."""
    table = one.table
    place = table.columns.index(table.period)
    stays: frozenset[str] = frozenset()
    if lost is not None and lost.start < one.span.end and lost.end > one.span.start:
        stays = frozenset(
            table.label(window.start, tenant)
            for window in windows(one.span.start, one.span.end, table.grain, tenant.tz)
            if window.start < lost.end and window.end > lost.start
        )
    old: Mapping[Row, int] = {
        row[1:]: row[0]
        for row in writing.rows(
            f"SELECT rowid, {', '.join(table.columns)} FROM {table.name} "
            f"WHERE tenant = ? AND {table.period} >= ? AND {table.period} < ?",
            (tenant.id, one.low, one.high),
        )
        if row[1 + place] not in stays
    }
    new = {row for row in one.rows if row[place] not in stays}
    writing.many(
        f"DELETE FROM {table.name} WHERE rowid = ?", [(rowid,) for row, rowid in old.items() if row not in new]
    )
    fresh = [row for row in one.rows if row in new and row not in old]
    values = ", ".join("?" * (len(table.columns) + 1))
    stamp = f"{moment(micros(now)):%Y-%m-%dT%H:%M:%S.%fZ}"
    return writing.many(f"INSERT INTO {table.name} VALUES ({values})", [(*row, stamp) for row in fresh])
