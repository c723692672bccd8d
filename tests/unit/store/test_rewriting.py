"""The embedded store's file written anew: everything that counts is in it, in its order, and no byte of what was deleted."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from hubbub.errors import StoreFullError, StoreUnavailableError
from hubbub.store import opening, rewriting
from hubbub.store.base import EVENT_SCHEMA, Batch
from hubbub.store.duckdb import DuckStore
from tests.unit.store.batches import DAY, DUPLICATE, STORED, batch, kept, told

CANARY = "canary7f3a-9c41"


def open_(folder: Path, free_floor: int = 0) -> DuckStore:
    """A small store."""
    return DuckStore(folder, threads=1, memory_limit="300MB", free_floor=free_floor)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckStore]:
    """A store with three events, the second of a contact that is a canary."""
    opened = open_(tmp_path / "data")
    rows = [
        {"tenant": 1, "type": "message.received", "time": DAY, "source": "api", "id": id_, "contact_id": contact}
        for id_, contact in (("a", None), ("b", CANARY), ("c", None))
    ]
    table = pa.Table.from_pylist(rows, schema=EVENT_SCHEMA)
    opened.append(Batch(table, [(1, "api", str(row["id"])) for row in rows], [None] * 3, [True] * 3))
    opened.checkpoint()
    yield opened
    opened.close()


def holding(folder: Path) -> set[str]:
    """Return the names of the files that hold the canary."""
    return {path.name for path in folder.rglob("*") if path.is_file() and CANARY.encode() in path.read_bytes()}


def delete(store: DuckStore) -> None:
    """Delete the canary's event, as a transaction does."""
    with store.change() as work:
        work.execute("DELETE FROM events WHERE id = 'b'")


def test_what_is_deleted_is_in_no_file(store: DuckStore) -> None:
    """After a delete and a checkpoint the bytes are still there; after the rewriting they are not, and nothing is beside."""
    delete(store)
    store.checkpoint()
    assert holding(store.folder) == {"hubbub.duckdb"}
    store.scrub({}, {})
    assert holding(store.folder) == set()
    assert {path.name for path in store.folder.iterdir()} <= {"hubbub.duckdb", "tide", "tmp", "hubbub.duckdb.wal"}
    assert [id_ for id_, _, _ in kept(store)] == ["a", "c"]


def test_the_store_goes_on(store: DuckStore) -> None:
    """Duplicates, numbers, refused records, views and a new opening are as if nothing had been, once and again."""
    bad = {"tenant": 1, "received_at": DAY, "origin": "api", "code": "x", "field": None, "message": "m", "raw": "r1"}
    store.append(batch(rejected=[bad]))
    for number in range(2):
        store.scrub({}, {})
        assert store.append(batch(told("a"), told(f"new {number}"))) == [DUPLICATE, STORED]
        store.append(batch(rejected=[{**bad, "raw": f"again {number}"}]))
    assert store.query("SELECT id FROM quarantine ORDER BY id").rows == [(1,), (2,), (3,)]
    assert store.query("SELECT count(*) FROM analytics_snapshots").rows == [(0,)]
    seq = store.last_seq()
    store.close()
    again = open_(store.folder)
    assert again.last_seq() == seq == 5
    assert len(kept(again)) == 5
    again.close()


def test_rows_stay_in_their_order(store: DuckStore) -> None:
    """Events lie in the new file as they lay in the old one, which is how they are found quickly."""
    store.append(batch(*(told(f"e{n:05}", days=n % 7) for n in range(5000))))
    before = store.query("SELECT seq FROM events").rows
    store.scrub({}, {})
    assert store.query("SELECT seq FROM events").rows == before


def test_readers_and_senders_go_on_meanwhile(store: DuckStore) -> None:
    """While the file is written anew time and again, no read and no append fails or loses anything."""
    ends, errors = threading.Event(), []

    def read() -> None:
        while not ends.is_set():
            try:
                with store.work() as work:
                    first = work.execute("SELECT count(*) FROM events").rows
                    assert work.execute("SELECT count(*) FROM events").rows == first
            except Exception as error:
                errors.append(error)
                return

    def send() -> None:
        for number in range(60):
            store.append(batch(told(f"sent {number}")))

    threads = [threading.Thread(target=read), threading.Thread(target=read), threading.Thread(target=send)]
    for thread in threads:
        thread.start()
    for _ in range(4):
        store.scrub({}, {})
    threads[2].join()
    ends.set()
    for thread in threads[:2]:
        thread.join()
    assert errors == []
    assert len(kept(store)) == 63


def test_too_little_space_is_told_before_anything_is_written(store: DuckStore) -> None:
    """A disk without room for a second file refuses, and the store is as it was."""
    store._free_floor = 1 << 62
    with pytest.raises(StoreFullError, match="run the same again"):
        store.scrub({}, {})
    assert len(kept(store)) == 3


@pytest.mark.parametrize("broken", ["connect", "told apart"])
def test_a_new_file_that_is_no_good_gives_way_to_the_old_one(
    store: DuckStore, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    """When the new file cannot be opened, or another answers in its place, the old one is there again and the store goes on."""
    real = opening.connect
    asked: list[Path] = []

    def connect(file: Path, config: opening.Config) -> duckdb.DuckDBPyConnection:
        asked.append(file)
        if broken == "connect" and len(asked) == 1:
            raise StoreUnavailableError("not now")
        return real(file, config)

    monkeypatch.setattr(opening, "connect", connect)
    if broken == "told apart":
        real_copy = rewriting.copy
        monkeypatch.setattr(rewriting, "copy", lambda con, file: real_copy(con, file) + "x")
    with pytest.raises(StoreUnavailableError):
        store.scrub({}, {})
    monkeypatch.undo()
    assert [id_ for id_, _, _ in kept(store)] == ["a", "b", "c"]
    assert store.append(batch(told("d"))) == [STORED]
    delete(store)
    store.scrub({}, {})
    assert holding(store.folder) == set()


def test_what_a_dead_process_left_is_taken_away(tmp_path: Path) -> None:
    """A half-written new file, and the old one's second name, go when the store is opened; the store is whole."""
    first = open_(tmp_path)
    first.append(batch(told("a")))
    first.close()
    for name in ("rewritten", "rewritten.wal", "before"):
        (tmp_path / f"hubbub.duckdb.{name}").write_bytes(CANARY.encode())
    second = open_(tmp_path)
    assert holding(tmp_path) == set()
    assert len(kept(second)) == 1
    second.close()
