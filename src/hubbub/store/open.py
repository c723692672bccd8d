"""Open the store of the data folder."""

from __future__ import annotations

from hubbub.settings import Settings
from hubbub.store.base import Store
from hubbub.store.duckdb import DuckStore


def open_store(settings: Settings) -> Store:
    """Return the store. Raises StoreBusyError, StoreDamagedError or StoreUnavailableError."""
    return DuckStore(
        settings.data,
        memory_limit=settings.memory_limit,
        threads=settings.threads,
        free_floor=settings.free_floor_mb << 20,
    )
