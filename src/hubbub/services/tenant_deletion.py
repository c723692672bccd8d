"""Deletion of a tenant: its rows in every table and file, and no byte of them left."""

from __future__ import annotations

from hubbub.control import removal
from hubbub.control.database import Database
from hubbub.storage.backup import Progress
from hubbub.storage.store import Store
from hubbub.storage.tenant_tables import Owner, Table, count, tables

AT_ONCE = 5_000
"""Rows that go in one transaction: others write in between."""


def rows_of(store: Store, database: Database, no: int, tenant: str) -> dict[str, int]:
    """Return how many rows a tenant has, by table."""
    with store.facts.read() as reading:
        return count(reading, Owner(no, tenant)) | removal.count(database, tenant)


def remove(store: Store, database: Database, no: int, tenant: str, progress: Progress) -> None:
    """Take a tenant, which is closed, out of the store and out of control data. Cut short, the same goes on.

    Raises StoreBusyError while somebody reads for longer than a minute: then all is deleted, and bytes of it are left in a file.
    """
    remove_rows(store, Owner(no, tenant), progress)
    removal.take_out(database, no, tenant)
    progress("control data deleted")
    store.rewrite()


def remove_rows(store: Store, owner: Owner, progress: Progress) -> int:
    """Delete a tenant's rows and identities; returns how many rows."""
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
    gone = 0
    while True:
        with store.facts.write(owner.no) as writing:
            count = table.delete_some(writing, owner, AT_ONCE)
        gone += count
        if count < AT_ONCE:
            return gone
        progress(f"{table.name}: {gone} rows deleted")
