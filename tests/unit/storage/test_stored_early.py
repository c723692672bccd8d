"""Batches stored before earlier ones are stored once, whatever process dies, and are noticed when missing."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hubbub.errors import StoreDamagedError
from hubbub.facts.refresh import refresh, waits
from hubbub.ingest.intake import Intake
from hubbub.model.event import Event
from hubbub.model.tenant import KEEP_EVERYTHING, Tenant
from hubbub.storage.store import Store
from tests.embedded import log_of

NOW = datetime(2026, 8, 20, 12, tzinfo=UTC)
TENANTS = [Tenant(no, f"tenant-{no}", "UTC", "", KEEP_EVERYTHING) for no in (1, 2, 3)]
Sent = dict[tuple[int, str], int]


def send(store: Store, no: int, numbers: range, revision: int = 0) -> None:
    """Send messages of a tenant, a minute apart."""
    made = [
        Event(
            type="message.received",
            time=NOW - timedelta(minutes=n, days=revision),
            id=f"e{n}",
            channel="web",
            revision=revision,
        )
        for n in numbers
    ]
    assert Intake(store, lambda: NOW, lambda _: None).accept(TENANTS[no - 1], made).rejected == []


def stored(store: Store) -> Sent:
    """Return the revision of each stored event."""
    with store.facts.read() as reading:
        return {(no, id_): revision for no, id_, revision in reading.rows("SELECT tenant, id, revision FROM event")}


steps = st.one_of(
    st.tuples(st.just("send"), st.integers(1, 3), st.integers(0, 30), st.integers(1, 20), st.integers(0, 3)),
    st.tuples(st.just("refresh"), st.sampled_from((None, 1, 2, 3))),
    st.tuples(st.just("die"), st.sampled_from((None, 1, 2, 3))),
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(run=st.lists(steps, min_size=3, max_size=15))
def test_any_order_of_refreshes_and_deaths_stores_each_event_once(
    tmp_path_factory: pytest.TempPathFactory, run: list[tuple[object, ...]]
) -> None:
    """Refreshes of one or all tenants, some killed before the log is emptied, leave each event once in its newest revision."""
    folder = tmp_path_factory.mktemp("early")
    store, expected = Store(folder), Sent()
    for kind, *given_ in run:
        if kind == "send":
            no, first, count, revision = (int(str(one)) for one in given_)
            send(store, no, range(first, first + count), revision)
            for n in range(first, first + count):
                expected[no, f"e{n}"] = max(revision, expected.get((no, f"e{n}"), 0))
            continue
        tenant = given_[0]
        assert tenant is None or isinstance(tenant, int)
        if kind == "refresh":
            refresh(store, tenant)
            assert not any(waits(store, one.no) for one in TENANTS if tenant in (None, one.no))
            continue
        with pytest.MonkeyPatch.context() as dying:
            dying.setattr(store.log, "forget", _die)
            try:
                refresh(store, tenant)
            except ZeroDivisionError:
                store.close()
                store = Store(folder)
    refresh(store)
    assert stored(store) == expected
    assert store.log.behind() == 0
    with log_of(store).database.read() as reading:
        assert reading.value("SELECT count(*) FROM log") == 0
    with store.facts.read() as reading:
        assert reading.value("SELECT count(*) FROM stored_early") == 0
    store.close()


def _die(*_: object) -> None:
    raise ZeroDivisionError


def test_facts_that_lack_an_emptied_batch_are_refused(tmp_path: Path) -> None:
    """Facts restored from before a batch was stored early are refused as damaged."""
    folder = tmp_path / "data"
    store = Store(folder)
    send(store, 1, range(10))
    send(store, 2, range(10))
    store.close()
    shutil.copy(folder / "hubbub.db", tmp_path / "former.db")
    store = Store(folder)
    refresh(store, 2)
    store.close()
    shutil.copy(tmp_path / "former.db", folder / "hubbub.db")
    store = Store(folder)
    with pytest.raises(StoreDamagedError, match="left the log"):
        refresh(store)
    store.close()


def test_a_batch_stored_early_leaves_no_text_in_the_log(tmp_path: Path) -> None:
    """A batch stored early leaves no text in the log, so that an erasure is complete."""
    store = Store(tmp_path)
    send(store, 1, range(3))
    Intake(store, lambda: NOW, lambda _: None).accept(
        TENANTS[1], [Event(type="message.received", time=NOW, id="x", channel="web", contact_id="canary-4711")]
    )
    refresh(store, 2)
    log_of(store).database.rewrite()
    store.close()
    assert b"canary-4711" not in (tmp_path / "log.db").read_bytes()
