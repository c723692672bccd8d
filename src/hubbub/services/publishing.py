"""Publishing: refreshing the tables of `hubbub.db` for other programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from hubbub.clock import Clock
from hubbub.control.control import Control
from hubbub.model.question import parse_date
from hubbub.publishing.publish import Published, publish
from hubbub.query.queries import Queries
from hubbub.services.facts import FactService
from hubbub.storage.store import Store


@dataclass(frozen=True, slots=True)
class Aggregated:
    """The result of refreshing a table: tenants, rows, errors by tenant."""

    processed: int = 0
    created: int = 0
    errors: Mapping[str, str] = field(default_factory=dict)

    def plus(self, later: Aggregated) -> Aggregated:
        """Return both together: the tenants are the same in both."""
        return Aggregated(
            max(self.processed, later.processed), self.created + later.created, {**self.errors, **later.errors}
        )


@dataclass(frozen=True, slots=True)
class TrendsMade:
    """The result of refreshing rows of trends: tenants, rows, errors by tenant."""

    tenants_processed: int
    trends_created: int
    errors: Mapping[str, str]


class PublishingService:
    """Writes the published tables of all tenants; a failing one stops no other."""

    def __init__(self, clock: Clock, store: Store, control: Control, queries: Queries, facts: FactService) -> None:
        self._clock, self._store, self._control, self._queries, self._facts = clock, store, control, queries, facts

    def publish(self) -> Published:
        """Write the stale days again."""
        return publish(self._store, self._queries, self._control.chosen(None), self._clock())

    def aggregate(
        self, relation: str | None = None, start: str | None = None, end: str | None = None, tenant: str | None = None
    ) -> Aggregated:
        """Refresh the published tables, after folding `[start, end)` again where given.

        `relation` is the table whose rows are counted; None: all.
        """
        errors = self._facts.backfill(start, end, tenant).errors if start is not None and end is not None else {}
        chosen = [owner for owner in self._control.chosen(tenant) if owner.id not in errors]
        done = publish(self._store, self._queries, chosen, self._clock(), table=relation)
        return Aggregated(len(chosen), done.rows, {**errors, **done.errors})

    def trends(self, dates: Sequence[str]) -> TrendsMade:
        """Refresh the rows of `communication_trends` of dates (in each tenant's own zone)."""
        tenants = self._control.chosen(None)
        days = [parse_date(day) for day in dates]
        span = (min(days), max(days) + timedelta(days=1)) if days else None
        done = publish(self._store, self._queries, tenants, self._clock(), table="communication_trends", days=span)
        return TrendsMade(len(tenants), done.rows, done.errors)
