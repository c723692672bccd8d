"""The one composition point: settings become an Engine, with store, control data, intake, refresh and answers wired up.

`Engine` is the embedded interface (`hubbub.open`): plain values in, plain values out, every face goes through it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

from hubbub import settings as settings_
from hubbub.clock import Clock, system_clock
from hubbub.errors import NOT_NOW, BadQuestionError, NotFoundError
from hubbub.ingest.accept import Intake, Outcome
from hubbub.metrics.snapshots import Kind
from hubbub.model.event import Event, Item, read_events, record_from
from hubbub.model.question import parse_date, parse_moment
from hubbub.model.tenant import KEEP_EVERYTHING, Tenant
from hubbub.operations.access import OPERATIONS as ADMITTING
from hubbub.operations.access import AccessOperations
from hubbub.operations.answers import OPERATIONS as ANSWERING
from hubbub.operations.answers import AnswerOperations
from hubbub.operations.erasing import OPERATIONS as ERASING
from hubbub.operations.erasing import EraseOperations
from hubbub.operations.integrations import OPERATIONS as OUTSIDE
from hubbub.operations.integrations import OutsideOperations
from hubbub.operations.jobs import DESK_OPERATIONS, JobOperations
from hubbub.operations.jobs import OPERATIONS as WORKING
from hubbub.operations.reports import OPERATIONS as REPORTING
from hubbub.operations.reports import ReportOperations
from hubbub.operations.standing import OPERATIONS as STANDING
from hubbub.operations.standing import StandingOperations
from hubbub.operations.tenants import OPERATIONS as MANAGING
from hubbub.operations.tenants import TenantOperations
from hubbub.query.answer import Answers
from hubbub.query.cached import Asked, CachedAnswers, Part
from hubbub.query.warm import Warmer
from hubbub.rollups import snapshots
from hubbub.rollups.backfill import backfill
from hubbub.rollups.refresh import Refresher
from hubbub.rollups.retention import retention
from hubbub.rollups.verify import verify
from hubbub.rollups.windows import Step
from hubbub.store.access import Access
from hubbub.store.base import Store
from hubbub.store.cache import Cache, Memory, Redis, space_of
from hubbub.store.control import Control
from hubbub.store.database import Database
from hubbub.store.deliveries import Deliveries
from hubbub.store.doctor import doctor
from hubbub.store.open import open_store
from hubbub.telemetry import BEHIND, EVENTS, FACT_BEHIND, FACT_FRESH, REFRESH_SECONDS, REFRESHES


def _silent(_: str) -> None:
    pass


class Engine(
    AnswerOperations, AccessOperations, OutsideOperations, TenantOperations, JobOperations, ReportOperations,
    StandingOperations, EraseOperations,
):  # fmt: skip
    """Hubbub in this process, over one data folder. Close it, or use it in a `with` block."""

    store: Store

    def __init__(self, settings: settings_.Settings, clock: Clock = system_clock) -> None:
        self.settings = settings
        self.clock = clock
        folder = settings.data
        folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as opened:
            self.database = Database(settings.control_url or f"sqlite:///{folder / 'control.db'}")
            opened.callback(self.database.close)
            self.store = open_store(settings)
            opened.callback(self.store.close)
            self.control = Control(self.database, folder, settings.secret_key.get_secret_value())
            self.access = Access(self.database, self.control)
            self.delivered = Deliveries(self.database, clock)
            self._open_outside(self.database)
            self._open_erasing()
            opened.pop_all()
        self._frozen: tuple[int, dict[int, datetime]] = (-1, {})
        self._frozen_lock = threading.Lock()
        self.cached = self._open_cache()
        self.warmer = Warmer(self.cached, settings.cache.dashboard)
        self.intake = Intake(
            self.store,
            clock,
            self.frozen_until,
            lambda tenant: self.cached.drop([tenant], Part.EVENTS),
            lambda tenant: self.erasure_store.of(tenant.id),
        )
        self.refresher = Refresher(
            self.store,
            self._all_tenants,
            clock,
            lambda tenants: self.cached.drop(tenants, Part.NUMBERS),
        )
        self.answers = Answers(self.store, clock)
        self._open_jobs()
        self._open_reports()

    def _open_cache(self) -> CachedAnswers:
        tiers, url = self.settings.cache, self.settings.cache_url
        seconds = {name: value if tiers.enabled else 0 for name, value in tiers.model_dump().items()}
        shared = tiers.enabled and url != "mem://"
        cache: Cache = Redis(url, space_of(self.store)) if shared else Memory(tiers.size_mb << 20)
        return CachedAnswers(cache, seconds, self.operation, self.control.tenant, self.clock)

    def operation(self, name: str) -> Callable[..., Any]:
        """Return one of OPERATIONS by its name; raises NotFoundError for any other."""
        if name in OPERATIONS:
            return cast(Callable[..., Any], getattr(self, name))
        if name in DESK_OPERATIONS:
            return cast(Callable[..., Any], getattr(self.desk, name))
        raise NotFoundError

    def close(self) -> None:
        """Finish what waits and close the store."""
        self._close_jobs()
        with suppress(*NOT_NOW):  # the log of the last seconds is not worth a store that is not closed
            self.delivered.write()
        self.store.close()
        self.http.close()
        self.database.close()
        self.cached.cache.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- events in

    def record(
        self, tenant: str, events: Mapping[str, Any] | Iterable[Mapping[str, Any]], *, history: bool = False
    ) -> dict[str, Any]:
        """Store one event or several, given as mappings; returns accepted, duplicates, corrected and rejected."""
        many = [events] if isinstance(events, Mapping) else list(events)
        items = [record_from(_texts(value), i) for i, value in enumerate(many)]
        return self.accept(tenant, items, history=history).answer()

    def accept(
        self,
        tenant: str,
        items: Iterable[Item],
        *,
        history: bool = False,
        origin: str = "api",
        origins: Sequence[str] | None = None,
    ) -> Outcome:
        """Store read events for a tenant; see `Intake.accept`."""
        outcome = self.intake.accept(
            self.control.tenant(tenant), items, history=history, origin=origin, origins=origins
        )
        for verdict in ("stored", "duplicates", "corrected"):
            EVENTS.labels(verdict).inc(getattr(outcome, verdict))
        EVENTS.labels("rejected").inc(len(outcome.rejected))
        return outcome

    def frozen_until(self, tenant: Tenant) -> datetime | None:
        """Return the moment (UTC without zone) before which a tenant's raw events are gone, or None."""
        with self._frozen_lock:
            version = self.store.version()
            if self._frozen[0] != version:
                rows = self.store.query("SELECT tenant, max(until) FROM frozen GROUP BY tenant").rows
                self._frozen = version, dict(rows)
            return self._frozen[1].get(tenant.no)

    # --- rollups

    def refresh(self, tenant: str | None = None, *, step: Step = _silent, wait: bool = True) -> dict[str, Any]:
        """Bring every due window up to date, of all tenants or one. Raises StoreBusyError; see `Refresher.refresh`."""
        only = [self.control.tenant(tenant)] if tenant is not None else None
        begun = time.perf_counter()
        report = self.refresher.refresh(only, step=step, wait=wait)
        REFRESH_SECONDS.observe(time.perf_counter() - begun)
        REFRESHES.labels("errors" if report.errors else "ok").inc()
        last, now = self.store.last_seq(), self.clock().timestamp()
        BEHIND.set(last - report.up_to)
        for fact, known in self.store.query("SELECT fact, min(seq) FROM marks GROUP BY fact").rows:
            FACT_BEHIND.labels(fact).set(last - known)
            if known >= report.up_to:
                FACT_FRESH.labels(fact).set(now)
        return report.answer()

    def settled_to(self) -> int:
        """Return the number of the event up to which the last refresh of all tenants brought them, in whatever process."""
        told: int | None = self.store.query("SELECT min(seq) FROM marks WHERE tenant = 0").rows[0][0]
        return told or 0

    def backfill(
        self, start: str, end: str, tenant: str | None = None, rollup: str | None = None, *, step: Step = _silent
    ) -> dict[str, Any]:
        """Fold all windows of a range anew; dates are read in each tenant's zone."""
        windows: dict[str, int] = {}
        errors: dict[str, str] = {}
        groups: dict[str, list[Tenant]] = {}
        for one in self._chosen(tenant):
            groups.setdefault(one.zone, []).append(one)
        for zone, tenants in groups.items():
            span = parse_moment(start, zone), parse_moment(end, zone)
            report = backfill(self.store, self.refresher, tenants, *span, rollup, step=step)
            errors |= report.errors
            for name, count in report.windows.items():
                windows[name] = windows.get(name, 0) + count
        return {"windows": sum(windows.values()), "rollups": windows, "errors": errors}

    def verify(
        self, tenant: str | None = None, start: str | None = None, end: str | None = None, *, step: Step = _silent
    ) -> dict[str, Any]:
        """Bring rollups up to date, then fold everything again beside them and count rows that differ."""
        refreshed = self.refresh(tenant, step=step)
        tenants = self._chosen(tenant)
        zone = tenants[0].zone if tenants else "UTC"
        verdicts = verify(
            self.store, tenants, self.clock(),
            parse_moment(start, zone) if start else None, parse_moment(end, zone) if end else None, step=step,
        )  # fmt: skip
        answer = verdicts.answer() | {"errors": refreshed["errors"]}
        answer["clean"] = verdicts.clean and not refreshed["errors"]
        return answer

    def retention(self, tenant: str | None = None, *, dry_run: bool = False) -> dict[str, Any]:
        """Let go of what each tenant's retention says; windows whose raw events went are frozen."""
        if not dry_run:
            self.refresh(tenant)
        with self.refresher.alone():
            rows = retention(self.store, self._chosen(tenant), self.clock(), dry_run=dry_run)
        self.cached.drop([] if dry_run else self._chosen(tenant))
        return {"rows": rows, "dry_run": dry_run}

    def snapshot(
        self, kind: str, date: str | None = None, tenant: str | None = None, at: str | None = None
    ) -> dict[str, Any]:
        """Make the snapshots of one day, week or month (kind Daily, Weekly, Monthly) of all tenants or one, after a refresh.

        `date` is any day of it, read in each tenant's zone; None takes the last one that was over at the moment `at` (now when
        None). Returns processed tenants, created documents, kept tenants (a settled snapshot whose raw events are gone stays),
        and errors by tenant; of one tenant also the snapshots, as `rows`. Raises BadQuestionError, and for one tenant
        WindowFrozenError.
        """
        wanted, day, chosen = _kind(kind), parse_date(date) if date is not None else None, self._chosen(tenant)
        failed, now = self.refresh(tenant)["errors"], self.clock()
        over = parse_moment(at, "UTC") if at is not None else now
        try:
            with self.refresher.alone():
                answer = snapshots.make(self.store, chosen, wanted, day, now, failed, over=over).answer()
        finally:
            self._snapshots_made(chosen)
        self.warmer.want(self._asked_next(chosen, wanted, day, over))
        if tenant is not None:
            made = snapshots.period_of(chosen[0], wanted, day, over)
            answer["rows"] = snapshots.read(self.store, chosen[0], made.day, made.day + timedelta(days=1), wanted)
        return answer

    def _snapshots_made(self, tenants: Sequence[Tenant]) -> None:
        self.cached.drop(tenants, Part.SNAPSHOTS)

    def _asked_next(
        self, tenants: Sequence[Tenant], kind: Kind, day: date | None, over: datetime
    ) -> Iterator[Callable[[], Asked]]:
        """Yield what is likely to be asked when snapshots were made: each tenant's dashboard, and what was made."""
        for one in tenants:
            made = snapshots.period_of(one, kind, day, over).day
            span = {"start": made.isoformat(), "end": (made + timedelta(days=1)).isoformat(), "account": None}
            yield partial(self.cached.asked, "dashboard", one.id)
            yield partial(self.cached.asked, "snapshots", one.id, **span, kind=None)
            yield partial(self.cached.asked, "snapshots", one.id, **span, kind=kind.value.lower())

    def snapshots(
        self, tenant: str, start: str, end: str, kind: str | None = None, account: str | None = None
    ) -> dict[str, Any]:
        """Return kept snapshots of the periods that begin in `[start, end)`; `account` "" is the whole team alone."""
        one, wanted = self.control.tenant(tenant), _kind(kind) if kind else None
        low, high = parse_date(start), parse_date(end)
        if low >= high:
            raise BadQuestionError("'from' must lie before 'to': the range is [from, to)")
        return {"rows": snapshots.read(self.store, one, low, high, wanted, account)}

    def _chosen(self, tenant: str | None) -> list[Tenant]:
        return [self.control.tenant(tenant)] if tenant is not None else self._all_tenants()

    def _all_tenants(self) -> list[Tenant]:
        self.control.follow()
        return list(self.control.tenants().values())

    # --- the whole

    def doctor(self) -> dict[str, Any]:
        """Check this installation; one row per check with ok, what was found, and what to do."""
        return {"rows": doctor(self.store, self.settings, self.control, self.integration_store, self.unfinished_jobs())}

    def import_events(
        self, tenant: str, lines: str, origins: Sequence[str] | None = None, zone: str | None = None
    ) -> dict[str, Any]:
        """Store NDJSON as history, for a command beside a running server; an unknown tenant is made and keeps everything."""
        return self.load(tenant, read_events(lines.encode(), lines=True), origins, zone)

    def load(
        self, tenant: str, items: Sequence[Item], origins: Sequence[str] | None = None, zone: str | None = None
    ) -> dict[str, Any]:
        """Store read events as history; an unknown tenant is made and keeps everything until its retention is set."""
        self.ensure_tenant(tenant, zone, retention=KEEP_EVERYTHING)
        return self.accept(tenant, items, history=True, origin="import", origins=origins).answer()


OPERATIONS = (
    "refresh", "backfill", "verify", "retention", "snapshot", "snapshots", "import_events", "doctor",
    *ANSWERING, *MANAGING, *ADMITTING, *OUTSIDE, *WORKING, *REPORTING, *STANDING, *ERASING,
)  # fmt: skip
"""What a command beside a running server may ask it to do, with plain values in and out."""


def _kind(text: str) -> Kind:
    try:
        return Kind(text.capitalize())
    except ValueError:
        raise BadQuestionError(f"snapshot kind {text[:40]!r} is not one of daily, weekly, monthly") from None


def _texts(value: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v.isoformat() if isinstance(v, datetime) else v for k, v in value.items()}


def open_engine(path: str | Path | None = None, *, clock: Clock = system_clock, **flags: Any) -> Engine:
    """Open the engine over a data folder (made when absent). Raises StoreBusyError when a server has it."""
    return Engine(settings_.load(Path(path) if path is not None else None, **flags), clock)


__all__ = ["Engine", "Event", "open_engine"]
