"""A real server's connections: stalled heads and bodies, keys before bodies, HEAD, a taken port, and too many open files."""

from __future__ import annotations

import asyncio
import errno
import http.client
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hubbub.api import admission
from hubbub.api import app as app_
from hubbub.api.connection import listener
from hubbub.errors import HubbubError
from hubbub.telemetry import Seldom
from tests.served import served
from tests.unit.api.conftest import Face, open_engine

PATIENCE = 30


@pytest.fixture
def port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Serve an engine on a socket, with short timeouts, and yield the port."""
    monkeypatch.setattr("hubbub.api.connection.HEAD_SECONDS", 0.3)
    monkeypatch.setattr("hubbub.api.body.BODY_PAUSE", 0.5)
    monkeypatch.setattr("hubbub.api.body.BODY_SECONDS", 2.0)
    with open_engine(tmp_path / "data") as engine:
        engine.add_tenant("acme")
        (tmp_path / "key").write_text(str(engine.keys.add("acme").key))
        with served(engine) as made:
            yield made


def talk(port: int, *sent: bytes, pause: float = 0.0) -> bytes:
    """Send pieces with pauses; return all bytes until the server closes, or b"open" if it does not."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as there:
        try:
            for piece in sent:
                there.sendall(piece)
                time.sleep(pause)
        except OSError:
            pass  # the server closed it meanwhile
        answer = b""
        try:
            while piece := there.recv(65536):
                answer += piece
        except TimeoutError:
            return b"open"
        except ConnectionResetError:
            pass
        return answer


def head(key: str, length: int) -> bytes:
    """Return the head of a request that sends events."""
    lines = [
        "POST /v1/events HTTP/1.1", "Host: x", f"Authorization: Bearer {key}", "Content-Type: application/json",
        f"Content-Length: {length}",
    ]  # fmt: skip
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def test_a_stalled_request_head_ends_the_connection(port: int) -> None:
    """The server closes a connection without a whole head, slow ones and second ones too, and answers others."""
    assert talk(port) == b""
    assert talk(port, b"GET /healthz HTTP/1.1\r\nHos") == b""
    assert talk(port, *[bytes([byte]) for byte in b"GET /healthz HTTP/1.1\r\nHost: x\r\n"], pause=0.05) == b""
    whole = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    assert talk(port, whole, b"GET /heal", pause=0.1).count(b"200 OK") == 1
    assert b"200 OK" in talk(port, whole)


def test_a_stalled_body_is_a_408(port: int, tmp_path: Path) -> None:
    """A body that stalls and one that trickles get 408 with request_timeout, and the connection is closed."""
    key = (tmp_path / "key").read_text()
    still = talk(port, head(key, 1000), b"[")
    assert b" 408 " in still and b'"code":"request_timeout"' in still and b"retry-after" in still
    trickled = talk(port, head(key, 1000), *[b" "] * 30, pause=0.1)
    assert b" 408 " in trickled


def test_stalled_bodies_delay_no_other_request(port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stalled bodies, twice a tenant's share, do not delay the tenant's next request."""
    monkeypatch.setattr("hubbub.api.body.BODY_PAUSE", 60.0)
    monkeypatch.setattr("hubbub.api.body.BODY_SECONDS", 60.0)
    key = (tmp_path / "key").read_text()
    slow = [socket.create_connection(("127.0.0.1", port), PATIENCE) for _ in range(2 * admission.SHARE)]
    try:
        for one in slow:
            one.sendall(head(key, 1000) + b"[")
        time.sleep(0.2)
        asked = f"GET /v1/metrics HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nConnection: close\r\n\r\n"
        assert b"200 OK" in talk(port, asked.encode())
        body = json.dumps({"type": "message.received", "time": "2026-08-20T12:00:00Z"}).encode()
        assert b"202 Accepted" in talk(port, head(key, len(body)).replace(b"Host", b"Connection: close\r\nHost"), body)
    finally:
        for one in slow:
            one.close()


def test_a_bad_key_is_refused_before_the_body_arrives(port: int) -> None:
    """A request with a bad key gets 401 before its body arrives."""
    for key, path in (("hub_live_none_of_ours", b"/v1/events"), ("", b"/v1/query")):
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as there:
            there.sendall(head(key, 9_000_000).replace(b"/v1/events", path))
            assert b" 401 " in there.recv(65536)


def test_head_is_answered_as_get_is(port: int) -> None:
    """HEAD has the status and content type of GET, and no body."""
    for path in ("/healthz", "/readyz", "/metrics", "/sign-in"):
        with_body, without = (http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE) for _ in range(2))
        with_body.request("GET", path)
        without.request("HEAD", path)
        got, headed = with_body.getresponse(), without.getresponse()
        assert (got.status, headed.status, headed.read()) == (200, 200, b"")
        assert headed.headers["content-type"] == got.headers["content-type"]
        got.read()
        without.request("GET", "/healthz")
        assert json.loads(without.getresponse().read()) == {"status": "ok"}
        with_body.close()
        without.close()


def test_serve_on_a_taken_port_ends_before_it_makes_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`serve` on a taken port ends with 1 and one line, before it makes a folder."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        with pytest.raises(HubbubError, match=f"could not listen on 127.0.0.1:{number}"):
            listener("127.0.0.1", number)
        monkeypatch.setattr("sys.argv", ["hubbub", "serve", "--port", str(number), "--data", str(tmp_path / "new")])
        from hubbub.cli.main import run  # noqa: PLC0415 - as the program does

        with pytest.raises(SystemExit) as ended:
            run()
    assert ended.value.code == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "new").exists()


def test_a_lack_of_file_descriptors_is_logged_once_a_minute(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], face: Face
) -> None:
    """asyncio reports thousands of failed accepts; the log has one line for all of them."""
    context: dict[str, Any] = {
        "message": "socket.accept() out of system resource",
        "exception": OSError(errno.EMFILE, "Too many open files"),
    }
    monkeypatch.setattr(app_, "seldom", Seldom())
    loop = asyncio.new_event_loop()
    capsys.readouterr()
    for _ in range(10_000):
        app_._noted(loop, context)
    loop.close()
    printed = capsys.readouterr()
    assert (printed.out + printed.err).count("out of system resource") == 1


def test_each_trouble_is_reported_once_in_its_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first report of a trouble passes, later ones after the interval; each trouble is separate, and memory is bounded."""
    moment = 1000.0
    monkeypatch.setattr("hubbub.telemetry.time.monotonic", lambda: moment)
    seldom = Seldom(60)
    assert [seldom("a"), seldom("a"), seldom("b")] == [True, False, True]
    moment += 59
    assert not seldom("a")
    moment += 1
    assert seldom("a")
    for n in range(3000):
        seldom(n)
    assert len(seldom._last) <= 1000
