"""Settled events in order: where an event lies changes, nothing else does, whatever happens meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from hubbub.store import order
from hubbub.store.base import utc_naive
from hubbub.store.duckdb import DuckStore
from tests.unit.store.batches import DAY, batch, told
from tests.unit.store.test_duckdb import open_

NOW = DAY.replace(tzinfo=UTC) + timedelta(days=10)
LAID = "SELECT tenant, id FROM events ORDER BY rowid"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DuckStore]:
    """A store in which four events are worth ordering, with eight of two tenants that came in turns, two of them new."""
    monkeypatch.setattr(order, "WORTH", 4)
    opened = open_(tmp_path / "data")
    for number, days in enumerate((3, 0, 1, 9)):
        for tenant in (2, 1):
            opened.append(batch(told(f"e{number}", 1, days=days), tenant=tenant))
    yield opened
    opened.close()


def _events(store: DuckStore) -> list[tuple[Any, ...]]:
    return store.query("SELECT * FROM events ORDER BY seq").rows


def _laid(store: DuckStore) -> list[tuple[Any, ...]]:
    return store.query(LAID).rows


def test_settled_events_lie_by_tenant_and_time_and_new_ones_as_they_came(store: DuckStore) -> None:
    """Every event is there once and unchanged; those younger than three days keep their place before the ordered ones."""
    before = _events(store)
    assert store.order(NOW) == 6
    assert _events(store) == before
    assert _laid(store) == [(2, "e3"), (1, "e3"), *((t, e) for t in (1, 2) for e in ("e1", "e2", "e0"))]


def test_nothing_happens_until_it_is_worth_it(store: DuckStore) -> None:
    """A second call does nothing, and neither do a few new events; enough of them make a run of their own."""
    store.order(NOW)
    assert store.order(NOW) == 0
    for number in range(2):
        store.append(batch(told(f"new{number}")))
    assert store.order(NOW) == 0
    store.append(batch(told("new2"), told("new3")))
    assert store.order(NOW + timedelta(days=30)) == 12


def test_the_order_and_all_events_are_there_after_reopening(store: DuckStore) -> None:
    """What was put in order is on disk, and the newest sequence number is still known."""
    store.order(NOW)
    laid, last = _laid(store), store.last_seq()
    store.close()
    again = open_(store.folder)
    assert (_laid(again), again.last_seq()) == (laid, last)
    again.close()


def test_corrections_and_duplicates_find_ordered_events(store: DuckStore) -> None:
    """A higher revision replaces an event wherever it lies, a resent event is known."""
    store.order(NOW)
    store.append(batch(told("e0", 2, days=3)))
    store.append(batch(told("e1", 1)))
    assert store.query("SELECT revision FROM events WHERE tenant = 1 AND id = 'e0'").rows == [(2,)]
    assert len(_events(store)) == 8


def test_a_correction_that_comes_between_wins(store: DuckStore) -> None:
    """When an event is replaced while the order is written, the order is given up and nothing is lost or doubled."""

    @contextmanager
    def between() -> Iterator[None]:
        store.append(batch(told("e0", 2, days=3)))
        yield

    with store._cursor() as cursor, pytest.raises(duckdb.TransactionException):
        order.order(cursor, store.last_seq(), utc_naive(NOW), between())
    assert len(_laid(store)) == 8
    assert store.query("SELECT revision FROM events WHERE tenant = 1 AND id = 'e0'").rows == [(2,)]
    assert store.order(NOW) == 6
