"""The parts of the bench, each run in a process of its own so that its memory can be told: `python -m bench.phases <part>`.

Every part prints one JSON object as its last line. Stores live in bench/work: `<events>-loaded` holds the events unfolded,
`<events>-folded` is left behind by the fold and read by what comes after it.
"""

from __future__ import annotations

import argparse
import json
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from bench import baselines, stores
from bench.questions import questions, some_tenants, spread, timed
from bench.workload import COLUMNS
from hubbub.app import Engine
from hubbub.model.event import read_events
from hubbub.store.base import EVENT_SCHEMA

Result = dict[str, Any]


@dataclass(frozen=True)
class Size:
    """How large a run is, and where its stores and files are."""

    events: int
    tenants: int = 1000
    zones: int = 12
    budget: float = 40.0

    def path(self, what: str) -> Path:
        """Return the path of a store or file of this size in bench/work."""
        return stores.WORK / f"{self.events}{what}"


def rss_mb() -> float:
    """Return the peak resident memory of this process in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def fold(size: Size) -> Result:
    """Fold everything from scratch, all rollups, with the default limits."""
    folder = stores.copy(size.path("-loaded"), size.path("-folding"))
    with stores.engine(folder) as hub:
        found = whole_fold(hub)
    folded = size.path("-folded")
    stores.move(folder, folded)
    return {**found, "rss_mb": rss_mb(), "file_mb": (folded / "hubbub.duckdb").stat().st_size / 1e6}


def whole_fold(hub: Engine) -> Result:
    """Fold everything that an engine's store holds."""
    steps: dict[str, float] = {}
    used = time.process_time()
    last = began = time.perf_counter()

    def step(name: str) -> None:
        nonlocal last
        now = time.perf_counter()
        steps[name] = round(steps.get(name, 0.0) + now - last, 3)
        last = now

    report = hub.refresh(step=step)
    hub.store.checkpoint()
    seconds, used = time.perf_counter() - began, time.process_time() - used
    return {
        "seconds": seconds, "cpu_seconds": used, "nothing_due_seconds": timed(hub.refresh),
        "windows": report["windows"], "errors": report["errors"],
        "slowest_steps": dict(sorted(steps.items(), key=lambda kv: -kv[1])[:12]),
    }  # fmt: skip


def hand_fold(size: Size) -> Result:
    """Make the same tables with the hand-written SQL; totals are compared with those of the folded store."""
    folder = stores.copy(size.path("-loaded"), size.path("-hand"))
    connection = stores.connect(folder)
    connection.execute("SET preserve_insertion_order = false")
    slowest: dict[str, float] = {}
    began, used = time.perf_counter(), time.process_time()
    baselines.zones_table(connection, size.tenants, size.zones)
    for statement in baselines.fold_statements(stores.NOW):
        start = time.perf_counter()
        connection.execute(statement)
        slowest[" ".join(statement.split())[:60]] = round(time.perf_counter() - start, 3)
    connection.execute("CHECKPOINT")
    seconds, used = time.perf_counter() - began, time.process_time() - used
    found = baselines.totals("hand", _first(connection))
    connection.close()
    differences: dict[str, list[int]] = {}
    if size.path("-folded").exists():
        connection = stores.connect(size.path("-folded"))
        ours = baselines.totals("rollup", _first(connection))
        connection.close()
        differences = {n: [v, ours[n]] for n, v in found.items() if v != ours[n] and "_hour" not in n}
    stores.remove(folder)
    return {
        "seconds": seconds, "cpu_seconds": used, "rss_mb": rss_mb(), "totals": found, "totals_compared": len(found),
        "totals_that_differ": differences,
        "slowest_steps": dict(sorted(slowest.items(), key=lambda kv: -kv[1])[:12]),
    }  # fmt: skip


def _first(connection: duckdb.DuckDBPyConnection) -> Callable[[str], tuple[Any, ...]]:
    return lambda sql: connection.execute(sql).fetchall()[0]


