"""Ingest a day: fetch it from an integration's service and store it batch by batch, as the pages come.

Everything is stored under ids that the service's own records give, so that a day can be fetched again, and a fetch that broke
off half way begins again without counting anything twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hubbub.facts.moments import micros
from hubbub.facts.refresh import refresh
from hubbub.ingest.accept import Outcome
from hubbub.ingest.connectors.base import Connector, Day
from hubbub.model.event import NOTHING, Event, Item
from hubbub.model.name import Name
from hubbub.model.tenant import Tenant
from hubbub.storage.store import Store
from hubbub.store.integrations import Integration

Accept = Callable[[list[Item]], Outcome]
TakeNames = Callable[[list[Name]], object]


@dataclass
class Fetched:
    """What came of a day so far."""

    pages: int = 0
    stored: int = 0
    duplicates: int = 0
    corrected: int = 0
    rejected: Counter[str] = field(default_factory=Counter)

    def answer(self) -> dict[str, Any]:
        """Return the public form."""
        return {
            "stored": self.stored, "duplicates": self.duplicates, "corrected": self.corrected, "rejected": dict(self.rejected),
            "pages": self.pages,
        }  # fmt: skip


def ingest_day(
    connector: Connector,
    integration: Integration,
    secret: str,
    day: Day,
    tenant: Tenant,
    store: Store,
    accept: Accept,
    take_names: TakeNames,
) -> Fetched:
    """Fetch and store a day. Raises what the connector raises; what was stored until then stays."""
    done = Fetched()
    for found in connector.fetch(integration, secret, day):
        take_names([one for one in found if isinstance(one, Name)])
        batch = [one for one in found if not isinstance(one, Name)]
        if found and not batch:
            continue
        done.pages += 1
        fresh = _changed(store, tenant, batch) if connector.observes else batch
        done.duplicates += len(batch) - len(fresh)
        if not fresh:
            continue
        outcome = accept(fresh)
        done.stored += outcome.stored
        done.duplicates += outcome.duplicates
        done.corrected += outcome.corrected
        done.rejected.update(r.code for r in outcome.rejected)
    return done


_CONTENT = ("type", "name", "value", "account_id", "message_id", "attributes")


def _changed(store: Store, tenant: Tenant, batch: Sequence[Item]) -> list[Item]:
    """Return what of a batch is new or says something else than what is stored under its id."""
    events = [item for item in batch if isinstance(item, Event)]
    if not events:
        return list(batch)
    refresh(store, tenant.no)
    times = [micros(event.time) for event in events]
    with store.facts.read() as reading:
        stored = set(
            reading.rows(
                f"SELECT source, id, time, {', '.join(_CONTENT)} FROM event WHERE tenant = ? AND time BETWEEN ? AND ?",
                (tenant.no, min(times), max(times)),
            )
        )
    return [item for item in batch if not isinstance(item, Event) or _content(item) not in stored]


def _content(event: Event) -> tuple[Any, ...]:
    attributes = None if event.attributes is NOTHING else bytes(event.attributes).decode()
    return (
        event.source, event.id, micros(event.time), event.type, event.name, event.value, event.account_id, event.message_id,
        attributes,
    )  # fmt: skip
