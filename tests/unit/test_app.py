"""The embedded engine takes and returns plain values."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import hubbub
from hubbub.app import Engine, open_engine
from hubbub.clock import fixed
from hubbub.errors import BadInputError, BadQuestionError, ConflictError, NotFoundError
from hubbub.model.event import read_events
from hubbub.model.plain import plain

DAYS = ("2026-08-01", "2026-08-02")
NOW = datetime(2026, 8, 20, 12, tzinfo=UTC)
SPAN: dict[str, Any] = {"start": "2026-08-01", "end": "2026-08-02"}


def opened(folder: Path, **flags: Any) -> Engine:
    """Open a small engine with its clock at NOW."""
    return open_engine(folder, clock=fixed(NOW), **{"free_floor_mb": 0, **flags})


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """Open an engine with the tenant acme."""
    with opened(tmp_path / "data") as made:
        made.add_tenant("acme", zone="Europe/Rome")
        yield made


def message(id_: str, **fields: Any) -> dict[str, Any]:
    """Return a message of 1 August 2026."""
    return {"type": "message.sent", "time": "2026-08-01T10:00:00+02:00", "id": id_, **fields}


def test_public_names_load_on_first_use() -> None:
    """hubbub.open, Engine and Client exist; another name raises AttributeError."""
    assert hubbub.open is open_engine
    assert hubbub.Engine is Engine
    assert hubbub.Client.__name__ == "Client"
    with pytest.raises(AttributeError, match="nothing"):
        _ = hubbub.nothing


def test_record_takes_a_mapping_a_list_or_an_iterator(engine: Engine) -> None:
    """record takes a mapping, a list or an iterator, with times as text or datetime, and gives a verdict for each."""
    assert engine.record("acme", message("a"))["accepted"] == 1
    assert engine.record("acme", (message(i) for i in ("a", "b")))["duplicates"] == 1
    assert engine.record("acme", [message("c", time=NOW)])["accepted"] == 1
    told = engine.record("acme", [message("d", time=NOW.replace(tzinfo=None)), message("e", value=float("nan")), {}])
    assert [(r["index"], r["code"]) for r in told["rejected"]] == [
        (0, "invalid_time"),
        (1, "out_of_range"),
        (2, "missing_field"),
    ]
    assert engine.query("acme", metrics="messages", **SPAN)["rows"][0]["messages"] == 2


def test_a_record_refused_twice_is_quarantined_once(engine: Engine) -> None:
    """A file imported again, and an equal record beside it, add nothing to quarantine; another reason or origin does."""
    bad = json.dumps(message("a", type="unheard_of", attributes={"when": 1}))
    for _ in range(2):
        engine.load("acme", read_events(f"{bad}\n{bad}\n{{}}\n".encode(), lines=True))
    assert sorted(r.code for r in engine.quarantine.of("acme").rows) == ["missing_field", "unknown_type"]
    engine.record("acme", json.loads(bad))
    rows = engine.quarantine.of("acme").rows
    assert [(r.origin, r.code) for r in rows[:1]] == [("api", "unknown_type")]
    assert len(rows) == 3


def test_a_refused_mapping_can_be_tried_again(engine: Engine) -> None:
    """A mapping that `record` rejects is quarantined as JSON with its times, and can be replayed."""
    engine.record("acme", message("a", time=NOW, confidnce=1))
    (row,) = engine.quarantine.of("acme").rows
    assert json.loads(row.raw or "") == message("a", time=NOW.isoformat(), confidnce=1)
    with engine.store.facts.write() as writing:
        writing.run("UPDATE quarantine SET raw = replace(raw, 'confidnce', 'confidence')")
    assert engine.quarantine.replay("acme").accepted == 1


def test_old_events_need_history(engine: Engine) -> None:
    """An event older than the tenant's raw retention is rejected, and accepted as history."""
    old = message("old", time=NOW - timedelta(days=100))
    assert engine.record("acme", old)["rejected"][0]["code"] == "too_old"
    assert engine.record("acme", old, history=True)["accepted"] == 1


def test_dates_are_days_of_the_tenant(engine: Engine) -> None:
    """Local dates, texts with an offset and datetimes of the same moments give the same answer."""
    engine.record("acme", [message("late", time="2026-07-31T22:30:00Z"), message("next", time="2026-08-01T22:30:00Z")])
    by_date = engine.query("acme", metrics=["messages"], **SPAN)
    assert by_date["rows"] == [{"window": "2026-08-01T00:00:00+02:00", "messages": 1}]
    low = datetime(2026, 7, 31, 22, tzinfo=UTC)
    assert engine.query("acme", metrics="messages", start=low, end=low + timedelta(days=1))["rows"] == by_date["rows"]
    texts: dict[str, Any] = {"start": "2026-08-01T00:00:00+02:00", "end": "2026-08-02T00:00:00+02:00"}
    assert engine.query("acme", metrics="messages", **texts)["rows"] == by_date["rows"]


def test_unknown_tenants_are_not_found(engine: Engine) -> None:
    """Every operation on an unknown tenant raises NotFoundError, and none makes the tenant."""
    calls: tuple[Callable[[], object], ...] = (
        lambda: engine.record("no", message("a")), lambda: engine.query("no", metrics="messages", **SPAN),
        lambda: engine.explain("no", "messages", *DAYS), lambda: engine.dashboard("no"),
        lambda: engine.trends("no", *DAYS), lambda: engine.hotspots("no", *DAYS), lambda: engine.refresh("no"),
        lambda: engine.verify("no"), lambda: engine.backfill(*DAYS, tenant="no"), lambda: engine.retention("no"),
        lambda: engine.snapshot("daily", tenant="no"), lambda: engine.snapshots("no", *DAYS),
        lambda: engine.quarantine.of("no"), lambda: engine.quarantine.replay("no"), lambda: engine.keys.add("no"),
        lambda: engine.tenants.change("no", name="x"),
    )  # fmt: skip
    for call in calls:
        with pytest.raises(NotFoundError):
            call()
    assert [r.tenant for r in engine.tenants.of().rows] == ["acme"]


