"""Jobs in real processes, on SQLite and PostgreSQL: workers killed, stopped, suspended; poisonous jobs; two workers at once."""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from hubbub.control.database import postgresql
from hubbub.errors import DatabaseUnavailableError
from hubbub.jobs.queue import Jobs
from tests.acceptance.conftest import ROOT
from tests.extent import AWAY, KILLS_OF_WORKERS
from tests.integration.job_child import EVERY_MINUTE, open_effects


@dataclass
class Place:
    """A jobs database, a file of effects, and workers."""

    url: str
    folder: Path
    jobs: Jobs
    workers: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def effects(self) -> Path:
        """The file where jobs leave their effects."""
        return self.folder / "effects.db"

    def work(self, **more: str) -> subprocess.Popen[str]:
        """Start a worker with `more` in its environment, and wait until it works."""
        env = os.environ | more | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
        with (self.folder / f"worker-{len(self.workers)}.log").open("w") as log:
            child = subprocess.Popen(
                [sys.executable, "-m", "tests.integration.job_child", self.url, str(self.effects)],
                cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip
        self.workers.append(child)
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n", f"the worker did not start: exit {child.wait()}"
        return child

    def reply(self, what: str, tenant: str = "acme") -> str:
        """Start a job that does `what`; return its id."""
        return self.jobs.start("ai-responses", {"reference": what}, tenant=tenant)

    def states(self) -> dict[str, str]:
        """Return the state of each job by its reference."""
        rows = self.jobs.rows(queue="ai-responses", limit=1000)
        return {self.jobs.row(row.id).payload["reference"]: row.state for row in rows}

    def done(self) -> list[str]:
        """Return the effects of the jobs started here, without those of schedules."""
        con = open_effects(self.effects)
        found = [row[0] for row in con.execute("SELECT what FROM effects ORDER BY what")]
        con.close()
        return [what for what in found if what not in EVERY_MINUTE]

    def runs(self, what: str) -> list[tuple[int, float]]:
        """Return process and time of each run of a reference, oldest first."""
        con = open_effects(self.effects)
        found = con.execute("SELECT process, at FROM runs WHERE what = ? ORDER BY at", (what,)).fetchall()
        con.close()
        return found


@pytest.fixture
def place(jobs_url: str, tmp_path: Path) -> Iterator[Place]:
    """Yield an empty jobs database; its workers are killed afterwards."""
    jobs = Jobs(jobs_url)
    here = Place(jobs_url, tmp_path, jobs)
    try:
        yield here
    finally:
        for worker in here.workers:
            worker.kill()
            worker.wait()
            if worker.stdout is not None:
                worker.stdout.close()
        jobs.close()


def until(true: Callable[[], Any], what: str, patience: float = 90) -> Any:
    """Poll until `true` returns a true value, and return it; fail after `patience` seconds."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if found := true():
            return found
        time.sleep(0.2)
    raise AssertionError(f"never: {what}")


def stop(worker: subprocess.Popen[str]) -> int:
    """End a worker with SIGTERM; return its exit code. It waits ten seconds for its jobs; the rest is for a slow machine."""
    worker.send_signal(signal.SIGTERM)
    return worker.wait(timeout=30)


@pytest.mark.parametrize("jobs_url", ["sqlite", pytest.param("postgres", marks=pytest.mark.slow)], indirect=True)
def test_kills_lose_nothing_and_double_nothing(place: Place) -> None:
    """Workers are killed at random moments while jobs arrive: every job completes, with one effect."""
    draw = random.Random(7)
    wanted: list[str] = []
    survivor = place.work()
    for round_ in range(KILLS_OF_WORKERS):
        victim = place.work() if round_ % 5 else survivor
        wanted += [f"job-{round_}-{n}@{draw.choice((0.01, 0.1, 0.6))}" for n in range(8)]
        for what in wanted[-8:]:
            place.reply(what, tenant=f"t{draw.randrange(4)}")
        time.sleep(draw.uniform(0.2, 1.5))
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        if victim is survivor:
            survivor = place.work()
    until(lambda: not place.jobs.in_flight(), "all jobs ended")
    parked = [row.id for row in place.jobs.rows(state="parked", limit=1000)]
    for job in parked:  # three random kills hit the same job: a person retries it
        place.jobs.retry(job)
    until(lambda: not place.jobs.in_flight(), "parked jobs ended")
    states = place.states()
    assert set(states) == set(wanted)
    assert set(states.values()) == {"completed"}
    assert place.done() == sorted(wanted)
    assert len(parked) <= len(wanted) // 10


@pytest.mark.slow
def test_a_job_that_kills_its_worker_is_parked_and_its_neighbours_finish(place: Place) -> None:
    """A job that killed three workers is parked; the jobs that ran beside it complete."""
    place.reply("kill-me", tenant="bad")
    for n in range(3):
        place.reply(f"long-{n}@1.5", tenant=f"good{n}")
    died = 0
    for _ in range(8):
        worker = place.work()
        until(lambda w=worker: w.poll() is not None or place.states()["kill-me"] == "parked", "dead or parked")  # type: ignore[misc]
        if worker.poll() is None:
            break
        died += 1
    until(lambda: set(place.states().values()) == {"parked", "completed"}, "the rest completed")
    assert died == 3
    assert len(place.runs("kill-me")) == 3
    assert place.done() == [f"long-{n}@1.5" for n in range(3)]
    row = place.jobs.rows(state="parked")[0]
    assert "died 3 times" in (row.error or "")


@pytest.mark.slow
def test_sigterm_finishes_or_hands_back(place: Place) -> None:
    """A worker ended by SIGTERM exits 0; its unfinished job waits again and is run by the next worker."""
    first = place.work()
    place.reply("short@1")
    place.reply("endless@40", tenant="other")
    until(lambda: place.runs("endless@40") and place.runs("short@1"), "both run")
    assert stop(first) == 0
    assert place.states() == {"short@1": "completed", "endless@40": "waiting"}
    place.work()
    until(lambda: len(place.runs("endless@40")) == 2, "taken up again")


@pytest.mark.slow
def test_a_suspended_worker_is_taken_over_and_does_no_harm_when_it_wakes(place: Place) -> None:
    """A suspended worker loses its job to another; when it resumes, the effect exists once and both work."""
    sleeper = place.work()
    place.reply("slow@3")
    until(lambda: place.runs("slow@3"), "running")
    sleeper.send_signal(signal.SIGSTOP)
    place.work()
    until(lambda: place.states()["slow@3"] == "completed", "taken over")
    sleeper.send_signal(signal.SIGCONT)
    for n in range(20):
        place.reply(f"after-{n}")
    until(lambda: not place.jobs.in_flight(), "all ended")
    assert set(place.states().values()) == {"completed"}
    assert len(place.done()) == 21
    assert len({process for process, _ in place.runs("slow@3")}) == 2


def test_transient_failures_are_retried_and_permanent_ones_are_not(place: Place) -> None:
    """A transient failure is retried until it works, a permanent one fails at once; a manual retry runs it again."""
    place.work()
    place.reply("flaky")
    broken = place.reply("broken")
    until(lambda: place.states() == {"flaky": "completed", "broken": "failed"}, "both ended")
    assert len(place.runs("flaky")) == 3
    assert len(place.runs("broken")) == 1
    row = place.jobs.row(broken)
    assert (row.error, row.error_class, row.attempts) == ("this can never work", "permanent", 1)
    place.jobs.retry(broken)
    until(lambda: len(place.runs("broken")) == 2, "tried by hand")


def test_one_tenant_at_its_limit_does_not_delay_another(place: Place) -> None:
    """While a hundred slow jobs of a tenant wait, another tenant's job completes before half of them."""
    for n in range(100):
        place.reply(f"noisy-{n:03}@0.5", tenant="noisy")
    place.reply("calm", tenant="calm")
    place.work()
    until(lambda: "calm" in place.done(), "the calm tenant's job is done")
    assert sum(what.startswith("noisy") for what in place.done()) < 50


def test_two_workers_start_each_tick_once(place: Place) -> None:
    """Two workers start after eight hours without a tick: each schedule's jobs cover every tick once."""
    begin = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=8)
    place.jobs.ledger.progress(dict.fromkeys(EVERY_MINUTE, begin))
    for _ in range(2):
        place.work()
    until(lambda: len(place.jobs.rows(queue="aggregation", state="completed")) >= 3, "caught up")
    time.sleep(3)
    covered: dict[str, list[str]] = {}
    for row in place.jobs.rows(queue="aggregation"):
        payload = place.jobs.row(row.id).payload
        covered.setdefault(payload["relation"], []).extend(payload["ticks"])
    for name in EVERY_MINUTE:
        ticks = sorted(datetime.fromisoformat(tick) for tick in covered[name])
        assert ticks[0] == begin + timedelta(minutes=1)
        assert all(b - a == timedelta(minutes=1) for a, b in itertools.pairwise(ticks)), "each once, none left out"
        assert len(ticks) >= 480


