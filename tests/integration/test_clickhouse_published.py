"""The published tables in ClickHouse have the rows and names of those in PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hubbub.demo import sample
from hubbub.facts.refresh import refresh
from hubbub.ingest.intake import Intake
from hubbub.model.tenant import KEEP_EVERYTHING, Tenant
from hubbub.publishing.publish import forget, publish
from hubbub.query.queries import Queries
from hubbub.storage.changed_keys import ALL_PUBLISHED
from hubbub.storage.clickhouse import Server
from hubbub.storage.published import ROWS
from hubbub.storage.store import Store
from tests.integration.store_child import NOW
from tests.integration.test_clickhouse import TENANT, counted, message, place, send, store, without_copy

__all__ = ["place", "store"]
pytestmark = pytest.mark.slow
DAYS = 20


def published(store: Store, tenants: list[Tenant]) -> int:
    """Publish what is stale, ship it, and return the number of rows, which are equal in both databases."""
    refresh(store)
    assert not publish(store, Queries(store, lambda: NOW), tenants, NOW).errors
    assert store.copy is not None
    store.copy.ship_all()
    assert not store.copy.published_wait()
    return alike(store)


def alike(store: Store) -> int:
    """Return the number of published rows; they are equal in both databases."""
    total = 0
    assert store.copy is not None
    for name in ROWS:
        with store.facts.read() as reading:
            here = sorted(reading.rows(f"SELECT * FROM {name}"), key=repr)
        there = sorted(store.copy.server.rows(f"SELECT * FROM {name}"), key=repr)
        assert here == there, name
        total += len(here)
    return total


def test_published_tables_are_the_same_in_clickhouse(store: Store) -> None:
    """Every published row is equal in both databases: at first, after late events, after a zone change, and after a
    tenant is closed.
    """
    tenants = [Tenant(no, id_, zone, "", KEEP_EVERYTHING) for no, (id_, zone, _) in enumerate(sample.tenants(), 1)]
    for tenant in tenants:
        events = list(sample.events(tenant.id, NOW, DAYS))
        assert not Intake(store, lambda: NOW, lambda _: None).accept(tenant, events).rejected
    first = published(store, tenants)
    assert first > 1_000
    send(store, *(message(number, days=number) for number in range(1, 10)))
    assert published(store, tenants) > first
    moved = [replace(tenants[0], zone="Asia/Kathmandu"), *tenants[1:]]
    assert published(store, moved) > 0
    with store.facts.write() as writing:
        forget(writing, moved[1])
    assert store.copy is not None and store.copy.published_wait()
    store.copy.ship_all()
    assert alike(store) > 0
    of_closed = "SELECT count(*) FROM agg_monthly_summary WHERE tenant = ?"
    assert store.copy.server.rows(of_closed, (moved[1].id,)) == [(0,)]


def test_a_first_shipment_that_died_leaves_no_row_behind(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that a first shipment brought before it died, and that were deleted since, are in no table and no number."""
    send(store, message(1), message(2))
    refresh(store)
    publish(store, without_copy(store), [TENANT], NOW)
    insert = Server.insert

    def dying(self: Server, table: str, *rest: Any) -> None:
        insert(self, table, *rest)
        if table in ("event", "agg_monthly_summary_versions"):
            raise KeyboardInterrupt

    assert store.copy is not None
    with monkeypatch.context() as died:
        died.setattr(Server, "insert", dying)
        for owner in (TENANT.no, ALL_PUBLISHED):
            with pytest.raises(KeyboardInterrupt):
                store.copy.ship(owner)
    with store.facts.write() as writing:
        writing.run("DELETE FROM event WHERE id = 'm-2'")
        writing.run("DELETE FROM agg_message_counts_hourly")
    assert counted(store)[0] == 1
    store.copy.ship_all()
    alike(store)
    assert store.copy.server.rows("SELECT count(*) FROM agg_message_counts_hourly") == [(0,)]
