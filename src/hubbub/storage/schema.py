"""The tables of a store with columns, keys and indexes, for both engines.

`docs/facts.md` says what each table means. Times are whole microseconds since 1970 in UTC. Types are those of SQLite;
`sqlite_schema.py` and `postgresql_schema.py` create the tables. Opening a store adds missing tables and columns, keeps every row,
and creates changed indexes, views and triggers again. Any other change raises the version, and older stores are refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hubbub.storage import published

VERSION = 1
"""Raised only for a change that is not additive; a store of another version is refused."""

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
    "attributes": "TEXT", "received_at": "INTEGER NOT NULL", "asks": "INTEGER", "signs": "TEXT", "reason": "TEXT",
    "input_tokens": "INTEGER", "output_tokens": "INTEGER",
}  # fmt: skip
"""Columns of `event` as it was sent. `ident` is a 64-bit hash of source and id; `seq`: the place in the order of arrival.
Batches in the log hold rows in this order, so a new column goes to the end."""

BOOLEANS = ("asks",)
"""Columns of `event` that hold 1 for true and 0 for false."""

FOLDED: Mapping[str, str] = {
    "repeats": "INTEGER", "delivered_at": "INTEGER", "receipts": "INTEGER", "answered_at": "INTEGER", "escalated": "INTEGER",
    "credited_staff_id": "TEXT",
}  # fmt: skip
"""Columns of `event` written by folds: see `facts/message.py` (the first three) and `facts/conversation.py`."""

TABLES: Mapping[str, tuple[Mapping[str, str], str]] = {
    "meta": ({"key": "TEXT NOT NULL", "value": "TEXT NOT NULL"}, "key"),
    "stored_early": ({"n": "INTEGER NOT NULL"}, "n"),
    "event": ({**SENT, **FOLDED}, "tenant, time, ident"),
    "response": (
        {
            "tenant": "INTEGER NOT NULL", "anchor": "INTEGER NOT NULL", "ident": "INTEGER NOT NULL", "id": "TEXT NOT NULL",
            "conversation_id": "TEXT NOT NULL", "channel": "TEXT", "channel_id": "TEXT", "account_id": "TEXT", "staff_id": "TEXT",
            "responder": "TEXT NOT NULL", "asked_at": "INTEGER NOT NULL", "priority": "TEXT",
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
            "ai_resolved": "INTEGER NOT NULL", "first_priority": "TEXT", "priority": "TEXT",
            "handed_off_at": "INTEGER", "handed_off_by": "TEXT", "reason": "TEXT",
            "ai_resolved_at": "INTEGER", "ai_returned_at": "INTEGER", "longest_silence": "INTEGER", "silent_since": "INTEGER",
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
            "priority": "TEXT", "heard": "INTEGER",
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
"""Table -> (column -> type, primary key; empty: none)."""

EMBEDDED = ("identity_run", "stored_early")
"""Tables of the embedded store only."""

OF_MESSAGES = "type BETWEEN 'link.clicked' AND 'message.sent'"
OF_SURVEYS = "type BETWEEN 'satisfaction.rating_received' AND 'satisfaction.survey_sent'"
OF_TASKS = "task_id IS NOT NULL AND type BETWEEN 'task.assigned' AND 'task.created'"
OF_CAMPAIGNS = "campaign_id IS NOT NULL AND type BETWEEN 'campaign.completed' AND 'campaign.started'"
REPORTED = "type = 'response.time_recorded'"
OF_STAFF = "staff_id IS NOT NULL AND type BETWEEN 'staff.login' AND 'staff.status_changed'"
OF_LINKS = "contact_id IS NOT NULL AND name IS NOT NULL AND type IN ('contact.linked', 'contact.unlinked')"
"""Conditions of the partial indexes; a statement that uses an index repeats its condition exactly. Every stored event is checked
against all of them: a range of types takes a third of the time of a list."""

INDEXES: Mapping[str, str] = {
    "event_conversation": "event (tenant, conversation_id, time) WHERE conversation_id IS NOT NULL",
    "event_message": f"event (tenant, coalesce(message_id, id)) WHERE {OF_MESSAGES}",
    "event_contact": "event (tenant, contact_id, time) WHERE contact_id IS NOT NULL",
    "event_survey": f"event (tenant, coalesce(survey_id, id)) WHERE {OF_SURVEYS}",
    "event_task": f"event (tenant, task_id) WHERE {OF_TASKS}",
    "event_campaign": f"event (tenant, campaign_id) WHERE {OF_CAMPAIGNS}",
    "event_staff": f"event (tenant, staff_id) WHERE {OF_STAFF}",
    "event_reported": f"event (tenant, time) WHERE {REPORTED}",
    "event_link": f"event (tenant, contact_id) WHERE {OF_LINKS}",
    "event_link_to": f"event (tenant, name) WHERE {OF_LINKS}",
    "person_root": "person (tenant, root)",
    "response_asked": "response (tenant, asked_at)",
    "response_conversation": "response (tenant, conversation_id)",
    "episode_conversation": "episode (tenant, conversation_id)",
    "episode_inbound": "episode (tenant, first_inbound) WHERE first_inbound IS NOT NULL",
    "episode_replied": "episode (tenant, first_reply_at) WHERE first_reply_at IS NOT NULL",
    "episode_person": "episode (tenant, first_person_at) WHERE first_person_at IS NOT NULL",
    "episode_resolved": "episode (tenant, resolved_at) WHERE resolved_at IS NOT NULL",
    "episode_handed_off": "episode (tenant, handed_off_at) WHERE handed_off_at IS NOT NULL",
    "survey_sent": "survey (tenant, sent_at)",
    "survey_rated": "survey (tenant, rated_at)",
    "state_entity": "state (tenant, entity, id)",
    "state_waiting": "state (tenant, began) WHERE state = 'waiting'",
    "state_until": "state (tenant, entity, state, until, since)",
    "quarantine_tenant": "quarantine (tenant)",
    "quarantine_same": "quarantine (tenant, same)",
    **published.INDEXES,
}  # fmt: skip
"""Index -> what it covers."""

REFOLD: Mapping[tuple[str, str], str] = {
    (
        "episode",
        "handed_off_at",
    ): "SELECT DISTINCT 'conversation', tenant, conversation_id FROM episode WHERE ai_involved > 0",
    (
        "state",
        "heard",
    ): "SELECT DISTINCT 'conversation', tenant, id FROM state WHERE entity = 'conversation' AND state = 'open'",
}
"""Column that a later version added -> the units whose rows lack it. Adding the column puts them into `todo`, so that they are
folded again; of columns that were added together, one is listed. Rows from before a cut of retention keep null."""

FOREVER = 2**62
"""The `until` of a state that has not ended."""


def flagged(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of `event` with booleans in its columns of `BOOLEANS`, as it was sent."""
    flags = {name: bool(row[name]) for name in BOOLEANS if row.get(name) is not None}
    return {**row, **flags}


