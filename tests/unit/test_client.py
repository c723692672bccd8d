"""The client never blocks its program, sends every event once in effect, and reports every loss."""

from __future__ import annotations

import gzip
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from hubbub import client as module
from hubbub.client import Client, Stats, Trouble
from hubbub.errors import BadInputError
from hubbub.retrying import pause, retry_after

NOW = datetime(2026, 8, 1, 12, tzinfo=UTC)
KEY = "hub_live_1_secret"


class Server(ThreadingHTTPServer):
    """A Hubbub server that stores events by id and misbehaves as its script says, one entry per request."""

    daemon_threads = False

    def __init__(self) -> None:
        """Listen on a free port, without a script and without events."""
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.script: list[str] = []
        self.always = ""
        self.stored: dict[str, dict[str, Any]] = {}
        self.posts: list[list[dict[str, Any]]] = []
        self.encodings: list[str | None] = []
        self.keys: set[str | None] = set()
        self.asked = threading.Event()
        self.go_on = threading.Event()
        self.lock = threading.Lock()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore errors: these tests break connections."""


class Handler(BaseHTTPRequestHandler):
    """Answer POST /v1/events by the contract."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    server: Server

    def do_POST(self) -> None:
        """Read a batch, misbehave by script, store events with a type, and answer with verdicts."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        encoding = self.headers.get("Content-Encoding")
        events = json.loads(gzip.decompress(body) if encoding == "gzip" else body)
        server = self.server
        with server.lock:
            server.posts.append(events)
            server.encodings.append(encoding)
            server.keys.add(self.headers.get("Authorization"))
            how = server.script.pop(0) if server.script else server.always
        server.asked.set()
        if how == "wait":
            server.go_on.wait(60)
        elif how == "reset early":
            return self.reset()
        elif how == "html":
            return self.answer(200, b"<html>", {})
        elif how and how not in ("reset late", "note"):
            status, _, told = how.partition(" ")
            problem = {"code": "bad_thing", "detail": f"because {status}"}
            return self.answer(int(status), json.dumps(problem).encode(), {"Retry-After": told} if told else {})
        verdict: dict[str, Any] = {"accepted": 0, "duplicates": 0, "rejected": []}
        with server.lock:
            for index, event in enumerate(events):
                if "type" not in event:
                    verdict["rejected"].append(
                        {"index": index, "code": "missing_field", "field": "type", "message": "'type' is required"}
                    )
                elif event["id"] in server.stored:
                    verdict["duplicates"] += 1
                else:
                    server.stored[event["id"]] = event
                    verdict["accepted"] += 1
        if how == "reset late":
            return self.reset()
        if how == "note":
            verdict["notes"] = [{"index": 0, "code": "counts_nowhere", "field": "value", "message": "never counted"}]
        return self.answer(202, json.dumps(verdict).encode(), {})

    def reset(self) -> None:
        """Break the connection without an answer."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        self.close_connection = True
        self.connection.close()

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        """Send an answer."""
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A running server, with the client's pauses shortened."""
    monkeypatch.setattr("hubbub.retrying.FIRST_PAUSE", 0.001)
    monkeypatch.setattr("hubbub.retrying.LONGEST_PAUSE", 0.002)
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.go_on.set()
        running.shutdown()
        thread.join()


@contextmanager
def recording(server: Server, **how: Any) -> Iterator[tuple[Client, list[Trouble]]]:
    """A client of the server and its reported troubles; closed at the end, with its statistics checked."""
    troubles: list[Trouble] = []
    client = Client(server.url, KEY, on_error=troubles.append, **how)
    try:
        yield client, troubles
    finally:
        server.go_on.set()
        client.close()
    check_sum(client.stats)


def check_sum(stats: Stats) -> None:
    """Check that every recorded event is counted in exactly one place."""
    assert stats.recorded == stats.sent + stats.duplicates + stats.rejected + stats.dropped + stats.queued


def test_events_arrive_with_id_time_and_key(server: Server) -> None:
    """An event given as fields or mapping arrives with an id and a time of its own, under the Bearer key."""
    with recording(server) as (client, troubles):
        first = client.record(type="message.sent", channel="sms")
        client.record({"type": "message.sent", "id": "mine", "time": "2026-08-01T09:00:00+02:00"})
        assert client.flush(60)
        assert client.stats == Stats(recorded=2, sent=2)
    assert len(first) == 32
    assert datetime.fromisoformat(server.stored[first]["time"]).tzinfo is not None
    assert server.stored["mine"]["time"] == "2026-08-01T09:00:00+02:00"
    assert server.keys == {f"Bearer {KEY}"}
    assert not troubles


