"""The embedded store: one DuckDB file, one process, one writer thread that commits whatever is waiting together.

An append returns after its transaction is on disk. Duplicates are found by a join on identity, bounded in time; there is
no index on events (why/0006-no-index-on-big-tables.md). Beside the file stands `tide`: the sequence number of the newest
acknowledged event, by which `store/opening.py` tells a store that lost some.
"""

from __future__ import annotations

import os
import queue
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from hubbub.errors import StoreBusyError, StoreDamagedError, StoreFullError, StoreUnavailableError
from hubbub.metrics import fold
from hubbub.store import opening
from hubbub.store.base import EVENT_SCHEMA, Batch, Rows, Verdict, utc_naive
from hubbub.store.order import order
from hubbub.telemetry import log

RESENT_WITHIN = timedelta(days=1)
"""How far the time of a resent event may lie from the first one's. Corrections and imports are looked up over all time."""

_EVENT_NAMES = fold.quoted(EVENT_SCHEMA.names)
_REJECTED = pa.schema(
    [("tenant", pa.int32()), ("received_at", pa.timestamp("us"))]
    + [(name, pa.string()) for name in ("origin", "code", "field", "message", "raw")]
)
_SAME_RECORD = ("tenant", "origin", "code", "raw")
"""A refused record that comes again, as when a file is imported twice, is kept once."""
_STOP = object()
T = TypeVar("T")


