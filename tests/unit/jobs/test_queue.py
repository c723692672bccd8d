"""Adopting jobs of dead processes, without processes: their states are written by hand."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from hubbub.jobs.queue import Jobs

DEAD = "dead"


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    """Open an empty jobs database."""
    made = Jobs(f"sqlite:///{tmp_path / 'jobs.db'}")
    yield made
    made.close()


def suspect(jobs: Jobs, folder: Path, queue: str, job: str, status: str) -> None:
    """Start a job and give it a status and two deaths of its processes."""
    jobs.start(queue, {"reference": job}, job_id=job, tenant="acme")
    con = sqlite3.connect(folder / "jobs.db")
    with con:
        sql = "UPDATE workflow_status SET status = ?, executor_id = ?, recovery_attempts = 2 WHERE workflow_uuid = ?"
        assert con.execute(sql, (status, DEAD, job)).rowcount == 1
    con.close()


def test_a_dead_processs_job_does_not_fill_a_queue_of_one(jobs: Jobs, tmp_path: Path) -> None:
    """If a dead process's job fills a queue of one job at a time, and another suspect waits in it, the job goes back: otherwise
    neither could ever begin."""
    suspect(jobs, tmp_path, "trend-aggregation", "waits", "ENQUEUED")
    suspect(jobs, tmp_path, "trend-aggregation", "fills", "PENDING")
    assert jobs.adopt({"alive"}) == {"fills": "trend-aggregation"}
    assert {job: jobs.row(job).state for job in ("waits", "fills")} == {"waits": "waiting", "fills": "waiting"}


def test_suspect_jobs_run_one_at_a_time(jobs: Jobs, tmp_path: Path) -> None:
    """Of two jobs whose processes died twice, one goes back; the other waits until it is done."""
    suspect(jobs, tmp_path, "ai-responses", "first", "PENDING")
    suspect(jobs, tmp_path, "ai-responses", "second", "PENDING")
    assert len(jobs.adopt({"alive"})) == 1
    assert jobs.adopt({"alive"}) == {}
