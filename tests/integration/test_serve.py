"""The server as a process: commands beside it, its end under load, and the folder after a kill."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

import hubbub
from hubbub.services.keys import NewKey

PROGRAM = "from hubbub.cli.main import run; run()"
PATIENCE = 120
"""Seconds to wait on a busy machine before a test fails."""


def until(true: Callable[[], Any], what: str) -> Any:
    """Poll until `true` returns a true value, and return it; fail after PATIENCE seconds."""
    for _ in range(PATIENCE * 10):
        if found := true():
            return found
        time.sleep(0.1)
    raise AssertionError(f"never: {what}")


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment() -> dict[str, str]:
    """Return the environment of a small installation."""
    small = {
        "HUBBUB_THREADS": "1",
        "HUBBUB_MEMORY_LIMIT": "300MB",
        "HUBBUB_FREE_FLOOR_MB": "0",
        "HUBBUB_REFRESH_SECONDS": "1",
    }
    return {k: v for k, v in os.environ.items() if not k.startswith("HUBBUB_")} | small


@dataclass
class Place:
    """A data folder, with commands and servers on it."""

    folder: Path
    servers: list[subprocess.Popen[str]] = field(default_factory=list)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [sys.executable, "-c", PROGRAM, *words, "--data", str(self.folder)],
            capture_output=True, text=True, env=environment(), check=False, timeout=300,
        )  # fmt: skip

    def told(self, *words: str) -> Any:
        """Run a command that must succeed; return its JSON."""
        ended = self.run(*words, "--json")
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)

    def key(self, *scopes: str) -> NewKey:
        """Add a key for acme, in this process."""
        with hubbub.open(self.folder, free_floor_mb=0) as engine:
            return engine.keys.add("acme", scopes or ("ingest", "read"))

    def messages(self) -> int:
        """Return acme's number of messages, as this process sees it."""
        with hubbub.open(self.folder, free_floor_mb=0) as engine:
            (row,) = engine.query("acme", metrics=["messages"], start="2026-01-01", end="2099-12-31")["rows"]
            return int(row["messages"])

    def start(self, *words: str) -> tuple[subprocess.Popen[str], str]:
        """Start a server; return it and its address once it is ready."""
        port = free_port()
        command = [sys.executable, "-c", PROGRAM, "serve", "--port", str(port), "--data", str(self.folder), *words]
        log = (self.folder.parent / f"serve-{port}.log").open("w")
        with log:
            server = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, text=True, env=environment())
        self.servers.append(server)
        url = f"http://127.0.0.1:{port}"

        def answers() -> bool:
            assert server.poll() is None, Path(log.name).read_text()
            try:
                return httpx2.get(f"{url}/readyz", timeout=30).status_code == 200
            except httpx2.TransportError:
                return False

        until(answers, "the server answers")
        return server, url


@contextmanager
def place(folder: Path) -> Iterator[Place]:
    """Yield a data folder with the tenant acme; its servers are killed afterwards."""
    made = Place(folder)
    try:
        with hubbub.open(folder, free_floor_mb=0) as engine:
            engine.add_tenant("acme")
        yield made
    finally:
        for server in made.servers:
            if server.poll() is None:
                server.kill()
            server.wait()


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Place]:
    """A data folder of one test."""
    with place(tmp_path / "data") as made:
        yield made


def message(id_: str) -> dict[str, Any]:
    """Return a message of the present time."""
    now = datetime.now(UTC).isoformat()
    return {"type": "message.received", "time": now, "id": id_, "channel": "sms", "contact_id": f"c-{id_}"}


@pytest.mark.slow
def test_commands_work_beside_a_server(here: Place) -> None:
    """Query, import, tenants, refresh and verify work on the folder of a running server, which sees their changes; a
    client's repeated events count once.
    """
    server, url = here.start()
    key = here.key().key
    with hubbub.Client(url, key, flush_at=7) as client:
        for i in range(100):
            client.record(message(f"m{i % 50}"))
        assert client.flush(timeout=60)
        assert (client.stats.sent, client.stats.duplicates, client.stats.rejected) == (50, 50, 0)
    assert here.messages() == 50
    file = here.folder.parent / "more.jsonl"
    file.write_text("\n".join(json.dumps(message(f"i{i}")) for i in range(10)) + '\n{"type": "message.sent"}\n')
    imported = here.told("import", "events", str(file), "--tenant", "acme")
    assert (imported["stored"], imported["rejected"]) == (10, {"missing_field": 1})
    assert here.told("tenants", "add", "other", "--zone", "Asia/Tokyo")["zone"] == "Asia/Tokyo"
    assert here.told("refresh")["errors"] == {}
    assert here.told("verify")["clean"]
    again = here.run("tenants", "add", "other")
    assert (again.returncode, again.stdout, again.stderr) == (1, "", "hubbub: tenant 'other' exists already\n")
    asked = {"metrics": ["messages"], "from": "2026-01-01", "to": "2099-12-31"}
    answer = httpx2.post(f"{url}/v1/query", json=asked, headers={"Authorization": f"Bearer {key}"}, timeout=60)
    assert answer.json()["rows"][0]["messages"] == 60
    server.terminate()
    assert server.wait(timeout=60) == 0
    assert here.messages() == 60


