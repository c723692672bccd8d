"""Damaged files, a full disk and a read-only folder: the error names the file and an action, and no acknowledged event
is lost.
"""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hubbub.app import Engine
from hubbub.clock import fixed
from hubbub.errors import HubbubError, StoreDamagedError, StoreFullError, StoreUnavailableError
from hubbub.facts.refresh import refresh
from hubbub.facts.verify import verify
from hubbub.ingest.intake import Intake
from hubbub.model.event import Event
from hubbub.model.tenant import KEEP_EVERYTHING, Tenant
from hubbub.settings import load
from hubbub.storage.store import Store

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
ACME = Tenant(1, "acme", retention=KEEP_EVERYTHING)
FILES = ("hubbub.db", "log.db")


def _message(number: int) -> Event:
    at = NOW - timedelta(minutes=number)
    return Event(type="message.received", id=f"m{number}", time=at, conversation_id=f"c{number % 40}", channel="sms")


def _filled(folder: Path, events: int = 400) -> None:
    """Make a store with events, the last of them not folded."""
    store = Store(folder)
    intake = Intake(store, fixed(NOW), lambda _: None)
    intake.accept(ACME, [_message(n) for n in range(events)], history=True)
    refresh(store)
    intake.accept(ACME, [_message(events)], history=True)
    store.close()


def _count(folder: Path) -> int:
    store = Store(folder)
    try:
        refresh(store)
        with store.facts.read() as reading:
            count: int = reading.value("SELECT count(*) FROM event")
            return count
    finally:
        store.close()


def _refused(folder: Path, file: str) -> str:
    """Return the error for a damaged folder: one line that names the file."""
    with pytest.raises(StoreDamagedError) as caught:
        _count(folder)
    assert str(folder / file) in caught.value.message
    assert "restore" in caught.value.message
    assert "\n" not in caught.value.message
    return caught.value.message


@pytest.mark.parametrize("file", FILES)
def test_a_file_that_is_no_database_is_named(tmp_path: Path, file: str) -> None:
    """A foreign file, or one with flipped first bytes, is damaged and is not overwritten."""
    _filled(tmp_path)
    whole = (tmp_path / file).read_bytes()
    for bytes_ in (b"hello, world\n" * 4000, bytes(b ^ 0xFF for b in whole[:100]) + whole[100:]):
        (tmp_path / file).write_bytes(bytes_)
        _refused(tmp_path, file)
        assert (tmp_path / file).read_bytes() == bytes_
    (tmp_path / file).write_bytes(whole)
    assert _count(tmp_path) == 401


@pytest.mark.parametrize("file", FILES)
def test_an_emptied_file_is_refused_and_not_created_again(tmp_path: Path, file: str) -> None:
    """An empty or missing file is refused by name, not created again."""
    _filled(tmp_path)
    (tmp_path / file).write_bytes(b"")
    assert "restore" in _refused(tmp_path, file)
    (tmp_path / file).unlink()
    _refused(tmp_path, file)


@pytest.mark.parametrize("file", FILES)
def test_a_truncated_file_is_damaged(tmp_path: Path, file: str) -> None:
    """A file cut to half of its pages is damaged."""
    _filled(tmp_path)
    whole = (tmp_path / file).read_bytes()
    (tmp_path / file).write_bytes(whole[: len(whole) // 8192 * 4096])
    _refused(tmp_path, file)


@pytest.mark.parametrize("file", FILES)
def test_a_page_of_random_bytes_is_named_or_never_read(tmp_path: Path, file: str) -> None:
    """With any page overwritten, opening, folding and verifying succeed or raise one line that names the damaged file."""
    _filled(tmp_path / "whole")
    whole, noise = (tmp_path / "whole" / file).read_bytes(), random.Random(7)
    named, pages = 0, len(whole) // 4096
    for page in range(1, pages, max(1, pages // 24)):
        folder = Path(shutil.copytree(tmp_path / "whole", tmp_path / str(page)))
        (folder / file).write_bytes(whole[: page * 4096] + noise.randbytes(4096) + whole[(page + 1) * 4096 :])
        try:
            store = Store(folder)
            try:
                refresh(store)
                verify(store, [ACME])
            finally:
                store.close()
        except HubbubError as error:
            assert (type(error), "\n" in error.message, file in error.message) == (StoreDamagedError, False, True)
            named += 1
    assert named > 0


def test_a_move_that_fails_reads_the_log_no_longer(tmp_path: Path) -> None:
    """After a failed move the log has no open reader, even while the error is held: it can be truncated."""
    _filled(tmp_path)
    store = Store(tmp_path)
    with pytest.raises(ZeroDivisionError) as error, store.log.moving(None, store.log.last(), 1) as moving:
        assert moving is not None
        next(moving.entries())
        raise ZeroDivisionError
    assert error.tb is not None
    with closing(sqlite3.connect(tmp_path / "log.db", timeout=0)) as other:
        assert other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
    store.close()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 16 MB, if this process may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", place]).returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def _remount(disk: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", disk], check=True)


def test_a_read_only_folder_answers(disk: Path) -> None:
    """In a read-only folder answers are those of the last fold, with the reason, and every write is refused by name."""
    folder, sent = disk / "data", {"type": "message.received", "time": "2026-11-20T10:00:00Z"}
    with Engine(load(folder, free_floor_mb=0), fixed(NOW)) as engine:
        engine.add_tenant("acme")
        engine.record("acme", [{**sent, "id": f"{n}"} for n in range(20)])
        engine.refresh()
        engine.record("acme", {**sent, "id": "later"})
    _remount(disk, "ro")
    question: dict[str, Any] = {"metrics": ["messages"], "start": "2026-11-20", "end": "2026-11-21"}
    with Engine(load(folder, free_floor_mb=0), fixed(NOW)) as engine:
        answer = engine.query("acme", **question)
        assert answer["rows"][0]["messages"] == 20
        assert "hubbub.db is read-only" in answer["freshness"]["behind"]
        with pytest.raises(StoreUnavailableError, match=r"log\.db is read-only: check the owner"):
            engine.record("acme", {**sent, "id": "new"})
    with pytest.raises(StoreUnavailableError, match="check the owner"):
        Engine(load(disk / "other", free_floor_mb=0), fixed(NOW))
    _remount(disk, "rw")
    with Engine(load(folder, free_floor_mb=0), fixed(NOW)) as engine:
        answer = engine.query("acme", **question)
        assert (answer["rows"][0]["messages"], "behind" in answer["freshness"]) == (21, False)


def test_a_full_disk_loses_nothing_that_was_acknowledged(disk: Path) -> None:
    """A full disk is refused by name, stored events stay readable, and with space again every accepted event is there."""
    store = Store(disk / "data")
    intake = Intake(store, fixed(NOW), lambda _: None)
    taken = 0
    with pytest.raises((StoreFullError, StoreUnavailableError), match="disk"):
        for number in range(0, 100_000, 200):
            taken += intake.accept(ACME, [_message(number + n) for n in range(200)], history=True).stored
            if number % 2000 == 0:
                refresh(store)
    assert taken > 0
    with store.facts.read() as reading:
        assert 0 < reading.value("SELECT count(*) FROM event") <= taken
    _remount(disk, "size=64m")
    store.close()
    assert _count(disk / "data") == taken
    store = Store(disk / "data")
    assert verify(store, [ACME]).clean
    store.close()
