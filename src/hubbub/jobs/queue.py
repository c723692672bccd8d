"""Durable queues on DBOS. Only this file, `runner` (takes jobs), `rows` (shows a job) and `dbos_*` use DBOS.

A job is a DBOS workflow without steps: its body may run again from the start, so it must be idempotent. A failed job to retry is
rewound after its pause, and occupies no worker meanwhile. Attempts, progress and the last failure are attributes of the workflow;
the time of its retry is in the ledger. Arguments and results are JSON, never pickle.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Container, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from dbos import DBOS, DBOSClient, DBOSPortableJSONSerializer, WorkflowStatus, error

from hubbub.control.database import Answering, answering, file_of, postgresql
from hubbub.errors import ConflictError, NotFoundError
from hubbub.jobs.dbos_logging import log_as_ours
from hubbub.jobs.dbos_private import bring_forward, count_no_future_starts, put_back_once, refuse_pickles
from hubbub.jobs.ledger import Ledger
from hubbub.jobs.policies import PRIORITIES, QUEUES, Queue, policy_of
from hubbub.jobs.rows import IN_FLIGHT, STATES, TRIES, JobRow, JobView, payload_of, row_of, state_of, view_of
from hubbub.model.plain import JsonObject

APPLICATION = "hubbub"
VERSION = "1"
"""Version of the arguments. DBOS's default is a hash of the code, which would strand queued jobs after each edit."""
CONNECTIONS, MORE = 6, 14
"""Connections to PostgreSQL that DBOS keeps open in a process, and most that it opens beyond them for a while."""


