"""Resent events cost an identity lookup and no read of stored events."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hubbub.app import open_engine

NOW = datetime(2026, 8, 20, 12, tzinfo=UTC)


def events(**more: Any) -> list[dict[str, Any]]:
    """Return ten messages with ids."""
    given = {"type": "message.received", "time": "2026-08-20T10:00:00Z", "conversation_id": "v", "channel": "web"}
    return [given | more | {"id": f"e{n}"} for n in range(10)]


def test_resent_events_without_a_revision_read_no_facts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Resent events are duplicates without a read of facts; with a revision they are looked up, and corrected."""
    with open_engine(tmp_path, clock=lambda: NOW, free_floor_mb=0) as engine:
        engine.add_tenant("acme")
        engine.record("acme", events())
        engine.refresh()
        with monkeypatch.context() as patch:
            patch.setattr(engine.store.log, "_stored", lambda _batch, _keys, wanted: {} if not wanted else 1 / 0)
            again = engine.record("acme", events())
        assert (again["accepted"], again["duplicates"]) == (0, 10)
        corrected = engine.record("acme", events(revision=2, channel="mail"))
        assert (corrected["corrected"], corrected["duplicates"]) == (10, 0)
        engine.refresh()
        twice = engine.record("acme", [*events(), *events(revision=1), *events(revision=3)])
        assert (twice["corrected"], twice["duplicates"]) == (10, 20)
