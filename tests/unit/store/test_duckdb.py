"""The embedded store: what is acknowledged is there, counted once, and never silently fewer."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from hubbub.errors import StoreBusyError, StoreDamagedError, StoreFullError, StoreUnavailableError
from hubbub.store.base import EVENT_SCHEMA, Batch, Verdict
from hubbub.store.duckdb import DuckStore
from hubbub.store.opening import FILE

STORED, DUPLICATE, CORRECTED = Verdict.STORED, Verdict.DUPLICATE, Verdict.CORRECTED
DAY = datetime(2026, 8, 1, 12)  # noqa: DTZ001 - the store's times have no zone
Told = tuple[str, int | None, datetime]


def open_(folder: Path, **options: Any) -> DuckStore:
    """A small store."""
    return DuckStore(folder, **{"threads": 1, "memory_limit": "300MB", "free_floor": 0, **options})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckStore]:
    """A store of one test."""
    opened = open_(tmp_path / "data")
    yield opened
    opened.close()


def told(id_: str, revision: int | None = None, *, days: float = 0) -> Told:
    """An event: its id, its revision, and when it was."""
    return id_, revision, DAY + timedelta(days=days)


def batch(
    *events: Told, tenant: int = 1, source: str = "api", given: bool = True, rejected: Sequence[Any] = ()
) -> Batch:
    """A batch of messages."""
    rows = [
        {"tenant": tenant, "type": "message.received", "time": when, "source": source, "id": id_, "revision": revision}
        for id_, revision, when in events
    ]
    table = pa.Table.from_pylist(rows, schema=EVENT_SCHEMA)
    return Batch(
        table, [(tenant, source, id_) for id_, _, _ in events], [r for _, r, _ in events], [given] * len(rows), rejected
    )


def kept(store: DuckStore) -> list[tuple[Any, ...]]:
    """What is stored, as (id, revision, days after the first)."""
    rows = store.query('SELECT id, revision, "time" FROM events ORDER BY id, seq').rows
    return [(id_, revision, (when - DAY) / timedelta(days=1)) for id_, revision, when in rows]


# --- verdicts


def test_a_batch_gets_one_verdict_per_row(store: DuckStore) -> None:
    """Of a batch with a repeated row the first is stored and the other a duplicate, in the order of the rows."""
    assert store.append(batch(told("a"), told("b"), told("a"))) == [STORED, STORED, DUPLICATE]
    assert store.append(batch(told("c"), told("a"))) == [STORED, DUPLICATE]
    assert store.last_seq() == 3


def test_a_resent_event_is_found_within_a_day(store: DuckStore) -> None:
    """The first one stays, when the same id comes again with a time up to a day away."""
    store.append(batch(told("a")))
    assert store.append(batch(told("a", days=1))) == [DUPLICATE]
    assert store.append(batch(told("a", days=-1))) == [DUPLICATE]
    assert kept(store) == [("a", None, 0)]


def test_identity_is_tenant_source_and_id(store: DuckStore) -> None:
    """The same id of another tenant or source is another event."""
    assert store.append(batch(told("a"))) == [STORED]
    assert store.append(batch(told("a"), tenant=2)) == [STORED]
    assert store.append(batch(told("a"), source="crm")) == [STORED]


def test_an_id_made_by_us_is_never_a_duplicate(store: DuckStore) -> None:
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
def test_the_highest_revision_stays_in_any_order(store: DuckStore, order: list[Told], together: bool) -> None:
    """In one batch or one by one, in any order, the record with the highest revision is the one that is left."""
    for some in [order] if together else [[one] for one in order]:
        store.append(batch(*some))
    assert kept(store) == [("a", 2, 9)]


def test_a_correction_says_so_and_an_equal_revision_changes_nothing(store: DuckStore) -> None:
    """A higher revision is a correction; the same one again, or a lower one, is a duplicate."""
    store.append(batch(told("a")))
    assert store.append(batch(told("a", 1))) == [CORRECTED]
    assert store.append(batch(told("a", 1, days=3))) == [DUPLICATE]
    assert store.append(batch(told("a", 0))) == [DUPLICATE]
    assert store.append(batch(told("b"), told("b", 7))) == [DUPLICATE, CORRECTED]


def test_what_a_correction_replaced_is_kept_with_a_number_of_its_own(store: DuckStore) -> None:
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
    store = open_(tmp_path, commit_wait=0.05)
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
    store = open_(tmp_path, commit_wait=0.05)
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


def test_rejected_records_are_kept_in_the_same_commit(store: DuckStore) -> None:
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


def test_a_transaction_is_seen_whole_or_not_at_all(store: DuckStore) -> None:
    """What a failed block did is gone, its temporary tables too; what a finished block did is there."""
    with pytest.raises(ZeroDivisionError), store.work() as work:
        work.execute("INSERT INTO frozen VALUES (1, TIMESTAMP '2026-01-01')")
        work.table("scratch", pa.table({"a": [1]}))
        assert work.execute("SELECT a FROM scratch").rows == [(1,)]
        _ = 1 // 0
    assert store.query("SELECT * FROM frozen").rows == []
    with store.work() as work:
        work.execute("INSERT INTO frozen VALUES (1, TIMESTAMP '2026-01-01')")
        assert store.query("SELECT * FROM frozen").rows == []
    assert len(store.query("SELECT * FROM frozen").rows) == 1


def test_values_are_bound_and_relations_are_read(store: DuckStore) -> None:
    """Parameters are values, whatever they hold; an Arrow table among them is a relation of its name, for that query."""
    nasty = "'; DROP TABLE events; --"
    rows = store.query("SELECT $a AS x, n FROM numbers", {"a": nasty, "numbers": pa.table({"n": [1, 2]})})
    assert rows.dicts() == [{"x": nasty, "n": 1}, {"x": nasty, "n": 2}]
    assert store.query("SELECT count(*) FROM events").rows == [(0,)]


# --- opening


def test_everything_is_there_after_reopening(tmp_path: Path) -> None:
    """Events, their numbers and what was resent survive closing and opening."""
    first = open_(tmp_path)
    first.append(batch(told("a"), told("b")))
    first.close()
    second = open_(tmp_path)
    assert second.last_seq() == 2
    assert second.append(batch(told("a"), told("c"))) == [DUPLICATE, STORED]
    assert second.last_seq() == 3
    second.close()


def test_numbers_go_on_after_everything_was_deleted(tmp_path: Path) -> None:
    """A store whose newest events were erased is not taken for a damaged one, when the engine noted how far it was."""
    first = open_(tmp_path)
    first.append(batch(told("a"), told("b")))
    with first.work() as work:
        work.execute("DELETE FROM events")
        work.execute("INSERT INTO meta VALUES ('seq', '2')")
    first.close()
    second = open_(tmp_path)
    assert second.last_seq() == 2
    second.close()


def _abandon(folder: Path) -> None:
    """Store two events in another process, the second only in the log, and die without closing."""
    program = f"""
