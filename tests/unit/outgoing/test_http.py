"""Outgoing calls: bounded, never into a private network, and every failure is one of two errors."""

from __future__ import annotations

import gzip
import ipaddress
import logging
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hubbub.errors import BadSettingError, HubbubError, UpstreamRefusedError, UpstreamUnavailableError
from hubbub.outgoing.addresses import is_public
from hubbub.outgoing.http import Outgoing, retry_after
from tests.services import Reply, certificate, in_turn, service

CANARY = "canary-of-the-token"


@pytest.fixture
def out() -> Iterator[Outgoing]:
    """Open an outgoing client that may call this machine."""
    opened = Outgoing(["127.0.0.1"])
    yield opened
    opened.close()


def failed(out: Outgoing, reply: Reply, **how: Any) -> HubbubError:
    """Return the error of a call that gets this reply."""
    with service(in_turn(reply)) as there, pytest.raises(HubbubError) as caught:
        headers = {"Authorization": f"Bearer {CANARY}"}
        out.send("POST", f"{there.url}/path?{CANARY}", headers=headers, body={"text": CANARY}, **how).checked()
    assert CANARY not in str(caught.value) + repr(caught.value.__cause__)
    return caught.value


def test_a_call_arrives_unchanged(out: Outgoing) -> None:
    """Method, path, parameters, headers and JSON body arrive, and status, headers and body are returned, compressed or not."""
    with service(in_turn(Reply({"a": 1}, headers={"X-Said": "so"}), Reply({"a": 2}, packed=True))) as there:
        first = out.send("POST", f"{there.url}/x", params={"n": 1}, headers={"X-Key": "k"}, body={"b": ["ä"]})
        second = out.send("GET", f"{there.url}/y")
    assert (first.status, first.headers["x-said"], first.json(), second.json()) == (200, "so", {"a": 1}, {"a": 2})
    call = there.calls[0]
    assert (call.method, call.path, call.query, call.headers["x-key"]) == ("POST", "/x", {"n": "1"}, "k")
    assert call.told == {"b": ["ä"]}


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 529])
def test_passing_statuses_can_be_retried(out: Outgoing, status: int) -> None:
    """Transient statuses raise UpstreamUnavailableError with the pause of Retry-After."""
    error = failed(out, Reply(CANARY.encode(), status, {"Retry-After": "17"}))
    assert isinstance(error, UpstreamUnavailableError)
    assert (error.retry, error.retry_after) == (True, 17)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413, 418, 422])
def test_other_refusals_need_a_person(out: Outgoing, status: int) -> None:
    """Every other 4xx status raises UpstreamRefusedError with an action."""
    error = failed(out, Reply(CANARY.encode(), status))
    assert isinstance(error, UpstreamRefusedError)
    assert not error.retry and error.action and error.action in str(error)


def test_redirects_are_not_followed(out: Outgoing) -> None:
    """A redirect, also to a private address, is refused and not followed."""
    with service(in_turn(Reply())) as inner:
        for status in (301, 302, 307, 308):
            error = failed(out, Reply(status=status, headers={"Location": f"{inner.url}/secret"}))
            assert isinstance(error, UpstreamRefusedError)
            assert "redirect" in str(error)
    assert inner.calls == []


def test_a_timeout_or_closed_port_is_an_unavailable_service(out: Outgoing) -> None:
    """A timeout, a closed port and an unknown name raise UpstreamUnavailableError."""
    assert isinstance(failed(out, Reply(hang=True), timeout=0.3), UpstreamUnavailableError)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(UpstreamUnavailableError, match="could not be reached"):
        out.send("GET", f"http://127.0.0.1:{port}/")
    with pytest.raises(UpstreamUnavailableError):
        out.send("GET", "https://nowhere.invalid/", timeout=5)


def test_a_too_large_answer_is_refused(out: Outgoing) -> None:
    """A body beyond the limit is refused, plain or as a gzip bomb; one of exactly the limit is read."""
    for reply in (Reply(b"x" * 1001), Reply(b"\0" * 50_000_000, packed=True)):
        assert isinstance(failed(out, reply, limit=1000), UpstreamRefusedError)
    with service(in_turn(Reply(b"x" * 1000), Reply(b"x" * 1000, packed=True))) as there:
        assert len(out.send("GET", there.url, limit=1000).body) == 1000
        assert len(out.send("GET", there.url, limit=1000).body) == 1000


def test_every_member_of_a_packed_answer_is_read(out: Outgoing) -> None:
    """An answer of two gzip members is read whole, and both count towards the limit."""
    body = gzip.compress(b"x" * 600) + gzip.compress(b"y" * 400)
    with service(in_turn(*[Reply(body, headers={"Content-Encoding": "gzip"})] * 2)) as there:
        assert out.send("GET", there.url, limit=1000).body == b"x" * 600 + b"y" * 400
        with pytest.raises(UpstreamRefusedError, match="more than 999 bytes"):
            out.send("GET", there.url, limit=999)


