"""The daily cycle of many tenants, timed: refresh what a day of events made due, then make every daily snapshot.

`python -m bench.daily_cycle --events 2000000` makes the store once (bench/work: all of the workload folded but for its last
day of arrivals, which is set aside), and times the cycle on a copy: that day arrives, everything due is folded (trends,
conversation metrics and all other rollups), snapshots are made, made again, and some are compared with what a query says.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from bench import stores, workload
from hubbub.app import Engine
from hubbub.telemetry import configure_logs


def prepare(folder: Path, events: int, tenants: int) -> None:
    """Make the folded store without the last day's arrivals, which stand beside it as `day.parquet`."""
    parquet = stores.WORK / f"cycle-{events}.parquet"
    parquet.parent.mkdir(exist_ok=True)
    if not parquet.exists():
        workload.write(parquet, events, tenants)
    loading = folder.with_name(folder.name + "-loading")
    stores.fill(loading, parquet, tenants, 12)
    connection = stores.connect(loading, "4GB")
    day = f"TIMESTAMP '{stores.NOW - timedelta(days=1):%Y-%m-%d %H:%M:%S}'"
    first = connection.execute(f'SELECT min(seq) FROM events WHERE "time" >= {day}').fetchone()
    assert first is not None
    connection.execute(f"COPY (FROM events WHERE seq >= {first[0]} ORDER BY seq) TO '{loading / 'day.parquet'}'")
    connection.execute(f"DELETE FROM events WHERE seq >= {first[0]}; CHECKPOINT")
    connection.close()
    (loading / "tide").write_bytes(b"%-20d\n" % (first[0] - 1))
    with stores.engine(loading) as hub:
        began = time.perf_counter()
        report = hub.refresh()
        hub.store.checkpoint()
        print(f"folded {report['windows']} windows in {time.perf_counter() - began:.0f} s")
    stores.move(loading, folder)


def arrive(folder: Path) -> int:
    """Add the day that was set aside; returns how many events."""
    connection = stores.connect(folder, "2GB")
    connection.execute(f"INSERT INTO events FROM read_parquet('{folder / 'day.parquet'}') ORDER BY seq")
    found = connection.execute(
        f"SELECT max(seq), (SELECT count(*) FROM read_parquet('{folder / 'day.parquet'}')) FROM events"
    ).fetchone()
    connection.close()
    assert found is not None
    (folder / "tide").write_bytes(b"%-20d\n" % found[0])
    return int(found[1])


def timed(work: Any, *args: Any, **kwargs: Any) -> tuple[float, float, Any]:
    """Return the wall seconds and CPU seconds that a call took, and what it gave."""
    began, used = time.perf_counter(), time.process_time()
    answer = work(*args, **kwargs)
    return time.perf_counter() - began, time.process_time() - used, answer


def cycle(folder: Path) -> dict[str, Any]:
    """Run the daily cycle on a copy of a folded store."""
    running = stores.copy(folder, folder.with_name(folder.name + "-running"))
    found: dict[str, Any] = {"arrived": arrive(running)}
    with stores.engine(running) as hub:
        steps: dict[str, float] = {}
        found["refresh"] = _told(*timed(hub.refresh, step=_watch(steps)), "windows", "errors")
        found["refresh"]["slowest_steps"] = dict(sorted(steps.items(), key=lambda kv: -kv[1])[:6])
        for kind in ("daily", "weekly", "monthly"):
            found[kind] = _told(*timed(hub.snapshot, kind), "processed", "created", "errors")
        seconds, cpu, _ = timed(hub.snapshot, "daily")
        found["daily again"] = {"seconds": round(seconds, 2), "cpu_seconds": round(cpu, 2)}
        found["one tenant, daily"] = _one(hub)
        found["one tenant that fails"] = _bad(hub, 500)
    found["daily cycle"] = round(found["refresh"]["seconds"] + found["daily"]["seconds"], 2)
    found["rss_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    stores.remove(running)
    return found


def _watch(steps: dict[str, float]) -> Callable[[str], None]:
    """Return a step that notes how long each part of a refresh took."""
    last = time.perf_counter()

    def step(name: str) -> None:
        nonlocal last
        now = time.perf_counter()
        steps[name] = round(steps.get(name, 0.0) + now - last, 2)
        last = now

    return step


def _told(seconds: float, cpu: float, answer: dict[str, Any], *names: str) -> dict[str, Any]:
    told = {name: answer[name] for name in names} | {"errors": len(answer["errors"])}
    return {"seconds": round(seconds, 2), "cpu_seconds": round(cpu, 2), **told}


def _one(hub: Engine) -> dict[str, Any]:
    times = [timed(hub.snapshot, "daily", tenant=stores.name_of(n))[0] for n in (1, 10, 100, 500, 900)]
    return {"median_seconds": round(statistics.median(times), 3), "worst_seconds": round(max(times), 3)}


def _bad(hub: Engine, number: int) -> dict[str, Any]:
    """Make one tenant's stored numbers overflow, make all monthly snapshots, mend the tenant and make its own."""
    with hub.store.work() as work:
        work.execute(f"UPDATE rollup_messages_day SET messages = {2**63 - 1} WHERE tenant = {number}")
    found = _told(*timed(hub.snapshot, "monthly"), "processed", "created", "errors")
    hub.backfill("2026-01-01", "2026-04-02", stores.name_of(number), "messages")
    found["healed"] = hub.snapshot("monthly", tenant=stores.name_of(number))["created"]
    return found


def main() -> None:
    """Read the arguments, make the store when it is not there, print the figures as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--tenants", type=int, default=1000)
    parser.add_argument("--prepare", action="store_true", help="only make the store")
    options = parser.parse_args()
    configure_logs("info")  # to stderr, so that the figures stand alone
    folder = stores.WORK / f"cycle-{options.events}"
    if not folder.exists():
        prepare(folder, options.events, options.tenants)
    if not options.prepare:
        print(json.dumps({"events": options.events, "tenants": options.tenants, **cycle(folder)}, indent=2))


if __name__ == "__main__":
    main()
