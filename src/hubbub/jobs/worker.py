"""The worker of a process: it takes jobs, and runs periodic duties.

Every few seconds it starts jobs of due schedules, puts failed jobs back after their pause, and takes over jobs of dead processes.
Several processes may do so at once; the ledger makes each action happen once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

import msgspec
import structlog

from hubbub.background import Background, end
from hubbub.clock import Clock
from hubbub.errors import DatabaseUnavailableError, JobCancelledError, TenantsFailedError
from hubbub.jobs.ledger import SKEW, Progress
from hubbub.jobs.payloads import WORK, Task
from hubbub.jobs.policies import QUEUES, classify
from hubbub.jobs.queue import Jobs
from hubbub.jobs.runner import Job, Runner, insist, job_error
from hubbub.jobs.schedule import Schedule, ticks
from hubbub.model.plain import JsonObject
from hubbub.model.window import utc_naive
from hubbub.telemetry import JOB_SECONDS, JOBS, QUEUE_DEPTH, QUEUE_OLDEST, log, seldom

DEAD_AFTER = 15.0
"""Seconds without a new heartbeat until a process counts as dead, by this process's monotonic clock: clock steps do not matter."""
STUCK_AFTER = 60.0
YOUNG = 3600.0
"""Least number of seconds that an ended job stays visible, whatever its queue's history."""
PATIENCE = 10
CLOCK_SECONDS = 10.0
"""Seconds between two looks at the clock: a step forward and one back between two looks are not noticed."""
REST_AFTER = 30.0
"""Seconds without a job after which the worker stops polling the queues, and only checks the database for changes."""


class JobServices(Protocol):
    """The services that a worker calls."""

    def run(self, task: Task, queue: str, payload: Any) -> Any:
        """Do a job, and return its result as JSON values."""
        ...

    def keep_promises(self) -> None:
        """Start jobs that were promised to a caller and not started."""
        ...

    def move_back(self, now: datetime, by: timedelta) -> None:
        """Shorten the waits of messages and alert rules, after the clock went back by `by`, to `now`."""
        ...

    def forget_replies(self, references: Sequence[str]) -> None:
        """Delete the questions of deleted jobs."""
        ...


@dataclass
class _Task:
    """The functions of a running job; see `payloads.Task`."""

    _jobs: Jobs
    job: Job

    @property
    def id(self) -> str:
        """The job's id."""
        return self.job.id

    @property
    def tenant(self) -> str | None:
        """The job's tenant."""
        return self.job.tenant

    def progress(self, percent: int) -> None:
        """Store progress. Raises JobCancelledError."""
        if self._jobs.cancelled(self.job.id):
            raise JobCancelledError
        self._jobs.note(self.job.id, progress=percent)

    def start(self, queue: str, payload: JsonObject, *, job_id: str, tenant: str | None = None) -> str:
        """Start another job."""
        return self._jobs.start(queue, payload, job_id=job_id, tenant=tenant)

    def busy(self, prefix: str) -> bool:
        """Say whether jobs have not ended."""
        return self._jobs.busy(prefix)

    def ended(self, prefix: str) -> dict[str, int]:
        """Count jobs by state."""
        return self._jobs.ended(prefix)


def _line_of(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:300]


def _note(duty: str, error: Exception) -> None:
    """Log the failure of a duty, at most once a minute."""
    if seldom(("clock", duty, type(error))):
        log.warning("clock", duty=duty, error=_line_of(error))


@contextmanager
def working(worker: Worker, close: Callable[[], None]) -> Iterator[Worker]:
    """Run a worker, then close its services; end the process if jobs were handed back, as their threads still run."""
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


