"""Units of a kind are folded with the same statements, however many."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hubbub.facts.refresh import refresh, store_waiting
from hubbub.facts.units import UNITS, fold
from hubbub.facts.verify import verify
from hubbub.ingest.intake import Intake
from hubbub.model.event import Event
from hubbub.model.tenant import KEEP_EVERYTHING, Tenant
from hubbub.storage import sqlite
from hubbub.storage.store import Store

NOW = datetime(2026, 8, 20, 12, tzinfo=UTC)
DESK = Tenant(1, "desk", "UTC", "", KEEP_EVERYTHING)


def send(store: Store, conversations: range) -> None:
    """Send a question, its answer and a rating of each conversation."""
    made = [
        Event(type=type_, time=NOW - timedelta(hours=n, minutes=5 - at), id=f"{n}-{at}", conversation_id=f"c{n}",
              contact_id=f"p{n}", staff_id="ana" if at == 1 else None, value=4.0 if at == 2 else None, channel="web")
        for n in conversations
        for at, type_ in enumerate(("message.received", "message.sent", "satisfaction.rating_received"))
    ]  # fmt: skip
    assert Intake(store, lambda: NOW, lambda _: None).accept(DESK, made).accepted == len(made)
    store_waiting(store, DESK.no)


def folded(store: Store, monkeypatch: pytest.MonkeyPatch) -> int:
    """Fold all waiting units, all of a kind at once; returns how many statements that took."""
    statements: list[str] = []
    with store.facts.write(DESK.no) as writing, monkeypatch.context() as patch:
        for name in ("rows", "each", "many"):
            called = getattr(sqlite.Transaction, name)

            def counted(self: Any, sql: str, params: Any = (), called: Any = called) -> Any:
                statements.append(sql)
                return called(self, sql, params)

            patch.setattr(sqlite.Transaction, name, counted)
        for unit in UNITS:
            keys = [key for (key,) in writing.rows("SELECT key FROM todo WHERE unit = ?", (unit,))]
            again = fold(writing, unit, DESK.no, keys, set())
            writing.many("INSERT INTO todo VALUES (?, ?, ?) ON CONFLICT DO NOTHING", sorted(again))
        writing.run("DELETE FROM todo")
    return len(statements)


def test_sixty_units_take_as_many_statements_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One conversation and sixty are folded with equally many statements, and their facts are those of a fold one by one."""
    store = Store(tmp_path)
    send(store, range(1))
    one = folded(store, monkeypatch)
    send(store, range(1, 61))
    assert folded(store, monkeypatch) == one > 0
    refresh(store)
    verdicts = verify(store, [DESK])
    assert verdicts.clean and verdicts.rows > 60 * 5
    store.close()
