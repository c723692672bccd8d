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
"""Random bits of the log that are flipped."""
KILLS_LOADING = 6
KILLS_LABELLING = 5 if ALL else 1
"""Kills of labelling, and as many of labelling again."""
KILLS_DELIVERING = 30 if ALL else 2
KILLS_OF_SERVERS = 40
KILLS_OF_WORKERS = 15 if ALL else 1
"""Kills of one kind; of workers on each of two databases."""

OF_COMMANDS = 1 if ALL else 6
"""One in so many commands is tried on each damage; every command is tried on some damage."""

REQUESTS = 15 if ALL else 5
"""Requests that are generated for each route and key, as described and not."""

AWAY = 60
"""Seconds for which PostgreSQL is away, or hangs, at least."""
KILLS_OF_SHARING = 20
"""Kills of one of the servers, and of one of the workers, that share a PostgreSQL."""

FUZZ = 3_000 if ALL else 120
"""Damaged inputs of each kind: bodies, payloads, files, mappings, exports."""

DAYS_BEFORE_RETENTION = 85 if ALL else 45
"""Days of a hotel before its facts older than thirty days go."""

WORLDS_OF_DELIVERIES = 6 if ALL else 1
"""Worlds whose deliveries are lost, doubled and late."""

BODIES = 10_000 if ALL else 480
"""Bodies that six services send over a lossy line."""

TIMELINES = 10_000 if ALL else 400
"""Random conversations whose waits are judged by targets."""

LAWS = os.environ.get("HUBBUB_LAWS") or ("many" if ALL else "few")
"""How many worlds each law is tried on, a profile of tests/laws/conftest.py; `search` looks for new ones."""
