"""Two servers and two workers on one PostgreSQL, any of which is killed again and again while clients send to both servers.

What the clients sent is the journal. A client sends a body until it is acknowledged, to either server, and some of it once more;
events lie anywhere in forty days, so that most are late. At the end the same events, given to a data folder at once, are the truth
for every number.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest

import hubbub
from hubbub.app import Engine
from hubbub.model.tenant import KEEP_EVERYTHING
from tests.conftest import empty_database
from tests.extent import KILLS_OF_SHARING
from tests.integration.child import TENANTS, event, prepare
from tests.integration.cluster import Cluster, Process, cluster
from tests.integration.test_serve import until
from tests.laws.test_laws import EVERYTHING

SEED = 20261201
CLIENTS = 4
SPAN: dict[str, Any] = {"start": "2026-02-27", "end": "2026-05-01"}


class Clients:
    """Senders of numbered events to any of several servers; `sent` holds the numbers of each tenant."""

    def __init__(self, servers: Sequence[Process], keys: dict[str, str]) -> None:
        self.sent: dict[str, set[int]] = {name: set() for name in TENANTS}
        self.strange: list[str] = []
        self.again = self.bodies = 0
        self._servers, self._keys = servers, keys
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._send, args=(n,), daemon=True) for n in range(CLIENTS)]

    def _send(self, who: int) -> None:
        draw, turn = random.Random(SEED + who), 0
        with httpx2.Client(timeout=60) as http:
            while not self._stop.is_set():
                count, place = draw.choice((1, 7, 60)), draw.randrange(len(TENANTS))
                numbers = [3 * (who * 10**6 + turn + n) + place for n in range(count)]
                turn += count
                self.sent[f"shop-{place}"].update(numbers)
                body = b"[" + b",".join(msgspec.json.encode(event(n)) for n in numbers) + b"]"
                for _ in range(draw.choice((1, 1, 2))):
                    while not self._taken(http, draw.choice(self._servers), f"shop-{place}", body):
                        self._stop.wait(0.05)
                self._stop.wait(0.05)  # what is to be tested is the order of things, and not how much is folded

    def _taken(self, http: httpx2.Client, server: Process, tenant: str, body: bytes) -> bool:
        self.bodies += 1
        try:
            answer = http.post(
                f"{server.url}/v1/events", content=body, headers={"Authorization": f"Bearer {self._keys[tenant]}"}
            )
        except httpx2.TransportError:  # it was killed: whether this body was stored is not known
            self.again += 1
            return False
        if answer.status_code != 202 or answer.json()["rejected"]:
            self.strange.append(answer.text[:300])
            self._stop.set()
        return True

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Send for the length of the block, and until the last body is acknowledged."""
        for one in self._threads:
            one.start()
        try:
            yield
        finally:
            self._stop.set()
            for one in self._threads:
                one.join(timeout=120)
        assert self.strange == []
        assert not any(one.is_alive() for one in self._threads)


@pytest.fixture
def here(postgres: Any, tmp_path: Path) -> Iterator[Cluster]:
    """An installation in an empty database, with three tenants."""
    with cluster(empty_database(postgres), tmp_path) as made:
        with made.engine() as engine:
            prepare(engine)
        yield made


def check(shared: Engine, folder: Path, sent: dict[str, set[int]]) -> int:
    """Check that each number was stored once, and that every metric of every day is what a folder says; returns how many."""
    with hubbub.open(folder, free_floor_mb=0) as truth:
        for name, zone in TENANTS.items():
            no = shared.control.tenant(name).no
            with shared.store.facts.read() as reading:
                stored = Counter(row[0] for row in reading.rows("SELECT id FROM event WHERE tenant = ?", (no,)))
            assert stored == Counter(f"event-{n}" for n in sent[name])
            truth.ensure_tenant(name, zone, retention=KEEP_EVERYTHING)
            truth.accept(name, [event(n) for n in sorted(sent[name])], history=True)
            answers = [one.query(name, metrics=EVERYTHING, **SPAN, grain="day")["rows"] for one in (shared, truth)]
            assert answers[0] == answers[1]
    return sum(map(len, sent.values()))


def states(engine: Engine, jobs: Sequence[str]) -> set[str]:
    """Return the states in which jobs are."""
    return {engine.job(job)["state"] for job in jobs}


@pytest.mark.timeout(2_400)
def test_processes_that_share_a_database_are_killed(here: Cluster, tmp_path: Path) -> None:
    """One of two servers and one of two workers are killed at random moments while four clients send to both: every event is there
    once, every number is what a folder says that got the same, `hubbub verify` finds nothing, nothing waits, and all jobs end."""
    draw = random.Random(SEED)
    with here.engine() as engine:
        keys = {name: engine.keys.add(name).key for name in TENANTS}
        servers = [here.start("serve") for _ in range(2)]
        workers = [here.start("worker") for _ in range(2)]
        clients, killed, jobs = Clients(servers, keys), Counter[str](), []
        pause = threading.Event()
        with clients.sending():
            for turn in range(KILLS_OF_SHARING):
                jobs.append(engine.desk.trigger_schedule("trend-aggregation")["id"])
                for victim in (servers[turn % 2], workers[turn % 2]):
                    pause.wait(draw.uniform(0.3, 2.0))
                    killed[victim.folder.name] += 1
                    victim.kill()
                    here.bring(victim)
            pause.wait(0.5)
        assert all(one.alive for one in here.processes)
        until(lambda: states(engine, jobs) <= {"completed", "parked"}, "all jobs are done")
        for job in [job for job in jobs if engine.job(job)["state"] == "parked"]:  # three of its processes were killed
            engine.desk.retry_job(job)
        until(lambda: states(engine, jobs) == {"completed"}, "those that were parked are done, too")
        for one in here.processes:
            assert one.running is not None
            one.running.terminate()
            assert one.running.wait(60) == 0
        engine.refresh()
        with engine.store.facts.read() as reading:
            assert reading.value("SELECT count(*) FROM log") == reading.value("SELECT count(*) FROM todo") == 0
        total = check(engine, tmp_path / "truth", clients.sent)
    verified = here.run("verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    print(
        f"seed {SEED}: killed {dict(killed)}; {total} events in {clients.bodies} bodies, {clients.again} of them cut off"
    )
    assert total > 0
