"""Small jobs in Celery and Dramatiq on Redis, for `bench/jobs.py`: `python other_queues.py REDIS_URL JOBS`, prints JSON.

It needs an interpreter with both installed; the project does not depend on them. One worker process each, eight jobs at a time.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

URL = os.environ.get("QUEUE_URL", "") or (sys.argv[1] if len(sys.argv) > 1 else "redis://127.0.0.1:6399/0")

import celery  # type: ignore[import-not-found]  # noqa: E402
import dramatiq  # type: ignore[import-not-found]  # noqa: E402
import redis  # noqa: E402
from dramatiq.brokers.redis import RedisBroker  # type: ignore[import-not-found]  # noqa: E402

store: Any = redis.Redis.from_url(URL)
dramatiq.set_broker(RedisBroker(url=URL))
app = celery.Celery("other_queues", broker=URL)


@dramatiq.actor  # type: ignore[untyped-decorator]
def count(key: str) -> None:
    """Count one."""
    store.incr(key)


@app.task(name="count")  # type: ignore[untyped-decorator]
def count_too(key: str) -> None:
    """Count one."""
    store.incr(key)


def timed(send: Any, key: str, jobs: int, command: list[str]) -> dict[str, Any]:
    """Send jobs one after the other, then start one worker and wait until all are counted."""
    store.flushdb()
    times = []
    for _ in range(jobs):
        began = time.perf_counter()
        send(key)
        times.append(time.perf_counter() - began)
    times.sort()
    worker = subprocess.Popen(
        command, cwd=Path(__file__).parent, env=os.environ | {"QUEUE_URL": URL},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        while not store.get(key):  # the start of the worker is not measured
            time.sleep(0.005)
        began = time.perf_counter()
        while int(store.get(key)) < jobs:
            time.sleep(0.01)
        seconds = time.perf_counter() - began
    finally:
        worker.terminate()
        worker.wait()
    start = {"p50_ms": round(1000 * statistics.median(times), 2), "p99_ms": round(1000 * times[int(0.99 * jobs)], 2)}
    return {"start": start, "jobs_a_second": round(jobs / seconds, 1), "jobs": jobs}


if __name__ == "__main__":
    number = int(sys.argv[2])
    bin_ = Path(sys.executable).parent
    found = {
        "Dramatiq on Redis": timed(
            count.send, "counted-1", number, [str(bin_ / "dramatiq"), "other_queues", "-p", "1", "-t", "8"]
        ),
        "Celery on Redis": timed(
            count_too.delay, "counted-2", number,
            [str(bin_ / "celery"), "-A", "other_queues", "worker", "-P", "threads", "-c", "8"],
        ),
    }  # fmt: skip
    print(json.dumps(found))