class DuckStore:
    """A store in one folder. Raises StoreBusyError when another process has it, StoreDamagedError when events are missing."""

    def __init__(
        self,
        folder: Path,
        *,
        memory_limit: str = "1GB",
        threads: int = 0,
        free_floor: int = 256 << 20,
        commit_wait: float = 0.0,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._free_floor = free_floor
        self._commit_wait = commit_wait
        self._config: opening.Config = {
            "memory_limit": memory_limit,
            "threads": threads or os.cpu_count() or 1,
            "temp_directory": str(folder / "tmp"),
            "preserve_insertion_order": False,
            "autoinstall_known_extensions": False,
            "checkpoint_threshold": "64MB",
        }
        self._file = folder / opening.FILE
        self._tide = os.open(folder / "tide", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self._con = opening.open_file(
                self._file, self._config, int(os.pread(self._tide, 32, 0).decode().strip() or 0)
            )
        except BaseException:
            os.close(self._tide)
            raise
        self._seq = opening.last_seq(self._con)
        self._space_checked = 0.0
        self._waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._closed = False
        self._changing = threading.Lock()
        self._writer = threading.Thread(target=self._write_loop, name="hubbub-writer", daemon=True)
        self._writer.start()

    # --- writing

    def append(self, batch: Batch) -> list[Verdict]:
        """Store a batch in the next group commit; returns when it is on disk."""
        if self._closed:
            raise StoreUnavailableError("the store is closing")
        self._check_space()
        future: Future[list[Verdict]] = Future()
        self._waiting.put((batch, future))
        return future.result()

    def _check_space(self) -> None:
        now = time.monotonic()
        if now - self._space_checked > 0.5:
            free = shutil.disk_usage(self.folder).free
            if free < self._free_floor:
                raise StoreFullError(
                    f"only {free >> 20} MiB are free where the data is and {self._free_floor >> 20} MiB are kept in reserve; "
                    "nothing was stored, free space and send again"
                )
            self._space_checked = now

    def _write_loop(self) -> None:
        while True:
            waiting = [self._waiting.get()]
            if self._commit_wait:
                time.sleep(self._commit_wait)
            with suppress(queue.Empty):
                while len(waiting) < 1024:
                    waiting.append(self._waiting.get_nowait())
            stop = any(item is _STOP for item in waiting)
            jobs = [item for item in waiting if item is not _STOP]
            if jobs:
                self._commit(jobs)
            if stop:
                return

    def _commit(self, jobs: list[tuple[Batch, Future[list[Verdict]]]]) -> None:
        try:
            with self._changing:
                verdicts = self._append_all([batch for batch, _ in jobs])
        except BaseException as error:
            self._recover(error)
            if len(jobs) > 1 and not isinstance(error, duckdb.FatalException):
                for job in jobs:  # one bad batch must not refuse its neighbours
                    self._commit([job])
                return
            for _, future in jobs:
                future.set_exception(
                    StoreUnavailableError(f"the store could not commit: {str(error).splitlines()[0][:200]}")
                )
            return
        start = 0
        for batch, future in jobs:
            end = start + len(batch.identities)
            future.set_result(verdicts[start:end])
            start = end

    def _recover(self, error: BaseException) -> None:
        with suppress(duckdb.Error):
            self._con.rollback()
        if isinstance(error, duckdb.FatalException):  # DuckDB gives up until it is opened anew, reads included
            with suppress(duckdb.Error):
                self._con.close()
            with suppress(StoreDamagedError, StoreBusyError, duckdb.Error):
                self._con = opening.connect(self._file, self._config)

    def _append_all(self, batches: list[Batch]) -> list[Verdict]:
        table = batches[0].table if len(batches) == 1 else pa.concat_tables([b.table for b in batches])
        identities = [i for b in batches for i in b.identities]
        revisions = [r for b in batches for r in b.revisions]
        given = [g for b in batches for g in b.given]
        history = [b.history for b in batches for _ in b.identities]
        verdicts = [Verdict.STORED] * len(identities)
        self._resolve_within(identities, revisions, given, verdicts)
        con = self._con
        con.execute("BEGIN")
        replaced = self._resolve_stored(table, revisions, given, history, verdicts)
        seq = self._seq
        if replaced:
            con.register("replaced_ids", pa.table({"row": pa.array(replaced, pa.int64())}))
            con.execute(
                f"INSERT INTO superseded SELECT {seq} + row_number() OVER (), {_EVENT_NAMES} FROM events "
                "WHERE rowid IN (SELECT row FROM replaced_ids)"
            )
            con.execute("DELETE FROM events WHERE rowid IN (SELECT row FROM replaced_ids)")
            con.unregister("replaced_ids")
            seq += len(replaced)
        keep = [v is not Verdict.DUPLICATE for v in verdicts]
        count = sum(keep)
        if count:
            if count < len(keep):
                table = table.filter(pa.array(keep))
            numbered = table.add_column(0, "seq", pa.array(range(seq + 1, seq + count + 1), pa.int64()))
            con.register("incoming_events", numbered)
            con.execute(f"INSERT INTO events SELECT seq, {_EVENT_NAMES} FROM incoming_events")
            con.unregister("incoming_events")
            seq += count
        rejected = list({tuple(r[c] for c in _SAME_RECORD): r for b in batches for r in b.rejected}.values())
        if rejected:
            con.register("incoming_rejected", pa.Table.from_pylist([dict(r) for r in rejected], schema=_REJECTED))
            con.execute(
                "INSERT INTO quarantine SELECT nextval('quarantine_id'), tenant, received_at, origin, code, field, message, raw "
                f"FROM incoming_rejected ANTI JOIN quarantine USING ({', '.join(_SAME_RECORD)})"
            )
            con.unregister("incoming_rejected")
        con.execute("COMMIT")
        if seq != self._seq:
            self._seq = seq
            os.pwrite(self._tide, b"%-20d\n" % seq, 0)
            os.fdatasync(self._tide)
        return verdicts

    @staticmethod
    def _resolve_within(
        identities: list[tuple[int, str, str]], revisions: list[int | None], given: list[bool], verdicts: list[Verdict]
    ) -> None:
        """Among rows of the same identity keep the highest revision, and of equal ones the first."""
        best: dict[tuple[int, str, str], int] = {}
        for i, identity in enumerate(identities):
            if not given[i]:
                continue
            j = best.setdefault(identity, i)
            if j == i:
                continue
            mine, theirs = revisions[i], revisions[j]
            if mine is not None and (theirs is None or mine > theirs):
                best[identity] = i
                verdicts[j], verdicts[i] = Verdict.DUPLICATE, Verdict.CORRECTED
            else:
                verdicts[i] = Verdict.DUPLICATE

    def _resolve_stored(
        self,
        table: pa.Table,
        revisions: list[int | None],
        given: list[bool],
        history: list[bool],
        verdicts: list[Verdict],
    ) -> list[int]:
        """Mark rows whose identity is stored already; returns row ids of stored events that a higher revision replaces."""
        known = [
            i for i, r in enumerate(revisions) if (given[i] or r is not None) and verdicts[i] is not Verdict.DUPLICATE
        ]
        recent = [i for i in known if revisions[i] is None and not history[i]]
        anywhen = [i for i in known if revisions[i] is not None or history[i]]
        replaced: list[int] = []
        for rows, bounded in ((recent, True), (anywhen, False)):
            if not rows:
                continue
            some = table.select(["tenant", "source", "id", "time"])
            if len(rows) < table.num_rows:
                some = some.take(pa.array(rows, pa.int64()))
            bounds = pc.min_max(some["time"]).as_py()
            found = "e.id = i.id AND e.tenant = i.tenant AND e.source = i.source"
            self._con.register("incoming_keys", some.append_column("pos", pa.array(rows, pa.int64())))
            params = {"low": bounds["min"] - RESENT_WITHIN, "high": bounds["max"] + RESENT_WITHIN} if bounded else None
            select = f"SELECT i.pos, e.revision, e.rowid FROM incoming_keys AS i JOIN events AS e ON {found} WHERE "
            if bounded:  # a corrected record may have left the first one's time far behind
                select = f"{select} e.time BETWEEN $low AND $high UNION {select} e.revision IS NOT NULL"
            else:
                select += "TRUE"
            hits = self._con.execute(select, params).fetchall()
            self._con.unregister("incoming_keys")
            for pos, stored, row in hits:
                mine = revisions[pos]
                if mine is not None and (stored is None or mine > stored):
                    verdicts[pos] = Verdict.CORRECTED
                    replaced.append(row)
                else:
                    verdicts[pos] = Verdict.DUPLICATE
        return replaced

    # --- reading and transactions

    def _cursor(self) -> duckdb.DuckDBPyConnection:
        try:
            return self._con.cursor()
        except duckdb.Error as error:
            raise StoreUnavailableError(f"the store is not open: {str(error).splitlines()[0]}") from None

    def query(self, sql: str, params: Mapping[str, Any] | None = None) -> Rows:
        """Answer a SELECT on a snapshot of its own."""
        with self._cursor() as cursor:
            return _run(cursor, sql, params, _rows)

    @contextmanager
    def work(self) -> Iterator[DuckWork]:
        """Open a transaction on a connection of its own; appends go on meanwhile."""
        cursor = self._cursor()
        work = DuckWork(cursor)
        try:
            cursor.execute("BEGIN")
            try:
                yield work
            except BaseException:
                with suppress(duckdb.Error):
                    cursor.execute("ROLLBACK")
                raise
            cursor.execute("COMMIT")
        finally:
            work.release()
            cursor.close()

    def last_seq(self) -> int:
        """Return the sequence number of the newest acknowledged event."""
        return self._seq

    def order(self, now: datetime) -> int:
        """Put events that are settled at `now` in order, once there are enough of them; returns how many were written.

        What goes wrong is logged and tried again by the next call: without order everything is there too, only slower.
        """
        if shutil.disk_usage(self.folder).free < self._free_floor + 2 * self._file.stat().st_size:
            return 0
        with self._cursor() as cursor:
            try:
                moved = order(cursor, self._seq, utc_naive(now), self._changing)
            except duckdb.Error as error:  # most likely an event was replaced meanwhile
                log.warning("events were not put in order", error=str(error).splitlines()[0][:200])
                return 0
        if moved:
            self.checkpoint()
        return moved

    def checkpoint(self) -> None:
        """Write the log into the file. Waits for nothing: a running reader only delays what can be released."""
        with self._cursor() as cursor, suppress(duckdb.TransactionException):
            cursor.execute("CHECKPOINT")

    def close(self) -> None:
        """Commit what waits, then close."""
        if self._closed:
            return
        self._closed = True
        self._waiting.put(_STOP)
        self._writer.join()
        with suppress(duckdb.Error):
            self._con.close()
        os.close(self._tide)


class DuckWork:
    """A transaction on one connection. Temporary tables live as long as it does."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection) -> None:
        self._cursor = cursor
        self._names: set[str] = set()

    def execute(self, sql: str, params: Mapping[str, Any] | None = None) -> Rows:
        """Run a statement and return its rows."""
        return _run(self._cursor, sql, params, _rows)

    def table(self, name: str, data: pa.Table) -> None:
        """Copy an Arrow table into a temporary table."""
        self._cursor.register("_incoming", data)
        self._cursor.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT * FROM _incoming")
        self._cursor.unregister("_incoming")
        self._names.add(name)

    def make(self, name: str, select: str, params: Mapping[str, Any] | None = None) -> int:
        """Create a temporary table from a SELECT; returns its number of rows."""
        made = _run(self._cursor, f"CREATE OR REPLACE TEMP TABLE {name} AS {select}", params, _rows)
        self._names.add(name)
        return int(made.rows[0][0]) if made.rows else 0

    def release(self) -> None:
        """Drop the temporary tables: they belong to the connection, which DuckDB may reuse."""
        for name in self._names:
            with suppress(duckdb.Error):
                self._cursor.execute(f"DROP TABLE IF EXISTS temp.{name}")


def _rows(cursor: duckdb.DuckDBPyConnection) -> Rows:
    return Rows(tuple(c[0] for c in cursor.description or ()), cursor.fetchall())


def _run(
    cursor: duckdb.DuckDBPyConnection,
    sql: str,
    params: Mapping[str, Any] | None,
    fetch: Callable[[duckdb.DuckDBPyConnection], T],
) -> T:
    """Run a statement. Arrow tables among the parameters become relations of that name, everything else is bound."""
    tables = [name for name, value in (params or {}).items() if isinstance(value, pa.Table)]
    bound = {name: value for name, value in (params or {}).items() if name not in tables}
    try:
        for name in tables:
            cursor.register(name, (params or {})[name])
        cursor.execute(sql, bound or None)
        return fetch(cursor)
    except duckdb.FatalException as error:
        raise StoreUnavailableError(f"the store must be opened anew: {str(error).splitlines()[0]}") from error
    finally:
        for name in tables:
            with suppress(duckdb.Error):
                cursor.unregister(name)