def _late(folder: Path, count: int, days: int, salt: str) -> int:
    """Add events that arrive late, of the mix that is there and in existing conversations; returns how many."""
    connection = stores.connect(folder, "2GB")
    names = ", ".join("id || '-' || $salt AS id" if n == "id" else f'"{n}"' for n in EVENT_SCHEMA.names)
    row = connection.execute("SELECT max(seq), count(*) FROM events").fetchone()
    within = f"time >= TIMESTAMP '{(stores.NOW - timedelta(days=days)):%Y-%m-%d %H:%M:%S}'"
    there = connection.execute(f"SELECT count(*) FROM events WHERE {within}").fetchone()
    assert row is not None and there is not None
    every = max(1, int(there[0] / (count * 1.2)))
    connection.execute(
        f"INSERT INTO events SELECT {row[0]} + row_number() OVER (), {names} FROM (SELECT * FROM events WHERE {within} "
        f"AND id NOT LIKE '%-%' AND hash(id, tenant, $salt) % {every} = 0 LIMIT {count})", {"salt": salt},
    )  # fmt: skip
    last = connection.execute("SELECT max(seq), count(*) FROM events").fetchone()
    connection.close()
    assert last is not None
    (folder / "tide").write_bytes(b"%-20d\n" % last[0])
    return int(last[1] - row[1])


def repair(size: Size) -> Result:
    """Refresh after 10,000 late events over 30 days, three times, and after 10,000 of the last hours."""
    folder = stores.copy(size.path("-folded"), size.path("-repair"))
    found: dict[str, Any] = {}
    for name, count, days, rounds in (
        ("late_30_days", 10_000, 30, 3),
        ("late_1_day", 10_000, 1, 1),
        ("late_100", 100, 30, 1),
    ):
        seconds: list[float] = []
        for number in range(rounds):
            added = _late(folder, count, days, f"{name}{number}")
            with stores.engine(folder) as hub:
                began = time.perf_counter()
                report = hub.refresh()
                seconds.append(time.perf_counter() - began)
        found[name] = {"seconds": seconds, "events": added, "windows": report["windows"], "errors": report["errors"]}
    return {**found, "rss_mb": rss_mb()}


def answers(size: Size) -> Result:
    """Dashboards and series of 200 tenants, not cached: everything refreshed, then with events of today that are not.

    The raw events are asked in the store as it was loaded, where they lie as they came: their order in Hubbub's is Hubbub's work.
    """
    folder = stores.copy(size.path("-folded"), size.path("-answers"))
    asked = {"dashboard": baselines.RAW_DASHBOARD, "series": baselines.RAW_SERIES, "hotspots": baselines.RAW_HOTSPOTS}
    found: Result = {}
    for state in ("refreshed", "unrefreshed"):
        if state == "unrefreshed":
            found["unrefreshed_events"] = _late(folder, size.tenants * 20, 1, "today")
        with stores.engine(folder) as hub, stores.connect(size.path("-loaded")) as bare:

            def raw(question: str, params: Result, bare: duckdb.DuckDBPyConnection = bare) -> None:
                bare.execute(asked[question], params).fetchall()

            found[state] = questions(hub, raw, some_tenants(size.tenants), size.zones, size.budget)
    stores.remove(folder)
    return {**found, "rss_mb": rss_mb()}


