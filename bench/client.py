"""A minimal HTTP client, which sends prepared requests over a few connections, and a server process for it."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bench import lab


@dataclass(frozen=True)
class Server:
    """A server process; `ready`: seconds from its start until it was ready."""

    pid: int
    port: int
    ready: float


@contextmanager
def serving(folder: Path, *flags: str, **settings: str) -> Iterator[Server]:
    """Run `hubbub serve` on a folder; without given settings, there are no limits for keys."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [sys.executable, "-m", "bench.server", "serve", "--data", str(folder), "--port", str(port), *flags]
    unlimited = {
        f"HUBBUB_LIMITS__{name.upper()}": "0" for name in ("reads", "ingests", "events", "megabytes", "seconds")
    }
    free = {"HUBBUB_LOG_LEVEL": "error", **(settings or unlimited)}
    begun = time.perf_counter()
    process = subprocess.Popen(command, env=os.environ | free, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not _is_ready(port):
            if process.poll() is not None or time.perf_counter() - begun > 120:
                raise RuntimeError("the server did not get ready")
            time.sleep(0.01)
        yield Server(process.pid, port, time.perf_counter() - begun)
    finally:
        process.terminate()
        process.wait(timeout=60)


def _is_ready(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 5) as there:
        there.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return there.recv(100).startswith(b"HTTP/1.1 200")
    return False


def request(path: str, key: str, body: bytes = b"") -> bytes:
    """Return a request as bytes; NDJSON if the body has several lines."""
    kind = "application/x-ndjson" if b"\n" in body else "application/json"
    head = f"{'POST' if body else 'GET'} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n"
    sent = f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n" if body else ""
    return f"{head}{sent}\r\n".encode() + body


async def _line(port: int, requests: Iterator[bytes]) -> list[float]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    taken = []
    for asked in requests:
        begun = time.perf_counter()
        writer.write(asked)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        body = await reader.readexactly(length)
        taken.append(time.perf_counter() - begun)
        if head[9:12] not in (b"200", b"202"):
            raise RuntimeError(f"the server answered {head[:80]!r}: {body[:200]!r}")
    writer.close()
    return taken


def ask(port: int, requests: Sequence[bytes], connections: int) -> list[float]:
    """Send requests over some connections, each as soon as its connection is free; return the seconds of each request."""

    async def all_of_them() -> list[float]:
        shared = iter(requests)
        lines = await asyncio.gather(*(_line(port, shared) for _ in range(connections)))
        return [seconds for line in lines for seconds in line]

    return asyncio.run(all_of_them())


@dataclass(frozen=True)
class Run:
    """The cost of requests: CPU seconds of the server, seconds until all were answered, and seconds of each."""

    cpu: float
    wall: float
    each: list[float]


def run(server: Server, requests: Sequence[bytes], connections: int) -> Run:
    """Send requests and return their cost."""
    cpu, begun = lab.cpu_of(server.pid), time.perf_counter()
    each = ask(server.port, requests, connections)
    return Run(lab.cpu_of(server.pid) - cpu, time.perf_counter() - begun, each)
