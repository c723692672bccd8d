"""Doctor on the store's files: permissions, completeness of identities, and whether the log is folded."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import Mock

import pytest

from hubbub.app import Engine, open_engine
from tests.embedded import log_of


def checks(engine: Engine) -> dict[str, bool]:
    """Return whether each check is well."""
    return {row["check"]: row["ok"] for row in engine.doctor()["rows"]}


def test_doctor_checks_the_files_of_the_store(tmp_path: Path) -> None:
    """A new store is well; files readable by others, a missing file of identities and an old log are named."""
    with open_engine(tmp_path, clock=lambda: datetime.now(UTC), free_floor_mb=0) as engine:
        engine.add_tenant("acme")
        assert checks(engine) | {"log": True, "files": True, "identities": True} == checks(engine)
        (tmp_path / "hubbub.db").chmod(0o644)
        engine.record(
            "acme", {"type": "message.received", "id": "a", "time": "2026-01-01T00:00:00Z", "contact_id": "k"}
        )
        with engine.store.facts.write() as writing:
            writing.run("INSERT INTO identity_run VALUES ('00000009.keys', 5)")
        with log_of(engine.store).database.write() as writing:
            writing.run("UPDATE log SET received_at = ?", (int((time.time() - 3600) * 1e6),))
        found = {row["check"]: row for row in engine.doctor()["rows"]}
        assert "hubbub.db may be read by others" in found["files"]["found"]
        assert "00000009.keys" in found["identities"]["found"]
        assert found["log"]["found"].startswith("1 batches, the oldest for 36")
        assert not any(found[name]["ok"] for name in ("files", "identities", "log"))
        with engine.store.facts.write() as writing:
            writing.run("DELETE FROM identity_run")
        assert checks(engine)["identities"]


def test_doctor_counts_by_age(tmp_path: Path) -> None:
    """A refused record and a failed job need attention for 7 days; after that the installation is well again."""
    now = [datetime.now(UTC)]
    with open_engine(tmp_path, clock=lambda: now[0], free_floor_mb=0) as engine:
        engine.add_tenant("acme")
        engine.record("acme", {"type": "mesage.sent"})
        engine.refresh()
        engine.queues.open().start("trend-aggregation", {}, job_id="one")
        engine.queues.open().cancel("one")
        rows = {row["check"]: row for row in engine.doctor()["rows"]}
        assert not rows["quarantine"]["ok"] and rows["quarantine"]["found"].startswith(
            "1 records refused in the last 7 days"
        )
        asked: list[float] = []
        engine.jobs.unfinished = lambda since: asked.append(since) or {}  # type: ignore[method-assign, func-returns-value]
        now[0] += timedelta(days=8)
        rows = {row["check"]: row for row in engine.doctor()["rows"]}
        assert rows["quarantine"]["ok"] and rows["quarantine"]["found"].endswith("1 are kept")
        assert rows["jobs"]["ok"] and asked == [(now[0] - timedelta(days=7)).timestamp()]


def test_failed_jobs_count_since_a_given_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Failed jobs count if they ended since the given moment; parked jobs count whatever their age."""
    ended = [
        Mock(ended_at=moment)
        for moment in (datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 20, tzinfo=UTC), None)
    ]
    with open_engine(tmp_path, free_floor_mb=0) as engine:
        assert engine.jobs.unfinished(0.0) is None
        monkeypatch.setattr(engine.queues.open(), "rows", lambda **_: ended)
        since = datetime(2026, 11, 10, tzinfo=UTC).timestamp()
        assert engine.jobs.unfinished(since) == {"failed": 2, "parked": 3}


def test_doctor_checks_the_length_of_a_file_of_identities(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of identities of several tenants is well; a truncated one and one with extra bytes are not."""
    monkeypatch.setattr("hubbub.storage.sqlite_identity.RECENT", 4)
    with open_engine(tmp_path, clock=lambda: datetime.now(UTC), free_floor_mb=0) as engine:
        for name in ("acme", "beta"):
            engine.add_tenant(name)
            now = datetime.now(UTC).isoformat()
            sent = {
                "type": "message.received",
                "time": now,
                "contact_id": "k",
                "channel": "web",
                "conversation_id": "v",
            }
            assert engine.record(name, [{**sent, "id": str(n)} for n in range(5)])["accepted"] == 5
        engine.refresh()
        (file,) = (tmp_path / "identities").iterdir()
        assert checks(engine)["identities"]
        kept = file.read_bytes()
        for damaged in (kept[:-8], kept + bytes(8), kept[:4], b""):
            file.write_bytes(damaged)
            assert not checks(engine)["identities"]
