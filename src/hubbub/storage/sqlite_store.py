"""The embedded engine: one folder with the log, the events and facts, and the identities of all events ever stored."""

from __future__ import annotations

from pathlib import Path

from hubbub.errors import StoreDamagedError
from hubbub.storage import intact, sqlite_schema
from hubbub.storage.backend import Backend
from hubbub.storage.sqlite import Database
from hubbub.storage.sqlite_identity import Identities
from hubbub.storage.sqlite_log import Log

FILE = "hubbub.db"


def connect(folder: Path, free_floor: int) -> Backend:
    """Open the files of a folder, or create them; read-only files are opened for reading.

    Raises StoreDamagedError, StoreFullError, StoreUnavailableError.
    """
    intact.check(folder, folder / FILE)
    facts = Database(folder / FILE)
    prepare = sqlite_schema.create if facts.writable else sqlite_schema.check
    facts.exclusive(lambda con: prepare(con, facts.name))
    identities = Identities(facts, folder)
    log = Log(folder, facts, identities, free_floor)
    _check(facts, log)
    return Backend(facts, identities, log, (log.database, facts))


def _check(facts: Database, log: Log) -> None:
    """Raise StoreDamagedError where one of the two files is empty or older: each holds the progress of the other."""
    forgotten = log.forgotten()  # read first: it never exceeds a `stored` that is read later
    with facts.read() as reading:
        stored = int(reading.value("SELECT value FROM meta WHERE key = 'stored'") or 0)
    last = log.last()
    if forgotten > stored:
        raise intact.facts_behind(facts.path, stored, forgotten)
    if last < stored:
        raise StoreDamagedError(
            f"{log.database.path} or its write-ahead log is damaged or missing: it ends with batch {last}, and those up to "
            f"{stored} were stored; restore the folder from a backup"
        )
