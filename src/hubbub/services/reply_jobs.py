"""Jobs of replies: requested, promised on disk, started, and read.

The caller has three seconds for everything. So the promise is on disk before the answer, and the job enters its queue right
after; `keep_promises` repairs a crash between the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from hubbub.control.payloads import Payloads, Promise, new_reference
from hubbub.jobs.rows import JobView
from hubbub.model.plain import JsonObject
from hubbub.replies.reply import Replies
from hubbub.replies.request import natural_key
from hubbub.services.job_queues import JobQueues

AI = "ai-responses"
UNSTARTED_AFTER = 10.0
"""Seconds after which a promised job that is not in its queue counts as forgotten."""


@dataclass(frozen=True, slots=True)
class PromisedJob:
    """A job that will be in its queue, even if this process dies now."""

    id: str
    """Its id."""
    queue: str
    """Its queue."""
    state: str
    """waiting or delayed."""


class ReplyJobs:
    """Jobs that suggest replies."""

    def __init__(self, queues: JobQueues, payloads: Payloads, replies: Replies) -> None:
        self._queues, self._payloads, self._replies = queues, payloads, replies
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="hubbub-promises")

    def ask(
        self, tenant: str, payload: JsonObject, priority: int | None = None, delay: float | None = None
    ) -> PromisedJob:
        """Store a question and promise its job, whose arguments hold only a reference. `delay` is in seconds.

        A repeated Slack message is the same job: see `natural_key`. Raises BadRequestError.
        """
        key = natural_key(payload)
        promise = Promise(new_reference(tenant, *key) if key else new_reference(), tenant, priority, delay)
        self._replies.prepare(tenant, payload, promise)
        self._starter.submit(self._keep, promise)
        return PromisedJob(_job_of(promise.reference), AI, "delayed" if delay else "waiting")

    def keep_promises(self) -> int:
        """Start promised jobs of dead processes; returns their number."""
        left = self._payloads.promises(older=UNSTARTED_AFTER)
        for promise in left:
            self._keep(promise)
        return len(left)

    def keep(self, job: str, tenant: str | None) -> None:
        """Start a job that was promised to a tenant (None: any), if it was not started."""
        if not job.startswith(f"{AI}:"):
            return
        for promise in self._payloads.promises(reference=job.removeprefix(f"{AI}:")):
            if tenant in (None, promise.tenant):
                self._keep(promise)

    def with_text(self, job: JobView) -> Any:
        """Return a job's result with the text of its suggestion, if any."""
        if not (isinstance(job.result, dict) and "suggestion_id" in job.result):
            return job.result
        suggestion = self._replies.suggestion(str(job.tenant), job.result["suggestion_id"])
        return {**job.result, "suggestion": suggestion.suggestion}

    def forget(self, references: Sequence[str]) -> None:
        """Delete questions of replies, their promises and their jobs in any state."""
        for reference in references:
            self._payloads.kept(reference)
        if references and self._queues.exist():
            self._queues.open().forget([_job_of(reference) for reference in references])
        self._replies.forget(references)

    def close(self) -> None:
        """Finish starting promised jobs."""
        self._starter.shutdown()

    def _keep(self, promise: Promise) -> None:
        self._queues.open().start(
            AI, {"reference": promise.reference}, job_id=_job_of(promise.reference), tenant=promise.tenant,
            priority=promise.priority, delay=promise.delay,
        )  # fmt: skip
        self._payloads.kept(promise.reference)


def _job_of(reference: str) -> str:
    return f"{AI}:{reference}"
