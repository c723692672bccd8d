"""Retention: what is older than a tenant keeps goes; what is gone is null from then on, never 0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hubbub.clock import Clock
from hubbub.control.control import Control
from hubbub.facts.retention import retention
from hubbub.query.cached import CachedAnswers
from hubbub.services.deletion import DeletionService
from hubbub.services.fetching import FetchService
from hubbub.storage.store import Store


@dataclass(frozen=True, slots=True)
class Retained:
    """What went, or would go: a row for each tenant with counts by table, and up to where facts are gone."""

    rows: Sequence[Mapping[str, Any]]
    dry_run: bool


class RetentionService:
    """Deletes what is past its retention; of all tenants also what else is over: closed tenants, exports, texts."""

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
        """Delete what each tenant's retention says, or count it. Raises NotFoundError."""
        if tenant is None and not dry_run:
            self._deletion.purge()
            self._fetching.forget_texts()
        chosen = self._control.chosen(tenant)
        rows = retention(self._store, chosen, self._clock(), dry_run=dry_run)
        self._cached.drop([] if dry_run else chosen)
        return Retained([one.answer() for one in rows], dry_run)
