"""Logs and metrics: one structured logger, and the Prometheus metrics of a process (never labelled by tenant)."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Hashable

import structlog
from prometheus_client import Counter, Gauge, Histogram

log: structlog.stdlib.BoundLogger = structlog.get_logger("hubbub")

EVENTS = Counter("hubbub_events_total", "Events received, by verdict.", ["verdict"])
REFRESHES = Counter("hubbub_refreshes_total", "Refreshes run, by outcome.", ["outcome"])
REFRESH_SECONDS = Histogram(
    "hubbub_refresh_duration_seconds", "Duration of a refresh.", buckets=(0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300)
)
REQUEST_SECONDS = Histogram(
    "hubbub_http_request_duration_seconds", "Duration of HTTP requests, by route and status class.", ["route", "status"],
    buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)  # fmt: skip
CACHE = Counter("hubbub_cache_total", "Cache look-ups, by outcome: hit, miss, error.", ["outcome"])
JOBS = Counter("hubbub_jobs_total", "Job attempts that ended, by queue and outcome.", ["queue", "outcome"])
JOB_SECONDS = Histogram(
    "hubbub_job_duration_seconds", "Duration of a job's attempt.", ["queue"],
    buckets=(0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 1800),
)  # fmt: skip
QUEUE_DEPTH = Gauge("hubbub_queue_jobs", "Jobs that wait or run, by queue and state.", ["queue", "state"])
QUEUE_OLDEST = Gauge("hubbub_queue_oldest_waiting_seconds", "Age of the oldest waiting job, by queue.", ["queue"])
BEHIND = Gauge("hubbub_log_waiting_batches", "Accepted batches that wait to be stored and folded.")


SELDOM = 60.0
"""Seconds between two log lines about the same problem."""
_MOST_TROUBLES = 1000


class Seldom:
    """Limits log lines about a lasting problem. Thread-safe."""

    def __init__(self, seconds: float = SELDOM) -> None:
        self._seconds = seconds
        self._last: dict[Hashable, float] = {}

    def __call__(self, trouble: Hashable) -> bool:
        """Return True at most once per period for each problem."""
        now = time.monotonic()
        if now - self._last.get(trouble, -self._seconds) < self._seconds:
            return False
        if len(self._last) >= _MOST_TROUBLES:
            self._last.clear()
        self._last[trouble] = now
        return True


seldom = Seldom()


def configure_logs(level: str = "info", *, json: bool | None = None) -> None:
    """Send logs to stderr: as JSON lines, or as text if it is a terminal; `json` overrides this."""
    as_json = not sys.stderr.isatty() if json is None else json
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper(), logging.INFO)),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )
