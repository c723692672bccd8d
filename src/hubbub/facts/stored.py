"""What is stored of keys: their events and facts. One statement reads or writes those of all keys that are folded together.

On a database server, a statement for each key costs more than the fold itself. Writing facts changes only what differs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from hubbub.facts import survey
from hubbub.facts.boundary import Boundary, by_until
from hubbub.facts.state import Stretch
from hubbub.facts.turn import Episode, Response
from hubbub.storage import published, schema
from hubbub.storage.transaction import Transaction

Begins = Mapping[str, Boundary]
"""The keys that are folded together, with the boundary where the fold of each begins."""
Row = TypeVar("Row", bound=NamedTuple)


@dataclass(frozen=True, slots=True)
class Events(Generic[Row]):
    """The events of keys as rows of a type, whose fields are columns of `event`.

    `key`: SQL of an event's key; `where`: which events belong to it. Together they are the condition of an index.
    """

    row: type[Row]
    key: str
    where: str
    columns: str = ""
    """SQL of the row's fields, where they are not just the columns of their names; then `grouped` by the key and these columns."""
    grouped: str = ""

    def of(
        self, reading: Transaction, tenant: int, begins: Begins, before: int = schema.FOREVER
    ) -> dict[str, list[Row]]:
        """Return the stored events of each key from its boundary until before a moment (microseconds), in no order."""
        found: dict[str, list[Row]] = {key: [] for key in begins}
        columns = self.columns or ", ".join(self.row._fields)
        grouped = f" GROUP BY {self.key}, {self.grouped}" if self.grouped else ""
        sql = (  # the plus keeps the planner on the key's index
            f"SELECT {self.key}, {columns} FROM event WHERE tenant = ? AND {self.key} {reading.dialect.in_texts('?')} "
            f"AND {self.where} AND +time >= ? AND +time < ?{grouped}"
        )
        for until, keys in by_until(begins):
            for key, *values in reading.each(sql, (tenant, json.dumps(keys), until, before)):
                found[key].append(self.row._make(values))
        return found


@dataclass(frozen=True, slots=True)
class Facts:
    """A table of facts: `of` is the column of the key that a row is folded from, and `identity` identifies a row."""

    table: str
    columns: tuple[str, ...]
    of: str
    identity: tuple[str, ...]

    def replace(self, writing: Transaction, tenant: int, keys: Iterable[str], rows: Iterable[tuple[Any, ...]]) -> None:
        """Replace the stored rows of keys."""
        places = [self.columns.index(name) for name in self.identity]

        def identified(rows: Iterable[tuple[Any, ...]]) -> dict[tuple[Any, ...], tuple[Any, ...]]:
            return {tuple(row[place] for place in places): row for row in rows}

        read = f"SELECT {', '.join(self.columns)} FROM {self.table} WHERE tenant = ? AND {self.of} {writing.dialect.in_texts('?')}"
        old, new = identified(writing.rows(read, (tenant, json.dumps(list(keys))))), identified(rows)
        writing.many(
            f"DELETE FROM {self.table} WHERE tenant = ? AND {' AND '.join(f'{name} = ?' for name in self.identity)}",
            [(tenant, *place) for place in old if place not in new],
        )
        changed = [row for place, row in new.items() if old.get(place) != row]
        writing.many(schema.upsert(self.table, ("tenant", *self.columns)), [(tenant, *row) for row in changed])
        gone = [row for place, row in old.items() if new.get(place) != row]
        published.mark(writing, tenant, published.moments_of(self.table, self.columns, [*changed, *gone]))


RESPONSES = Facts("response", Response._fields, "conversation_id", ("anchor", "ident"))
EPISODES = Facts("episode", Episode._fields, "conversation_id", ("anchor", "conversation_id"))
SURVEYS = Facts("survey", survey.Survey._fields, "survey", ("survey",))
PERSONS = Facts("person", ("contact_id", "root"), "contact_id", ("contact_id",))

_ADD_STRETCH = schema.insert("state", ("tenant", "entity", "id", *Stretch._fields))
END_STRETCH = (
    "DELETE FROM state WHERE tenant = ? AND entity = ? AND id = ? AND state = ? AND since = ? AND until = ? "
    "AND coalesce(channel, '') = ? AND coalesce(account_id, '') = ?"
)


def stretch_key(entity: str, key: str, row: Stretch) -> tuple[Any, ...]:
    """Return the parameters of `END_STRETCH` after the tenant."""
    return entity, key, row.state, row.since, row.until, row.channel or "", row.account_id or ""


def replace_states(
    writing: Transaction, tenant: int, entity: str, begins: Begins, rows: Mapping[str, Sequence[Stretch]]
) -> None:
    """Replace the stored stretches of an entity's keys, without those that ended before the key's boundary."""
    columns = ", ".join(Stretch._fields)
    read = f"SELECT id, {columns} FROM state WHERE tenant = ? AND entity = ? AND id {writing.dialect.in_texts('?')}"
    old = {(key, Stretch._make(row)) for key, *row in writing.rows(read, (tenant, entity, json.dumps(list(begins))))}
    new = {(key, row) for key, begin in begins.items() for row in rows[key] if row.until >= begin.until}
    writing.many(END_STRETCH, [(tenant, *stretch_key(entity, key, row)) for key, row in old - new])
    writing.many(_ADD_STRETCH, [(tenant, entity, key, *row) for key, row in new - old])
