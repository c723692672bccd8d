"""The state of an installation, for operators: freshness of facts, sources and deliveries, and this process."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

from hubbub.clock import Clock
from hubbub.control.control import Control
from hubbub.control.deliveries import Deliveries, state_of
from hubbub.errors import BadInputError
from hubbub.facts.moments import DAY, HOUR, in_utc, micros, moment
from hubbub.facts.refresh import refresh
from hubbub.facts.units import UNITS
from hubbub.ingest.silence import HISTORY, WEEKS, silences
from hubbub.model.page import Page, check_limit, cursor_of, place_of
from hubbub.model.window import day_of
from hubbub.query.cached import cacheable
from hubbub.settings import Settings, documented
from hubbub.storage.store import Store
from hubbub.storage.transaction import Reading

SEEN = (WEEKS + 2) * 7 * 24
"""Hours up to now in which sources are looked for: one that sent nothing in them has ended."""
LIVE = 48
"""Hours within which a source that sends by itself delivers an event; what arrives later is imported."""
Hours = dict[int, tuple[int, int]]
"""Hour since 1970 -> number of its events, and the time of the newest in microseconds."""
STATES = ("behind", "fresh", "empty")
"""States of a tenant, the worst first: units to fold, none to fold, no events."""

PARTS = ("hubbub", "dbos", "fastapi", "pyarrow", "sqlalchemy")
"""Packages whose versions matter for a fault."""
_BEGUN = time.monotonic()
"""When this process loaded this file, which it does at its start."""


@dataclass(frozen=True, slots=True)
class TenantFacts:
    """The freshness of a tenant's facts."""

    tenant: str
    state: str
    """behind, fresh or empty."""
    behind: int
    """Units (conversations, messages, …) to fold."""
    newest: date | None
    """The local day of the newest event."""


@dataclass(frozen=True, slots=True)
class UnitsWaiting:
    """The number of units of a kind to fold."""

    unit: str
    waiting: int


@dataclass(frozen=True, slots=True)
class FactsFreshness:
    """A page of tenants, those behind first, and the totals of all."""

    rows: Sequence[TenantFacts]
    next: str | None
    """Cursor of the next page; null: this is the last."""
    tenants: int
    """On all pages."""
    batches: int
    """Accepted batches waiting in the log."""
    units: Sequence[UnitsWaiting]


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A source of a tenant. Moments are in UTC."""

    tenant: str
    source: str
    last_event: datetime
    """Time of its newest event."""
    last_received: datetime
    late_seconds: float
    """From the newest event's time to its arrival."""
    silent_seconds: float
    events_day: int
    """Events that arrived in the last 24 hours."""


@dataclass(frozen=True, slots=True)
class SilentSource:
    """A source that has sent nothing for longer than usual (`ingest/silence.py`)."""

    source: str
    since: str
    """Time of its newest event, RFC 3339 in the tenant's zone."""


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """Deliveries over HTTP within a minute, by key and outcome. Moments are in UTC."""

    minute: datetime
    tenant: str | None
    """null without a key, or with an unknown one."""
    key: str | None
    state: str
    """accepted, partly refused or refused."""
    origin: str
    status: int
    outcome: str
    """accepted, partly_refused, refused, or the code of a problem."""
    bodies: int
    bytes: int
    """As sent."""
    accepted: int
    duplicates: int
    corrected: int
    rejected: int
    reason: str | None
    """Of the first refused event, or details of the problem."""
    field: str | None


@dataclass(frozen=True, slots=True)
class RefusalRow:
    """Quarantined records with one reason, with the message of one of them."""

    tenant: str
    origin: str
    code: str
    field: str | None
    records: int
    last_received: datetime
    """UTC."""
    message: str


@dataclass(frozen=True, slots=True)
class Process:
    """The resources of this process."""

    id: int
    seconds: int
    """Since its start."""
    memory: int
    """Bytes."""
    threads: int


@dataclass(frozen=True, slots=True)
class Folder:
    """The size of the data folder, in bytes."""

    path: str
    free: int
    """Free space on its disk."""
    bytes: int


@dataclass(frozen=True, slots=True)
class System:
    """Versions, this process, the data folder and all settings, without secrets and passwords of addresses."""

    versions: Mapping[str, str]
    process: Process
    folder: Folder
    settings: Sequence[Mapping[str, str]]


