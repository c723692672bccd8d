"""The sides of a move: a store that nobody else has meanwhile, read as Arrow batches and filled with rows as they are.

Whatever is put into a side counts all at once, when the call returns, or never: an embedded store has transactions, and rows of a
shared one count from the moment at which their number is written down (`store/positions.py`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import duckdb
import pyarrow as pa
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from hubbub.errors import ConflictError, NotFoundError, StoreUnavailableError
from hubbub.metrics import fold
from hubbub.store import opening
from hubbub.store.clickhouse import ClickHouseStore
from hubbub.store.clickhouse_schema import ROW, STORED, numbers, visible
from hubbub.store.clickhouse_work import Snapshot, connect
from hubbub.store.positions import APPEND, CHANGE, REFRESH, Positions, Turn
from hubbub.store.tables import Table

BATCH = 50_000
"""Rows that are read at a time."""

_UNKNOWN_DATABASE = 81


class Side(Protocol):
    """One store of a move."""

    def rows(self, table: Table) -> str:
        """Return the SQL of a table's rows that count, to stand behind FROM."""
        ...

    def stream(self, sql: str) -> Iterator[pa.Table]:
        """Answer a SELECT batch by batch, never all of it at once."""
        ...

    def put(self, table: Table, batches: Iterable[pa.Table]) -> None:
        """Store rows as they are, all of them at once or none."""
        ...

    def remove(self, table: Table, where: str) -> None:
        """Delete the rows that a condition names, with no trace: only in a store that nobody uses yet."""
        ...

    def leftovers(self) -> bool:
        """Say whether there is something that would hide rows which move in, though no row counts."""
        ...

    def last_seq(self) -> int:
        """Return the sequence number of the newest acknowledged event."""
        ...

    def settle(self, seq: int) -> None:
        """Let new events be numbered after `seq`."""
        ...


class Embedded:
    """The DuckDB file of a data folder."""

    def __init__(self, con: duckdb.DuckDBPyConnection, tide: int) -> None:
        self._con = con
        self._tide = tide

    def rows(self, table: Table) -> str:
        """Return the table's name: all of its rows count."""
        return table.name

    def stream(self, sql: str) -> Iterator[pa.Table]:
        """Answer a SELECT batch by batch."""
        with self._con.cursor() as cursor:
            for batch in cursor.execute(sql).to_arrow_reader(BATCH):
                yield pa.Table.from_batches([batch])

    def put(self, table: Table, batches: Iterable[pa.Table]) -> None:
        """Store rows in one transaction."""
        columns = ", ".join(f'CAST("{name}" AS {kind})' for name, kind in table.columns)
        with self._con.cursor() as cursor:
            cursor.execute("BEGIN")
            for batch in batches:
                cursor.register("moved", batch)
                with _told():
                    cursor.execute(f"INSERT INTO {table.name} SELECT {columns} FROM moved")
                cursor.unregister("moved")
            with _told():
                cursor.execute("COMMIT")

    def remove(self, table: Table, where: str) -> None:
        """Delete rows."""
        self._con.execute(f"DELETE FROM {table.name} WHERE {where}")

    def leftovers(self) -> bool:
        """Say no: what is deleted is gone."""
        return False

    def last_seq(self) -> int:
        """Return the sequence number of the newest acknowledged event."""
        return opening.last_seq(self._con)

    def settle(self, seq: int) -> None:
        """Remember the newest number, in the file and then as the tide, and number refused records after those there are."""
        found = self._con.execute("SELECT coalesce(max(id), 0) FROM quarantine").fetchall()
        self._con.execute("BEGIN")
        self._con.execute("DELETE FROM meta WHERE key = 'seq'")
        self._con.execute("INSERT INTO meta VALUES ('seq', ?)", [str(seq)])
        self._con.execute(f"CREATE OR REPLACE SEQUENCE quarantine_id START {found[0][0] + 1}")
        self._con.execute("COMMIT")
        self._con.execute("CHECKPOINT")
        opening.write_tide(self._tide, seq)


