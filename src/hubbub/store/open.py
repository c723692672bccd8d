"""Open the store that the settings name: DuckDB in the data folder, or a ClickHouse that other processes have too."""

from __future__ import annotations

from contextlib import ExitStack

from hubbub.errors import StoreUnavailableError
from hubbub.settings import Settings
from hubbub.store.base import Store
from hubbub.store.database import Database
from hubbub.store.duckdb import DuckStore

UNFINISHED = "migrating"
"""The key in `meta` of a store into which a move is not finished."""


def open_store(settings: Settings, control: Database) -> Store:
    """Return the store; a shared one keeps its positions in the control database.

    Raises StoreBusyError, StoreDamagedError or StoreUnavailableError, also for one into which a move is not finished.
    """
    with ExitStack() as opened:
        store = _open(settings, control)
        opened.callback(store.close)
        if store.query("SELECT value FROM meta WHERE key = $key", {"key": UNFINISHED}).rows:
            raise StoreUnavailableError(
                "a move into this store is not finished: run the same 'hubbub migrate-store' again, or go on with the store "
                "that was moved from"
            )
        opened.pop_all()
    return store


def _open(settings: Settings, control: Database) -> Store:
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
