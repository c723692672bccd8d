"""Fold units again: all of a tenant, or those with an event or a fact in a range of time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from hubbub.errors import WindowFrozenError
from hubbub.facts.moments import micros
from hubbub.facts.refresh import Refreshed, refresh
from hubbub.facts.retention import gone_until
from hubbub.facts.units import Touched, touched
from hubbub.model.tenant import Tenant
from hubbub.progress import Progress, quiet
from hubbub.storage import schema
from hubbub.storage.log import EVENT
from hubbub.storage.schema import FOREVER
from hubbub.storage.store import Store
from hubbub.storage.transaction import Transaction

FOLDED_BY: Mapping[str, tuple[str, ...]] = {
    "response": ("message", "conversation"), "episode": ("message", "conversation"), "survey": ("conversation", "survey"),
    "state": ("conversation", "contact", "task", "campaign", "staff"), "receipt_channel": ("message", "channel"),
    "person": ("person",), "event": ("message", "conversation"),
}  # fmt: skip
"""Fact -> the kinds of units that it is folded from."""

_ROWS = (
    ("SELECT 'conversation', tenant, conversation_id FROM response WHERE tenant = ? AND anchor >= ? AND anchor < ?"),
    ("SELECT 'conversation', tenant, conversation_id FROM episode WHERE tenant = ? AND anchor >= ? AND anchor < ?"),
    ("SELECT 'survey', tenant, survey FROM survey WHERE tenant = ? AND coalesce(rated_at, sent_at, 0) >= ? "
     "AND coalesce(rated_at, sent_at, 0) < ?"),
    "SELECT entity, tenant, id FROM state WHERE tenant = ? AND until >= ? AND since < ?",
    "SELECT 'channel', tenant, channel FROM receipt_channel WHERE tenant = ? AND ? <= ?",
    "SELECT 'person', tenant, contact_id FROM person WHERE tenant = ? AND ? <= ?",
)  # fmt: skip


def units_of(reading: Transaction, tenant: int, low: int = 0, high: int = FOREVER) -> Touched:
    """Return the units with an event or a row in `[low, high)` (microseconds); a unit without events folds to nothing."""
    units: Touched = set()
    rows = reading.scan(
        f"SELECT {', '.join(EVENT)} FROM event WHERE tenant = ? AND time >= ? AND time < ?", (tenant, low, high)
    )
    units.update(("contact", *contact) for contact in touched(rows, units))
    for sql in _ROWS:
        units.update((unit, no, key) for unit, no, key in reading.each(sql, (tenant, low, high)))
    return units


def rebuild(
    store: Store,
    tenant: int,
    low: int = 0,
    high: int = FOREVER,
    kinds: Iterable[str] | None = None,
    progress: Progress = quiet,
) -> Refreshed:
    """Fold again a tenant's units with an event or a row in `[low, high)` (microseconds); `kinds`: only these kinds."""
    with store.settling:
        refresh(store, tenant)
        with store.facts.read() as reading:
            units = units_of(reading, tenant, low, high)
        wanted = [unit for unit in units if kinds is None or unit[0] in kinds]
        with store.facts.write(tenant) as writing:
            writing.many(schema.insert_new("todo"), sorted(wanted))
        return refresh(store, tenant, progress=progress)


def backfill(
    store: Store,
    tenants: Sequence[Tenant],
    low: int = 0,
    high: int = FOREVER,
    fact: str | None = None,
    progress: Progress = quiet,
) -> dict[str, int]:
    """Fold again the units of tenants in `[low, high)` (microseconds); returns the number of units by kind.

    `fact`: only the units of this fact, a key of FOLDED_BY. Raises WindowFrozenError, before any fold, when the whole range is past
    retention for one of the tenants.
    """
    for tenant in tenants:
        until = gone_until(store, tenant.no)
        if until is not None and high <= micros(until):
            raise WindowFrozenError(
                f"the facts of {tenant.id} before {until:%Y-%m-%d %H:%M} UTC are past retention: choose a later range"
            )
    counts: dict[str, int] = {}
    for tenant in tenants:
        for unit, count in rebuild(
            store, tenant.no, low, high, FOLDED_BY[fact] if fact else None, progress
        ).units.items():
            counts[unit] = counts.get(unit, 0) + count
    return counts
