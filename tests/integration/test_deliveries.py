"""The delivery log of real servers: it lists every delivery, a page shows it, and two servers' counts add up."""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

import hubbub
from hubbub.services.monitoring import DeliveryRow
from tests.integration.test_serve import message, place, until

BAD = {"type": "message.lost", "time": "2026-08-01T10:00:00Z"}


def send(url: str, key: str, body: Any) -> int:
    """Send a body (bytes unchanged, anything else as JSON); return the status."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {key}"}
    return httpx2.post(f"{url}/v1/events", content=content, headers=headers, timeout=60).status_code


def hang_up(url: str, key: str) -> None:
    """Announce a body, send a part of it, and close the connection."""
    parts = urlsplit(url)
    head = f"POST /v1/events HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Bearer {key}\r\nContent-Length: 99\r\n\r\n["
    with closing(socket.create_connection((parts.hostname or "", parts.port or 0))) as wire:
        wire.sendall(head.encode())


def sums(rows: Sequence[DeliveryRow]) -> dict[tuple[Any, ...], int]:
    """Return the number of bodies by status, outcome, reason and tenant, summed over minutes."""
    found: dict[tuple[Any, ...], int] = {}
    for row in rows:
        name = row.status, row.outcome, row.reason, row.tenant
        found[name] = found.get(name, 0) + row.bodies
    return found


def noted(folder: Path) -> dict[tuple[Any, ...], int]:
    """Return the same sums as another process reads them."""
    with hubbub.open(folder, free_floor_mb=0) as engine:
        return sums(engine.monitoring.deliveries().rows)


def settings(folder: Path, **values: Any) -> Path:
    """Create a data folder with these settings."""
    folder.mkdir()
    (folder / "hubbub.yaml").write_text(json.dumps(values))  # JSON is YAML
    return folder


def page(folder: Path, url: str) -> str:
    """Return the HTML of the operators' page of deliveries, signed in."""
    with hubbub.open(folder, free_floor_mb=0) as engine:
        token = engine.access.sign_in_link().path.partition("token=")[2]
    with httpx2.Client(base_url=url, timeout=60) as http:
        assert http.post("/sign-in", data={"token": token}, headers={"Origin": url}).status_code == 303
        return http.get("/operate/sources/deliveries").text


def test_a_server_logs_the_outcome_of_every_delivery(tmp_path: Path) -> None:
    """Good, partly refused, unreadable, too large, cut off, unauthorised and rate-limited deliveries are in the log, on
    the page, and in the log after the server ended.
    """
    few = {"ingests": 0.01, "reads": 0, "burst": 1800}
    with place(settings(tmp_path / "data", max_body_mb=1, limits=few)) as here:
        server, url = here.start()
        made = here.key()
        key, reader = made.key, here.key("read").key
        bodies = [message("a"), message("b")], [message("a"), BAD], b"{", b" " * (1 << 21)
        assert [send(url, key, body) for body in bodies] == [202, 202, 400, 413]
        assert [send(url, other, message("c")) for other in (reader, f"{key[:-4]}nono", "x")] == [403, 401, 401]
        hang_up(url, key)
        expected = {
            (202, "accepted", None, "acme"): 1, (202, "partly_refused", "unknown_type", "acme"): 1,
            (400, "bad_request", "unreadable", "acme"): 1, (413, "too_large", None, "acme"): 1,
            (403, "forbidden", "missing_scope", "acme"): 1, (401, "unauthenticated", "unknown_key", None): 2,
            (400, "bad_request", "sender_gone", "acme"): 1,
        }  # fmt: skip
        until(lambda: noted(here.folder) == expected, "all deliveries are noted")
        answers = [send(url, key, [message(f"more-{n}")]) for n in range(20)]
        expected |= {
            (202, "accepted", None, "acme"): 1 + answers.count(202),
            (429, "rate_limited", None, "acme"): answers.count(429),
        }
        assert answers.count(429)
        until(lambda: noted(here.folder) == expected, "the limited ones are noted")
        shown = page(here.folder, url)
        assert (
            shown.count(made.id) >= 6
            and "the sender closed the connection" in shown
            and "unknown_type in type" in shown
        )
        server.terminate()
        assert server.wait(timeout=60) == 0
        with hubbub.open(here.folder, free_floor_mb=0) as engine:
            assert sums(engine.monitoring.deliveries(limit=1000).rows) == expected


@pytest.mark.slow
def test_a_kill_loses_delivery_counts_but_no_event(tmp_path: Path) -> None:
    """After kill -9 all acknowledged events are stored; the delivery log has at least what was written, at most what was sent."""
    with place(tmp_path / "data") as here:
        server, url = here.start()
        key = here.key().key
        assert send(url, key, message("first")) == 202
        until(partial(tells, here.folder, 1), "the first delivery is noted")
        for n in range(20):
            assert send(url, key, message(f"m{n}")) == 202
        server.kill()
        server.wait()
        assert here.messages() == 21
        with hubbub.open(here.folder, free_floor_mb=0) as engine:
            (bodies,) = sums(engine.monitoring.deliveries().rows).values()
        assert 1 <= bodies <= 21


@pytest.mark.slow
def test_two_servers_count_together(tmp_path: Path, jobs_url: str) -> None:
    """Two servers on one folder, control data in SQLite or PostgreSQL: the delivery log sums both servers' deliveries."""
    with place(settings(tmp_path / "data", control_url=jobs_url, secret_key="5c" * 32)) as here:
        key = here.key().key
        urls = [here.start()[1] for _ in range(2)]
        for n in range(12):
            assert send(urls[n % 2], key, message(f"m{n}")) == 202
        until(partial(tells, here.folder, 12), "both servers' deliveries are there")
        assert here.messages() == 12


def tells(folder: Path, bodies: int) -> bool:
    """Return whether the log has exactly this many accepted deliveries and no others."""
    return noted(folder) == {(202, "accepted", None, "acme"): bodies}
