"""A laboratory: one store per module, emptied between examples, with a clock that stands where the test wants it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings

from hubbub.ingest.accept import Intake, Outcome
from hubbub.metrics import fold
from hubbub.metrics.catalogue import ROLLUPS
from hubbub.model.calendar import NO_CALENDAR, Calendar
from hubbub.model.event import Event
from hubbub.model.question import Answer, Question
from hubbub.model.tenant import KEEP_EVERYTHING, Tenant
from hubbub.model.window import Grain
from hubbub.query.answer import Answers
from hubbub.rollups.refresh import Refresher, Report
from hubbub.store import order
from hubbub.store.base import Store, utc_naive
from tests.extent import LAWS
from tests.laws.oracle import utc
from tests.stores import new_store

_slow = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much, HealthCheck.large_base_example]
# no shrinking: an example is dozens of statements on a store, and the worlds are small enough to read
_all: dict[str, Any] = {"deadline": None, "phases": (Phase.explicit, Phase.generate), "suppress_health_check": _slow}
settings.register_profile("many", max_examples=15, derandomize=True, database=None, **_all)
settings.register_profile("few", max_examples=2, derandomize=True, database=None, **_all)
settings.register_profile("some", max_examples=4, derandomize=True, database=None, **_all)
settings.register_profile("search", max_examples=60, print_blob=True, **_all)
settings.load_profile(
    "some" if (LAWS, STORE) == ("many", "clickhouse") else LAWS
)  # the other store takes longer over each example

TABLES = tuple((table, grain, columns) for r in ROLLUPS for grain in r.keep for table, columns in fold.schema(r, grain))
Stored = dict[str, list[tuple[Any, ...]]]


class Lab:
    """Everything between an event and an answer, without faces."""

    def __init__(self, folder: Path) -> None:
        """Open a store in a folder; every refresh puts its events in order, so that each law holds over that too."""
        order.WORTH = 1
        self.store: Store = new_store(folder)
        self.now = utc(2026, 12, 31)
        self.tenants: list[Tenant] = []
        self.intake = Intake(self.store, lambda: utc(2026, 12, 31), lambda _: None)
        self.refresher = Refresher(self.store, lambda: self.tenants, lambda: self.now)
        self.answers = Answers(self.store, lambda: self.now)

    def empty(self) -> None:
        """Forget all events, numbers, marks and tenants."""
        with self.store.change() as work:
            for name in (
                "events",
                "superseded",
                "quarantine",
                "marks",
                "tenants",
                "hours",
                "snapshots",
                *(t for t, _, _ in TABLES),
            ):
                work.execute(f"DELETE FROM {name}")
            work.execute("DELETE FROM meta WHERE key = 'ordered'")
        self.tenants = []
        self.now = utc(2026, 12, 31)

    def tenant(self, zone: str = "UTC", calendar: Calendar = NO_CALENDAR) -> Tenant:
        """Make a tenant that keeps everything for ever."""
        no = len(self.tenants) + 1
        tenant = Tenant(no, f"tenant-{no}", zone, "", KEEP_EVERYTHING, calendar)
        self.tenants.append(tenant)
        return tenant

    def move(self, tenant: Tenant, zone: str) -> Tenant:
        """Give a tenant another zone."""
        return self._change(replace(tenant, zone=zone))

    def open(self, tenant: Tenant, calendar: Calendar) -> Tenant:
        """Give a tenant other business hours."""
        return self._change(replace(tenant, calendar=calendar))

    def _change(self, tenant: Tenant) -> Tenant:
        self.tenants[tenant.no - 1] = tenant
        return tenant

    def send(self, tenant: Tenant, events: Iterable[Event]) -> Outcome:
        """Hand events in; none may be refused."""
        outcome = self.intake.accept(tenant, events)
        assert outcome.rejected == []
        return outcome

    def refresh(self, *only: Tenant) -> Report:
        """Bring rollups up to date; no tenant may fail."""
        report = self.refresher.refresh(only or None)
        assert report.errors == {}
        return report

    def stored(self, tenant: Tenant) -> Stored:
        """Return every stored row of every rollup table of a tenant, in a fixed order."""
        found: Stored = {}
        for table, _, columns in TABLES:
            names = ", ".join(f'"{name}"' for name, _ in columns if name != "tenant")
            rows = self.store.query(f"SELECT {names} FROM {table} WHERE tenant = $t", {"t": tenant.no}).rows
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
        exact: bool = False,
    ) -> Answer:
        """Ask for metrics of a range."""
        return self.answers.answer(tenant, Question(tuple(metrics), start, end, grain, by, exact=exact))

    def values(self, answer: Answer) -> dict[tuple[datetime, tuple[str | None, ...]], dict[str, Any]]:
        """Return the plain values of an answer by window and dimension values."""
        return {
            (row.start, tuple(row.dims.values())): {name: cell.value for name, cell in row.cells.items()}
            for row in answer.rows
        }

    def marks(self) -> list[tuple[Any, ...]]:
        """Return all marks, in a fixed order."""
        return sorted(self.store.query("SELECT fact, tenant, seq, error FROM marks").rows, key=repr)

    def forget_marks(self) -> None:
        """Make everything due again."""
        with self.store.change() as work:
            work.execute("DELETE FROM marks")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A laboratory for all examples of a module; each begins with `lab.empty()`."""
    made = Lab(tmp_path_factory.mktemp("lab"))
    yield made
    made.store.close()


__all__ = ["Lab", "lab", "utc_naive"]
