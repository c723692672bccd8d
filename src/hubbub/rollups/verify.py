"""Verify: fold everything again from raw events, beside what is stored, and count rows that differ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hubbub.metrics.catalogue import FACTS, ROLLUPS
from hubbub.model.tenant import Tenant
from hubbub.rollups.windows import Span, WindowFold
from hubbub.store.base import Store


@dataclass
class Verdicts:
    """How many tables and windows were compared, and the rows that differ by table (no entry: none)."""

    tables: int = 0
    windows: int = 0
    differences: dict[str, int] = field(default_factory=dict)

    @property
    def clean(self) -> bool:
        """Whether every stored number equals its recomputation."""
        return not self.differences

    def answer(self) -> dict[str, object]:
        """Return the public form."""
        return {
            "clean": self.clean,
            "tables": self.tables,
            "windows": self.windows,
            "differences": sum(self.differences.values()),
            "by_table": self.differences,
        }


class _RollBackError(Exception):
    pass


def verify(
    store: Store,
    tenants: Sequence[Tenant],
    now: datetime,
    start: datetime | None = None,
    end: datetime | None = None,
    *,
    step: Callable[[str], None] = lambda _: None,
) -> Verdicts:
    """Compare all kept, unfrozen windows of the tenants in `[start, end)` (aware; None: from the first to the last event)."""
    verdicts = Verdicts()
    span = _span(store, tenants, start, end)
    if span is None:
        return verdicts
    for fact in FACTS:
        try:
            with store.work() as work:
                mine = [rollup for rollup in ROLLUPS if rollup.source is fact]
                windows = WindowFold(work, fact, tenants, now, lambda _: None, mine)
                source = windows.prepare(None, span, filled=True)
                for grain, rollup, due in windows.each() if source is not None else ():
                    for table, count in windows.differences(rollup, grain, source or "").items():
                        verdicts.tables += 1
                        if count:
                            verdicts.differences[table] = count
                    verdicts.windows += due
                    step(rollup.table(grain))
                raise _RollBackError
        except _RollBackError:
            pass
    return verdicts


def _span(store: Store, tenants: Sequence[Tenant], start: datetime | None, end: datetime | None) -> Span | None:
    numbers = [t.no for t in tenants]
    low, high = store.query(
        'SELECT min("time"), max("time") FROM events WHERE tenant IN (SELECT unnest($tenants::INTEGER[]))',
        {"tenants": numbers},
    ).rows[0]
    if low is None and (start is None or end is None):
        return None
    return Span(
        start or low.replace(tzinfo=UTC) - timedelta(days=1), end or high.replace(tzinfo=UTC) + timedelta(days=1)
    )
