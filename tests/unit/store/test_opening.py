"""Opening a store: what was folded by other declarations is folded again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from hubbub.app import open_engine
from hubbub.metrics.catalogue import FACTS
from hubbub.store.opening import fingerprint

RANGE: dict[str, Any] = {"metrics": "messages", "start": "2026-08-01", "end": "2026-08-02"}


def test_a_fact_is_known_by_what_is_stored_of_it() -> None:
    """Every fact has a digest of its own; another statement changes it, other white space does not."""
    assert len({fingerprint(fact) for fact in FACTS}) == len(FACTS)
    for fact in FACTS:
        assert fingerprint(replace(fact, sql=fact.sql + " WHERE FALSE")) != fingerprint(fact)
        assert fingerprint(replace(fact, sql=fact.sql.replace("\n", "\n  "))) == fingerprint(fact)


def test_numbers_of_an_older_definition_are_folded_anew(tmp_path: Path) -> None:
    """What an older version folded otherwise is right in answers at once, and in the rollups after the next refresh."""
    with open_engine(tmp_path) as engine:
        engine.add_tenant("acme")
        event = {"type": "message.sent", "time": "2026-08-01T10:00:00Z"}
        engine.record("acme", [event, {**event, "status": "private"}], history=True)
        engine.refresh()
        with engine.store.work() as work:  # as if private notes had counted, in days that a refresh alone would leave
            work.execute("UPDATE rollup_messages_day SET messages = 2")
            work.execute("UPDATE meta SET value = 'older' WHERE key = 'fact talk'")
        assert engine.query("acme", **RANGE)["rows"][0]["messages"] == 2
    with open_engine(tmp_path) as engine:
        assert engine.query("acme", **RANGE)["rows"][0]["messages"] == 1
        assert engine.refresh()["windows"] > 0
        assert engine.refresh()["windows"] == 0
        assert engine.query("acme", **RANGE)["rows"][0]["messages"] == 1
        assert engine.verify("acme")["clean"]
    with open_engine(tmp_path) as engine:
        assert engine.refresh()["windows"] == 0