def test_a_job_noted_by_a_dead_process_is_started(place: Place) -> None:
    """A job noted by a process that died before starting it is started by the next worker, and the note is cleared."""
    begin = datetime.now(UTC).replace(second=0, microsecond=0)
    place.jobs.ledger.progress(dict.fromkeys(EVERY_MINUTE, begin))
    noted = {"job": "s0:noted", "ticks": [begin.isoformat()]}
    assert place.jobs.ledger.claim("s0", begin, begin + timedelta(seconds=1), noted)
    place.work()
    done = "s0:noted"
    until(lambda: done in [r.id for r in place.jobs.rows(queue="aggregation", state="completed")], "started and done")
    assert place.jobs.ledger.progress({"s0": begin})["s0"].pending is None


def test_waiting_jobs_are_cancelled_and_ordered_by_priority(place: Place) -> None:
    """A waiting job can be cancelled and retried; the job with the first priority is among the first four to start."""
    late = [place.reply(f"late-{n}@0.5") for n in range(8)]
    cancelled = place.reply("cancelled")
    place.jobs.start("ai-responses", {"reference": "first"}, tenant="acme", priority=1)
    delayed = place.jobs.start("ai-responses", {"reference": "delayed"}, tenant="acme", delay=3600)
    assert place.jobs.cancel(cancelled).state == "cancelled"
    assert place.jobs.row(delayed).state == "delayed"
    place.work()
    until(lambda: all(place.jobs.row(job).state == "completed" for job in late), "done")
    assert place.done() == ["first", *(f"late-{n}@0.5" for n in range(8))]
    begun = sorted(place.runs(what)[0][1] for what in place.done())
    assert place.runs("first")[0][1] in begun[:4], "four of a tenant run at once, and it is among the first four"
    place.jobs.retry(cancelled)
    until(lambda: "cancelled" in place.done(), "retried")


