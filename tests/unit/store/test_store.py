"""What every store promises: one verdict per event, the right one of several reports, and changes seen whole or not at all."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from hubbub.errors import StoreUnavailableError
from hubbub.store.base import EVENT_SCHEMA, Batch, Store, Verdict
from tests.stores import new_store
from tests.unit.store.batches import CORRECTED, DAY, DUPLICATE, STORED, Told, batch, kept, told


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store of one test."""
    opened = new_store(tmp_path)
    yield opened
    opened.close()


# --- verdicts


def test_a_batch_gets_one_verdict_per_row(store: Store) -> None:
    """Of a batch with a repeated row the first is stored and the other a duplicate, in the order of the rows."""
    assert store.append(batch(told("a"), told("b"), told("a"))) == [STORED, STORED, DUPLICATE]
    assert store.append(batch(told("c"), told("a"))) == [STORED, DUPLICATE]
    assert store.last_seq() == 3


def test_a_resent_event_is_found_within_a_day(store: Store) -> None:
    """The first one stays, when the same id comes again with a time up to a day away."""
    store.append(batch(told("a")))
    assert store.append(batch(told("a", days=1))) == [DUPLICATE]
    assert store.append(batch(told("a", days=-1))) == [DUPLICATE]
    assert kept(store) == [("a", None, 0)]


def test_identity_is_tenant_source_and_id(store: Store) -> None:
    """The same id of another tenant or source is another event."""
    assert store.append(batch(told("a"))) == [STORED]
    assert store.append(batch(told("a"), tenant=2)) == [STORED]
    assert store.append(batch(told("a"), source="crm")) == [STORED]


def test_an_id_made_by_us_is_never_a_duplicate(store: Store) -> None:
    """Rows whose id did not come with the event are not looked up."""
    assert store.append(batch(told("a"), told("a"), given=False)) == [STORED, STORED]


@pytest.mark.parametrize(
    "order",
    [
        [told("a"), told("a", 1, days=5), told("a", 2, days=9)],
        [told("a", 2, days=9), told("a", 1, days=5), told("a")],
        [told("a", 1, days=5), told("a"), told("a", 2, days=9)],
        [told("a", 1, days=5), told("a", 2, days=9), told("a"), told("a", 2, days=9)],
        [told("a"), told("a", 2, days=9), told("a", 1, days=5), told("a")],
    ],
)
@pytest.mark.parametrize("together", [True, False])
def test_the_highest_revision_stays_in_any_order(store: Store, order: list[Told], together: bool) -> None:
    """In one batch or one by one, in any order, the record with the highest revision is the one that is left."""
    for some in [order] if together else [[one] for one in order]:
        store.append(batch(*some))
    assert kept(store) == [("a", 2, 9)]


def test_a_correction_says_so_and_an_equal_revision_changes_nothing(store: Store) -> None:
    """A higher revision is a correction; the same one again, or a lower one, is a duplicate."""
    store.append(batch(told("a")))
    assert store.append(batch(told("a", 1))) == [CORRECTED]
    assert store.append(batch(told("a", 1, days=3))) == [DUPLICATE]
    assert store.append(batch(told("a", 0))) == [DUPLICATE]
    assert store.append(batch(told("b"), told("b", 7))) == [DUPLICATE, CORRECTED]


def test_what_a_correction_replaced_is_kept_with_a_number_of_its_own(store: Store) -> None:
    """The replaced record is numbered after everything known, so that a refresh sees the windows it left."""
    store.append(batch(told("a")))
    before = store.last_seq()
    store.append(batch(told("a", 1, days=3)))
    old = store.query("SELECT seq, id, revision FROM superseded").rows
    new = store.query("SELECT seq FROM events").rows
    assert old == [(before + 1, "a", None)]
    assert new == [(before + 2,)]
    assert store.last_seq() == before + 2


# --- group commit


def test_waiting_batches_commit_together_and_each_gets_its_own_verdicts(tmp_path: Path) -> None:
    """Many threads at once: each gets verdicts for its own rows, one of those with the same id is first."""
    store = new_store(tmp_path, commit_wait=0.05)
    verdicts: dict[int, list[Verdict]] = {}

    def send(number: int) -> None:
        verdicts[number] = store.append(batch(told(f"own-{number}"), told("shared")))

    threads = [threading.Thread(target=send, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store_rows = store.query("SELECT count(*), count(DISTINCT seq) FROM events").rows
    store.close()
    assert all(found[0] is STORED for found in verdicts.values())
    assert [found[1] for found in verdicts.values()].count(STORED) == 1
    assert store_rows == [(9, 9)]


def test_a_batch_that_cannot_be_stored_refuses_itself_alone(tmp_path: Path) -> None:
    """A table of the wrong shape fails for its sender; what waited beside it is stored."""
    store = new_store(tmp_path, commit_wait=0.05)
    good, bad = batch(told("a")), batch(told("b"))
    broken = Batch(bad.table.rename_columns(["x", *EVENT_SCHEMA.names[1:]]), bad.identities, bad.revisions, bad.given)
    outcomes: dict[str, object] = {}

    def send(name: str, one: Batch) -> None:
        try:
            outcomes[name] = store.append(one)
        except StoreUnavailableError as error:
            outcomes[name] = error.code

    threads = [threading.Thread(target=send, args=pair) for pair in (("good", good), ("bad", broken))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows = store.query("SELECT id FROM events").rows
    store.close()
    assert outcomes == {"good": [STORED], "bad": "store_unavailable"}
    assert rows == [("a",)]


def test_rejected_records_are_kept_in_the_same_commit(store: Store) -> None:
    """Quarantine rows come with their batch, each with a number of its own, even without a good event; the same one once."""
    reject = {
        "tenant": 1, "received_at": DAY, "origin": "api", "code": "unknown_type", "field": "type", "message": "no",
        "raw": "{}",
    }  # fmt: skip
    assert store.append(batch(told("a"), rejected=[reject])) == [STORED]
    others = [
        {**reject, **other} for other in ({"tenant": 2}, {"origin": "import"}, {"code": "too_old"}, {"raw": "[]"})
    ]
    assert store.append(batch(rejected=[reject, reject, *others])) == []
    assert store.query("SELECT count(*), count(DISTINCT id), min(code) FROM quarantine").rows == [(5, 5, "too_old")]


# --- transactions


def test_a_transaction_is_seen_whole_or_not_at_all(store: Store) -> None:
    """What a failed block did is gone, its temporary tables too; what a finished block did is there."""
    with pytest.raises(ZeroDivisionError), store.change() as work:
        work.execute("INSERT INTO frozen VALUES (1, TIMESTAMP '2026-01-01')")
        work.table("scratch", pa.table({"a": [1]}))
        assert work.execute("SELECT a FROM scratch").rows == [(1,)]
        _ = 1 // 0
    assert store.query("SELECT * FROM frozen").rows == []
    with store.change() as work:
        work.execute("INSERT INTO frozen VALUES (1, TIMESTAMP '2026-01-01')")
        assert store.query("SELECT * FROM frozen").rows == []
    assert len(store.query("SELECT * FROM frozen").rows) == 1


def test_values_are_bound_and_relations_are_read(store: Store) -> None:
    """Parameters are values, whatever they hold; an Arrow table among them is a relation of its name, for that query."""
    nasty = "'; DROP TABLE events; --"
    rows = store.query("SELECT $a AS x, n FROM numbers", {"a": nasty, "numbers": pa.table({"n": [1, 2]})})
    assert rows.dicts() == [{"x": nasty, "n": 1}, {"x": nasty, "n": 2}]
    assert store.query("SELECT count(*) FROM events").rows == [(0,)]
