"""Retention: raw events go, numbers stay. Three months of a generated hotel, kept for thirty days."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hubbub import demo
from hubbub.app import Engine
from hubbub.errors import WindowFrozenError
from hubbub.model.event import Event
from hubbub.model.tenant import KEEP_EVERYTHING
from tests.acceptance.conftest import Tables, open_engine, refreshed, tables_of

HOTEL, ZONE = "hotel-aurora", "Europe/Rome"
START, END = "2026-01-01", "2026-04-02"
TODAY = datetime(2026, 4, 1, 9, tzinfo=UTC)
CUT = "2026-03-02T00:00:00+01:00"
"""Thirty local days before today, where raw events begin once the others are gone."""
ASKED = (
    "messages", "messages_received", "messages_sent", "messages_delivered", "delivery_rate", "reply_rate", "responses",
    "response_ms.avg", "response_ms.p50", "first_response_ms.p50", "first_response_ms.count", "resolution_ms.p90",
    "conversations_started", "conversations_resolved", "escalation_rate", "ai_resolution_rate", "tasks_created",
    "classifications", "topic_confidence", "hotspot_ratio", "ratings", "rating_avg", "csat", "nps_score", "intents",
    "active_contacts", "engagement_rate", "conversion_rate", "events",
)  # fmt: skip


@dataclass
class World:
    """An engine whose clock the test sets, and what it showed before and after the raw events went."""

    engine: Engine
    now: list[datetime]
    before: dict[str, Any] = field(default_factory=dict)
    rows: Tables = field(default_factory=dict)
    gone: dict[str, Any] = field(default_factory=dict)


def hotel(now: datetime = TODAY) -> list[Event]:
    """Return the events of the hotel of the last 85 days."""
    return list(demo.events(HOTEL, now, days=85))


def answers(engine: Engine) -> dict[str, Any]:
    """Ask for the same metrics of all windows, by day, week, month and in total."""
    return {
        grain: engine.query(HOTEL, metrics=ASKED, start=START, end=END, grain=grain)["rows"]
        for grain in ("day", "week", "month", "total")
    }


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Load the hotel, refresh, look at everything, and let raw events older than thirty days go."""
    now = [TODAY]
    with open_engine(tmp_path_factory.mktemp("retention"), lambda: now[0]) as engine:
        engine.add_tenant(HOTEL, ZONE, retention={"raw": 30, "hour": None, "day": None, "week": None, "month": None})
        assert engine.accept(HOTEL, hotel(), history=True).rejected == []
        refreshed(engine)
        made = World(engine, now, answers(engine), tables_of(engine, HOTEL))
        (made.gone,) = engine.retention()["rows"]
        yield made


def raw_events(engine: Engine, condition: str) -> int:
    """Count raw events that fit a condition."""
    count: int = engine.store.query(f"SELECT count(*) FROM events WHERE {condition}").rows[0][0]
    return count


def test_raw_events_go_at_the_local_midnight_of_the_cut(world: World) -> None:
    """Most events before the cut are gone, none after it; those that stay belong to what goes on after the cut."""
    cut = datetime.fromisoformat(CUT)
    before = [e for e in hotel() if e.time < cut]
    after = {(e.source, e.id) for e in hotel() if e.time >= cut}
    at = f"TIMESTAMP '{cut.astimezone(UTC):%Y-%m-%d %H:%M:%S}'"
    assert world.gone["frozen_until"] == cut.astimezone(UTC).isoformat().replace("+00:00", "Z")
    assert world.gone["kept_back"] == ""
    assert world.gone["rollup_rows"] == 0
    assert raw_events(world.engine, f"time >= {at}") == len(after)
    left = raw_events(world.engine, f"time < {at}")
    assert left == len({(e.source, e.id) for e in before}) - world.gone["raw"]
    assert left < len(before) / 4


def test_no_stored_row_moves(world: World) -> None:
    """Every row of every rollup table, before and after the cut, is what it was; a refresh and a second round change none."""
    assert tables_of(world.engine, HOTEL) == world.rows != {}
    refreshed(world.engine)
    (again,) = world.engine.retention()["rows"]
    assert again["raw"] == 0
    assert tables_of(world.engine, HOTEL) == world.rows


@pytest.mark.parametrize("grain", ["day", "week", "month", "total"])
def test_no_answer_moves(world: World, grain: str) -> None:
    """Every metric of every window answers as before, on both sides of the cut and across it."""
    assert answers(world.engine)[grain] == world.before[grain]


def test_verify_stays_clean(world: World) -> None:
    """Recomputing what can be recomputed finds no difference, and compares windows after the cut."""
    verdict = world.engine.verify()
    assert (verdict["clean"], verdict["differences"]) == (True, 0)
    assert verdict["windows"] > 0


