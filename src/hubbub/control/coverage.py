"""The ledger of coverage: fetched days of each integration, missing ranges of what it sends, and the reasons.

A day without a row was never tried. Rows are cached in memory by tenant: every change of integrations or the ledger is counted, and
each process reads again after one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from hubbub.control.changes import changes, count_change, source_changes
from hubbub.control.database import Database, metadata
from hubbub.control.integrations import Integration, Integrations
from hubbub.model.coverage import WORDS, Day, Feed, Gap, Reason
from hubbub.model.window import day_of, utc_naive

FETCHED, EMPTY, PARTIAL, MISSING = STATES = ("fetched", "empty", "partial", "missing")
"""States of a range: complete, complete and empty, complete except for named parts, missing."""
LATE = timedelta(hours=12)
"""Time after which a gap is reported: a night should have closed it."""
RESUME = "Resume it: hubbub integrations resume"
_Known = tuple[int, tuple[Gap, ...], str]
ANY = Feed()
"""The feed of an unknown service: it can bring anything."""

coverage = sa.Table(
    "coverage", metadata,
    sa.Column("integration", sa.String(40), primary_key=True),
    sa.Column("start", sa.DateTime, primary_key=True),
    sa.Column("end", sa.DateTime, primary_key=True),
    sa.Column("tenant", sa.String(63), nullable=False),
    sa.Column("day", sa.Date, nullable=True),
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("reason", sa.String(20), nullable=False, default=""),
    sa.Column("detail", sa.String(500), nullable=False, default=""),
    sa.Column("action", sa.String(500), nullable=False, default=""),
    sa.Column("parts", sa.Text, nullable=False, default=""),
    sa.Column("place", sa.Text, nullable=False, default=""),
    sa.Column("found", sa.BigInteger, nullable=False, default=0),
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("tried_at", sa.DateTime, nullable=False),
    sa.Index("coverage_of_tenant", "tenant", "integration", "start"),
)  # fmt: skip
"""One row for each known range. `day`: the day to fetch; else null, and the range is of what a service sends. `parts`: the
dimension values (JSON) of what is missing. `place`: where fetching continues. `found`: number of events."""


@dataclass(frozen=True, slots=True)
class Range:
    """A row of the ledger; times are UTC without zone."""

    integration: str
    start: datetime
    end: datetime
    tenant: str
    day: date | None
    state: Literal["fetched", "empty", "partial", "missing"]
    reason: str
    detail: str
    action: str
    parts: Mapping[str, frozenset[str]]
    place: Any
    found: int
    attempts: int
    tried_at: datetime

    @property
    def open(self) -> bool:
        """Whether the range, or a part of it, is missing."""
        return self.state in (PARTIAL, MISSING)

    @property
    def span(self) -> tuple[datetime, datetime]:
        """Start and end of the range, `[start, end)`, aware."""
        return self.start.replace(tzinfo=UTC), self.end.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Source:
    """An integration, its complete days, and its open ranges."""

    integration: Integration
    feed: Feed
    done: frozenset[date]
    open: tuple[Range, ...]


class Coverage:
    """The ledger. May be used from any thread; `feed_of` returns what an integration can bring."""

    def __init__(self, database: Database, integrations: Integrations, feed_of: Callable[[Integration], Feed]) -> None:
        self._database, self._integrations, self._feed_of = database, integrations, feed_of
        database.make(coverage)
        self._number = -1
        self._sources: dict[str, tuple[_Source, ...]] = {}
        self._gaps: dict[str, _Known] = {}

    # --- gaps

    def follow(self, con: sa.Connection) -> None:
        """Drop the cache if integrations or the ledger were changed since the last call."""
        number = changes(con, source_changes)
        if number != self._number:
            self._number, self._sources, self._gaps = number, {}, {}

    def gaps(self, tenant: str, now: datetime) -> tuple[Gap, ...]:
        """Return the gaps of a tenant's sources as of a moment (aware), by integration; from the cache."""
        return self._known(tenant, now)[1]

    def fingerprint(self, tenant: str, now: datetime) -> str:
        """Return a fingerprint of the gaps: it differs when they do."""
        return self._known(tenant, now)[2]

    def lost(self, tenant: str, now: datetime) -> list[str]:
        """Return a sentence for each gap of a tenant that ended more than `LATE` ago."""
        return [
            f"{gap.name} of {tenant}: {gap.start:%Y-%m-%d %H:%M} to {gap.end:%Y-%m-%d %H:%M} UTC: {WORDS[gap.reason]}"
            for gap in self.gaps(tenant, now) if gap.end < now - LATE
        ]  # fmt: skip

    def _known(self, tenant: str, now: datetime) -> _Known:
        quarter = int(now.timestamp()) // 900  # days begin on quarter hours, in every zone
        known = self._gaps.get(tenant)
        if known is None or known[0] != quarter:
            number = self._number
            gaps = tuple(gap for source in self._of(tenant) for gap in _gaps(source, now))
            known = quarter, gaps, hashlib.blake2b(repr(gaps).encode(), digest_size=16).hexdigest() if gaps else ""
            if number == self._number:
                self._gaps[tenant] = known
        return known

    def _of(self, tenant: str) -> tuple[_Source, ...]:
        sources = self._sources.get(tenant)
        if sources is None:
            number = self._number
            sources = tuple(self._read(tenant))
            if number == self._number:
                self._sources[tenant] = sources
        return sources

    def _read(self, tenant: str) -> Iterator[_Source]:
        done: dict[str, set[date]] = {}
        open_: dict[str, list[Range]] = {}
        with self._database.read() as con:
            rows = sa.select(coverage).where(coverage.c.tenant == tenant).order_by(coverage.c.start)
            for row in con.execute(rows.where(coverage.c.state.in_((PARTIAL, MISSING)))):
                open_.setdefault(row.integration, []).append(_range(row))
            whole = sa.select(coverage.c.integration, coverage.c.day).where(
                coverage.c.tenant == tenant, coverage.c.day.is_not(None), coverage.c.state.in_((FETCHED, EMPTY))
            )
            for integration, day in con.execute(whole):
                done.setdefault(integration, set()).add(day)
        for item in self._integrations.all(tenant):
            yield _Source(item, self._feed_of(item), frozenset(done.get(item.id, ())), tuple(open_.get(item.id, ())))

    def due(self, integration: Integration, now: datetime, again: timedelta) -> list[date]:
        """Return the incomplete days that are over at a moment (aware), newest first.

        A day with unreadable parts is due again while it is no older than `again`.
        """
        source = next((known for known in self._of(integration.tenant) if known.integration.id == integration.id), None)
        if source is None or not source.feed.daily:
            return []
        today = _today(integration, now)
        partial = {gap.day for gap in source.open if gap.state == PARTIAL and gap.day and gap.day < today - again}
        return [
            day for day in reversed(list(_expected(source, today))) if day not in source.done and day not in partial
        ]

    # --- days to fetch

    def begin(self, integration: Integration, day: Day, now: datetime) -> Range:
        """Note an attempt to fetch a day; returns its range, with `place` and `found` of an interrupted attempt."""
        key = _key(integration, day.start, day.end)
        with self._database.write() as con:
            row = con.execute(sa.select(coverage).where(*key)).first()
            if row is None:
                con.execute(coverage.insert().values(
                    integration=integration.id, tenant=integration.tenant, start=utc_naive(day.start), end=utc_naive(day.end),
                    day=day.on, state=MISSING, reason=Reason.FAILED.value, attempts=1, tried_at=utc_naive(now),
                ))  # fmt: skip
                count_change(con, source_changes)
            else:
                again = {} if row.state == MISSING else {"place": ""}
                con.execute(
                    coverage.update().where(*key).values(attempts=row.attempts + 1, tried_at=utc_naive(now), **again)
                )
            return _range(con.execute(sa.select(coverage).where(*key)).one())

    def advance(self, integration: Integration, day: Day, place: Any, found: int) -> None:
        """Store where fetching a day continues, after the events before it were stored."""
        with self._database.write() as con:
            con.execute(
                coverage.update().where(*_key(integration, day.start, day.end)).values(place=_json(place), found=found)
            )

    def end(
        self,
        integration: Integration,
        day: Day,
        found: int,
        missing: Mapping[str, Iterable[str]],
        detail: str,
        action: str,
    ) -> str:
        """Note that a day was fetched, except for the parts that `missing` names by dimension; returns its state."""
        state = PARTIAL if missing else FETCHED if found else EMPTY
        self._set(
            integration, day, state=state, reason=Reason.UNREADABLE.value if missing else "", detail=detail[:500],
            action=action[:500], parts=_json({k: sorted(v) for k, v in missing.items()}), place="", found=found,
        )  # fmt: skip
        return state

    def fail(self, integration: Integration, day: Day, reason: Reason, detail: str, action: str = "") -> None:
        """Note why a day could not be fetched; a complete day stays complete."""
        self._set(integration, day, only_missing=True, reason=reason.value, detail=detail[:500], action=action[:500])

    def _set(self, integration: Integration, day: Day, *, only_missing: bool = False, **values: Any) -> None:
        where = [*_key(integration, day.start, day.end), *([coverage.c.state == MISSING] if only_missing else [])]
        with self._database.write() as con:
            con.execute(coverage.update().where(*where).values(**values))
            count_change(con, source_changes)

    # --- missing deliveries of sending services

    def note(
        self,
        integration: Integration,
        start: datetime,
        end: datetime,
        reason: Reason,
        detail: str = "",
        action: str = "",
    ) -> None:
        """Note a range (aware) of missing deliveries; adjacent ranges with the same reason are merged.

        A range inside a known one, open or closed, changes nothing.
        """
        low, high = utc_naive(start), utc_naive(end)
        touching = (
            coverage.c.integration == integration.id, coverage.c.day.is_(None), coverage.c.reason == reason.value,
            coverage.c.start <= high, coverage.c.end >= low,
        )  # fmt: skip
        near = *touching, coverage.c.state == MISSING
        with self._database.read() as con:
            known = con.execute(sa.select(coverage.c.start, coverage.c.end).where(*touching)).all()
        if any(a <= low and b >= high for a, b in known):
            return
        with self._database.write() as con:
            old = con.execute(sa.select(coverage.c.start, coverage.c.end).where(*near)).all()
            low, high = min([low, *(a for a, _ in old)]), max([high, *(b for _, b in old)])
            con.execute(coverage.delete().where(*near))
            con.execute(coverage.delete().where(
                coverage.c.integration == integration.id, coverage.c.start == low, coverage.c.end == high
            ))  # fmt: skip
            con.execute(coverage.insert().values(
                integration=integration.id, tenant=integration.tenant, start=low, end=high, state=MISSING, reason=reason.value,
                detail=detail[:500], action=action[:500], tried_at=utc_naive(datetime.now(UTC)),
            ))  # fmt: skip
            count_change(con, source_changes)

    def close(self, integration: Integration, start: datetime, end: datetime, found: int) -> None:
        """Close the ranges between two times (aware): what was missing is stored, `found` events of it."""
        inside = (
            coverage.c.integration == integration.id, coverage.c.day.is_(None), coverage.c.state == MISSING,
            coverage.c.start >= utc_naive(start), coverage.c.end <= utc_naive(end),
        )  # fmt: skip
        with self._database.write() as con:
            con.execute(coverage.update().where(*inside).values(state=FETCHED if found else EMPTY, found=found))
            count_change(con, source_changes)

    def hold(
        self, integration: Integration, reason: Reason, ranges: Mapping[tuple[datetime, datetime], str], action: str
    ) -> None:
        """Make the missing ranges of a reason exactly these (UTC without zone, each with its detail).

        A range that was closed stays closed, and one that is missing for another reason keeps it.
        """
        query = sa.select(coverage.c.start, coverage.c.end, coverage.c.state, coverage.c.reason)
        with self._database.read() as con:
            rows = con.execute(query.where(coverage.c.integration == integration.id, coverage.c.day.is_(None))).all()
        known = {(row.start, row.end) for row in rows if row.reason == reason and row.state == MISSING}
        closed = [(row.start, row.end) for row in rows if row.reason == reason and row.state != MISSING]
        other = {(row.start, row.end) for row in rows} - known
        wanted = {range_ for range_ in ranges if not any(a <= range_[0] and b >= range_[1] for a, b in closed)} - other
        if wanted == known:
            return
        with self._database.write() as con:
            for start, end in known - wanted:
                con.execute(coverage.delete().where(
                    coverage.c.integration == integration.id, coverage.c.start == start, coverage.c.end == end
                ))  # fmt: skip
            for start, end in wanted - known:
                con.execute(coverage.insert().values(
                    integration=integration.id, tenant=integration.tenant, start=start, end=end, state=MISSING, reason=reason.value,
                    detail=ranges[start, end], action=action, tried_at=utc_naive(datetime.now(UTC)),
                ))  # fmt: skip
            count_change(con, source_changes)

    def lacking(self, integration: Integration) -> list[Range]:
        """Return the ranges of missing deliveries of an integration, oldest first."""
        missing = coverage.c.integration == integration.id, coverage.c.day.is_(None), coverage.c.state == MISSING
        with self._database.read() as con:
            return [_range(row) for row in con.execute(sa.select(coverage).where(*missing).order_by(coverage.c.start))]

    def lacking_of(self) -> list[tuple[str, str]]:
        """Return tenant and id of integrations with missing deliveries."""
        missing = coverage.c.day.is_(None), coverage.c.state == MISSING
        query = sa.select(coverage.c.tenant, coverage.c.integration).where(*missing).distinct()
        with self._database.read() as con:
            return [(tenant, id_) for tenant, id_ in con.execute(query.order_by(*query.selected_columns))]

    # --- views

    def page(self, tenant: str, integration: str, start: date, end: date, zone: str) -> list[Range]:
        """Return the rows of an integration that touch local days `[start, end)` of a zone, oldest first."""
        low, high = (utc_naive(Day.of(day, zone).start) for day in (start, end))
        query = sa.select(coverage).where(
            coverage.c.tenant == tenant,
            coverage.c.integration == integration,
            coverage.c.end > low,
            coverage.c.start < high,
        )
        with self._database.read() as con:
            return [_range(row) for row in con.execute(query.order_by(coverage.c.start, coverage.c.end))]

    def forget(self, integration: str) -> None:
        """Delete the ledger of an integration."""
        with self._database.write() as con:
            con.execute(coverage.delete().where(coverage.c.integration == integration))
            count_change(con, source_changes)


