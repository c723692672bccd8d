"""Open the store that the settings name: DuckDB in the data folder, or a ClickHouse that other processes have too."""

from __future__ import annotations

from hubbub.settings import Settings
from hubbub.store.base import Store
from hubbub.store.database import Database
from hubbub.store.duckdb import DuckStore


def open_store(settings: Settings, control: Database) -> Store:
    """Return the store; a shared one keeps its positions in the control database.

    Raises StoreBusyError, StoreDamagedError or StoreUnavailableError.
    """
    if settings.store_url.startswith(("clickhouse", "chdb:")):
        from hubbub.store.clickhouse import ClickHouseStore
        from hubbub.store.positions import Positions

        return ClickHouseStore(settings.store_url, Positions(control), cluster=settings.store_cluster)
    return DuckStore(
        settings.data,
        memory_limit=settings.memory_limit,
        threads=settings.threads,
        free_floor=settings.free_floor_mb << 20,
    )
