"""Stores for tests."""

from __future__ import annotations

from pathlib import Path

from hubbub.store.base import Store
from hubbub.store.duckdb import DuckStore


def new_store(folder: Path, commit_wait: float = 0.0) -> Store:
    """Open the store of a folder, small and without a floor of free space."""
    return DuckStore(folder, memory_limit="500MB", threads=1, free_floor=0, commit_wait=commit_wait)
