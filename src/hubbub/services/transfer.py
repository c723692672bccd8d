"""Transfer: all data of a tenant into a folder or a file, and from there into another installation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hubbub.clock import Clock
from hubbub.control.control import Control
from hubbub.facts.refresh import refresh
from hubbub.progress import Progress, quiet
from hubbub.services import tenant_deletion, tenant_export, tenant_import
from hubbub.services.exports import Contents, Export, ExportFile, Exports
from hubbub.storage.store import Store
from hubbub.storage.tenant_tables import Owner, count
from hubbub.telemetry import log


@dataclass(frozen=True, slots=True)
class ExportedTenant:
    """A tenant's export in a folder: rows by table, and the number of known event identities."""

    tenant: str
    export: str
    rows: Mapping[str, int]
    identities: int


@dataclass(frozen=True, slots=True)
class ImportedTenant:
    """A tenant created from an export."""

    tenant: str
    rows: Mapping[str, int]
    identities: int


class TransferService:
    """Exports and imports tenants; `exports` are those made in the background."""

    def __init__(self, clock: Clock, store: Store, control: Control, exports: Exports) -> None:
        self._clock, self._store, self._control, self._exports = clock, store, control, exports

    def export(self, tenant: str, target: str | Path, progress: Progress = quiet) -> ExportedTenant:
        """Write all data of a tenant into a new folder. Raises NotFoundError, ConflictError."""
        owner = self._control.tenant(tenant)
        exported = tenant_export.export(self._store, owner, Path(target), self._clock(), progress)
        log.info("tenant exported", tenant=tenant, identities=exported.identities)
        return ExportedTenant(tenant, str(target), exported.rows, exported.identities)

    def take_in(self, source: str | Path, name: str | None = None, progress: Progress = quiet) -> ImportedTenant:
        """Create a tenant from an export, with its own id or `name`; every number is the same.

        Raises NotFoundError, BadInputError, ConflictError, StoreDamagedError.
        """

        def remove(no: int, tenant: str) -> None:
            tenant_deletion.remove(self._store, self._control.database, no, tenant, quiet)

        tenant, imported = tenant_import.import_tenant(
            self._store, self._control, Path(source), self._clock(), remove, progress, name
        )
        log.info("tenant imported", tenant=tenant.id)
        return ImportedTenant(tenant.id, imported.rows, imported.identities)

    def start(self, tenant: str) -> Export:
        """Start an export for download. Raises NotFoundError, ConflictError for too many."""
        owner = self._control.tenant(tenant)

        def write(folder: Path, report: Callable[[int], None]) -> Contents:
            refresh(self._store, owner.no)
            with self._store.facts.read() as reading:
                total = sum(count(reading, Owner(owner.no, owner.id)).values()) or 1
            done = [0]

            def written(rows: int) -> None:
                done[0] += rows
                report(min(99, 100 * done[0] // total))

            exported = tenant_export.export(self._store, owner, folder, self._clock(), quiet, written)
            return Contents(exported.rows, exported.identities)

        return self._exports.start(owner.id, write)

    def get(self, tenant: str, export: str) -> Export:
        """Return state, progress and expiry of an export. Raises NotFoundError."""
        return self._exports.show(self._control.tenant(tenant).id, export)

    def file(self, tenant: str, export: str) -> ExportFile:
        """Return an export as a ZIP file. Raises NotFoundError."""
        return self._exports.file(self._control.tenant(tenant).id, export)
