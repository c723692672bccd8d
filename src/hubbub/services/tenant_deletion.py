"""Deletion of a tenant: its rows in every table and file, to the last byte."""

from __future__ import annotations

from hubbub.control import removal
from hubbub.control.database import Database
from hubbub.progress import Progress
from hubbub.storage.store import Store
from hubbub.storage.tenant_tables import Owner, Table, count, tables

AT_ONCE = 5_000
"""Rows deleted in one transaction: others write in between."""


def rows_of(store: Store, database: Database, no: int, tenant: str) -> dict[str, int]:
    """Return the number of a tenant's rows, by table."""
    with store.facts.read() as reading:
        return count(reading, Owner(no, tenant)) | removal.count(database, tenant)


def remove(store: Store, database: Database, no: int, tenant: str, progress: Progress) -> None:
    """Remove a closed tenant from the store and from control data. After an interruption, the same call continues.

    Raises StoreBusyError when somebody reads for longer than a minute: then all rows are deleted, but bytes of them remain in a
    file.
    """
    remove_rows(store, Owner(no, tenant), progress)
    removal.take_out(database, no, tenant)
    progress("control data deleted")
    store.rewrite()


def remove_rows(store: Store, owner: Owner, progress: Progress) -> int:
    """Delete a tenant's rows and identities; returns the number of rows."""
    total = 0
    with store.settling:
        total += store.log.forget_tenant(owner.no)
        for table in tables(passing=True):
            total += _empty(store, table, owner, progress)
        with store.log.exclusive():
            store.identities.forget(owner.no)
    if total:
        store.announce([owner.no])
    return total


def _empty(store: Store, table: Table, owner: Owner, progress: Progress) -> int:
    deleted = 0
    while True:
        with store.facts.write(owner.no) as writing:
            count = table.delete_some(writing, owner, AT_ONCE)
        deleted += count
        if count < AT_ONCE:
            return deleted
        progress(f"{table.name}: {deleted} rows deleted")
