"""The rows of a tenant, table by table: those that are exported, imported and deleted."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hubbub.storage import published, schema
from hubbub.storage.transaction import Transaction

PASSING = ("todo", "identity", "stale", "published_tenant")
"""Tables that are not exported: `todo` is folded before, identities are exported as numbers, the rest is computed again."""
_OWNERS = ("tenant", "property_id", "organization_id")


@dataclass(frozen=True, slots=True)
class Owner:
    """A tenant: its number in the store's own tables, and its id in published ones (None: it has no rows there)."""

    no: int
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A table with rows of tenants. `columns`: name -> SQL type, without `owners`, which name the tenant; `key`: empty for none.

    `by_id`: whether the tenant's id, not its number, is in the table.
    """

    name: str
    columns: Mapping[str, str]
    owners: tuple[str, ...] = ()
    key: tuple[str, ...] = ()
    by_id: bool = False

    @property
    def names(self) -> str:
        """The columns, quoted, for a statement."""
        return ", ".join(f'"{name}"' for name in self.columns)

    def owned(self, owner: Owner) -> int | str | None:
        """Return the tenant's number or id, whichever the table uses."""
        return owner.id if self.by_id else owner.no

    def rows(self, reading: Transaction, owner: Owner) -> Iterator[tuple[Any, ...]]:
        """Yield a tenant's rows."""
        return reading.scan(f"SELECT {self.names} FROM {self.name} WHERE tenant = ?", (self.owned(owner),))

    def add(self, writing: Transaction, owner: Owner, rows: Sequence[Sequence[Any]]) -> None:
        """Store rows as a tenant's, and mark their days as stale."""
        whose = (self.owned(owner),) * len(self.owners)
        writing.many(schema.insert(self.name, (*self.owners, *self.columns)), [(*whose, *row) for row in rows])
        published.mark(writing, owner.no, published.moments_of(self.name, tuple(self.columns), rows))

    def count(self, reading: Transaction, owner: Owner) -> int:
        """Count a tenant's rows."""
        return int(reading.value(f"SELECT count(*) FROM {self.name} WHERE tenant = ?", (self.owned(owner),)))

    def delete_some(self, writing: Transaction, owner: Owner, limit: int) -> int:
        """Delete some of a tenant's rows; returns how many."""
        key = ", ".join(self.key) or writing.dialect.row
        some = f"SELECT {key} FROM {self.name} WHERE tenant = :whose LIMIT {limit}"
        return writing.run(
            f"DELETE FROM {self.name} WHERE tenant = :whose AND ({key}) IN ({some})", {"whose": self.owned(owner)}
        )


def tables(*, passing: bool = False) -> list[Table]:
    """Return the tables with rows of tenants, with or without PASSING; facts before the tables that their triggers write to."""
    result = []
    for name, (columns, key) in schema.TABLES.items():
        if "tenant" in columns and (passing or name not in PASSING):
            by_id = columns["tenant"].startswith("TEXT")
            owners = tuple(owner for owner in _OWNERS if owner in columns) if by_id else ("tenant",)
            own = {column: type_ for column, type_ in columns.items() if column not in owners}
            result.append(Table(name, own, owners, tuple(key.split(", ")) if key else (), by_id))
    return result


def count(reading: Transaction, owner: Owner) -> dict[str, int]:
    """Return how many rows a tenant has in each table, without empty ones."""
    counts = {table.name: table.count(reading, owner) for table in tables(passing=True)}
    return {table: rows for table, rows in counts.items() if rows}


CONVERSATION = {
    "conversation_id": "TEXT", "channel": "TEXT", "account_id": "TEXT", "first_at": "INTEGER", "last_at": "INTEGER",
    "received": "INTEGER", "sent": "INTEGER", "contacts": "INTEGER", "episodes": "INTEGER", "first_staff_id": "TEXT",
    "first_inbound": "INTEGER", "first_reply_at": "INTEGER", "first_person_at": "INTEGER", "last_resolved_at": "INTEGER",
    "escalated": "INTEGER", "ai_involved": "INTEGER", "rating": "REAL", "scale": "INTEGER",
}  # fmt: skip
"""Columns of an exported conversation; times are microseconds, messages reported twice count once."""
_FIRST = "FROM episode p WHERE p.tenant = e.tenant AND p.conversation_id = e.conversation_id"
_RATED = (
    "FROM event r WHERE r.tenant = e.tenant AND r.conversation_id = e.conversation_id AND "
    "r.type = 'satisfaction.rating_received' ORDER BY r.time DESC, r.seq DESC LIMIT 1"
)
_CONVERSATIONS = f"""
SELECT e.conversation_id, min(e.channel), min(e.account_id), min(e.time), max(e.time),
    count(*) FILTER (WHERE e.type = 'message.received' AND coalesce(e.repeats, 0) = 0),
    count(*) FILTER (WHERE e.type = 'message.sent' AND coalesce(e.repeats, 0) = 0),
    count(DISTINCT e.contact_id), (SELECT count(*) {_FIRST}),
    (SELECT p.first_staff_id {_FIRST} ORDER BY p.anchor LIMIT 1), (SELECT p.first_inbound {_FIRST} ORDER BY p.anchor LIMIT 1),
    (SELECT p.first_reply_at {_FIRST} ORDER BY p.anchor LIMIT 1), (SELECT p.first_person_at {_FIRST} ORDER BY p.anchor LIMIT 1),
    (SELECT max(p.resolved_at) {_FIRST}), (SELECT max(p.escalated) {_FIRST}), (SELECT max(p.ai_involved) {_FIRST}),
    (SELECT r.value {_RATED}), (SELECT r.scale {_RATED})
FROM event e WHERE e.tenant = ? AND e.conversation_id IS NOT NULL GROUP BY e.tenant, e.conversation_id
"""


def conversations(reading: Transaction, tenant: int) -> Iterator[tuple[Any, ...]]:
    """Yield one row of CONVERSATION for each conversation of a tenant."""
    return reading.scan(_CONVERSATIONS, (tenant,))


def parsed(text: str | None) -> object:
    """Return an event's attributes as parsed JSON, or the text where it is not JSON."""
    try:
        return json.loads(text) if text is not None else None
    except ValueError:
        return text
