"""Transfer: all that a tenant owns into a folder or a file, and out of it into another installation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hubbub.clock import Clock
from hubbub.control.control import Control
from hubbub.facts.refresh import Progress, quiet, refresh
from hubbub.services import tenant_deletion, tenant_export, tenant_import
from hubbub.services.exports import Contents, Export, ExportFile, Exports
from hubbub.storage.store import Store
from hubbub.storage.tenant_tables import Owner, count
from hubbub.telemetry import log


@dataclass(frozen=True, slots=True)
class ExportedTenant:
    """A tenant's export in a folder: rows by table, and events that are known to have been stored."""

    tenant: str
    export: str
    rows: Mapping[str, int]
    identities: int


@dataclass(frozen=True, slots=True)
class ImportedTenant:
    """A tenant that was made of an export."""

    tenant: str
    rows: Mapping[str, int]
    identities: int


class TransferService:
    """Exports and imports tenants; `exports` are those that are made in the background."""

    def __init__(self, clock: Clock, store: Store, control: Control, exports: Exports) -> None:
        self._clock, self._store, self._control, self._exports = clock, store, control, exports

    def export(self, tenant: str, target: str | Path, progress: Progress = quiet) -> ExportedTenant:
        """Write all that a tenant owns into a new folder. Raises NotFoundError, ConflictError."""
        one = self._control.tenant(tenant)
        found = tenant_export.export(self._store, one, Path(target), self._clock(), progress)
        log.info("tenant exported", tenant=tenant, identities=found.identities)
        return ExportedTenant(tenant, str(target), found.rows, found.identities)

    def take_in(self, source: str | Path, name: str | None = None, progress: Progress = quiet) -> ImportedTenant:
        """Make a tenant of an export, under its own id or `name`, with every number as it was.

        Raises NotFoundError, BadInputError, ConflictError, StoreDamagedError.
        """

        def remove(no: int, tenant: str) -> None:
            tenant_deletion.remove(self._store, self._control.database, no, tenant, quiet)

        tenant, found = tenant_import.import_tenant(
            self._store, self._control, Path(source), self._clock(), remove, progress, name
        )
        log.info("tenant imported", tenant=tenant.id)
        return ImportedTenant(tenant.id, found.rows, found.identities)

    def start(self, tenant: str) -> Export:
        """Begin an export that can be downloaded. Raises NotFoundError, ConflictError for too many."""
        one = self._control.tenant(tenant)

        def write(folder: Path, heard: Callable[[int], None]) -> Contents:
            refresh(self._store, one.no)
            with self._store.facts.read() as reading:
                total = sum(count(reading, Owner(one.no, one.id)).values()) or 1
            done = [0]

            def written(rows: int) -> None:
                done[0] += rows
                heard(min(99, 100 * done[0] // total))

            found = tenant_export.export(self._store, one, folder, self._clock(), quiet, written)
            return Contents(found.rows, found.identities)

        return self._exports.start(one.id, write)

    def get(self, tenant: str, export: str) -> Export:
        """Return state and progress of an export, and when it will be deleted; raises NotFoundError."""
        return self._exports.show(self._control.tenant(tenant).id, export)

    def file(self, tenant: str, export: str) -> ExportFile:
        """Return an export as a ZIP file; raises NotFoundError."""
        return self._exports.file(self._control.tenant(tenant).id, export)
