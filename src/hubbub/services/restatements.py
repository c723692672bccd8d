"""Restatements: closing the numbers of past days, and noting later changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, timedelta

from hubbub.control.control import Control
from hubbub.control.erasures import Erasures
from hubbub.control.restatements import Restatement, Restatements, WantedRestatements
from hubbub.errors import HubbubError
from hubbub.facts.moments import moment
from hubbub.metrics.catalogue import find
from hubbub.model.page import Page, check_limit, paged, place_of
from hubbub.model.question import check_order, parse_date, parse_moment
from hubbub.model.tenant import Tenant
from hubbub.model.window import day_of
from hubbub.query.queries import Queries
from hubbub.query.restated import AT_ONCE, compare, seen

LONGEST = timedelta(days=400)
"""How far back closed days are checked."""


@dataclass(frozen=True, slots=True)
class Restated:
    """The result of checking closed days: tenants, stored days, changed numbers, errors by tenant."""

    tenants: int
    days: int
    changed: int
    errors: Mapping[str, str]


class RestatementService:
    """Closes days, and keeps the ledger of changes."""

    def __init__(self, control: Control, queries: Queries, erasures: Erasures) -> None:
        self._control, self._queries, self._erasures = control, queries, erasures
        self.store = Restatements(control.database)

    def of(
        self,
        tenant: str,
        since: str | None = None,
        metric: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
        *,
        first: str | None = None,
        after: str | None = None,
    ) -> Page[Restatement]:
        """Return a tenant's closed numbers that changed since a moment (date or RFC 3339), newest first.

        `first` and `after`: only of days from the first up to the day after the last. Raises BadQuestionError.
        """
        owner = self._control.tenant(tenant)
        if metric is not None:
            find(metric)
        start, end = (parse_date(day) if day is not None else None for day in (first, after))
        if start is not None and end is not None:
            check_order(start, end)
        found_from = parse_moment(since, owner.zone) if since is not None else None
        wanted = WantedRestatements(found_from, start, end, metric)
        place = place_of(cursor, int)
        rows = self.store.page(owner.id, wanted, place[0] if place else None, check_limit(limit) + 1)
        return paged(rows, limit, lambda row: (row[0],), lambda row: row[1])

    def restate(self, tenant: str | None = None) -> Restated:
        """Check the past days of all tenants or one: close settled numbers, and note changes of closed ones.

        A tenant's error stops no other.
        """
        done, errors = [], {}
        for owner in self._control.chosen(tenant):
            try:
                done.append(self._restate(owner))
            except HubbubError as error:
                errors[owner.id] = error.message
        return Restated(len(done), sum(days for days, _ in done), sum(changed for _, changed in done), errors)

    def _restate(self, tenant: Tenant) -> tuple[int, int]:
        erased = self._erasures.of(tenant.id)
        erased_at = max(erased.contacts.values()).replace(tzinfo=UTC) if erased and erased.contacts else None
        stored = changed = 0
        with self._queries.asking(tenant) as (ask, reading, now):
            since = reading.value("SELECT min(time) FROM event WHERE tenant = ?", (tenant.no,))
            today = day_of(now, tenant.tz)
            first_of_events = day_of(moment(since), tenant.tz) if since is not None else today
            first_closed = self.store.first_closed(tenant.id) or today  # an erasure may empty the first days
            first = max(min(first_of_events, first_closed), today - LONGEST)
            while first < today:
                after = min(first + timedelta(days=AT_ONCE), today)
                was = self.store.closed(tenant.id, first, after)
                days, changes = compare(reading, tenant, was, seen(ask, tenant, first, after), erased_at, now)
                self.store.write(tenant.id, days, changes)
                stored, changed, first = stored + len(days), changed + len(changes), after
        self.store.forget(tenant.id, today - LONGEST)
        return stored, changed
