"""The tables of an embedded store: created, and upgraded from older versions."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from hubbub.errors import StoreDamagedError
from hubbub.storage import published
from hubbub.storage.published import DAY, MOMENTS
from hubbub.storage.schema import INDEXES, TABLES, VERSION, refold

STATISTICS: Mapping[str, Mapping[str, str]] = {
    "event": {
        "event": "2000000 20000 1 1", "event_conversation": "2000000 20000 12 1", "event_message": "1000000 10000 2",
        "event_contact": "1500000 15000 20 1", "event_survey": "100000 1000 2", "event_task": "60000 600 3",
        "event_campaign": "1000 10 4", "event_staff": "60000 600 60", "event_link": "100 10 2", "event_link_to": "100 10 2",
    },
    "response": {"response": "300000 3000 1 1", "response_conversation": "300000 3000 3"},
    "episode": {
        "episode": "130000 1300 1 1", "episode_conversation": "130000 1300 1", "episode_replied": "130000 1300 1",
        "episode_person": "130000 1300 1", "episode_resolved": "130000 1300 1",
        "episode_handed_off": "130000 1300 1",
    },
    "survey": {"survey": "40000 400 1", "survey_sent": "40000 400 1", "survey_rated": "40000 400 1"},
    "state": {"state_entity": "400000 4000 2000 4", "state_until": "400000 4000 2000 800 2 1"},
    "todo": {"todo": "10000 1000 10 1"},
}  # fmt: skip
"""Table -> index -> rows in all, and rows for each value of its first columns, in the form of SQLite's planner.

They are fixed and not measured, so that a statement has the same plan in every installation from the first day.
"""

LOG = """
CREATE TABLE IF NOT EXISTS log (
    n INTEGER PRIMARY KEY AUTOINCREMENT, tenant INTEGER NOT NULL, received_at INTEGER NOT NULL, events BLOB NOT NULL,
    rejected BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
"""
"""The log's file: acknowledged batches that are not stored yet, one row each."""


TRIGGERS: Mapping[str, str] = {
    f"{table}_delete_{moment}_is_stale": f"AFTER DELETE ON {table} WHEN OLD.{moment} IS NOT NULL AND NOT EXISTS (SELECT 1 "
    f"FROM stale AS s WHERE s.tenant = OLD.tenant AND s.day = OLD.{moment} / {DAY} AND s.taken IS NULL) "
    f"BEGIN INSERT OR REPLACE INTO stale VALUES (OLD.tenant, OLD.{moment} / {DAY}, NULL); END"
    for table, moments in MOMENTS.items()
    for moment in moments
}
"""Mark the days of deleted rows as stale: deletions are few. Code that inserts rows calls `published.mark` once for all of them, in
the same transaction: a trigger for each row made storing and folding a tenth slower."""

VIEWS: Mapping[str, str] = published.views(
    iso=lambda us: f"strftime('%Y-%m-%dT%H:%M:%S', {us} / 1000000, 'unixepoch') || printf('.%06dZ', {us} % 1000000)",
    day=lambda us: f"date({us} / 1000000, 'unixepoch')",
    now="strftime('%Y-%m-%dT%H:%M:%fZ', 'now')",
)


def create(con: sqlite3.Connection, path: str) -> None:
    """Create the tables, or upgrade those of an older file by adding what they lack; one transaction.

    Raises StoreDamagedError for a file of another version, or with a table that additions cannot upgrade.
    """
    con.execute("BEGIN IMMEDIATE")
    try:
        _check_version(con, path, 0, VERSION)
        for table, (columns, key) in TABLES.items():
            _table(con, path, table, columns, key)
        for name, on in INDEXES.items():
            _defined(con, "INDEX", name, f"ON {on}")
        for name, select in VIEWS.items():
            _defined(con, "VIEW", name, f"AS {select}")
        for (name,) in con.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            if name not in TRIGGERS:  # made by an older Hubbub
                con.execute(f"DROP TRIGGER {name}")
        for name, body in TRIGGERS.items():
            _defined(con, "TRIGGER", name, body)
        _advise(con)
        con.execute(f"PRAGMA user_version = {VERSION}")
    except BaseException:
        con.execute("ROLLBACK")
        raise
    con.execute("COMMIT")
    con.execute("ANALYZE sqlite_schema")  # this connection loads the statistics


def check(con: sqlite3.Connection, path: str) -> None:
    """Raise StoreDamagedError where a read-only file lacks columns: nothing can be added to it."""
    _check_version(con, path, VERSION)
    for table, (columns, _) in TABLES.items():
        missing = set(columns) - {row[1] for row in con.execute(f'PRAGMA table_info("{table}")')}
        if missing:
            raise StoreDamagedError(
                f"{path}: table {table!r} has no column {min(missing)!r}: open it once where it is writable"
            )


def _check_version(con: sqlite3.Connection, path: str, *known: int) -> None:
    (version,) = con.execute("PRAGMA user_version").fetchone()
    if version not in known:
        raise StoreDamagedError(
            f"{path} has the layout {version}, this Hubbub reads {VERSION}: open it with the Hubbub that wrote it, "
            "'hubbub export' its tenants, and import them here"
        )


def _advise(con: sqlite3.Connection) -> None:
    """Store STATISTICS for the planner; connections opened later load them."""
    con.execute("ANALYZE sqlite_schema")
    rows = {(table, index, numbers) for table, indexes in STATISTICS.items() for index, numbers in indexes.items()}
    if rows != set(con.execute("SELECT tbl, idx, stat FROM sqlite_stat1")):
        con.execute("DELETE FROM sqlite_stat1")
        con.executemany("INSERT INTO sqlite_stat1 VALUES (?, ?, ?)", sorted(rows))


def _table(con: sqlite3.Connection, path: str, table: str, columns: Mapping[str, str], key: str) -> None:
    known = {row[1]: row[2] for row in con.execute(f'PRAGMA table_info("{table}")')}
    if not known:
        rows = f", PRIMARY KEY ({key})) STRICT, WITHOUT ROWID" if key else ") STRICT"
        con.execute(f"CREATE TABLE {table} ({_columns(columns)}{rows}")
        return
    for name, type_ in columns.items():
        if name not in known:
            if _needed(type_):
                raise StoreDamagedError(
                    f"{path}: table {table!r} has no column {name!r}, which cannot be added empty: open it with the Hubbub that "
                    "wrote it, 'hubbub export' its tenants, and import them here"
                )
            con.execute(f'ALTER TABLE {table} ADD COLUMN "{name}" {type_}')
            if units := refold(table, name):
                con.execute(units)
        elif known[name] != type_.split()[0]:
            raise StoreDamagedError(
                f"{path}: column {name!r} of {table!r} is {known[name]}, expected {type_.split()[0]}: open it with the Hubbub "
                "that wrote it, 'hubbub export' its tenants, and import them here"
            )


def _defined(con: sqlite3.Connection, kind: str, name: str, body: str) -> None:
    """Create an index, view or trigger, or replace one that differs; else write nothing."""
    wanted = f"CREATE {kind} {name} {body}"
    existing = con.execute("SELECT sql FROM sqlite_master WHERE name = ?", (name,)).fetchone()
    if existing is None or existing[0] != wanted:
        con.execute(f"DROP {kind} IF EXISTS {name}")
        con.execute(wanted)


def _columns(columns: Mapping[str, str]) -> str:
    return ", ".join(f'"{name}" {type_}' for name, type_ in columns.items())


def _needed(type_: str) -> bool:
    return "NOT NULL" in type_
