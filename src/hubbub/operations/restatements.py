"""The engine's operations on restatements: closing the numbers of days that are over, and saying which changed later.

`Engine` (app.py) inherits them.
"""

from __future__ import annotations

from abc import ABC
from datetime import UTC, timedelta
from typing import Any

from hubbub.clock import Clock
from hubbub.errors import HubbubError
from hubbub.facts.moments import moment
from hubbub.metrics.catalogue import find
from hubbub.model.page import check_limit, cut, place_of
from hubbub.model.question import parse_moment
from hubbub.model.tenant import Tenant
from hubbub.model.window import day_of
from hubbub.query.queries import Queries
from hubbub.query.restated import AT_ONCE, compare, seen
from hubbub.store.control import Control
from hubbub.store.erasures import Erasures
from hubbub.store.restatements import Restatements, plain

OPERATIONS = ("restatements", "restate")
"""Those that a command, a route or a worker may ask it to do."""
LONGEST = timedelta(days=400)
"""How far back closed days are looked at again."""


class RestatementOperations(ABC):
    """What an engine does about restatements."""

    clock: Clock
    control: Control
    queries: Queries
    erasure_store: Erasures

    def _open_restatements(self) -> None:
        self.restatement_store = Restatements(self.control.database)

    def restatements(
        self,
        tenant: str,
        since: str | None = None,
        metric: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> dict[str, Any]:
        """Return closed numbers that changed since a moment (date or RFC 3339), newest first, and `next`, a cursor or None.

        Each has the day, metric, channel (null: the whole), old and new value, and why. Raises BadQuestionError.
        """
        one = self.control.tenant(tenant)
        if metric is not None:
            find(metric)
        place = place_of(cursor, int)
        found = self.restatement_store.page(
            one.id, parse_moment(since, one.zone) if since is not None else None, metric, place[0] if place else None,
            check_limit(limit) + 1,
        )  # fmt: skip
        rows, following = cut(found, limit, lambda row: (row.no,))
        return {"rows": [plain(row) for row in rows], "next": following}

    def restate(self, tenant: str | None = None) -> dict[str, Any]:
        """Look at the days that are over of all tenants or one: close what is settled, and note what changed since it was closed.

        Counts tenants, days that were stored, and numbers that changed; one tenant's error stops no other.
        """
        self.control.follow()
        counts: dict[str, Any] = {"tenants": 0, "days": 0, "changed": 0, "errors": {}}
        tenants = self.control.tenants()
        for one in [self.control.tenant(tenant)] if tenant is not None else list(tenants.values()):
            try:
                days, changes = self._restate(one)
            except HubbubError as error:
                counts["errors"][one.id] = error.message
                continue
            counts |= {
                "tenants": counts["tenants"] + 1, "days": counts["days"] + days, "changed": counts["changed"] + changes
            }  # fmt: skip
        return counts

    def _restate(self, tenant: Tenant) -> tuple[int, int]:
        erased = self.erasure_store.of(tenant.id)
        erased_at = max(erased.contacts.values()).replace(tzinfo=UTC) if erased and erased.contacts else None
        stored = changed = 0
        with self.queries.asking(tenant) as (ask, reading, now):
            since = reading.value("SELECT min(time) FROM event WHERE tenant = ?", (tenant.no,))
            today = day_of(now, tenant.tz)
            first = max(day_of(moment(since), tenant.tz), today - LONGEST) if since is not None else today
            while first < today:
                after = min(first + timedelta(days=AT_ONCE), today)
                was = self.restatement_store.closed(tenant.id, first, after)
                days, changes = compare(reading, tenant, was, seen(ask, tenant, first, after), erased_at, now)
                self.restatement_store.write(tenant.id, days, changes)
                stored, changed, first = stored + len(days), changed + len(changes), after
        self.restatement_store.forget(tenant.id, today - LONGEST)
        return stored, changed
