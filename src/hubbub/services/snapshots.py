"""Snapshots of days, weeks and months: made, settled after the last receipts, and read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

from hubbub.clock import Clock
from hubbub.control.control import Control
from hubbub.errors import BadQuestionError, WindowFrozenError
from hubbub.metrics.snapshots import Kind
from hubbub.model.plain import ABSENT
from hubbub.model.question import check_order, parse_date, parse_moment
from hubbub.model.tenant import Tenant
from hubbub.publishing import snapshots
from hubbub.publishing.snapshots import Made, Snapshot
from hubbub.query.cached import CachedAnswers, CachedCall, Part, cacheable
from hubbub.query.queries import Queries
from hubbub.query.warm import Warmer
from hubbub.services.answers import AnswerService
from hubbub.storage.store import Store


@dataclass(frozen=True, slots=True)
class SnapshotRows:
    """Stored snapshots, by kind, date and account."""

    rows: Sequence[Snapshot]


@dataclass(frozen=True, slots=True)
class SnapshotsMade:
    """The result of making snapshots."""

    processed: int = 0
    """Tenants that were processed."""
    created: int = 0
    """Snapshots that were written."""
    kept: int = 0
    """Tenants whose stored snapshots stay, since facts of the period are gone."""
    errors: Mapping[str, str] = field(default_factory=dict)
    """By tenant."""
    rows: Sequence[Snapshot] | None = field(default=None, metadata=ABSENT)
    """The snapshots of the period, where those of a single tenant were made; absent for all tenants."""

    def plus(self, later: SnapshotsMade) -> SnapshotsMade:
        """Return both together: the tenants are the same in both, and the rows are those of the later."""
        return SnapshotsMade(
            max(self.processed, later.processed), self.created + later.created, self.kept + later.kept,
            {**self.errors, **later.errors}, later.rows if later.rows is not None else self.rows,
        )  # fmt: skip


class SnapshotService:
    """Makes snapshots, and reads stored ones."""

    def __init__(
        self,
        clock: Clock,
        store: Store,
        control: Control,
        queries: Queries,
        answers: AnswerService,
        cached: CachedAnswers,
        warmer: Warmer,
    ) -> None:
        self._clock, self._store, self._control, self._queries = clock, store, control, queries
        self._answers, self._cached, self._warmer = answers, cached, warmer

    def make(
        self, kind: str, date: str | None = None, tenant: str | None = None, at: str | None = None
    ) -> SnapshotsMade:
        """Make the snapshots of one day, week or month (kind Daily, Weekly, Monthly) of all tenants or one, after a refresh.

        `date` is any day of it, read in each tenant's zone; None takes the last complete one at the moment `at` (now when None).
        Raises BadQuestionError, and for one tenant WindowFrozenError.
        """
        checked_kind, day, chosen = (
            _kind(kind),
            parse_date(date) if date is not None else None,
            self._control.chosen(tenant),
        )
        now = self._clock()
        over = parse_moment(at, "UTC") if at is not None else now
        try:
            made = snapshots.make(self._store, self._queries, chosen, checked_kind, day, now, over=over)
        finally:
            self._drop_cached(chosen)
        self._warmer.want(self._likely_questions(chosen, checked_kind, day, over))
        rows = None
        if tenant is not None:
            first = snapshots.period_of(chosen[0], checked_kind, day, over).day
            rows = snapshots.read(self._store, chosen[0], first, first + timedelta(days=1), checked_kind)
        return SnapshotsMade(made.processed, made.created, made.kept, made.errors, rows)

    @cacheable("snapshots", Part.SNAPSHOTS)
    def of(
        self, tenant: str, start: str, end: str, kind: str | None = None, account: str | None = None
    ) -> SnapshotRows:
        """Return stored snapshots of the periods that begin in `[start, end)`; `account` "" is only the whole team."""
        owner, checked_kind = self._control.tenant(tenant), _kind(kind) if kind else None
        low, high = parse_date(start), parse_date(end)
        check_order(low, high)
        return SnapshotRows(snapshots.read(self._store, owner, low, high, checked_kind, account))

    def again(self, tenant: Tenant, kind: Kind, day: date) -> None:
        """Make a stored snapshot again; one without facts stays unchanged: it has totals, and no names."""
        with suppress(WindowFrozenError):  # without facts it stays unchanged
            snapshots.make(self._store, self._queries, [tenant], kind, day, self._clock())

    def settle(self) -> SnapshotsMade:
        """Make the snapshots again that were made before the last receipts, and can be settled now."""
        several: list[Made] = []
        known = {t.no: t for t in self._control.tenants().values()}
        for kind, day, numbers in snapshots.unsettled(self._store, self._clock()):
            owners = [known[no] for no in numbers if no in known]
            try:
                several.append(snapshots.make(self._store, self._queries, owners, kind, day, self._clock()))
            finally:
                self._drop_cached(owners)
        return SnapshotsMade(
            sum(made.processed for made in several), sum(made.created for made in several),
            sum(made.kept for made in several), {tenant: error for made in several for tenant, error in made.errors.items()},
        )  # fmt: skip

    def _drop_cached(self, tenants: Sequence[Tenant]) -> None:
        self._cached.drop(tenants, Part.SNAPSHOTS)

    def _likely_questions(
        self, tenants: Sequence[Tenant], kind: Kind, day: date | None, over: datetime
    ) -> Iterator[Callable[[], CachedCall[Any]]]:
        """Yield likely questions after new snapshots: each tenant's dashboard, and the new snapshots."""
        for owner in tenants:
            first_day = snapshots.period_of(owner, kind, day, over).day
            span = first_day.isoformat(), (first_day + timedelta(days=1)).isoformat()
            yield partial(self._cached.call, self._answers.dashboard, owner.id)
            yield partial(self._cached.call, self.of, owner.id, *span)
            yield partial(self._cached.call, self.of, owner.id, *span, kind.value.lower())


def _kind(text: str) -> Kind:
    try:
        return Kind(text.capitalize())
    except ValueError:
        raise BadQuestionError(f"snapshot kind {text[:40]!r} is not one of daily, weekly, monthly") from None
