"""The extent of the two test runs: `make test-all` (`HUBBUB_TESTS=all`) runs everything, `make test` less.

The quick run skips the tests that are marked `slow`, by name, and repeats others fewer times. Nothing else is left out.
"""

from __future__ import annotations

import os

ALL = os.environ.get("HUBBUB_TESTS") == "all"

KILLS_INGESTING = 14 if ALL else 2
KILLS_REFRESHING = 10 if ALL else 1
BREAKS = (0.0, 0.001, 0.2, 0.5, 0.9, 0.999) if ALL else (0.001, 0.9)
"""Shares of the log at which it breaks off."""
FLIPS = 4 if ALL else 1
"""Random bits of the log to flip."""
KILLS_LOADING = 6
KILLS_LABELLING = 5 if ALL else 1
"""Kills of labelling, and as many of labelling again."""
KILLS_DELIVERING = 30 if ALL else 2
KILLS_OF_SERVERS = 40
KILLS_OF_WORKERS = 15 if ALL else 1
"""Kills of one kind; of workers, on each of two databases."""

REQUESTS = 15 if ALL else 5
"""Generated requests for each route and key, valid and not."""

AWAY = 60
"""Least number of seconds for which PostgreSQL is away, or hangs."""
KILLS_OF_SHARING = 20
"""Kills of a server, and of a worker, that share a PostgreSQL."""

FUZZ = 3_000 if ALL else 120
"""Damaged inputs of each kind: bodies, payloads, files, mappings, exports."""

DAYS_BEFORE_RETENTION = 85 if ALL else 45
"""Days of a hotel before retention deletes facts older than thirty days."""

WORLDS_OF_DELIVERIES = 6 if ALL else 1
"""Worlds with lost, doubled and late deliveries."""

BODIES = 10_000 if ALL else 480
"""Bodies of six services over a lossy line."""

TIMELINES = 10_000 if ALL else 400
"""Random conversations whose waits are judged by targets."""

LAWS = os.environ.get("HUBBUB_LAWS") or ("many" if ALL else "few")
"""The hypothesis profile of tests/laws/conftest.py, which sets the examples of each law; `search` looks for new failures."""
