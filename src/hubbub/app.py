"""Composes the Engine from settings: stores, services, and their dependencies on each other.

`Engine` is also the embedded interface (`hubbub.open`), with plain values in and out. API, commands and pages call its services.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from datetime import datetime
from functools import wraps
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self, cast

from hubbub import settings as settings_
from hubbub.clock import Clock, system_clock
from hubbub.control.access import Access
from hubbub.control.alerts import Alerts
from hubbub.control.cache import Cache, Following, Redis, space_of
from hubbub.control.control import Control
from hubbub.control.control_migration import control_tables
from hubbub.control.coverage import Coverage
from hubbub.control.database import Database
from hubbub.control.deliveries import Deliveries
from hubbub.control.encryption import Encryption
from hubbub.control.erasures import Erasures
from hubbub.control.idempotency import Idempotency
from hubbub.control.integrations import Integrations
from hubbub.control.outbox import Outbox
from hubbub.control.payloads import Payloads
from hubbub.control.presence import Presence
from hubbub.control.sequences import Sequences
from hubbub.errors import NOT_NOW, CollectionOffError
from hubbub.facts.refresh import refresh
from hubbub.facts.retention import gone_until
from hubbub.ingest.accept import Outcome
from hubbub.ingest.intake import Intake
from hubbub.ingest.receivers.receive import Receiving
from hubbub.ingest.receivers.sockets import Sockets
from hubbub.model.event import Event, Item, record_from
from hubbub.model.plain import plain
from hubbub.model.tenant import KEEP_EVERYTHING, Retention, Tenant
from hubbub.outgoing.http import Outgoing
from hubbub.progress import Progress, quiet
from hubbub.query.cached import CachedAnswers, Part
from hubbub.query.queries import Queries
from hubbub.query.warm import Warmer
from hubbub.replies.reply import Replies
from hubbub.services.access import AccessService
from hubbub.services.alerts import AlertService
from hubbub.services.answers import AnswerService
from hubbub.services.backups import BackupService
from hubbub.services.binding import bind
from hubbub.services.calendar import CalendarService
from hubbub.services.conversations import ConversationService
from hubbub.services.coverage import CoverageService
from hubbub.services.deletion import DeletionService
from hubbub.services.destinations import DestinationService
from hubbub.services.doctor import DoctorService
from hubbub.services.erasures import ErasureService
from hubbub.services.exports import Exports
from hubbub.services.facts import FactService
from hubbub.services.fetching import FetchService, feed_of
from hubbub.services.incidents import IncidentService
from hubbub.services.integrations import IntegrationService
from hubbub.services.job_queues import JobQueues
from hubbub.services.jobs import JobService
from hubbub.services.judging import JudgingService
from hubbub.services.keys import KeyService
from hubbub.services.labels import LabelService, without_texts
from hubbub.services.listening import ListeningService
from hubbub.services.messages import MessageService
from hubbub.services.monitoring import MonitoringService
from hubbub.services.names import NameService
from hubbub.services.publishing import PublishingService
from hubbub.services.quarantine import QuarantineService
from hubbub.services.reply_jobs import ReplyJobs
from hubbub.services.report_introductions import ReportIntroductions
from hubbub.services.reports import ReportService
from hubbub.services.restatements import RestatementService
from hubbub.services.retention import RetentionService
from hubbub.services.rules import RuleSetService
from hubbub.services.schedules import ScheduleService
from hubbub.services.settings_checks import checked_settings
from hubbub.services.snapshots import SnapshotService
from hubbub.services.subscriptions import SubscriptionService
from hubbub.services.targets import TargetService
from hubbub.services.tenants import TenantService
from hubbub.services.transfer import TransferService
from hubbub.services.workflows import Workflows
from hubbub.storage.sqlite import errors_of
from hubbub.storage.store import Store
from hubbub.telemetry import EVENTS

if TYPE_CHECKING:
    from hubbub.jobs.worker import Worker


P = ParamSpec("P")


def _plainly(
    method: Callable[Concatenate[AnswerService, P], object],
) -> Callable[Concatenate[Engine, P], dict[str, Any]]:
    """Return a method of the engine that calls the service's method and returns plain values."""

    @wraps(method)
    def ask(engine: Engine, /, *args: P.args, **kwargs: P.kwargs) -> dict[str, Any]:
        return cast("dict[str, Any]", plain(method(engine.answers, *args, **kwargs)))

    return ask


