"""Jobs: listed, started, retried and cancelled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from hubbub.errors import BadRequestError
from hubbub.jobs.payloads import checked, owner
from hubbub.jobs.policies import PRIORITIES, policy_of
from hubbub.jobs.rows import JobRow, JobView
from hubbub.model.page import Page, check_limit, cursor_of, place_of
from hubbub.model.plain import JsonObject
from hubbub.services.job_queues import JobQueues
from hubbub.services.reply_jobs import AI, ReplyJobs

MOST_AT_ONCE = 1_000_000
"""More jobs than any machine starts in a millisecond."""
LAST_MOMENT = 4_102_444_800_000
"""The year 2100, in milliseconds."""
MOST_COUNTED = 25_000
"""Most jobs that are counted, the newest: more than the histories of all queues hold."""
LONGEST_DELAY = 366 * 86_400
"""Seconds."""


@dataclass(frozen=True, slots=True)
class JobCount:
    """The number of jobs of a queue in a state."""

    queue: str
    state: str
    jobs: int


@dataclass(frozen=True, slots=True)
class JobCounts:
    """Numbers of jobs by queue and state, and whether some were not counted."""

    rows: Sequence[JobCount]
    more: bool


class JobService:
    """Jobs of an installation. With a `tenant` only its own jobs are visible."""

    def __init__(self, queues: JobQueues, replies: ReplyJobs) -> None:
        self._queues, self._replies = queues, replies

    def of(
        self, queue: str | None = None, state: str | None = None, tenant: str | None = None, limit: int = 50,
        cursor: str | None = None,
    ) -> Page[JobRow]:  # fmt: skip
        """Return jobs, newest first. Raises NotFoundError for an unknown queue or state, BadRequestError."""
        after = place_of(cursor, int, int) or (0, 0)
        if not (0 <= after[0] < LAST_MOMENT and 0 <= after[1] <= MOST_AT_ONCE):
            raise BadRequestError("this cursor is not the 'next' of a page of jobs")
        jobs = self._queues.open()
        selected = jobs.rows(queue=queue, state=state, tenant=tenant, limit=check_limit(limit) + 1, after=after)
        rows, more = selected[:limit], len(selected) > limit
        if not more:
            return Page(rows)
        # jobs started between two pages shift no row, unless in the same millisecond (SQLite: second) as the last row
        last = _started(rows[-1])
        there = sum(_started(row) == last for row in rows) + (after[1] if after[0] == last else 0)
        return Page(rows, cursor_of((last, there)))

    def counts(self, tenant: str | None = None) -> JobCounts:
        """Return the numbers of jobs by queue and state."""
        newest = self._queues.open().rows(tenant=tenant, limit=MOST_COUNTED + 1)
        counts = Counter((row.queue, row.state) for row in newest[:MOST_COUNTED])
        rows = [JobCount(queue, state, n) for (queue, state), n in sorted(counts.items())]
        return JobCounts(rows, len(newest) > MOST_COUNTED)

    def get(self, job: str, tenant: str | None = None) -> JobView:
        """Return a job with payload and result; for a reply also the suggestion's text, which jobs do not hold.

        Raises NotFoundError.
        """
        self._replies.keep(job, tenant)  # it may not be in its queue yet
        row = self._queues.open().row(job, tenant)
        return replace(row, result=self._replies.with_text(row)) if row.queue == AI else row

    def start(
        self, queue: str, payload: JsonObject, tenant: str | None = None, priority: int | None = None,
        delay: float | None = None, job: str | None = None,
    ) -> JobView:  # fmt: skip
        """Start a job by hand; a job with the same id `job` starts once. `delay` is in seconds.

        Raises NotFoundError for an unknown queue, BadRequestError, and the errors of `payloads.owner` and `payloads.checked`.
        """
        policy = policy_of(queue)
        if priority is not None and not PRIORITIES[0] <= priority <= PRIORITIES[1]:
            raise BadRequestError(f"priority must be between {PRIORITIES[0]} (first) and {PRIORITIES[1]}")
        if delay is not None and not 0 <= delay <= LONGEST_DELAY:
            raise BadRequestError("delay must be between 0 and a year, in seconds")
        tenant, payload = owner(policy.name, payload, tenant)
        checked_payload = checked(policy.name, payload)
        jobs = self._queues.open()
        return jobs.row(
            jobs.start(policy.name, checked_payload, job_id=job, tenant=tenant, priority=priority, delay=delay)
        )

    def retry(self, job: str, tenant: str | None = None) -> JobView:
        """Run a failed, cancelled or parked job again. Raises NotFoundError, ConflictError."""
        return self._queues.open().retry(job, tenant)

    def cancel(self, job: str, tenant: str | None = None) -> JobView:
        """Cancel a job that has not ended; a running one stops at its next report of progress.

        Raises NotFoundError, ConflictError.
        """
        return self._queues.open().cancel(job, tenant)

    def unfinished(self, since: float) -> dict[str, int] | None:
        """Return the numbers of jobs, up to 1000 each, that are parked, or failed since a moment (seconds since 1970).

        None when no jobs database was ever created.
        """
        if not self._queues.exist():
            return None
        jobs, begun = self._queues.open(), datetime.fromtimestamp(since, UTC)
        failed = jobs.rows(state="failed", limit=1000)
        lately = [row for row in failed if row.ended_at is None or row.ended_at >= begun]
        return {"failed": len(lately), "parked": len(jobs.rows(state="parked", limit=1000))}

    def forget_tenant(self, tenant: str) -> None:
        """Delete a tenant's jobs in any state."""
        if not self._queues.exist():
            return
        jobs = self._queues.open()
        while rows := jobs.rows(tenant=tenant, limit=1000):
            jobs.forget([row.id for row in rows])


def _started(row: JobRow) -> int:
    """Return when a job was created, in milliseconds since 1970."""
    return round(row.created_at.timestamp() * 1000) if row.created_at is not None else 0
