"""PostgreSQL as the engine of a store: events, facts, log and identities in one database, shared by any number of processes."""

from __future__ import annotations

from hubbub.storage import postgresql_schema
from hubbub.storage.backend import Backend
from hubbub.storage.postgresql import Database
from hubbub.storage.postgresql_log import Identities, Log


def connect(url: str) -> Backend:
    """Open the store at a URL, and create its tables. Raises StoreUnavailableError, StoreDamagedError, StoreBusyError."""
    database = Database(url)
    try:
        postgresql_schema.create(database)
    except BaseException:
        database.close()
        raise
    return Backend(database, Identities(database), Log(database), (database,))
