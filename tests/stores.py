"""Stores for tests: the embedded one, and the distributed one over the real engine in this process.

`HUBBUB_TEST_STORE=clickhouse` runs laws, folds, answers and the acceptance of real data on the distributed one; see the Makefile.
"""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path

from clickhouse_connect.driver.client import Client

from hubbub.store.base import Store
from hubbub.store.clickhouse import ClickHouseStore
from hubbub.store.clickhouse_work import connect
from hubbub.store.database import Database
from hubbub.store.duckdb import DuckStore
from hubbub.store.positions import Positions

STORE = os.environ.get("HUBBUB_TEST_STORE", "duckdb")
KINDS = ("duckdb", "clickhouse")
_numbers = count(1)
_urls: dict[Path, str] = {}
_engine: list[Client] = []
"""A connection that is never closed: the engine inside this process, and all its databases, end with its last one."""


def new_url(kind: str) -> str:
    """Return the setting `store_url` of an empty store of a kind."""
    if kind == "duckdb":
        return ""
    _engine[:] = _engine or [connect("chdb://memory")]
    return f"chdb://memory/test_{next(_numbers)}"


def url_of(folder: Path) -> str:
    """Return the setting `store_url` of the store that belongs to a folder: the same each time the folder is opened."""
    return _urls.setdefault(folder.resolve(), new_url(STORE))


def new_store(kind: str, folder: Path, commit_wait: float = 0.0) -> Store:
    """Open an empty store of a kind; a folder may hold one of each."""
    if kind == "clickhouse":
        positions = Positions(Database(f"sqlite:///{folder / 'control.db'}"))
        return ClickHouseStore(new_url(kind), positions, commit_wait=commit_wait)
    return DuckStore(folder, memory_limit="500MB", threads=1, free_floor=0, commit_wait=commit_wait)
