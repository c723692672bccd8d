"""What the store's file holds: every table, its version, and how an older file becomes one of today.

`docs/facts.md` says what each table means. Times are whole microseconds since 1970 in UTC. An additive change (a table, a column)
is made when the file is opened and keeps every row, and an index, view or trigger that is another today is made again. Anything
else raises the version and is refused by name.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from hubbub.errors import StoreDamagedError
from hubbub.storage import published

VERSION = 1
"""Raised only by a change that an added column, table or index cannot express; such a file is refused until it is migrated."""

SENT: Mapping[str, str] = {
    "tenant": "INTEGER NOT NULL", "time": "INTEGER NOT NULL", "ident": "INTEGER NOT NULL", "seq": "INTEGER NOT NULL",
    "type": "TEXT NOT NULL", "source": "TEXT NOT NULL", "id": "TEXT NOT NULL",
    **dict.fromkeys(
        (
            "channel", "channel_id", "account_id", "conversation_id", "message_id", "contact_id", "staff_id", "task_id",
            "campaign_id", "survey_id", "name", "kind", "topic", "sentiment", "intent", "severity", "status",
        ), "TEXT",
    ),
    "value": "REAL", "scale": "INTEGER", "duration_ms": "INTEGER", "confidence": "REAL", "revision": "INTEGER",
    "attributes": "TEXT", "received_at": "INTEGER NOT NULL",
}  # fmt: skip
"""Columns of `event` as it was sent. `ident` is a 64-bit hash of source and id; `seq` the place in the order of arrival."""

FOLDED: Mapping[str, str] = {
    "repeats": "INTEGER", "delivered_at": "INTEGER", "receipts": "INTEGER", "answered_at": "INTEGER", "escalated": "INTEGER",
    "credited_staff_id": "TEXT",
}  # fmt: skip
"""Columns of `event` that folds write: see `facts/message.py` (the first three) and `facts/conversation.py`."""

TABLES: Mapping[str, tuple[Mapping[str, str], str]] = {
    "meta": ({"key": "TEXT NOT NULL", "value": "TEXT NOT NULL"}, "key"),
    "stored_early": ({"n": "INTEGER NOT NULL"}, "n"),
    "event": ({**SENT, **FOLDED}, "tenant, time, ident"),
    "response": (
        {
            "tenant": "INTEGER NOT NULL", "anchor": "INTEGER NOT NULL", "ident": "INTEGER NOT NULL", "id": "TEXT NOT NULL",
            "conversation_id": "TEXT NOT NULL", "channel": "TEXT", "channel_id": "TEXT", "account_id": "TEXT", "staff_id": "TEXT",
            "responder": "TEXT NOT NULL", "asked_at": "INTEGER NOT NULL",
        },
        "tenant, anchor, ident",
    ),
    "episode": (
        {
            "tenant": "INTEGER NOT NULL", "anchor": "INTEGER NOT NULL", "conversation_id": "TEXT NOT NULL", "id": "TEXT NOT NULL",
            "channel": "TEXT", "channel_id": "TEXT", "account_id": "TEXT", "staff_id": "TEXT", "first_staff_id": "TEXT",
            "responder": "TEXT NOT NULL", "first_inbound": "INTEGER", "first_reply_at": "INTEGER", "person_from": "INTEGER",
            "first_person_at": "INTEGER", "last_resolve": "INTEGER", "resolved_at": "INTEGER", "returned_at": "INTEGER",
            "escalated": "INTEGER NOT NULL", "ai_involved": "INTEGER NOT NULL", "ai_escalated": "INTEGER NOT NULL",
            "ai_resolved": "INTEGER NOT NULL",
        },
        "tenant, anchor, conversation_id",
    ),
    "survey": (
        {
            "tenant": "INTEGER NOT NULL", "survey": "TEXT NOT NULL", "channel": "TEXT", "account_id": "TEXT", "staff_id": "TEXT",
            "sent_at": "INTEGER", "rated_at": "INTEGER", "rating": "REAL", "scale": "INTEGER",
        },
        "tenant, survey",
    ),
    "state": (
        {
            "tenant": "INTEGER NOT NULL", "entity": "TEXT NOT NULL", "id": "TEXT NOT NULL", "state": "TEXT NOT NULL",
            "since": "INTEGER NOT NULL", "until": "INTEGER NOT NULL", "channel": "TEXT", "account_id": "TEXT", "began": "INTEGER",
        },
        "",
    ),
    "receipt_channel": (
        {"tenant": "INTEGER NOT NULL", "channel": "TEXT NOT NULL"}, "tenant, channel",
    ),
    "todo": (
        {"unit": "TEXT NOT NULL", "tenant": "INTEGER NOT NULL", "key": "TEXT NOT NULL"}, "unit, tenant, key",
    ),
    "boundary": (
        {
            "tenant": "INTEGER NOT NULL", "unit": "TEXT NOT NULL", "key": "TEXT NOT NULL", "until": "INTEGER NOT NULL",
            "carried": "TEXT NOT NULL",
        },
        "tenant, unit, key",
    ),
    "kept": (
        {
            "tenant": "INTEGER NOT NULL", "what": "TEXT NOT NULL", "gone_from": "INTEGER NOT NULL", "since": "INTEGER NOT NULL",
        },
        "tenant, what",
    ),
    "identity": ({"tenant": "INTEGER NOT NULL", "ident": "INTEGER NOT NULL"}, "tenant, ident"),
    "identity_run": ({"file": "TEXT NOT NULL", "keys": "INTEGER NOT NULL"}, "file"),
    "quarantine": (
        {
            "id": "INTEGER NOT NULL", "tenant": "INTEGER NOT NULL", "received_at": "INTEGER NOT NULL", "origin": "TEXT NOT NULL",
            "code": "TEXT NOT NULL", "field": "TEXT", "message": "TEXT NOT NULL", "raw": "TEXT NOT NULL",
            "same": "INTEGER",
        },
        "id",
    ),
    "snapshot": (
        {
            "tenant": "INTEGER NOT NULL", "kind": "TEXT NOT NULL", "date": "TEXT NOT NULL", "account": "TEXT NOT NULL",
            "window_start": "INTEGER NOT NULL", "window_end": "INTEGER NOT NULL", "zone": "TEXT NOT NULL", "state": "TEXT NOT NULL",
            "definition_version": "INTEGER NOT NULL", "made_at": "INTEGER NOT NULL", "document": "TEXT NOT NULL",
        },
        "tenant, kind, date, account",
    ),
    "former_version": ({**SENT, "until": "INTEGER NOT NULL"}, "tenant, ident, until"),
    "person": (
        {"tenant": "INTEGER NOT NULL", "contact_id": "TEXT NOT NULL", "root": "TEXT NOT NULL"}, "tenant, contact_id",
    ),
    "name": (
        {
            "tenant": "INTEGER NOT NULL", "kind": "TEXT NOT NULL", "id": "TEXT NOT NULL", "name": "TEXT NOT NULL",
            "searched": "TEXT NOT NULL", "valid_from": "INTEGER NOT NULL", "by_hand": "INTEGER NOT NULL",
        },
        "tenant, kind, id",
    ),
    **published.TABLES,
}  # fmt: skip
"""Table -> (column -> type, primary key); without one, rows are told apart by all they say."""

OF_MESSAGES = "type BETWEEN 'link.clicked' AND 'message.sent'"
OF_SURVEYS = "type BETWEEN 'satisfaction.rating_received' AND 'satisfaction.survey_sent'"
OF_TASKS = "task_id IS NOT NULL AND type BETWEEN 'task.assigned' AND 'task.created'"
OF_CAMPAIGNS = "campaign_id IS NOT NULL AND type BETWEEN 'campaign.completed' AND 'campaign.started'"
OF_STAFF = "staff_id IS NOT NULL AND type BETWEEN 'staff.login' AND 'staff.status_changed'"
OF_LINKS = "contact_id IS NOT NULL AND name IS NOT NULL AND type IN ('contact.linked', 'contact.unlinked')"
"""Conditions of the partial indexes; a statement that is to use one repeats it word for word. Every event that is stored is held
against all of them: a range of types takes a third of the time of a list."""

INDEXES: Mapping[str, str] = {
    "event_conversation": "event (tenant, conversation_id, time) WHERE conversation_id IS NOT NULL",
    "event_message": f"event (tenant, coalesce(message_id, id)) WHERE {OF_MESSAGES}",
    "event_contact": "event (tenant, contact_id, time) WHERE contact_id IS NOT NULL",
    "event_survey": f"event (tenant, coalesce(survey_id, id)) WHERE {OF_SURVEYS}",
    "event_task": f"event (tenant, task_id) WHERE {OF_TASKS}",
    "event_campaign": f"event (tenant, campaign_id) WHERE {OF_CAMPAIGNS}",
    "event_staff": f"event (tenant, staff_id) WHERE {OF_STAFF}",
    "event_link": f"event (tenant, contact_id) WHERE {OF_LINKS}",
    "event_link_to": f"event (tenant, name) WHERE {OF_LINKS}",
    "response_conversation": "response (tenant, conversation_id)",
    "episode_conversation": "episode (tenant, conversation_id)",
    "episode_replied": "episode (tenant, first_reply_at) WHERE first_reply_at IS NOT NULL",
    "episode_person": "episode (tenant, first_person_at) WHERE first_person_at IS NOT NULL",
    "episode_resolved": "episode (tenant, resolved_at) WHERE resolved_at IS NOT NULL",
    "survey_sent": "survey (tenant, sent_at)",
    "survey_rated": "survey (tenant, rated_at)",
    "state_entity": "state (tenant, entity, id)",
    "state_until": "state (tenant, entity, state, until, since)",
    "quarantine_tenant": "quarantine (tenant)",
    "quarantine_same": "quarantine (tenant, same)",
    **published.INDEXES,
}  # fmt: skip
"""Index -> what it covers."""

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
    },
    "survey": {"survey": "40000 400 1", "survey_sent": "40000 400 1", "survey_rated": "40000 400 1"},
    "state": {"state_entity": "400000 4000 2000 4", "state_until": "400000 4000 2000 800 2 1"},
    "todo": {"todo": "10000 1000 10 1"},
}  # fmt: skip
"""Table -> index -> rows in all, and rows for each value of its first columns, as SQLite's planner wants to know them.

