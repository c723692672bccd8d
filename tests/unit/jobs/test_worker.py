"""A worker's clock: whatever happens to its process, each tick is in exactly one job."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from croniter import CroniterError
from hypothesis import given, settings
from hypothesis import strategies as st

from hubbub.jobs.ledger import Ledger
from hubbub.jobs.schedule import Schedule, ticks
from hubbub.jobs.worker import Worker

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SCHEDULES = {
    "hourly": Schedule("hourly", "5 * * * *", "aggregation", "For tests.", {"relation": "hourly"}),
    "daily": Schedule("daily", "0 2 * * *", "snapshots", "For tests.", {"kind": "daily"}),
}
RHYTHM = Schedule("often", "*/5 * * * *", "alerts", "For tests.", {}, rhythm=True)


class Queues:
    """Queues that only note each started job once, and can be set to fail."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.started: dict[str, Mapping[str, Any]] = {}
        self.broken = False

    def start(self, queue: str, payload: Mapping[str, Any], *, job_id: str) -> str:
        """Note a job."""
        if self.broken:
            raise ConnectionError("the database is away")
        self.started.setdefault(job_id, payload)
        return job_id

    def heed_clock(self) -> None:
        """Do nothing: no rate is counted."""

    def move_back(self, by: timedelta) -> None:
        """Do nothing: no job is delayed."""

    def adopt(self, alive: Collection[str]) -> dict[str, str]:
        """Return no job."""
        return {}

    def stranded(self, process: str, running: Collection[str]) -> list[str]:
        """Return no job."""
        return []

    def ticks(self, name: str) -> list[datetime]:
        """Return every tick that a job of a schedule covers."""
        jobs = [payload for job, payload in self.started.items() if job.startswith(f"{name}:")]
        return sorted(datetime.fromisoformat(tick) for payload in jobs for tick in payload["ticks"])


class Services:
    """Services that only note each step of the clock."""

    def __init__(self) -> None:
        self.moved: list[tuple[datetime, timedelta]] = []

    def move_back(self, now: datetime, by: timedelta) -> None:
        """Note the step."""
        self.moved.append((now, by))


class Hand:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        """Return the time it shows."""
        return self.now


@pytest.fixture
def queues(tmp_path: Path) -> Iterator[Queues]:
    """Return queues over an empty ledger."""
    ledger = Ledger(f"sqlite:///{tmp_path / 'jobs.db'}")
    yield Queues(ledger)
    ledger.close()


def two(queues: Queues, clock: Hand) -> list[Worker]:
    """Return two workers with the same clock."""
    return [Worker(queues, Services(), SCHEDULES | {"often": RHYTHM}, clock) for _ in range(2)]  # type: ignore[arg-type]


def test_a_clock_that_steps_takes_each_tick_once(queues: Queues) -> None:
    """Forward by a day, back by a day, forward by minutes: no tick is taken twice and none is missing."""
    clock = Hand()
    workers = two(queues, clock)
    highest = NOW
    for step in (0, 1, 24, -24, -1, 2, 0.5, 30, -3, 5):
        clock.now += timedelta(hours=step)
        highest = max(highest, clock.now)
        for worker in workers:
            worker._heed_clock()
            worker._tick()
    for name, schedule in SCHEDULES.items():
        assert queues.ticks(name) == ticks(schedule.cron, NOW, highest)


@pytest.mark.parametrize("hours", [-23, 23, -1])
def test_a_rhythm_continues_after_a_step_of_the_clock(queues: Queues, hours: int) -> None:
    """After any step of the clock a rhythm has one new job at its next tick; services hear only of steps back, once."""
    clock = Hand()
    services = Services()
    workers = [Worker(queues, services, {"often": RHYTHM}, clock) for _ in range(2)]  # type: ignore[arg-type]

    def minutes(count: int) -> list[str]:
        known = set(queues.started)
        for _ in range(count):
            clock.now += timedelta(minutes=1)
            for worker in workers:
                worker._heed_clock()
                worker._tick()
        return sorted(set(queues.started) - known)

    assert len(minutes(10)) == 2
    clock.now += timedelta(hours=hours)
    assert len(minutes(10)) == (2 if hours < 0 else 3)  # one more for the skipped ticks
    minutes(30)
    back = timedelta(hours=-hours, minutes=-1)
    assert services.moved == ([(NOW + timedelta(hours=hours, minutes=11), back)] if hours < 0 else [])