@pytest.mark.parametrize(
    "event",
    [
        {"event_id": "e1", "timestamp": "2026-08-01T09:00:00Z"},
        {"eventId": "e1", "occurredAt": "2026-08-01T09:00:00Z"},
        {"specversion": "1.0", "id": "e1", "data": {"time": "2026-08-01T09:00:00Z"}},
    ],
)
def test_other_spellings_count_as_present(server: Server, event: dict[str, Any]) -> None:
    """An id or time in an accepted spelling is not replaced by a generated one."""
    server.always = "400"
    with recording(server) as (client, _):
        assert client.record(event) == "e1"
        client.flush(60)
    assert server.posts == [[event]]


def test_empty_values_count_as_absent(server: Server) -> None:
    """An empty id and a time of None are replaced, as the server would do."""
    with recording(server) as (client, _):
        made = client.record(type="message.sent", id="", time=None)
        assert client.flush(60)
    assert set(server.stored) == {made}


def test_full_batches_leave_by_themselves(server: Server) -> None:
    """When `flush_at` events wait they are sent without a flush, and no batch is larger."""
    with recording(server, flush_at=3, flush_interval=3600) as (client, _):
        for n in range(7):
            client.record(type="message.sent", id=f"m{n}")
        assert server.asked.wait(60)
    assert max(len(post) for post in server.posts) == 3
    assert list(server.stored) == [f"m{n}" for n in range(7)]


def test_old_events_leave_by_themselves(server: Server) -> None:
    """A single event is sent once the interval has passed."""
    with recording(server, flush_interval=0.01) as (client, _):
        client.record(type="message.sent", id="m1")
        assert server.asked.wait(60)


def test_large_batches_are_compressed(server: Server) -> None:
    """Above 1 KB the body is gzipped, below it is not."""
    with recording(server) as (client, _):
        client.record(type="message.sent", id="small")
        assert client.flush(60)
        client.record(type="message.sent", id="large", attributes={"text": "x" * 2000})
        assert client.flush(60)
    assert server.encodings == [None, "gzip"]


