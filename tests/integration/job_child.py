"""A worker process for tests: `python -m tests.integration.job_child URL EFFECTS`. It prints `ready` when it works.

Its job is `retention` and the like, with payloads of `ai-responses`: the reference says what the job does. Effects are
rows of an SQLite file, one per reference however often it is done; every run is counted beside them.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hubbub.background import end
from hubbub.errors import BadInputError, ServerUnreachableError
from hubbub.jobs import policies, worker
from hubbub.jobs.payloads import Task
from hubbub.jobs.queue import Jobs
from hubbub.jobs.schedule import Schedule
from hubbub.telemetry import configure_logs

QUICK = 2.0
"""Seconds without a heartbeat until a process counts as dead here; in production it is longer."""
EVERY_MINUTE = {
    f"s{n}": Schedule(f"s{n}", "* * * * *", "aggregation", "For tests.", {"relation": f"s{n}"}, rhythm=n == 2)
    for n in range(3)
}
"""Schedules that run every minute; the last is a rhythm."""


def open_effects(path: Path) -> sqlite3.Connection:
    """Open the file of effects."""
    con = sqlite3.connect(path, timeout=60, isolation_level=None)
    con.execute("PRAGMA journal_mode = WAL")
    con.execute("CREATE TABLE IF NOT EXISTS effects (what TEXT PRIMARY KEY)")
    con.execute("CREATE TABLE IF NOT EXISTS runs (what TEXT, process INT, at REAL)")
    return con


class Effects:
    """Runs jobs so that their effects can be counted."""

    def __init__(self, path: Path) -> None:
        """Count effects in the file at `path`."""
        self._path = path

    def keep_promises(self) -> None:
        """Do nothing: upkeep is not under test."""

    def move_back(self, now: datetime, by: timedelta) -> None:
        """Do nothing: upkeep is not under test."""

    def forget_replies(self, references: Sequence[str]) -> None:
        """Do nothing: upkeep is not under test."""

    def run(self, task: Task, queue: str, payload: Any) -> dict[str, Any]:
        """Do a job as its payload says."""
        named = (getattr(payload, name, "") for name in ("reference", "relation", "integration_id"))
        what = next(filter(None, named), queue)
        con = open_effects(self._path)
        con.execute("INSERT INTO runs VALUES (?, ?, ?)", (what, os.getpid(), time.time()))
        if what.startswith("kill"):
            time.sleep(0.3)
            os.kill(os.getpid(), signal.SIGKILL)
        if what.startswith("broken"):
            raise BadInputError("this can never work")
        runs = con.execute("SELECT count(*) FROM runs WHERE what = ?", (what,)).fetchone()[0]
        if what.startswith("flaky") and runs < 3:
            raise ServerUnreachableError("not yet")
        time.sleep(float(what.partition("@")[2] or 0.05))
        con.execute("INSERT OR IGNORE INTO effects VALUES (?)", (what,))
        con.close()
        return {"did": what, "errors": {}}


def main(url: str, effects: Path) -> None:
    """Work until SIGTERM."""
    configure_logs("info", json=True)
    worker.DEAD_AFTER = QUICK
    for name in ("ai-responses", "aggregation"):
        object.__setattr__(policies.QUEUES[name], "pause", 0.5)
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    jobs = Jobs(url)
    one = worker.Worker(jobs, Effects(effects), EVERY_MINUTE, lambda: datetime.now(UTC))
    one.start()
    print("ready", flush=True)
    over.wait()
    handed = one.stop()
    jobs.close()
    end(handed)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
