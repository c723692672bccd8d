"""Facts: refreshed, folded again for a range, and verified."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from hubbub.control.control import Control
from hubbub.errors import NOT_NOW, BadQuestionError, WindowFrozenError
from hubbub.facts.moments import micros
from hubbub.facts.rebuild import FOLDED_BY, backfill
from hubbub.facts.refresh import refresh
from hubbub.facts.verify import verify
from hubbub.model.event import nearest
from hubbub.model.question import check_order, parse_moment
from hubbub.model.tenant import Tenant
from hubbub.progress import Progress, quiet
from hubbub.storage.schema import FOREVER
from hubbub.storage.store import Store
from hubbub.telemetry import BEHIND, REFRESH_SECONDS, REFRESHES


@dataclass(frozen=True, slots=True)
class Refreshed:
    """The result of a refresh: stored events, and folded units by kind."""

    events: int
    units: Mapping[str, int]
    errors: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refolded:
    """The result of folding a range again: units in all and by kind, errors by tenant."""

    folded: int
    units: Mapping[str, int]
    errors: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Verified:
    """The result of a verification: compared units and rows, and differing rows in all and by table."""

    clean: bool
    units: int
    rows: int
    differences: int
    by_table: Mapping[str, int]
    examples: Mapping[str, Sequence[str]]
    """By table, the units of a few differing rows."""


class FactService:
    """Refreshes and verifies facts of all tenants, or of one."""

    def __init__(self, store: Store, control: Control) -> None:
        self._store, self._control = store, control

    def refresh(self, tenant: str | None = None, *, step: Progress = quiet) -> Refreshed:
        """Store the waiting events of the log and fold the affected units. Raises NotFoundError."""
        only = self._control.tenant(tenant).no if tenant is not None else None
        begun = time.perf_counter()
        try:
            done = refresh(self._store, only, progress=step)
        except Exception:
            REFRESHES.labels("errors").inc()
            raise
        finally:
            REFRESH_SECONDS.observe(time.perf_counter() - begun)
            BEHIND.set(self._store.log.behind())
        REFRESHES.labels("ok").inc()
        if only is None and self._store.copy is not None:
            with suppress(*NOT_NOW):  # answers come from the store meanwhile
                self._store.copy.ship_all()
        return Refreshed(done.events, done.units)

    def backfill(
        self, start: str, end: str, tenant: str | None = None, fact: str | None = None, *, step: Progress = quiet
    ) -> Refolded:
        """Fold everything again that has an event in a range; dates are days of each tenant's zone.

        `fact`: the fact to fold, None for all. Raises BadQuestionError for a range without days or an unknown fact, and for one
        tenant WindowFrozenError where all of the range is gone; with several tenants that is among the errors.
        """
        if fact is not None and fact not in FOLDED_BY:
            raise BadQuestionError(f"there is no fact {fact[:80]!r}{nearest(fact, list(FOLDED_BY))}")
        units: dict[str, int] = {}
        errors: dict[str, str] = {}
        for owner in self._control.chosen(tenant):
            low, high = _range(owner, start, end)
            try:
                for unit, count in backfill(self._store, [owner], low, high, fact, step).items():
                    units[unit] = units.get(unit, 0) + count
            except WindowFrozenError as error:
                if tenant is not None:
                    raise
                errors[owner.id] = error.message
        return Refolded(sum(units.values()), units, errors)

    def verify(
        self, tenant: str | None = None, start: str | None = None, end: str | None = None, *, step: Progress = quiet
    ) -> Verified:
        """Fold everything again, and count differences to the stored rows. Raises NotFoundError, BadQuestionError."""
        tenants = self._control.chosen(tenant)
        low, high = _range(tenants[0], start, end) if tenants else (0, FOREVER)
        compared = verify(self._store, tenants, low, high, step)
        differences = sum(compared.differences.values())
        return Verified(
            compared.clean, compared.units, compared.rows, differences, compared.differences, compared.examples
        )


def _range(tenant: Tenant, start: str | None, end: str | None) -> tuple[int, int]:
    """Return a range in microseconds; dates are days of the tenant. Raises BadQuestionError for an empty one."""
    low = micros(parse_moment(start, tenant.zone)) if start else 0
    high = micros(parse_moment(end, tenant.zone)) if end else FOREVER
    check_order(low, high)
    return low, high
