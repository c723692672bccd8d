"""Child process of the kill tests: `python -m tests.integration.child ingest|refresh|load FOLDER ...`. It prints
`ready` when it starts.

`ingest FOLDER JOURNAL FIRST [alone]` stores numbered events from several threads and writes what was acknowledged to
the journal; with `alone` it never refreshes. `refresh FOLDER STEP` refreshes and dies by SIGKILL at the named step.
`load FOLDER FIRST` loads and refreshes all real data again and again.
"""

from __future__ import annotations

import os
import random
import re
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

from hubbub.app import Engine
from hubbub.model.event import Event
from hubbub.model.tenant import KEEP_EVERYTHING
from hubbub.storage.sqlite import Transaction
from hubbub.storage.transaction import Params
from tests.acceptance.conftest import open_engine

TENANTS = {"shop-0": "UTC", "shop-1": "America/New_York", "shop-2": "Asia/Kolkata"}
THREADS = 3
START = datetime(2026, 3, 1, tzinfo=UTC)
WRITES = re.compile(r"((?:INTO|FROM|UPDATE) \w+)")
"""Names a writing statement by its verb and table."""
TYPES = (
    "message.received",
    "message.sent",
    "message.delivered",
    "topic.classified",
    "conversation.resolved",
    "task.created",
)


def tenant_of(number: int) -> str:
    """Return the tenant of a numbered event: each thread of a child has its own."""
    return f"shop-{number % THREADS}"


def event(number: int) -> Event:
    """Return the event of a number, the same in every process."""
    turn = number // THREADS
    return Event(
        type=TYPES[turn % len(TYPES)],
        time=START + timedelta(seconds=turn * 97 % (40 * 86_400)),
        id=f"event-{number}",
        source="kill",
        channel="web",
        conversation_id=f"talk-{turn // 20}",
        message_id=f"message-{turn // 3}",
        contact_id=f"contact-{turn % 50}",
        topic=("price", "delay", None)[turn % 3],
        sentiment=("negative", "neutral")[turn % 2],
    )


def prepare(engine: Engine) -> None:
    """Add the tenants."""
    for name, zone in TENANTS.items():
        engine.ensure_tenant(name, zone, retention=KEEP_EVERYTHING)


def ready() -> None:
    """Tell the parent that work begins."""
    print("ready", flush=True)


def ingest(folder: Path, journal: Path, first: int, fold: bool) -> None:
    """Store events from number `first` on until killed. The journal gets a line `first last` after each acknowledgement."""
    file = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with open_engine(folder) as engine:
        prepare(engine)
        ready()

        def work(thread: int) -> None:
            draw = random.Random(first + thread)
            number = first + thread
            while True:
                count = draw.choice((1, 7, 60, 400))
                numbers = range(number, number + count * THREADS, THREADS)
                outcome = engine.accept(tenant_of(thread), [event(n) for n in numbers], history=True)
                assert outcome.rejected == []
                os.write(file, f"{numbers[0]} {numbers[-1]}\n".encode())  # a short append is atomic
                os.fsync(file)
                number += count * THREADS

        threads = [threading.Thread(target=work, args=(k,), daemon=True) for k in range(THREADS)]
        for one in threads:
            one.start()
        while True:
            if fold:
                engine.refresh()
            time.sleep(0.001)


@contextmanager
def stepping(step: Callable[[str], None]) -> Iterator[None]:
    """Call `step` with a name, `number: kind`, before every writing statement; statements are numbered by kind."""
    seen: Counter[str] = Counter()
    real = Transaction.run, Transaction.many

    def next_step(sql: str) -> None:
        found = WRITES.search(sql)
        assert found is not None, sql
        kind = found[1]
        seen[kind] += 1
        step(f"{seen[kind]}: {kind}")

    def run(self: Transaction, sql: str, params: Params = ()) -> int:
        next_step(sql)
        return real[0](self, sql, params)

    def many(self: Transaction, sql: str, rows: Sequence[Params]) -> int:
        if rows:
            next_step(sql)
        return real[1](self, sql, rows)

    with patch.object(Transaction, "run", run), patch.object(Transaction, "many", many):
        yield


def refresh(folder: Path, wanted: str) -> None:
    """Refresh, and die by SIGKILL at the step named `wanted`."""

    def step(name: str) -> None:
        if name == wanted:
            os.kill(os.getpid(), signal.SIGKILL)

    with open_engine(folder) as engine:
        ready()
        with stepping(step):
            engine.refresh()


def load(folder: Path, first: int) -> None:
    """Load all real data from part `first` on, refresh after each part, and repeat."""
    from tests.acceptance.test_everything import load_everything  # noqa: PLC0415 - a child imports what it needs

    with open_engine(folder) as engine:
        ready()
        while True:
            for _ in load_everything(engine, first=first):
                engine.refresh()


def journalled(journal: Path) -> Iterator[int]:
    """Yield the numbers of all events that the journal lists as acknowledged."""
    for line in journal.read_text().splitlines() if journal.exists() else ():
        first, last = map(int, line.split())
        yield from range(first, last + 1, THREADS)


if __name__ == "__main__":
    command, target, *rest = sys.argv[1:]
    if command == "ingest":
        ingest(Path(target), Path(rest[0]), int(rest[1]), "alone" not in rest)
    elif command == "refresh":
        refresh(Path(target), rest[0])
    else:
        load(Path(target), int(rest[0]))