def _expected(source: _Source, today: date) -> Iterator[date]:
    """Yield the past days that should be complete, oldest first."""
    day = source.integration.since or today
    while day < today:
        yield day
        day += timedelta(days=1)


def _today(integration: Integration, now: datetime) -> date:
    return day_of(now, ZoneInfo(zone_of(integration)))


def zone_of(integration: Integration) -> str:
    """Return the zone of an integration's days."""
    return str(integration.settings.get("zone", "UTC"))


def _gaps(source: _Source, now: datetime) -> Iterator[Gap]:
    integration = source.integration
    rows = {row.day: row for row in source.open if row.day is not None}
    since = integration.since or now.date()
    if source.feed.daily:
        today = _today(integration, now)
        untried = [day for day in _expected(source, today) if day not in source.done and day not in rows]
        for first, last in _stretches(untried):
            yield _untried(
                source, Day(first, Day.of(first, zone_of(integration)).start, Day.of(last, zone_of(integration)).end)
            )
        if not source.feed.live:
            yield _gap(source, Day.of(today, zone_of(integration)), Reason.NOT_OVER)
    for row in source.open:
        if row.day is None or row.day >= since:
            feed = source.feed.sent if row.day is None else source.feed.narrowed(row.parts)
            yield Gap(
                integration.id, integration.name, integration.provider, *row.span, Reason(row.reason), feed, row.detail,
                _action(source, row),
            )  # fmt: skip


