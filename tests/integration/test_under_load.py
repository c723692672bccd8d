"""Four clients send over HTTP while the server is killed again and again, or copied: nothing is lost, doubled or half there.

A client sends a body until it is acknowledged, as `hubbub.Client` does. What everybody sent is the journal: messages by day are
counted from it in plain Python, and every metric is what a store gives that was fed the same at once and never killed.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx2
import msgspec
import pytest

import hubbub
from hubbub.model.tenant import KEEP_EVERYTHING
from hubbub.model.window import day_of
from tests.extent import KILLS_OF_SERVERS
from tests.integration.child import TENANTS, event
from tests.integration.test_serve import Place, place
from tests.laws.test_laws import EVERYTHING

SEED = 20261201
CLIENTS = 4
SPAN: dict[str, Any] = {"start": "2026-02-27", "end": "2026-05-01"}
SPOKEN = ("message.received", "message.sent")


class Clients:
    """Four senders of numbered events; `sent` and `acknowledged` hold numbers, by tenant."""

    def __init__(self, keys: dict[str, str]) -> None:
        """Keep the tenants' keys."""
        self.url = ""
        self.sent: dict[str, set[int]] = {name: set() for name in TENANTS}
        self.acknowledged: dict[str, set[int]] = {name: set() for name in TENANTS}
        self.strange: list[str] = []
        self.resent = 0
        self._keys = keys
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._send, args=(n,), daemon=True) for n in range(CLIENTS)]

    def _send(self, who: int) -> None:
        draw, turn = random.Random(SEED + who), 0
        with httpx2.Client(timeout=60) as http:
            while not self._stop.is_set():
                count, place = draw.choice((1, 7, 60)), draw.randrange(len(TENANTS))
                tenant = f"shop-{place}"
                numbers = [3 * (who * 10**6 + turn + n) + place for n in range(count)]
                turn += count
                self.sent[tenant].update(numbers)
                body = b"[" + b",".join(msgspec.json.encode(event(n)) for n in numbers) + b"]"
                while not self._taken(http, tenant, body):
                    time.sleep(0.05)
                self.acknowledged[tenant].update(numbers)

    def _taken(self, http: httpx2.Client, tenant: str, body: bytes) -> bool:
        try:
            answer = http.post(
                f"{self.url}/v1/events", content=body, headers={"Authorization": f"Bearer {self._keys[tenant]}"}
            )
        except httpx2.TransportError:  # it was killed: whether this body was stored is not known
            self.resent += 1
            return False
        if answer.status_code != 202 or answer.json()["rejected"]:
            self.strange.append(answer.text[:300])
            self._stop.set()
        return True

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Send for the length of the block, and until the last body is acknowledged."""
        for one in self._threads:
            one.start()
        try:
            yield
        finally:
            self._stop.set()
            for one in self._threads:
                one.join(timeout=120)
        assert self.strange == []
        assert not any(one.is_alive() for one in self._threads)


@pytest.fixture
def shops(tmp_path: Path) -> Iterator[tuple[Place, Clients]]:
    """A folder with three tenants, and clients that have their keys."""
    with place(tmp_path / "data") as here:
        with hubbub.open(here.folder, free_floor_mb=0) as engine:
            for name, zone in TENANTS.items():
                engine.add_tenant(name, zone, retention={"raw": None, "facts": None})
            clients = Clients({name: engine.keys.add(name).key for name in TENANTS})
        yield here, clients


def check(folder: Path, fresh: Path, at_least: dict[str, set[int]], at_most: dict[str, set[int]]) -> int:
    """Check that a folder holds these numbers once each, and every number that follows from them; returns how many."""
    total = 0
    with hubbub.open(folder, free_floor_mb=0) as engine, hubbub.open(fresh, free_floor_mb=0) as never_killed:
        engine.refresh()
        assert engine.verify()["clean"]
        for name, zone in TENANTS.items():
            no = engine.control.tenant(name).no
            with engine.store.facts.read() as reading:
                ids = Counter(row[0] for row in reading.rows("SELECT id FROM event WHERE tenant = ?", (no,)))
            stored = {int(one.removeprefix("event-")) for one in ids}
            assert set(ids.values()) <= {1}
            assert at_least[name] <= stored <= at_most[name]
            never_killed.ensure_tenant(name, zone, retention=KEEP_EVERYTHING)
            events = [event(n) for n in sorted(stored)]
            never_killed.accept(name, events, history=True)
            answers = [
                one.query(name, metrics=EVERYTHING, **SPAN, grain="day")["rows"] for one in (engine, never_killed)
            ]
            assert answers[0] == answers[1]
            days = Counter(day_of(e.time, ZoneInfo(zone)) for e in events if e.type in SPOKEN)
            counted = {datetime.fromisoformat(row["window"]).date(): row["messages"] for row in answers[0]}
            assert {day: n for day, n in counted.items() if n} == days
            total += len(stored)
    return total


@pytest.mark.slow
def test_a_server_killed_under_four_clients(shops: tuple[Place, Clients]) -> None:
    """Kills at random moments while four clients send: every event is there once, and every number is what was sent."""
    here, clients = shops
    draw = random.Random(SEED)
    server, clients.url = here.start()
    waits = []
    with clients.sending():
        for _ in range(KILLS_OF_SERVERS):
            waits.append(round(draw.uniform(0.1, 1.5), 2))
            time.sleep(waits[-1])
            server.kill()
            server.wait()
            server, clients.url = here.start()
        time.sleep(0.5)
    server.terminate()
    assert server.wait(timeout=120) == 0
    assert clients.sent == clients.acknowledged
    total = check(here.folder, here.folder.parent / "fresh", clients.sent, clients.sent)
    print(f"seed {SEED}: killed {len(waits)} times after {waits} s; {total} events, {clients.resent} bodies sent again")
    assert total > 0


@pytest.mark.slow
def test_a_backup_under_load_is_a_moment_that_was(shops: tuple[Place, Clients], tmp_path: Path) -> None:
    """A backup taken while four clients send holds all acknowledged before it, and every number follows from what it holds."""
    here, clients = shops
    server, clients.url = here.start()
    with clients.sending():
        time.sleep(2)
        before = {name: set(numbers) for name, numbers in clients.acknowledged.items()}
        made = here.told("backup", str(tmp_path / "backup"))
        after = {name: set(numbers) for name, numbers in clients.sent.items()}
    server.terminate()
    assert server.wait(timeout=120) == 0
    back = Place(tmp_path / "back")
    restored = back.run("restore", str(tmp_path / "backup"), "--json")
    assert restored.returncode == 0, restored.stderr
    total = check(back.folder, tmp_path / "fresh", before, after)
    print(
        f"{json.dumps(made)[:200]}; {sum(map(len, before.values()))} <= {total} <= {sum(map(len, after.values()))} events"
    )
    assert check(here.folder, tmp_path / "fresh-whole", clients.sent, clients.sent) >= total > 0
