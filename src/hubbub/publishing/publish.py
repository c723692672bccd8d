"""Publish: rewrite the rows of published tables whose facts changed, and delete rows past their retention.

A change of facts marks its days as stale in the same transaction (`storage/published.py`). A publisher takes the marks, reads the
rows from the catalogue's metrics, and in one transaction writes the differences and deletes its marks. A mark that was set again
meanwhile stays; if another publisher took it, that one writes. Windows whose facts were deleted keep their rows.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from hubbub.errors import NOT_NOW
from hubbub.facts.moments import DAY, micros, moment
from hubbub.facts.refresh import refresh
from hubbub.metrics.catalogue import DEFINITION_VERSION
from hubbub.model.tenant import Tenant, kept_from
from hubbub.model.window import Grain, Window, local_midnight, window_of, windows
from hubbub.publishing.tables import TABLES, Row, Table, table_of
from hubbub.query.queries import Queries
from hubbub.storage import schema
from hubbub.storage.store import Store
from hubbub.storage.transaction import Transaction
from hubbub.telemetry import log

AT_ONCE = 31
"""Most windows of one question: its answer has a row for each window and each value that occurs in any of them."""
ROWS_AT_ONCE = 1000
"""Number of rows from which a transaction is written: each transaction waits for the disk, and other writers wait for it."""


@dataclass
class Published:
    """The result of publishing: number of tenants, of rows in their stale windows, of written rows; errors by tenant."""

    processed: int = 0
    rows: int = 0
    written: int = 0
    errors: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Rows:
    """New rows of a table in a span of whole windows; `low` and `high` label its first window and the one after it."""

    table: Table
    span: Window
    low: str
    high: str
    rows: Sequence[Row]


@dataclass(frozen=True, slots=True)
class _Tables:
    """New rows of a tenant's tables in all windows that touch some days."""

    tenant: Tenant
    days: Sequence[int]
    tables: Sequence[_Rows]

    @property
    def size(self) -> int:
        """Number of rows and marks to write."""
        return len(self.days) + sum(len(rows.rows) for rows in self.tables)