class Jobs:
    """The jobs of an installation: start, list, cancel, retry. Thread-safe.

    Every method raises DatabaseUnavailableError if the database does not answer.
    """

    def __init__(self, url: str) -> None:
        log_as_ours()
        refuse_pickles()
        self.url = url
        with answering(url):
            self.ledger = Ledger(url)
            DBOS.migrate(url)
            self.engine = None if file_of(url) else postgresql(url, pool_size=CONNECTIONS, max_overflow=MORE)
            self._dbos = DBOSClient(
                system_database_url=url,
                system_database_engine=self.engine,
                serializer=DBOSPortableJSONSerializer(),
                application_name=APPLICATION,
                retry_connection_errors=False,
            )
            self._client: DBOSClient = Answering(self._dbos, url)  # type: ignore[assignment]

    def close(self) -> None:
        """Release connections."""
        self._client.destroy()
        if self.engine is not None:
            self.engine.dispose()
        self.ledger.close()

    def start(
        self,
        queue: str,
        payload: JsonObject,
        *,
        job_id: str | None = None,
        tenant: str | None = None,
        priority: int | None = None,
        delay: float | None = None,
    ) -> str:
        """Put a job into a queue and return its id. An existing `job_id` starts nothing.

        `priority`: 1 (first) to 100; `delay`: seconds. Raises NotFoundError for an unknown queue.
        """
        policy = policy_of(queue)
        options: dict[str, Any] = {
            "workflow_name": queue,
            "queue_name": queue,
            "workflow_id": job_id or f"job_{uuid.uuid4().hex[:20]}",
            "attributes": {"attempts": 0, "failures": 0, "progress": 0, "retrying": False},
            "priority": priority or PRIORITIES[1],
        }  # fmt: skip
        if tenant is not None:
            options["authenticated_user"] = tenant
        if policy.by_tenant:
            options["queue_partition_key"] = tenant or "-"
        if delay:
            options["delay_seconds"] = delay
        self._client.enqueue(options, dict(payload))  # type: ignore[arg-type]
        return str(options["workflow_id"])

    def row(self, job_id: str, tenant: str | None = None) -> JobView:
        """Return a job. Raises NotFoundError if it does not exist or belongs to another tenant."""
        return view_of(self.status(job_id, tenant))

    def rows(
        self,
        *,
        queue: str | None = None,
        state: str | None = None,
        tenant: str | None = None,
        limit: int = 50,
        after: tuple[int, int] = (0, 0),
    ) -> list[JobRow]:
        """Return jobs, newest first. Raises NotFoundError for an unknown queue or state.

        `after` (milliseconds since 1970, n) skips jobs after that moment, and the first n of that moment.
        """
        if state is not None and state not in STATES:
            raise NotFoundError(f"there is no job state {state[:40]!r} (there are {', '.join(STATES)})")
        names = [policy_of(queue).name] if queue is not None else list(QUEUES)
        filters: dict[str, Any] = {
            "name": names,
            "user": tenant,
            "sort_desc": True,
            "load_input": False,
            "load_output": False,
        }
        moment, skipped = after
        if moment:  # + 0.5 ms: DBOS multiplies a float by 1000 and truncates it
            filters["end_time"] = datetime.fromtimestamp(moment / 1000 + 0.0005, UTC).isoformat()
        if state == "retrying":
            retrying = self.ledger.retrying()
            workflows = self._client.list_workflows(workflow_ids=retrying, **filters) if retrying else []
            return [row_of(workflow) for workflow in workflows][skipped : skipped + limit]
        if state == "failed":  # jobs to retry are errors, too, and are left out below
            filters["limit"] = skipped + limit + len(self.ledger.retrying())
            rows = [row_of(workflow) for workflow in self._client.list_workflows(status="ERROR", **filters)]
            return [row for row in rows if row.state == "failed"][skipped : skipped + limit]
        workflows = self._client.list_workflows(
            status=STATES[state] if state is not None else None, limit=limit, offset=skipped, **filters
        )
        return [row_of(workflow) for workflow in workflows]

    def in_flight(self) -> list[JobRow]:
        """Return all waiting, delayed and running jobs, for gauges."""
        workflows = self._client.list_workflows(
            name=list(QUEUES), status=IN_FLIGHT, load_input=False, load_output=False
        )
        return [row_of(workflow) for workflow in workflows]

    def any_in_flight(self) -> bool:
        """Say whether any job waits, is delayed or runs."""
        filters: dict[str, Any] = {"name": list(QUEUES), "status": IN_FLIGHT, "load_input": False, "load_output": False}
        return bool(self._client.list_workflows(limit=1, **filters))

    def busy(self, prefix: str) -> bool:
        """Say whether a job whose id begins with `prefix` has not ended: it waits, runs, or will be retried."""
        return bool(
            self.ledger.retrying(prefix)
            or self._client.list_workflows(
                workflow_id_prefix=prefix, status=IN_FLIGHT, limit=1, load_input=False, load_output=False
            )
        )

    def ended(self, prefix: str) -> dict[str, int]:
        """Return the number of jobs whose id begins with `prefix`, by state."""
        counts: dict[str, int] = {}
        for workflow in self._client.list_workflows(workflow_id_prefix=prefix, load_input=False, load_output=False):
            state = state_of(workflow)
            counts[state] = counts.get(state, 0) + 1
        return counts

    def cancel(self, job_id: str, tenant: str | None = None) -> JobView:
        """Cancel a job that has not ended; a running one stops at its next report of progress.

        Raises NotFoundError, ConflictError if it has ended.
        """
        status = self.status(job_id, tenant)
        state = state_of(status)
        if state == "retrying":
            self.ledger.no_retry(job_id)
            self.note(job_id, retrying=False)
        elif state in ("waiting", "delayed", "active"):
            self._client.cancel_workflow(job_id)
        else:
            raise ConflictError(f"job {job_id} is {state}: it cannot be cancelled any more")
        return self.row(job_id)

    def retry(self, job_id: str, tenant: str | None = None) -> JobView:
        """Run a failed, retrying, cancelled or parked job again, with all its attempts. Raises NotFoundError, ConflictError."""
        state = state_of(self.status(job_id, tenant))
        if state not in ("failed", "retrying", "cancelled", "parked"):
            raise ConflictError(f"job {job_id} is {state}: only a failed, cancelled or parked job can be retried")
        self.note(job_id, failures=0, progress=0, retrying=False)
        self.requeue(job_id)
        return self.row(job_id)

    def retry_due(self, now: datetime) -> list[str]:
        """Put failed jobs whose pause is over back into their queues, and return their ids."""
        due = self.ledger.retrying(until=now)
        for job_id in due:
            try:
                status = str(self.status(job_id, None).status)
                if status == "ERROR":
                    self.requeue(job_id)
                elif status not in IN_FLIGHT:
                    self.ledger.no_retry(job_id)
            except NotFoundError:
                self.ledger.no_retry(job_id)
            except error.DBOSException:
                pass  # it just changed: another process put it back, or its failure is not stored yet
        return due

    def heed_clock(self) -> None:
        """Exclude jobs with a start in the future from rate limits: they began before the database's clock went back."""
        with answering(self.url):
            count_no_future_starts(self._dbos, [queue.name for queue in QUEUES.values() if queue.tenant_rate])

    def move_back(self, by: timedelta) -> None:
        """Shorten the wait of delayed jobs by `by`, after the clock went back by as much."""
        with answering(self.url):
            bring_forward(self._dbos, round(by.total_seconds() * 1000))

    def requeue(self, job_id: str) -> None:
        """Put an ended job back into its queue, and delete its retry."""
        status = self.status(job_id, None)
        queue = policy_of(status.name)
        key = (status.authenticated_user or "-") if queue.by_tenant else None
        self._client.rewind_workflow(job_id, start_step=1, queue_name=queue.name, queue_partition_key=key)
        self.ledger.no_retry(job_id)

    def note(self, job_id: str, **attributes: Any) -> None:
        """Change attributes of a job."""
        self._client.update_workflow_attributes(job_id, attributes, merge=True)

    def cancelled(self, job_id: str) -> bool:
        """Say whether a job was cancelled."""
        return self.status(job_id, None).status == "CANCELLED"

    def prune(self, queue: Queue, keep_younger: float) -> list[JsonObject]:
        """Delete ended jobs beyond a queue's history that are older than `keep_younger` seconds; return their payloads."""
        before = datetime.fromtimestamp(time.time() - keep_younger, UTC).isoformat()
        surplus: list[WorkflowStatus] = []
        for status, keep in (("SUCCESS", queue.completed), ("ERROR", queue.failed), ("CANCELLED", queue.failed)):
            ended = self._client.list_workflows(
                name=queue.name,
                status=status,
                sort_desc=True,
                offset=keep,
                limit=1000,
                end_time=before,
                load_output=False,
            )
            surplus += [workflow for workflow in ended if not (workflow.attributes or {}).get("retrying")]
        if surplus:
            self._client.delete_workflows([workflow.workflow_id for workflow in surplus])
        return [payload_of(workflow) for workflow in surplus]

    def forget(self, job_ids: Sequence[str]) -> int:
        """Delete jobs, ended or not, with their arguments and results; return their number."""
        workflows = self._client.list_workflows(workflow_ids=list(job_ids), load_input=False, load_output=False)
        ids = [workflow.workflow_id for workflow in workflows]
        for workflow in workflows:
            if str(workflow.status) in IN_FLIGHT:
                self._client.cancel_workflow(workflow.workflow_id)
            self.ledger.no_retry(workflow.workflow_id)
        if ids:
            self._client.delete_workflows(ids)
        return len(ids)

    def adopt(self, alive: set[str]) -> dict[str, str]:
        """Put jobs of processes that are not `alive` back into their queues; return their queues by job id.

        A job whose process died twice is a suspect: suspects go back one at a time, so that a job that kills its process is found.
        A second suspect goes back only if its queue runs one job at a time and a suspect waits in that queue: else that one could
        never begin.
        """
        orphans = [
            workflow
            for workflow in self._client.list_workflows(status="PENDING", load_input=False, load_output=False)
            if workflow.executor_id not in alive
        ]
        suspects = sorted(
            (workflow for workflow in orphans if (workflow.recovery_attempts or 0) >= TRIES - 1), key=_age
        )
        fresh = [workflow for workflow in orphans if (workflow.recovery_attempts or 0) < TRIES - 1]
        if suspects and not self._suspect_runs(alive):
            waiting = self._queues_of_waiting_suspects()
            alone = [
                one for one in suspects if not waiting or (one.name in waiting and QUEUES[one.name].everywhere == 1)
            ]
            fresh += alone[:1]
        return {
            workflow.workflow_id: workflow.name
            for workflow in fresh
            if self.put_back(workflow.workflow_id, str(workflow.executor_id))
        }

    def stranded(self, process: str, running: Container[str]) -> list[str]:
        """Return the ids of jobs that a process has taken but that are not in `running`.

        This happens if the database fails after a worker took a job and before it read the job.
        """
        workflows = self._client.list_workflows(
            status="PENDING", executor_id=process, load_input=False, load_output=False
        )
        return [workflow.workflow_id for workflow in workflows if workflow.workflow_id not in running]

    def put_back(self, job_id: str, process: str) -> bool:
        """Put a job of a process back into its queue if it still belongs to that process; say whether it did."""
        return put_back_once(self._client, job_id, process, self.status(job_id, None).name)

    def hand_back(self, process: str) -> list[str]:
        """Put the running jobs of an ending process back into their queues and return their ids; not counted as an attempt."""
        workflows = self._client.list_workflows(
            status="PENDING", executor_id=process, load_input=False, load_output=False
        )
        for workflow in workflows:
            self._client.resume_workflow(workflow.workflow_id, queue_name=workflow.name)
        return [workflow.workflow_id for workflow in workflows]

    def _suspect_runs(self, alive: set[str]) -> bool:
        """Say whether a job runs whose process died twice before."""
        running = self._client.list_workflows(
            status="PENDING", executor_id=list(alive), load_input=False, load_output=False
        )
        return any((workflow.recovery_attempts or 0) >= TRIES for workflow in running)

    def _queues_of_waiting_suspects(self) -> set[str]:
        """Return the queues in which a job waits whose process died twice."""
        waiting = self._client.list_workflows(status="ENQUEUED", limit=500, load_input=False, load_output=False)
        return {workflow.name for workflow in waiting if (workflow.recovery_attempts or 0) >= TRIES - 1}

    def status(self, job_id: str, tenant: str | None) -> WorkflowStatus:
        """Return DBOS's status of a job of a tenant (None: of any). Raises NotFoundError."""
        workflows = self._client.list_workflows(workflow_ids=[job_id], name=list(QUEUES), user=tenant)
        if not workflows:
            raise NotFoundError(f"there is no job {job_id[:80]!r}")
        return workflows[0]


def _age(status: WorkflowStatus) -> tuple[int, int]:
    return status.recovery_attempts or 0, status.created_at or 0
