"""The effect of a tenant at twenty times its limit on another, over HTTP: with good events, bad events, and questions.

The flood comes from a separate process and keeps its pace whatever the answers are. The neighbour sends an event and asks for an
uncached dashboard in turns. Its times are compared with those on the same server without the flood, and with those while the other
tenant sends just its limit: no limit prevents that work, so the difference is the cost of the excess.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from bench import client, ingest, lab

KINDS = ("good", "bad", "questions")
ALONE, WITHIN, OVER = 0, 1, 20
"""Multiples of its limit that the other tenant sends."""
LIMITS = {"READS": 20, "EVENTS": 2_000}
"""Limits of each tenant, a second; the other limits are the defaults."""
BATCH = 1_000
SECONDS, APART = 15.0, 0.05
"""Seconds of a measurement of the neighbour, and seconds between the starts of its requests."""
CONNECTIONS = 32


def bodies(kind: str, key: str) -> Iterator[bytes]:
    """Yield requests of the flood; no event is repeated."""
    now, number = datetime.now(UTC).isoformat(), 0
    while True:
        if kind == "questions":
            yield client.request("/v1/dashboard?days=7", key).replace(
                b"\r\n\r\n", b"\r\nCache-Control: no-cache\r\n\r\n"
            )
            continue
        lines = []
        for _ in range(BATCH):
            number += 1
            type_ = "message.received" if kind != "bad" else f"mesage.recieved{number}"
            lines.append(
                f'{{"type":"{type_}","id":"{number}","time":"{now}","channel":"sms","conversation_id":"c{number % 97}"}}'
            )
        yield client.request("/v1/events", key, "\n".join(lines).encode())


async def flood(port: int, key: str, kind: str, times: int, seconds: float) -> Counter[str]:
    """Send at a multiple of the limit; count answers by status, and requests without a free connection."""
    pace = times * (LIMITS["READS"] if kind == "questions" else LIMITS["EVENTS"] / BATCH)
    found: Counter[str] = Counter()
    free = [await asyncio.open_connection("127.0.0.1", port) for _ in range(CONNECTIONS)]
    requests, running = bodies(kind, key), set()

    async def one(asked: bytes) -> None:
        line = free.pop()
        try:
            line[1].write(asked)
            head = await line[0].readuntil(b"\r\n\r\n")
            await line[0].readexactly(int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]))
            found[head[9:12].decode()] += 1
            free.append(line)
        except (OSError, asyncio.IncompleteReadError):
            found["broken"] += 1
            free.append(await asyncio.open_connection("127.0.0.1", port))

    begun, sent = time.perf_counter(), 0
    while time.perf_counter() - begun < seconds:
        if free:
            task = asyncio.create_task(one(next(requests)))
            running.add(task)
            task.add_done_callback(running.discard)
        else:
            found["no connection free"] += 1
        sent += 1
        await asyncio.sleep(max(0.0, begun + sent / pace - time.perf_counter()))
    await asyncio.gather(*running)
    return found


def neighbour(port: int, key: str) -> list[float]:
    """Send an event and ask a question in turns for SECONDS; return the milliseconds of each."""
    question = client.request("/v1/dashboard?days=7", key).replace(b"\r\n\r\n", b"\r\nCache-Control: no-cache\r\n\r\n")
    times: list[float] = []
    begun = time.perf_counter()
    while (at := len(times) * APART) < SECONDS:
        time.sleep(max(0.0, begun + at - time.perf_counter()))
        moment = datetime.now(UTC).isoformat()
        event = f'{{"type":"message.received","id":"{moment}","time":"{moment}","channel":"sms"}}'
        asked = question if len(times) % 2 else client.request("/v1/events", key, event.encode())
        times.append(1000 * client.ask(port, [asked], 1)[0])
    return times


def wait_until_folded(folder: Path) -> None:
    """Wait until the events of a flood are stored and folded, so that this work does not disturb the next measurement.

    Raises RuntimeError after ten minutes.
    """
    begun = time.perf_counter()
    with closing(sqlite3.connect(folder / "log.db")) as log, closing(sqlite3.connect(folder / "hubbub.db")) as facts:
        while (
            log.execute("SELECT 1 FROM log LIMIT 1").fetchone()
            or facts.execute("SELECT 1 FROM todo LIMIT 1").fetchone()
        ):
            if time.perf_counter() - begun > 600:
                raise RuntimeError("the flood's events are still not folded")
            time.sleep(1)


def watched(port: int, keys: tuple[str, str], kind: str, times: int) -> tuple[float, Counter[str]]:
    """Return the p95 of the neighbour's milliseconds during a flood of `times` its limit, and the flood's answers by status.

    `keys` are the neighbour's and the other tenant's.
    """
    given = [str(port), keys[1], kind, str(times)]
    noise = times and subprocess.Popen([sys.executable, "-m", "bench.noisy", *given], stdout=subprocess.PIPE, text=True)
    time.sleep(3)
    p95 = lab.p95(neighbour(port, keys[0]))
    return p95, Counter(json.loads(noise.communicate(timeout=120)[0])) if noise else Counter()


def measure(size: lab.Size) -> lab.Findings:
    """Measure the neighbour without a flood, at the limit's pace, and with each kind of flood, in turns."""
    folder = ingest.fresh(size.path("-noisy"))
    with lab.engine(folder) as hub:
        keys = [hub.keys.add(f"owner-{number}").key for number in range(1 + len(KINDS))]
    p95s: dict[tuple[str, int], list[float]] = {}
    answers: dict[tuple[str, int], Counter[str]] = {}
    with client.serving(folder, **{f"HUBBUB_LIMITS__{name}": str(value) for name, value in LIMITS.items()}) as server:
        neighbour(server.port, keys[0])
        for _ in range(size.rounds):
            for kind, key in zip(KINDS, keys[1:], strict=True):
                for times in (ALONE, WITHIN, OVER):
                    wait_until_folded(folder)
                    p95, statuses = watched(server.port, (keys[0], key), kind, times)
                    p95s.setdefault((kind, times), []).append(p95)
                    answers.setdefault((kind, times), Counter()).update(statuses)
    shutil.rmtree(folder)
    rows: lab.Findings = {}
    for kind in KINDS:
        note = (
            f"answers to the flood by status: {dict(answers[kind, OVER])}, at its limit: {dict(answers[kind, WITHIN])}"
        )
        rows[f"noisy_{kind}"] = lab.found(p95s[kind, OVER], p95s[kind, ALONE], note)
        rows[f"noisy_{kind}_excess"] = lab.found(p95s[kind, OVER], p95s[kind, WITHIN], note)
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=flood.__doc__)
    for name in ("port", "key", "kind", "times"):
        parser.add_argument(name)
    asked_ = parser.parse_args()
    given_ = (int(asked_.port), asked_.key, asked_.kind, int(asked_.times))
    print(json.dumps(asyncio.run(flood(*given_, SECONDS + 5))))
