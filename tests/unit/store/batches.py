"""Batches of messages for the tests of stores, and what is left of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

from hubbub.store.base import EVENT_SCHEMA, Batch, Store, Verdict

STORED, DUPLICATE, CORRECTED = Verdict.STORED, Verdict.DUPLICATE, Verdict.CORRECTED
DAY = datetime(2026, 8, 1, 12)  # noqa: DTZ001 - the store's times have no zone
Told = tuple[str, int | None, datetime]


def told(id_: str, revision: int | None = None, *, days: float = 0) -> Told:
    """An event: its id, its revision, and when it was."""
    return id_, revision, DAY + timedelta(days=days)


def batch(
    *events: Told, tenant: int = 1, source: str = "api", given: bool = True, rejected: Sequence[Any] = ()
) -> Batch:
    """A batch of messages."""
    rows = [
        {"tenant": tenant, "type": "message.received", "time": when, "source": source, "id": id_, "revision": revision}
        for id_, revision, when in events
    ]
    table = pa.Table.from_pylist(rows, schema=EVENT_SCHEMA)
    return Batch(
        table, [(tenant, source, id_) for id_, _, _ in events], [r for _, r, _ in events], [given] * len(rows), rejected
    )


def kept(store: Store) -> list[tuple[Any, ...]]:
    """What is stored, as (id, revision, days after the first)."""
    rows = store.query('SELECT id, revision, "time" FROM events ORDER BY id, seq').rows
    return [(id_, revision, (when - DAY) / timedelta(days=1)) for id_, revision, when in rows]
