"""An answer waits for its own tenant's events alone, and a refresh of all tenants lets others take their turn."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hubbub.facts import refresh as module
from hubbub.facts.refresh import refresh, waits
from hubbub.ingest.intake import Intake
from hubbub.model.event import Event
from hubbub.model.tenant import KEEP_EVERYTHING, Tenant
from hubbub.storage.store import Settling, Store

NOW = datetime(2026, 8, 20, 12, tzinfo=UTC)
BUSY, CALM = (Tenant(no, name, "UTC", "", KEEP_EVERYTHING) for no, name in ((1, "busy"), (2, "calm")))


def send(store: Store, tenant: Tenant, first: int, count: int) -> None:
    """Send messages of a tenant."""
    made = [
        Event(type="message.received", time=NOW - timedelta(minutes=n), id=f"e{n}", channel="web")
        for n in range(first, first + count)
    ]
    assert Intake(store, lambda: NOW, lambda _: None).accept(tenant, made).accepted == count


def test_a_tenant_without_new_events_does_not_wait(tmp_path: Path) -> None:
    """A tenant without new events is refreshed at once, while another fold runs and other tenants' batches wait."""
    store = Store(tmp_path)
    send(store, CALM, 0, 3)
    refresh(store)
    send(store, BUSY, 0, 3)
    done = threading.Event()

    def ask() -> None:
        assert refresh(store, CALM.no).events == 0
        done.set()

    with store.settling:  # a fold of somebody else runs as long as this block
        threading.Thread(target=ask, daemon=True).start()
        assert done.wait(60)
    assert waits(store, BUSY.no) and not waits(store, CALM.no)
    store.close()


def test_a_tenants_refresh_stores_nothing_of_others(tmp_path: Path) -> None:
    """A tenant's refresh counts all of its own events and leaves other tenants' earlier ones waiting."""
    store = Store(tmp_path)
    send(store, BUSY, 0, 6000)
    send(store, CALM, 0, 2)
    send(store, BUSY, 6000, 1000)
    assert refresh(store, CALM.no).events == 2
    assert not waits(store, CALM.no)
    assert waits(store, BUSY.no)
    assert refresh(store).events == 7000
    assert not waits(store, BUSY.no)
    assert store.log.behind() == 0
    store.close()


def test_a_fold_ends_early_when_others_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long fold ends its turn between two units when others wait, and still folds everything in the end."""
    store = Store(tmp_path)
    send(store, BUSY, 0, 1500)
    monkeypatch.setattr(type(store.settling), "due", property(lambda _: True))
    done = refresh(store)
    assert done.events == 1500
    assert not waits(store, BUSY.no)
    store.close()


def test_an_answer_comes_between_the_steps_of_a_refresh_for_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A query during a refresh of all tenants waits for one step, not for all of them."""
    store = Store(tmp_path)
    monkeypatch.setattr(module, "EVENTS_AT_ONCE", 100)
    monkeypatch.setattr(module, "TURN", 0.1)
    send(store, BUSY, 0, 100)
    send(store, CALM, 0, 1)
    for first in range(100, 4000, 100):
        send(store, BUSY, first, 100)
    begun = threading.Event()
    whole = threading.Thread(target=refresh, args=(store,), kwargs={"progress": lambda _: begun.set()})
    whole.start()
    assert begun.wait(60)
    refresh(store, CALM.no)
    assert not waits(store, CALM.no)
    assert whole.is_alive()
    whole.join()
    store.close()


def test_many_events_are_not_folded_whole_while_others_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole fold cannot be interrupted: while others wait, a tenant with many events is folded key by key."""
    store = Store(tmp_path)
    send(store, BUSY, 0, 1500)
    assert refresh(store).units.get("whole") == 1
    send(store, BUSY, 1500, 1500)
    monkeypatch.setattr(type(store.settling), "contended", property(lambda _: True))
    done = refresh(store)
    assert done.events == 1500
    assert "whole" not in done.units
    assert not waits(store, BUSY.no)
    store.close()


def test_a_turn_is_contended_while_others_wait_and_shortly_after(monkeypatch: pytest.MonkeyPatch) -> None:
    """A turn is not contended at first; it is while another thread waits, and for a few seconds after."""
    settling = Settling()
    at_first = settling.contended
    with settling:
        other = threading.Thread(target=settling.__enter__)
        other.start()
        while not settling.contended:
            time.sleep(0.001)
    other.join()
    shortly_after = settling.contended
    monkeypatch.setattr("hubbub.storage.store.LATELY", 0.0)
    assert (at_first, shortly_after, settling.contended) == (False, True, False)


def test_requests_go_before_a_fold_in_the_background(tmp_path: Path) -> None:
    """A refresh of all tenants pauses for running requests again and again; a tenant's own refresh, for which a query waits, does
    not."""
    store = Store(tmp_path)
    asked = 0

    def requests() -> bool:
        nonlocal asked
        asked += 1
        return asked % 3 > 0

    store.settling.requests = requests
    send(store, CALM, 0, 1500)
    assert refresh(store, CALM.no).events == 1500
    assert asked == 0
    send(store, BUSY, 0, 1500)
    assert refresh(store).events == 1500
    assert asked > 3
    assert not waits(store, BUSY.no)
    store.close()


def test_requests_without_end_do_not_stop_a_fold(tmp_path: Path) -> None:
    """With requests running all the time, all events are still folded in the end."""
    store = Store(tmp_path)
    store.settling.requests = lambda: True
    send(store, BUSY, 0, 1500)
    assert refresh(store).events == 1500
    assert not waits(store, BUSY.no)
    store.close()
