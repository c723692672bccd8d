"""Stores for the bench: filled from the workload's Parquet with SQL, copied for every run that changes them."""

from __future__ import annotations

import json
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from bench.workload import COLUMNS, zone_of
from hubbub.app import Engine
from hubbub.model.tenant import Retention
from hubbub.settings import Settings, load
from hubbub.store.base import EVENT_SCHEMA

WORK = Path(__file__).parent / "work"
NOW = datetime(2026, 3, 31, 23, 59, 59, tzinfo=UTC)
"""The moment at which the bench's clock stands: the end of the workload's 90 days."""

KEPT = Retention(raw=120)
"""The default retention but for raw events, so that all of the workload's 90 days can be folded and sent."""


def frozen_clock() -> datetime:
    """Return the bench's moment."""
    return NOW


def settings(folder: Path) -> Settings:
    """Return the settings a user has by default, for a data folder."""
    return load(folder)


def engine(folder: Path) -> Engine:
    """Open an engine over a folder, at the bench's moment."""
    return Engine(settings(folder), frozen_clock)


def name_of(tenant: int) -> str:
    """Return the id of tenant number `tenant`."""
    return f"tenant-{tenant}"


def connect(folder: Path, memory: str = "1GB") -> duckdb.DuckDBPyConnection:
    """Open a store's file bare, with the same limits as Hubbub's own."""
    connection = duckdb.connect(str(folder / "hubbub.duckdb"))
    connection.execute(f"SET memory_limit = '{memory}'; SET threads = {os.cpu_count() or 1}")
    connection.execute(
        f"SET temp_directory = '{folder / 'tmp'}'; SET enable_progress_bar = false; SET TimeZone = 'UTC'"
    )
    return connection


def fill(folder: Path, parquet: Path, tenants: int, zones: int) -> int:
    """Make a store that holds the workload's events, unfolded, without the resent ones; returns how many."""
    shutil.rmtree(folder, ignore_errors=True)
    with engine(folder) as hub:
        for number in range(1, tenants + 1):
            hub.control.add_tenant(name_of(number), zone_of(number, zones), retention=KEPT)
        limit = hub.settings.memory_limit
    connection = connect(folder, "4GB")
    connection.execute("SET preserve_insertion_order = true")
    given = set(COLUMNS)
    values = {
        "tenant": "tenant::INTEGER", "source": "'api'", "received_at": """"time" + INTERVAL 1 SECOND""",
    }  # fmt: skip
    columns = ", ".join(
        f'{values[n]} AS "{n}"' if n in values else f'"{n}"' if n in given else f'NULL AS "{n}"'
        for n in EVENT_SCHEMA.names
    )
    connection.execute(
        f"CREATE TEMP TABLE again AS SELECT max(file_row_number) AS row FROM read_parquet('{parquet}', "
        "file_row_number = true) GROUP BY tenant, id HAVING count(*) > 1"
    )
    connection.execute(
        f"INSERT INTO events SELECT file_row_number + 1, {columns} FROM read_parquet('{parquet}', "
        "file_row_number = true) WHERE file_row_number NOT IN (SELECT row FROM again)"
    )
    found = connection.execute("SELECT count(*), max(seq) FROM events").fetchone()
    connection.execute("CHECKPOINT")
    connection.close()
    assert found is not None
    (folder / "tide").write_bytes(b"%-20d\n" % found[1])
    (folder / "bench.json").write_text(json.dumps({"events": found[0], "memory_limit": limit}))
    return int(found[0])


def copy(source: Path, target: Path) -> Path:
    """Copy a closed store into a fresh folder."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns("tmp"))
    return target


def remove(folder: Path) -> None:
    """Remove a store."""
    shutil.rmtree(folder, ignore_errors=True)


def move(source: Path, target: Path) -> None:
    """Put a closed store in the place of another."""
    remove(target)
    source.rename(target)
