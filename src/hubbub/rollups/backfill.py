"""Backfill: fold the windows of a range anew, whether or not anything is due in them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from hubbub.errors import BadQuestionError, WindowFrozenError
from hubbub.metrics.catalogue import BY_NAME
from hubbub.model.event import nearest
from hubbub.model.tenant import Tenant
from hubbub.rollups.refresh import Refresher, Report
from hubbub.rollups.windows import Span, Step
from hubbub.store.base import Store


def backfill(
    store: Store,
    refresher: Refresher,
    tenants: Sequence[Tenant],
    start: datetime,
    end: datetime,
    rollup: str | None = None,
    *,
    step: Step = lambda _: None,
) -> Report:
    """Fold all windows touching `[start, end)` (aware) for these tenants, of one rollup or all.

    Where the range begins before a tenant's raw events are there, folding would write zeros over good history: that tenant is
    left out with its error, and asked for alone it raises WindowFrozenError.
    Raises BadQuestionError for an unknown rollup or an empty range.
    """
    if start >= end:
        raise BadQuestionError("'from' must lie before 'to': the range is [from, to)")
    if rollup is not None and rollup not in BY_NAME:
        raise BadQuestionError(f"there is no rollup {rollup[:80]!r}{nearest(rollup, list(BY_NAME))}")
    frozen = dict(store.query("SELECT tenant, max(until) FROM frozen GROUP BY tenant").rows)
    refused: dict[str, str] = {}
    for tenant in tenants:
        until = frozen.get(tenant.no)
        if until is not None and start.astimezone(UTC).replace(tzinfo=None) < until:
            refused[tenant.id] = (
                f"tenant {tenant.id}: raw events before {until:%Y-%m-%d %H:%M} UTC are gone, so windows before that keep their "
                "stored numbers; begin the backfill there"
            )
    if refused and len(tenants) == 1:
        raise WindowFrozenError(refused[tenants[0].id])
    chosen = [BY_NAME[rollup]] if rollup is not None else None
    report = refresher.fold([t for t in tenants if t.id not in refused], Span(start, end), chosen, step=step)
    report.errors |= refused
    return report