def test_batches_keep_below_the_body_limit(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large events are spread over several requests, and one that is larger than the limit goes alone."""
    monkeypatch.setattr(module, "MAX_BODY", 500)
    with recording(server, flush_interval=3600) as (client, _):
        for n in range(4):
            client.record(type="message.sent", id=f"m{n}", attributes={"text": "x" * (600 if n == 0 else 150)})
        assert client.flush(60)
    assert [len(post) for post in server.posts] == [1, 2, 1]


@pytest.mark.parametrize("how", ["500", "503 0", "507", "408", "429 0", "reset early", "html"])
def test_passing_failures_are_retried(server: Server, how: str) -> None:
    """Server errors, rate limits, broken connections and foreign answers lead to the same batch again."""
    server.script = [how, how]
    with recording(server) as (client, troubles):
        client.record(type="message.sent", id="m1")
        assert client.flush(60)
        assert client.stats == Stats(recorded=1, sent=1, retries=2)
    assert server.posts[0] == server.posts[1] == server.posts[2]
    assert not troubles


def test_lost_acknowledgement_counts_nothing_twice(server: Server) -> None:
    """If the connection breaks after storing, the same ids are sent again and are duplicates."""
    server.script = ["reset late"]
    with recording(server) as (client, _):
        ids = [client.record(type="message.sent") for _ in range(5)]
        assert client.flush(60)
        assert client.stats == Stats(recorded=5, duplicates=5, retries=1)
    assert list(server.stored) == ids


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_no_number_is_not_json(server: Server, value: float) -> None:
    """NaN and infinity are rejected, since JSON cannot hold them."""
    with recording(server) as (client, troubles):
        client.record(type="metric.observed", name="load", value=value)
    assert [(t.kind, t.code) for t in troubles] == [("rejected", "not_json")]
    assert not server.posts


@pytest.mark.parametrize("status", [400, 401, 403, 413, 422])
def test_refused_batches_are_not_retried(server: Server, status: int) -> None:
    """Any other 4xx is final: flush returns False with the reason, it is reported once with code and ids, and the next
    batch is sent.
    """
    server.script = [str(status)]
    with recording(server) as (client, troubles):
        client.record(type="message.sent", id="m1")
        assert not client.flush(60)
        assert client.trouble is not None and (client.trouble.status, client.trouble.message) == (
            status,
            f"because {status}",
        )
        client.record(type="message.sent", id="m2")
        assert client.flush(60)
        assert client.stats == Stats(recorded=2, sent=1, rejected=1)
    assert troubles == [Trouble("refused", f"because {status}", 1, ("m1",), "bad_thing", None, status)]


def test_rejected_events_are_reported_one_by_one(server: Server) -> None:
    """A verdict in the answer reaches on_error with the event's id, and its neighbours are stored."""
    with recording(server, flush_interval=3600) as (client, troubles):
        client.record(type="message.sent", id="good")
        client.record(channel="sms", id="bad")
        assert not client.flush(60)
        assert client.trouble is not None and client.trouble.ids == ("bad",)
        assert client.flush(60)
        assert client.stats == Stats(recorded=2, sent=1, rejected=1)
    assert troubles == [Trouble("rejected", "'type' is required", 1, ("bad",), "missing_field", "type", 202)]


def test_an_event_that_is_not_json_is_reported_at_once(server: Server) -> None:
    """An event that cannot be written as JSON is rejected without an exception in the caller."""
    with recording(server) as (client, troubles):
        client.record(type="message.sent", id="odd", attributes=object())
        assert client.stats == Stats(recorded=1, rejected=1)
    assert [(t.kind, t.code, t.ids) for t in troubles] == [("rejected", "not_json", ("odd",))]


def test_a_slow_server_does_not_block_the_caller(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    """While the server does not answer, record returns; events beyond max_queue are dropped, counted and reported."""
    server.script = ["wait"]
    with recording(server, flush_at=1, max_queue=10) as (client, troubles):
        client.record(type="message.sent", id="first")
        assert server.asked.wait(60)
        for _ in range(1000):
            client.record(type="message.sent")
        stats = client.stats
        assert (stats.queued, stats.dropped) == (10, 991)
        server.go_on.set()
        assert not client.flush(60)
    assert client.stats == Stats(recorded=1001, sent=10, dropped=991)
    assert {t.kind for t in troubles} == {"dropped"}
    assert sum(t.count for t in troubles) == 991
    assert len(troubles) < 5
    assert "dropped" in caplog.text


def test_timeout_is_retried_with_the_same_ids(server: Server) -> None:
    """A batch that timed out is sent again, and its events are duplicates."""
    server.script = ["wait"]
    with recording(server, timeout=0.2) as (client, _):
        client.record(type="message.sent", id="m1")
        assert client.flush(60)
        assert client.stats.retries >= 1
    assert set(server.stored) == {"m1"}


def test_flush_returns_false_after_its_timeout(server: Server) -> None:
    """A flush that runs out of time returns False and the events stay queued."""
    server.script = ["wait"]
    with recording(server) as (client, _):
        client.record(type="message.sent", id="m1")
        assert not client.flush(0.01)
        assert client.stats.queued == 1
        server.go_on.set()
        assert client.flush(60)


def test_flush_without_events_succeeds(server: Server) -> None:
    """Without events a flush succeeds without a request."""
    with recording(server) as (client, _):
        assert client.flush()
    assert not server.posts


def test_close_respects_a_long_retry_after(server: Server) -> None:
    """A close does not wait for a Retry-After of an hour: remaining events are dropped, counted and reported."""
    server.always = "503 3600"
    with recording(server, flush_at=2) as (client, troubles):
        for _ in range(6):
            client.record(type="message.sent")
        assert server.asked.wait(60)
        client.close(30)
        assert client.stats == Stats(recorded=6, dropped=6)
    assert len(server.posts) == 1
    assert [(t.kind, t.count) for t in troubles] == [("dropped", 6)]


def test_close_sends_waiting_events(server: Server) -> None:
    """Leaving the context sends all events, due or not."""
    with Client(server.url, KEY, flush_interval=3600) as client:
        client.record(type="message.sent", id="m1")
    assert set(server.stored) == {"m1"}
    assert client.stats == Stats(recorded=1, sent=1)


def test_record_after_close_is_reported(server: Server) -> None:
    """Events recorded after the close are dropped; the first is reported at once, the others together later."""
    with recording(server) as (client, troubles):
        client.close()
        for _ in range(100):
            client.record(type="message.sent")
        assert client.stats == Stats(recorded=100, dropped=100)
        assert [(t.kind, t.message, t.count) for t in troubles] == [("dropped", "the client is closed", 1)]
    assert [t.count for t in troubles] == [1, 99]


def test_broken_on_error_stops_nothing(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    """An exception in on_error is logged and the next batch is sent."""

    def broken(trouble: Trouble) -> None:
        raise RuntimeError("my own mistake")

    server.script = ["400"]
    with Client(server.url, KEY, on_error=broken) as client:
        client.record(type="message.sent", id="m1")
        assert not client.flush(60)
        client.record(type="message.sent", id="m2")
    assert set(server.stored) == {"m2"}
    assert "my own mistake" in caplog.text


def test_events_wait_while_the_server_is_unreachable(server: Server) -> None:
    """Without a server events wait, and a close drops and reports them."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    troubles: list[Trouble] = []
    client = Client(f"http://127.0.0.1:{port}", KEY, on_error=troubles.append)
    client.record(type="message.sent")
    assert not client.flush(0.05)
    client.close(0.05)
    assert client.stats.dropped == 1
    assert sum(t.count for t in troubles) == 1


def test_many_threads_record_at_once(server: Server) -> None:
    """Events of eight threads all arrive, each once."""
    with recording(server, flush_at=20) as (client, _):
        work = [
            threading.Thread(target=lambda: [client.record(type="message.sent") for _ in range(200)]) for _ in range(8)
        ]
        for thread in work:
            thread.start()
        for thread in work:
            thread.join()
        assert client.flush(60)
        assert client.stats == Stats(recorded=1600, sent=1600)
    assert len(server.stored) == 1600


@pytest.mark.parametrize("before", ["", "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7)); "])
def test_a_signal_closes_clients_first(server: Server, before: str) -> None:
    """With the helper a SIGTERM sends waiting events, then ends the program or calls its own handler."""
    program = (
        f"import signal, sys, time; {before}import hubbub\n"
        f"client = hubbub.Client({server.url!r}, {KEY!r}, flush_interval=3600)\n"
        "hubbub.close_on_signal()\n"
        "client.record(type='message.sent', id='waiting')\n"
        "print('ready', flush=True)\n"
        "while True: time.sleep(0.1)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, env=environment)
    try:
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        process.terminate()
        assert process.wait(60) == (7 if before else -signal.SIGTERM)
    finally:
        process.kill()
        process.communicate()
    assert list(server.stored) == ["waiting"]


def test_a_program_without_close_sends_its_events(server: Server) -> None:
    """A program that ends without close or flush has sent its events; a forked child sends its own, once each."""
    program = (
        "import os, hubbub.client as c\n"
        f"client = c.Client({server.url!r}, {KEY!r}, flush_interval=3600)\n"
        "client.record(type='message.sent', id='parent')\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    client.record(type='message.sent', id='child'); client.close(); os._exit(0)\n"
        "os.waitpid(child, 0)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120, env=environment)
    assert sorted(event["id"] for post in server.posts for event in post) == ["child", "parent"]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0),
        ("Sat, 01 Aug 2026 12:01:30 GMT", 90.0),
        ("Sat, 01 Aug 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_understood(header: str | None, seconds: float | None) -> None:
    """Retry-After may be seconds or an HTTP date, also a past one; anything else counts as absent."""
    assert retry_after(header, NOW) == seconds


def test_pauses_grow_and_are_spread() -> None:
    """Pauses double up to a minute with half of it jitter, are never shorter than Retry-After, and an hour at most."""
    assert [pause(n, None, 1.0) for n in (0, 1, 2, 9, 999)] == [0.5, 1.0, 2.0, 60.0, 60.0]
    assert pause(2, None, 0.0) == 1.0
    assert pause(0, 120.0, 0.0) == 120.0 <= pause(0, 120.0, 1.0)
    assert pause(0, timedelta(days=9).total_seconds(), 0.0) == 3600.0


def test_a_note_on_stored_events_is_in_the_log(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    """The server's note on a stored event is logged as a warning; the event counts as sent."""
    server.script = ["note"]
    with recording(server) as (client, troubles):
        client.record(type="satisfaction.rating_received", value=4.5)
        assert client.flush(10)
        assert (client.stats.sent, troubles) == (1, [])
    assert "1 event(s) stored with a note, the first: never counted" in caplog.text


def test_the_environment_sets_batch_size_and_interval(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without arguments, HUBBUB_COLLECTION__BATCH_SIZE and __FLUSH_INTERVAL apply; a bad number is refused."""
    monkeypatch.setenv("HUBBUB_COLLECTION__BATCH_SIZE", "2")
    monkeypatch.setenv("HUBBUB_COLLECTION__FLUSH_INTERVAL", "3600")
    with Client(server.url, "k") as client:
        for number in range(4):
            client.record(type="message.sent", id=str(number))
        assert client.flush(10)
    assert {len(batch) for batch in server.posts} == {2}
    monkeypatch.setenv("HUBBUB_COLLECTION__BATCH_SIZE", "many")
    with pytest.raises(BadInputError, match="HUBBUB_COLLECTION__BATCH_SIZE"):
        Client(server.url, "k")


@pytest.mark.parametrize(
    "how",
    [
        {"url": "hubbub.example.org"}, {"key": ""}, {"key": "a b"}, {"key": "a\nb"}, {"flush_at": 0}, {"max_queue": 0},
        {"timeout": 0}, {"flush_interval": -1},
    ],
)  # fmt: skip
def test_invalid_settings_are_refused(how: dict[str, Any]) -> None:
    """A client with a bad address, key or number is refused when it is made."""
    with pytest.raises(BadInputError):
        Client(**{"url": "https://hubbub.example.org", "key": KEY, **how})
