"""Several servers and workers on one ClickHouse and one control database: nothing lost, doubled or folded wrongly."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa

import hubbub
from hubbub.app import Engine
from hubbub.errors import StoreDamagedError
from hubbub.settings import load
from tests.extent import AWAY, KILLS_OF_SERVERS
from tests.integration import child
from tests.integration.shared import Cluster, Server, cluster, shuffled, stream
from tests.integration.test_serve import until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory, postgres: Any) -> Iterator[Cluster]:
    """An installation on a database of its own in Postgres."""
    engine = sa.create_engine(postgres.get_uri().replace("postgresql:", "postgresql+psycopg:", 1))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as con:
        con.execute(sa.text("CREATE DATABASE several"))
    engine.dispose()
    with cluster(tmp_path_factory.mktemp("several"), postgres.get_uri().replace("/postgres?", "/several?", 1)) as made:
        yield made


@pytest.fixture(scope="module")
def servers(there: Cluster) -> list[Server]:
    """Two servers and two workers, started at the same moment."""
    for name in ("worker-1", "worker-2"):
        there.start(name, "worker")
    found = there.serve("serve-1", "serve-2")
    for name in ("worker-1", "worker-2"):
        until(lambda name=name: "works on jobs" in there.log(name), f"{name} works")  # type: ignore[misc]
    return found


def test_four_clients_send_the_same_through_two_servers(there: Cluster, servers: list[Server]) -> None:
    """Every event counts once whoever got it, corrections and late ones too; all rollup rows are those of one embedded store."""
    key, events = there.tenant("shop"), stream(2_000)
    early, late = events[::2], events[1::2]
    for part in (early, late):  # the second half comes when the days it belongs to are folded

        def send(seed: int, part: list[Any] = part) -> list[httpx2.Response]:
            batches = shuffled(part, seed, 150)
            return [servers[(seed + i) % 2].post(key, batch) for i, batch in enumerate(batches)]

        with ThreadPoolExecutor(4) as pool:
            answers = [answer for each in pool.map(send, range(4)) for answer in each]
        assert {answer.status_code for answer in answers} == {202}, [a.text for a in answers if a.status_code != 202][
            :3
        ]
        assert all(answer.json()["rejected"] == [] for answer in answers)
        assert len(answers) == 4 * len(shuffled(part, 0, 150))
        there.settled(*servers)
    assert set(there.ids("shop").values()) == {1}
    assert len(there.ids("shop")) == 2_000
    there.same_as_alone("shop", events)
    assert all(not (there.folder / server.name / "server.json").exists() for server in servers)


def test_what_one_server_was_told_the_other_answers(there: Cluster, servers: list[Server]) -> None:
    """An answer that a server keeps is gone when another process changes numbers; keys and tenants made elsewhere are known."""
    key = there.tenant("cards")
    head = {"Authorization": f"Bearer {key}"}

    def ask(server: Server) -> Any:
        asked = {"metrics": ["messages"], "from": "2026-01-01", "to": "2026-12-31", "grain": "total"}
        answer = httpx2.post(f"{server.url}/v1/query", json=asked, headers=head, timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.json()["rows"][0]["messages"]

    for part in range(1, 3):
        sent = [event for event in map(child.event, range(part * 600)) if event.type.startswith("message.")]
        assert servers[part % 2].post(key, sent).status_code == 202
        there.settled(*servers)
        expected = there.judge.query("cards", metrics=["messages"], start="2026-01-01", end="2026-12-31")["rows"][0][
            "messages"
        ]
        assert {ask(server) for server in servers for _ in range(2)} == {expected}
    there.judge.change_tenant("cards", zone="Asia/Kolkata")
    until(
        lambda: there.judge.store.query("SELECT zone FROM tenants WHERE name = 'cards'").rows == [("Asia/Kolkata",)],
        "a server followed the zone",
    )


def test_jobs_are_done_by_any_process_once(there: Cluster, servers: list[Server]) -> None:
    """Started on one process, jobs are shared by all; each is done once, and workers fold in the same store."""
    there.tenant("jobs")
    started = [
        there.judge.desk.trigger_schedule("trend-aggregation", date=f"2026-03-{day:02}")["id"] for day in range(1, 5)
    ]
    for job in started:
        row = until(lambda job=job: r if (r := there.judge.job(job))["state"] == "completed" else None, job)  # type: ignore[misc]
        assert row["result"]["errors"] == {}
    begun = [
        line
        for name in ("serve-1", "serve-2", "worker-1", "worker-2")
        for line in there.log(name).splitlines()
        if '"job started"' in line and "trend-aggregation" in line
    ]
    assert len(set(begun)) == len(begun)


def test_killed_servers_lose_and_double_nothing(there: Cluster, servers: list[Server]) -> None:
    """kill -9 of one server at random moments of ingestion and refreshes: the other goes on, all that was acknowledged counts
    once, and after all is sent again the rollups are those of one embedded store."""
    key, draw = there.tenant("killed"), random.Random(20261122)
    numbers, acknowledged, over = itertools.count(), set[str](), threading.Event()
    passed = [0, 0]

    def send(turn: int) -> None:
        while not over.is_set():
            first = next(numbers) * 40
            batch = [child.event(n) for n in range(first, first + 40)]
            for at in itertools.count(turn):
                try:
                    answer = servers[at % 2].post(key, batch)
                except httpx2.TransportError:  # killed: sent again through the other
                    continue
                if answer.status_code == 202:
                    acknowledged.update(str(event.id) for event in batch)
                    passed[at % 2] += 1
                    break
                assert answer.status_code == 503, answer.text

    threads = [threading.Thread(target=send, args=(turn,)) for turn in range(2)]
    for thread in threads:
        thread.start()
    try:
        for round_ in range(KILLS_OF_SERVERS):
            victim = round_ % 2
            time.sleep(draw.uniform(0.5, 3.0))
            there.kill(servers[victim].name)
            before = passed[1 - victim]
            until(lambda before=before, other=1 - victim: passed[other] > before + 2, "the other goes on")  # type: ignore[misc]
            servers[victim : victim + 1] = there.serve(f"serve-{victim + 1}-{round_}")
    finally:
        over.set()
        for thread in threads:
            thread.join()
    found = there.ids("killed")
    assert acknowledged <= found.keys()
    assert set(found.values()) == {1}
    events = [child.event(n) for n in range(next(numbers) * 40)]
    for batch in shuffled(events, 1, 500):
        assert servers[0].post(key, batch).status_code == 202
    there.settled(*servers)
    assert there.ids("killed") == dict.fromkeys((str(event.id) for event in events), 1)
    there.same_as_alone("killed", events)


def test_clickhouse_away_for_a_while(there: Cluster, servers: list[Server]) -> None:
    """Events and questions are refused with 503 and Retry-After, /readyz says so; afterwards the client's queue delivers through
    the same servers, and every event counts once."""
    key, head = there.tenant("away"), {}
    head["Authorization"] = f"Bearer {key}"
    now = datetime.now(UTC).isoformat()

    def event(number: int) -> dict[str, Any]:
        return {"type": "message.received", "time": now, "id": f"away-{number}", "contact_id": f"c-{number % 9}"}

    with hubbub.Client(servers[0].url, key, flush_at=50, flush_interval=0.2) as client:
        for number in range(200):
            client.record(event(number))
        assert client.flush(timeout=60)
        there.engine.stop()
        until_then = time.monotonic() + AWAY
        for number in range(200, 1_000):
            client.record(event(number))
        refused = 0
        while time.monotonic() < until_then:
            for server in servers:
                posted = httpx2.post(f"{server.url}/v1/events", json=[event(5_000)], headers=head, timeout=60)
                asked = httpx2.post(
                    f"{server.url}/v1/query", json={"metrics": ["messages"], "from": "2026-01-01", "to": "2027-01-01"},
                    headers=head, timeout=60,
                )  # fmt: skip
                for answer in (posted, asked):
                    assert answer.status_code == 503, answer.text
                    assert answer.json()["code"] == "store_unavailable"
                    assert int(answer.headers["retry-after"]) > 0
                    assert "127.0.0.1" not in answer.text
                assert server.ready().status_code == 503
                refused += 1
            time.sleep(0.3)
        assert refused
        assert httpx2.get(f"{servers[0].url}/healthz", timeout=60).status_code == 200
        there.engine.start()
        assert client.flush(timeout=120)
        assert (client.stats.sent, client.stats.dropped, client.stats.rejected) == (1_000, 0, 0)
        assert client.stats.retries > 0
    there.settled(*servers)
    assert there.ids("away") == {f"away-{number}": 1 for number in range(1_000)}
    for server in servers:
        said = there.log(server.name)
        assert "Traceback" not in said, said[-3000:]


def test_one_server_refreshes_what_came(there: Cluster, servers: list[Server]) -> None:
    """Of what comes in a period one of two servers makes one refresh: together they make fewer than two for each."""
    key, rounds = there.tenant("periods"), 6
    there.settled(*servers)
    before = sum(server.refreshes() for server in servers)
    for number in range(rounds):
        first = number * 20
        assert servers[number % 2].post(key, [child.event(n) for n in range(first, first + 20)]).status_code == 202
        there.settled(*servers)
        time.sleep(2.5)  # a beat of each
    made = sum(server.refreshes() for server in servers) - before
    print(f"{made} refreshes by two servers for {rounds} batches")
    assert made < 2 * rounds
    there.same_as_alone("periods", [child.event(n) for n in range(rounds * 20)])


def test_clickhouse_hangs(there: Cluster, servers: list[Server]) -> None:
    """A ClickHouse that takes everything and answers nothing: many clients at once are refused with 503 and Retry-After, and the
    server says that it lives meanwhile; awake again, all that was refused is stored by the next try, once."""
    key, lives = there.tenant("hangs"), list[int]()
    head = {"Authorization": f"Bearer {key}"}
    question = {"metrics": ["messages"], "from": "2026-01-01", "to": "2027-01-01"}
    batches = [[child.event(n) for n in range(first, first + 5)] for first in range(0, 400, 5)]
    assert servers[0].post(key, batches[0]).status_code == 202

    def refused(number: int) -> float:
        server, begun = servers[number % 2], time.monotonic()
        if number % 4 == 3:
            answer = httpx2.post(f"{server.url}/v1/query", json=question, headers=head, timeout=100)
        else:
            answer = server.post(key, batches[number])
        assert (answer.status_code, int(answer.headers["retry-after"]) > 0) == (503, True), answer.text
        return time.monotonic() - begun

    there.engine.hang()
    try:
        with ThreadPoolExecutor(80) as pool:
            waits = pool.map(refused, range(80))
            for server in servers * 3:
                lives.append(httpx2.get(f"{server.url}/healthz", timeout=10).status_code)
            longest = max(waits)
        again = [refused(number) for number in range(6)]
        assert [server.ready().status_code for server in servers] == [503, 503]
    finally:
        there.engine.wake()
    begun = time.monotonic()
    until(lambda: servers[0].post(key, batches[1]).status_code == 202, "events are taken again")
    until(lambda: servers[1].post(key, batches[2]).status_code == 202, "events are taken again")
    print(
        f"refused after {longest:.1f} s at most, then {max(again):.2f} s; taken {time.monotonic() - begun:.1f} s after waking"
    )
    assert set(lives) == {200}
    for number, batch in enumerate(batches):
        assert servers[number % 2].post(key, batch).status_code == 202
    there.settled(*servers)
    assert there.ids("hangs") == {str(event.id): 1 for batch in batches for event in batch}
    there.same_as_alone("hangs", [event for batch in batches for event in batch])
    for server in servers:
        said = there.log(server.name)
        assert "Traceback" not in said, said[-3000:]


def test_a_server_ends_while_another_process_has_the_turn(there: Cluster, servers: list[Server]) -> None:
    """SIGTERM ends a server in order although somebody else folds; a beat whose turn is taken is left out, without an error."""
    key = there.tenant("turn")
    with there.judge.store.alone():
        for server in servers:
            assert server.post(key, [child.event(1)]).status_code == 202
        for server in servers:
            answer = server.ready()
            assert (answer.status_code, answer.json()["error"]) == (200, None)
        servers[0].process.terminate()
        assert servers[0].process.wait(timeout=60) == 0
    there.settled(servers[1])


def test_a_store_knows_its_positions(there: Cluster, tmp_path: Path) -> None:
    """Another control database on the same ClickHouse is refused by name: it would give the same numbers out again."""
    own = {name: f"sqlite:///{tmp_path / name}.db" for name in ("control_url", "jobs_url")}
    told = {**there.set, **own}
    with pytest.raises(StoreDamagedError, match="control_url"):
        Engine(load(data=tmp_path, **told))


def test_one_machine_one_folder_and_sqlite(tmp_path: Path) -> None:
    """Two servers and a worker in one folder with SQLite: started at once, all take events, none is doubled, rollups are right."""
    url = f"sqlite:///{tmp_path / 'control.db'}"
    with cluster(tmp_path, url, together=True) as here:
        key, events = here.tenant("shop"), stream(300)
        here.start("worker", "worker")
        pair = here.serve("serve-1", "serve-2")
        with ThreadPoolExecutor(2) as pool:
            answers = pool.map(lambda n: [pair[n].post(key, b) for b in shuffled(events, n, 50)], range(2))
            assert {answer.status_code for each in answers for answer in each} == {202}
        here.settled(*pair)
        here.same_as_alone("shop", events)
        assert set(here.ids("shop").values()) == {1}
        assert not (tmp_path / "together" / "server.json").exists()
