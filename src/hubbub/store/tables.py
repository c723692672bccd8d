"""What a store keeps, told once: every table but those of rollups, which follow from the catalogue, with its columns and types.

Types are those of the house's SQL. A store's `order` says which of its tables appends write to; all others belong to changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from hubbub.metrics import fold
from hubbub.metrics.catalogue import ROLLUPS
from hubbub.store.base import EVENT_SCHEMA

Columns = tuple[tuple[str, str], ...]

SQL_TYPES = {
    pa.int16(): "SMALLINT", pa.int32(): "INTEGER", pa.int64(): "BIGINT", pa.float64(): "DOUBLE", pa.string(): "VARCHAR",
    pa.timestamp("us"): "TIMESTAMP", pa.date32(): "DATE",
}  # fmt: skip
_EVENT: Columns = (("seq", "BIGINT"), *((field.name, SQL_TYPES[field.type]) for field in EVENT_SCHEMA))


@dataclass(frozen=True)
class Table:
    """A table: its columns with their types, the one that numbers its rows if any, and whether appends write to it."""

    name: str
    columns: Columns
    number: str | None = None
    appended: bool = False


def _columns(told: str) -> Columns:
    return tuple((name, type_) for name, type_ in (one.split() for one in told.split(", ")))


TABLES = (
    Table("events", _EVENT, "seq", appended=True),
    Table("superseded", _EVENT, "seq", appended=True),
    Table(
        "quarantine",
        _columns("id BIGINT, tenant INTEGER, received_at TIMESTAMP, origin VARCHAR, code VARCHAR, field VARCHAR, "
                 "message VARCHAR, raw VARCHAR"),
        "id", appended=True,
    ),
    Table("marks", _columns("fact VARCHAR, tenant INTEGER, seq BIGINT, error VARCHAR, attempts INTEGER, tried_at TIMESTAMP")),
    Table("frozen", _columns("tenant INTEGER, until TIMESTAMP")),
    Table("tenants", _columns("tenant INTEGER, name VARCHAR, zone VARCHAR")),
    Table("hours", _columns("tenant INTEGER, calendar VARCHAR, since TIMESTAMP")),
    Table(
        "snapshots",
        _columns("tenant INTEGER, account VARCHAR, kind VARCHAR, date DATE, window_start TIMESTAMP, window_end TIMESTAMP, "
                 "zone VARCHAR, state VARCHAR, definition_version INTEGER, made_at TIMESTAMP, document VARCHAR"),
    ),
)  # fmt: skip
"""All tables but those of rollups and `meta`."""

META = Table("meta", _columns("key VARCHAR, value VARCHAR"))


def rollup_tables() -> Iterator[Table]:
    """Yield the tables of all rollups, their grains and their histograms."""
    for rollup in ROLLUPS:
        for grain in rollup.keep:
            for name, columns in fold.schema(rollup, grain):
                yield Table(name, tuple(columns))
