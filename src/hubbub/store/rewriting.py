"""Write the embedded store's file anew, so that no byte of what was deleted is left in it.

DuckDB keeps the bytes of deleted rows: in their blocks until those are written anew, and in free blocks after that. So all that is
there is copied into a new file, which takes the old one's place; see `DuckStore.scrub` for who waits meanwhile.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import duckdb

from hubbub.errors import StoreUnavailableError
from hubbub.store import opening

_COPY, _BEFORE = "rewritten", "before"
"""Endings of the new file until it takes its place, and of the old one until the new one is open."""

_TOKEN = "rewritten"
"""The key in `meta` by which a new file is told from the one before."""


def tidy(file: Path) -> None:
    """Take away what a process left that died on the way; the file itself is whole."""
    for name in (_COPY, _COPY + ".wal", _BEFORE):
        _beside(file, name).unlink(missing_ok=True)


def copy(con: duckdb.DuckDBPyConnection, file: Path) -> str:
    """Copy everything into a new file beside, in the same order; nobody may write meanwhile. Returns the token to `swap` with."""
    tidy(file)
    token = secrets.token_hex(8)
    fresh = _beside(file, _COPY)
    with con.cursor() as cursor:
        before = cursor.execute("SELECT current_setting('preserve_insertion_order'), current_database()").fetchall()[0]
        cursor.execute(f"ATTACH {_quoted(fresh)} AS fresh")
        try:
            cursor.execute("SET preserve_insertion_order = true")
            cursor.execute(f'COPY FROM DATABASE "{before[1]}" TO fresh')
            cursor.execute(f"DELETE FROM fresh.meta WHERE key = '{_TOKEN}'")
            cursor.execute("INSERT INTO fresh.meta VALUES (?, ?)", [_TOKEN, token])
        finally:
            cursor.execute(f"SET preserve_insertion_order = {before[0]}")
            cursor.execute("DETACH fresh")
    _to_disk(fresh)
    return token


def swap(con: duckdb.DuckDBPyConnection, file: Path, config: opening.Config, token: str) -> duckdb.DuckDBPyConnection:
    """Put the new file in the old one's place and return a connection to it; nobody may read or write meanwhile.

    Raises StoreUnavailableError, or what opening raises: the old file is in its place again then.
    """
    with con.cursor() as cursor:
        cursor.execute("CHECKPOINT")  # the log belongs to the old file
    os.link(file, _beside(file, _BEFORE))
    _beside(file, _COPY).replace(file)
    con.close()
    file.with_name(f"{file.name}.wal").unlink(missing_ok=True)
    _to_disk(file.parent)
    try:
        opened = opening.connect(file, config)
        if opened.execute("SELECT value FROM meta WHERE key = ?", [_TOKEN]).fetchall() != [(token,)]:
            opened.close()
            raise StoreUnavailableError("the store's old file is still in use; start Hubbub anew and erase again")
    except BaseException:
        _beside(file, _BEFORE).replace(file)
        raise
    tidy(file)
    return opened


def _beside(file: Path, name: str) -> Path:
    return file.with_name(f"{file.name}.{name}")


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


def _to_disk(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
