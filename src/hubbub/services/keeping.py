"""The engine's operations that keep data safe and movable: backup, export, import and deletion of tenants.

`Engine` (app.py) inherits them. What works without an open engine (restore, carrying control data) stands below the class.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hubbub.clock import Clock, system_clock
from hubbub.control import installation, removal
from hubbub.control.control import Control
from hubbub.control.control_migration import Carried, carry_control, carry_jobs
from hubbub.control.database import Database
from hubbub.control.erasures import Erasures
from hubbub.errors import BadInputError, ConflictError, NotFoundError
from hubbub.facts.moments import micros
from hubbub.facts.refresh import refresh
from hubbub.query.cached import CachedAnswers
from hubbub.services import tenant_deletion, tenant_export, tenant_import
from hubbub.services.erased_since import adopt, erasures_of, found_again, later_erasures
from hubbub.services.exports import Exports
from hubbub.services.job_queues import jobs_of
from hubbub.services.jobs import JobService
from hubbub.services.reports import ReportService
from hubbub.settings import Settings
from hubbub.storage import backup
from hubbub.storage.backup import Manifest, Progress
from hubbub.storage.store import FILE, Store
from hubbub.storage.tenant_tables import Owner, count
from hubbub.telemetry import log
from hubbub.version import __version__

OPERATIONS = (
    "backup", "erase_again", "export_tenant", "import_tenant", "delete_tenant", "undelete_tenant", "closed_tenants",
    "purge_tenants", "start_export", "show_export", "export_file",
)  # fmt: skip
"""Those that a command may ask it to do."""

LONGEST_GRACE = 365.0


def _quiet(_: str) -> None:
    pass


class KeepingOperations:
    """What an engine does so that nothing is lost, and that what is to go does."""

    settings: Settings
    clock: Clock
    store: Store
    control: Control
    database: Database
    cached: CachedAnswers
    reports: ReportService
    jobs: JobService

    erasure_store: Erasures

    if TYPE_CHECKING:

        def erase(self, tenant: str, contact: str, *, dry_run: bool = False) -> dict[str, Any]: ...

    def _open_keeping(self) -> None:
        installation.bind(self.store, self.database, self._keys(), self.clock)
        self.exports = Exports(self.settings.data / "exports", self.clock)

    def _keys(self) -> dict[str, str]:
        return installation.digests(
            self.control.derived("installation"), self.settings.data, self.settings.secret_key.get_secret_value()
        )

    # --- backup

    def backup(self, target: str | Path, progress: Progress = _quiet) -> dict[str, Any]:
        """Write a consistent copy of everything into a new folder, while all goes on; returns counts, size and what it lacks.

        Raises ConflictError when the folder exists, StoreUnavailableError, DatabaseUnavailableError; and BadInputError where events
        live in PostgreSQL, which says how they are backed up.
        """
        if self.settings.store_url:
            from hubbub.storage import dumped

            raise BadInputError(dumped.advice(self.settings.store_url, self.settings.data, Path(target)))
        place, left_out = Path(target).absolute(), []
        with backup.making(place) as new:
            as_of, counts = backup.copy_store(self.store.folder, new, lambda: micros(self.clock()), progress)
            left_out += self._back_up_jobs(new, progress)
            left_out += self._back_up_control(new, progress)
            installation.align(new)
            counts["reports"] = backup.copy_folders(self.reports.store.folder, new / "reports")
            keys = backup.copy_keys(self.store.folder, new)
            manifest = Manifest(__version__, as_of, self.store.installation(), counts, left_out)
            backup.write_manifest(new, manifest, progress)
        installation.renew(self.store, self.database, self.clock)  # from now on, this copy is an older one
        size = sum(file.bytes for file in manifest.files.values())
        log.info("backup made", path=str(place), bytes=size, **counts)
        return {
            "backup": str(place), **counts, "files": len(manifest.files), "bytes": size, "left_out": left_out,
            "keys": [f"{backup.KEYS}/{name}" for name in keys],
        }  # fmt: skip

    def _back_up_control(self, new: Path, progress: Progress) -> list[str]:
        file = _file_of(self.settings.control_address)
        if file is not None:
            backup.copy_database(file, new / "control.db")
            progress("control.db copied")
            return []
        (new / "control.db").touch(mode=0o600)
        with closing(Database(f"sqlite:///{new / 'control.db'}")) as copy:
            carry_control(self.database, copy, progress)
        backup.one_file(new / "control.db")
        return [
            "control_url: control data was copied out of PostgreSQL into control.db; carry it back with migrate-control"
        ]

    def _back_up_jobs(self, new: Path, progress: Progress) -> list[str]:
        file = _file_of(self.settings.jobs_address)
        if file is None:
            return ["jobs_url: jobs lie in PostgreSQL and are not in this backup; back that up with pg_dump"]
        if file.exists():
            backup.copy_database(file, new / "jobs.db")
            progress("jobs.db copied")
        return []

    def erase_again(self, as_of: int, source: str | Path | None = None, progress: Progress = _quiet) -> dict[str, Any]:
        """Erase once more who was erased since the moment `as_of` (microseconds), when the restored backup was taken.

        `source` knows of later erasures: the data folder or control database that this installation had, or what
        `hubbub erasures --json` printed. Returns how many are known, and how many contacts were found and erased.
        """
        known = later_erasures(self.database, as_of)
        if source is not None:
            others = erasures_of(source, self.store.installation(), as_of)
            adopt(self.database, others)
            self.control.follow()
            known = list({one.id: one for one in (*known, *others.erasures)}.values())
        erased = 0
        for tenant, contact in found_again(self.store, self.control.tenants(), known, self.erasure_store.contact):
            self.erase(tenant, contact)
            erased += 1
            progress(f"{erased} contacts erased again")
        return {"erasures": len(known), "erased_again": erased}

    # --- export and import

    def export_tenant(self, tenant: str, target: str | Path, progress: Progress = _quiet) -> dict[str, Any]:
        """Write all that a tenant owns into a new folder; returns rows by table. Raises NotFoundError, ConflictError."""
        one = self.control.tenant(tenant)
        found = tenant_export.export(self.store, one, Path(target), self.clock(), progress)
        log.info("tenant exported", tenant=tenant, identities=found.identities)
        return {"tenant": tenant, "export": str(target), "rows": found.rows, "identities": found.identities}

    def import_tenant(self, source: str | Path, name: str | None = None, progress: Progress = _quiet) -> dict[str, Any]:
        """Make a tenant of an export, under its own id or `name`, with every number as it was; returns rows by table.

        Raises NotFoundError, BadInputError, ConflictError, StoreDamagedError.
        """

        def remove(no: int, tenant: str) -> None:
            tenant_deletion.remove(self.store, self.database, no, tenant, _quiet)

        tenant, found = tenant_import.import_tenant(
            self.store, self.control, Path(source), self.clock(), remove, progress, name
        )
        log.info("tenant imported", tenant=tenant.id)
        return {"tenant": tenant.id, "rows": found.rows, "identities": found.identities}

    def start_export(self, tenant: str) -> dict[str, Any]:
        """Begin an export that can be downloaded; returns its id and state. Raises NotFoundError, ConflictError for too many."""
        one = self.control.tenant(tenant)

        def write(folder: Path, heard: Callable[[int], None]) -> dict[str, Any]:
            refresh(self.store, one.no)
            with self.store.facts.read() as reading:
                total = sum(count(reading, Owner(one.no, one.id)).values()) or 1
            done = [0]

            def written(rows: int) -> None:
                done[0] += rows
                heard(min(99, 100 * done[0] // total))

            found = tenant_export.export(self.store, one, folder, self.clock(), _quiet, written)
            return {"rows": found.rows, "identities": found.identities}

        return self.exports.start(one.id, write)

    def show_export(self, tenant: str, export: str) -> dict[str, Any]:
        """Return state (running, made, failed) and progress of an export, and when it will be deleted; raises NotFoundError."""
        return self.exports.show(self.control.tenant(tenant).id, export)

    def export_file(self, tenant: str, export: str) -> dict[str, Any]:
        """Return the `path` of an export as a ZIP file, and a `name` for whoever saves it; raises NotFoundError."""
        return self.exports.file(self.control.tenant(tenant).id, export)

    def _close_keeping(self) -> None:
        self.exports.close()

    # --- deletion

    def delete_tenant(
        self,
        tenant: str,
        confirm: str | None = None,
        grace: float = 7.0,
        *,
        dry_run: bool = False,
        progress: Progress = _quiet,
    ) -> dict[str, Any]:
        """Close a tenant, and delete it when so many days of grace are over; with none, now. `dry_run` only counts its rows.

        `confirm` has to be its name once more. Closed, its keys are refused and it is not found; `undelete_tenant` opens it.
        Raises NotFoundError, BadInputError.
        """
        if not 0 <= grace <= LONGEST_GRACE:
            raise BadInputError(f"grace: {grace} is not a number of days from 0 to {LONGEST_GRACE:.0f}")
        closed = {id_: no for no, id_, _ in self.control.closed_tenants()}
        no = closed[tenant] if tenant in closed else self.control.tenant(tenant).no
        rows = tenant_deletion.rows_of(self.store, self.database, no, tenant)
        answer: dict[str, Any] = {"tenant": tenant, "dry_run": dry_run, "rows": rows}
        if dry_run:
            return {**answer, "state": "closed" if tenant in closed else "open", "delete_at": None}
        if confirm != tenant:
            raise BadInputError(f"confirm: write {tenant!r} once more; all it has will be deleted")
        moment = self.clock() + timedelta(days=grace)
        if tenant not in closed:
            self.control.close_tenant(tenant, moment)
        log.info("tenant closed", tenant=tenant, delete_at=moment.isoformat())
        if grace > 0:
            return {**answer, "state": "closed", "delete_at": moment.astimezone(UTC).isoformat()}
        self._delete(no, tenant, progress)
        return {**answer, "state": "deleted", "delete_at": None}

    def undelete_tenant(self, tenant: str) -> dict[str, Any]:
        """Let a closed tenant be there again, with all it had. Raises NotFoundError when none of this name is closed."""
        one = self.control.reopen_tenant(tenant)
        return {"tenant": one.id, "state": "open"}

    def closed_tenants(self) -> dict[str, Any]:
        """Return the tenants that wait to be deleted, and when that will be."""
        rows = [{"tenant": id_, "delete_at": at.isoformat() + "Z"} for _, id_, at in self.control.closed_tenants()]
        return {"rows": rows}

    def purge_tenants(self, progress: Progress = _quiet) -> dict[str, Any]:
        """Delete closed tenants whose time is over, what came late of those deleted before, and exports that nobody fetched."""
        moment = self.clock().astimezone(UTC).replace(tzinfo=None)
        due = [(no, id_) for no, id_, at in self.control.closed_tenants() if at <= moment]
        for no, id_ in due:
            self._delete(no, id_, progress)
        for no in removal.lately(self.database, moment):
            tenant_deletion.remove_rows(self.store, Owner(no), progress)
        return {"deleted": [id_ for _, id_ in due], "exports": self.exports.prune()}

    def _delete(self, no: int, tenant: str, progress: Progress) -> None:
        self.jobs.forget_tenant(tenant)
        for folder in (self.reports.store.folder, self.exports.folder):
            backup.remove_folder(folder / tenant)
        tenant_deletion.remove(self.store, self.database, no, tenant, progress)
        self.cached.drop_all()
        log.info("tenant deleted", no=no)


# --- without an open engine


def restore(source: Path, folder: Path, progress: Progress = _quiet, keys: Path | None = None) -> dict[str, Any]:
    """Fill an empty folder from a backup; returns counts, and what has to be done by hand. See `backup.restore` for errors."""
    manifest = backup.restore(source, folder, progress, keys)
    return {"data": str(folder), **manifest.counts, "left_out": manifest.left_out, "as_of": manifest.as_of}


def carry(settings: Settings, control_url: str, jobs_url: str, progress: Progress = _quiet) -> list[Carried]:
    """Copy control data and jobs of an installation into empty databases, and prove that nothing differs; the source stays.

    Raises ConflictError for a target that has rows or is the source, StoreBusyError for a source that is changed meanwhile.
    """
    source, jobs = settings.control_address, settings.jobs_address
    if control_url == source or jobs_url == jobs:
        raise ConflictError("the target is where this installation has its data now: name another one")
    for url in (source, jobs):
        file = _file_of(url)
        if file is not None and not file.exists() and url == source:
            raise NotFoundError(f"{file} is not there: {settings.data} is not the data folder of an installation")
    with closing(Database(source)) as out, closing(Database(control_url)) as into:
        carried = carry_control(out, into, progress)
    file = _file_of(jobs)
    if file is None or file.exists():
        for url in (jobs, jobs_url):
            jobs_of(settings.model_copy(update={"jobs_url": url})).close()  # makes the tables
        with closing(Database(jobs)) as out, closing(Database(jobs_url)) as into:
            carried += carry_jobs(out, into, progress)
    return carried


def bind_again(settings: Settings, *, really: bool) -> dict[str, Any]:
    """Let folder, control database and keys of an installation belong together from now on; or only say what they are."""
    folder = settings.data
    if not settings.store_url and not (folder / FILE).is_file():
        raise NotFoundError(f"{folder} holds no store: there is nothing to bind")
    secret = settings.secret_key.get_secret_value()
    with closing(Store(folder, settings.store_url)) as store, closing(Database(settings.control_address)) as database:
        control = Control(database, folder, secret)
        with store.facts.read() as reading:
            numbers = [no for (no,) in reading.rows("SELECT DISTINCT tenant FROM event")]
        known = {one.no: one.id for one in control.tenants().values()}
        if really:
            keys = installation.digests(control.derived("installation"), folder, secret)
            installation.rebind(store, database, keys, system_clock)
        tenants = [
            {"number": no, "tenant": known.get(no), "has_events": no in numbers} for no in sorted({*numbers, *known})
        ]
        return {"installation": store.installation(), "bound": really, "tenants": tenants}


def _file_of(url: str) -> Path | None:
    """Return the file of a SQLite database's URL, None for PostgreSQL."""
    return Path(url.removeprefix("sqlite:///")) if url.startswith("sqlite:///") else None
