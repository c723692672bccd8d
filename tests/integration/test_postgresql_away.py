"""PostgreSQL hangs or is away under servers and workers: they say so within a bounded time, live on, and lose nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest

from hubbub.errors import StoreUnavailableError
from hubbub.storage.postgresql import Database
from hubbub.storage.postgresql_connection import HangingError, connect
from tests.clickhouse.server import ClickHouse
from tests.conftest import empty_database
from tests.extent import AWAY
from tests.integration.cluster import Cluster, away, cluster, hanging
from tests.integration.test_serve import message, until

pytestmark = pytest.mark.slow
Trouble = Callable[[Any], AbstractContextManager[None]]
QUESTION = {"metrics": ["messages"], "from": "2026-01-01", "to": "2099-12-31"}
FEW = 400
"""Most lines that a server and a worker log in an outage; the requests are many more."""
BOUND = 60
"""Seconds after which a client gives up."""


@pytest.fixture
def here(postgres: Any, beside: ClickHouse | None, tmp_path: Path) -> Iterator[Cluster]:
    """An installation in empty databases."""
    copy_url = f"clickhouse://127.0.0.1:{beside.port}/hubbub" if beside else ""
    with cluster(empty_database(postgres), tmp_path, copy_url) as made:
        yield made


class Senders:
    """Threads that send one event after another, each until it is acknowledged; `problems` holds the error answers.

    Each waits `rest` seconds after an event.
    """

    def __init__(self, url: str, key: str, rest: float = 0) -> None:
        self._rest = rest
        self.acknowledged: set[str] = set()
        self.problems: list[httpx2.Response] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._send, args=(url, key, n), daemon=True) for n in range(6)]
        for one in self._threads:
            one.start()

    def _send(self, url: str, key: str, who: int) -> None:
        with httpx2.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=BOUND) as http:
            number = 0
            while not self._stop.is_set():
                answer = http.post("/v1/events", json=message(f"{who}-{number}"))
                if answer.status_code == 202:
                    self.acknowledged.add(f"{who}-{number}")
                    number += 1
                    self._stop.wait(self._rest)
                else:
                    self.problems.append(answer)
                    self._stop.wait(0.2)

    def end(self) -> None:
        """Stop sending and wait for the threads."""
        self._stop.set()
        for one in self._threads:
            one.join(2 * BOUND)
        assert not any(one.is_alive() for one in self._threads)


def check_problem(answer: httpx2.Response) -> None:
    """Check that an error says to retry, and when."""
    assert answer.status_code == 503, answer.text
    assert answer.json()["code"] in ("store_unavailable", "database_unavailable", "store_busy"), answer.text
    assert int(answer.headers["retry-after"]) > 0


@dataclass
class Caller:
    """Sends requests to a server as a tenant."""

    url: str
    key: str

    def __call__(self, method: str, path: str, **how: Any) -> httpx2.Response:
        """Return the answer, which arrives within BOUND seconds."""
        header = {"Authorization": f"Bearer {self.key}"}
        return httpx2.request(method, f"{self.url}{path}", headers=header, timeout=BOUND, **how)


def outage(ask: Caller, senders: Senders, trouble: AbstractContextManager[None], here: Cluster) -> str:
    """During an outage every request gets 503 and the log few lines; afterwards events are accepted again and the
    server is ready. Return a summary.
    """
    known, lines, slowest = len(senders.problems), len(here.logs().splitlines()), 0.0
    with trouble:
        begun = time.monotonic()
        until(lambda: len(senders.problems) > known, "senders hear of it")
        while True:
            start = time.monotonic()
            check_problem(ask("POST", "/v1/query", json=QUESTION))
            slowest = max(slowest, time.monotonic() - start)
            ready = ask("GET", "/readyz")
            assert (ready.status_code, ready.json()["status"]) == (503, "the store does not answer")
            assert "does not answer" in ready.json()["error"]
            assert ask("GET", "/healthz").json() == {"status": "ok"}
            if time.monotonic() - begun >= AWAY:
                break
            time.sleep(0.5)
        taken, refused = len(senders.acknowledged), len(senders.problems) - known
    back = time.monotonic()
    until(lambda: len(senders.acknowledged) > taken + 6, "events come in again")
    until(lambda: ask("GET", "/readyz").status_code == 200, "it is ready again")
    seconds, lines = time.monotonic() - back, len(here.logs().splitlines()) - lines
    assert lines < FEW
    return f"{refused} refused, the slowest question after {slowest:.1f} s, {lines} lines, back after {seconds:.1f} s"


@pytest.mark.parametrize("trouble", [hanging, away])
def test_processes_survive_an_outage_of_postgresql(postgres: Any, here: Cluster, trouble: Trouble) -> None:
    """In an outage events, questions and /readyz get 503 with the reason, /healthz 200; afterwards the same processes
    go on, each acknowledged event counts once, jobs run, and facts verify.
    """
    with here.engine() as engine:
        engine.add_tenant("acme")
        key = engine.keys.add("acme").key
    server, worker = here.start("serve", "--no-jobs"), here.start("worker")
    senders = Senders(server.url, key)
    until(lambda: len(senders.acknowledged) > 20, "events come in")
    until(lambda: '"worker started"' in here.logs(), "the worker works")
    seen = outage(Caller(server.url, key), senders, trouble(postgres), here)
    senders.end()
    for problem in senders.problems:
        check_problem(problem)
    assert server.alive and worker.alive
    with here.engine() as engine:
        job = engine.schedules.trigger("trend-aggregation").id
        until(lambda: engine.jobs.get(job).state == "completed", "the worker works again")
        (row,) = engine.query("acme", metrics=["messages"], start="2026-01-01", end="2099-12-31")["rows"]
        assert row["messages"] == len(senders.acknowledged)
        assert engine.verify()["clean"]
    print(f"{len(senders.acknowledged)} acknowledged, {len(senders.problems)} answered with 503, none lost; {seen}")


def test_a_long_statement_does_not_mark_postgresql_as_away(postgres: Any) -> None:
    """A long silent statement is waited for; when the server hangs, all waiting statements fail, new ones too, and
    afterwards it is used again.
    """
    url = empty_database(postgres)
    with connect(url, autocommit=True) as con:
        assert con.execute("SELECT 1 FROM pg_sleep(4)").fetchall() == [(1,)]
    waiting = [connect(url, autocommit=True) for _ in range(3)]
    database = Database(url)
    found: list[Exception] = []

    def wait(con: psycopg.Connection[Any]) -> None:
        with pytest.raises(HangingError) as error:
            con.execute("SELECT 1 FROM pg_sleep(600)")
        found.append(error.value)

    threads = [threading.Thread(target=wait, args=(con,), daemon=True) for con in waiting]
    with hanging(postgres):
        for one in threads:
            one.start()
        for one in threads:
            one.join(BOUND)
        with pytest.raises(StoreUnavailableError, match=r"does not answer \(it hangs"), database.read():
            pass
    assert len(found) == 3
    assert all(con.closed for con in waiting)

    def answers() -> bool:
        try:
            with database.read() as reading:
                return bool(reading.value("SELECT TRUE"))
        except StoreUnavailableError:
            return False

    until(answers, "it is found again")
    database.close()