def _action(source: _Source, row: Range) -> str:
    """Return what to do about a range: if its API would be read but the integration is broken or paused, what that needs."""
    is_read = row.day is None and source.feed.has_messages and row.reason != Reason.UNVERIFIED
    waits = {"broken": source.integration.action, "paused": RESUME}.get(source.integration.state) if is_read else None
    return waits or row.action


def _stretches(days: Iterable[date]) -> Iterator[tuple[date, date]]:
    """Yield the first and last day of each run of consecutive days."""
    first = last = None
    for day in days:
        if first is not None and last is not None and day - last > timedelta(days=1):
            yield first, last
            first = None
        first, last = first or day, day
    if first is not None and last is not None:
        yield first, last


def _untried(source: _Source, day: Day) -> Gap:
    integration = source.integration
    if integration.state == "broken":
        return _gap(source, day, Reason.REFUSED, integration.reason, integration.action)
    return _gap(source, day, Reason.PAUSED if integration.state == "paused" else Reason.NOT_TRIED)


def _gap(source: _Source, day: Day, reason: Reason, detail: str = "", action: str = "") -> Gap:
    integration = source.integration
    return Gap(
        integration.id, integration.name, integration.provider, day.start, day.end, reason, source.feed, detail, action
    )


def _key(integration: Integration, start: datetime, end: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        coverage.c.integration == integration.id, coverage.c.start == utc_naive(start), coverage.c.end == utc_naive(end),
    )  # fmt: skip


def _json(value: Any) -> str:
    return json.dumps(value) if value else ""


def _range(row: sa.Row[Any]) -> Range:
    columns = dict(row._mapping)
    parts = {name: frozenset(values) for name, values in json.loads(columns["parts"] or "{}").items()}
    return Range(**{**columns, "parts": parts, "place": json.loads(columns["place"] or "null")})
