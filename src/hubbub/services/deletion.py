"""Deletion of tenants: closed first, and deleted with all their data after some days of grace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hubbub.clock import Clock
from hubbub.control import removal
from hubbub.control.control import Control
from hubbub.errors import BadInputError
from hubbub.model.page import Page
from hubbub.model.window import utc_naive
from hubbub.progress import Progress, quiet
from hubbub.query.cached import CachedAnswers
from hubbub.services import tenant_deletion
from hubbub.services.exports import Exports
from hubbub.services.jobs import JobService
from hubbub.services.reports import ReportService
from hubbub.storage import backup
from hubbub.storage.store import Store
from hubbub.storage.tenant_tables import Owner
from hubbub.telemetry import log

LONGEST_GRACE = 365.0


@dataclass(frozen=True, slots=True)
class DeletedTenant:
    """The result of a deletion: rows by table, state (open, closed, deleted), and when a closed tenant is deleted."""

    tenant: str
    dry_run: bool
    rows: Mapping[str, int]
    state: str
    delete_at: datetime | None


@dataclass(frozen=True, slots=True)
class ReopenedTenant:
    """A reopened tenant."""

    tenant: str
    state: str = "open"


@dataclass(frozen=True, slots=True)
class ClosedTenant:
    """A closed tenant, and when it is deleted."""

    tenant: str
    delete_at: datetime


@dataclass(frozen=True, slots=True)
class Purged:
    """What was deleted after its time: tenants, and the number of exports."""

    deleted: Sequence[str]
    exports: int


class DeletionService:
    """Closes, reopens and deletes tenants."""

    def __init__(
        self,
        clock: Clock,
        store: Store,
        control: Control,
        cached: CachedAnswers,
        reports: ReportService,
        jobs: JobService,
        exports: Exports,
    ) -> None:
        self._clock, self._store, self._control, self._cached = clock, store, control, cached
        self._reports, self._jobs, self._exports = reports, jobs, exports

    def delete(
        self,
        tenant: str,
        confirm: str | None = None,
        grace: float = 7.0,
        *,
        dry_run: bool = False,
        progress: Progress = quiet,
    ) -> DeletedTenant:
        """Close a tenant, and delete it after the days of grace; with zero days, now. `dry_run` only counts its rows.

        `confirm` must repeat its name. While closed, its keys are refused and it is hidden; `undelete` reopens it. Raises
        NotFoundError, BadInputError.
        """
        if not 0 <= grace <= LONGEST_GRACE:
            raise BadInputError(f"grace: {grace} is not a number of days from 0 to {LONGEST_GRACE:.0f}")
        closed = {id_: no for no, id_, _ in self._control.closed_tenants()}
        no = closed[tenant] if tenant in closed else self._control.tenant(tenant).no
        rows = tenant_deletion.rows_of(self._store, self._control.database, no, tenant)
        if dry_run:
            return DeletedTenant(tenant, dry_run, rows, "closed" if tenant in closed else "open", None)
        if confirm != tenant:
            raise BadInputError(f"confirm: repeat {tenant!r}; all its data will be deleted")
        moment = self._clock() + timedelta(days=grace)
        if tenant not in closed:
            self._control.close_tenant(tenant, moment)
        log.info("tenant closed", tenant=tenant, delete_at=moment.isoformat())
        if grace > 0:
            return DeletedTenant(tenant, dry_run, rows, "closed", moment.astimezone(UTC))
        self._delete(no, tenant, progress)
        return DeletedTenant(tenant, dry_run, rows, "deleted", None)

    def undelete(self, tenant: str) -> ReopenedTenant:
        """Reopen a closed tenant, with all its data. Raises NotFoundError when no closed tenant has the name."""
        return ReopenedTenant(self._control.reopen_tenant(tenant).id)

    def closed(self) -> Page[ClosedTenant]:
        """Return the closed tenants, soonest deletion first."""
        return Page([ClosedTenant(id_, at) for _, id_, at in self._control.closed_tenants()])

    def purge(self, progress: Progress = quiet) -> Purged:
        """Delete closed tenants whose time is over, late data of tenants deleted before, and expired exports."""
        moment = utc_naive(self._clock())
        due = [(no, id_) for no, id_, at in self._control.closed_tenants() if at <= moment]
        for no, id_ in due:
            self._delete(no, id_, progress)
        for no in removal.lately(self._control.database, moment):
            tenant_deletion.remove_rows(self._store, Owner(no), progress)
        return Purged([id_ for _, id_ in due], self._exports.prune())

    def _delete(self, no: int, tenant: str, progress: Progress) -> None:
        self._jobs.forget_tenant(tenant)
        for folder in (self._reports.store.folder, self._exports.folder):
            backup.remove_folder(folder / tenant)
        tenant_deletion.remove(self._store, self._control.database, no, tenant, progress)
        self._cached.drop_all()
        log.info("tenant deleted", no=no)