def test_backfill_of_frozen_windows_is_refused(world: World) -> None:
    """A backfill that begins before the cut is refused by name and writes nothing; one that begins at the cut changes nothing."""
    for start in (START, "2026-03-01"):
        with pytest.raises(WindowFrozenError, match="2026-03-01 23:00") as caught:
            world.engine.backfill(start, END, HOTEL)
        assert caught.value.code == "window_frozen"
    assert tables_of(world.engine, HOTEL) == world.rows
    assert world.engine.backfill("2026-03-02", END, HOTEL)["errors"] == {}
    assert tables_of(world.engine, HOTEL) == world.rows


def test_late_events_into_frozen_windows_are_rejected(world: World) -> None:
    """Before the cut history and live events alike are refused as window_frozen and kept in quarantine, at it they are taken."""
    cut = datetime.fromisoformat(CUT)
    late = {"type": "message.received", "time": (cut - timedelta(microseconds=1)).isoformat(), "id": "late"}
    for history in (True, False):
        (refused,) = world.engine.record(HOTEL, late, history=history)["rejected"]
        assert (refused["code"], refused["field"]) == ("window_frozen", "time")
    assert [row["code"] for row in world.engine.quarantine(HOTEL)["rows"]] == ["window_frozen"]
    taken = world.engine.record(HOTEL, {**late, "time": cut.isoformat(), "conversation_id": "late"}, history=True)
    assert (taken["accepted"], taken["rejected"]) == (1, [])
    day = world.engine.query(HOTEL, metrics="messages", start="2026-03-02", end="2026-03-03")["rows"][0]["messages"]
    refreshed(world.engine)
    assert (
        world.engine.query(HOTEL, metrics="messages", start="2026-03-02", end="2026-03-03")["rows"][0]["messages"]
        == day
    )
    assert world.engine.verify()["clean"]
    earlier = {table: [r for r in rows if r[0] < datetime(2026, 2, 22)] for table, rows in world.rows.items()}  # noqa: DTZ001
    now = tables_of(world.engine, HOTEL)
    assert {table: [r for r in now[table] if r[0] < datetime(2026, 2, 22)] for table in earlier} == earlier  # noqa: DTZ001


def test_a_store_opens_after_its_newest_events_went(tmp_path: Path) -> None:
    """History that is imported last and let go at once leaves a store that opens again and numbers on."""
    with open_engine(tmp_path, lambda: TODAY) as engine:
        engine.add_tenant(HOTEL, ZONE, retention={"raw": 30})
        old = {"type": "message.received", "time": "2025-11-01T12:00:00Z", "conversation_id": "c"}
        engine.record(HOTEL, [{**old, "id": f"old-{n}"} for n in range(10)], history=True)
        refreshed(engine)
        (gone,) = engine.retention()["rows"]
        assert gone["raw"] == 10
    with open_engine(tmp_path, lambda: TODAY) as engine:
        engine.record(HOTEL, {"type": "message.received", "time": TODAY.isoformat(), "id": "new"})
        refreshed(engine)
        assert engine.query(HOTEL, metrics="messages", start=START, end=END)["rows"][0]["messages"] == 1
        assert engine.verify()["clean"]


@pytest.mark.parametrize("zone", ["Australia/Lord_Howe", "Asia/Kathmandu"])
def test_a_tenant_that_changes_zone_is_as_one_made_there(tmp_path: Path, zone: str) -> None:
    """After a change of zone, rows and answers are those of a tenant that was in that zone from the start."""
    now = datetime(2026, 4, 7, 9, tzinfo=UTC)  # Rome changed its clock nine days ago, Lord Howe two
    with open_engine(tmp_path, lambda: now) as engine:
        engine.ensure_tenant("moving", ZONE, retention=KEEP_EVERYTHING)
        engine.ensure_tenant("settled", zone, retention=KEEP_EVERYTHING)
        events = list(demo.events(HOTEL, now, days=9))
        for tenant in ("moving", "settled"):
            engine.accept(tenant, events, history=True)
        refreshed(engine)
        assert tables_of(engine, "moving") != tables_of(engine, "settled")
        engine.change_tenant("moving", zone=zone)
        question: dict[str, Any] = {"metrics": ASKED, "start": "2026-03-28", "end": "2026-04-09", "grain": "day"}
        truth = engine.query("settled", **question)["rows"]
        refreshed(engine)
        assert engine.query("moving", **question)["rows"] == truth
        assert tables_of(engine, "moving") == tables_of(engine, "settled")
