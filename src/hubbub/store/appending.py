"""Appending, the same in every store: what waits is committed together, and of several reports of one event the right one stays."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pyarrow as pa

from hubbub.errors import StoreUnavailableError
from hubbub.store.base import Batch, Verdict

RESENT_WITHIN = timedelta(days=1)
"""How far the time of a resent event may lie from the first one's. Corrections and imports are looked up over all time."""

REJECTED = pa.schema(
    [("tenant", pa.int32()), ("received_at", pa.timestamp("us"))]
    + [(name, pa.string()) for name in ("origin", "code", "field", "message", "raw")]
)
SAME_RECORD = ("tenant", "origin", "code", "raw")
"""A refused record that comes again, as when a file is imported twice, is kept once."""

_STOP = object()


class Incoming:
    """Batches that are committed together, one verdict per row."""

    def __init__(self, batches: Sequence[Batch]) -> None:
        """Join the batches; of rows with one identity the highest revision is kept, and of equal ones the first."""
        self.table = batches[0].table if len(batches) == 1 else pa.concat_tables([b.table for b in batches])
        self.verdicts = [Verdict.STORED] * self.table.num_rows
        self._revisions = [revision for b in batches for revision in b.revisions]
        self._given = [given for b in batches for given in b.given]
        self._history = [b.history for b in batches for _ in b.identities]
        self.rejected: list[Mapping[str, Any]] = list(
            {tuple(r[c] for c in SAME_RECORD): r for b in batches for r in b.rejected}.values()
        )
        self._resolve([identity for b in batches for identity in b.identities])

    def _resolve(self, identities: Sequence[tuple[int, str, str]]) -> None:
        best: dict[tuple[int, str, str], int] = {}
        for i, identity in enumerate(identities):
            if not self._given[i]:
                continue
            j = best.setdefault(identity, i)
            if j == i:
                continue
            mine, theirs = self._revisions[i], self._revisions[j]
            if mine is not None and (theirs is None or mine > theirs):
                best[identity] = i
                self.verdicts[j], self.verdicts[i] = Verdict.DUPLICATE, Verdict.CORRECTED
            else:
                self.verdicts[i] = Verdict.DUPLICATE

    def keys(self, *, bounded: bool) -> pa.Table | None:
        """Return tenant, source, id, time and `pos` of the rows that may be stored already; None when there are none.

        `bounded`: those that can only lie within RESENT_WITHIN of their time; otherwise those that may lie anywhen.
        """
        rows = [
            i
            for i, revision in enumerate(self._revisions)
            if (self._given[i] or revision is not None)
            and self.verdicts[i] is not Verdict.DUPLICATE
            and (revision is None and not self._history[i]) is bounded
        ]
        if not rows:
            return None
        some = self.table.select(["tenant", "source", "id", "time"])
        if len(rows) < self.table.num_rows:
            some = some.take(pa.array(rows, pa.int64()))
        return some.append_column("pos", pa.array(rows, pa.int64()))

    def replaces(self, pos: int, stored: int | None) -> bool:
        """Say whether row `pos` replaces a stored event of its identity with that revision; otherwise it is a duplicate."""
        mine = self._revisions[pos]
        replaces = mine is not None and (stored is None or mine > stored)
        self.verdicts[pos] = Verdict.CORRECTED if replaces else Verdict.DUPLICATE
        return replaces

    def kept(self, seq: int) -> pa.Table:
        """Return the rows to store, with `seq` counted on from the newest event's."""
        keep = [verdict is not Verdict.DUPLICATE for verdict in self.verdicts]
        count = sum(keep)
        table = self.table.filter(pa.array(keep)) if count < len(keep) else self.table
        return table.add_column(0, "seq", pa.array(range(seq + 1, seq + count + 1), pa.int64()))

    def refused(self) -> pa.Table:
        """Return the rejected records to keep."""
        return pa.Table.from_pylist([dict(r) for r in self.rejected], schema=REJECTED)


class Appender:
    """One thread that commits whatever waits together; an append returns when its commit has."""

    def __init__(
        self,
        commit: Callable[[Incoming], None],
        failed: Callable[[BaseException], bool],
        wait: float = 0.0,
    ) -> None:
        """`commit` stores incoming rows and settles their verdicts; `failed` clears up after an error of it and says whether
        the batches may be tried one by one."""
        self._commit_rows = commit
        self._failed = failed
        self._wait = wait
        self._waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._closed = False
        self._writer = threading.Thread(target=self._loop, name="hubbub-writer", daemon=True)
        self._writer.start()

    def append(self, batch: Batch) -> list[Verdict]:
        """Store a batch in the next commit; returns when it is done. Raises StoreUnavailableError."""
        if self._closed:
            raise StoreUnavailableError("the store is closing")
        future: Future[list[Verdict]] = Future()
        self._waiting.put((batch, future))
        return future.result()

    def close(self) -> bool:
        """Commit what waits and end; returns False when it was closed already."""
        if self._closed:
            return False
        self._closed = True
        self._waiting.put(_STOP)
        self._writer.join()
        return True

    def _loop(self) -> None:
        while True:
            waiting = [self._waiting.get()]
            if self._wait:
                time.sleep(self._wait)
            with suppress(queue.Empty):
                while len(waiting) < 1024:
                    waiting.append(self._waiting.get_nowait())
            jobs = [item for item in waiting if item is not _STOP]
            if jobs:
                self._commit(jobs)
            if len(jobs) < len(waiting):
                return

    def _commit(self, jobs: list[tuple[Batch, Future[list[Verdict]]]]) -> None:
        try:
            incoming = Incoming([batch for batch, _ in jobs])
            self._commit_rows(incoming)
        except BaseException as error:
            if self._failed(error) and len(jobs) > 1:
                for job in jobs:  # one bad batch must not refuse its neighbours
                    self._commit([job])
                return
            for _, future in jobs:
                future.set_exception(
                    error
                    if isinstance(error, StoreUnavailableError)
                    else StoreUnavailableError(
                        f"the store could not commit: {(str(error).splitlines() or ['?'])[0][:200]}"
                    )
                )
            return
        start = 0
        for batch, future in jobs:
            end = start + len(batch.identities)
            future.set_result(incoming.verdicts[start:end])
            start = end
