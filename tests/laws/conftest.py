"""A laboratory: one store per module, with new tenants for each example and a clock that the test sets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings

from hubbub.facts.refresh import refresh
from hubbub.ingest.accept import Outcome
from hubbub.ingest.intake import Intake
from hubbub.model.calendar import NO_CALENDAR, Calendar
from hubbub.model.event import Event
from hubbub.model.question import Question
from hubbub.model.tenant import KEEP_EVERYTHING, Tenant
from hubbub.model.window import Grain
from hubbub.query.queries import Queries
from hubbub.query.result import Answer
from hubbub.storage import schema
from hubbub.storage.store import Store
from tests.conftest import FOLDER, Shape, ask_copy
from tests.extent import LAWS
from tests.laws.oracle import utc

_slow = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much, HealthCheck.large_base_example]
# no shrinking: an example is dozens of statements on a store, and the worlds are small enough to read
_all: dict[str, Any] = {"deadline": None, "phases": (Phase.explicit, Phase.generate), "suppress_health_check": _slow}
settings.register_profile("many", max_examples=30, derandomize=True, database=None, **_all)
settings.register_profile("few", max_examples=8, derandomize=True, database=None, **_all)
settings.register_profile("search", max_examples=60, print_blob=True, **_all)
settings.load_profile(LAWS)

FACTS = ("event", "response", "episode", "survey", "state", "receipt_channel")
Stored = dict[str, list[tuple[Any, ...]]]


class Lab:
    """Store, intake and queries without HTTP, CLI or pages."""

    def __init__(self, folder: Path, shape: Shape = FOLDER) -> None:
        """Open a store in a folder, or behind a URL."""
        self.store = Store(folder, shape.url, shape.copy_url)
        ask_copy(self.store)
        self.now = utc(2026, 12, 31)
        self.tenants: list[Tenant] = []
        self.intake = Intake(self.store, lambda: utc(2026, 12, 31), lambda _: None)
        self.queries = Queries(self.store, lambda: self.now)

    def empty(self) -> None:
        """Begin with new tenants; those of earlier examples stay in the store."""
        self.tenants = []
        self.first = getattr(self, "first", 0) + 100
        self.now = utc(2026, 12, 31)

    def tenant(self, zone: str = "UTC", calendar: Calendar = NO_CALENDAR) -> Tenant:
        """Make a tenant that keeps everything forever."""
        no = self.first + len(self.tenants) + 1
        tenant = Tenant(no, f"tenant-{no}", zone, "", KEEP_EVERYTHING, calendar)
        self.tenants.append(tenant)
        return tenant

    def move(self, tenant: Tenant, zone: str) -> Tenant:
        """Return the tenant in another zone."""
        return replace(tenant, zone=zone)

    def send(self, tenant: Tenant, events: Iterable[Event]) -> Outcome:
        """Accept events; none may be rejected."""
        outcome = self.intake.accept(tenant, events)
        assert outcome.rejected == []
        return outcome

    def refresh(self, tenant: Tenant | None = None) -> None:
        """Fold all waiting events."""
        refresh(self.store, tenant.no if tenant else None)

    def stored(self, tenant: Tenant) -> Stored:
        """Return every stored row of a tenant in a fixed order, without arrival times and sequence numbers."""
        found: Stored = {}
        with self.store.facts.read() as reading:
            for table in FACTS:
                columns = [c for c in schema.TABLES[table][0] if c not in ("tenant", "seq", "received_at")]
                rows = reading.rows(f"SELECT {', '.join(columns)} FROM {table} WHERE tenant = ?", (tenant.no,))
                if rows:
                    found[table] = sorted(rows, key=repr)
        return found

    def ask(
        self,
        tenant: Tenant,
        metrics: Sequence[str],
        start: datetime,
        end: datetime,
        grain: Grain = Grain.TOTAL,
        *,
        by: tuple[str, ...] = (),
        as_of: datetime | None = None,
    ) -> Answer:
        """Answer metrics of a range."""
        return self.queries.answer(tenant, Question(tuple(metrics), start, end, grain, by, as_of=as_of))

    def values(self, answer: Answer) -> dict[tuple[datetime, tuple[str | None, ...]], dict[str, Any]]:
        """Return the plain values of an answer by window and dimension values."""
        return {
            (row.start, tuple(row.dims.values())): {name: cell.value for name, cell in row.cells.items()}
            for row in answer.rows
        }


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, shape: Shape) -> Iterator[Lab]:
    """A laboratory for all examples of a module, on each engine; each begins with `lab.empty()`."""
    made = Lab(tmp_path_factory.mktemp("lab"), shape)
    yield made
    made.store.close()
