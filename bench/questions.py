"""What the bench asks of every engine: the dashboard, a series and the hotspots of many tenants, of Hubbub and of raw events."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from bench import stores
from bench.workload import START, zone_of
from hubbub.app import Engine

Result = dict[str, Any]


def timed(call: Callable[[], object]) -> float:
    """Return how many seconds a call takes."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def spread(seconds: list[float]) -> Result:
    """Return the median and the 99th percentile of times, in milliseconds."""
    ms = sorted(1000 * s for s in seconds)
    return {
        "n": len(ms), "p50_ms": statistics.median(ms), "p99_ms": ms[min(len(ms) - 1, int(0.99 * len(ms)))],
        "min_ms": ms[0], "max_ms": ms[-1],
    }  # fmt: skip


def some_tenants(tenants: int) -> list[int]:
    """Return 200 tenants, large and small ones mixed, should time run out."""
    step = max(1, tenants // 200)
    some = list(range(1, tenants + 1, step))[:200]
    return some[::7] + [t for i, t in enumerate(some) if i % 7]


def questions(
    hub: Engine, raw: Callable[[str, Result], object], tenants: list[int], zones: int, budget: float
) -> Result:
    """Ask each tenant's dashboard, 90-day series and hotspots, of Hubbub and of the raw events, turn and turn about.

    `raw` answers the question of a name with parameters from the raw events.
    """
    times: dict[str, list[float]] = {
        n: [] for part in ("", "raw_") for n in (f"{part}dashboard", f"{part}series", f"{part}hotspots")
    }
    series: dict[str, Any] = {
        "metrics": ["messages", "response_ms.p50"], "start": "2026-01-01", "end": "2026-04-01", "grain": "day",
        "by": ["channel"],
    }  # fmt: skip
    hub.dashboard(stores.name_of(1))
    hub.query(stores.name_of(1), **series)
    began = time.perf_counter()
    for number in tenants:
        name = stores.name_of(number)
        times["dashboard"].append(timed(partial(hub.dashboard, name)))
        times["series"].append(timed(partial(hub.query, name, **series)))
        times["hotspots"].append(timed(partial(hub.hotspots, name, series["start"], series["end"])))
        if time.perf_counter() - began < budget or len(times["raw_series"]) < 10:
            for question, params in _raw_parameters(number, zones).items():
                times[f"raw_{question}"].append(timed(partial(raw, question, params)))
        if time.perf_counter() - began > 2 * budget and len(times["dashboard"]) >= 40:
            break
    return {name: spread(values) for name, values in times.items()}


def _raw_parameters(tenant: int, zones: int) -> dict[str, dict[str, Any]]:
    tz = ZoneInfo(zone_of(tenant, zones))
    local = stores.NOW.astimezone(tz)
    offset = local.utcoffset() or timedelta()
    today = local.replace(hour=0, minute=0, second=0) - offset
    now, today = stores.NOW.replace(tzinfo=None), today.replace(tzinfo=None)
    day = timedelta(days=1)
    low = datetime.combine(START, datetime.min.time()) - offset
    return {
        "dashboard": {"tenant": tenant, "now": now, "today": today, "yesterday": today - day, "until": now - day},
        "series": {
            "tenant": tenant, "low": low, "high": low + 90 * day, "offset": f"{int(offset.total_seconds())} seconds",
        },
        "hotspots": {"tenant": tenant, "low": low, "high": low + 90 * day},
    }  # fmt: skip
