"""An idle worker stops polling, and takes the next job of any client."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hubbub.jobs import worker as worker_
from hubbub.jobs.payloads import Task
from hubbub.jobs.queue import Jobs
from hubbub.jobs.worker import Worker

PATIENCE = 60.0


def asking() -> list[str]:
    """Return the names of the threads that poll queues."""
    return [one.name for one in threading.enumerate() if one.name.startswith("queue-worker-")]


class Released:
    """Does every job by releasing a semaphore."""

    def __init__(self, done: threading.Semaphore) -> None:
        """Release `done` for each job."""
        self._done = done

    def run(self, task: Task, queue: str, payload: Any) -> None:
        """Do a job."""
        self._done.release()

    def keep_promises(self) -> None:
        """Do nothing."""

    def move_back(self, now: datetime, by: timedelta) -> None:
        """Do nothing."""

    def forget_replies(self, references: Sequence[str]) -> None:
        """Do nothing."""


def test_an_idle_worker_polls_nothing_and_still_takes_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An idle worker polls no queue and counts as alive; a job of this or another client is still done."""
    monkeypatch.setattr(worker_, "REST_AFTER", 0.5)
    done = threading.Semaphore(0)

    url = f"sqlite:///{tmp_path / 'jobs.db'}"
    jobs, others = Jobs(url), Jobs(url)
    worker = Worker(jobs, Released(done), {}, lambda: datetime.now(UTC))
    worker.start()
    try:
        for client in (jobs, others, jobs):
            until = time.monotonic() + PATIENCE
            while asking() and time.monotonic() < until:
                time.sleep(0.1)
            assert not asking() and worker.alive()
            client.start("ai-responses", {"reference": "some"}, tenant="acme")
            assert done.acquire(timeout=PATIENCE)
            assert asking()
    finally:
        worker.stop()
        jobs.close()
        others.close()