def test_the_refresh_loop_brings_facts_up_to_date(here: Place) -> None:
    """The server folds by itself: /readyz reports no batch behind, and the numbers stay the same."""
    _, url = here.start()
    key = here.key().key
    header = {"Authorization": f"Bearer {key}"}
    posted = httpx2.post(f"{url}/v1/events", json=[message(f"m{i}") for i in range(20)], headers=header, timeout=60)
    assert posted.json()["accepted"] == 20
    until(lambda: httpx2.get(f"{url}/readyz", timeout=60).json()["behind_batches"] == 0, "facts are up to date")
    assert "hubbub_log_waiting_batches 0.0" in httpx2.get(f"{url}/metrics", timeout=60).text
    assert here.messages() == 20


def test_sigterm_under_load_loses_nothing(here: Place) -> None:
    """SIGTERM with four senders under way: no request gets an error, the exit code is 0, and all acknowledged events
    are stored once.
    """
    server, url = here.start()
    key = here.key().key
    acknowledged: list[str] = []
    sent: list[str] = []
    strange: list[str] = []
    begun = threading.Semaphore(0)

    def send(who: int) -> None:
        with httpx2.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=60) as http:
            for i in range(10_000):
                ids = [f"{who}-{i}-{n}" for n in range(20)]
                sent.extend(ids)
                try:
                    answer = http.post("/v1/events", json=[message(id_) for id_ in ids])
                except (httpx2.ConnectError, httpx2.RemoteProtocolError, httpx2.ReadError):
                    return  # the server stopped listening or closed an idle connection
                if answer.status_code != 202 or answer.json()["accepted"] != 20:
                    strange.append(answer.text)
                    return
                acknowledged.extend(ids)
                begun.release()

    threads = [threading.Thread(target=send, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(20):
            assert begun.acquire(timeout=120)
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=120) == 0
    finally:
        server.kill()
        for thread in threads:
            thread.join()
    assert strange == []
    with hubbub.open(here.folder, free_floor_mb=0) as engine:
        engine.refresh()
        with engine.store.facts.read() as reading:
            stored = [row[0] for row in reading.rows("SELECT id FROM event")]
    assert len(stored) == len(set(stored))
    assert set(acknowledged) <= set(stored) <= set(sent)


def test_a_killed_server_leaves_the_folder_usable(here: Place) -> None:
    """After kill -9 commands open the folder, all events are stored once, and a new server takes over."""
    server, url = here.start()
    key = here.key().key
    header = {"Authorization": f"Bearer {key}"}
    for i in range(20):
        assert httpx2.post(f"{url}/v1/events", json=message(f"m{i}"), headers=header, timeout=60).status_code == 202
    server.kill()
    server.wait()
    assert here.messages() == 20
    assert here.told("verify")["clean"]
    _, url = here.start()
    answer = httpx2.post(f"{url}/v1/events", json=message("m0"), headers=header, timeout=60)
    assert answer.json()["duplicates"] == 1


@pytest.mark.slow
def test_two_servers_share_a_folder_but_not_a_port(here: Place, tmp_path: Path) -> None:
    """Two servers on a folder count each other's events; a server on a used port exits 1 with the reason, and the first
    goes on.
    """
    server, url = here.start()
    _, second = here.start()
    key = here.key().key
    header = {"Authorization": f"Bearer {key}"}
    for n, each in enumerate((url, second, url, second)):
        posted = httpx2.post(f"{each}/v1/events", json=[message(f"m{n}"), message("same")], headers=header, timeout=60)
        assert posted.json()["accepted"] == (2 if n == 0 else 1)
    asked = {"metrics": ["messages"], "from": "2026-01-01", "to": "2099-12-31"}
    for each in (url, second):
        answer = httpx2.post(f"{each}/v1/query", json=asked, headers=header, timeout=60)
        assert answer.json()["rows"][0]["messages"] == 5
    with place(tmp_path / "other") as other:
        third = other.run("serve", "--port", url.rsplit(":", 1)[1])
        assert (third.returncode, third.stdout) == (1, "")
        assert "could not listen" in third.stderr
        assert "Traceback" not in third.stderr
        assert other.messages() == 0
    assert server.poll() is None
    assert httpx2.get(f"{url}/healthz", timeout=60).status_code == 200
    assert here.messages() == 5
    assert here.told("verify")["clean"]
