"""The two private parts of DBOS that Hubbub needs; no other file uses a private part of another library.

DBOS 3.4 has no public way for either: a workflow of a dead process is recovered only by a process that runs workflows itself, and
a row of its database that says it is a pickle is opened as one, whichever serializer a client was given.
"""

from __future__ import annotations

from typing import Any

from dbos import DBOSClient, _serialization


def refuse_pickles() -> None:
    """Have DBOS refuse pickled rows in this process: opening one would run its author's code."""
    _serialization.DefaultSerializer.deserialize = _refuse  # type: ignore[method-assign, assignment]


def _refuse(_: object, __: str) -> Any:
    raise ValueError("this row of the jobs database is a pickle; Hubbub writes JSON only and never opens one")


def put_back_once(client: DBOSClient, job_id: str, process: str, queue: str) -> bool:
    """Put a job of a process back into its queue, if it still belongs to that process; of two calls at once only one does."""
    return client._sys_db.reenqueue_for_recovery(job_id, [process], queue)
