"""The parts of the bench on ClickHouse, each in a process of its own: `python -m bench.clickhouse_phases <part>`.

The engine is ClickHouse out of the package chdb, inside the part's process, on a folder of bench/work; its memory is the
process's. Folders are as in `bench.phases`: `<events>-clickhouse-loaded` holds the events unfolded, and so on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from clickhouse_connect.driver.client import Client

from bench import baselines, clickhouse_baselines, phases, stores
from bench.phases import Result, Size
from bench.questions import questions, some_tenants, timed
from bench.workload import COLUMNS, zone_of
from hubbub.app import Engine
from hubbub.metrics import fold as sql
from hubbub.settings import load
from hubbub.store.base import EVENT_SCHEMA
from hubbub.store.clickhouse_schema import APPENDED
from hubbub.store.clickhouse_sql import bound
from hubbub.store.clickhouse_work import connect

TOGETHER = 1000
"""Events of one append, by which loaded events are numbered."""

_NAMES = sql.quoted(EVENT_SCHEMA.names)


def path(size: Size, what: str) -> Path:
    """Return the folder of a store of this size."""
    return size.path(f"-clickhouse-{what}")


def url(folder: Path) -> str:
    """Return the URL of the engine in a store's folder."""
    return f"chdb://{(folder / 'clickhouse').resolve()}"


@contextmanager
def opened(folder: Path) -> Iterator[tuple[Engine, Client]]:
    """Open Hubbub over a folder, at the bench's moment, and a bare connection to its ClickHouse."""
    first = connect(url(folder))
    first.command("CREATE DATABASE IF NOT EXISTS hubbub")
    within = f"{url(folder)}?database=hubbub"
    client = connect(within)
    try:
        with Engine(load(folder, store_url=within), stores.frozen_clock) as hub:
            yield hub, client
    finally:
        client.close()
        first.close()