class MonitoringService:
    """Reports the state of an installation."""

    def __init__(self, settings: Settings, clock: Clock, store: Store, control: Control, delivered: Deliveries) -> None:
        self._settings, self._clock, self._store, self._control = settings, clock, store, control
        self._delivered = delivered
        self._settled = lru_cache(maxsize=100)(
            self._count
        )  # a tenant's weeks are counted once a day, not for each page

    def freshness(
        self, state: str | None = None, tenant: str | None = None, cursor: str | None = None, limit: int = 50
    ) -> FactsFreshness:
        """Return the freshness of each tenant's facts, those behind first, page by page; and waiting units by kind.

        `state` selects tenants in it, `tenant` those whose id contains this text. Raises BadInputError, BadRequestError.
        """
        if state is not None and state not in STATES:
            raise BadInputError(f"state {state[:40]!r} is not one of {', '.join(STATES)}")
        skipped = (place_of(cursor, int) or (0,))[0]
        with self._store.facts.read() as reading:
            todo = reading.rows("SELECT tenant, unit, count(*) FROM todo GROUP BY tenant, unit")
            rows = [
                TenantFacts(
                    owner.id, "behind" if count else "fresh" if newest is not None else "empty", count,
                    day_of(moment(newest), owner.tz) if newest is not None else None,
                )
                for owner in self._control.tenants().values()
                if tenant is None or tenant in owner.id
                for count in [sum(n for no, _, n in todo if no == owner.no)]
                for newest in [reading.value("SELECT max(time) FROM event WHERE tenant = ?", (owner.no,))]
            ]  # fmt: skip
        rows = [row for row in rows if state in (None, row.state)]
        rows.sort(key=lambda row: (STATES.index(row.state), -row.behind, row.tenant))
        page = rows[skipped : skipped + check_limit(limit)]
        return FactsFreshness(
            page, cursor_of((skipped + limit,)) if len(rows) > skipped + limit else None, len(rows),
            self._store.log.behind(),
            [UnitsWaiting(unit, sum(n for _, kind, n in todo if kind == unit)) for unit in UNITS],
        )  # fmt: skip

    def sources(self, tenant: str | None = None, cursor: str | None = None, limit: int = 50) -> Page[SourceRow]:
        """Return each tenant's sources, the longest silent first; `tenant` selects one tenant."""
        skipped, now = (place_of(cursor, int) or (0,))[0], micros(self._clock())
        only = self._control.tenant(tenant).no if tenant is not None else None
        names = {owner.no: owner.id for owner in self._control.tenants().values() if only in (None, owner.no)}
        refresh(self._store, only)
        with self._store.facts.read() as reading:
            grouped = reading.rows(
                "WITH s AS (SELECT tenant, source, max(time) AS newest, max(received_at) AS last, "
                "count(*) FILTER (WHERE received_at >= :since) AS day FROM event "
                f"WHERE {'TRUE' if only is None else 'tenant = :tenant'} GROUP BY tenant, source) "
                "SELECT s.tenant, s.source, s.newest, (SELECT min(e.received_at) FROM event AS e WHERE e.tenant = s.tenant "
                "AND e.time = s.newest AND e.source = s.source), s.last, s.day FROM s",
                {"since": now - DAY, "tenant": only},
            )
        known = sorted((row for row in grouped if row[0] in names), key=lambda row: (row[4], names[row[0]], row[1]))
        rows = [
            SourceRow(
                names[no], source, in_utc(last), in_utc(received),
                max(0.0, (arrived - last) / 1e6), max(0.0, (now - received) / 1e6), day,
            )
            for no, source, last, arrived, received, day in known[skipped : skipped + check_limit(limit)]
        ]  # fmt: skip
        return Page(rows, cursor_of((skipped + limit,)) if len(known) > skipped + limit else None)

    @cacheable("period")
    def silent(self, tenant: str) -> Sequence[SilentSource]:
        """Return the sources of a tenant that are silent now, by the whole hours up to now.

        Only events that arrived within `LIVE` of their time are looked at: a source whose events were all imported later does not
        send by itself, so that nothing is missing.
        """
        owner, end = self._control.tenant(tenant), micros(self._clock()) // HOUR
        refresh(self._store, owner.no)
        settled = (end - LIVE) // 24 * 24
        past = self._settled(owner.no, settled)
        expecting = {source for source, counts in past.items() if min(counts) <= end - HISTORY}
        with self._store.facts.read() as reading:
            if expecting <= _heard(reading, owner.no, end - 1, end + 1).keys():
                return []
            recent = _heard(reading, owner.no, settled, end + 1)
        found = []
        for source in sorted(expecting):
            counts = {**past[source], **recent.get(source, {})}
            last = max(counts)
            known = [counts[hour][0] if hour in counts else 0 for hour in range(min(counts), end)]
            if last < end - 1 and silences(known, end - 1 - last):
                found.append(SilentSource(source, moment(counts[last][1]).astimezone(owner.tz).isoformat()))
        return found

    def _count(self, tenant: int, end: int) -> Mapping[str, Hours]:
        """Return what sources sent in the hours before `end`, all of which can get no more events that count."""
        with self._store.facts.read() as reading:
            return _heard(reading, tenant, end - SEEN, end)

    def deliveries(
        self, tenant: str | None = None, state: str | None = None, cursor: str | None = None, limit: int = 50
    ) -> Page[DeliveryRow]:
        """Return deliveries over HTTP of the last 30 days, newest minute first, by key and outcome, with the reason of refusals.

        `state`: accepted, partly refused or refused. `tenant` selects one tenant. Raises BadInputError, BadRequestError,
        NotFoundError.
        """
        only = self._control.tenant(tenant).id if tenant is not None else None
        minutes, following = self._delivered.page(only, state, cursor, limit)
        rows = [
            DeliveryRow(
                minute=row.minute, tenant=row.tenant or None, key=row.key or None,
                state=state_of(row.outcome), origin=row.origin, status=row.status, outcome=row.outcome,
                bodies=row.bodies, bytes=row.bytes, accepted=row.accepted, duplicates=row.duplicates,
                corrected=row.corrected, rejected=row.rejected,
                reason=row.reason or None, field=row.field or None,
            )
            for row in minutes
        ]  # fmt: skip
        return Page(rows, following)

    def refusals(self, tenant: str | None = None) -> Page[RefusalRow]:
        """Return the numbers of quarantined records, by tenant, origin and reason, the largest first."""
        names = {owner.no: owner.id for owner in self._control.tenants().values()}
        only = self._control.tenant(tenant).no if tenant is not None else None
        refresh(self._store, only)
        with self._store.facts.read() as reading:
            groups = reading.rows(
                "SELECT tenant, origin, code, field, count(*), max(received_at), max(message) FROM quarantine "
                f"WHERE {'TRUE' if only is None else 'tenant = ?'} GROUP BY tenant, origin, code, field",
                () if only is None else (only,),
            )
        rows = [
            RefusalRow(names[no], origin, code, field, n, in_utc(last), message)
            for no, origin, code, field, n, last, message in groups
            if no in names
        ]
        return Page(sorted(rows, key=lambda row: (-row.records, row.tenant, row.code)))

    def system(self) -> System:
        """Return versions, resources and age of this process, the size of the data folder, and all settings."""
        folder = self._settings.data
        return System(
            {"python": platform.python_version(), **{name: version(name) for name in PARTS}},
            Process(os.getpid(), round(time.monotonic() - _BEGUN), _memory(), threading.active_count()),
            Folder(
                str(folder.absolute()), shutil.disk_usage(folder).free, sum(_size(file) for file in folder.rglob("*"))
            ),
            documented(self._settings),
        )


def _heard(reading: Reading, tenant: int, first: int, after: int) -> dict[str, Hours]:
    """Return what each source of a tenant sent in the hours `[first, after)` since 1970 by itself: arrived within `LIVE`."""
    rows = reading.rows(
        "SELECT source, time / 3600000000, count(*), max(time) FROM event WHERE tenant = ? AND time >= ? AND time < ? "
        "AND received_at < time + ? GROUP BY 1, 2", (tenant, first * HOUR, after * HOUR, LIVE * HOUR),
    )  # fmt: skip
    found: dict[str, Hours] = {}
    for source, hour, count, last in rows:
        found.setdefault(source, {})[hour] = count, last
    return found


def _size(file: Path) -> int:
    """Return a file's bytes; 0 for a file deleted meanwhile."""
    with suppress(OSError):
        return file.stat().st_size if file.is_file() else 0
    return 0


def _memory() -> int:
    """Return this process's memory in bytes; where the system does not report it, the highest ever."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
