"""How long a service waits for the answer to a webhook body: `python -m bench.hooks`, at 100 bodies a second to a busy server.

The server has the demo's events, runs jobs and refreshes, and is asked for a dashboard every second. Bodies are sent at a fixed
pace, whatever the answers are; the time of each runs from the moment at which it was due, so a wait for a connection counts, too.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import hmac
import json
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from bench import client, lab

RATE, SECONDS, WARM = 100, 60.0, 5.0
"""Bodies a second; seconds of the measurement, and of the warm-up."""
CONNECTIONS = 16
WAIT, IDLE, MOST_WAITS = 5.0, 0.1, 60
"""Seconds of a check whether the server is idle, largest share of a core that counts as idle, and most checks."""
TENANT, SECRET = "hotel-aurora", "s3cret"


def body(number: int) -> bytes:
    """Return a WhatsApp body with one message of the current time."""
    said = {"from": f"39{number % 500}", "id": f"wamid.{number}", "timestamp": str(int(time.time())), "type": "text"}
    value = {"metadata": {"phone_number_id": "7"}, "messages": [said]}
    return json.dumps({"entry": [{"changes": [{"field": "messages", "value": value}]}]}).encode()


def request(path: str, content: bytes) -> bytes:
    """Return a signed request with a body, as Meta sends it."""
    signature = hmac.new(SECRET.encode(), content, hashlib.sha256).hexdigest()
    lines = [
        f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json", f"Content-Length: {len(content)}",
        f"X-Hub-Signature-256: sha256={signature}",
    ]  # fmt: skip
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + content


async def sent(port: int, path: str, seconds: float) -> list[float]:
    """Send bodies at the fixed pace for some seconds; return the seconds that each waited for its answer."""
    free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        free.put_nowait(await asyncio.open_connection("127.0.0.1", port))
    taken: list[float] = []

    async def one(number: int, due: float) -> None:
        line = await free.get()
        line[1].write(request(path, body(number)))
        head = await line[0].readuntil(b"\r\n\r\n")
        await line[0].readexactly(int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]))
        if head[9:12] != b"200":
            raise RuntimeError(f"the server answered {head[:80]!r}")
        taken.append(time.perf_counter() - due)
        free.put_nowait(line)

    begun, running = time.perf_counter(), []
    first = time.time_ns()
    for number in range(int(seconds * RATE)):
        due = begun + number / RATE
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        running.append(asyncio.create_task(one(first + number, due)))
    await asyncio.gather(*running)
    return taken


async def asking(port: int, key: str) -> None:
    """Ask for an uncached dashboard every second."""
    asked = client.request("/v1/dashboard?days=28", key).replace(b"\r\n\r\n", b"\r\nCache-Control: no-cache\r\n\r\n")
    while True:
        await asyncio.to_thread(client.ask, port, [asked], 1)
        await asyncio.sleep(1)


async def watched(port: int, path: str, key: str, seconds: float) -> list[float]:
    """Send bodies while dashboards are asked for; return the seconds of each after the warm-up."""
    beside = asyncio.create_task(asking(port, key))
    try:
        await sent(port, path, WARM)
        return await sent(port, path, seconds)
    finally:
        beside.cancel()


def settle(server: client.Server) -> None:
    """Wait until a server that was just started is idle. Raises RuntimeError if it never is."""
    for _ in range(MOST_WAITS):
        before = lab.cpu_of(server.pid)
        time.sleep(WAIT)
        if lab.cpu_of(server.pid) - before < IDLE * WAIT:
            return
    raise RuntimeError("the server never came to rest")


def main(seconds: float) -> None:
    """Print how long bodies waited for their answers, in milliseconds."""
    folder = Path(tempfile.mkdtemp()) / "data"
    subprocess.run(
        [sys.executable, "-m", "hubbub", "demo", "--data", str(folder), "--json"], check=True, stdout=subprocess.DEVNULL
    )
    with lab.engine(folder) as hub:
        made = hub.integrations.add(TENANT, "whatsapp", secrets={"app_secret": SECRET, "verify_token": "v"})
        key = str(hub.keys.add(TENANT).key)
    with client.serving(folder) as server:
        settle(server)
        cpu = lab.cpu_of(server.pid)
        times = sorted(asyncio.run(watched(server.port, f"/v1/hooks/whatsapp/{made.id}", key, seconds)))
        used = (lab.cpu_of(server.pid) - cpu) / (seconds + WARM)
    shutil.rmtree(folder.parent)
    of = {name: 1000 * times[min(int(share * len(times)), len(times) - 1)] for name, share in SHARES.items()}
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} {len(times):,} bodies at {RATE} a second, {used:.0%} of a core: "
          + ", ".join(f"{name} {value:.1f} ms" for name, value in of.items()))  # fmt: skip


SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "most": 1.0}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    main(parser.parse_args().seconds)