def prepare(size: Size) -> Result:
    """Make the store that holds the workload's events, unfolded: those of the embedded store, in one insert."""
    target, parquet = path(size, "loading"), size.path("-events.parquet").resolve()
    stores.remove(target)
    with stores.connect(size.path("-loaded")) as loaded:
        loaded.execute(f"COPY (SELECT * FROM events ORDER BY seq) TO '{parquet}' (FORMAT parquet, COMPRESSION zstd)")
        count, newest = loaded.execute("SELECT count(*), max(seq) FROM events").fetchall()[0]
    with opened(target) as (hub, client):
        for number in range(1, size.tenants + 1):
            hub.control.add_tenant(stores.name_of(number), zone_of(number, size.zones), retention=stores.KEPT)
        began = time.perf_counter()
        client.command(
            f"INSERT INTO events (seq, {_NAMES}, {APPENDED}) SELECT seq, {_NAMES}, intDiv(seq, {TOGETHER}) + 1 "
            f"FROM file('{parquet}', Parquet)"
        )
        seconds = time.perf_counter() - began
        _stand(hub, newest // TOGETHER + 1, newest)
        merged = time.perf_counter()
        client.command("OPTIMIZE TABLE events FINAL")
        merged = time.perf_counter() - merged
    parquet.unlink()
    stores.move(target, path(size, "loaded"))
    return {"events": count, "seconds": seconds, "merge_seconds": merged, "rss_mb": phases.rss_mb()}


def _stand(hub: Engine, number: int, seq: int) -> None:
    """Write down that appends up to a number count."""
    told = "UPDATE positions SET done = :number, begun = :number, seq = :seq WHERE name = 'append'"
    with hub.database.write() as con:
        con.execute(sa.text(told).bindparams(number=number, seq=seq))


def fold(size: Size) -> Result:
    """Fold everything from scratch, all rollups."""
    folder = stores.copy(path(size, "loaded"), path(size, "folding"))
    with opened(folder) as (hub, client):
        found = phases.whole_fold(hub)
        megabytes = _one(
            client, "SELECT sum(bytes_on_disk) / 1e6 FROM system.parts WHERE active AND database = 'hubbub'"
        )
    stores.move(folder, path(size, "folded"))
    return {**found, "rss_mb": phases.rss_mb(), "file_mb": megabytes}


def hand_fold(size: Size) -> Result:
    """Make the same tables with hand-written SQL; totals are compared with those of the folded store."""
    there = path(size, "folded").exists()
    folder = stores.copy(path(size, "folded" if there else "loaded"), path(size, "hand"))
    slowest: dict[str, float] = {}
    with opened(folder) as (hub, client):
        began, used = time.perf_counter(), time.process_time()
        for statement in clickhouse_baselines.statements(size.tenants, size.zones, stores.NOW):
            name = " ".join(statement.split())[:60]
            slowest[name] = round(timed(lambda statement=statement: client.command(statement)), 3)  # type: ignore[misc]
        seconds, used = time.perf_counter() - began, time.process_time() - used
        peak = phases.rss_mb()
        found = baselines.totals("hand", lambda asked: client.query(asked).result_rows[0])
        ours = baselines.totals("rollup", lambda asked: hub.store.query(asked).rows[0]) if there else found
    stores.remove(folder)
    return {
        "seconds": seconds, "cpu_seconds": used, "rss_mb": peak, "totals": found,
        "totals_compared": len(found) if there else 0,
        "totals_that_differ": {n: [v, ours[n]] for n, v in found.items() if v != ours[n] and "_hour" not in n},
        "slowest_steps": dict(sorted(slowest.items(), key=lambda kv: -kv[1])[:12]),
    }  # fmt: skip


def _late(hub: Engine, client: Client, count: int, days: int, salt: str) -> int:
    """Add events that arrive late, of the mix that is there and in existing conversations; returns how many."""
    within = f"time >= toDateTime64('{stores.NOW - timedelta(days=days):%Y-%m-%d %H:%M:%S}', 6, 'UTC')"
    every = max(1, int(_one(client, f"SELECT count() FROM events WHERE {within}") / (count * 1.2)))
    names = ", ".join(f"concat(id, '-{salt}')" if n == "id" else f'"{n}"' for n in EVENT_SCHEMA.names)
    positions = hub.store._positions  # type: ignore[attr-defined]
    with positions.turn("append") as turn:
        seq, number = turn.position.seq, turn.begin()
        client.command(
            f"INSERT INTO events (seq, {_NAMES}, {APPENDED}) SELECT {seq} + 1 + rowNumberInAllBlocks(), {names}, {number} "
            f"FROM (SELECT * FROM events WHERE {within} AND id NOT LIKE '%-%' "
            f"AND cityHash64(id, tenant, '{salt}') % {every} = 0 LIMIT {count})"
        )
        added = int(_one(client, f"SELECT count() FROM events WHERE {APPENDED} = {number}"))
        turn.commit(seq + added)
    return added


def repair(size: Size) -> Result:
    """Refresh after 10,000 late events over 30 days, after 10,000 of the last hours, and after 100."""
    folder = stores.copy(path(size, "folded"), path(size, "repair"))
    found: Result = {}
    with opened(folder) as (hub, client):
        for name, count, days in (("late_30_days", 10_000, 30), ("late_1_day", 10_000, 1), ("late_100", 100, 30)):
            added = _late(hub, client, count, days, name)
            began = time.perf_counter()
            report = hub.refresh()
            found[name] = {
                "seconds": [time.perf_counter() - began], "events": added, "windows": report["windows"],
                "errors": report["errors"],
            }  # fmt: skip
    stores.remove(folder)
    return {**found, "rss_mb": phases.rss_mb()}


def answers(size: Size) -> Result:
    """Dashboards and series of 200 tenants, not cached: everything refreshed, then with events of today that are not."""
    folder = stores.copy(path(size, "folded"), path(size, "answers"))
    asked = {
        "dashboard": clickhouse_baselines.RAW_DASHBOARD, "series": clickhouse_baselines.RAW_SERIES,
        "hotspots": clickhouse_baselines.RAW_HOTSPOTS,
    }  # fmt: skip
    found: Result = {}
    with opened(folder) as (hub, client):

        def raw(question: str, params: Mapping[str, Any]) -> None:
            told = {n: int(v.split()[0]) if n == "offset" else bound(v) for n, v in params.items()}
            client.query(asked[question], parameters=told)

        tenants = some_tenants(size.tenants)
        found["refreshed"] = questions(hub, raw, tenants, size.zones, size.budget)
        found["unrefreshed_events"] = _late(hub, client, size.tenants * 20, 1, "today")
        found["unrefreshed"] = questions(hub, raw, tenants, size.zones, size.budget)
    stores.remove(folder)
    return {**found, "rss_mb": phases.rss_mb()}


def ingest(size: Size) -> Result:
    """Accept events in bodies of 1,000 into the full store, by one caller and by four, beside bare ClickHouse."""
    count = min(200_000, size.events // 10)
    file, bodies = phases.slice_of(size, count, 1000)
    folder = stores.copy(path(size, "loaded"), path(size, "ingest"))
    with opened(folder) as (hub, client):

        def bare() -> float:
            client.command("DROP TABLE IF EXISTS bare")
            client.command(
                "CREATE TABLE bare AS events ENGINE = MergeTree PARTITION BY toYYYYMM(time) ORDER BY (tenant, time, seq)"
            )
            columns = ", ".join(n for n in COLUMNS if n != "tenant")
            return timed(
                lambda: client.command(
                    f"INSERT INTO bare ({columns}) SELECT {columns} FROM file('{file.resolve()}', JSONEachRow)",
                    settings={"date_time_input_format": "best_effort"},
                )
            )

        found = phases.send(hub, bodies, bare)
    stores.remove(folder)
    return {**found, "rss_mb": phases.rss_mb()}


def sizes(size: Size) -> Result:
    """Rows and bytes of every table of the folded store that has any, as the engine keeps them."""
    told = (
        "SELECT table, sum(rows), sum(bytes_on_disk), sum(data_uncompressed_bytes), count() FROM system.parts "
        "WHERE active AND database = currentDatabase() GROUP BY table ORDER BY table"
    )
    with opened(path(size, "folded")) as (_, client):
        rows = client.query(told).result_rows
        version = _one(client, "SELECT version()")
    tables = {
        table: {"rows": int(count), "bytes": int(disk), "uncompressed": int(plain), "parts": int(parts)}
        for table, count, disk, plain, parts in rows
        if count
    }
    return {"tables": tables, "version": version}


def _one(client: Client, asked: str) -> Any:
    return client.query(asked).result_rows[0][0]


PARTS: dict[str, Callable[[Size], Result]] = {
    "prepare": prepare, "ingest": ingest, "fold": fold, "hand_fold": hand_fold, "repair": repair, "answers": answers,
    "sizes": sizes,
}  # fmt: skip


if __name__ == "__main__":
    phases.main(PARTS)
