"""Move a whole installation from its store into another: from the data folder to PostgreSQL, from there to a folder, or elsewhere.

What was in use is only read. Cut short, the same call goes on; what is there is compared by tenant and month before the target can
be opened as an installation: its id is written last.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from hubbub.control import installation
from hubbub.control.control import Control
from hubbub.control.database import Database
from hubbub.errors import BadInputError, ConflictError, NotFoundError, StoreBusyError
from hubbub.facts.refresh import refresh
from hubbub.services.control_carrying import carry
from hubbub.settings import COPIES, Settings
from hubbub.storage import backup, schema
from hubbub.storage.store import FILE, Store
from hubbub.storage.tenant_copy import Month, copied, copy, forget_notes, prove
from hubbub.storage.tenant_tables import Owner

Progress = Callable[[str], None]
KEPT = ("installation", "mark")
"""What `meta` says of an installation, which is the same in both."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a store goes: a URL of PostgreSQL, or a folder; and where control data and jobs go with it."""

    folder: Path
    url: str
    control: str
    jobs: str


def target_of(settings: Settings, text: str) -> Target:
    """Return what a person means by a URL or a folder. Raises BadInputError, ConflictError."""
    if text.startswith("postgresql://"):
        if text == settings.facts_address:
            raise ConflictError("this installation has its events there now: name another database")
        return Target(settings.data, text, text, text)
    if text.startswith(COPIES):
        raise BadInputError(
            "ClickHouse holds a copy of what is in PostgreSQL: move there, then set control_url to it and store_url to ClickHouse"
        )
    if "://" in text:
        raise BadInputError("a store is a folder, or postgresql://user@host/database")
    folder = Path(text).absolute()
    if not settings.facts_address and folder == settings.data.absolute():
        raise ConflictError("this installation has its events there now: name another folder")
    return Target(folder, "", f"sqlite:///{folder / 'control.db'}", f"sqlite:///{folder / 'jobs.db'}")


def migrate_store(settings: Settings, to: str, progress: Progress) -> list[Month]:
    """Copy events, facts, control data and jobs into another store, prove that nothing differs; rows by tenant and month.

    Raises BadInputError, NotFoundError, ConflictError for a target that holds something else, StoreBusyError where the source
    changed meanwhile.
    """
    target = target_of(settings, to)
    if not settings.facts_address and not (settings.data / FILE).is_file():
        raise NotFoundError(f"{settings.data} holds no store: there is nothing to move")
    with (
        closing(Store(settings.data, settings.facts_address, settings.copy_address)) as source,
        closing(Store(target.folder, target.url)) as there,
        closing(Database(settings.control_address)) as database,
    ):
        _begin(source, there)
        _copy_keys(settings.data, target.folder)
        refresh(source)
        control = Control(database, settings.data, settings.secret_key.get_secret_value())
        owners = [Owner(one.no, one.id) for one in control.tenants().values()]
        owners += [Owner(no, id_) for no, id_, _ in control.closed_tenants()]
        for owner in owners:
            if not copied(there, owner):
                copy(source, there, owner, progress)
        there.log.go_on_behind(_last(source) >> 20)
        months = _proved(source, there, owners, progress)
        if not _carried(settings, target, source.installation()):
            carry(settings, target.control, target.jobs, progress)
        _finish(source, there)
    return months


def _begin(source: Store, there: Store) -> None:
    """Note in the target whose copy it becomes. Raises ConflictError where it is something else already."""
    mine = source.installation() or ""
    with there.facts.write() as writing:
        begun = writing.value("SELECT value FROM meta WHERE key = 'copying'")
        if begun is None and (
            writing.value("SELECT 1 FROM event LIMIT 1")
            or writing.value("SELECT 1 FROM meta WHERE key = 'installation'")
        ):
            raise ConflictError(f"{there.facts.name} is not empty: give an empty database, or a new folder")
        if begun not in (None, mine):
            raise ConflictError(f"{there.facts.name} holds part of another installation: give an empty one")
        writing.run(schema.upsert("meta"), ("copying", mine))


def _copy_keys(source: Path, target: Path) -> None:
    """Let the folder of the target have the keys of the source, where these are files."""
    for name in ("pepper", "secret.key"):
        if (source / name).is_file() and not (target / name).exists():
            backup.copy_file(source / name, target / name)


def _last(source: Store) -> int:
    with source.facts.read() as reading:
        events: int = reading.value("SELECT max(seq) FROM event") or 0
        refused: int = reading.value("SELECT max(id) FROM quarantine") or 0
    return max(events, refused, 0)


def _proved(source: Store, there: Store, owners: list[Owner], progress: Progress) -> list[Month]:
    months, wrong = [], []
    for owner in owners:
        equal, differs = prove(source, there, owner)
        months += equal
        wrong += differs
        progress(f"{owner.id}: compared")
    if wrong:
        raise StoreBusyError(
            f"{len(wrong)} parts differ, like {wrong[0]}: the source was changed meanwhile; stop all servers and workers, "
            "and begin again with an empty target"
        )
    return months


def _carried(settings: Settings, target: Target, mine: str | None) -> bool:
    """Say whether control data and jobs are there already: since they are carried as a whole, one row tells."""
    if target.control == settings.control_address:
        return True
    with closing(Database(target.control)) as database:
        database.make(installation.installation)
        with database.read() as con:
            return con.execute(installation.installation.select()).first() is not None and mine is not None


def _finish(source: Store, there: Store) -> None:
    """Make the target an installation: write down which, and forget that it was a copy."""
    forget_notes(there)
    with source.facts.read() as reading:
        said = [(key, reading.value("SELECT value FROM meta WHERE key = ?", (key,))) for key in KEPT]
    with there.facts.write() as writing:
        writing.many(schema.upsert("meta"), [(key, value) for key, value in said if value is not None])
        writing.run("DELETE FROM meta WHERE key = 'copying'")
