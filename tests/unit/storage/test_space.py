"""Deleted data leaves the disk: the log's after storing, the facts' after retention."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from hubbub.app import Engine, open_engine
from hubbub.storage.sqlite import Database
from tests.embedded import facts_of, log_of

NOW = datetime(2026, 8, 20, 12, tzinfo=UTC)
PAGE = 4096


def fill(engine: Engine, batches: int) -> None:
    """Record batches of a thousand events of at least 300 bytes."""
    for batch in range(batches):
        engine.record("acme", [
            {
                "type": "message.received", "id": f"{batch}-{n}", "time": "2026-08-01T10:00:00Z", "contact_id": f"c{n}",
                "conversation_id": f"v{n}", "channel": "web", "attributes": {"body": f"{n} " * 100},
            }
            for n in range(1000)
        ])  # fmt: skip


def test_the_log_frees_the_space_of_stored_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a refresh and a checkpoint the log keeps only a few free pages."""
    monkeypatch.setattr("hubbub.storage.sqlite_log.FREE_PAGES", 100)
    with open_engine(tmp_path, clock=lambda: NOW, free_floor_mb=0) as engine:
        engine.add_tenant("acme")
        log = log_of(engine.store).database
        fill(engine, 10)
        log.checkpoint()
        assert log.path.stat().st_size > 300 * PAGE
        engine.refresh()
        log.checkpoint()
        assert log.path.stat().st_size < 120 * PAGE


def test_a_large_log_shrinks_a_little_with_each_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log with many free pages shrinks a little with each batch, so that no sender waits for all of it."""
    monkeypatch.setattr("hubbub.storage.sqlite_log.FREE_PAGES", 100)
    with open_engine(tmp_path, clock=lambda: NOW, free_floor_mb=0) as engine:
        engine.add_tenant("acme")
        log = log_of(engine.store).database
        fill(engine, 10)
        with monkeypatch.context() as patch:
            patch.setattr(log, "shrink", lambda *_: None)
            engine.refresh()
        sizes = []
        for n in range(14):
            log.checkpoint()
            sizes.append(log.path.stat().st_size // PAGE)
            engine.record("acme", {"type": "message.received", "id": f"later-{n}", "time": NOW.isoformat()})
            engine.refresh()
        gone = [before - after for before, after in pairwise(sizes)]
        assert sizes[0] > 300 and sizes[-1] < 120
        assert max(gone) <= 102  # 100 pages and those that map them


def test_retention_frees_space(tmp_path: Path) -> None:
    """Retention shrinks the file of facts."""
    with open_engine(tmp_path, clock=lambda: NOW, free_floor_mb=0) as engine:
        engine.add_tenant("acme")
        fill(engine, 10)
        engine.refresh()
        engine.store.facts.checkpoint()
        full = facts_of(engine.store).path.stat().st_size
        engine.tenants.change("acme", retention={"raw": 1, "facts": 1})
        engine.retained._clock = lambda: datetime(2027, 12, 1, tzinfo=UTC)
        engine.retention("acme")
        assert (
            engine.query("acme", metrics="messages", start="2026-08-01", end="2026-08-02")["rows"][0]["messages"]
            is None
        )
        assert facts_of(engine.store).path.stat().st_size < full / 2


def test_a_rewritten_file_holds_no_deleted_byte(tmp_path: Path) -> None:
    """Deleted rows can leave bytes in pages in spite of `secure_delete`; a rewritten file has none."""
    left, canary = 0, b"canary-7f3a91"
    for seed in range(20):
        order, path = random.Random(seed), tmp_path / f"{seed}.db"
        database = Database(path)
        with database.write() as writing:
            writing.run("CREATE TABLE t (k TEXT PRIMARY KEY, v TEXT) WITHOUT ROWID")
        keys = [f"{n:04}" for n in range(400)]
        order.shuffle(keys)
        for place in range(0, 400, 20):
            with database.write() as writing:
                rows = [(key, canary.decode() + "x" * order.randrange(900)) for key in keys[place : place + 20]]
                writing.many("INSERT INTO t VALUES (?, ?)", rows)
                for key in order.sample(keys[: place + 20], 12):
                    writing.run("UPDATE t SET v = ? WHERE k = ?", ("y" * order.randrange(900), key))
        with database.write() as writing:
            writing.run("DELETE FROM t WHERE v LIKE 'canary%'")
        database.checkpoint()
        left += canary in path.read_bytes()
        database.rewrite()
        database.checkpoint()
        assert canary not in path.read_bytes()
        database.close()
    assert left
