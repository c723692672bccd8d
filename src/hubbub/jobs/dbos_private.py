"""The private parts of DBOS that Hubbub needs; no other file uses a private part of another library.

DBOS 3.4 has no public way for any: a workflow of a dead process is recovered only by a process that runs workflows itself, a row
of its database that says it is a pickle is opened as one, whichever serializer a client was given, and what waits for a time waits
for hours when the clock goes back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from dbos import DBOSClient, _serialization

SKEW_MS = 60_000
"""Milliseconds by which the clocks of a database and of its client may differ."""


def refuse_pickles() -> None:
    """Have DBOS refuse pickled rows in this process: opening one would run its author's code."""
    _serialization.DefaultSerializer.deserialize = _refuse  # type: ignore[method-assign, assignment]


def _refuse(_: object, __: str) -> Any:
    raise ValueError("this row of the jobs database is a pickle; Hubbub writes JSON only and never opens one")


def put_back_once(client: DBOSClient, job_id: str, process: str, queue: str) -> bool:
    """Put a job of a process back into its queue, if it still belongs to that process; of two calls at once only one does."""
    return client._sys_db.reenqueue_for_recovery(job_id, [process], queue)


def count_no_future_starts(client: DBOSClient, queues: Sequence[str]) -> None:
    """Have a queue's rate not count jobs that began in the database's future: it would start none until that time has come."""
    database = client._sys_db
    rows, now = database.tables.workflow_status, database._now_ms_sql()
    ahead = rows.c.started_at_epoch_ms > now + SKEW_MS
    limited = rows.c.queue_name.in_(queues), rows.c.rate_limited == sa.literal_column("TRUE"), ahead
    with database.engine.begin() as con:
        con.execute(sa.update(rows).where(*limited).values(rate_limited=False))


def bring_forward(client: DBOSClient, milliseconds: int) -> None:
    """Have all delayed jobs start so much earlier."""
    database = client._sys_db
    rows = database.tables.workflow_status
    sooner = {"delay_until_epoch_ms": rows.c.delay_until_epoch_ms - milliseconds}
    with database.engine.begin() as con:
        con.execute(sa.update(rows).where(rows.c.status == "DELAYED").values(**sooner))
