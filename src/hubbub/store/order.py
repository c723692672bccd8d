"""Keep settled events of the embedded store in the order of month, tenant and time: one tenant's events lie together.

Events arrive in the order of time, mixed over all tenants; a look at one tenant would read everything. Once enough of them
are older than some days, those are written anew in order, as one transaction while appends go on. New events stay as
they came, and months stay apart, so that duplicates, recent windows and what retention lets go are found by time
(why/0012-settled-events-in-order.md).
"""

from __future__ import annotations

import json
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import duckdb

SETTLED = timedelta(days=3)
"""Younger events stay as they came. Longer than a resent event's time may differ, and than most events are late."""

WORTH = 250_000
"""Fewer events than this are never ordered: DuckDB keeps statistics for stretches of 122,880 rows."""


_IN_ORDER = """date_trunc('month', "time"), tenant, "time", seq"""


@dataclass(frozen=True)
class Ordered:
    """What lies in order: all events up to `seq` from before `until`; `rows` in one run and `since` in shorter ones."""

    seq: int = 0
    until: str = "1970-01-01 00:00:00"
    rows: int = 0
    since: int = 0

    @property
    def where(self) -> str:
        """SQL for the events that lie in order."""
        return f"(seq <= {self.seq} AND \"time\" < TIMESTAMP '{self.until}')"


def order(cursor: duckdb.DuckDBPyConnection, newest: int, now: datetime, alone: AbstractContextManager[Any]) -> int:
    """Put events up to `newest` that are settled at `now` (UTC without zone) in order; returns how many were written anew.

    Nothing happens below a sixteenth of what lies in order. When shorter runs come to half of the long one, all are merged.
    `alone` keeps appends out for the moment of the swap. Raises duckdb.TransactionException when events were replaced or
    deleted meanwhile: nothing has changed then.
    """
    found = cursor.execute("SELECT value FROM meta WHERE key = 'ordered'").fetchone()
    last = Ordered(**json.loads(found[0])) if found else Ordered()
    enough = max(WORTH, last.rows // 16)
    if newest - last.seq < enough:
        return 0
    settled = Ordered(newest, str((now - SETTLED).replace(microsecond=0)))
    some = f"{settled.where} AND NOT {last.where}"
    cursor.execute("BEGIN")
    try:
        count, top = cursor.execute(f"SELECT count(*) FILTER (WHERE {some}), max(rowid) FROM events").fetchall()[0]
        if count < enough:
            cursor.execute("ROLLBACK")
            return 0
        whole = 2 * (last.since + count) >= last.rows
        which = settled.where if whole else some
        cursor.execute(f"INSERT INTO events SELECT * FROM events WHERE {which} ORDER BY {_IN_ORDER}")
        rows, since = (last.rows + last.since + count, 0) if whole else (last.rows, last.since + count)
        made = Ordered(settled.seq, settled.until, rows, since)
        with alone:  # rows of this transaction are numbered far above `top`
            cursor.execute(f"DELETE FROM events WHERE {which} AND rowid <= {top}")
            cursor.execute("DELETE FROM meta WHERE key = 'ordered'")
            cursor.execute("INSERT INTO meta VALUES ('ordered', ?)", [json.dumps(asdict(made))])
            cursor.execute("COMMIT")
    except BaseException:
        with suppress(duckdb.Error):
            cursor.execute("ROLLBACK")
        raise
    return rows if whole else int(count)