def stale(writing: Transaction, tenant: int, low: int, high: int) -> None:
    """Mark the days of `[low, high]` (microseconds) as stale, in the transaction that changes their facts."""
    days = range(low // DAY, high // DAY + 1)
    writing.many(schema.upsert("stale"), [(tenant, day, None) for day in days])


def forget(writing: Transaction, tenant: Tenant) -> None:
    """Delete all published rows of a tenant. It must be the last step of a tenant's deletion, since earlier ones mark days."""
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
    """Rewrite the stale windows of these tenants in all tables, and delete rows past retention.

    `table`: the table (or its job) whose rows are counted. `days`: local days `[first, after)` to write even if not stale. Raises
    BadQuestionError for an unknown table, and the errors of an unavailable store; any other failure of a tenant is in the errors.
    """
    named = table_of(table) if table is not None else None
    refresh(store)
    me = secrets.randbits(62)
    taken = _take(store, tenants, now, me, days)
    published = Published(processed=len(tenants))
    waiting: list[_Tables] = []
    for tenant in tenants:
        if stale_days := taken.get(tenant.no):
            with _apart(published, tenant):
                waiting.append(_Tables(tenant, stale_days, _read(queries, tenant, now, stale_days)))
        if waiting and (tenant is tenants[-1] or sum(each.size for each in waiting) >= ROWS_AT_ONCE):
            published.written += _write_apart(store, waiting, now, me, published)
            done = [each for each in waiting if each.tenant.id not in published.errors]
            published.rows += sum(
                len(rows.rows) for each in done for rows in each.tables if named in (None, rows.table)
            )
            waiting = []
    return published


@contextmanager
def _apart(published: Published, tenant: Tenant) -> Iterator[None]:
    """Store an error of one tenant, so that it does not stop the others; raise the errors of an unavailable store."""
    try:
        yield
    except NOT_NOW:
        raise
    except Exception as error:
        log.error("publishing failed", tenant=tenant.id, error=str(error))
        published.errors[tenant.id] = str(error) or type(error).__name__


def _take(
    store: Store, tenants: Sequence[Tenant], now: datetime, me: int, days: tuple[date, date] | None
) -> dict[int, list[int]]:
    """Take the marks of these tenants; return stale UTC days by tenant number."""
    taken: dict[int, list[int]] = {}
    with store.facts.write() as writing:
        _introduce(writing, tenants, now)
        for tenant in tenants:
            if days is not None:
                first, after = (micros(local_midnight(day, tenant.tz)) for day in days)
                stale(writing, tenant.no, first, after - 1)
        numbers = {tenant.no for tenant in tenants}
        for no, day in writing.rows("SELECT tenant, day FROM stale ORDER BY tenant, day"):
            if no in numbers:
                taken.setdefault(no, []).append(day)
        writing.many("UPDATE stale SET taken = ? WHERE tenant = ?", [(me, no) for no in taken])
    return taken


def _introduce(writing: Transaction, tenants: Sequence[Tenant], now: datetime) -> None:
    """Write the table of tenants, and once a day delete a tenant's rows past retention.

    Mark all days as stale if a tenant's zone, its hotspot tones or the definitions of numbers changed.
    """
    columns = "tenant, seen, name, zone, definition_version, tones"
    known = {row[0]: row[1:] for row in writing.rows(f"SELECT {columns} FROM published_tenant")}
    for tenant in tenants:
        tones = ",".join(tenant.hotspot_tones) or None
        today = (micros(now) // DAY, tenant.id, tenant.zone, DEFINITION_VERSION, tones)
        before = known.get(tenant.no)
        if before == today:
            continue
        writing.run(schema.upsert("published_tenant", columns.split(", ")), (tenant.no, *today))
        for table in TABLES:
            first = table.label(_kept(tenant, table, now).start, tenant)
            writing.run(f"DELETE FROM {table.name} WHERE tenant = ? AND {table.period} < ?", (tenant.id, first))
        if before is not None and before[1:] != today[1:]:
            # neighbouring days, too: in the former zone a row may have had another day
            writing.run(
                "INSERT INTO stale (tenant, day) WITH near (day) AS (VALUES (-1), (0), (1)) "
                f"SELECT DISTINCT tenant, time / {DAY} + near.day FROM event, near WHERE tenant = ? "
                "ON CONFLICT (tenant, day) DO UPDATE SET taken = NULL", (tenant.no,),
            )  # fmt: skip


def _kept(tenant: Tenant, table: Table, now: datetime) -> Window:
    """Return the span of whole windows whose rows a table keeps, within the range of dates that questions can have."""
    first, after = (local_midnight(date(year, 1, 1), tenant.tz) for year in (2000, 2101))
    oldest = max(kept_from(tenant, tenant.retention.days(table.grain), now), first)
    return Window(max(window_of(oldest, table.grain, tenant.tz).start, first), after)


def _read(queries: Queries, tenant: Tenant, now: datetime, days: Sequence[int]) -> list[_Rows]:
    """Return the rows of all tables in the windows that overlap the days, all read at one moment."""
    rows = []
    with queries.at_once(tenant) as ask:
        for table in TABLES:
            for span in _spans(tenant, table.grain, days, _kept(tenant, table, now)):
                low, high = table.label(span.start, tenant), table.label(span.end, tenant)
                rows.append(_Rows(table, span, low, high, table.rows(ask, tenant, span)))
    return rows


def _spans(tenant: Tenant, grain: Grain, days: Iterable[int], limits: Window) -> Iterator[Window]:
    """Yield spans of at most `AT_ONCE` whole windows that overlap the UTC days and are within `limits`, in order."""
    held: list[Window] = []
    for day in days:
        start = held[-1].end if held and held[-1].end > moment(day * DAY) else moment(day * DAY)
        for window in windows(start, moment((day + 1) * DAY), grain, tenant.tz):
            if window.start < limits.start or window.end >= limits.end or (held and window.start < held[-1].end):
                continue
            if held and (held[-1].end != window.start or len(held) == AT_ONCE):
                yield Window(held[0].start, held[-1].end)
                held = []
            held.append(window)
    if held:
        yield Window(held[0].start, held[-1].end)


def _write_apart(store: Store, waiting: Sequence[_Tables], now: datetime, me: int, published: Published) -> int:
    """Write the rows of all tenants in one transaction or, if that fails, one tenant at a time; return the number of rows."""
    try:
        return _write(store, waiting, now, me)
    except NOT_NOW:
        raise
    except Exception:
        written = 0
        for tables in waiting:
            with _apart(published, tables.tenant):
                written += _write(store, [tables], now, me)
        return written


def _write(store: Store, waiting: Sequence[_Tables], now: datetime, me: int) -> int:
    with store.facts.write() as writing:
        return sum(_write_one(writing, tables, now, me) for tables in waiting)


def _write_one(writing: Transaction, tables: _Tables, now: datetime, me: int) -> int:
    """Write the differences and delete the marks; return the number of rows, 0 if another publisher took the same days."""
    no = tables.tenant.no
    marks = dict(writing.rows("SELECT day, taken FROM stale WHERE tenant = ?", (no,)))
    if any(marks.get(day, 0) not in (me, None) for day in tables.days):
        return 0
    gone = writing.rows("SELECT gone_from, since FROM kept WHERE tenant = ? AND what = 'facts'", (no,))
    lost = Window(moment(gone[0][0]), moment(gone[0][1])) if gone else None
    count = sum(_replace(writing, tables.tenant, now, rows, lost) for rows in tables.tables)
    writing.run("DELETE FROM stale WHERE tenant = ? AND taken = ?", (no, me))
    return count


def _replace(writing: Transaction, tenant: Tenant, now: datetime, new_rows: _Rows, lost: Window | None) -> int:
    """Replace the rows of a span, except in windows whose facts were deleted; return the number of new rows."""
    table = new_rows.table
    place = table.columns.index(table.period)
    stays: frozenset[str] = frozenset()
    if lost is not None and lost.start < new_rows.span.end and lost.end > new_rows.span.start:
        stays = frozenset(
            table.label(window.start, tenant)
            for window in windows(new_rows.span.start, new_rows.span.end, table.grain, tenant.tz)
            if window.start < lost.end and window.end > lost.start
        )
    place_of_row = writing.dialect.row
    old: Mapping[Row, Any] = {
        row[1:]: row[0]
        for row in writing.rows(
            f"SELECT {place_of_row}, {', '.join(table.columns)} FROM {table.name} "
            f"WHERE tenant = ? AND {table.period} >= ? AND {table.period} < ?",
            (tenant.id, new_rows.low, new_rows.high),
        )
        if row[1 + place] not in stays
    }
    new = {row for row in new_rows.rows if row[place] not in stays}
    writing.many(
        f"DELETE FROM {table.name} WHERE {place_of_row} = ?", [(at,) for row, at in old.items() if row not in new]
    )
    fresh = [row for row in new_rows.rows if row in new and row not in old]
    stamp = f"{moment(micros(now)):%Y-%m-%dT%H:%M:%S.%fZ}"
    return writing.many(schema.insert(table.name), [(*row, stamp) for row in fresh])
