"""What is deleted leaves the disk: of the log when it was stored, of the facts when retention took it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from hubbub.app import Engine, open_engine

NOW = datetime(2026, 8, 20, 12, tzinfo=UTC)
PAGE = 4096


def fill(engine: Engine, batches: int) -> None:
    """Record events of 300 bytes and more, a thousand at a time."""
    for batch in range(batches):
        engine.record("acme", [
            {
                "type": "message.received", "id": f"{batch}-{n}", "time": "2026-08-01T10:00:00Z", "contact_id": f"c{n}",
                "conversation_id": f"v{n}", "channel": "web", "attributes": {"body": f"{n} " * 100},
            }
            for n in range(1000)
        ])  # fmt: skip


def test_the_log_gives_back_what_was_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once all is stored, and after the next checkpoint, the log keeps a few pages for what comes next, and no more."""
    monkeypatch.setattr("hubbub.storage.log.FREE_PAGES", 100)
    with open_engine(tmp_path, clock=lambda: NOW, free_floor_mb=0) as engine:
        engine.add_tenant("acme")
        log = engine.store.log.database
        fill(engine, 10)
        log.checkpoint()
        assert log.path.stat().st_size > 300 * PAGE
        engine.refresh()
        log.checkpoint()
        assert log.path.stat().st_size < 120 * PAGE


def test_retention_gives_space_back(tmp_path: Path) -> None:
    """What it deletes leaves the file of facts, too."""
    with open_engine(tmp_path, clock=lambda: NOW, free_floor_mb=0) as engine:
        engine.add_tenant("acme")
        fill(engine, 10)
        engine.refresh()
        engine.store.facts.checkpoint()
        full = engine.store.facts.path.stat().st_size
        engine.change_tenant("acme", retention={"raw": 1, "facts": 1})
        engine.clock = lambda: datetime(2027, 12, 1, tzinfo=UTC)
        engine.retention("acme")
        assert (
            engine.query("acme", metrics="messages", start="2026-08-01", end="2026-08-02")["rows"][0]["messages"]
            is None
        )
        assert engine.store.facts.path.stat().st_size < full / 2
