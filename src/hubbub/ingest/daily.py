"""Fetch a day, or a range of lost deliveries, from an integration's service and store it batch by batch, page by page.

Events have the ids of the service's own records. So a day can be fetched again, and an interrupted fetch continues where it
stopped, without counting anything twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from hubbub.control.coverage import Coverage, Range
from hubbub.control.integrations import Integration
from hubbub.facts.moments import micros
from hubbub.facts.refresh import refresh
from hubbub.ingest.accept import Outcome
from hubbub.ingest.connectors.base import Batch, Connector, Notes
from hubbub.model.coverage import Day
from hubbub.model.event import NOTHING, Event, Item
from hubbub.model.name import Name
from hubbub.model.tenant import Tenant
from hubbub.model.window import Window
from hubbub.storage.store import Store

Accept = Callable[[list[Item]], Outcome]
TakeNames = Callable[[list[Name]], object]


@dataclass
class Fetched:
    """Counts of a day's fetch so far."""

    pages: int = 0
    stored: int = 0
    duplicates: int = 0
    corrected: int = 0
    rejected: Counter[str] = field(default_factory=Counter)


@dataclass
class DayFetch:
    """A day of an integration to fetch. `earlier`: the range whose later replies and counters are read again, if any.

    A lost range is fetched the same way, as a day with its own start and end. The ledger stores the progress page by page, so
    that the next attempt continues an interrupted one.
    """

    connector: Connector
    integration: Integration
    secret: str
    day: Day
    earlier: Window | None
    ledger: Coverage
    changed: Callable[[list[Item]], list[Item]]
    accept: Accept
    take_names: TakeNames
    notes: Notes
    done: Fetched = field(default_factory=Fetched)
    found: int = 0
    _step: int = 0

    def run(self, now: datetime) -> str:
        """Fetch and store the day; returns its state. Raises what the connector raises; pages stored until then stay."""
        self.read(self.ledger.begin(self.integration, self.day, now))
        return self.ledger.end(
            self.integration, self.day, self.found, self.notes.missing, self.notes.reason, self.notes.action
        )

    def read(self, range_: Range) -> None:
        """Fetch and store a range of the ledger, from where an earlier attempt stopped; its state does not change."""
        self._resume(range_)
        fetch = partial(self.connector.fetch, self.integration, self.secret, self.day, self.notes)
        steps: list[Callable[[], Iterator[Batch]]] = [fetch]
        if self.earlier is not None:
            steps.append(partial(self.connector.look_back, self.integration, self.secret, self.earlier, self.notes))
        for number, step in enumerate(steps):
            if number >= self._step:
                self._step = number
                self._take(step())
                self.notes.place = None

    def _resume(self, range_: Range) -> None:
        if range_.place:
            self._step, self.found = range_.place["step"], range_.found
            self.notes.place, self.notes.missing = range_.place["place"], range_.place["missing"]
            self.notes.troubles = [(reason, action) for reason, action in range_.place["troubles"]]
            self.notes.whole = range_.place["whole"]

    def _take(self, batches: Iterator[Batch]) -> None:
        place = self.notes.place
        try:
            for batch in batches:
                if self.notes.place != place:
                    place = self.notes.place
                    self._advance()
                self.take_names([item for item in batch if isinstance(item, Name)])
                self._store([item for item in batch if not isinstance(item, Name)])
        finally:
            if self.notes.place != place:
                self._advance()

    def _advance(self) -> None:
        place = {
            "step": self._step, "place": self.notes.place, "missing": self.notes.missing, "troubles": self.notes.troubles,
            "whole": self.notes.whole,
        }  # fmt: skip
        self.ledger.advance(self.integration, self.day, place, self.found)

    def _store(self, batch: list[Item]) -> None:
        done = self.done
        done.pages += bool(batch)
        inside = (isinstance(item, Event) and self.day.start <= item.time < self.day.end for item in batch)
        fresh = self.changed(batch) if batch else []
        done.duplicates += len(batch) - len(fresh)
        if fresh:
            outcome = self.accept(fresh)
            done.stored += outcome.stored
            done.duplicates += outcome.duplicates
            done.corrected += outcome.corrected
            done.rejected.update(r.code for r in outcome.rejected)
        self.found += sum(inside)


_CONTENT = ("type", "name", "value", "account_id", "message_id", "attributes")


def changed(store: Store, tenant: Tenant, batch: Sequence[Item]) -> list[Item]:
    """Return the items that are new or differ from the stored event with their id."""
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
