"""What an engine gives a store: the database of events and facts, the log, and the identities of all events ever stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hubbub.storage.identity import Identities
from hubbub.storage.log import Log
from hubbub.storage.transaction import Database

if TYPE_CHECKING:
    from hubbub.storage.copy import Copy


@dataclass(frozen=True, slots=True)
class Backend:
    """The parts of a store. `databases`: all to poll for changes, rewrite and close, the log's before the facts'.

    `copy`: the copy of the facts in ClickHouse, from which answers aggregate; None: they aggregate from `facts`.
    """

    facts: Database
    identities: Identities
    log: Log
    databases: tuple[Database, ...]
    copy: Copy | None = None
