"""The embedded store: one DuckDB file, one process, one writer thread that commits whatever is waiting together.

An append returns after its transaction is on disk. Duplicates are found by a join on identity, bounded in time; there is
no index on events (why/0006-no-index-on-big-tables.md). Beside the file stands `tide`: the sequence number of the newest
acknowledged event, by which `store/opening.py` tells a store that lost some.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from hubbub.errors import StoreBusyError, StoreDamagedError, StoreFullError, StoreUnavailableError
from hubbub.metrics import fold
from hubbub.store import opening, rewriting
from hubbub.store.appending import RESENT_WITHIN, SAME_RECORD, Appender, Incoming
from hubbub.store.base import EVENT_SCHEMA, Batch, Rows, Verdict, utc_naive
from hubbub.store.gate import Gate
from hubbub.store.order import order
from hubbub.telemetry import log

_EVENT_NAMES = fold.quoted(EVENT_SCHEMA.names)
PATIENCE = 300.0
"""Seconds for which somebody who has to be alone waits for those who read or change."""
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
        self._config = opening.configured(folder, memory_limit, threads)
        self._file = folder / opening.FILE
        self._tide = opening.open_tide(folder)
        try:
            self._con = opening.open_file(self._file, self._config, opening.read_tide(self._tide))
        except BaseException:
            os.close(self._tide)
            raise
        rewriting.tidy(self._file)
        self._seq = opening.last_seq(self._con)
        self._space_checked = 0.0
        self._changing = threading.Lock()
        self._folding = threading.Lock()
        self._readers, self._writers = Gate(), Gate()
        """Who has a connection, and who of them may change something: the file is swapped when nobody is inside."""
        self._version = 0
        self._versions = count(1)
        self._appender = Appender(self._commit, self._recover, commit_wait)

    # --- writing

    def append(self, batch: Batch) -> list[Verdict]:
        """Store a batch in the next group commit; returns when it is on disk."""
        self._check_space()
        return self._appender.append(batch)

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

    def _recover(self, error: BaseException) -> bool:
        """Undo what was begun; says whether the store still stands."""
        with suppress(duckdb.Error):
            self._con.rollback()
        if not isinstance(error, duckdb.FatalException):
            return True
        with suppress(duckdb.Error):  # DuckDB gives up until it is opened anew, reads included
            self._con.close()
        with suppress(StoreDamagedError, StoreBusyError, duckdb.Error):
            self._con = opening.connect(self._file, self._config)
        return False

    def _commit(self, incoming: Incoming) -> None:
        with self._changing:
            con = self._con
            con.execute("BEGIN")
            replaced = self._resolve(incoming)
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
            kept = incoming.kept(seq)
            if kept.num_rows:
                con.register("incoming_events", kept)
                con.execute(f"INSERT INTO events SELECT seq, {_EVENT_NAMES} FROM incoming_events")
                con.unregister("incoming_events")
                seq += kept.num_rows
            if incoming.rejected:
                con.register("incoming_rejected", incoming.refused())
                con.execute(
                    "INSERT INTO quarantine SELECT nextval('quarantine_id'), tenant, received_at, origin, code, field, message, "
                    f"raw FROM incoming_rejected ANTI JOIN quarantine USING ({', '.join(SAME_RECORD)})"
                )
                con.unregister("incoming_rejected")
            con.execute("COMMIT")
            if seq != self._seq:
                self._seq = seq
                opening.write_tide(self._tide, seq)

    def withdraw(self, where: str, params: Mapping[str, Any]) -> int:
        """Move the events that a condition names into `superseded`, under new numbers; returns how many."""
        with self._writers.passing(), self._changing, self._cursor() as cursor:
            cursor.execute("BEGIN")
            try:
                moved = _run(
                    cursor,
                    f"INSERT INTO superseded SELECT {self._seq} + row_number() OVER (), {_EVENT_NAMES} FROM events WHERE {where}",
                    params, _rows,
                )  # fmt: skip
                _run(cursor, f"DELETE FROM events WHERE {where}", params, _rows)
            except BaseException:
                cursor.execute("ROLLBACK")
                raise
            cursor.execute("COMMIT")
            count = int(moved.rows[0][0])
            if count:
                self._seq += count
                opening.write_tide(self._tide, self._seq)
        self._version = next(self._versions)
        return count

    def _resolve(self, incoming: Incoming) -> list[int]:
        """Settle the verdicts of rows whose identity is stored; returns row ids of stored events that are replaced."""
        replaced: list[int] = []
        for bounded in (True, False):
            keys = incoming.keys(bounded=bounded)
            if keys is None:
                continue
            found = "e.id = i.id AND e.tenant = i.tenant AND e.source = i.source"
            select = f"SELECT i.pos, e.revision, e.rowid FROM incoming_keys AS i JOIN events AS e ON {found} WHERE "
            params = None
            if bounded:  # a corrected record may have left the first one's time far behind
                times = pc.min_max(keys["time"]).as_py()
                params = {"low": times["min"] - RESENT_WITHIN, "high": times["max"] + RESENT_WITHIN}
                select = f"{select} e.time BETWEEN $low AND $high UNION {select} e.revision IS NOT NULL"
            else:
                select += "TRUE"
            self._con.register("incoming_keys", keys)
            hits = self._con.execute(select, params).fetchall()
            self._con.unregister("incoming_keys")
            replaced += [row for pos, stored, row in hits if incoming.replaces(pos, stored)]
        return replaced

    # --- reading and transactions

    @contextmanager
    def _cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with self._readers.passing():
            try:
                cursor = self._con.cursor()
            except duckdb.Error as error:
                raise StoreUnavailableError(f"the store is not open: {str(error).splitlines()[0]}") from None
            with cursor:
                yield cursor

    def query(self, sql: str, params: Mapping[str, Any] | None = None) -> Rows:
        """Answer a SELECT on a snapshot of its own."""
        with self._cursor() as cursor:
            return _run(cursor, sql, params, _rows)

    @contextmanager
    def work(self) -> Iterator[DuckWork]:
        """Open a transaction on a connection of its own; appends go on meanwhile."""
        with self._cursor() as cursor:
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

    @contextmanager
    def change(self) -> Iterator[DuckWork]:
        """Open a transaction that writes: to DuckDB it is the same."""
        with self._writers.passing(), self.work() as work:
            yield work
        self._version = next(self._versions)

    def version(self) -> int:
        """Return a number that is another one after every committed change."""
        return self._version

    @contextmanager
    def alone(self, *, wait: bool = True) -> Iterator[None]:
        """Hold back the other threads that would fold windows, and wait for them: no other process has the file."""
        with self._folding:
            yield

    def last_seq(self) -> int:
        """Return the sequence number of the newest acknowledged event."""
        return self._seq

    def order(self, now: datetime) -> int:
        """Put events that are settled at `now` in order, once there are enough of them; returns how many were written.

        What goes wrong is logged and tried again by the next call: without order everything is there too, only slower.
        """
        if shutil.disk_usage(self.folder).free < self._free_floor + 2 * self._file.stat().st_size:
            return 0
        with self._writers.passing(), self._cursor() as cursor:
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

    def scrub(self, wheres: Mapping[str, str], params: Mapping[str, Any]) -> None:
        """Write the file anew without anything that was deleted, whatever it was.

        Appends and changes wait while everything is copied, reads for the moment of the swap. Raises StoreFullError.
        """
        needed, free = self._file.stat().st_size, shutil.disk_usage(self.folder).free
        if free < self._free_floor + needed:
            raise StoreFullError(
                f"the store's file is written anew to leave nothing of what was erased: that needs {needed >> 20} MiB beside the "
                f"{self._free_floor >> 20} in reserve, and {free >> 20} are free; free space and run the same again"
            )
        with self._writers.shut(PATIENCE), self._changing:
            token = rewriting.copy(self._con, self._file)
            with self._readers.shut(PATIENCE):
                try:
                    self._con = rewriting.swap(self._con, self._file, self._config, token)
                except BaseException:
                    with suppress(duckdb.Error, StoreBusyError, StoreDamagedError):
                        self._con = opening.connect(self._file, self._config)
                    raise

    def close(self) -> None:
        """Commit what waits, then close."""
        if self._appender.close():
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
