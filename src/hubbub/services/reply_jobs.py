"""Replies by jobs: asked for, promised on disk, started, and read.

Somebody waits who has three seconds for everything. So the promise is on disk when an id is answered, and the job is put into its
queue right after, where it would wait its turn behind the jobs that run; a crash between the two is mended by `keep_promises`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from hubbub.control.payloads import Payloads, Promise, new_reference
from hubbub.jobs.rows import JobView
from hubbub.replies.reply import Replies
from hubbub.replies.request import natural_key
from hubbub.services.job_queues import JobQueues

AI = "ai-responses"
UNSTARTED_AFTER = 10.0
"""Seconds after which a promised job that is not in its queue counts as forgotten by its process."""


@dataclass(frozen=True, slots=True)
class PromisedJob:
    """A job that will be in its queue, also when this process dies now."""

    id: str
    """Its id."""
    queue: str
    """Its queue."""
    state: str
    """waiting or delayed."""


class ReplyJobs:
    """Jobs that make suggested replies."""

    def __init__(self, queues: JobQueues, payloads: Payloads, replies: Replies) -> None:
        self._queues, self._payloads, self._replies = queues, payloads, replies
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="hubbub-promises")

    def ask(
        self, tenant: str, payload: Mapping[str, Any], priority: int | None = None, delay: float | None = None
    ) -> PromisedJob:
        """Store what a reply is asked for and promise its job, whose arguments hold a reference only. `delay` is in seconds.

        A Slack message that comes again is the same job: see `natural_key`. Raises BadRequestError.
        """
        key = natural_key(payload)
        promise = Promise(new_reference(tenant, *key) if key else new_reference(), tenant, priority, delay)
        self._replies.prepare(tenant, payload, promise)
        self._starter.submit(self._keep, promise)
        return PromisedJob(_job_of(promise.reference), AI, "delayed" if delay else "waiting")

    def keep_promises(self) -> int:
        """Start promised jobs that were not started, of processes that died; returns how many."""
        left = self._payloads.promises(older=UNSTARTED_AFTER)
        for promise in left:
            self._keep(promise)
        return len(left)

    def keep(self, job: str, tenant: str | None) -> None:
        """Start a job that was promised to a tenant (None: to any), if it is one and was not started."""
        if not job.startswith(f"{AI}:"):
            return
        for promise in self._payloads.promises(reference=job.removeprefix(f"{AI}:")):
            if tenant in (None, promise.tenant):
                self._keep(promise)

    def with_text(self, job: JobView) -> Any:
        """Return a job's result with the text of the suggestion that it made, if it made one."""
        if not (isinstance(job.result, dict) and "suggestion_id" in job.result):
            return job.result
        made = self._replies.suggestion(str(job.tenant), job.result["suggestion_id"])
        return {**job.result, "suggestion": made.suggestion}

    def forget(self, references: Sequence[str]) -> None:
        """Delete what replies were asked for, their promises and their jobs, whatever they are doing."""
        for reference in references:
            self._payloads.kept(reference)
        if references and self._queues.exist():
            self._queues.open().forget([_job_of(reference) for reference in references])
        self._replies.forget(references)

    def close(self) -> None:
        """Finish starting what was promised."""
        self._starter.shutdown()

    def _keep(self, promise: Promise) -> None:
        self._queues.open().start(
            AI, {"reference": promise.reference}, job_id=_job_of(promise.reference), tenant=promise.tenant,
            priority=promise.priority, delay=promise.delay,
        )  # fmt: skip
        self._payloads.kept(promise.reference)


def _job_of(reference: str) -> str:
    return f"{AI}:{reference}"
