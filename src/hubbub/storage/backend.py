"""What an engine gives a store: where events and facts are, the log before them, and the identities of all that ever was."""

from __future__ import annotations

from dataclasses import dataclass

from hubbub.storage.identity import Identities
from hubbub.storage.log import Log
from hubbub.storage.transaction import Database


@dataclass(frozen=True, slots=True)
class Backend:
    """The parts of a store. `databases`: all that is to be asked, rewritten and closed, the log's before the facts'."""

    facts: Database
    identities: Identities
    log: Log
    databases: tuple[Database, ...]
