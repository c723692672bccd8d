"""Backups: copies of an installation in a new folder, made while it runs, and restoring them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from hubbub.clock import Clock
from hubbub.control import installation
from hubbub.control.control import Control
from hubbub.control.control_migration import carry_control
from hubbub.control.database import Database, file_of
from hubbub.errors import BadInputError
from hubbub.facts.moments import micros
from hubbub.progress import Progress, quiet
from hubbub.settings import Settings
from hubbub.storage import backup
from hubbub.storage.backup import Manifest
from hubbub.storage.store import Store
from hubbub.telemetry import log
from hubbub.version import __version__


@dataclass(frozen=True, slots=True)
class BackupMade:
    """A backup: its folder, contents and size, what it lacks, and its key files."""

    backup: str
    events: int
    batches: int
    batches_waiting: int
    reports: int
    files: int
    bytes: int
    left_out: Sequence[str]
    keys: Sequence[str]


@dataclass(frozen=True, slots=True)
class Restored:
    """A restored backup: the data folder, its contents, what remains to be done by hand, and its moment in microseconds."""

    data: str
    events: int
    batches: int
    batches_waiting: int
    reports: int
    left_out: Sequence[str]
    as_of: int


class BackupService:
    """Backs an installation up; `reports` is the folder of its reports."""

    def __init__(self, settings: Settings, clock: Clock, store: Store, control: Control, reports: Path) -> None:
        self._settings, self._clock, self._store, self._control, self._reports = (
            settings,
            clock,
            store,
            control,
            reports,
        )

    def make(self, target: str | Path, progress: Progress = quiet) -> BackupMade:
        """Write a consistent copy of everything into a new folder, while the installation runs.

        Raises ConflictError when the folder exists, StoreUnavailableError, DatabaseUnavailableError; and BadInputError for events
        in PostgreSQL, with the way to back them up.
        """
        if self._settings.facts_address:
            from hubbub.storage import dumped

            raise BadInputError(dumped.advice(self._settings.facts_address, self._settings.data, Path(target)))
        place, left_out = Path(target).absolute(), []
        with backup.making(place) as new:
            as_of, counts = backup.copy_store(self._store.folder, new, lambda: micros(self._clock()), progress)
            left_out += self._back_up_jobs(new, progress)
            left_out += self._back_up_control(new, progress)
            installation.align(new)
            counts["reports"] = backup.copy_folders(self._reports, new / "reports")
            keys = backup.copy_keys(self._store.folder, new)
            manifest = Manifest(__version__, as_of, self._store.installation(), counts, left_out)
            backup.write_manifest(new, manifest, progress)
        installation.renew(self._store, self._control.database, self._clock)  # a restored copy is recognized as older
        size = sum(file.bytes for file in manifest.files.values())
        log.info("backup made", path=str(place), bytes=size, **counts)
        return BackupMade(
            str(place), **counts, files=len(manifest.files), bytes=size, left_out=left_out,
            keys=[f"{backup.KEYS}/{name}" for name in keys],
        )  # fmt: skip

    def _back_up_control(self, new: Path, progress: Progress) -> list[str]:
        file = file_of(self._settings.control_address)
        if file is not None:
            backup.copy_database(file, new / "control.db")
            progress("control.db copied")
            return []
        (new / "control.db").touch(mode=0o600)
        with closing(Database(f"sqlite:///{new / 'control.db'}")) as copy:
            carry_control(self._control.database, copy, progress)
        backup.one_file(new / "control.db")
        return [
            "control_url: control data was copied out of PostgreSQL into control.db; carry it back with migrate-control"
        ]

    def _back_up_jobs(self, new: Path, progress: Progress) -> list[str]:
        file = file_of(self._settings.jobs_address)
        if file is None:
            return ["jobs_url: jobs are in PostgreSQL and not in this backup; back it up with pg_dump"]
        if file.exists():
            backup.copy_database(file, new / "jobs.db")
            progress("jobs.db copied")
        return []


def restore(source: Path, folder: Path, progress: Progress = quiet, keys: Path | None = None) -> Restored:
    """Fill an empty folder from a backup. See `backup.restore` for errors."""
    manifest = backup.restore(source, folder, progress, keys)
    return Restored(str(folder), **manifest.counts, left_out=manifest.left_out, as_of=manifest.as_of)
