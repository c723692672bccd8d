"""Questions on a copy in ClickHouse, and on PostgreSQL, each beside hand-written SQL of the same engine through the same client.

`python -m bench.clickhouse --events 200000 --tenants 1`. Filling takes most of the time: with `--folder DIR` what was
filled is kept, a fill that was broken off goes on, and later runs only ask. ClickHouse is its own engine behind the tests' HTTP
front, so what a statement costs at least is the front's; `SELECT 1` says how much. Prints wall time (median) and CPU time of all
processes, in ms, of ClickHouse answering everything ("copy"), and of each question answered by whichever Hubbub chooses.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg

from bench import hand_clickhouse, hand_questions, lab, shared_store
from bench.answers import load, ordered, ours
from bench.shared_store import BY_HAND, Servers
from hubbub.app import Engine
from hubbub.storage.clickhouse import Server
from hubbub.storage.postgresql import Database

ROUNDS = 15
INDEXES = ("(tenant, conversation_id, time)", "(tenant, type, time)")
"""Indexes of the events in PostgreSQL beside the one by tenant and time."""
QUESTIONS = ("dashboard", "series", "explain", "team")


def loaded_by_hand(of: Servers, size: lab.Size) -> tuple[Database, Server]:
    """Return both databases for hand-written SQL; load the events if they are missing."""
    url, copy_url = of.urls(BY_HAND)
    with psycopg.connect(url, autocommit=True) as con:
        if con.execute("SELECT to_regclass('of_tenant')").fetchone() == (None,):
            con.execute("DROP TABLE IF EXISTS events")
            load(con, ordered(size), of.folder / "events.csv")
            for number, columns in enumerate(INDEXES):
                con.execute(f"CREATE INDEX by_{number} ON events {columns}")
            con.execute("VACUUM ANALYZE events")
    server = Server(copy_url)
    if not server.rows("SELECT 1 FROM system.tables WHERE database = currentDatabase() AND name = 'events'"):
        hand_clickhouse.load(server, size)
    return Database(url), server


def measured(ask: Callable[[], Any], cpu: Callable[[], float]) -> lab.Cost:
    """Return the median wall time and the mean CPU time of a question in ms, after three runs to warm up."""
    for _ in range(3):
        ask()
    walls, begun = [], cpu()
    for _ in range(ROUNDS):
        start = time.perf_counter()
        ask()
        walls.append(time.perf_counter() - start)
    return lab.Cost(1000 * (cpu() - begun) / ROUNDS, 1000 * lab.median(walls))


def main(size: lab.Size, folder: Path | None) -> None:
    """Fill the stores, ask all questions, and print their costs."""
    with shared_store.servers(folder) as of, shared_store.hub(of) as hub:
        shared_store.fill(hub, size, of.folder)
        shared_store.analyze(of)
        copy = hub.store.copy
        assert copy is not None
        name = lab.name_of(1)
        copied = lab.cost(copy.ship, hub.control.tenant(name).no)
        print(f"copied in {copied.wall:.1f} s", flush=True)
        database, server = loaded_by_hand(of, size)
        with closing(database), closing(server):
            report("SELECT 1", "ClickHouse", measured(lambda: server.rows("SELECT 1"), of.cpu))
            for question in QUESTIONS:
                on_clickhouse(hub, server, question, name, of.cpu)
                on_postgresql(hub, database, question, name, of.cpu)


def on_clickhouse(hub: Engine, server: Server, question: str, name: str, cpu: Callable[[], float]) -> None:
    """Ask a question of ClickHouse: in hand-written SQL, as Hubbub chooses, and of the copy alone."""
    text, given = hand_clickhouse.text(question), hand_questions.parameters(1, question)
    by_hand = measured(lambda: server.rows(text, given), cpu)
    report(question, "ClickHouse by hand", by_hand)
    copy = hub.store.copy
    assert copy is not None
    report(question, "as it chooses", measured(lambda: ours(hub, question, name), cpu), by_hand)
    fewest, copy.fewest = copy.fewest, 0
    report(question, "copy", measured(lambda: ours(hub, question, name), cpu), by_hand)
    copy.fewest = fewest


def on_postgresql(hub: Engine, database: Database, question: str, name: str, cpu: Callable[[], float]) -> None:
    """Ask a question of PostgreSQL: in hand-written SQL, and of Hubbub's store without the copy."""
    text, given = hand_questions.for_postgres(question), hand_questions.parameters(1, question)

    def ask() -> None:
        with database.read() as reading:
            reading.rows(text, given)

    by_hand = measured(ask, cpu)
    report(question, "PostgreSQL by hand", by_hand)
    copy, hub.store.copy = hub.store.copy, None
    report(question, "PostgreSQL", measured(lambda: ours(hub, question, name), cpu), by_hand)
    hub.store.copy = copy


def report(question: str, label: str, took: lab.Cost, by_hand: lab.Cost | None = None) -> None:
    """Print the cost of a question, and its ratio to that of hand-written SQL."""
    ratio = f"  of by hand: wall {took.wall / by_hand.wall:5.2f}  CPU {took.cpu / by_hand.cpu:5.2f}" if by_hand else ""
    print(f"{question:12} {label:19} wall {took.wall:8.1f}  CPU {took.cpu:8.1f}{ratio}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--tenants", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where what was filled is kept")
    given = parser.parse_args()
    main(lab.Size(given.events, given.tenants), given.folder)
