"""Moving an installation from its store to another: from the data folder to PostgreSQL, back, or elsewhere.

The source is only read. The next call continues an interrupted move. The copy is compared by tenant and month before the
target can be opened as an installation: its id is written last.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from hubbub.control import installation
from hubbub.control.control import Control
from hubbub.control.database import Database
from hubbub.errors import BadInputError, ConflictError, NotFoundError, StoreBusyError
from hubbub.facts.refresh import refresh
from hubbub.progress import Progress
from hubbub.services.control_carrying import carry
from hubbub.settings import COPIES, Settings
from hubbub.storage import backup, schema
from hubbub.storage.store import FILE, Store
from hubbub.storage.tenant_copy import Month, copied, copy, forget_notes, prove
from hubbub.storage.tenant_tables import Owner

KEPT = ("installation", "mark")
"""Keys of `meta` about the installation, equal in both stores."""


@dataclass(frozen=True, slots=True)
class Target:
    """The destination of a store: a URL of PostgreSQL, or a folder; with those of control data and jobs."""

    folder: Path
    url: str
    control: str
    jobs: str


def target_of(settings: Settings, text: str) -> Target:
    """Return the target of a URL or folder. Raises BadInputError, ConflictError."""
    if text.startswith("postgresql://"):
        if text == settings.facts_address:
            raise ConflictError("this installation already has its events there: give another database")
        return Target(settings.data, text, text, text)
    if text.startswith(COPIES):
        raise BadInputError(
            "ClickHouse holds a copy of what is in PostgreSQL: move to PostgreSQL, then set control_url to it and "
            "store_url to ClickHouse"
        )
    if "://" in text:
        raise BadInputError("a store is a folder, or postgresql://user@host/database")
    folder = Path(text).absolute()
    if not settings.facts_address and folder == settings.data.absolute():
        raise ConflictError("this installation already has its events there: give another folder")
    return Target(folder, "", f"sqlite:///{folder / 'control.db'}", f"sqlite:///{folder / 'jobs.db'}")


def migrate_store(settings: Settings, to: str, progress: Progress) -> list[Month]:
    """Copy events, facts, control data and jobs to another store, and prove that nothing differs; rows by tenant and month.

    Raises BadInputError, NotFoundError, ConflictError for a target with other data, StoreBusyError for a source that changed
    meanwhile.
    """
    target = target_of(settings, to)
    if not settings.facts_address and not (settings.data / FILE).is_file():
        raise NotFoundError(f"{settings.data} has no store: there is nothing to move")
    with (
        closing(Store(settings.data, settings.facts_address, settings.copy_address)) as source,
        closing(Store(target.folder, target.url)) as destination,
        closing(Database(settings.control_address)) as database,
    ):
        _begin(source, destination)
        _copy_keys(settings.data, target.folder)
        refresh(source)
        control = Control(database, settings.data, settings.secret_key.get_secret_value())
        owners = [Owner(tenant.no, tenant.id) for tenant in control.tenants().values()]
        owners += [Owner(no, id_) for no, id_, _ in control.closed_tenants()]
        for owner in owners:
            if not copied(destination, owner):
                copy(source, destination, owner, progress)
        destination.log.go_on_behind(_last(source) >> 20)
        months = _proved(source, destination, owners, progress)
        if not _carried(settings, target, source.installation()):
            carry(settings, target.control, target.jobs, progress)
        _finish(source, destination)
    return months


def _begin(source: Store, destination: Store) -> None:
    """Note the source's id in the target. Raises ConflictError for a target with other data."""
    own_id = source.installation() or ""
    with destination.facts.write() as writing:
        copying = writing.value("SELECT value FROM meta WHERE key = 'copying'")
        if copying is None and (
            writing.value("SELECT 1 FROM event LIMIT 1")
            or writing.value("SELECT 1 FROM meta WHERE key = 'installation'")
        ):
            raise ConflictError(f"{destination.facts.name} is not empty: give an empty database, or a new folder")
        if copying not in (None, own_id):
            raise ConflictError(f"{destination.facts.name} has part of another installation: give an empty one")
        writing.run(schema.upsert("meta"), ("copying", own_id))


def _copy_keys(source: Path, target: Path) -> None:
    """Copy the source's key files to the target's folder."""
    for name in ("pepper", "secret.key"):
        if (source / name).is_file() and not (target / name).exists():
            backup.copy_file(source / name, target / name)


def _last(source: Store) -> int:
    with source.facts.read() as reading:
        events: int = reading.value("SELECT max(seq) FROM event") or 0
        refused: int = reading.value("SELECT max(id) FROM quarantine") or 0
    return max(events, refused, 0)


def _proved(source: Store, destination: Store, owners: list[Owner], progress: Progress) -> list[Month]:
    months, differing = [], []
    for owner in owners:
        equal, differs = prove(source, destination, owner)
        months += equal
        differing += differs
        progress(f"{owner.id}: compared")
    if differing:
        raise StoreBusyError(
            f"{len(differing)} parts differ, like {differing[0]}: the source changed meanwhile; stop all servers and workers, "
            "and start again with an empty target"
        )
    return months


def _carried(settings: Settings, target: Target, own_id: str | None) -> bool:
    """Whether control data and jobs are in the target: they are copied whole, so one row proves it."""
    if target.control == settings.control_address:
        return True
    with closing(Database(target.control)) as database:
        database.make(installation.installation)
        with database.read() as con:
            return con.execute(installation.installation.select()).first() is not None and own_id is not None


def _finish(source: Store, destination: Store) -> None:
    """Make the target an installation: write its id, and delete the notes of the copy."""
    forget_notes(destination)
    with source.facts.read() as reading:
        values = [(key, reading.value("SELECT value FROM meta WHERE key = ?", (key,))) for key in KEPT]
    with destination.facts.write() as writing:
        writing.many(schema.upsert("meta"), [(key, value) for key, value in values if value is not None])
        writing.run("DELETE FROM meta WHERE key = 'copying'")
