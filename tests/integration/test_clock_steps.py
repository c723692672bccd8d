"""The clock of a working process steps by hours: each tick is in one job, and jobs go on."""

from __future__ import annotations

import itertools
import time
from datetime import datetime, timedelta

import pytest

from hubbub.jobs.worker import CLOCK_SECONDS
from tests.integration.clock import Clock, clock
from tests.integration.test_jobs import Place, place, until

__all__ = ["clock", "place"]
pytestmark = pytest.mark.slow
HOUR = 3600
STEPS = {"23 hours back": -23, "23 hours on": 0, "an hour back": -1, "an hour on": 0}
"""Step of the clock -> hours by which it is ahead of the real one afterwards."""


def ticks(place: Place, schedule: str) -> list[list[datetime]]:
    """Return the ticks of each job of a schedule that runs every minute."""
    jobs = [place.jobs.row(row.id) for row in place.jobs.rows(queue="aggregation", limit=500)]
    return sorted(
        [datetime.fromisoformat(tick) for tick in job.payload["ticks"]]
        for job in jobs
        if job.payload["relation"] == schedule
    )


@pytest.mark.timeout(1_200)
def test_jobs_go_on_when_the_clock_steps(place: Place, clock: Clock) -> None:
    """After each step of the clock all jobs complete (above the tenant's rate, delayed, retried), a rhythm runs, and
    each minute is in one job.
    """
    place.work(**clock.env)
    begun: set[str] = set()

    def done(name: str) -> None:
        started = {f"{name} {n}" for n in range(12)} | {f"flaky {name}"}
        for what in started:
            place.reply(what)
        begun.update(started)
        until(lambda: begun <= set(place.done()), f"jobs are done, {name}", patience=60)

    done("at first")
    for name, hours in STEPS.items():
        time.sleep(CLOCK_SECONDS + 2)  # the worker has looked at the clock since the last step
        delayed = f"delayed {name}"
        place.jobs.start("ai-responses", {"reference": delayed}, tenant="acme", delay=5)
        begun.add(delayed)
        rhythms = len(ticks(place, "s2"))
        clock.set(hours * HOUR)
        done(name)
        until(lambda rhythms=rhythms: len(ticks(place, "s2")) > rhythms, f"the rhythm goes on, {name}")  # type: ignore[misc]
    for schedule in ("s0", "s1"):
        minutes = list(itertools.chain(*ticks(place, schedule)))
        assert minutes == [minutes[0] + timedelta(minutes=n) for n in range(len(minutes))]
