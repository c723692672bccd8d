"""The tables that ClickHouse holds a copy of: facts, for answers that aggregate many, and the published tables, for other programs.

PostgreSQL stays the store. `version` of a copied row is the number of the shipment that brought it. Of the rows of one key only the
newest counts, and none if the newest is marked as `gone`. Texts and other attributes of events are not copied. Other programs
read a published table by its name, which is a view of the rows that count.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hubbub.storage.published import PERIOD
from hubbub.storage.schema import TABLES, key_columns

_LEFT_OUT = {"event": ("seq", "revision", "attributes", "received_at")}
_NAMES = ("event", "response", "episode", "survey", "state", "person", "receipt_channel", "kept")
_FEW = (
    "type",
    "source",
    "channel",
    "priority",
    "kind",
    "sentiment",
    "severity",
    "status",
    "responder",
    "entity",
    "state",
    "what",
)
"""Text columns with few distinct values, which ClickHouse stores as numbers of a dictionary."""
_STATE = ("tenant", "entity", "state", "id", "since", "until")
"""The first columns by which states are sorted. States and published rows have no key, and no two are equal, so all their columns
are the key."""


@dataclass(frozen=True, slots=True)
class Copied:
    """A table of the copy. `columns`: name -> ClickHouse's type; `key`: those that identify a row, in sort order.

    `empty`: the value of each column in a deleted row, except in its key. `published`: whether it is a published table, whose
    rows of all tenants are shipped together.
    """

    name: str
    columns: Mapping[str, str]
    key: Sequence[str]
    empty: Sequence[object]
    published: bool

    @property
    def place(self) -> str:
        """The name of the table in ClickHouse."""
        return f"{self.name}_versions" if self.published else self.name

    @property
    def stored(self) -> Mapping[str, str]:
        """The columns, and `version` and `gone`."""
        return {**self.columns, "version": "UInt64", "gone": "UInt8"}

    @property
    def nullable(self) -> set[str]:
        """The columns that may be null."""
        return {name for name, type_ in self.columns.items() if "Nullable" in type_}

    def create(self) -> str:
        """Return the statement that creates the table; merging its parts removes deleted rows for good."""
        columns = ", ".join(f"`{name}` {type_}" for name, type_ in self.stored.items())
        return (
            f"CREATE TABLE {self.place} ({columns}) ENGINE = ReplacingMergeTree(version, gone) ORDER BY ({', '.join(self.key)}) "
            "SETTINGS allow_nullable_key = 1, allow_experimental_replacing_merge_with_cleanup = 1, old_parts_lifetime = 30"
        )

    def view(self) -> str:
        """Return the statement that creates the view of a published table."""
        return f"CREATE VIEW {self.name} AS SELECT {', '.join(self.columns)} FROM {self.place} FINAL"


def _type(name: str, type_: str) -> str:
    first, _, rest = type_.partition(" ")
    type_ = {"INTEGER": "Int64", "REAL": "Float64", "TEXT": "String"}[first]
    type_ = type_ if rest else f"Nullable({type_})"
    return f"LowCardinality({type_})" if first == "TEXT" and name in _FEW else type_


def _copied(table: str) -> Copied:
    left_out = _LEFT_OUT.get(table, ())
    declared = {name: type_ for name, type_ in TABLES[table][0].items() if name not in left_out}
    columns = {name: _type(name, type_) for name, type_ in declared.items()}
    empty = [None if "Nullable" in type_ else "" if "String" in type_ else 0 for type_ in columns.values()]
    first = ("tenant", PERIOD[table]) if table in PERIOD else _STATE
    every = (*first, *(name for name in columns if name not in first))
    return Copied(table, columns, key_columns(table) or every, empty, table in PERIOD)


FACTS = tuple(_copied(name) for name in _NAMES)
PUBLISHED = tuple(_copied(name) for name in PERIOD)
COPIED = (*FACTS, *PUBLISHED)
_MADE_BY = (*(table.create() for table in COPIED), *(table.view() for table in PUBLISHED))
DIGEST = hashlib.blake2b("".join(_MADE_BY).encode(), digest_size=8).hexdigest()
"""The hash of these declarations: a copy made by others is made again."""
