"""Four clients send numbered events over HTTP until each is acknowledged; `check` compares a store with what they sent.

The sent events are the journal: messages by day are counted from it in plain Python, and every metric is compared with
a data folder that got the same events at once and was never killed.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx2
import msgspec

import hubbub
from hubbub.app import Engine
from hubbub.model.tenant import KEEP_EVERYTHING
from hubbub.model.window import day_of
from tests.integration.child import TENANTS, event
from tests.laws.test_laws import EVERYTHING

SEED = 20261201
CLIENTS = 4
SPAN: dict[str, Any] = {"start": "2026-02-27", "end": "2026-05-01"}
SPOKEN = ("message.received", "message.sent")
Numbers = Mapping[str, set[int]]


class Clients:
    """Four senders of numbered events.

    `sent` and `acknowledged` hold event numbers by tenant; `cut_off` counts bodies without an answer. `servers` returns
    the addresses to choose from for each body. Each body is sent as often as a random choice from `times`, with a pause
    of `rest` seconds after it.
    """

    def __init__(
        self,
        keys: Mapping[str, str],
        servers: Callable[[], Sequence[str]],
        *,
        times: Sequence[int] = (1,),
        rest: float = 0,
    ) -> None:
        self.sent: dict[str, set[int]] = {name: set() for name in TENANTS}
        self.acknowledged: dict[str, set[int]] = {name: set() for name in TENANTS}
        self.bodies = self.cut_off = 0
        self._strange: list[str] = []
        self._keys, self._servers, self._times, self._rest = keys, servers, times, rest
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
                for _ in range(draw.choice(self._times)):
                    while not self._taken(http, draw.choice(self._servers()), tenant, body):
                        self._stop.wait(0.05)
                self.acknowledged[tenant].update(numbers)
                self._stop.wait(self._rest)

    def _taken(self, http: httpx2.Client, url: str, tenant: str, body: bytes) -> bool:
        self.bodies += 1
        try:
            answer = http.post(
                f"{url}/v1/events", content=body, headers={"Authorization": f"Bearer {self._keys[tenant]}"}
            )
        except httpx2.TransportError:  # the server was killed: the body may be stored or not
            self.cut_off += 1
            return False
        if answer.status_code != 202 or answer.json()["rejected"]:
            self._strange.append(answer.text[:300])
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
        assert self._strange == []
        assert not any(one.is_alive() for one in self._threads)


class Asker:
    """A thread that queries servers for the messages of tenants and checks each answer against what clients had sent by
    then.

    `answers` counts answers by HTTP status, 0 for no answer; `wrong` lists answers that miss an acknowledged message or
    count too many.
    """

    def __init__(self, keys: Mapping[str, str], servers: Callable[[], Sequence[str]], clients: Clients) -> None:
        self.answers = Counter[int]()
        self.wrong: list[str] = []
        self._keys, self._servers, self._clients = keys, servers, clients
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def _work(self) -> None:
        draw = random.Random(SEED)
        with httpx2.Client(timeout=60) as http:
            while not self._stop.wait(0.1):
                tenant = draw.choice(list(TENANTS))
                least = _spoken(self._clients.acknowledged[tenant].copy())
                try:
                    answer = http.post(
                        f"{draw.choice(self._servers())}/v1/query",
                        json={"metrics": ["messages"], "from": SPAN["start"], "to": SPAN["end"]},
                        headers={"Authorization": f"Bearer {self._keys[tenant]}"},
                    )
                except httpx2.TransportError:
                    self.answers[0] += 1
                    continue
                self.answers[answer.status_code] += 1
                if answer.status_code == 200:
                    (row,) = answer.json()["rows"]
                    most = _spoken(self._clients.sent[tenant].copy())
                    if not least <= row["messages"] <= most:
                        self.wrong.append(f"{tenant}: {least} <= {row['messages']} <= {most}")

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Query for the length of the block."""
        self._thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._thread.join(timeout=120)
        assert not self._thread.is_alive()


def _spoken(numbers: set[int]) -> int:
    """Return how many numbered events are messages."""
    return sum(event(number).type in SPOKEN for number in numbers)


def check(engine: Engine, fresh: Path, at_least: Numbers, at_most: Numbers) -> int:
    """Check that a store holds each of these events once, and every number that follows from them; return how many events."""
    total = 0
    with hubbub.open(fresh, free_floor_mb=0) as never_killed:
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