class Shared:
    """A ClickHouse, whose turns are all held."""

    def __init__(self, client: Client, positions: Positions, turns: dict[str, Turn], cluster: str) -> None:
        self._client = client
        self._positions = positions
        self._turns = turns
        self._cluster = cluster

    def rows(self, table: Table) -> str:
        """Return the subquery of rows that count."""
        return visible(table.name)

    def stream(self, sql: str) -> Iterator[pa.Table]:
        """Answer a SELECT batch by batch."""
        counted = Snapshot(self._positions.standing()).params()
        with _told(), self._client.query_arrow_stream(sql, parameters=counted) as batches:
            for batch in batches:
                yield pa.Table.from_batches([batch])

    def put(self, table: Table, batches: Iterable[pa.Table]) -> None:
        """Store rows under one number, which counts at the end."""
        turn = self._turns[APPEND if table.appended else CHANGE]
        [column] = numbers(table)
        for batch in batches:
            number = pa.array([turn.begin()] * batch.num_rows, pa.uint64())
            with _told():
                self._client.insert_arrow(table.name, batch.append_column(column, number))
        turn.commit()

    def remove(self, table: Table, where: str) -> None:
        """Delete rows, also those that never counted."""
        place = f"{table.name}_local ON CLUSTER '{self._cluster}'" if self._cluster else table.name
        with _told():
            self._client.command(f"DELETE FROM {place} WHERE {where}")

    def leftovers(self) -> bool:
        """Say whether rows with numbers of their own were deleted: what has such a number would not count."""
        gone = (f"SELECT {ROW} FROM {table.name}_gone" for table in STORED.values() if table.number)
        with _told():
            return bool(self._client.query(f"SELECT count() FROM ({' UNION ALL '.join(gone)})").result_rows[0][0])

    def last_seq(self) -> int:
        """Return the sequence number of the newest acknowledged event."""
        return self._positions.standing().append.seq

    def settle(self, seq: int) -> None:
        """Write down the newest number, under the number of an append that stores nothing."""
        turn = self._turns[APPEND]
        turn.begin()
        turn.commit(seq)


@contextmanager
def embedded(folder: Path, *, memory_limit: str, threads: int, made: bool) -> Iterator[Embedded]:
    """Open the store of a data folder; no other process can meanwhile. `made`: an absent one is made.

    Raises NotFoundError, StoreBusyError or StoreDamagedError.
    """
    if not made and not (folder / opening.FILE).exists():
        raise NotFoundError(f"{folder} holds no store: there is no {opening.FILE} in it")
    folder.mkdir(parents=True, exist_ok=True)
    tide = opening.open_tide(folder)
    try:
        config = opening.configured(folder, memory_limit, threads)
        con = opening.open_file(folder / opening.FILE, config, opening.read_tide(tide))
        try:
            yield Embedded(con, tide)
        finally:
            con.close()
    finally:
        os.close(tide)


@contextmanager
def shared(url: str, positions: Positions, *, cluster: str) -> Iterator[Shared]:
    """Open a ClickHouse, and hold every turn of it: whoever would append, change or refresh waits meanwhile.

    Raises StoreUnavailableError, or ConflictError when these positions are not those of what is stored there.
    """
    if not positions.standing().change.begun and _holds_rows(url):
        raise ConflictError(
            "the ClickHouse holds a store of which this control database knows nothing: name the data folder whose "
            "control database it was used with, or set HUBBUB_CONTROL_URL to that; or name an empty database"
        )
    store = ClickHouseStore(url, positions, cluster=cluster)  # makes what is not there
    try:
        with _told():
            client = connect(url)
    finally:
        store.close()
    try:
        with positions.alone(REFRESH), positions.turn(APPEND) as append, positions.turn(CHANGE) as change:
            yield Shared(client, positions, {APPEND: append, CHANGE: change}, cluster)
    finally:
        client.close()


def _holds_rows(url: str) -> bool:
    names = [name for table in STORED for name in (table, f"{table}_local")]
    with _told():
        try:
            client = connect(url)
        except ClickHouseError as error:
            if getattr(error, "code", None) == _UNKNOWN_DATABASE:
                return False
            raise
        try:
            found = client.query(
                "SELECT sum(total_rows) FROM system.tables WHERE database = currentDatabase() AND name IN {names:Array(String)}",
                parameters={"names": names},
            )
            return bool(found.result_rows[0][0])
        finally:
            client.close()


@contextmanager
def _told() -> Iterator[None]:
    """Raise StoreUnavailableError where an engine does not do what it is told."""
    try:
        yield
    except (ClickHouseError, duckdb.Error) as error:
        told = (str(error).splitlines() or [type(error).__name__])[0][:300]
        engine = "ClickHouse" if isinstance(error, ClickHouseError) else "the embedded store"
        raise StoreUnavailableError(f"{engine} failed: {told}; mend that and run the same command again") from error


def columns_of(table: Table) -> str:
    """SQL of a table's columns as they move: whole numbers that Arrow has no type for move as text."""
    return ", ".join(
        f'CAST("{name}" AS VARCHAR) AS "{name}"' if kind == "HUGEINT" else fold.quoted([name])
        for name, kind in table.columns
    )