They are given and not measured, so that a statement has the same plan in every installation, on the first day too.
"""

LOG = """
CREATE TABLE IF NOT EXISTS log (
    n INTEGER PRIMARY KEY AUTOINCREMENT, tenant INTEGER NOT NULL, received_at INTEGER NOT NULL, events BLOB NOT NULL,
    rejected BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
"""
"""The log's file: what is acknowledged and not stored yet, one row a batch."""

FOREVER = 2**62
"""The `until` of a state that has not ended."""


def create(con: sqlite3.Connection, path: str) -> None:
    """Make the tables, or bring those of an older file up to date by adding what they lack; one transaction.

    Raises StoreDamagedError for a file whose version is not this one, or that has a table which adding cannot mend.
    """
    con.execute("BEGIN IMMEDIATE")
    try:
        _check_version(con, path, 0, VERSION)
        for table, (columns, key) in TABLES.items():
            _table(con, path, table, columns, key)
        for name, on in INDEXES.items():
            _defined(con, "INDEX", name, f"ON {on}")
        for name, select in published.VIEWS.items():
            _defined(con, "VIEW", name, f"AS {select}")
        for (name,) in con.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            if name not in published.TRIGGERS:  # an older Hubbub made more of them
                con.execute(f"DROP TRIGGER {name}")
        for name, body in published.TRIGGERS.items():
            _defined(con, "TRIGGER", name, body)
        _advise(con)
        con.execute(f"PRAGMA user_version = {VERSION}")
    except BaseException:
        con.execute("ROLLBACK")
        raise
    con.execute("COMMIT")
    con.execute("ANALYZE sqlite_schema")  # this connection reads them now


def check(con: sqlite3.Connection, path: str) -> None:
    """Raise StoreDamagedError where a file that may only be read is not of today's layout: nothing can be added to it."""
    _check_version(con, path, VERSION)
    for table, (columns, _) in TABLES.items():
        missing = set(columns) - {row[1] for row in con.execute(f'PRAGMA table_info("{table}")')}
        if missing:
            raise StoreDamagedError(
                f"{path}: table {table!r} has no column {min(missing)!r}: open it once where it may be written"
            )


def _check_version(con: sqlite3.Connection, path: str, *known: int) -> None:
    (there,) = con.execute("PRAGMA user_version").fetchone()
    if there not in known:
        raise StoreDamagedError(
            f"{path} has the layout {there}, this Hubbub reads {VERSION}: open it with the Hubbub that wrote it, "
            "'hubbub export' its tenants, and import them here"
        )


def _advise(con: sqlite3.Connection) -> None:
    """Tell the planner what tables hold; connections that are opened later read it."""
    con.execute("ANALYZE sqlite_schema")
    rows = {(table, index, found) for table, indexes in STATISTICS.items() for index, found in indexes.items()}
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
        elif known[name] != type_.split()[0]:
            raise StoreDamagedError(
                f"{path}: column {name!r} of {table!r} is {known[name]}, expected {type_.split()[0]}: open it with the Hubbub "
                "that wrote it, 'hubbub export' its tenants, and import them here"
            )


def _defined(con: sqlite3.Connection, kind: str, name: str, body: str) -> None:
    """Make an index, view or trigger what it is today; nothing is written where it is."""
    wanted = f"CREATE {kind} {name} {body}"
    there = con.execute("SELECT sql FROM sqlite_master WHERE name = ?", (name,)).fetchone()
    if there is None or there[0] != wanted:
        con.execute(f"DROP {kind} IF EXISTS {name}")
        con.execute(wanted)


def _columns(columns: Mapping[str, str]) -> str:
    return ", ".join(f'"{name}" {type_}' for name, type_ in columns.items())


def _needed(type_: str) -> bool:
    return "NOT NULL" in type_
