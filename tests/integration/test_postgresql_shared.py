"""Two servers and two workers on one PostgreSQL, with and without a copy in ClickHouse, are killed again and again; so
are one server and two workers on a data folder.

Clients send bodies to either server until they are acknowledged, some twice, with times anywhere in forty days, so that
most are late. Answers meanwhile count every acknowledged event. At the end every number equals that of a data folder
that got the same events at once.
"""

from __future__ import annotations

import random
import signal
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from hubbub.app import Engine
from tests.clickhouse.server import ClickHouse
from tests.conftest import empty_database
from tests.extent import KILLS_OF_SHARING
from tests.integration.child import TENANTS, prepare
from tests.integration.clients import SEED, Asker, Clients, check
from tests.integration.cluster import Cluster, cluster
from tests.integration.test_serve import until

REST = 0.3
"""Seconds that a client waits after a body: the test is about order, not about load."""


@pytest.fixture
def here(postgres: Any, beside: ClickHouse | None, tmp_path: Path) -> Iterator[Cluster]:
    """An installation in an empty database, with three tenants."""
    copy_url = f"clickhouse://127.0.0.1:{beside.port}/hubbub" if beside else ""
    with cluster(empty_database(postgres), tmp_path, copy_url) as made:
        with made.engine() as engine:
            prepare(engine)
        yield made


def states(engine: Engine, jobs: Sequence[str]) -> set[str]:
    """Return the states of jobs."""
    return {engine.jobs.get(job).state for job in jobs}


@pytest.mark.slow
@pytest.mark.timeout(2_400)
def test_processes_that_share_a_database_are_killed(here: Cluster, beside: ClickHouse | None, tmp_path: Path) -> None:
    """Servers, workers and ClickHouse are killed at random while clients send: answers count what was acknowledged;
    then every event is stored once, every number is right, `hubbub verify` is clean, and all jobs complete.
    """
    check_kills(here, 2, beside, tmp_path / "truth")


@pytest.mark.slow
@pytest.mark.timeout(2_400)
def test_processes_of_a_folder_are_killed(tmp_path: Path) -> None:
    """The same holds for one server and two workers on a data folder."""
    with cluster("", tmp_path) as here:
        with here.engine() as engine:
            prepare(engine)
        check_kills(here, 1, None, tmp_path / "truth")


def check_kills(here: Cluster, count: int, beside: ClickHouse | None, truth: Path) -> None:
    """Kill one of `count` servers, one of two workers and ClickHouse again and again, then check numbers, facts and jobs."""
    draw = random.Random(SEED)
    with here.engine() as engine:
        keys = {name: engine.keys.add(name).key for name in TENANTS}
        servers = [here.start("serve") for _ in range(count)]
        workers = [here.start("worker") for _ in range(2)]
        urls = [one.url for one in servers]
        clients = Clients(keys, lambda: urls, times=(1, 1, 2), rest=REST)
        asker = Asker(keys, lambda: urls, clients)
        killed, jobs = Counter[str](), []
        pause = threading.Event()
        with clients.sending(), asker.asking():
            for turn in range(KILLS_OF_SHARING):
                jobs.append(engine.schedules.trigger("trend-aggregation").id)
                for victim in (servers[turn % count], workers[turn % 2]):
                    pause.wait(draw.uniform(0.3, 2.0))
                    killed[victim.name] += 1
                    victim.kill()
                    here.bring(victim)
                if beside is not None:
                    beside.kill()
                    pause.wait(draw.uniform(0.0, 2.0))
                    beside.start()
            pause.wait(0.5)
        assert all(one.alive for one in here.processes)
        until(lambda: states(engine, jobs) <= {"completed", "parked"}, "all jobs are done")
        for job in [
            job for job in jobs if engine.jobs.get(job).state == "parked"
        ]:  # three of its processes were killed
            engine.jobs.retry(job)
        until(lambda: states(engine, jobs) == {"completed"}, "those that were parked are done, too")
        for one in here.processes:
            assert one.running is not None
            one.running.terminate()
            assert one.running.wait(60) in (0, -signal.SIGTERM)  # a worker may just have started
        engine.refresh()
        with engine.store.facts.read() as reading:
            tables = ("log", "todo") if here.url else ("todo",)
            assert [reading.value(f"SELECT count(*) FROM {table}") for table in tables] == [0] * len(tables)
        if engine.store.copy is not None:
            assert engine.store.copy.away is None and engine.store.copy.waiting() == []
        total = check(engine, truth, clients.sent, clients.sent)
    verified = here.run("verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    print(
        f"seed {SEED}: killed {dict(killed)}; {total} events in {clients.bodies} bodies, {clients.cut_off} of them cut off; "
        f"answers by status {dict(asker.answers)}"
    )
    assert total > 0 and asker.answers[200] > 0 and asker.wrong == []