class Worker:
    """Takes jobs and runs periodic duties on its own threads, from `start` to `stop`."""

    def __init__(self, jobs: Jobs, does: JobServices, schedules: Mapping[str, Schedule], clock: Clock) -> None:
        self._jobs = jobs
        self._does = does
        self._schedules = schedules
        self._clock = clock
        self._runner = Runner(jobs, self.run)
        self._loop = Background("clock", self._do_duties)
        self._went_well = time.monotonic()
        self._seen: dict[str, tuple[datetime, float]] = {}
        self._idle: dict[str, float] = {}
        self._wakes = True
        self._busy = time.monotonic()
        self._written: int | None = None
        self._duties: list[tuple[float, Callable[[], None], float]] = [
            (every, duty, -every)
            for every, duty in (
                (3.0, self._heartbeat), (1.0, self._tick), (1.0, self._retry), (3.0, self._adopt), (15.0, self._measure),
                (60.0, self._prune), (30.0, self._keep_promises), (5.0, self._rest), (CLOCK_SECONDS, self._heed_clock),
            )
        ]  # fmt: skip

    def start(self) -> None:
        """Begin to take jobs and to run duties. Raises errors of the jobs database."""
        self._heartbeat()
        self._runner.start()
        self._loop.start()
        log.info("worker started", process=self._runner.process)

    def stop(self) -> list[str]:
        """Take no more jobs, wait PATIENCE seconds for running ones, and hand back the others; return their ids.

        Their threads run until the process ends, and must not delay its end: see `end`.
        """
        self._loop.stop(5.0)
        try:
            handed = self._runner.stop(PATIENCE)
            self._jobs.ledger.leave(self._runner.process)
        except DatabaseUnavailableError as error:  # another process takes them over once the heartbeat is missing
            handed = sorted(self._runner.running)
            log.warning("worker could not remove its heartbeat", error=error.message)
        log.info("worker stopped", process=self._runner.process, handed_back=handed)
        return handed

    def alive(self) -> bool:
        """Say whether the duties and the queues' threads run, or were stopped."""
        if self._loop.stopped:
            return True
        return self._loop.is_alive and self._runner.alive() and time.monotonic() - self._went_well < STUCK_AFTER

    # --- a job

    def run(self, job: Job) -> Any:
        """Do a job and return its result. A failure is classified and stored, and raised as a job error."""
        policy = QUEUES[job.queue]
        context = {k: v for k in ("integration_id", "date") if (v := job.payload.get(k))}
        with structlog.contextvars.bound_contextvars(job_id=job.id, queue=job.queue, tenant=job.tenant, **context):
            begun = time.monotonic()
            log.info("job started", attempt=job.attempt)
            try:
                payload = msgspec.convert(job.payload, WORK[job.queue].payload)
                answer = self._does.run(_Task(self._jobs, job), job.queue, payload)
            except Exception as error:
                seconds = time.monotonic() - begun
                JOB_SECONDS.labels(job.queue).observe(seconds)
                raise self._failed(job, policy.attempts, error, seconds) from None
            seconds = time.monotonic() - begun
            if job.failures:
                insist(lambda: self._jobs.note(job.id, error=None))
            JOBS.labels(job.queue, "completed").inc()
            JOB_SECONDS.labels(job.queue).observe(seconds)
            log.info("job completed", attempt=job.attempt, seconds=round(seconds, 3))
            return answer

    def _failed(self, job: Job, attempts: int, error: Exception, seconds: float) -> Exception:
        failure = classify(error)
        failures = job.failures + 1
        retries = failure.kind != "permanent" and failures < attempts
        noted: dict[str, Any] = {
            "error": failure.reason, "class": failure.kind, "action": failure.action, "failures": failures, "retrying": retries,
        }  # fmt: skip
        if isinstance(error, TenantsFailedError):
            noted["result"] = error.details.get("result")
        pause = None
        if retries:
            pause = QUEUES[job.queue].delay(failures, failure.retry_after)
            moment = self._clock() + timedelta(seconds=pause)
            noted["retry_at"] = moment.timestamp()
            insist(lambda: self._jobs.ledger.retry_at(job.id, moment))
        insist(lambda: self._jobs.note(job.id, **noted))
        JOBS.labels(job.queue, "retrying" if retries else "failed").inc()
        details = {
            "attempt": job.attempt, "error": failure.reason, "error_class": failure.kind, "action": failure.action or None,
            "next_try_in": round(pause, 1) if pause is not None else None, "seconds": round(seconds, 3),
        }  # fmt: skip
        if failure.kind == "unknown":
            log.exception("job failed", **details, exc_info=error)
        else:
            log.warning("job failed", **details)
        return job_error(failure)

    # --- periodic duties

    def _do_duties(self) -> float:
        if self._pause():
            return 0.0
        now, well = time.monotonic(), self._wakes
        for number, (every, duty, last) in enumerate(self._duties):
            if now - last < every:
                continue
            try:
                duty()
                self._duties[number] = (every, duty, now)
            except Exception as error:  # the database is unavailable: the next round may succeed
                well = False
                self._duties[number] = (every, duty, now + 5.0)
                _note(duty.__name__, error)
        if well:
            self._went_well = time.monotonic()
        return 0.0

    def _pause(self) -> bool:
        """Wait for half a second; at rest, check for new jobs meanwhile. Return whether to stop."""
        for _ in range(5):
            if self._loop.rest(0.1):
                return True
            if self._runner.resting:
                try:
                    self._wake()
                    self._wakes = True
                except Exception as error:  # the next check may succeed
                    self._wakes = False
                    _note("wake", error)
        return False

    def _wake(self) -> None:
        """Take jobs again if there are any; do not read the database while it is unchanged."""
        written = self._jobs.ledger.changed()
        if written != self._written:
            if self._jobs.any_in_flight():
                self._runner.wake()
            self._written = written

    def _rest(self) -> None:
        """Stop polling the queues after REST_AFTER seconds without a job, if the database reports its changes."""
        now = time.monotonic()
        if self._runner.resting or self._runner.running or self._jobs.any_in_flight():
            self._busy = now
        elif now - self._busy >= REST_AFTER and self._jobs.ledger.changed() is not None:
            self._runner.rest()
            self._written = None

    def _heartbeat(self) -> None:
        self._jobs.ledger.heartbeat(self._runner.process, self._clock())

    def _tick(self) -> None:
        """Start the due job of each schedule; a failing schedule does not block others, and its error is raised last."""
        now = self._clock()
        progress = self._jobs.ledger.progress(dict.fromkeys(self._schedules, now))
        failed: Exception | None = None
        for schedule in self._schedules.values():
            try:
                self._start_due(schedule, progress[schedule.name], now)
            except Exception as error:
                failed = error
                if seldom(("schedule", schedule.name, type(error))):
                    log.warning("schedule failed", schedule=schedule.name, error=_line_of(error))
        if failed is not None:
            raise failed

    def _start_due(self, schedule: Schedule, progress: Progress, now: datetime) -> None:
        """Start the claimed job that was not started yet, else claim and start the due job."""
        if progress.pending is not None:
            self._launch(schedule, progress.pending)
        elif not progress.paused and (due := ticks(schedule.cron, progress.done_to, now)):
            again = f":{progress.again}" if progress.again else ""
            pending = {
                "job": f"{schedule.name}:{due[-1]:%Y-%m-%dT%H:%M}{again}", "ticks": [tick.isoformat() for tick in due],
            }  # fmt: skip
            if self._jobs.ledger.claim(schedule.name, progress.done_to, due[-1], pending):
                self._launch(schedule, pending)

    def _launch(self, schedule: Schedule, pending: JsonObject) -> None:
        payload = {**schedule.payload, "ticks": pending["ticks"]}
        self._jobs.start(schedule.queue, payload, job_id=str(pending["job"]))
        self._jobs.ledger.started(schedule.name, pending)

    def _heed_clock(self) -> None:
        """Shorten all waits if the clock went back; only warn if clocks of processes differ."""
        self._jobs.heed_clock()
        now = self._clock()
        if behind := self._jobs.ledger.behind(now):
            if ahead := self._ahead(now):
                if seldom(("ahead", *ahead)):
                    log.warning(
                        "the clocks of processes differ: synchronize them",
                        ahead=ahead,
                        seconds=round(behind.total_seconds()),
                    )
                return
            self._does.move_back(now, behind)
            self._jobs.move_back(behind)
            if self._jobs.ledger.move_back(now, behind, [s.name for s in self._schedules.values() if s.rhythm]):
                log.warning("the clock went back", seconds=round(behind.total_seconds()))

    def _ahead(self, now: datetime) -> list[str]:
        """Return the other live processes, as `_adopt` saw them, whose clocks are ahead of this one: then no clock went back."""
        at, since = utc_naive(now) + SKEW, time.monotonic() - DEAD_AFTER
        others = ((process, *seen) for process, seen in self._seen.items() if process != self._runner.process)
        return sorted(process for process, beat, changed in others if beat > at and changed > since)

    def _retry(self) -> None:
        self._jobs.retry_due(self._clock())

    def _adopt(self) -> None:
        """Take over jobs of processes that left or have no new heartbeat, and own jobs that were taken but never began."""
        now = time.monotonic()
        beats = self._jobs.ledger.beats()
        self._seen = {
            process: self._seen[process] if process in self._seen and self._seen[process][0] == beat else (beat, now)
            for process, beat in beats.items()
        }
        alive = {process for process, (_, since) in self._seen.items() if now - since < DEAD_AFTER}
        adopted = self._jobs.adopt(alive | {self._runner.process})
        if adopted:
            log.warning("jobs taken over from a dead process", jobs=list(adopted))
        for queue in adopted.values():
            JOBS.labels(queue, "stalled").inc()
        for process in set(beats) - alive - {self._runner.process}:
            self._jobs.ledger.leave(process)
        stranded = self._jobs.stranded(self._runner.process, self._runner.running)
        self._idle = {job: self._idle.get(job, now) for job in stranded}
        for job, since in self._idle.items():
            if now - since >= DEAD_AFTER and self._jobs.put_back(job, self._runner.process):
                log.warning("a job that was taken but never began is back in its queue", job_id=job)

    def _measure(self) -> None:
        """Set the gauges of the queues."""
        now = self._clock()
        waiting: dict[tuple[str, str], int] = {}
        oldest: dict[str, float] = {}
        for row in self._jobs.in_flight():
            waiting[row.queue, row.state] = waiting.get((row.queue, row.state), 0) + 1
            if row.state == "waiting" and row.created_at is not None:
                age = (now - row.created_at).total_seconds()
                oldest[row.queue] = max(oldest.get(row.queue, 0.0), age)
        for queue in QUEUES:
            QUEUE_OLDEST.labels(queue).set(oldest.get(queue, 0.0))
            for state in ("waiting", "delayed", "active"):
                QUEUE_DEPTH.labels(queue, state).set(waiting.get((queue, state), 0))

    def _keep_promises(self) -> None:
        self._does.keep_promises()

    def _prune(self) -> None:
        """Delete ended jobs beyond each queue's history, and their stored questions."""
        for queue in QUEUES.values():
            references = [p["reference"] for p in self._jobs.prune(queue, YOUNG) if "reference" in p]
            if references:
                self._does.forget_replies(references)
