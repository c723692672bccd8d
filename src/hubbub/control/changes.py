"""Counts of changes in control data, by which every process notices what others wrote. Each is a table of one row."""

from __future__ import annotations

import sqlalchemy as sa

from hubbub.control.database import metadata

tenant_changes = sa.Table("tenant_changes", metadata, sa.Column("number", sa.BigInteger, nullable=False))
"""Changes of tenants and erasures."""
source_changes = sa.Table("source_changes", metadata, sa.Column("number", sa.BigInteger, nullable=False))
"""Changes of integrations and their coverage."""


def count_change(con: sa.Connection, counter: sa.Table) -> int:
    """Count a change in the caller's transaction; returns the number of changes."""
    if not con.execute(counter.update().values(number=counter.c.number + 1)).rowcount:
        con.execute(counter.insert().values(number=1))
    return changes(con, counter)


def changes(con: sa.Connection, counter: sa.Table) -> int:
    """Return the number of changes."""
    return con.execute(sa.select(counter.c.number)).scalar() or 0