import os, sys
from pathlib import Path
from tests.unit.store.test_duckdb import batch, open_, told
store = open_(Path({str(folder)!r}))
store.append(batch(told("a")))
store.checkpoint()
store.append(batch(told("b")))
os._exit(0)
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[3])


def test_a_killed_process_loses_nothing(tmp_path: Path) -> None:
    """What was acknowledged is there after the process died, from file and log."""
    _abandon(tmp_path)
    assert (tmp_path / f"{FILE}.wal").exists()
    store = open_(tmp_path)
    assert [id_ for id_, _, _ in kept(store)] == ["a", "b"]
    store.close()


def test_a_store_without_its_log_is_refused(tmp_path: Path) -> None:
    """A store whose log is gone holds fewer events than were acknowledged, and says so instead of opening."""
    _abandon(tmp_path)
    (tmp_path / f"{FILE}.wal").unlink()
    with pytest.raises(StoreDamagedError, match="event 2 was acknowledged"):
        open_(tmp_path)


def test_an_older_file_is_refused_until_the_loss_is_accepted(tmp_path: Path) -> None:
    """A file put back from an older copy is refused; without the file 'tide' the loss is accepted."""
    store = open_(tmp_path)
    store.append(batch(told("a")))
    store.close()
    older = (tmp_path / FILE).read_bytes()
    store = open_(tmp_path)
    store.append(batch(told("b")))
    store.close()
    (tmp_path / FILE).write_bytes(older)
    with pytest.raises(StoreDamagedError, match="Restore"):
        open_(tmp_path)
    (tmp_path / "tide").unlink()
    store = open_(tmp_path)
    assert [id_ for id_, _, _ in kept(store)] == ["a"]
    store.close()


def test_a_log_without_its_file_is_refused(tmp_path: Path) -> None:
    """A log beside no file is never taken for an empty store."""
    _abandon(tmp_path)
    (tmp_path / FILE).unlink()
    with pytest.raises(StoreDamagedError, match="restore"):
        open_(tmp_path)


def test_a_file_that_is_no_store_is_refused(tmp_path: Path) -> None:
    """Rubbish in place of the file is damage, by name."""
    (tmp_path / FILE).write_bytes(b"rubbish" * 4096)
    with pytest.raises(StoreDamagedError, match=FILE):
        open_(tmp_path)


def test_a_store_of_another_schema_is_refused(tmp_path: Path) -> None:
    """A store that a later Hubbub wrote is not touched."""
    store = open_(tmp_path)
    with store.work() as work:
        work.execute("UPDATE meta SET value = '99' WHERE key = 'schema'")
    store.close()
    with pytest.raises(StoreDamagedError, match="99"):
        open_(tmp_path)


def test_a_second_process_is_told_that_the_store_is_taken(store: DuckStore) -> None:
    """Another process that opens the same folder gets StoreBusyError, and the first one goes on."""
    program = f"""
from pathlib import Path
from hubbub.errors import StoreBusyError
from tests.unit.store.test_duckdb import open_
try:
    open_(Path({str(store.folder)!r}))
except StoreBusyError as error:
    print(error.code)
"""
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=root)
    assert done.stdout.strip() == StoreBusyError.code
    assert store.append(batch(told("a"))) == [STORED]


# --- running out


def test_a_nearly_full_disk_refuses_events_and_answers_questions(tmp_path: Path) -> None:
    """Under the floor of free space an append is refused with how much is free; reading goes on, nothing is stored."""
    store = open_(tmp_path, free_floor=1 << 62)
    with pytest.raises(StoreFullError, match="free"):
        store.append(batch(told("a")))
    assert store.query("SELECT count(*) FROM events").rows == [(0,)]
    assert store.last_seq() == 0
    store.close()


def test_a_closed_store_takes_nothing(tmp_path: Path) -> None:
    """After closing, appends are refused; closing twice is closing once."""
    store = open_(tmp_path)
    store.close()
    store.close()
    with pytest.raises(StoreUnavailableError, match="clos"):
        store.append(batch(told("a")))
