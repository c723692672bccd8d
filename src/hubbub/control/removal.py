"""Delete a tenant from control data: every row that names it; its number stays reserved."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa

from hubbub.control.changes import count_change, tenant_changes
from hubbub.control.control import tenants
from hubbub.control.database import Database, metadata, now
from hubbub.control.idempotency import repeats

LATE = timedelta(days=2)
"""Time for which rows of a deleted tenant are deleted again: an earlier request may have been slow."""

deleted = sa.Table(
    "deleted_tenants", metadata,
    sa.Column("no", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", sa.DateTime, nullable=False),
)  # fmt: skip


def naming(tenant: str) -> list[tuple[sa.Table, sa.ColumnElement[bool]]]:
    """Return the tables that name a tenant, each with the condition of its rows; referencing tables first."""
    named = [(table, table.c.tenant == tenant) for table in reversed(metadata.sorted_tables) if "tenant" in table.c]
    return [*named, (repeats, repeats.c.owner == tenant), (tenants, tenants.c.id == tenant)]


def count(database: Database, tenant: str) -> dict[str, int]:
    """Return how many rows name a tenant, by table, without empty ones."""
    database.make(deleted)
    with database.read() as con:
        present = set(sa.inspect(con).get_table_names())
        rows = {
            table.name: con.execute(sa.select(sa.func.count()).select_from(table).where(its)).scalar_one()
            for table, its in naming(tenant)
            if table.name in present
        }
    return {name: n for name, n in rows.items() if n}


def take_out(database: Database, no: int, tenant: str) -> None:
    """Delete every row that names a tenant in one transaction, note its number, then remove every byte of the rows."""
    database.make(deleted)
    with database.write() as con:
        present = set(sa.inspect(con).get_table_names())
        for table, its in naming(tenant):
            if table.name in present:
                con.execute(table.delete().where(its))
        con.execute(deleted.delete().where(deleted.c.no == no))
        con.execute(deleted.insert().values(no=no, at=now()))
        count_change(con, tenant_changes)
    database.purge(*(table for table, _ in naming(tenant) if table.name in present))


def lately(database: Database, moment: datetime) -> list[int]:
    """Return the numbers of tenants deleted lately, before a time (UTC without zone)."""
    database.make(deleted)
    with database.read() as con:
        return list(con.execute(sa.select(deleted.c.no).where(deleted.c.at > moment - LATE)).scalars())