def test_broken_compression_and_json_can_be_retried(out: Outgoing) -> None:
    """Invalid or truncated gzip and an answer that is not JSON raise UpstreamUnavailableError."""
    whole = gzip.compress(b"{}")
    for body in (b"no gzip", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xcb", whole + b"more", whole + whole[:-1]):
        assert isinstance(failed(out, Reply(body, headers={"Content-Encoding": "gzip"})), UpstreamUnavailableError)
    with service(in_turn(Reply(b"<html>"))) as there, pytest.raises(UpstreamUnavailableError, match="JSON"):
        out.send("GET", there.url).json()


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/", "https://localhost/", "https://[::1]/", "https://0.0.0.0/", "https://[::]/", "https://10.1.2.3/",
        "https://192.168.0.1/", "https://172.16.0.1/", "https://169.254.169.254/latest/meta-data/", "https://100.64.0.1/",
        "https://[::ffff:127.0.0.1]/", "https://[::ffff:169.254.169.254]/", "https://[fe80::1]/", "https://[fd00::1]/",
        "https://2130706433/", "https://0x7f.1/", "https://127.1/", "https://[64:ff9b::7f00:1]/", "https://[2002:7f00:1::]/",
        "https://224.0.0.1/", "https://192.0.0.192/", "https://192.88.99.1/", "https://[fec0::1]/", "https://[3fff::1]/",
        "https://0177.0.0.1/", "https://0300.0.0.192/", "https://127.0.0.1:99999/",
        "https://255.255.255.255/", "https://user@127.0.0.1/",
        "http://example.com/", "ftp://example.com/", "file:///etc/passwd", "//example.com", "https://", "", "https://[::1",
    ],
)  # fmt: skip
def test_private_addresses_are_refused(url: str) -> None:
    """Loopback, private, link-local, metadata and mapped addresses in any spelling, and anything but https, are refused."""
    out = Outgoing()
    with pytest.raises(UpstreamRefusedError):
        out.send("GET", url, timeout=5)
    out.close()


@pytest.mark.parametrize(
    "text",
    ["93.184.216.34", "8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"],
)
def test_public_addresses_are_public(text: str) -> None:
    """Public addresses, also IPv6 ones that map IPv4, may be called."""
    assert is_public(ipaddress.ip_address(text))


def test_a_name_is_resolved_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name is resolved once and the connection uses the checked address; one private address among public ones is refused."""
    asked: list[str] = []
    connected: list[tuple[str, int]] = []
    answers = [["93.184.216.34"], ["127.0.0.1"]]

    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        return [(0, 0, 0, "", (address, port)) for address in answers[min(len(asked), len(answers)) - 1]]

    def connect(address: tuple[str, int], *_: Any, **__: Any) -> socket.socket:
        connected.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket, "create_connection", connect)
    out = Outgoing()
    with pytest.raises(UpstreamUnavailableError):
        out.send("GET", "https://rebind.example/")
    assert (asked, connected) == (["rebind.example"], [("93.184.216.34", 443)])
    with pytest.raises(UpstreamRefusedError, match="private"):
        out.send("GET", "https://rebind.example/")
    answers.append(["93.184.216.34", "10.0.0.1"])
    with pytest.raises(UpstreamRefusedError, match="private"):
        out.send("GET", "https://rebind.example/")
    assert len(connected) == 1
    out.close()


def test_hosts_of_the_setting_may_be_private() -> None:
    """A host of the setting, with its port if given, may be private and unencrypted; others may not."""
    with service(in_turn(Reply(b"in"))) as there, service(in_turn(Reply(b"other"))) as other:
        out = Outgoing([there.place])
        assert out.send("GET", there.url).body == b"in"
        with pytest.raises(UpstreamRefusedError):
            out.send("GET", other.url)
        out.close()
    for bad in ("http://x", "x/y", "", "x:y", "u@x"):
        with pytest.raises(BadSettingError, match="allow_private_hosts"):
            Outgoing([bad])


def test_certificates_are_checked_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over TLS the certificate is checked by name, not address; SSL_CERT_FILE adds a private authority."""
    files = certificate(tmp_path, "localhost")
    with service(in_turn(Reply(b"in")), certificate=files) as there:
        port = there.place.rpartition(":")[2]
        for trusted, host in ((False, "localhost"), (True, "127.0.0.1")):
            if trusted:
                monkeypatch.setenv("SSL_CERT_FILE", str(files[0]))
            out = Outgoing(["localhost", "127.0.0.1"])
            with pytest.raises(UpstreamRefusedError, match="certificate"):
                out.send("GET", f"https://{host}:{port}/")
            out.close()
        out = Outgoing(["localhost"])
        assert out.send("GET", f"https://localhost:{port}/").body == b"in"
        out.close()


def test_addresses_are_not_logged(out: Outgoing, caplog: pytest.LogCaptureFixture) -> None:
    """A path may be a secret, like Slack's response addresses: no log line holds it."""
    with caplog.at_level(logging.INFO), service(in_turn(Reply())) as there:
        out.send("POST", f"{there.url}/{CANARY}")
    assert CANARY not in caplog.text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30", 30), ("0", 0), ("1.5", 1.5), ("-5", 0), ("999999", 3600), ("Wed, 01 Aug 2026 10:01:00 GMT", 60),
        ("Wed, 01 Aug 2026 09:00:00 GMT", 0), ("Wed, 01 Aug 2029 09:00:00 GMT", 3600), ("soon", None), ("", None), (None, None),
        ("nan", None), ("inf", None), ("1e999", None),
    ],
)  # fmt: skip
def test_pauses_are_read_in_both_forms(text: str | None, seconds: float | None) -> None:
    """Retry-After is seconds or a date; odd values give None, and an hour is the maximum."""
    assert retry_after(text, lambda: datetime(2026, 8, 1, 10, tzinfo=UTC)) == seconds
