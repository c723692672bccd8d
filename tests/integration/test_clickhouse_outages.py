"""A server and a worker on PostgreSQL and ClickHouse, while ClickHouse is away, hangs or is killed, and while the clock steps."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.clickhouse.server import ClickHouse, clickhouse
from tests.conftest import empty_database
from tests.extent import AWAY
from tests.integration.clock import Clock, clock
from tests.integration.cluster import Cluster, cluster
from tests.integration.test_postgresql_away import QUESTION, Caller, Senders, check_problem
from tests.integration.test_serve import until

__all__ = ["clock"]
pytestmark = pytest.mark.slow
STEPS = {"23 hours on": 82_800, "23 hours back": 0, "an hour back": -3_600, "an hour on": 0}
"""Step of the clock -> seconds by which it is ahead of the real one afterwards."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ClickHouse]:
    """A running ClickHouse."""
    pytest.importorskip("chdb")
    with clickhouse(tmp_path / "clickhouse") as made:
        yield made


@pytest.fixture
def here(postgres: Any, server: ClickHouse, clock: Clock, tmp_path: Path) -> Iterator[Cluster]:
    """An installation in empty databases whose clock can step."""
    copy_url = f"clickhouse://127.0.0.1:{server.port}/hubbub"
    with cluster(empty_database(postgres), tmp_path, copy_url, **clock.env) as made:
        yield made


@contextmanager
def standing_still(server: ClickHouse) -> Iterator[None]:
    """Let a ClickHouse accept connections without answering, for the length of the block."""
    server.hang()
    try:
        yield
    finally:
        server.wake()


@contextmanager
def stopped(server: ClickHouse, how: Callable[[ClickHouse], object]) -> Iterator[None]:
    """End a ClickHouse with `how`, and start it again after the block."""
    how(server)
    try:
        yield
    finally:
        server.start()


@dataclass
class Watch:
    """Queries a server repeatedly. `lines` report each outage."""

    ask: Caller
    senders: Senders
    lines: list[str] = field(default_factory=list)

    def note(self, line: str) -> None:
        """Record and print a line."""
        self.lines.append(line)
        print(line, flush=True)

    def messages(self) -> int:
        """Return the number of messages; it is at least the number acknowledged before the question."""
        least = len(self.senders.acknowledged)
        answer = self.ask("POST", "/v1/query", json=QUESTION)
        assert answer.status_code == 200, answer.text
        (row,) = answer.json()["rows"]
        assert row["messages"] >= least
        return int(row["messages"])

    def unharmed(self, name: str, trouble: AbstractContextManager[None]) -> None:
        """During the outage events are accepted, questions answered, and `/readyz` is 200 with the reason; afterwards
        it is "ready" again.
        """
        known, taken = len(self.senders.problems), len(self.senders.acknowledged)
        slowest, asked, ready = 0.0, 0, Counter[str]()
        with trouble:
            begun = time.monotonic()
            while time.monotonic() - begun < AWAY:
                start = time.monotonic()
                self.messages()
                slowest, asked = max(slowest, time.monotonic() - start), asked + 1
                answer = self.ask("GET", "/readyz")
                assert answer.status_code == 200
                ready[answer.json()["status"]] += 1
                time.sleep(0.2)
            taken = len(self.senders.acknowledged) - taken
        assert ready["ready, ClickHouse is away"] > 0 and taken > 0
        back = time.monotonic()
        until(lambda: self.messages() and self.ask("GET", "/readyz").json()["status"] == "ready", "it is read again")
        self.note(
            f"{name}: {asked} answers, the slowest after {slowest:.1f} s; {taken} events taken, "
            f"{len(self.senders.problems) - known} refused; {dict(ready)}; read again after {time.monotonic() - back:.1f} s"
        )


@pytest.mark.timeout(2_400)
def test_processes_survive_outages_of_clickhouse(here: Cluster, server: ClickHouse, clock: Clock) -> None:
    """Through outages of ClickHouse and steps of the clock the same processes go on; every acknowledged event counts
    once, and facts verify.
    """
    with here.engine() as engine:
        engine.add_tenant("acme")
        key = engine.keys.add("acme").key
    process, worker = here.start("serve"), here.start("worker")
    senders = Senders(process.url, key, rest=0.5)
    watch = Watch(Caller(process.url, key), senders)
    until(lambda: len(senders.acknowledged) > 20, "events come in")
    watch.unharmed("ClickHouse is away", stopped(server, ClickHouse.stop))
    watch.unharmed("ClickHouse is killed", stopped(server, ClickHouse.kill))
    watch.unharmed("ClickHouse hangs", standing_still(server))
    for name, seconds in STEPS.items():
        clock.set(seconds)
        known = len(senders.acknowledged)
        until(lambda known=known: len(senders.acknowledged) > known + 20, f"events come in, {name}")  # type: ignore[misc]
        answer = watch.ask("POST", "/v1/query", json=QUESTION)
        assert answer.status_code == 200, answer.text
        assert watch.ask("GET", "/readyz").json()["status"] == "ready"
    senders.end()
    for problem in senders.problems:
        check_problem(problem)
    assert process.alive and worker.alive
    with here.engine() as engine:
        job = engine.schedules.trigger("trend-aggregation").id
        until(lambda: engine.jobs.get(job).state == "completed", "the worker works")
        assert watch.messages() == len(senders.acknowledged)
        assert engine.verify()["clean"]
        copy = engine.store.copy
        assert copy is not None
        until(lambda: not copy.waiting(), "the tenants' rows are up to date")
        until(lambda: not copy.published_wait(), "the published tables are up to date")
    print(
        "\n".join(
            [*watch.lines, f"{len(senders.acknowledged)} acknowledged and counted, {len(senders.problems)} refused"]
        )
    )
