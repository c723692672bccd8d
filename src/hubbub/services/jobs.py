"""The engine's operations around jobs: the desk for them, what they ask for, and the worker that runs them.

`Engine` (app.py) inherits them. Jobs load when they are first asked for: DBOS takes a second, and most commands need none.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from hubbub.clock import Clock
from hubbub.control.control import Control
from hubbub.control.payloads import Payloads, Promise, new_reference
from hubbub.model.question import parse_date
from hubbub.model.tenant import Tenant
from hubbub.outgoing.http import Outgoing
from hubbub.publishing.publish import publish
from hubbub.query.queries import Queries
from hubbub.replies.reply import Replies
from hubbub.replies.request import natural_key
from hubbub.services.workflows import Workflows
from hubbub.settings import Settings
from hubbub.storage.store import Store

if TYPE_CHECKING:
    from hubbub.jobs.desk import Desk
    from hubbub.jobs.queue import Jobs
    from hubbub.jobs.schedule import Schedule
    from hubbub.jobs.worker import Worker

AI = "ai-responses"
UNSTARTED_AFTER = 10.0
"""Seconds after which a promised job that is not in its queue counts as forgotten by its process."""

OPERATIONS = ("aggregate", "aggregate_trends", "job", "ask_for_reply", "keep_promises")
"""Those that a command or a worker beside a running server may ask it to do."""

DESK_OPERATIONS = (
    "jobs", "job_counts", "start_job", "retry_job", "cancel_job", "schedules", "trigger_schedule", "backfill_schedule",
    "pause_schedule", "resume_schedule",
)  # fmt: skip
"""The same, of the desk for jobs and schedules."""


class JobOperations(ABC):
    """What an engine does by jobs."""

    settings: Settings
    clock: Clock
    store: Store
    control: Control
    queries: Queries
    payload_store: Payloads
    replies: Replies
    workflows: Workflows

    def _open_jobs(self) -> None:
        self._jobs: Jobs | None = None
        self._jobs_lock = threading.Lock()
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="hubbub-promises")

    def _close_jobs(self) -> None:
        self._starter.shutdown()
        if self._jobs is not None:
            self._jobs.close()

    @abstractmethod
    def refresh(self, tenant: str | None = None) -> dict[str, Any]:
        """Fold what is due."""

    @abstractmethod
    def backfill(self, start: str, end: str, tenant: str | None = None, fact: str | None = None) -> dict[str, Any]:
        """Fold everything of a range again."""

    @abstractmethod
    def _chosen(self, tenant: str | None) -> list[Tenant]:
        """Return all tenants or one."""

    @property
    def jobs_store(self) -> Jobs:
        """The queues; opened when first asked for, since most commands need none."""
        with self._jobs_lock:
            if self._jobs is None:
                self._jobs = jobs_of(self.settings)
            return self._jobs

    @property
    def desk(self) -> Desk:
        """Operations on jobs and schedules."""
        from hubbub.jobs.desk import Desk

        return Desk(self.jobs_store, self._schedules(), self.clock)

    def unfinished_jobs(self, since: float) -> dict[str, int] | None:
        """Return how many jobs, up to 1000 of each, are parked, or failed since a moment (seconds since 1970).

        None when no jobs database was ever made.
        """
        if not self._had_jobs():
            return None
        begun = datetime.fromtimestamp(since, UTC)
        failed = self.jobs_store.rows(state="failed", limit=1000)
        lately = [row for row in failed if row["ended_at"] is None or datetime.fromisoformat(row["ended_at"]) >= begun]
        return {"failed": len(lately), "parked": len(self.jobs_store.rows(state="parked", limit=1000))}

    def _had_jobs(self) -> bool:
        return not self.settings.jobs_address.startswith("sqlite") or (self.settings.data / "jobs.db").exists()

    def _drop_replies(self, references: Sequence[str]) -> None:
        """Forget the promises and jobs of replies that were asked for, whatever they are doing."""
        for reference in references:
            self.payload_store.kept(reference)
        if references and self._had_jobs():
            self.jobs_store.forget([_job_of(reference) for reference in references])

    def worker(self) -> Worker:
        """Return what takes jobs and keeps the clock in this process; start it, and stop it before closing."""
        from hubbub.jobs.worker import Worker

        return Worker(self.jobs_store, self.workflows, self._schedules(), self.clock)

    # --- what jobs ask for

    def aggregate(
        self, relation: str | None = None, start: str | None = None, end: str | None = None, tenant: str | None = None
    ) -> dict[str, Any]:
        """Bring the published tables up to date, after folding `[start, end)` again where it is given.

        `relation` names the job whose table somebody waits for; None: all. Says how many tenants and rows, and who failed.
        """
        errors = self.backfill(start, end, tenant)["errors"] if start is not None and end is not None else {}
        chosen = [one for one in self._chosen(tenant) if one.id not in errors]
        done = publish(self.store, self.queries, chosen, self.clock(), table=relation)
        return {"processed": len(chosen), "created": done.rows, "errors": errors | done.errors}

    def _schedules(self) -> dict[str, Schedule]:
        from hubbub.jobs.schedule import schedules

        return schedules(self.settings.schedules, aggregation=self.settings.aggregation.enabled)

    def publish(self) -> dict[str, Any]:
        """Write again what is stale of the published tables."""
        done = publish(self.store, self.queries, self._chosen(None), self.clock())
        return {"rows": done.rows, "written": done.written, "errors": done.errors}

    def aggregate_trends(self, dates: Sequence[str], again: bool = False) -> dict[str, Any]:
        """Bring the rows of `communication_trends` of some dates (of each tenant's own zone) up to date; counts them.

        `again` writes them whether anything changed or not.
        """
        tenants = self._chosen(None)
        days = [parse_date(day) for day in dates]
        span = (min(days), max(days) + timedelta(days=1)) if days else None
        done = publish(self.store, self.queries, tenants, self.clock(), table="communication_trends", days=span)
        return {"tenants_processed": len(tenants), "trends_created": done.rows, "errors": done.errors}

    # --- replies by jobs

    def ask_for_reply(
        self, tenant: str, payload: Mapping[str, Any], priority: int | None = None, delay: float | None = None
    ) -> dict[str, Any]:
        """Store what a reply is asked for and promise its job, whose arguments hold a reference only; returns its id.

        Somebody waits who has three seconds for everything. So the promise is on disk when this returns, and the job is put
        into its queue right after, where it would wait its turn behind the jobs that run; a crash between the two is mended by
        `keep_promises`. A message of Slack that is told of again is the same job: see `natural_key`.
        """
        key = natural_key(payload)
        promise = Promise(new_reference(tenant, *key) if key else new_reference(), tenant, priority, delay)
        self.replies.prepare(tenant, payload, promise)
        self._starter.submit(self._keep, promise)
        return {"id": _job_of(promise.reference), "queue": AI, "state": "delayed" if delay else "waiting"}

    def keep_promises(self) -> dict[str, Any]:
        """Start promised jobs that were not started, of processes that died."""
        left = self.payload_store.promises(older=UNSTARTED_AFTER)
        for promise in left:
            self._keep(promise)
        return {"started": len(left)}

    def _keep(self, promise: Promise) -> None:
        self.jobs_store.start(
            AI, {"reference": promise.reference}, job_id=_job_of(promise.reference), tenant=promise.tenant,
            priority=promise.priority, delay=promise.delay,
        )  # fmt: skip
        self.payload_store.kept(promise.reference)

    def job(self, job: str, tenant: str | None = None) -> dict[str, Any]:
        """Return one job with payload and result; of a reply also the suggestion's text, which no job keeps itself."""
        promised = self.payload_store.promises(reference=job.removeprefix(f"{AI}:")) if job.startswith(f"{AI}:") else []
        for promise in promised:
            if tenant in (None, promise.tenant):
                self._keep(promise)  # asked for so soon that it was not in its queue yet
        row = self.desk.job(job, tenant)
        result = row["result"]
        if row["queue"] == AI and isinstance(result, dict) and "suggestion_id" in result:
            made = self.replies.suggestion(str(row["tenant"]), result["suggestion_id"])
            row["result"] = {**result, "suggestion": made.suggestion}
        return row


def _job_of(reference: str) -> str:
    return f"{AI}:{reference}"


def checked(settings: Settings) -> Settings:
    """Return settings whose schedules and hosts can work, too. Raises BadSettingError."""
    if settings.schedules:
        from hubbub.jobs.schedule import schedules

        schedules(settings.schedules)
    Outgoing(settings.allow_private_hosts)
    return settings


def jobs_of(settings: Settings) -> Jobs:
    """Open the jobs database of an installation, made when absent; raises DatabaseUnavailableError."""
    from hubbub.jobs.queue import Jobs

    return Jobs(settings.jobs_address)


@contextmanager
def working(worker: Worker, close: Callable[[], None]) -> Iterator[Worker]:
    """Run a worker, then close what it works with; ends the process when jobs had to be handed back."""
    from hubbub.jobs.worker import end

    handed: list[str] = []
    try:
        worker.start()
        try:
            yield worker
        finally:
            handed = worker.stop()
    finally:
        close()
        end(handed)
