"""Several servers and workers, each with a data folder of its own, on one ClickHouse and one control database."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import msgspec

import hubbub
from hubbub.app import Engine
from hubbub.model.event import Event
from hubbub.settings import load
from tests.acceptance.conftest import tables_of
from tests.integration import child
from tests.integration.test_serve import PROGRAM, environment, free_port, until
from tests.support.clickhouse import ClickHouse, clickhouse

FOREVER = {"raw": None, "hour": None, "day": None, "week": None, "month": None}


@dataclass
class Server:
    """A `hubbub serve` on a port of its own."""

    name: str
    port: int
    process: subprocess.Popen[str]

    @property
    def url(self) -> str:
        """Return its address."""
        return f"http://127.0.0.1:{self.port}"

    def post(self, key: str, events: Sequence[Event]) -> httpx2.Response:
        """Send events."""
        body = msgspec.json.encode(list(events))
        return httpx2.post(
            f"{self.url}/v1/events", content=body, timeout=60,
            headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
        )  # fmt: skip

    def ready(self) -> Any:
        """Return what it says of itself, None when it does not answer."""
        try:
            return httpx2.get(f"{self.url}/readyz", timeout=60)
        except httpx2.TransportError:
            return None

    def refreshes(self) -> int:
        """Return how many refreshes it counts."""
        told = httpx2.get(f"{self.url}/metrics", timeout=60).text.splitlines()
        return sum(int(float(line.split()[-1])) for line in told if line.startswith("hubbub_refreshes_total{"))


@dataclass
class Cluster:
    """An installation of several processes; `judge` is one more of them, in the process of the test."""

    folder: Path
    engine: ClickHouse
    set: dict[str, Any]
    judge: Engine
    together: bool = False
    processes: dict[str, subprocess.Popen[str]] = field(default_factory=dict)

    def start(self, name: str, *words: str) -> subprocess.Popen[str]:
        """Start a command that stays, in a folder of its own unless all are `together`."""
        env = environment() | {f"HUBBUB_{key.upper()}": str(value) for key, value in self.set.items()}
        data = self.folder / ("together" if self.together else name)
        with (self.folder / f"{name}.log").open("a") as log:
            made = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, *words, "--data", str(data)],
                stdout=log, stderr=subprocess.STDOUT, text=True, env=env,
            )  # fmt: skip
        self.processes[name] = made
        return made

    def serve(self, *names: str) -> list[Server]:
        """Start servers at the same moment and wait until they are ready."""
        ports = [free_port() for _ in names]
        made = [
            Server(name, port, self.start(name, "serve", "--port", str(port)))
            for name, port in zip(names, ports, strict=True)
        ]
        for server in made:
            until(lambda server=server: self._answers(server), f"{server.name} is ready")  # type: ignore[misc]
        return made

    def _answers(self, server: Server) -> bool:
        assert server.process.poll() is None, self.log(server.name)
        answer = server.ready()
        return answer is not None and answer.status_code == 200

    def log(self, name: str) -> str:
        """Return what a process said."""
        return (self.folder / f"{name}.log").read_text()

    def kill(self, name: str) -> None:
        """End a process without a warning."""
        self.processes[name].send_signal(signal.SIGKILL)
        self.processes[name].wait(timeout=60)

    def tenant(self, name: str) -> str:
        """Make a tenant that keeps everything; returns a key of it."""
        self.judge.add_tenant(name, zone="America/New_York", retention=FOREVER)
        return str(self.judge.add_key(name, scopes=["ingest", "read"])["key"])

    def ids(self, tenant: str) -> Counter[str]:
        """Return how often each event of a tenant counts."""
        no = self.judge.control.tenant(tenant).no
        return Counter(
            dict(
                self.judge.store.query("SELECT id, count(*) FROM events WHERE tenant = $t GROUP BY id", {"t": no}).rows
            )
        )

    def settled(self, *servers: Server) -> None:
        """Wait until all servers say that nothing waits for a fold."""
        for server in servers:
            until(lambda server=server: self._up_to_date(server), f"{server.name} is up to date")  # type: ignore[misc]

    @staticmethod
    def _up_to_date(server: Server) -> bool:
        answer = server.ready()
        return answer is not None and answer.status_code == 200 and answer.json()["behind_events"] == 0

    def same_as_alone(self, tenant: str, events: Sequence[Event]) -> None:
        """See that a tenant's rollups are, row by row, those of an embedded store that got the events once, and verify clean."""
        folder = self.folder / f"alone-{tenant}"
        with hubbub.open(folder, threads=1, memory_limit="300MB", free_floor_mb=0) as alone:
            alone.add_tenant(tenant, zone="America/New_York", retention=FOREVER)
            assert alone.accept(tenant, events).rejected == []
            assert alone.refresh()["errors"] == {}
            truth = tables_of(alone, tenant)
        assert truth
        assert self.judge.refresh()["errors"] == {}
        assert tables_of(self.judge, tenant) == truth
        assert self.judge.verify(tenant)["clean"]


@contextmanager
def cluster(folder: Path, control_url: str, *, together: bool = False) -> Iterator[Cluster]:
    """Give an installation without processes yet; whatever is started is gone afterwards."""
    with ExitStack() as opened:
        engine = opened.enter_context(clickhouse(folder / "clickhouse"))
        jobs = control_url.replace("control.db", "jobs.db")
        told = {
            "store_url": f"clickhouse://127.0.0.1:{engine.port}/shared",
            "control_url": control_url,
            "jobs_url": jobs,
            "refresh_seconds": 2,
            **({} if together else {"secret_key": "5c" * 32}),
        }
        data = folder / ("together" if together else "judge")
        judge = opened.enter_context(Engine(load(data=data, threads=1, free_floor_mb=0, **told)))
        made = Cluster(folder, engine, told, judge, together)
        try:
            yield made
        finally:
            for one in made.processes.values():
                if one.poll() is None:
                    one.terminate()
            for one in made.processes.values():
                one.wait(timeout=60)


def stream(count: int) -> list[Event]:
    """Return events of forty days, every ninth of which is corrected later by a higher revision."""
    plain = [child.event(number) for number in range(count)]
    return plain + [
        msgspec.structs.replace(event, revision=2, topic="delay", sentiment="negative") for event in plain[::9]
    ]


def shuffled(events: Sequence[Event], seed: int, size: int) -> list[list[Event]]:
    """Return events in an order of its own, in batches."""
    mixed = list(events)
    random.Random(seed).shuffle(mixed)
    return [mixed[start : start + size] for start in range(0, len(mixed), size)]
