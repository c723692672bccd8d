"""The embedded store: what is acknowledged is there, counted once, and never silently fewer."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hubbub.errors import StoreBusyError, StoreDamagedError, StoreFullError, StoreUnavailableError
from hubbub.store.duckdb import DuckStore
from hubbub.store.opening import FILE
from tests.unit.store.batches import DUPLICATE, STORED, batch, kept, told


def open_(folder: Path, **options: Any) -> DuckStore:
    """A small store."""
    return DuckStore(folder, **{"threads": 1, "memory_limit": "300MB", "free_floor": 0, **options})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckStore]:
    """A store of one test."""
    opened = open_(tmp_path / "data")
    yield opened
    opened.close()


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
