"""Snapshots: made of days, weeks and months, settled when the last receipts have come, and read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

from hubbub.clock import Clock
from hubbub.control.control import Control
from hubbub.errors import BadQuestionError, WindowFrozenError
from hubbub.metrics.snapshots import Kind
from hubbub.model.question import parse_date, parse_moment
from hubbub.model.tenant import Tenant
from hubbub.publishing import snapshots
from hubbub.publishing.snapshots import Made
from hubbub.query.cached import Asked, CachedAnswers, Part, cacheable
from hubbub.query.queries import Queries
from hubbub.query.warm import Warmer
from hubbub.services.answers import AnswerService
from hubbub.storage.store import Store


class SnapshotService:
    """Makes snapshots, and reads those that are kept."""

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
    ) -> dict[str, Any]:
        """Make the snapshots of one day, week or month (kind Daily, Weekly, Monthly) of all tenants or one, after a refresh.

        `date` is any day of it, read in each tenant's zone; None takes the last one that was over at the moment `at` (now when
        None). Returns processed tenants, created documents, kept tenants (a settled snapshot whose raw events are gone stays),
        and errors by tenant; of one tenant also the snapshots, as `rows`. Raises BadQuestionError, and for one tenant
        WindowFrozenError.
        """
        wanted, day, chosen = _kind(kind), parse_date(date) if date is not None else None, self._chosen(tenant)
        now = self._clock()
        over = parse_moment(at, "UTC") if at is not None else now
        try:
            answer = snapshots.make(self._store, self._queries, chosen, wanted, day, now, over=over).answer()
        finally:
            self._made(chosen)
        self._warmer.want(self._asked_next(chosen, wanted, day, over))
        if tenant is not None:
            made = snapshots.period_of(chosen[0], wanted, day, over)
            answer["rows"] = snapshots.read(self._store, chosen[0], made.day, made.day + timedelta(days=1), wanted)
        return answer

    @cacheable("snapshots", Part.SNAPSHOTS)
    def of(
        self, tenant: str, start: str, end: str, kind: str | None = None, account: str | None = None
    ) -> dict[str, Any]:
        """Return kept snapshots of the periods that begin in `[start, end)`; `account` "" is the whole team alone."""
        one, wanted = self._control.tenant(tenant), _kind(kind) if kind else None
        low, high = parse_date(start), parse_date(end)
        if low >= high:
            raise BadQuestionError("'from' must lie before 'to': the range is [from, to)")
        return {"rows": snapshots.read(self._store, one, low, high, wanted, account)}

    def again(self, tenant: Tenant, kind: Kind, day: date) -> None:
        """Make a kept snapshot again; one whose facts are gone stays as it was made: totals, and nobody's name."""
        with suppress(WindowFrozenError):  # one whose facts are gone stays as it was made
            snapshots.make(self._store, self._queries, [tenant], kind, day, self._clock())

    def settle(self) -> Made:
        """Make those snapshots again that were made before the last receipts could come, and now can be settled."""
        total = Made()
        known = {t.no: t for t in self._control.tenants().values()}
        for kind, day, numbers in snapshots.unsettled(self._store, self._clock()):
            mine = [known[no] for no in numbers if no in known]
            try:
                made = snapshots.make(self._store, self._queries, mine, kind, day, self._clock())
            finally:
                self._made(mine)
            total.processed += made.processed
            total.created += made.created
            total.kept += made.kept
            total.errors |= made.errors
        return total

    def _made(self, tenants: Sequence[Tenant]) -> None:
        self._cached.drop(tenants, Part.SNAPSHOTS)

    def _chosen(self, tenant: str | None) -> list[Tenant]:
        if tenant is not None:
            return [self._control.tenant(tenant)]
        self._control.follow()
        return list(self._control.tenants().values())

    def _asked_next(
        self, tenants: Sequence[Tenant], kind: Kind, day: date | None, over: datetime
    ) -> Iterator[Callable[[], Asked[Any]]]:
        """Yield what is likely to be asked when snapshots were made: each tenant's dashboard, and what was made."""
        for one in tenants:
            made = snapshots.period_of(one, kind, day, over).day
            span = made.isoformat(), (made + timedelta(days=1)).isoformat()
            yield partial(self._cached.asked, self._answers.dashboard, one.id)
            yield partial(self._cached.asked, self.of, one.id, *span)
            yield partial(self._cached.asked, self.of, one.id, *span, kind.value.lower())


def _kind(text: str) -> Kind:
    try:
        return Kind(text.capitalize())
    except ValueError:
        raise BadQuestionError(f"snapshot kind {text[:40]!r} is not one of daily, weekly, monthly") from None