class Engine:
    """Hubbub in this process, over one data folder. Close it, or use it in a `with` block."""

    store: Store

    def __init__(self, settings: settings_.Settings, clock: Clock = system_clock) -> None:
        self.settings = settings
        self.clock = clock
        folder = settings.data
        with errors_of(folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with ExitStack() as opened:
            self.database = Database(settings.control_address)
            opened.callback(self.database.close)
            self.database.make(*control_tables())  # in one transaction
            self.store = Store(
                folder, settings.facts_address, settings.copy_address, free_floor=settings.free_floor_mb << 20
            )
            opened.callback(self.store.close)
            self._open_stores()
            self._open_data()
            self._compose()
            opened.pop_all()

    def _open_stores(self) -> None:
        """Open control data, and stores that depend only on it."""
        secret = self.settings.secret_key.get_secret_value()
        self.control = Control(self.database, self.settings.data, secret)
        bind(self.settings, self.store, self.control, self.clock)
        self.exports = Exports(self.settings.data / "exports", self.clock)
        self.access_store = Access(self.database, self.control)
        self.delivered = Deliveries(self.database, self.clock)
        self.encryption = Encryption(self.settings.data, secret)
        self.http = Outgoing(self.settings.allow_private_hosts)
        self.integration_store = Integrations(self.database, self.encryption)
        self.ledger = Coverage(self.database, self.integration_store, feed_of)
        self.control.followers.append(self.ledger.follow)
        self.sequences = Sequences(self.database)
        self.payload_store = Payloads(self.database, self.encryption)
        self.idempotency = Idempotency(self.database, self.encryption)
        self.erasure_store = Erasures(self.database, self.control.derived("erasures"), lambda: self.control.changes)
        self.outbox, self.alert_store = Outbox(self.database, self.encryption), Alerts(self.database)

    def _open_data(self) -> None:
        """Open the cache, the intake of events, queries and receivers."""
        self.cached = self._open_cache()
        self.warmer = Warmer(self.cached, self.settings.cache.dashboard)
        self.store.listen(lambda tenants: self.cached.drop(tenants, Part.NUMBERS))
        self.intake = Intake(
            self.store,
            self.clock,
            lambda tenant: gone_until(self.store, tenant.no),
            lambda tenant: self.cached.drop([tenant], Part.EVENTS),
            lambda tenant: self.erasure_store.of(tenant.id),
        )
        self.queries = Queries(self.store, self.clock, lambda tenant, now: self.ledger.gaps(tenant.id, now))
        self.receiving = Receiving(
            self.integration_store, self.payload_store, self.store, self.control.tenant,
            lambda tenant, items, origin: self.accept(tenant, items, origin=origin),
            lambda tenant, names: self.names.take(tenant, names),
            lambda one, gaps: self.coverage.note(one, gaps), self.sequences.note,
            lambda tenant, items: self.labels.label_arrived(tenant, items), self.http,
        )  # fmt: skip
        self.listening = ListeningService(self.clock, self.http, self.integration_store, self.receiving, self.delivered)
        self.sockets = Sockets(self.integration_store, self.listening.open)
        self.replies = Replies(
            self.http, self.settings.ai, self.control, self.payload_store, self.integration_store, self.record, self.clock
        )  # fmt: skip

    def _compose(self) -> None:
        """Create the services."""
        self._compose_jobs()
        self._compose_tenants()
        self._compose_reports()
        self._compose_keeping()
        self._compose_alerts()
        self.workflows = Workflows(
            self.retained, self.published, self.reply_jobs, self.labels, self.reports, self.restatements,
            self.subscriptions, self.judging, self.messages, self.coverage, self.integrations, self.fetching, self.replies,
            self.snapshot_service,
        )  # fmt: skip

    def _compose_jobs(self) -> None:
        """Create services of jobs, schedules, facts and published tables."""
        self.queues = JobQueues(self.settings)
        self.reply_jobs = ReplyJobs(self.queues, self.payload_store, self.replies)
        self.jobs = JobService(self.queues, self.reply_jobs)
        self.schedules = ScheduleService(self.settings, self.clock, self.queues)
        self.facts = FactService(self.store, self.control)
        self.published = PublishingService(self.clock, self.store, self.control, self.queries, self.facts)

    def _compose_tenants(self) -> None:
        """Create services of tenants: access, keys, names, answers, coverage, labels, integrations and more."""
        settings, clock, store, control = self.settings, self.clock, self.store, self.control
        self.access = AccessService(self.access_store)
        self.keys = KeyService(control)
        self.calendar = CalendarService(control)
        self.targets = TargetService(clock, control)
        self.names = NameService(clock, store, control, self.cached, self.erasure_store)
        self.conversations = ConversationService(clock, control, self.queries)
        self.answers = AnswerService(control, self.queries, self.names)
        self.monitoring = MonitoringService(settings, clock, store, control, self.delivered)
        self.tenants = TenantService(settings, control, self.names)
        self.quarantine = QuarantineService(store, control, self.intake)
        self.coverage = CoverageService(
            clock, store, control, self.integration_store, self.ledger, Presence(self.database), self.delivered, self.sequences
        )  # fmt: skip
        self.labels = LabelService(
            store, control, self.database, self.encryption, self._accept_labels, clock, settings.ai, self.http
        )
        self.integrations = IntegrationService(
            settings, clock, control, self.integration_store, self.payload_store, self.ledger, self.delivered, self.sequences
        )  # fmt: skip
        self.fetching = FetchService(
            clock, store, control, self.http, self.integration_store, self.ledger, self.payload_store, self.names, self.labels,
            self.accept,
        )  # fmt: skip

    def _compose_reports(self) -> None:
        """Create services of snapshots, restatements and reports."""
        clock, control, queries = self.clock, self.control, self.queries
        self.snapshot_service = SnapshotService(
            clock, self.store, control, queries, self.answers, self.cached, self.warmer
        )
        self.restatements = RestatementService(control, queries, self.erasure_store)
        self.reports = ReportService(
            self.settings, clock, control, queries, self.restatements.store, self.jobs, self.names.called,
            ReportIntroductions(queries, self.alert_store, self.answers.news_of),
        )  # fmt: skip

    def _compose_keeping(self) -> None:
        """Create services of erasure, backup, transfer, deletion and retention, and the doctor."""
        clock, store, control = self.clock, self.store, self.control
        self.erasures = ErasureService(
            clock, store, control, self.cached, self.erasure_store, self.payload_store, self.idempotency, self.reply_jobs,
            self.labels, self.reports, self.snapshot_service,
        )  # fmt: skip
        self.backups = BackupService(self.settings, clock, store, control, self.reports.store.folder)
        self.doctoring = DoctorService(
            self.settings, clock, store, control, self.integration_store, self.ledger, self.jobs
        )
        self.transfer = TransferService(clock, store, control, self.exports)
        self.deletion = DeletionService(clock, store, control, self.cached, self.reports, self.jobs, self.exports)
        self.retained = RetentionService(clock, store, control, self.cached, self.deletion, self.fetching)

    def _compose_alerts(self) -> None:
        """Create services of alerts, incidents, subscriptions and messages."""
        settings, clock, control, queries = self.settings, self.clock, self.control, self.queries
        outbox, rules, integrations = self.outbox, self.alert_store, self.integration_store
        self.subscriptions = SubscriptionService(settings, clock, control, outbox, self.reports)
        self.messages = MessageService(settings, clock, control, self.http, integrations, outbox, self.reports)
        self.destinations = DestinationService(clock, control, self.http, integrations, outbox, rules, self.messages)
        self.alerts = AlertService(clock, control, queries, rules, outbox)
        self.rules = RuleSetService(clock, control, outbox, rules, self.alerts, self.subscriptions, self.targets)
        self.incidents = IncidentService(clock, control, rules, outbox, self.alerts)
        self.judging = JudgingService(clock, control, queries, integrations, rules, outbox)

    def _open_cache(self) -> CachedAnswers:
        tiers, url = self.settings.cache, self.settings.cache_url
        seconds = {name: value if tiers.enabled else 0 for name, value in tiers.model_dump().items()}
        shared = tiers.enabled and url != "mem://"
        cache: Cache = Redis(url, space_of(self.store)) if shared else Following(tiers.size_mb << 20, self.store)
        return CachedAnswers(cache, seconds, self.control.tenant, self.clock, self._fold, self._gaps_of)

    def _fold(self, tenant: Tenant) -> None:
        refresh(self.store, tenant.no)

    def _gaps_of(self, tenant: Tenant) -> str:
        return self.ledger.fingerprint(tenant.id, self.clock())

    def close(self) -> None:
        """Close jobs, exports and stores; write the delivery log first."""
        self.reply_jobs.close()
        self.queues.close()
        self.exports.close()
        with suppress(*NOT_NOW):  # the store must be closed even if the last seconds of the log are lost
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

    # --- tenants

    def add_tenant(
        self, tenant: str, zone: str | None = None, name: str = "", retention: Mapping[str, int | None] | None = None
    ) -> dict[str, Any]:
        """Create a tenant with the default retention, or the given one. `zone` None: the setting `default_zone`."""
        return plain(self.tenants.add(tenant, zone, name, retention))

    def ensure_tenant(
        self, tenant: str, zone: str | None, *, retention: Retention | None = None
    ) -> tuple[Tenant, bool]:
        """Return a tenant, created with `retention` if it did not exist, and whether it was created."""
        return self.tenants.ensure(tenant, zone, retention=retention)

    # --- events in

    def record(
        self, tenant: str, events: Mapping[str, Any] | Iterable[Mapping[str, Any]], *, history: bool = False
    ) -> dict[str, Any]:
        """Store one event or several, given as mappings; return accepted, duplicates, corrected and rejected."""
        many = [events] if isinstance(events, Mapping) else list(events)
        items = [record_from(_texts(value), i, tenant) for i, value in enumerate(many)]
        return self.accept(tenant, items, history=history).answer()

    def accept(
        self,
        tenant: str,
        items: Iterable[Item],
        *,
        history: bool = False,
        origin: str = "api",
        origins: Sequence[str] | None = None,
        changed: bool = False,
    ) -> Outcome:
        """Store read events for a tenant; see `Intake.accept`. Raises CollectionOffError if `collection.enabled` is off."""
        if not self.settings.collection.enabled:
            raise CollectionOffError
        outcome = self.intake.accept(
            self.control.tenant(tenant), items, history=history, origin=origin, origins=origins, changed=changed
        )
        for verdict in ("stored", "duplicates", "corrected"):
            EVENTS.labels(verdict).inc(getattr(outcome, verdict))
        EVENTS.labels("rejected").inc(len(outcome.rejected))
        return outcome

    # --- answers, as plain values

    query = _plainly(AnswerService.query)
    explain = _plainly(AnswerService.explain)
    changes = _plainly(AnswerService.changes)
    usual = _plainly(AnswerService.usual)
    news = _plainly(AnswerService.news)
    dashboard = _plainly(AnswerService.dashboard)
    states = _plainly(AnswerService.states)
    trends = _plainly(AnswerService.trends)
    hotspots = _plainly(AnswerService.hotspots)
    metrics = _plainly(AnswerService.metrics)

    # --- facts

    def refresh(self, tenant: str | None = None, *, step: Progress = quiet) -> dict[str, Any]:
        """Store the waiting events of all tenants or one, and fold their units; see `FactService.refresh`."""
        return plain(self.facts.refresh(tenant, step=step))

    def backfill(
        self, start: str, end: str, tenant: str | None = None, fact: str | None = None, *, step: Progress = quiet
    ) -> dict[str, Any]:
        """Fold all units again that have an event in a range; see `FactService.backfill`."""
        return plain(self.facts.backfill(start, end, tenant, fact, step=step))

    def verify(
        self, tenant: str | None = None, start: str | None = None, end: str | None = None, *, step: Progress = quiet
    ) -> dict[str, Any]:
        """Fold everything again, and count differences from the stored facts; see `FactService.verify`."""
        return plain(self.facts.verify(tenant, start, end, step=step))

    def worker(self) -> Worker:
        """Return the worker of this process, which takes jobs and starts scheduled ones; stop it before closing the engine."""
        return self.queues.worker(self.workflows, self.schedules.known, self.clock)

    def retention(self, tenant: str | None = None, *, dry_run: bool = False) -> dict[str, Any]:
        """Delete data past each tenant's retention, or count them; see `RetentionService.apply`."""
        return plain(self.retained.apply(tenant, dry_run=dry_run))

    def snapshot(
        self, kind: str, date: str | None = None, tenant: str | None = None, at: str | None = None
    ) -> dict[str, Any]:
        """Make snapshots; see `SnapshotService.make`."""
        return plain(self.snapshot_service.make(kind, date, tenant, at))

    def snapshots(
        self, tenant: str, start: str, end: str, kind: str | None = None, account: str | None = None
    ) -> dict[str, Any]:
        """Return stored snapshots; see `SnapshotService.of`."""
        return plain(self.snapshot_service.of(tenant, start, end, kind, account))

    # --- the whole

    def doctor(self) -> dict[str, Any]:
        """Check this installation; see `DoctorService.checks`."""
        return plain(self.doctoring.checks())

    def load(
        self,
        tenant: str,
        items: Sequence[Item],
        origins: Sequence[str] | None = None,
        zone: str | None = None,
        *,
        changed: bool = False,
        labels: bool = False,
        keep_text: bool = True,
    ) -> dict[str, Any]:
        """Store read events as history. An unknown tenant is created, and keeps everything until its retention is set.

        `labels`: also label their messages; without `keep_text` their texts are used only for that, and not stored.
        """
        self.tenants.ensure(tenant, zone, retention=KEEP_EVERYTHING)
        kept = items if keep_text else without_texts(items)
        answer = self.accept(tenant, kept, history=True, origin="import", origins=origins, changed=changed).answer()
        return answer | ({"labels": plain(self.labels.label_arrived(tenant, items))} if labels else {})

    def _accept_labels(self, tenant: str, items: Iterable[Item]) -> Outcome:
        return self.accept(tenant, items, history=True, origin="labels")


def _texts(value: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v.isoformat() if isinstance(v, datetime) else v for k, v in value.items()}


def open_engine(path: str | Path | None = None, *, clock: Clock = system_clock, **flags: Any) -> Engine:
    """Open the engine on a data folder, which is created if it does not exist. Several processes may open the same folder.

    `flags`: settings by name. Raises BadSettingError, WrongInstallationError, and errors of stores that cannot be opened.
    """
    return Engine(checked_settings(settings_.load(Path(path) if path is not None else None, **flags)), clock)


__all__ = ["Engine", "Event", "open_engine"]
