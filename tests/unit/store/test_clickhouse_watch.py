"""Connections to a ClickHouse that hangs: who waits is told, nobody begins to wait, and all goes on when it answers again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from urllib3 import PoolManager
from urllib3.exceptions import HTTPError

from hubbub.store import clickhouse_watch
from tests.integration.test_serve import until


class Hanging(ThreadingHTTPServer):
    """A server that answers a ping when it is `alive`, and all else when it is `answering`."""

    daemon_threads = True

    def __init__(self) -> None:
        self.answering, self.alive = threading.Event(), threading.Event()
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    """Answers when its server lets it."""

    protocol_version = "HTTP/1.1"
    server: Hanging

    def do_GET(self) -> None:
        """Answer."""
        (self.server.alive if self.path == "/ping" else self.server.answering).wait()
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hanging]:
    """A server of this test, whose watch is a quick one."""
    for name, seconds in (("SILENCE", 0.2), ("AT_ONCE", 0.3), ("PAUSE", 0.1)):
        monkeypatch.setattr(clickhouse_watch, name, seconds)
    with Hanging() as made:
        threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield made
        made.alive.set()
        made.answering.set()
        made.shutdown()


def ask(pool: PoolManager, server: Hanging) -> int:
    """Ask without an end of patience."""
    return pool.request("GET", f"{server.url}/statement", retries=False).status


def test_who_waits_for_one_that_hangs_is_told(server: Hanging) -> None:
    """Neither a statement nor a ping is answered: the connection ends, others are refused at once, and all goes on later."""
    pool = clickhouse_watch.watched(4)
    with pytest.raises(HTTPError):
        ask(pool, server)
    with pytest.raises(HTTPError):
        ask(pool, server)
    server.alive.set()
    server.answering.set()
    until(lambda: not clickhouse_watch._watch(server.url).away, "it was seen to answer")
    assert ask(pool, server) == 200


def test_who_waits_for_a_long_statement_waits(server: Hanging) -> None:
    """As long as pings are answered a statement may take its time."""
    server.alive.set()
    pool, found = clickhouse_watch.watched(4), list[int]()
    waiting = threading.Thread(target=lambda: found.append(ask(pool, server)))
    waiting.start()
    waiting.join(1.5)
    assert waiting.is_alive()
    assert not clickhouse_watch._watch(server.url).away
    server.answering.set()
    waiting.join(30)
    assert found == [200]
