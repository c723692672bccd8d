"""Fold again: every unit of a tenant, or those with an event in a stretch of time; and verify, which changes nothing."""

from __future__ import annotations

from hubbub.facts.refresh import Refreshed, refresh
from hubbub.facts.units import Touched, touched
from hubbub.storage.log import EVENT
from hubbub.storage.schema import FOREVER
from hubbub.storage.store import Store


def rebuild(store: Store, tenant: int, low: int = 0, high: int = FOREVER) -> Refreshed:
    """Fold all units of a tenant again that have an event in `[low, high)`, in microseconds."""
    with store.settling:
        refresh(store, tenant)
        units: Touched = set()
        with store.facts.read() as reading:
            rows = reading.each(
                f"SELECT {', '.join(EVENT)} FROM event WHERE tenant = ? AND time >= ? AND time < ?", (tenant, low, high)
            )
            units.update(("contact", *contact) for contact in touched(rows, units))
        with store.facts.write() as writing:
            writing.many("INSERT OR IGNORE INTO todo VALUES (?, ?, ?)", list(units))
        return refresh(store, tenant)
