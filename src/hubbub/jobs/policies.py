"""Policies of queues: concurrency limits, attempts, backoff and history; and classes of failures.

A failure is transient (a later attempt may succeed), permanent (another attempt cannot help, a person must act) or unknown
(treated as transient, and reported). A service's `Retry-After` takes precedence over a shorter backoff.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

from hubbub.errors import HubbubError, NotFoundError

Class = Literal["transient", "permanent", "unknown"]
PRIORITIES = (1, 100)
"""Priorities of a job: the highest and the lowest."""
LONGEST_PAUSE = 3600.0
"""Longest pause in seconds; also a longer Retry-After is shortened to it, so that no service delays a job by days."""


@dataclass(frozen=True)
class Queue:
    """A queue's policy. Times are in seconds; `None` is no limit.

    `pause` is the first backoff, multiplied by `factor` for each further failure; `poll` the time between checks of the queue.
    `at_once` bounds running jobs in a process, `everywhere` in all processes, `per_tenant` those of a tenant in a process,
    `tenant_rate` a tenant's starts per second. `completed` and `failed` are the numbers of ended jobs that stay visible.
    """

    name: str
    doc: str
    attempts: int = 3
    pause: float = 60.0
    factor: float = 2.0
    at_once: int = 2
    everywhere: int | None = None
    per_tenant: int | None = None
    tenant_rate: int | None = None
    completed: int = 100
    failed: int = 500
    poll: float = 1.0

    @property
    def by_tenant(self) -> bool:
        """Whether the queue has limits for each tenant."""
        return self.per_tenant is not None or self.tenant_rate is not None

    def delay(self, attempt: int, retry_after: float | None = None) -> float:
        """Return the seconds to wait after failure number `attempt`: exponential backoff, lengthened by up to a fifth at random."""
        wait = self.pause * self.factor ** (attempt - 1) * random.uniform(1.0, 1.2)
        return min(max(wait, retry_after or 0.0), LONGEST_PAUSE)


QUEUES = {
    queue.name: queue
    for queue in (
        Queue("trend-aggregation", "Topic, tone, escalation and hotspot rows of a day.",
              everywhere=1, at_once=1, completed=50, failed=100),
        Queue("aggregation", "The hourly, daily, weekly and monthly relations.",
              everywhere=1, at_once=1, completed=100, failed=100),
        Queue("snapshots", "Snapshots of every team and account.", everywhere=1, at_once=1, completed=100, failed=100),
        Queue("fan-out", "Starts a day's jobs, one per integration, and waits until all have ended.", attempts=5, at_once=4,
              completed=100, failed=100),
        Queue("analytics-ingest", "Fetches one day of one integration.", pause=2.0, at_once=32, per_tenant=8,
              completed=10_000, failed=10_000, poll=0.25),
        Queue("catch-up", "Fetches the missing days of an integration, newest first.", pause=60.0, at_once=16,
              per_tenant=4),
        Queue("reconcile", "Fetches lost deliveries of an integration through the service's API.", pause=60.0,
              at_once=16, per_tenant=4),
        Queue("watch-sources", "Watches sending sources: finds silences, and closes gaps.", everywhere=1,
              at_once=1, completed=50, failed=100),
        Queue("analytics-aggregate", "Aggregates a day after its ingestion has ended.", attempts=2, pause=5.0, factor=1.0,
              everywhere=1, at_once=1),
        Queue("ai-responses", "Suggests a reply to a message.", pause=2.0, at_once=5, per_tenant=4, tenant_rate=10, poll=0.1),
        Queue("retention", "Deletes data past its retention.", everywhere=1, at_once=1, completed=50, failed=100),
        Queue("alerts", "Judges alert rules, and sends waiting messages.", everywhere=1, at_once=1, pause=10.0,
              completed=50, failed=100),
        Queue("restatements", "Closes the numbers of days, and notes later changes.", everywhere=1, at_once=1, completed=50,
              failed=100),
        Queue("labels", "Trains a classifier, labels stored messages, or suggests topics.",
              pause=2.0, at_once=5, per_tenant=4, tenant_rate=10),
        Queue("reports", "Makes a report.", pause=10.0, at_once=2, per_tenant=1),
    )
}  # fmt: skip
"""`per_tenant` is below `at_once`, so that a tenant at its limit leaves room for another."""


def policy_of(queue: str) -> Queue:
    """Return a queue's policy. Raises NotFoundError."""
    if queue not in QUEUES:
        raise NotFoundError(f"there is no queue {queue[:80]!r} (there are {', '.join(QUEUES)})")
    return QUEUES[queue]


@dataclass(frozen=True)
class Failure:
    """A classified error of a job. `action`: what a person must do; `retry_after`: seconds."""

    kind: Class
    code: str
    reason: str
    action: str = ""
    retry_after: float | None = None


def classify(error: BaseException) -> Failure:
    """Classify a job's error."""
    if isinstance(error, HubbubError):
        return Failure(
            "transient" if error.retry else "permanent",
            error.code,
            error.message,
            str(getattr(error, "action", "")),
            getattr(error, "retry_after", None),
        )
    reason = f"{type(error).__name__}: {error}"[:500]
    if isinstance(error, OSError | TimeoutError):  # network, files, locks: the next try may succeed
        return Failure("transient", "unreachable", reason)
    return Failure("unknown", "internal", reason, "Report it with the job's id and the log lines that carry it.")