def key_columns(table: str) -> tuple[str, ...]:
    """Return the columns of a table's key, empty where it has none."""
    key = TABLES[table][1]
    return tuple(key.split(", ")) if key else ()


def insert(table: str, columns: Sequence[str] = ()) -> str:
    """Return the statement that adds a row of these columns, or of all."""
    names = tuple(columns) or tuple(TABLES[table][0])
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"


def insert_new(table: str, columns: Sequence[str] = ()) -> str:
    """Return the statement that adds a row unless its key exists."""
    return f"{insert(table, columns)} ON CONFLICT DO NOTHING"


def refold(table: str, column: str) -> str | None:
    """Return the statement that marks the units to fold again for an added column; None where there are none."""
    units = REFOLD.get((table, column))
    return f"INSERT INTO todo (unit, tenant, key) {units} ON CONFLICT DO NOTHING" if units else None


def upsert(table: str, columns: Sequence[str] = ()) -> str:
    """Return the statement that adds a row or replaces the one with its key."""
    key = key_columns(table)
    others = [name for name in (columns or TABLES[table][0]) if name not in key]
    change = ", ".join(f"{name} = excluded.{name}" for name in others)
    return f"{insert(table, columns)} ON CONFLICT ({', '.join(key)}) DO UPDATE SET {change}"