def test_prune_keeps_the_history_of_the_queues_policy(place: Place) -> None:
    """`prune` deletes ended jobs beyond the queue's history and returns their payloads; the newest stay."""
    from dataclasses import replace  # noqa: PLC0415

    from hubbub.jobs.policies import QUEUES  # noqa: PLC0415

    place.work()
    for n in range(12):
        place.reply(f"job-{n:02}")
    until(lambda: list(place.states().values()) == ["completed"] * 12, "all done")
    gone = place.jobs.prune(replace(QUEUES["ai-responses"], completed=5), 0)
    assert len(gone) == 7
    assert all(set(payload) == {"reference"} for payload in gone)
    assert len(place.states()) == 5


def test_a_pickle_in_the_database_is_never_opened(place: Place) -> None:
    """A job whose row claims to be a pickle runs no code; other jobs go on."""
    job = place.jobs.start("ai-responses", {"reference": "x"}, tenant="acme", delay=2)
    engine = sa.create_engine(place.url) if place.url.startswith("sqlite") else postgresql(place.url)
    schema = "" if place.url.startswith("sqlite") else "dbos."
    evil = "gASVJwAAAAAAAACMBXBvc2l4lIwGc3lzdGVtlJOUjAx0b3VjaCAvdG1wL3iUhZRSlC4="
    with engine.begin() as con:
        for table in ("workflow_status", "workflow_input"):
            columns = {c["name"] for c in sa.inspect(con).get_columns(table, schema=schema.rstrip(".") or None)}
            if "inputs" in columns and "workflow_uuid" in columns:
                con.execute(
                    sa.text(f"UPDATE {schema}{table} SET inputs = :evil WHERE workflow_uuid = :job"),
                    {"evil": evil, "job": job},
                )
        con.execute(
            sa.text(f"UPDATE {schema}workflow_status SET serialization = 'py_pickle' WHERE workflow_uuid = :job"),
            {"job": job},
        )
    engine.dispose()
    Path("/tmp/x").unlink(missing_ok=True)
    place.work()
    place.reply("good")
    until(lambda: "good" in place.done(), "others go on")
    time.sleep(3)
    assert not Path("/tmp/x").exists()
    assert "x" not in place.done()


@pytest.mark.slow
@pytest.mark.parametrize("jobs_url", ["postgres"], indirect=True)
def test_workers_survive_an_outage_of_postgresql(place: Place, postgres: Any) -> None:
    """Workers survive while PostgreSQL is away and log little; when it is back, all jobs complete, each with one effect."""
    workers = [place.work(), place.work()]
    for n in range(30):
        place.reply(f"job-{n:02}@0.5", tenant=f"t{n % 5}")
    until(lambda: place.done(), "the first is done")
    postgres.stop()
    with pytest.raises(DatabaseUnavailableError):
        place.jobs.rows()
    time.sleep(AWAY)
    assert [worker.poll() for worker in workers] == [None, None]
    postgres.start()
    until(lambda: not place.jobs.in_flight() and not place.jobs.ledger.retrying(), "all ended")
    assert set(place.states().values()) == {"completed"}
    assert len(place.done()) == 30
    lines = (place.folder / "worker-0.log").read_text().splitlines()
    assert sum("jobs database" in line or '"clock"' in line for line in lines) < 5 * AWAY + 60


@pytest.mark.slow
@pytest.mark.parametrize("jobs_url", ["postgres"], indirect=True)
def test_a_worker_ends_while_postgres_is_away(place: Place, postgres: Any) -> None:
    """SIGTERM ends a worker with 0 though it cannot hand back its job; another worker completes it."""
    worker = place.work()
    place.reply("long@3")
    until(lambda: place.jobs.in_flight()[0].state == "active", "it runs")
    postgres.stop()
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=40) == 0
    postgres.start()
    place.work()
    until(lambda: set(place.states().values()) == {"completed"}, "taken over")