def slice_of(size: Size, count: int, per_body: int) -> tuple[Path, list[tuple[str, bytes]]]:
    """Make the NDJSON to ingest: the workload's newest events under new ids; returns the file, and bodies by tenant."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    names = [n for n in COLUMNS if n != "tenant"]
    columns = ", ".join(
        "'x' || id AS id"
        if n == "id"
        else """strftime("time", '%Y-%m-%dT%H:%M:%S.%gZ') AS time"""
        if n == "time"
        else f'"{n}"'
        for n in names
    )
    source = f"read_parquet('{size.path('.parquet')}', file_row_number = true)"
    cursor = connection.execute(
        f"SELECT {columns} FROM {source} WHERE file_row_number >= (SELECT count(*) FROM {source}) - {count + count // 20} "
        f"AND file_row_number NOT IN (SELECT max(file_row_number) FROM {source} GROUP BY tenant, id HAVING count(*) > 1) "
        f"LIMIT {count}"
    )
    rows = cursor.fetchall()
    lines = [msgspec.json.encode({k: v for k, v in zip(names, row, strict=True) if v is not None}) for row in rows]
    path = size.path("-slice.ndjson")
    path.write_bytes(b"\n".join(lines) + b"\n")
    bodies = [
        (stores.name_of(1 + (i // per_body) % size.tenants), b"\n".join(lines[i : i + per_body]))
        for i in range(0, len(lines), per_body)
    ]
    return path, bodies


def ingest(size: Size) -> Result:
    """Accept 200,000 events in bodies of 1,000 into the full store, by one caller and by four, beside bare DuckDB."""
    count = min(200_000, size.events // 10)
    path, bodies = slice_of(size, count, 1000)
    folder = stores.copy(size.path("-loaded"), size.path("-ingest"))
    with stores.engine(folder) as hub:
        found = send(hub, bodies, lambda: _bare(size, path))
    stores.remove(folder)
    return {**found, "rss_mb": rss_mb()}


def send(hub: Engine, bodies: list[tuple[str, bytes]], bare: Callable[[], float]) -> Result:
    """Let an engine accept bodies of 1,000 events; `bare` says how long the same rows take without it."""
    half, count = len(bodies) // 2, len(bodies) * 1000
    rates: dict[str, list[float]] = {"embedded": [], "embedded_4_threads": [], "bare": []}
    verdicts: dict[str, int] = {}

    def one(body: tuple[str, bytes]) -> None:
        answer = hub.accept(body[0], read_events(body[1], lines=True)).answer()
        for key in ("accepted", "duplicates"):
            verdicts[key] = verdicts.get(key, 0) + int(str(answer[key]))
        verdicts["rejected"] = verdicts.get("rejected", 0) + len(answer["rejected"])  # type: ignore[arg-type]

    rates["bare"].append(count / bare())
    rates["embedded"].append(half * 1000 / timed(lambda: _each(one, bodies[:half])))
    rates["bare"].append(count / bare())
    with ThreadPoolExecutor(4) as pool:
        rates["embedded_4_threads"].append(
            (len(bodies) - half) * 1000 / timed(lambda: list(pool.map(one, bodies[half:])))
        )
    rates["bare"].append(count / bare())
    again = len(bodies[:20]) * 1000 / timed(lambda: _each(one, bodies[:20]))
    return {
        "events": count, "events_per_second": rates, "resent_events_per_second": again, "verdicts": verdicts,
    }  # fmt: skip


def _each(do: Callable[[tuple[str, bytes]], None], bodies: list[tuple[str, bytes]]) -> None:
    for body in bodies:
        do(body)


_COLUMN_TYPES = {"time": "TIMESTAMP", "value": "DOUBLE", "confidence": "DOUBLE", "duration_ms": "BIGINT"}


def http(size: Size) -> Result:
    """Post bodies of 1,000 events to `hubbub serve` over four connections, beside bare DuckDB reading the same file."""
    count = min(200_000, size.events // 10)
    path, bodies = slice_of(size, count, 1000)
    folder = stores.copy(size.path("-loaded"), size.path("-http"))
    names = list(dict.fromkeys(name for name, _ in bodies))[:20]
    with stores.engine(folder) as hub:
        for name in names:
            hub.change_tenant(name, retention={"raw": None})
        keys = [str(hub.add_key(name, ("ingest", "read"))["key"]) for name in names]
    port = 18_321 + size.events % 1000
    program = Path(sys.executable).with_name("hubbub")
    command = [str(program), "serve", "--no-jobs", "--data", str(folder), "--port", str(port)]
    began = time.perf_counter()
    with Path(str(folder) + ".log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as server:
        try:
            while True:
                try:
                    with socket.create_connection(("127.0.0.1", port), 1):
                        break
                except OSError:
                    if time.perf_counter() - began > 60 or server.poll() is not None:
                        raise RuntimeError("the server did not come up") from None
                    time.sleep(0.02)
            ready = time.perf_counter() - began
            rates: dict[str, list[float]] = {"http": [], "bare": []}
            statuses: dict[str, int] = {}
            third = len(bodies) // 3
            for turn in range(3):
                rates["bare"].append(count / _bare(size, path))
                mine = [body for _, body in bodies[turn * third : (turn + 1) * third]]
                shares = [(port, keys[n::4], mine[n::4]) for n in range(4)]
                with ThreadPoolExecutor(4) as pool:
                    began = time.perf_counter()
                    for answered in pool.map(_post_all, shares):
                        for status in answered:
                            statuses[str(status)] = statuses.get(str(status), 0) + 1
                    rates["http"].append(len(mine) * 1000 / (time.perf_counter() - began))
            peak = next(x for x in Path(f"/proc/{server.pid}/status").read_text().splitlines() if x.startswith("VmHWM"))
        finally:
            server.terminate()
    stores.remove(folder)
    return {
        "events": count, "events_per_second": rates, "statuses": statuses, "ready_seconds": ready,
        "server_rss_mb": int(peak.split()[1]) / 1024,
    }  # fmt: skip


def _post_all(share: tuple[int, list[str], list[bytes]]) -> list[int]:
    port, keys, bodies = share
    connection = HTTPConnection("127.0.0.1", port, timeout=120)
    statuses: list[int] = []
    for number, body in enumerate(bodies):
        headers = {"Authorization": f"Bearer {keys[number % len(keys)]}", "Content-Type": "application/x-ndjson"}
        connection.request("POST", "/v1/events", body, headers)
        answer = connection.getresponse()
        answer.read()
        statuses.append(answer.status)
    connection.close()
    return statuses


def _bare(size: Size, path: Path) -> float:
    """Return how long bare DuckDB takes to read an NDJSON file into a table of a fresh file, its opening left out."""
    bare_file = size.path("-bare.duckdb")
    bare_file.unlink(missing_ok=True)
    columns = {n: _COLUMN_TYPES.get(n, "VARCHAR") for n in COLUMNS if n != "tenant"}
    connection = duckdb.connect(str(bare_file), config={"threads": 2})
    seconds = timed(lambda: baselines.read_ndjson(connection, path, columns))
    connection.close()
    bare_file.unlink(missing_ok=True)
    return seconds


def start(size: Size) -> Result:
    """Wall time of `hubbub --help` and of opening the store, each several times."""
    command = Path(sys.executable).with_name("hubbub")
    shown = [timed(lambda: subprocess.run([command, "--help"], capture_output=True, check=False)) for _ in range(7)]
    works = subprocess.run([command, "--help"], capture_output=True, check=False).returncode == 0
    folder = size.path("-folded") if size.path("-folded").exists() else size.path("-loaded")
    opened: list[float] = []
    for _ in range(5):
        began = time.perf_counter()
        with stores.engine(folder):
            opened.append(time.perf_counter() - began)
    return {"help": spread(shown), "help_works": works, "open": spread(opened), "rss_mb": rss_mb()}


def memory(size: Size) -> Result:
    """One process that serves and refreshes: dashboards and appends while a refresh of late events runs."""
    folder = stores.copy(size.path("-folded"), size.path("-memory"))
    added = _late_in_other_process(size, folder)
    with stores.engine(folder) as hub:
        opened = rss_mb()
        with ThreadPoolExecutor(2) as pool:
            refresh = pool.submit(hub.refresh)
            asked = 0
            while not refresh.done() and asked < 500:
                asked += 1
                hub.dashboard(stores.name_of(1 + asked * 7 % size.tenants))
            refresh.result()
    stores.remove(folder)
    return {"late_events": added, "rss_mb_open": opened, "rss_mb": rss_mb(), "dashboards_meanwhile": asked}


def _late_in_other_process(size: Size, folder: Path) -> int:
    code = (
        f"from bench.phases import _late; from pathlib import Path; print(_late(Path({str(folder)!r}), 10000, 30, 'm'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    return int(done.stdout.split()[-1])


PARTS: dict[str, Callable[[Size], Result]] = {
    "fold": fold, "hand_fold": hand_fold, "repair": repair, "answers": answers, "ingest": ingest, "http": http, "start": start,
    "memory": memory,
}  # fmt: skip


def main(parts: Mapping[str, Callable[[Size], Result]] = PARTS) -> None:
    """Run one part and print what it found."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("part", choices=sorted(parts))
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--tenants", type=int, default=1000)
    parser.add_argument("--zones", type=int, default=12)
    parser.add_argument("--budget", type=float, default=40.0, help="seconds for the raw questions")
    options = parser.parse_args()
    print(json.dumps(parts[options.part](Size(options.events, options.tenants, options.zones, options.budget))))


if __name__ == "__main__":
    main()
