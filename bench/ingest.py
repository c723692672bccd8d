"""Ingest in this process: bodies of a thousand events by one caller and by four, and all of them sent again.

The reference is DuckDB, which reads the same lines into a table on the same disk. Each accepted body is on disk when its call
returns.
"""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb

from bench import lab
from bench.workload import COLUMNS
from hubbub.model.tenant import KEEP_EVERYTHING

KINDS = {"time": "TIMESTAMP", "value": "DOUBLE", "confidence": "DOUBLE", "duration_ms": "BIGINT"}
TAKEN = 200_000
OWNERS = 8


def bare(file: Path, folder: Path) -> lab.Cost:
    """Let DuckDB read lines into a table with given columns, committed and synced; return the cost."""
    folder.mkdir(exist_ok=True)
    database = folder / "bare.duckdb"
    database.unlink(missing_ok=True)
    given = ", ".join(f"{name}: '{KINDS.get(name, 'VARCHAR')}'" for name in COLUMNS[1:])
    columns = ", ".join(f"{name} {KINDS.get(name, 'VARCHAR')}" for name in COLUMNS[1:])
    with duckdb.connect(database) as con:
        con.execute(f"SET threads = {lab.THREADS}; CREATE TABLE events ({columns})")
        read = f"read_json('{file}', format = 'newline_delimited', columns = {{{given}}})"
        return lab.cost(con.execute, f"INSERT INTO events SELECT * FROM {read}")


def fresh(folder: Path) -> Path:
    """Create a new folder with a few tenants and no events."""
    shutil.rmtree(folder, ignore_errors=True)
    with lab.engine(folder) as hub:
        for number in range(OWNERS):
            hub.control.add_tenant(f"owner-{number}", retention=KEEP_EVERYTHING)
    return folder


def sent(folder: Path, bodies: list[bytes], callers: int, *, again: bool = False) -> lab.Cost:
    """Accept bodies in a new folder and return the cost; with `again`, fold them and return the cost of sending them again."""
    with lab.engine(fresh(folder)) as hub, ThreadPoolExecutor(callers) as pool:

        def one(place: int) -> int:
            return lab.accept(hub, f"owner-{place % OWNERS}", bodies[place])

        first = lab.cost(lambda: list(pool.map(one, range(len(bodies)))))
        if not again:
            return first
        hub.refresh()
        before = hub.store.log.last()
        second = lab.cost(lambda: list(pool.map(one, range(len(bodies)))))
        assert hub.store.log.last() == before, "what was sent again was stored again"
    return second


def measure(size: lab.Size) -> lab.Findings:
    """Measure ingest in turns with DuckDB."""
    bodies = lab.bodies(size, TAKEN)
    count = sum(body.count(b"\n") + 1 for body in bodies)
    file, folder = size.path(".taken.ndjson"), size.path("-ingest")
    file.write_bytes(b"\n".join(bodies) + b"\n")
    samples: dict[str, list[float]] = {}
    for _ in range(size.rounds):
        beside = bare(file, size.path("-bare"))
        one, four = sent(folder, bodies, 1), sent(folder, bodies, 4)
        for name, value in {
            "bare cpu": beside.cpu, "bare wall": beside.wall, "cpu": one.cpu, "wall": one.wall, "wall of four": four.wall,
        }.items():  # fmt: skip
            samples.setdefault(name, []).append(1e6 * value / count)
    again = 1e6 * sent(folder, bodies, 1, again=True).cpu / count
    for path in (folder, size.path("-bare")):
        shutil.rmtree(path)
    file.unlink()
    note = f"{count:,} events"
    return {
        "ingest_cpu": lab.found(samples["cpu"], samples["bare cpu"], note),
        "ingest_wall": lab.found(samples["wall"], samples["bare wall"], note),
        "ingest_wall_4": lab.found(samples["wall of four"], samples["bare wall"], note),
        "resent": lab.found([again], (), f"{count:,} events, all found to be duplicates"),
    }
