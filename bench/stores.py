"""Stores for the bench: filled from the workload's Parquet through the engine, copied for every run that changes them."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from bench import workload
from hubbub.app import Engine
from hubbub.model.event import Event
from hubbub.model.tenant import Retention
from hubbub.settings import load

WORK = Path(__file__).parent / "work"
NOW = datetime(2026, 3, 31, 23, 59, 59, tzinfo=UTC)
"""The moment at which the bench's clock stands: the end of the workload's 90 days."""
KEPT = Retention(raw=120)
"""The default retention but for raw events, so that all of the workload's 90 days can be sent."""
AT_ONCE = 20_000


def engine(folder: Path) -> Engine:
    """Open an engine over a folder, with the settings a user has by default, at the bench's moment."""
    return Engine(load(folder), lambda: NOW)


def name_of(tenant: int) -> str:
    """Return the id of tenant number `tenant` (from 1)."""
    return f"tenant-{tenant}"


def folded(events: int, tenants: int = 1000, zones: int = 12) -> Path:
    """Return a folder that holds the workload, folded; made unless it is there."""
    folder, parquet = WORK / f"{events}-folded", WORK / f"{events}.parquet"
    if folder.exists():
        return folder
    WORK.mkdir(exist_ok=True)
    if not parquet.exists():
        workload.write(parquet, events, tenants, zones=zones)
    loading = folder.with_name(folder.name + "-loading")
    shutil.rmtree(loading, ignore_errors=True)
    with engine(loading) as hub:
        for number in range(1, tenants + 1):
            hub.control.add_tenant(name_of(number), workload.zone_of(number, zones), retention=KEPT)
        rows = duckdb.sql(f"SELECT {', '.join(workload.COLUMNS)} FROM read_parquet('{parquet}')")
        while some := rows.fetchmany(AT_ONCE):
            by_tenant: dict[int, list[Event]] = {}
            for tenant, *values in some:
                fields = dict(zip(workload.COLUMNS[1:], values, strict=True))
                fields["time"] = fields["time"].replace(tzinfo=UTC)
                by_tenant.setdefault(tenant, []).append(Event(**fields))
            for tenant, sent in by_tenant.items():
                assert hub.accept(name_of(tenant), sent, history=True).rejected == []
        hub.refresh()
    loading.rename(folder)
    return folder


def copy(source: Path, target: Path) -> Path:
    """Copy a closed store into a fresh folder."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, symlinks=True)
    return target
