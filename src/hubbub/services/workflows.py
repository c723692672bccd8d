"""The work of each queue's jobs. Every job may run again from its start without harm."""

from __future__ import annotations

import datetime as dt
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from hubbub.errors import BadRequestError, TenantsFailedError
from hubbub.jobs.payloads import (
    DAY,
    AggregateDay,
    Aggregation,
    CatchUp,
    Ingest,
    Labels,
    Payload,
    Reconcile,
    Reply,
    Report,
    Snapshots,
    Task,
)
from hubbub.model.page import all_rows
from hubbub.model.plain import plain
from hubbub.replies.reply import Replies
from hubbub.services.coverage import CoverageService
from hubbub.services.fetching import FetchService
from hubbub.services.integrations import IntegrationService
from hubbub.services.judging import JudgingService
from hubbub.services.labels import LabelService
from hubbub.services.messages import MessageService
from hubbub.services.publishing import Aggregated, PublishingService
from hubbub.services.reply_jobs import ReplyJobs
from hubbub.services.reports import ReportService
from hubbub.services.restatements import RestatementService
from hubbub.services.retention import RetentionService
from hubbub.services.snapshots import SnapshotService, SnapshotsMade
from hubbub.services.subscriptions import SubscriptionService

PAGE = 200


class Workflows:
    """The work of jobs, done by services."""

    def __init__(
        self,
        retained: RetentionService,
        published: PublishingService,
        reply_jobs: ReplyJobs,
        labels: LabelService,
        reports: ReportService,
        restatements: RestatementService,
        subscriptions: SubscriptionService,
        judging: JudgingService,
        messages: MessageService,
        coverage: CoverageService,
        integrations: IntegrationService,
        fetching: FetchService,
        replies: Replies,
        snapshots: SnapshotService,
    ) -> None:
        self._snapshots = snapshots
        self._integrations, self._fetching, self._replies = integrations, fetching, replies
        self._coverage = coverage
        self._judging, self._messages = judging, messages
        self._retained, self._published = retained, published
        self._reply_jobs, self._labels = reply_jobs, labels
        self._subscriptions = subscriptions
        self._reports = reports
        self._restatements = restatements

    def run(self, task: Task, queue: str, payload: Any) -> Any:
        """Do a job of a queue; returns its result as JSON values."""
        work: Mapping[str, Callable[[Task, Any], Any]] = {
            "trend-aggregation": self.trends,
            "aggregation": self.aggregation,
            "snapshots": self.snapshots,
            "fan-out": self.fan_out,
            "analytics-ingest": self.ingest,
            "catch-up": self.catch_up,
            "reconcile": self.reconcile,
            "analytics-aggregate": self.aggregate_day,
            "ai-responses": self.reply,
            "watch-sources": self.watch_sources,
            "retention": self.retention,
            "labels": self.labels,
            "reports": self.report,
            "alerts": self.alerts,
            "restatements": self.restatements,
        }
        return plain(work[queue](task, payload))

    def keep_promises(self) -> None:
        """Start promised jobs of dead processes."""
        self._reply_jobs.keep_promises()

    def move_back(self, now: dt.datetime, by: dt.timedelta) -> None:
        """Move due times of messages and alert rules back with the clock, so that none waits longer than before."""
        self._messages.move_back(now, by)
        self._judging.move_back(now)

    def forget_replies(self, references: Sequence[str]) -> None:
        """Delete the questions of deleted jobs."""
        self._replies.forget(references)

    def aggregation(self, task: Task, payload: Aggregation) -> Any:
        """Publish a table where it is stale, or write the given days again."""
        return self._by_days(task, payload, relation=payload.relation)

    def trends(self, task: Task, payload: Payload) -> Any:
        """Refresh the trend rows of the days: `{tenants_processed, trends_created, errors}`, also in the old spelling."""
        answer = _checked(self._published.trends([day.isoformat() for day in payload.days()]))
        spelled = {"organizationsProcessed": "tenants_processed", "trendsCreated": "trends_created"}
        return {**answer, **{theirs: answer[ours] for theirs, ours in spelled.items() if ours in answer}}

    def snapshots(self, task: Task, payload: Snapshots) -> Any:
        """Make the snapshots of each date, or of the last complete period before each tick; daily ticks settle earlier ones too."""
        moments = (
            [{"date": day.isoformat()} for day in _firsts(payload)]
            or [{"at": t.isoformat()} for t in payload.ticks]
            or [{}]
        )
        total = SnapshotsMade()
        for number, moment in enumerate(moments):
            total = total.plus(self._snapshots.make(payload.kind, tenant=task.tenant, **moment))
            task.progress(100 * (number + 1) // len(moments))
        if payload.kind == "daily" and not payload.dates:
            total = total.plus(self._snapshots.settle())
        return _checked(total)

    def fan_out(self, task: Task, payload: Payload) -> Any:
        """Start one job for each fetched integration and day; when all of a day have ended, aggregate it.

        A tick fetches the last complete day of each integration's own zone, and then starts a job for the missing days of each,
        without waiting for it. A complete day is fetched by one job, whoever starts it first. Backfills and incomplete
        days have job ids of their own, so that the night's job still runs.
        """
        report: dict[str, dict[str, int]] = {}
        moments: list[dt.date] | list[dt.datetime] = payload.dates or payload.ticks
        for number, moment in enumerate(sorted(set(moments))):
            prefixes: dict[dt.date, set[str]] = {}
            for integration in all_rows(lambda cursor: self._integrations.of(task.tenant, "fetched", cursor, PAGE)):
                if not integration.fetches:
                    continue
                zone = ZoneInfo(integration.settings.get("zone", "UTC"))
                day = (moment.astimezone(zone) - DAY).date() if isinstance(moment, dt.datetime) else moment
                is_over = dt.datetime.now(zone).date() > day
                prefix = f"ingest:{day}:" if is_over and not payload.is_backfill else f"ingest-again:{task.id}:{day}:"
                task.start(
                    "analytics-ingest",
                    {"integration_id": integration.id, "date": day.isoformat(), "job_id": task.id,
                     "is_backfill": payload.is_backfill},
                    job_id=f"{prefix}{integration.tenant}:{integration.id}", tenant=integration.tenant,
                )  # fmt: skip
                prefixes.setdefault(day, set()).add(prefix if task.tenant is None else f"{prefix}{task.tenant}:")
            for day, waited in sorted(prefixes.items()):
                while any(map(task.busy, waited)):
                    time.sleep(1)
                    task.progress(100 * number // len(moments))
                report[day.isoformat()] = dict(sum(map(Counter, map(task.ended, waited)), Counter()))
                task.start(
                    "analytics-aggregate",
                    {"date": day.isoformat(), "job_id": task.id, "is_backfill": payload.is_backfill},
                    job_id=f"aggregate:{day}:{task.id}",
                    tenant=task.tenant,
                )
        return {"days": report, "catching_up": 0 if payload.dates else self._catch_up(task)}

    def _catch_up(self, task: Task) -> int:
        """Start a job for each integration with missing days, unless one still runs; returns their number."""
        count = 0
        for due in all_rows(lambda cursor: self._fetching.due(cursor, PAGE, task.tenant)):
            prefix = f"catch-up:{due.tenant}:{due.integration_id}:"
            if due.dates and not task.busy(prefix):
                payload = {"integration_id": due.integration_id, "dates": plain(due.dates)}
                task.start("catch-up", payload, job_id=f"{prefix}{task.id}", tenant=due.tenant)
                count += 1
        return count

    def catch_up(self, task: Task, payload: CatchUp) -> Any:
        """Fetch the days of an integration one by one; a failing day ends the job, which is retried."""
        stored = 0
        for number, day in enumerate(payload.dates):
            fetched = self._fetching.day(owner_of(task), payload.integration_id, day.isoformat(), catching_up=True)
            stored += fetched.stored
            task.progress(100 * (number + 1) // len(payload.dates))
        return {"days": len(payload.dates), "stored": stored}

    def ingest(self, task: Task, payload: Ingest) -> Any:
        """Fetch a day of an integration."""
        return self._fetching.day(
            owner_of(task), payload.integration_id, payload.date.isoformat(), is_backfill=payload.is_backfill
        )

    def aggregate_day(self, task: Task, payload: AggregateDay) -> Any:
        """Publish a day after its ingestion; a backfill writes it again."""
        days = Payload(dates=[payload.date] if payload.is_backfill else [])
        return self._by_days(task, days, tenant=task.tenant)

    def reply(self, task: Task, payload: Reply) -> Any:
        """Suggest a reply and deliver it."""
        task.progress(10)  # the model's server does the work, and cannot report progress
        return self._replies.reply(owner_of(task), payload.reference, task.progress)

    def report(self, task: Task, payload: Report) -> Any:
        """Make and store a report; one from an earlier try stays."""
        return self._reports.make(
            owner_of(task), payload.kind, start=payload.start.isoformat(), end=payload.end.isoformat(),
            sections=payload.sections, formats=payload.formats, report=payload.report, progress=task.progress,
        )  # fmt: skip

    def labels(self, task: Task, payload: Labels) -> Any:
        """Train a classifier of a set, label stored messages, or suggest topics: for one tenant, or all with their own labels."""
        if task.tenant is None:
            if payload.task == "train":
                raise BadRequestError("the payload does not fit the queue 'labels': name the tenant - at `$.tenant`")
            return _checked(self._labels.run_all() if payload.task == "run" else self._labels.suggest_all())
        if payload.task == "suggest":
            return self._labels.suggestions.run(task.tenant)
        if payload.task == "train":
            trained = self._labels.train(task.tenant, payload.label_set, by="job")
            return {**plain(trained), "labelled": self._labels.run(task.tenant)} if trained.used else trained
        start, end = (day.isoformat() if day else None for day in (payload.start, payload.end))
        return self._labels.run(task.tenant, start, end)

    def retention(self, task: Task, payload: Payload) -> Any:
        """Delete data past its retention."""
        return self._retained.apply()

    def alerts(self, task: Task, payload: Payload) -> Any:
        """Judge due windows of every rule, write due digests, then deliver waiting messages, also from earlier tries."""
        judged, digests = self._judging.judge(), self._subscriptions.send()
        return {**plain(judged), "digests": digests, "messages": self._messages.deliver()}

    def restatements(self, task: Task, payload: Payload) -> Any:
        """Close settled numbers of past days, and note changes of closed ones."""
        return _checked(self._restatements.restate())

    def watch_sources(self, task: Task, payload: Payload) -> Any:
        """Check sending sources, and start a job for each integration whose lost deliveries can be fetched."""
        watched = self._coverage.watch()
        count = 0
        for lacking in self._fetching.lacking():
            prefix = f"reconcile:{lacking.tenant}:{lacking.integration_id}:"
            if not task.busy(prefix):
                task.start(
                    "reconcile",
                    {"integration_id": lacking.integration_id},
                    job_id=f"{prefix}{task.id}",
                    tenant=lacking.tenant,
                )
                count += 1
        return {**plain(watched), "reconciling": count}

    def reconcile(self, task: Task, payload: Reconcile) -> Any:
        """Fetch lost deliveries of an integration."""
        return self._fetching.reconcile(owner_of(task), payload.integration_id)

    def _by_days(self, task: Task, payload: Payload, **params: str | None) -> Any:
        """Publish stale days, or each given day; adds up the results."""
        if not payload.dates:
            return _checked(self._published.aggregate(**params))
        total = Aggregated()
        days = sorted(set(payload.dates))
        for number, day in enumerate(days):
            total = total.plus(self._published.aggregate(start=day.isoformat(), end=(day + DAY).isoformat(), **params))
            task.progress(100 * (number + 1) // len(days))
        return _checked(total)


def owner_of(task: Task) -> str:
    """Return the tenant of a job of a single-tenant queue."""
    if task.tenant is None:
        raise BadRequestError("a job of this queue needs a tenant: name it")
    return task.tenant


def _firsts(payload: Snapshots) -> list[dt.date]:
    """Return the first day of every given period."""

    def first(day: dt.date) -> dt.date:
        if payload.kind == "weekly":
            return day - DAY * day.weekday()
        return day.replace(day=1) if payload.kind == "monthly" else day

    return sorted({first(day) for day in payload.dates})


def _checked(answer: Any) -> Any:
    """Return an answer without errors; one with errors is a failure, so that the failed tenants are retried."""
    answer = plain(answer)
    if answer.get("errors"):
        raise TenantsFailedError(result=answer)
    return answer