@dataclass
class Machine:
    """A worker on a machine with a clock and a ledger of its own."""

    clock: Hand
    services: Services
    worker: Worker

    def round(self) -> list[tuple[datetime, timedelta]]:
        """Do what a worker does within some seconds; return the steps that the services have noted so far."""
        for duty in (self.worker._heartbeat, self.worker._adopt, self.worker._heed_clock, self.worker._tick):
            duty()
        return self.services.moved


@pytest.fixture
def machines(queues: Queues, tmp_path: Path) -> Iterator[list[Machine]]:
    """Return two machines, the first an hour ahead."""
    ledger = Ledger(f"sqlite:///{tmp_path / 'jobs.db'}")
    other = Queues(ledger)
    other.started = queues.started
    made = []
    for jobs in (queues, other):
        clock, services = Hand(), Services()
        made.append(Machine(clock, services, Worker(jobs, services, {"often": RHYTHM}, clock)))  # type: ignore[arg-type]
    made[0].clock.now += timedelta(hours=1)
    yield made
    ledger.close()


def test_a_machine_that_is_ahead_begins_no_schedule_again(queues: Queues, machines: list[Machine]) -> None:
    """While one of two machines is an hour ahead, no schedule begins again: each tick is in one job, early. When that clock is set
    right, schedules begin again once, and each machine's next tick is on time."""
    for _ in range(60):
        for machine in machines:
            machine.clock.now += timedelta(minutes=1)
            assert machine.round() == []
    early = queues.ticks("often")
    assert early == ticks(RHYTHM.cron, NOW + timedelta(hours=1), machines[0].clock.now)
    machines[0].clock.now -= timedelta(hours=1)
    for _ in range(10):
        for machine in machines:
            machine.clock.now += timedelta(minutes=1)
            machine.round()
    assert sum(len(machine.services.moved) for machine in machines) == 1
    after = [job for job in queues.started if job.endswith(":1")]
    assert after == ["often:2026-03-01T01:05:1", "often:2026-03-01T01:10:1"]


def test_a_machine_that_was_ahead_and_ended_is_not_waited_for(
    machines: list[Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that was ahead and sends no heartbeats any more is ignored: schedules begin again, once."""
    ahead, right = machines
    ahead.round()
    assert right.round() == []
    monkeypatch.setattr("hubbub.jobs.worker.DEAD_AFTER", 0.0)
    assert right.round() == right.round() == [(NOW, timedelta(hours=1))]


def test_one_bad_schedule_stops_itself_alone(queues: Queues) -> None:
    """A schedule whose cron never fires fails, and those before and after it start the jobs that are due."""
    bad = Schedule("bad", "0 0 31 2 *", "aggregation", "For tests.", {})
    clock = Hand()
    worker = Worker(queues, object(), {"bad": bad, **SCHEDULES, "worse": bad}, clock)  # type: ignore[arg-type]
    for _ in range(2):
        with suppress(CroniterError):
            worker._tick()
        clock.now += timedelta(days=1)
    with pytest.raises(CroniterError):
        worker._tick()
    assert len(queues.ticks("hourly")) == 48
    assert len(queues.ticks("daily")) == 2


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.floats(-30, 50), st.booleans(), st.integers(0, 1)), min_size=1, max_size=12))
def test_each_tick_is_in_one_job(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[float, bool, int]]
) -> None:
    """Two workers tick in any order while the clock steps and the queues fail now and then; in the end each tick is in one job."""
    ledger = Ledger(f"sqlite:///{tmp_path_factory.mktemp('ledger') / 'jobs.db'}")
    try:
        queues, clock = Queues(ledger), Hand()
        workers = two(queues, clock)
        workers[0]._tick()
        highest = NOW
        for hours, broken, turn in steps:
            clock.now = max(NOW, clock.now + timedelta(hours=hours))
            highest = max(highest, clock.now)
            queues.broken = broken
            with suppress(ConnectionError):
                workers[turn]._heed_clock()
                workers[turn]._tick()
        queues.broken = False
        clock.now = highest
        for worker in workers * 2:
            worker._tick()
        for name, schedule in SCHEDULES.items():
            assert queues.ticks(name) == ticks(schedule.cron, NOW, highest)
    finally:
        ledger.close()
