"""The log's verdicts are right whatever is stored meanwhile, by any process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hubbub.facts.refresh import Refreshed, refresh
from hubbub.facts.refresh import _store as move_out
from hubbub.ingest.intake import Intake
from hubbub.model.event import Event
from hubbub.model.tenant import KEEP_EVERYTHING, Tenant
from hubbub.storage.log import EVENT, ROWS, Batch, Judged, Refused, packed, unpacked
from hubbub.storage.store import Store
from tests.embedded import log_of

NOW = datetime(2026, 8, 20, 12, tzinfo=UTC)
TENANT = Tenant(1, "acme", "UTC", "", KEEP_EVERYTHING)


def intake(store: Store) -> Intake:
    """Return an intake of a store."""
    return Intake(store, lambda: NOW, lambda _: None)


def event(number: int, revision: int) -> Event:
    """Return a revision of an event; each has another hour."""
    at = NOW - timedelta(days=2, hours=revision)
    return Event(type="message.received", time=at, id=f"e{number}", channel="web", revision=revision or None)


def verdicts(store: Store, events: Iterable[Event]) -> tuple[int, int, int]:
    """Send events; return the numbers of stored, corrected and duplicate ones."""
    outcome = intake(store).accept(TENANT, events)
    assert outcome.rejected == []
    return outcome.stored, outcome.corrected, outcome.duplicates


def rows(store: Store) -> list[Any]:
    """Return all stored events."""
    refresh(store)
    with store.facts.read() as reading:
        return reading.rows("SELECT id, revision, time FROM event ORDER BY id")


def test_a_correction_during_the_storing_of_its_event_is_known_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A correction accepted while its event is being stored is known afterwards; later revisions are judged against it."""
    store = Store(tmp_path)
    forget = log_of(store).forget

    def slowly(upto: int, early: Iterable[int], keys: Iterable[int]) -> None:
        if upto == 1:
            assert verdicts(store, [event(1, 1)]) == (0, 1, 0)
        forget(upto, early, keys)

    monkeypatch.setattr(store.log, "forget", slowly)
    assert verdicts(store, [event(1, 0)]) == (1, 0, 0)
    move_out(store, None, 1, Refreshed())  # the first transaction of a refresh alone: more arrives before the next
    assert verdicts(store, [event(1, 1)]) == (0, 0, 1)
    assert verdicts(store, [event(1, 2)]) == (0, 1, 0)
    assert [row[:2] for row in rows(store)] == [("e1", 2)]
    store.close()


steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("send"), st.integers(0, 1), st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=4)
        ),
        st.tuples(st.just("store"), st.integers(0, 1), st.just([])),
    ),
    max_size=14,
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=steps)
def test_two_processes_on_one_folder_judge_alike(tmp_path_factory: pytest.TempPathFactory, steps: list[Any]) -> None:
    """With two processes that accept and store in any order, every verdict is right and each event has its highest revision."""
    folder = tmp_path_factory.mktemp("two")
    stores = [Store(folder), Store(folder)]
    newest: dict[int, int] = {}
    for what, who, sent in steps:
        if what == "store":
            refresh(stores[who])
            continue
        expected = [0, 0, 0]
        for number, revision in sent:
            known = newest.get(number, -1)
            if known < 0 and number not in newest:
                expected[0] += 1
            elif (revision or -1) > known:
                expected[1] += 1
            else:
                expected[2] += 1
                continue
            newest[number] = revision or -1
        assert verdicts(stores[who], [event(*one) for one in sent]) == tuple(expected)
    assert [(row[0], row[1] or -1) for row in rows(stores[0])] == [(f"e{n}", r) for n, r in sorted(newest.items())]
    for store in stores:
        store.close()


def test_simultaneous_callers_each_get_their_verdicts(tmp_path: Path) -> None:
    """Eight threads send a shared event and their own at once: the shared one is stored once, all others too."""
    store = Store(tmp_path)
    found: list[tuple[int, int, int]] = []

    def send(who: int) -> Callable[[], None]:
        def sending() -> None:
            for turn in range(20):
                found.append(verdicts(store, [event(turn, 0), event(1000 * (who + 1) + turn, 0)]))  # noqa: PERF401

        return sending

    threads = [threading.Thread(target=send(who)) for who in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(found) == 160
    assert sum(one[0] for one in found) == 180 and sum(one[2] for one in found) == 140
    assert len(rows(store)) == 180
    store.close()


def test_a_failure_after_a_commit_reaches_its_sender_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure after the commit reaches only its sender: the event is stored, and a resend is a duplicate."""
    store = Store(tmp_path)
    assert verdicts(store, [event(1, 0)]) == (1, 0, 0)
    with monkeypatch.context() as patch, pytest.raises(MemoryError):
        patch.setattr(log_of(store)._waiting, "add", lambda *_: (_ for _ in ()).throw(MemoryError))
        verdicts(store, [event(2, 0)])
    assert verdicts(store, [event(2, 0), event(3, 0)]) == (1, 0, 1)
    assert [row[0] for row in rows(store)] == ["e1", "e2", "e3"]
    store.close()


def test_a_submitted_batch_cannot_be_cancelled(tmp_path: Path) -> None:
    """A submitted batch cannot be cancelled, and later batches are stored."""
    store = Store(tmp_path)
    verdicts(store, [event(1, 0)])
    with store.log.exclusive():
        promised = store.log.submit(Batch(1, (), (), 0, ()))
        assert not promised.cancel()
    assert promised.result(60) == []
    assert verdicts(store, [event(2, 0)]) == (1, 0, 0)
    store.close()


@given(good=st.integers(0, 700), bad=st.integers(0, 700))
@settings(max_examples=20, deadline=None)
def test_a_long_batch_is_cut_into_pieces_that_hold_all_of_it(good: int, bad: int) -> None:
    """A long batch is split into pieces that hold every row and rejection, in order, within the limit."""
    rows = [(n,) * len(EVENT) for n in range(good)]
    refused = [Refused(n, "api", "unknown_type", "type", "", "{}") for n in range(bad)]
    batch = Batch(1, rows, [True] * good, 0, refused)
    pieces = packed(batch, Judged([], rows))
    entries = [unpacked(1, tenant, events, rejected, "log") for tenant, _, events, rejected in pieces]
    assert [tuple(row) for entry in entries for row in entry.rows] == rows
    assert [record for entry in entries for record in entry.rejected] == refused
    assert all(max(len(entry.rows), len(entry.rejected)) <= ROWS for entry in entries)
    assert all(entry.rows or entry.rejected for entry in entries)
