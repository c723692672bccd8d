"""The one composition point: settings become an Engine, with store, control data, intake, refresh and answers wired up.

`Engine` is the embedded interface (`hubbub.open`): plain values in, plain values out, every face goes through it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from hubbub import settings as settings_
from hubbub.clock import Clock, system_clock
from hubbub.errors import BadQuestionError, NotFoundError
from hubbub.ingest.accept import Intake, Outcome
from hubbub.metrics import catalogue
from hubbub.model.event import Event, Item, Rejection, event_from, read_events
from hubbub.model.question import Question, parse_grain, parse_moment
from hubbub.model.tenant import KEEP_EVERYTHING, Retention, Tenant
from hubbub.outside import OPERATIONS as OUTSIDE
from hubbub.outside import Outside
from hubbub.query.answer import Answers
from hubbub.query.dashboard import dashboard
from hubbub.query.explain import PAGE, explain
from hubbub.query.trends import HOTSPOT_MIN, HOTSPOT_RATIO, hotspots, trends
from hubbub.rollups.backfill import backfill
from hubbub.rollups.refresh import Refresher
from hubbub.rollups.retention import retention
from hubbub.rollups.verify import verify
from hubbub.rollups.windows import Step
from hubbub.store.control import Control, Key
from hubbub.store.database import Database
from hubbub.store.doctor import doctor
from hubbub.store.duckdb import DuckStore
from hubbub.telemetry import BEHIND, EVENTS, REFRESH_SECONDS, REFRESHES

Where = Mapping[str, str | Sequence[str]]


def _silent(_: str) -> None:
    pass


class Engine(Outside):
    """Hubbub in this process, over one data folder. Close it, or use it in a `with` block."""

    def __init__(self, settings: settings_.Settings, clock: Clock = system_clock) -> None:
        self.settings = settings
        self.clock = clock
        folder = settings.data
        self.store = DuckStore(
            folder,
            memory_limit=settings.memory_limit,
            threads=settings.threads,
            free_floor=settings.free_floor_mb << 20,
        )
        try:
            self.database = Database(settings.control_url or f"sqlite:///{folder / 'control.db'}")
            self.control = Control(self.database, folder)
            self._open_outside(self.database)
        except BaseException:
            self.store.close()
            raise
        self._frozen: dict[int, datetime] | None = None
        self._frozen_lock = threading.Lock()
        self.intake = Intake(self.store, clock, self.frozen_until)
        self.refresher = Refresher(self.store, lambda: self.control.tenants().values(), clock)
        self.answers = Answers(self.store, clock)

    def close(self) -> None:
        """Finish what waits and close the store."""
        self.store.close()
        self.http.close()
        self.database.close()

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
        items: list[Item] = [event_from(_texts(value), i, str(value)[:2000]) for i, value in enumerate(many)]
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
            if self._frozen is None:
                rows = self.store.query("SELECT tenant, max(until) FROM frozen GROUP BY tenant").rows
                self._frozen = dict(rows)
            return self._frozen.get(tenant.no)

    # --- rollups

    def refresh(self, tenant: str | None = None, *, step: Step = _silent) -> dict[str, Any]:
        """Bring every due window up to date, of all tenants or one."""
        only = [self.control.tenant(tenant)] if tenant is not None else None
        with REFRESH_SECONDS.time():
            report = self.refresher.refresh(only, step=step)
        REFRESHES.labels("errors" if report.errors else "ok").inc()
        BEHIND.set(self.store.last_seq() - report.up_to)
        return report.answer()

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
        with self._frozen_lock:
            self._frozen = None
        return {"rows": rows, "dry_run": dry_run}

    def _chosen(self, tenant: str | None) -> list[Tenant]:
        return [self.control.tenant(tenant)] if tenant is not None else list(self.control.tenants().values())

    # --- answers

    def question(
        self,
        tenant: Tenant,
        metrics: str | Sequence[str],
        start: str | datetime,
        end: str | datetime,
        grain: str = "total",
        by: Sequence[str] = (),
        where: Where | None = None,
        compare: str | None = None,
        include_bots: bool = False,
        exact: bool = False,
    ) -> Question:
        """Build a question from plain values; dates are days of the tenant's zone. Raises BadQuestionError."""

        def moment(value: str | datetime) -> datetime:
            return parse_moment(value if isinstance(value, str) else value.isoformat(), tenant.zone)

        return Question(
            metrics=(metrics,) if isinstance(metrics, str) else tuple(metrics),
            start=moment(start),
            end=moment(end),
            grain=parse_grain(grain),
            by=tuple(by),
            where={k: (v,) if isinstance(v, str) else tuple(v) for k, v in (where or {}).items()},
            compare=compare,
            include_bots=include_bots,
            exact=exact,
        )

    def query(self, tenant: str, *, details: bool = False, **question: Any) -> dict[str, Any]:
        """Answer a question: metrics, start, end, and optionally grain, by, where, compare, include_bots, exact."""
        one = self.control.tenant(tenant)
        return self.answers.answer(one, self.question(one, **question)).public(details=details)

    def explain(
        self,
        tenant: str,
        metric: str,
        start: str,
        end: str,
        where: Where | None = None,
        *,
        limit: int = PAGE,
        offset: int = 0,
    ) -> dict[str, Any]:
        """Explain one number down to event ids."""
        one = self.control.tenant(tenant)
        question = self.question(one, metric, start, end, where=where)
        return explain(self.store, self.clock, one, question, limit=limit, offset=offset)

    def dashboard(self, tenant: str) -> dict[str, Any]:
        """Return today so far against yesterday, and what is the case now."""
        return dashboard(self.answers, self.control.tenant(tenant), self.clock())

    def trends(self, tenant: str, start: str, end: str, grain: str = "day") -> dict[str, Any]:
        """Return topic and tone distributions, escalations and hotspots per window."""
        one = self.control.tenant(tenant)
        return trends(self.answers, one, *self._range(one, start, end), parse_grain(grain))

    def hotspots(
        self, tenant: str, start: str, end: str, minimum: int = HOTSPOT_MIN, ratio: float = HOTSPOT_RATIO
    ) -> dict[str, Any]:
        """Return channels by their share of complaints and escalations."""
        one = self.control.tenant(tenant)
        return hotspots(self.answers, one, *self._range(one, start, end), minimum=minimum, ratio=ratio)

    @staticmethod
    def _range(tenant: Tenant, start: str, end: str) -> tuple[datetime, datetime]:
        low, high = parse_moment(start, tenant.zone), parse_moment(end, tenant.zone)
        if low >= high:
            raise BadQuestionError("'from' must lie before 'to': the range is [from, to)")
        return low, high

    @staticmethod
    def metrics() -> dict[str, Any]:
        """Return the catalogue."""
        return {"rows": catalogue.entries()}

    # --- tenants, keys, quarantine

    def tenants(self) -> dict[str, Any]:
        """Return all tenants with zone and retention."""
        return {"rows": [_tenant_row(t) for t in self.control.tenants().values()]}

    def add_tenant(
        self, tenant: str, zone: str | None = None, name: str = "", retention: Mapping[str, int | None] | None = None
    ) -> dict[str, Any]:
        """Make a tenant with the default retention, or the given one."""
        kept = Retention(**(self.settings.retention.model_dump() | dict(retention or {})))
        return _tenant_row(self.control.add_tenant(tenant, zone or self.settings.default_zone, name, kept))

    def change_tenant(
        self,
        tenant: str,
        zone: str | None = None,
        name: str | None = None,
        retention: Mapping[str, int | None] | None = None,
    ) -> dict[str, Any]:
        """Change zone, name or parts of the retention; a new zone counts from the next refresh on."""
        current = self.control.tenant(tenant)
        kept = None
        if retention is not None:
            kept = Retention(**({g: getattr(current.retention, g) for g in _GRAINS} | dict(retention)))
        return _tenant_row(self.control.change_tenant(tenant, zone=zone, name=name, retention=kept))

    def keys(self, tenant: str | None = None) -> dict[str, Any]:
        """Return what is known of API keys; never a secret."""
        return {"rows": [_key_row(k) for k in self.control.keys(tenant)]}

    def add_key(
        self,
        tenant: str | None,
        scopes: Sequence[str] = ("ingest", "read"),
        label: str = "",
        expires: str | None = None,
    ) -> dict[str, Any]:
        """Make a key; its text is in the answer and nowhere else, ever."""
        key, text = self.control.add_key(tenant, scopes, label, parse_moment(expires, "UTC") if expires else None)
        return _key_row(key) | {"key": text}

    def revoke_key(self, key: str) -> dict[str, Any]:
        """Make a key useless from now on."""
        return _key_row(self.control.revoke_key(key))

    def quarantine(self, tenant: str, limit: int = 100) -> dict[str, Any]:
        """Return refused records of a tenant, newest first, with the reason of each."""
        found = self.store.query(
            "SELECT id, received_at, origin, code, field, message, raw FROM quarantine WHERE tenant = $tenant "
            "ORDER BY id DESC LIMIT $limit",
            {"tenant": self.control.tenant(tenant).no, "limit": limit},
        )
        return {"rows": [{**r, "received_at": r["received_at"].isoformat() + "Z"} for r in found.dicts()]}

    def replay(self, tenant: str, ids: Sequence[int] | None = None) -> dict[str, Any]:
        """Try refused records again (all, or some); those that are taken now leave the quarantine."""
        one = self.control.tenant(tenant)
        rows = self.store.query(
            "SELECT id, raw FROM quarantine WHERE tenant = $tenant ORDER BY id", {"tenant": one.no}
        ).rows
        wanted = [(id_, raw) for id_, raw in rows if raw and (ids is None or id_ in ids)]
        items = [read_events(raw.encode(), lines=True)[0] for _, raw in wanted]
        for index, item in enumerate(items):
            if isinstance(item, Rejection):
                item.index = index
        outcome = self.intake.accept(one, items, quarantine=False, history=True)
        refused = {r.index for r in outcome.rejected}
        done = [id_ for i, (id_, _) in enumerate(wanted) if i not in refused]
        with self.store.work() as work:
            for start in range(0, len(done), 1000):
                work.execute(
                    "DELETE FROM quarantine WHERE tenant = $tenant AND id IN (SELECT unnest($ids::BIGINT[]))",
                    {"tenant": one.no, "ids": done[start : start + 1000]},
                )
        return outcome.answer()

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

    def doctor(self) -> dict[str, Any]:
        """Check this installation; one row per check with ok, what was found, and what to do."""
        return {"rows": doctor(self.store, self.settings, self.control)}

    def ensure_tenant(
        self, tenant: str, zone: str | None, *, retention: Retention | None = None
    ) -> tuple[Tenant, bool]:
        """Return a tenant, made with `retention` when there was none; and whether it was made."""
        try:
            return self.control.tenant(tenant), False
        except NotFoundError:
            return self.control.add_tenant(tenant, zone or self.settings.default_zone, retention=retention), True


