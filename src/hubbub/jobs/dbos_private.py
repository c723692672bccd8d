"""The private parts of DBOS that Hubbub needs; no other file uses a private part of another library.

DBOS 3.4 has no public way for these: only a process that runs workflows itself can recover those of a dead process; a row marked as
a pickle is unpickled, whatever the client's serializer; and a delayed workflow waits longer when the clock goes back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from dbos import DBOSClient, _serialization

SKEW_MS = 60_000
"""Largest difference in milliseconds between the clocks of a database and its client."""


def refuse_pickles() -> None:
    """Have DBOS refuse pickled rows in this process: unpickling runs code from the row. Reading one raises ValueError."""
    _serialization.DefaultSerializer.deserialize = _refuse  # type: ignore[method-assign, assignment]


def _refuse(_: object, __: str) -> Any:
    raise ValueError("this row of the jobs database is a pickle; Hubbub writes JSON only and never opens one")


def put_back_once(client: DBOSClient, job_id: str, process: str, queue: str) -> bool:
    """Put a job of a process back into its queue if it still belongs to it, and say so; of concurrent calls, one succeeds."""
    return client._sys_db.reenqueue_for_recovery(job_id, [process], queue)


def count_no_future_starts(client: DBOSClient, queues: Sequence[str]) -> None:
    """Exclude jobs that began in the database's future from a queue's rate limit: it would start no jobs until that time."""
    database = client._sys_db
    rows, now = database.tables.workflow_status, database._now_ms_sql()
    ahead = rows.c.started_at_epoch_ms > now + SKEW_MS
    limited = rows.c.queue_name.in_(queues), rows.c.rate_limited == sa.literal_column("TRUE"), ahead
    with database.engine.begin() as con:
        con.execute(sa.update(rows).where(*limited).values(rate_limited=False))


def bring_forward(client: DBOSClient, milliseconds: int) -> None:
    """Move the start of all delayed jobs forward by some milliseconds."""
    database = client._sys_db
    rows = database.tables.workflow_status
    sooner = {"delay_until_epoch_ms": rows.c.delay_until_epoch_ms - milliseconds}
    with database.engine.begin() as con:
        con.execute(sa.update(rows).where(rows.c.status == "DELAYED").values(**sooner))
