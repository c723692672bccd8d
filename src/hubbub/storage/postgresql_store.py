"""PostgreSQL as the engine of a store: events, facts, log and identities in one database, shared by any number of processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hubbub.errors import BadSettingError
from hubbub.storage import changed_keys, postgresql_schema
from hubbub.storage.backend import Backend
from hubbub.storage.postgresql import Database
from hubbub.storage.postgresql_log import Identities, Log

if TYPE_CHECKING:
    from hubbub.storage.copy import Copy


def connect(url: str, copy_url: str = "") -> Backend:
    """Open the store at a URL, and create its tables; `copy_url`: the URL of its copy in ClickHouse, which may be away.

    Raises StoreUnavailableError, StoreDamagedError, StoreBusyError.
    """
    database = Database(url)
    try:
        postgresql_schema.create(database)
        copy = _copy(database, copy_url)
    except BaseException:
        database.close()
        raise
    return Backend(database, Identities(database), Log(database), (database,), copy)


def _copy(database: Database, url: str) -> Copy | None:
    """Open the copy of a store; without a URL, stop recording changes for one. Raises BadSettingError without its driver."""
    if not url:
        changed_keys.remove(database)
        return None
    try:
        from hubbub.storage.copy import Copy
    except ModuleNotFoundError as error:
        raise BadSettingError("store_url: ClickHouse needs the extra: pip install 'hubbub[clickhouse]'") from error
    return Copy(database, url)