def test_empty_ranges_are_bad_questions(engine: Engine) -> None:
    """Trends, hotspots, backfill and queries refuse a range whose end is not after its start."""
    calls: tuple[Callable[[], object], ...] = (
        lambda: engine.trends("acme", "2026-08-02", "2026-08-02"), lambda: engine.hotspots("acme", "2026-08-02", "2026-08-01"),
        lambda: engine.query("acme", metrics="messages", start="2026-08-02", end="2026-08-01"),
        lambda: engine.backfill("2026-08-02", "2026-08-01"), lambda: engine.snapshots("acme", "2026-08-02", "2026-08-02"),
    )  # fmt: skip
    for call in calls:
        with pytest.raises(BadQuestionError, match="before"):
            call()


def test_tenants_are_made_and_changed(engine: Engine, tmp_path: Path) -> None:
    """Defaults come from settings, parts of a retention can change alone, and taken or bad names are refused."""
    made = engine.add_tenant("plain", retention={"raw": 7})
    assert (made["zone"], made["retention"]["raw"], made["retention"]["hour"]) == ("UTC", 7, 30)
    changed = engine.tenants.change("plain", zone="Asia/Tokyo", retention={"hour": None})
    assert (changed.zone, changed.retention.raw, changed.retention.hour) == ("Asia/Tokyo", 7, None)
    with pytest.raises(ConflictError):
        engine.add_tenant("plain")
    for bad in ("", "A", "a b", "a_b", "-a", "a-", "x" * 64, "ä", "a\n"):
        with pytest.raises(BadInputError):
            engine.add_tenant(bad)
    with opened(tmp_path / "other", default_zone="Asia/Tokyo") as other:
        assert other.add_tenant("t")["zone"] == "Asia/Tokyo"


def test_a_changed_zone_moves_days_with_the_next_refresh(engine: Engine) -> None:
    """Days are cut on reading: after a change of zone they are the new zone's, and no stored row changes."""
    engine.record("acme", message("a", time="2026-07-31T23:30:00Z"))
    engine.refresh()
    engine.tenants.change("acme", zone="America/New_York")
    engine.refresh()
    days = {
        r["window"]: r["messages"]
        for r in engine.query("acme", metrics="messages", start="2026-07-31", end="2026-08-02", grain="day")["rows"]
    }
    assert days == {"2026-07-31T00:00:00-04:00": 1, "2026-08-01T00:00:00-04:00": 0}
    assert engine.verify("acme")["clean"]


def test_a_key_is_shown_once(engine: Engine) -> None:
    """The text of a key is in the answer that made it and in no list."""
    made = engine.keys.add("acme", scopes=["read"], label="desk", expires="2030-01-01")
    assert plain(made.expires_at) == "2030-01-01T00:00:00Z"
    assert made.key not in repr(engine.keys.of())
    assert [k.id for k in engine.keys.of("acme").rows] == [made.id]
    assert engine.keys.revoke(made.id).revoked_at


def test_a_closed_engine_opens_again(engine: Engine, tmp_path: Path) -> None:
    """Closing twice is harmless, and the folder opens again with all its data."""
    engine.record("acme", message("a"))
    engine.close()
    engine.close()
    with opened(tmp_path / "data") as again:
        assert again.query("acme", metrics="messages", **SPAN)["rows"][0]["messages"] == 1


def test_every_answer_can_be_written_as_json(engine: Engine) -> None:
    """Plain answers are JSON, and typed ones can be converted."""
    engine.record("acme", [message("a"), {"type": "nothing"}])
    for answer in (
        engine.refresh(), engine.backfill(*DAYS), engine.verify(), engine.retention(dry_run=True), engine.metrics(),
        plain(engine.tenants.of()), plain(engine.keys.of()), plain(engine.quarantine.of("acme")), engine.doctor(),
            engine.quarantine.replay("acme").answer(),
        engine.dashboard("acme"), engine.trends("acme", *DAYS), engine.hotspots("acme", *DAYS),
        engine.explain("acme", "messages", *DAYS),
        engine.load("new", read_events(b'{"type":"message.sent","time":"2020-01-01T00:00:00Z"}', lines=True)),
    ):  # fmt: skip
        assert json.loads(json.dumps(answer, allow_nan=False))
    assert engine.tenants.of().rows[1].retention.raw is None


@pytest.mark.parametrize("file", ["hubbub.db", "log.db", "control.db"])
def test_opening_waits_for_a_writing_process(tmp_path: Path, file: str) -> None:
    """A folder in which a command is writing opens once it has finished, and accepts events."""
    with open_engine(tmp_path, free_floor_mb=0) as engine:
        engine.add_tenant("acme")
    writing = sqlite3.connect(tmp_path / file, isolation_level=None, check_same_thread=False)
    writing.execute("BEGIN IMMEDIATE")
    end = threading.Timer(1.0, writing.execute, ["COMMIT"])
    end.start()
    with open_engine(tmp_path, free_floor_mb=0) as engine:
        engine.add_tenant("zoo")
        now = datetime.now(UTC).isoformat()
        assert engine.record("zoo", {"type": "message.received", "time": now})["accepted"] == 1
        assert engine.refresh()["events"] == 1
    end.join()
    writing.close()
