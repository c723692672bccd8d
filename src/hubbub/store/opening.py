"""Open the embedded store's file: refuse it by name when events are missing, make its tables, see what to fold again.

A store that lost its log is told by the tide, the number of the newest acknowledged event; one that is refused stays as it
is, so that the log can still be put back beside it. A fact whose declaration is not the one that was folded by, as `meta`
says, loses its marks: until the next refresh its answers come from raw events, and then its windows are folded anew.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import duckdb

from hubbub.errors import StoreBusyError, StoreDamagedError
from hubbub.metrics import fold
from hubbub.metrics.catalogue import FACTS, ROLLUPS
from hubbub.metrics.definition import Fact
from hubbub.store.relations import RELATIONS
from hubbub.store.tables import TABLES, Columns, rollup_tables

FILE = "hubbub.duckdb"
SCHEMA_VERSION = "1"
Config = dict[str, str | bool | int | float | list[str]]


def configured(folder: Path, memory_limit: str, threads: int) -> Config:
    """Return DuckDB's settings for the store of a folder."""
    return {
        "memory_limit": memory_limit,
        "threads": threads or os.cpu_count() or 1,
        "temp_directory": str(folder / "tmp"),
        "preserve_insertion_order": False,
        "autoinstall_known_extensions": False,
        "checkpoint_threshold": "64MB",
    }


def open_tide(folder: Path) -> int:
    """Return the open file that holds the tide of a folder; it is made when absent."""
    return os.open(folder / "tide", os.O_RDWR | os.O_CREAT, 0o600)


def read_tide(tide: int) -> int:
    """Return the number of the newest acknowledged event."""
    return int(os.pread(tide, 32, 0).decode().strip() or 0)


def write_tide(tide: int, seq: int) -> None:
    """Put the number of the newest acknowledged event on disk."""
    os.pwrite(tide, b"%-20d\n" % seq, 0)
    os.fdatasync(tide)


def open_file(file: Path, config: Config, tide: int) -> duckdb.DuckDBPyConnection:
    """Return a connection to the store's file, with all tables; raises StoreBusyError, or StoreDamagedError.

    `tide` is the number of the newest acknowledged event.
    """
    if tide and not any(file.with_name(name).exists() for name in (FILE, f"{FILE}.wal")):
        _refuse(file, "is not there", tide)
    con = connect(file, config)
    try:
        last = last_seq(con)
        if last < tide:
            _refuse(file, f"ends at event {last}", tide)
        _create_schema(con, file)
    except BaseException:
        with suppress(duckdb.Error):
            con.execute("PRAGMA disable_checkpoint_on_shutdown")
        con.close()
        raise
    return con


def _refuse(file: Path, what: str, tide: int) -> NoReturn:
    raise StoreDamagedError(
        f"{file} {what}, but event {tide} was acknowledged: it or its log ({FILE}.wal) is damaged or missing. "
        "Restore the folder from a backup, or delete the file 'tide' in it to accept the loss"
    )


def connect(file: Path, config: Config) -> duckdb.DuckDBPyConnection:
    """Open the file as it is; raises StoreBusyError when another process has it, StoreDamagedError when it cannot be read."""
    wal = file.with_name(FILE + ".wal")
    if wal.exists() and not file.exists():
        raise StoreDamagedError(f"{wal} is there but {file.name} is not: restore the file beside its log")
    try:
        con = duckdb.connect(str(file), config=config)
        con.execute("SET enable_progress_bar = false")  # it would go to stdout, into the JSON of a slow command
        return con
    except duckdb.IOException as error:
        if "lock" in str(error).lower():
            raise StoreBusyError(f"{file} belongs to another process; go through its server or stop it") from None
        raise StoreDamagedError(f"{file} cannot be opened: {str(error).splitlines()[0]}") from error
    except duckdb.Error as error:  # whatever replaying a log that does not fit runs into
        raise StoreDamagedError(f"{file} cannot be opened: {str(error).splitlines()[0]}") from error


def last_seq(con: duckdb.DuckDBPyConnection) -> int:
    """Return the newest sequence number in the file; 0 in a new one."""
    tables = {row[0] for row in con.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    found = [
        con.execute(select).fetchone()
        for table, select in (
            ("events", "SELECT max(seq) FROM events"),
            ("superseded", "SELECT max(seq) FROM superseded"),
            ("meta", "SELECT max(CAST(value AS BIGINT)) FROM meta WHERE key = 'seq'"),
        )
        if table in tables
    ]
    return max((int(row[0]) for row in found if row and row[0] is not None), default=0)


def _create_schema(con: duckdb.DuckDBPyConnection, file: Path) -> None:
    con.execute("CREATE TABLE IF NOT EXISTS meta (key VARCHAR, value VARCHAR)")
    found = dict(con.execute("SELECT key, value FROM meta").fetchall())
    if found.get("schema", SCHEMA_VERSION) != SCHEMA_VERSION:
        raise StoreDamagedError(
            f"{file} has schema {found['schema']}, this Hubbub reads {SCHEMA_VERSION}: use the version that wrote it"
        )
    con.execute("BEGIN")
    for table in TABLES:
        con.execute(f"CREATE TABLE IF NOT EXISTS {table.name} ({_declared(table.columns)})")
    con.execute("CREATE SEQUENCE IF NOT EXISTS quarantine_id")
    if "schema" not in found:
        con.execute("INSERT INTO meta VALUES ('schema', ?)", [SCHEMA_VERSION])
    _create_rollups(con)
    for fact in FACTS:
        key, now = f"fact {fact.name}", fingerprint(fact)
        if found.get(key) != now:
            con.execute("DELETE FROM marks WHERE fact = ?", [fact.name])
            con.execute("DELETE FROM meta WHERE key = ?", [key])
            con.execute("INSERT INTO meta VALUES (?, ?)", [key, now])
    for name, select in RELATIONS.items():
        con.execute(f"CREATE OR REPLACE VIEW {name} AS {select}")
    con.execute("COMMIT")


def _create_rollups(con: duckdb.DuckDBPyConnection) -> None:
    """Make the tables of rollups; one whose columns are others now begins empty."""
    present: dict[str, list[str]] = {}
    for name, column in con.execute(
        "SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal ORDER BY column_index"
    ).fetchall():
        present.setdefault(name, []).append(column)
    for table in rollup_tables():
        if present.get(table.name, []) != [name for name, _ in table.columns]:
            con.execute(f"DROP TABLE IF EXISTS {table.name}")
            con.execute(f"CREATE TABLE {table.name} ({_declared(table.columns)})")


def _declared(columns: Columns) -> str:
    return ", ".join(f'"{name}" {type_}' for name, type_ in columns)


def fingerprint(fact: Fact) -> str:
    """Return a digest of all that decides what is stored of a fact: its rows, and how its rollups fold and merge them."""
    said = [
        fold.with_hours(fact, fold.fact_rows(fact, fold.scope(fact)), known=True),
        str((fact.look_back, fact.look_ahead, fact.links)),
    ]
    for rollup in (r for r in ROLLUPS if r.source.name == fact.name):
        said += [str(fold.schema(rollup, grain)) for grain in rollup.keep]
        said += [fold.fold(rollup, ""), *(fold.fold_histogram(rollup, name, "") for name, _ in rollup.distributions())]
        said.append(fold.merge_columns(rollup.columns()))
    return hashlib.sha256(" ".join(" ".join(said).split()).encode()).hexdigest()
