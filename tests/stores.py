"""Stores for tests: the distributed one over the real engine in this process, each in a database of its own."""

from __future__ import annotations

from itertools import count
from pathlib import Path

from hubbub.store.clickhouse import ClickHouseStore
from hubbub.store.database import Database
from hubbub.store.positions import Positions

_numbers = count(1)


def clickhouse_store(folder: Path) -> ClickHouseStore:
    """Open an empty store over the engine that this process has, with its positions in a folder."""
    return ClickHouseStore(
        f"chdb://memory/test_{next(_numbers)}", Positions(Database(f"sqlite:///{folder / 'control.db'}"))
    )
