"""The part of a process that takes jobs from DBOS's queues and runs them."""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from dbos import DBOS, DBOSPortableJSONSerializer, PortableWorkflowError

from hubbub.errors import DatabaseUnavailableError
from hubbub.jobs.policies import QUEUES, Failure
from hubbub.jobs.queue import APPLICATION, VERSION, Jobs
from hubbub.jobs.rows import TRIES
from hubbub.model.plain import JsonObject

T = TypeVar("T")


@dataclass(frozen=True)
class Job:
    """A job to run."""

    id: str
    queue: str
    tenant: str | None
    payload: JsonObject
    attempt: int
    failures: int


def insist(call: Callable[[], T]) -> T:
    """Call until the jobs database answers, every second, and return the result.

    A job's outcome must not be lost because the database was unavailable. Only the end of the process ends the wait.
    """
    while True:
        try:
            return call()
        except DatabaseUnavailableError:
            time.sleep(1.0)


class Runner:
    """The part of this process that takes jobs from the queues and runs them."""

    def __init__(self, jobs: Jobs, run: Callable[[Job], Any]) -> None:
        self.process = f"{os.uname().nodename}-{os.getpid()}-{uuid.uuid4().hex[:6]}"
        self.running: set[str] = set()
        self.resting = False
        self._jobs = jobs
        self._run = run

    def start(self, queues: Sequence[str] = tuple(QUEUES)) -> None:
        """Begin to take jobs. Also works inside an event loop, as in an application that embeds a worker.

        Raises errors of the jobs database; then nothing has begun, and another call may succeed.
        """
        global _current
        _current = self
        with ThreadPoolExecutor(1) as executor:  # DBOS refuses to register a queue in a thread that runs an event loop
            executor.submit(self._launch, queues).result()

    def _launch(self, queues: Sequence[str]) -> None:
        try:
            self._take(queues)
        except BaseException:
            DBOS.destroy()
            raise

    def _take(self, queues: Sequence[str]) -> None:
        DBOS(
            config={
                "name": APPLICATION,
                "system_database_url": self._jobs.url,
                "system_database_engine": self._jobs.engine,
                "application_version": VERSION,
                "executor_id": self.process,
                "serializer": DBOSPortableJSONSerializer(),
                "max_executor_threads": 64,
                "log_level": "WARNING",
                "notification_listener_polling_interval_sec": 0.1,  # a stop waits for this thread
            }
        )
        DBOS.listen_queues(list(queues))
        DBOS.launch()
        for queue in QUEUES.values():
            DBOS.register_queue(
                queue.name,
                worker_concurrency=queue.at_once,
                global_concurrency=queue.everywhere,
                partition_worker_concurrency=queue.per_tenant,
                partition_limiter={"limit": queue.tenant_rate, "period": 1.0} if queue.tenant_rate else None,
                polling_interval_sec=queue.poll,
                on_conflict="always_update",
            )

    def stop(self, patience: int) -> list[str]:
        """Take no more jobs, wait up to `patience` seconds for running ones, and hand back the rest; return their ids."""
        if not self.resting:
            DBOS.destroy(workflow_completion_timeout_sec=patience)
        return self._jobs.hand_back(self.process)

    def rest(self) -> None:
        """Stop the threads that poll the queues, until `wake`."""
        self.resting = True
        DBOS.destroy(workflow_completion_timeout_sec=1)

    def wake(self) -> None:
        """Take jobs again. Raises errors of the jobs database."""
        self.start()
        self.resting = False

    def alive(self) -> bool:
        """Say whether threads that take jobs are alive, or stopped by `rest`."""
        return self.resting or any(t.name.startswith("queue-worker-") and t.is_alive() for t in threading.enumerate())

    def body(self, payload: JsonObject) -> Any:
        """Run the job of the current workflow."""
        job_id = str(DBOS.workflow_id)
        self.running.add(job_id)
        try:
            return self._body(job_id, payload)
        finally:
            self.running.discard(job_id)

    def _body(self, job_id: str, payload: JsonObject) -> Any:
        status = insist(lambda: self._jobs.status(job_id, None))
        noted = dict(status.attributes or {})
        job = Job(
            job_id, status.name, status.authenticated_user or None, payload,
            int(noted.get("attempts", 0)) + 1, int(noted.get("failures", 0)),
        )  # fmt: skip
        if job.failures:
            insist(lambda: self._jobs.ledger.no_retry(job_id))
        insist(lambda: self._jobs.note(job_id, attempts=job.attempt, retrying=False))
        return self._run(job)


_current: Runner | None = None


def _body(payload: JsonObject) -> Any:
    assert _current is not None
    return _current.body(payload)


for _name in QUEUES:  # a workflow for each queue: a parked job loses its queue, but keeps its workflow's name
    DBOS.workflow(name=_name, max_recovery_attempts=TRIES - 1)(_body)


def job_error(failure: Failure) -> Exception:
    """Return the error that a job raises for DBOS to store, as portable JSON."""
    return PortableWorkflowError(
        failure.reason, "JobFailed", failure.code, {"class": failure.kind, "action": failure.action}
    )