OPERATIONS = (
    "refresh", "backfill", "verify", "retention", "query", "explain", "dashboard", "trends", "hotspots", "metrics", "tenants",
    "add_tenant", "change_tenant", "keys", "add_key", "revoke_key", "quarantine", "replay", "import_events", "doctor",
    *OUTSIDE,
)  # fmt: skip
"""What a command beside a running server may ask it to do, with plain values in and out."""

_GRAINS = ("raw", "hour", "day", "week", "month")


def _texts(value: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v.isoformat() if isinstance(v, datetime) else v for k, v in value.items()}


def _tenant_row(tenant: Tenant) -> dict[str, Any]:
    return {
        "tenant": tenant.id, "zone": tenant.zone, "name": tenant.name,
        "retention": {g: getattr(tenant.retention, g) for g in _GRAINS},
    }  # fmt: skip


def _key_row(key: Key) -> dict[str, Any]:
    return {
        "id": key.id, "tenant": key.tenant, "scopes": list(key.scopes), "label": key.label,
        "created_at": key.created_at.isoformat() + "Z" if key.created_at else None,
        "expires_at": key.expires_at.isoformat() + "Z" if key.expires_at else None,
        "revoked_at": key.revoked_at.isoformat() + "Z" if key.revoked_at else None,
    }  # fmt: skip


def open_engine(path: str | Path | None = None, *, clock: Clock = system_clock, **flags: Any) -> Engine:
    """Open the engine over a data folder (made when absent). Raises StoreBusyError when a server has it."""
    return Engine(settings_.load(Path(path) if path is not None else None, **flags), clock)


__all__ = ["Engine", "Event", "open_engine"]
