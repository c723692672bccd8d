"""Which rows of the store are a tenant's, table by table: what an export carries, an import writes, and a deletion takes away."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa

from hubbub.storage import schema
from hubbub.storage.sqlite import Transaction

PASSING = ("todo", "identity")
"""Tables that are not carried: what is to be folded is folded before, and identities go as numbers."""
_TYPES = {"INTEGER": pa.int64(), "TEXT": pa.string(), "REAL": pa.float64()}


@dataclass(frozen=True, slots=True)
class Table:
    """A table with rows of tenants: its columns without the tenant, with their SQL types, and its key (empty: all columns)."""

    name: str
    columns: Mapping[str, str]
    key: tuple[str, ...]

    @property
    def schema(self) -> pa.Schema:
        """The columns as Arrow has them."""
        return pa.schema([(name, _TYPES[type_.split()[0]]) for name, type_ in self.columns.items()])

    @property
    def names(self) -> str:
        """The columns, quoted, for a statement."""
        return ", ".join(f'"{name}"' for name in self.columns)


def tables(*, passing: bool = False) -> list[Table]:
    """Return the tables with rows of tenants, with or without those that pass."""
    return [
        Table(name, {c: t for c, t in columns.items() if c != "tenant"}, tuple(key.split(", ")) if key else ())
        for name, (columns, key) in schema.TABLES.items()
        if "tenant" in columns and (passing or name not in PASSING)
    ]


def count(reading: Transaction, tenant: int) -> dict[str, int]:
    """Return how many rows a tenant has in each table that has some."""
    found = {
        table.name: reading.value(f"SELECT count(*) FROM {table.name} WHERE tenant = ?", (tenant,))
        for table in tables(passing=True)
    }
    return {table: rows for table, rows in found.items() if rows}


CONVERSATION = {
    "conversation_id": "TEXT", "channel": "TEXT", "account_id": "TEXT", "first_at": "INTEGER", "last_at": "INTEGER",
    "received": "INTEGER", "sent": "INTEGER", "contacts": "INTEGER", "episodes": "INTEGER", "first_staff_id": "TEXT",
    "first_inbound": "INTEGER", "first_reply_at": "INTEGER", "first_person_at": "INTEGER", "last_resolved_at": "INTEGER",
    "escalated": "INTEGER", "ai_involved": "INTEGER", "rating": "REAL", "scale": "INTEGER",
}  # fmt: skip
"""Columns of an exported conversation; moments are microseconds, messages that were reported twice count once."""
_FIRST = "FROM episode p WHERE p.tenant = e.tenant AND p.conversation_id = e.conversation_id"
_RATED = (
    "FROM event r WHERE r.tenant = e.tenant AND r.conversation_id = e.conversation_id AND "
    "r.type = 'satisfaction.rating_received' ORDER BY r.time DESC, r.seq DESC LIMIT 1"
)
_CONVERSATIONS = f"""
SELECT e.conversation_id, min(e.channel), min(e.account_id), min(e.time), max(e.time),
    sum(e.type = 'message.received' AND coalesce(e.repeats, 0) = 0), sum(e.type = 'message.sent' AND coalesce(e.repeats, 0) = 0),
    count(DISTINCT e.contact_id), (SELECT count(*) {_FIRST}),
    (SELECT p.first_staff_id {_FIRST} ORDER BY p.anchor LIMIT 1), (SELECT p.first_inbound {_FIRST} ORDER BY p.anchor LIMIT 1),
    (SELECT p.first_reply_at {_FIRST} ORDER BY p.anchor LIMIT 1), (SELECT p.first_person_at {_FIRST} ORDER BY p.anchor LIMIT 1),
    (SELECT max(p.resolved_at) {_FIRST}), (SELECT max(p.escalated) {_FIRST}), (SELECT max(p.ai_involved) {_FIRST}),
    (SELECT r.value {_RATED}), (SELECT r.scale {_RATED})
FROM event e WHERE e.tenant = ? AND e.conversation_id IS NOT NULL GROUP BY e.conversation_id
"""


def conversations(reading: Transaction, tenant: int) -> Iterator[tuple[object, ...]]:
    """Yield one row of CONVERSATION for each conversation of a tenant."""
    return reading.each(_CONVERSATIONS, (tenant,))


def parsed(text: str | None) -> object:
    """Return what an event's attributes hold, or the text where it is no JSON."""
    try:
        return json.loads(text) if text is not None else None
    except ValueError:
        return text
