"""Slack's Socket Mode against a local server: events are stored, then acknowledged; connections follow the integrations."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from slack_sdk.socket_mode.builtin.connection import Connection, ConnectionState

from hubbub.app import Engine
from hubbub.errors import UpstreamRefusedError
from hubbub.ingest.receivers.sockets import Sockets
from tests.unit.api.conftest import open_engine

MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
EVENT = {
    "type": "event_callback",
    "event": {"type": "message", "channel": "C1", "user": "U1", "ts": "1785499200.000100"},
}


class Slack:
    """A stand-in for Slack's Socket Mode: returns an address, shakes hands, sends envelopes and records acknowledgements."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.url = f"ws://127.0.0.1:{self.port}/link"
        self.acknowledged: list[str] = []
        self.tokens: list[str] = []
        self.links: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                there, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(there,), daemon=True).start()

    def _answer(self, there: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += there.recv(4096)
        lines = dict(line.partition(": ")[::2] for line in head.decode().split("\r\n")[1:] if ": " in line)
        if head.startswith(b"POST"):
            self.tokens.append({name.lower(): value for name, value in lines.items()}["authorization"])
            body = json.dumps({"ok": True, "url": self.url}).encode()
            there.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            there.close()
            return
        accept = base64.b64encode(hashlib.sha1((lines["Sec-WebSocket-Key"] + MAGIC).encode()).digest()).decode()
        upgrade = (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
        )
        there.sendall(f"{upgrade}{accept}\r\n\r\n".encode())
        self.links.append(there)
        self._hear(there)

    def _hear(self, there: socket.socket) -> None:
        """Read the client's frames, which are masked and short."""
        with there.makefile("rb") as frames, suppress(OSError):
            while len(start := frames.read(2)) == 2:
                length = start[1] & 127
                length = int.from_bytes(frames.read(2), "big") if length == 126 else length
                mask, masked = frames.read(4), frames.read(length)
                if start[0] & 15 == 1:
                    plain = bytes(byte ^ mask[place % 4] for place, byte in enumerate(masked))
                    self.acknowledged.append(json.loads(plain)["envelope_id"])

    def send(self, envelope: str, payload: dict[str, Any], type_: str = "events_api") -> None:
        """Send an envelope over the newest connection."""
        body = json.dumps({"envelope_id": envelope, "type": type_, "payload": payload}).encode()
        self.links[-1].sendall(b"\x81\x7e" + len(body).to_bytes(2, "big") + body)

    def close(self) -> None:
        """Close the server and its connections."""
        self._listening.close()
        for link in self.links:
            link.close()


def eventually(true: Callable[[], Any]) -> None:
    """Wait up to 30 s until a condition holds."""
    for _ in range(1500):
        if true():
            return
        time.sleep(0.02)
    raise AssertionError("it never came true")


@pytest.fixture
def slack() -> Iterator[Slack]:
    """Run a local Slack."""
    made = Slack()
    yield made
    made.close()


@pytest.fixture
def engine(tmp_path: Path, slack: Slack) -> Iterator[Engine]:
    """Open an engine that may call this machine, with a Slack workspace in Socket Mode."""
    with open_engine(tmp_path / "data", allow_private_hosts=["127.0.0.1"]) as made:
        made.add_tenant("acme")
        settings = {"base_url": f"http://127.0.0.1:{slack.port}/api/"}
        made.integrations.add("acme", "slack", settings=settings, secrets={"app_token": "xapp-1"})
        yield made


def test_an_event_is_stored_before_it_is_acknowledged(engine: Engine, slack: Slack) -> None:
    """An envelope sent twice counts once. An event that cannot be stored is not acknowledged; other envelopes are."""
    sockets = Sockets(engine.integration_store, engine.listening.open, pause=0.05)
    sockets.start()
    try:
        eventually(lambda: slack.links)
        assert slack.tokens[-1] == "Bearer xapp-1"
        slack.send("e1", EVENT)
        slack.send("e2", EVENT)
        slack.send("e3", {}, "slash_commands")
        eventually(lambda: len(slack.acknowledged) == 3)
        (row,) = engine.integrations.setups("acme").rows
        assert (row.state, row.address) == ("received", None) and "Socket Mode" in row.steps[0]
        assert engine.refresh()["events"] == 1
        off = engine.settings.collection.model_copy(update={"enabled": False})
        engine.settings = engine.settings.model_copy(update={"collection": off})
        slack.send("e4", EVENT)
        slack.send("e5", {}, "slash_commands")
        eventually(lambda: "e5" in slack.acknowledged)
        assert "e4" not in slack.acknowledged
    finally:
        sockets.stop()


def test_connections_follow_the_integrations(engine: Engine, slack: Slack) -> None:
    """Pausing an integration closes its connection; resuming it opens one again."""
    id_ = engine.integrations.of("acme").rows[0].id
    sockets = Sockets(engine.integration_store, engine.listening.open, pause=0.05)
    sockets.start()
    try:
        eventually(lambda: len(slack.links) == 1)
        engine.integrations.pause("acme", id_)
        eventually(lambda: not sockets.connected)
        engine.integrations.resume("acme", id_)
        eventually(lambda: len(slack.links) == 2)
    finally:
        sockets.stop()
    assert not sockets.connected


def test_a_connection_that_just_began_to_receive_is_closed(
    engine: Engine, slack: Slack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call to close ends, and so do the SDK's threads, although the SDK begins to receive only after it disconnected."""
    receives, begins = Connection.run_until_completion, threading.Event()

    def late(self: Connection, state: ConnectionState) -> None:
        begins.set()
        eventually(lambda: not self.is_active())
        state.terminated = False  # as the SDK does before it begins
        receives(self, state)

    monkeypatch.setattr(Connection, "run_until_completion", late)
    before = threading.active_count()
    connection = engine.listening.open(engine.integration_store.get("acme", engine.integrations.of("acme").rows[0].id))
    connection.connect()
    assert begins.wait(30)
    closing = threading.Thread(target=connection.close, daemon=True)
    closing.start()
    closing.join(20)
    assert not closing.is_alive()
    slack.close()
    eventually(lambda: threading.active_count() <= before)


def test_only_an_address_of_slacks_is_connected_to(engine: Engine, slack: Slack) -> None:
    """A connection address on another host, or without encryption, is refused by name."""
    one = engine.integration_store.page("acme")[0]
    for url in ("ws://wss-primary.slack.com/link", "wss://slack.com.example.com/link", "wss://10.0.0.1/", "x"):
        slack.url = url
        connection = engine.listening.open(engine.integration_store.get("acme", one.id))
        with pytest.raises(UpstreamRefusedError, match="not an address of Slack"):
            connection.connect()
        connection.close()
