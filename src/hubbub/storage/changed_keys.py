"""The keys of rows that changed in PostgreSQL since they were last shipped to the copy in ClickHouse.

A trigger adds a key in the transaction that changes the row, so no committed change is missed, whoever writes it. Keys are added
only for tenants that are copied already, and for published tables once they are. For each table, one statement takes an owner's
keys together with their rows of the same moment. An owner is a tenant, or ALL_PUBLISHED.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hubbub.storage import schema
from hubbub.storage.copied import COPIED, FACTS, PUBLISHED, Copied
from hubbub.storage.postgresql import ALL, LOCKS, MAKING, Database, Transaction
from hubbub.storage.postgresql_connection import LONG
from hubbub.storage.postgresql_schema import LAYOUT, column_type

ALL_PUBLISHED = -1
"""The owner of the published rows of all tenants, which are shipped together."""
POSITION = """
CREATE TABLE IF NOT EXISTS copy_position (tenant BIGINT PRIMARY KEY, begun BIGINT NOT NULL, done BIGINT NOT NULL);
CREATE SEQUENCE IF NOT EXISTS copy_number;
"""
"""For each owner, the numbers of the last shipment that began and of the last that ended: they differ after a process died."""
PENDING = " OR ".join(f"EXISTS (SELECT 1 FROM changed_{table.name} WHERE tenant = :tenant)" for table in FACTS)
"""Whether any row of a tenant changed since its last shipment."""
WAITING = " UNION ".join(
    (
        f"SELECT tenant FROM copy_position WHERE begun <> done AND tenant <> {ALL_PUBLISHED}",
        *(f"SELECT tenant FROM changed_{table.name}" for table in FACTS),
    )
)
"""Tenants with changed rows, or with a shipment that did not end."""
PUBLISHED_WAIT = " OR ".join(
    (
        f"NOT EXISTS (SELECT 1 FROM copy_position WHERE tenant = {ALL_PUBLISHED} AND begun = done)",
        *(f"EXISTS (SELECT 1 FROM changed_{table.name})" for table in PUBLISHED),
    )
)
"""Whether a published row changed since the last shipment, or no shipment ended yet."""


def _noting(table: Copied) -> str:
    columns = ", ".join(f'"{name}" {column_type(LAYOUT[table.name][0][name])}' for name in table.key)
    key, name = ", ".join(f'"{column}"' for column in table.key), table.name
    owner = str(ALL_PUBLISHED) if table.published else "c.tenant"
    triggers = "".join(
        f"""
        DROP TRIGGER IF EXISTS {name}_{event.lower()}_{rows.lower()}_is_changed ON {name};
        CREATE TRIGGER {name}_{event.lower()}_{rows.lower()}_is_changed AFTER {event} ON {name} REFERENCING {rows} TABLE AS changed
            FOR EACH STATEMENT EXECUTE FUNCTION {name}_is_changed();"""
        for event, rows in (("INSERT", "NEW"), ("UPDATE", "OLD"), ("UPDATE", "NEW"), ("DELETE", "OLD"))
    )
    return f"""
        CREATE TABLE IF NOT EXISTS changed_{name} ({columns});
        CREATE INDEX IF NOT EXISTS changed_{name}_tenant ON changed_{name} (tenant);
        CREATE OR REPLACE FUNCTION {name}_is_changed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            INSERT INTO changed_{name} ({key}) SELECT {key} FROM changed AS c
                WHERE EXISTS (SELECT 1 FROM copy_position AS p WHERE p.tenant = {owner});
            RETURN NULL;
        END $$;
        {triggers}
    """


MADE = hashlib.blake2b("".join((POSITION, *map(_noting, COPIED))).encode(), digest_size=8).hexdigest()
"""The hash of these declarations; `meta` holds it as `noting` while the triggers exist."""


def install(database: Database) -> None:
    """Create the tables and triggers, or replace other versions of them, while nobody writes; then every tenant is copied whole."""
    if _made_by(database) == MADE:
        return
    with _exclusive(database) as making:
        making.run(LONG)
        making.run(POSITION)
        for table in COPIED:
            making.run(_noting(table))
        _forget(making)
        making.run(schema.upsert("meta"), ("noting", MADE))


def remove(database: Database) -> None:
    """Drop the triggers, if any: a store without a copy records no changes. Processes that use the copy stop using it."""
    if _made_by(database) is None:
        return
    with _exclusive(database) as making:
        for table in COPIED:
            making.run(f"DROP FUNCTION IF EXISTS {table.name}_is_changed() CASCADE")
        _forget(making)
        making.run("DELETE FROM meta WHERE key IN ('noting', 'copy')")


def _forget(making: Transaction) -> None:
    making.run("DELETE FROM copy_position")
    for table in COPIED:
        making.run(f"TRUNCATE changed_{table.name}")


@contextmanager
def _exclusive(database: Database) -> Iterator[Transaction]:
    with database.append() as making:
        for lock in (MAKING, ALL):
            making.run("SELECT pg_advisory_xact_lock(CAST(? AS INTEGER), CAST(? AS INTEGER))", (LOCKS, lock))
        yield making


def _made_by(database: Database) -> str | None:
    with database.read() as reading:
        made: str | None = reading.value("SELECT value FROM meta WHERE key = 'noting'")
        return made


def taken(writing: Transaction, table: Copied, owner: int) -> Iterator[tuple[Any, ...]]:
    """Delete an owner's changed keys, and yield a row for each: its columns, then 1 if the row was deleted, else 0."""
    keys = [name for name in table.key if table.published or name != "tenant"]
    listed = ", ".join(f'"{name}"' for name in keys)
    on = " AND ".join(
        f'r."{name}" IS NOT DISTINCT FROM k."{name}"' if name in table.nullable else f'r."{name}" = k."{name}"'
        for name in keys
    )
    shown = ", ".join(
        f'k."{name}"' if name in keys else ":owner" if name == "tenant" else f'r."{name}"' for name in table.columns
    )
    rows = writing.rows(
        f"WITH c AS (DELETE FROM changed_{table.name} WHERE {_owned(table, 'tenant')} RETURNING {listed}), "
        f"k AS (SELECT DISTINCT {listed} FROM c) SELECT {shown}, CAST(r.tenant IS NULL AS INTEGER) FROM k "
        f"LEFT JOIN {table.name} AS r ON {_owned(table, 'r.tenant')} AND {on}", {"owner": owner},
    )  # fmt: skip
    of_key = [name in table.key for name in table.columns]
    for row in rows:
        if row[-1]:
            row = (*(v if own else e for v, own, e in zip(row, of_key, table.empty, strict=False)), 1)
        yield row


def all_of(writing: Transaction, table: Copied, owner: int) -> Iterator[tuple[Any, ...]]:
    """Yield all of an owner's rows, as `taken` does."""
    shown = ", ".join(f'"{name}"' for name in table.columns)
    yield from writing.scan(f"SELECT {shown}, 0 FROM {table.name} WHERE {_owned(table, 'tenant')}", {"owner": owner})


def _owned(table: Copied, column: str) -> str:
    """Return the condition on rows that belong to `:owner`."""
    return "TRUE" if table.published else f"{column} = :owner"
