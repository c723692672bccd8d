"""ClickHouse is down, hangs or is killed: PostgreSQL answers meanwhile, and nothing is lost or counted twice."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

import hubbub
from hubbub.api.app import create_app
from hubbub.errors import StoreBusyError, StoreUnavailableError
from hubbub.model.question import Question
from hubbub.query.queries import Queries
from hubbub.storage import clickhouse as client
from hubbub.storage.store import Store
from tests.clickhouse.server import ClickHouse, clickhouse
from tests.conftest import ask_copy, empty_database
from tests.extent import AWAY
from tests.integration.store_child import NOW
from tests.integration.test_clickhouse import START, TENANT, counted, message, send
from tests.integration.test_serve import until

pytestmark = pytest.mark.slow
KILLS = 20


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ClickHouse]:
    """A running ClickHouse, and a client that retries soon."""
    pytest.importorskip("chdb")
    for name, seconds in (("AWAY_SECONDS", 0.2), ("PING_SECONDS", 0.0), ("CONNECT_SECONDS", 1)):
        monkeypatch.setattr(client, name, seconds)
    with clickhouse(tmp_path / "clickhouse") as made:
        yield made


@pytest.fixture
def store(server: ClickHouse, postgres: Any, tmp_path: Path) -> Iterator[Store]:
    """A store with a copy and one message."""
    made = Store(tmp_path / "store", empty_database(postgres), f"clickhouse://127.0.0.1:{server.port}/hubbub")
    ask_copy(made)
    send(made, message(1))
    assert counted(made) == [1, 1, 1]
    yield made
    made.close()


def messages(store: Store) -> Any:
    """Return the number of messages, whichever engine answers."""
    question = Question(("messages",), START, NOW)
    return Queries(store, lambda: NOW).answer(TENANT, question).columns["messages"].values[0]


def until_read_again(store: Store, expected: list[int]) -> None:
    """Wait until the copy answers again, and check its numbers."""
    copy = store.copy
    assert copy is not None
    until(lambda: messages(store) is not None and copy.away is None, "the copy answers")
    assert counted(store) == expected


def test_postgresql_answers_while_clickhouse_is_down(store: Store, server: ClickHouse) -> None:
    """While ClickHouse is down events are accepted and counted by PostgreSQL; afterwards the copy has all of them."""
    server.stop()
    end, number = time.monotonic() + AWAY, 1
    while number < 3 or time.monotonic() < end:
        number += 1
        send(store, message(number))
        assert messages(store) == number
        time.sleep(1)
    assert store.copy is not None and "does not answer" in (store.copy.away or "")
    server.start()
    until_read_again(store, [number] * 3)


def test_postgresql_answers_while_clickhouse_hangs(store: Store, server: ClickHouse) -> None:
    """A ClickHouse that accepts connections but never answers does not block a question: PostgreSQL answers it."""
    server.hang()
    send(store, message(2))
    assert messages(store) == 2
    assert store.copy is not None and store.copy.away is not None
    server.wake()
    until_read_again(store, [2, 2, 2])


def test_postgresql_answers_when_clickhouse_hangs_during_a_statement(
    store: Store, server: ClickHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A question sent to a ClickHouse that just hung is answered by PostgreSQL once a ping gets no answer."""
    monkeypatch.setattr(client, "PING_SECONDS", 2.0)
    monkeypatch.setattr(client, "SILENT_SECONDS", 0.5)
    assert messages(store) == 1  # no ping is due for two seconds
    server.hang()
    send(store, message(2))
    assert messages(store) == 2
    assert store.copy is not None and "it answers no ping" in (store.copy.away or "")
    server.wake()
    until_read_again(store, [2, 2, 2])


def test_a_long_statement_does_not_mark_clickhouse_as_away(server: ClickHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long silent statement is waited for up to its time limit, and does not mark ClickHouse as away."""
    monkeypatch.setattr(client, "SILENT_SECONDS", 0.5)
    there = client.Server(f"clickhouse://127.0.0.1:{server.port}/h")
    assert there.rows("SELECT sleep(3)") == [(0,)]
    with pytest.raises(StoreBusyError):
        there.ask("SELECT count() FROM numbers(200) WHERE sleepEachRow(0.1) = 0 SETTINGS max_block_size = 1", seconds=1)
    assert there.away is None
    there.close()


def test_a_server_that_hangs_is_not_waited_for_by_others(server: ClickHouse) -> None:
    """Connections to a hanging ClickHouse fail; once it answers again, it is used again."""
    there = client.Server(f"clickhouse://127.0.0.1:{server.port}/h")
    server.hang()
    for _ in range(2):
        with pytest.raises(StoreUnavailableError):
            there.connect()
    assert there.away is not None
    server.wake()
    until(lambda: there.ready() and there.rows("SELECT 1") == [(1,)], "it is found again")
    there.close()


def test_kills_lose_and_double_nothing(store: Store, server: ClickHouse) -> None:
    """After repeated kills of ClickHouse while rows are sent, its numbers are those of PostgreSQL."""
    for number in range(2, 2 + KILLS):
        send(store, message(number), message(number - 1, revision=number))
        if number % 2:
            messages(store)
        server.kill()
        assert messages(store) == number
        server.start()
    until_read_again(store, [1 + KILLS] * 3)


def test_a_server_says_that_clickhouse_is_away(server: ClickHouse, postgres: Any, tmp_path: Path) -> None:
    """While ClickHouse is away `/readyz` stays 200 and gives the reason, doctor gives the advice, and the answer is the same."""
    url, copy_url = empty_database(postgres), f"clickhouse://127.0.0.1:{server.port}/h"
    with hubbub.open(tmp_path / "here", store_url=copy_url, control_url=url, free_floor_mb=0) as engine:
        ask_copy(engine.store)
        engine.tenants.add("one", "UTC")
        sent = message(1)
        engine.record("one", [{"type": sent.type, "time": str(engine.clock() - timedelta(hours=1)), "id": "1"}])
        ask: Callable[[], Any] = lambda: engine.query("one", metrics=["messages"], start="2020-01-01", end="2030-01-01")  # noqa: E731
        first = ask()
        engine.refresh()
        checks = {row["check"]: row for row in engine.doctor()["rows"]}
        assert checks["copy"]["ok"], checks["copy"]
        with TestClient(create_app(engine, refresh=False)) as http:
            assert http.get("/readyz").json()["status"] == "ready"
            server.stop()
            engine.cached.drop([engine.control.tenant("one").no])
            assert ask()["rows"] == first["rows"]
            answer = http.get("/readyz")
            assert (answer.status_code, answer.json()["status"]) == (200, "ready, ClickHouse is away")
            assert "does not answer" in answer.json()["error"]
        checks = {row["check"]: row for row in engine.doctor()["rows"]}
        assert not checks["copy"]["ok"] and "start ClickHouse" in checks["copy"]["advice"]
