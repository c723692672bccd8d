"""The inside of an embedded store, typed, for tests: its files and its log."""

from __future__ import annotations

from hubbub.storage.sqlite import Database
from hubbub.storage.sqlite_identity import Identities
from hubbub.storage.sqlite_log import Log
from hubbub.storage.store import Store


def log_of(store: Store) -> Log:
    """Return the log of an embedded store."""
    assert isinstance(store.log, Log)
    return store.log


def facts_of(store: Store) -> Database:
    """Return the file of events and facts of an embedded store."""
    assert isinstance(store.facts, Database)
    return store.facts


def identities_of(store: Store) -> Identities:
    """Return the identities of an embedded store."""
    assert isinstance(store.identities, Identities)
    return store.identities
