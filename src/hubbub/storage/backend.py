"""What an engine gives a store: the database of events and facts, the log, and the identities of all events ever stored."""

from __future__ import annotations

from dataclasses import dataclass

from hubbub.storage.identity import Identities
from hubbub.storage.log import Log
from hubbub.storage.transaction import Database


@dataclass(frozen=True, slots=True)
class Backend:
    """The parts of a store. `databases`: each to poll for changes, rewrite and close, the log's before the facts'."""

    facts: Database
    identities: Identities
    log: Log
    databases: tuple[Database, ...]
