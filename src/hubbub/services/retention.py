"""Retention: deleting data past a tenant's retention; deleted numbers are null from then on, never 0."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from hubbub.clock import Clock
from hubbub.control.control import Control
from hubbub.facts.retention import retention
from hubbub.model.plain import AS_JSON, JsonRow
from hubbub.query.cached import CachedAnswers
from hubbub.services.deletion import DeletionService
from hubbub.services.fetching import FetchService
from hubbub.storage.store import Store


@dataclass(frozen=True, slots=True)
class Retained:
    """Deleted data, or data to delete: a row for each tenant with counts by table, and the end of deleted facts."""

    rows: Sequence[JsonRow] = field(metadata=AS_JSON)
    dry_run: bool


class RetentionService:
    """Deletes data past retention; for all tenants also closed tenants, exports and texts past their time."""

    def __init__(
        self,
        clock: Clock,
        store: Store,
        control: Control,
        cached: CachedAnswers,
        deletion: DeletionService,
        fetching: FetchService,
    ) -> None:
        self._clock, self._store, self._control, self._cached = clock, store, control, cached
        self._deletion, self._fetching = deletion, fetching

    def apply(self, tenant: str | None = None, *, dry_run: bool = False) -> Retained:
        """Delete, or count, data past each tenant's retention. Raises NotFoundError."""
        if tenant is None and not dry_run:
            self._deletion.purge()
            self._fetching.forget_texts()
        chosen = self._control.chosen(tenant)
        rows = retention(self._store, chosen, self._clock(), dry_run=dry_run)
        self._cached.drop([] if dry_run else chosen)
        return Retained([row.answer() for row in rows], dry_run)
