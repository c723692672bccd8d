"""Retention: texts are deleted first, then whole days of facts; the rest is unchanged. Weeks of a hotel, kept for thirty days."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from hubbub import demo
from hubbub.app import Engine
from hubbub.errors import WindowFrozenError
from hubbub.facts.moments import DAY, micros
from hubbub.model.event import Event
from hubbub.model.tenant import KEEP_EVERYTHING
from tests.acceptance.conftest import open_engine, refreshed
from tests.extent import DAYS_BEFORE_RETENTION

HOTEL, ZONE = "hotel-aurora", "Europe/Rome"
START, END = "2026-01-01", "2026-04-02"
TODAY = datetime(2026, 4, 1, 9, tzinfo=UTC)
CUT = "2026-03-02T00:00:00+01:00"
"""The local midnight thirty days before the present, where facts begin after retention."""
ASKED = (
    "messages", "messages_received", "messages_sent", "messages_delivered", "delivery_rate", "reply_rate", "responses",
    "response_ms.avg", "response_ms.p50", "first_response_ms.p50", "first_response_ms.count", "resolution_ms.p90",
    "conversations_started", "conversations_resolved", "escalation_rate", "ai_resolution_rate", "tasks_created",
    "classifications", "topic_confidence", "hotspot_ratio", "ratings", "rating_avg", "csat", "nps_score", "intents",
    "active_contacts", "engagement_rate", "conversion_rate", "events",
)  # fmt: skip


GRAINS = ("hour", "day", "week", "total")
NO_HISTORY: dict[str, Any] = {"raw": 10, "hour": None, "day": None, "week": None, "month": None, "facts": 30}


@dataclass
class World:
    """An engine with a clock that the test sets, and its answers before retention."""

    engine: Engine
    now: list[datetime]
    before: dict[str, Any] = field(default_factory=dict)
    would: dict[str, Any] = field(default_factory=dict)
    gone: dict[str, Any] = field(default_factory=dict)


def hotel(now: datetime = TODAY) -> list[Event]:
    """Return the hotel's events of the last weeks, in order of time."""
    return sorted(demo.events(HOTEL, now, days=DAYS_BEFORE_RETENTION), key=lambda event: event.time)


def answers(engine: Engine) -> dict[str, Any]:
    """Answer the same metrics for all windows after the cut, by hour, day, week and in total."""
    return {
        grain: engine.query(HOTEL, metrics=ASKED, start="2026-03-02", end=END, grain=grain)["rows"] for grain in GRAINS
    }


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Load the hotel day by day as it happens, record answers, and delete facts older than thirty days."""
    now = [TODAY]
    with open_engine(tmp_path_factory.mktemp("retention"), lambda: now[0]) as engine:
        engine.add_tenant(HOTEL, ZONE, retention=NO_HISTORY)
        for _, events in groupby(hotel(), key=lambda event: event.time.astimezone(ZoneInfo(ZONE)).date()):
            mine = list(events)
            now[0] = mine[-1].time
            assert engine.accept(HOTEL, mine, history=True).rejected == []
        now[0] = TODAY
        refreshed(engine)
        made = World(engine, now, answers(engine))
        (made.would,) = engine.retention(dry_run=True)["rows"]
        (made.gone,) = engine.retention()["rows"]
        yield made


def stored(engine: Engine, condition: str) -> int:
    """Count events that meet a condition."""
    with engine.store.facts.read() as reading:
        count: int = reading.value(f"SELECT count(*) FROM event WHERE {condition}")
        return count


def test_facts_before_the_local_midnight_of_the_cut_are_deleted(world: World) -> None:
    """Events more than three days before the cut are deleted, none after it; texts are eleven days old at most; a dry
    run counts the same.
    """
    cut = datetime.fromisoformat(CUT)
    after = {(e.source, e.id) for e in hotel() if e.time >= cut}
    at = micros(cut)
    assert world.gone["gone_until"] == cut.astimezone(UTC).isoformat().replace("+00:00", "Z")
    assert world.gone["kept_back"] == ""
    assert {**world.would, "gone_until": None} == {**world.gone, "gone_until": None}
    assert world.gone["events"] > 0 < world.gone["responses"]
    assert stored(world.engine, f"time >= {at}") == len(after)
    assert stored(world.engine, f"time < {at - 3 * DAY}") == 0
    assert stored(world.engine, f"time < {micros(TODAY) - 11 * DAY} AND attributes IS NOT NULL") == 0


@pytest.mark.parametrize("grain", GRAINS)
def test_answers_after_the_cut_are_unchanged(world: World, grain: str) -> None:
    """Every metric of every window after the cut answers as before; a second retention deletes nothing."""
    assert answers(world.engine)[grain] == world.before[grain]
    (again,) = world.engine.retention()["rows"]
    assert again["events"] == 0
    assert answers(world.engine)[grain] == world.before[grain]


def test_a_window_before_the_cut_is_null_with_its_state(world: World) -> None:
    """A window before the cut is null, and the answer says how many windows are."""
    answer = world.engine.query(HOTEL, metrics=["messages"], start="2026-02-27", end="2026-03-04", grain="day")
    assert [row["messages"] is None for row in answer["rows"]] == [True, True, True, False, False]
    assert "3 of 5" in answer["freshness"]["gone"]


def test_verify_stays_clean(world: World) -> None:
    """After retention verify finds no difference."""
    verdict = world.engine.verify()
    assert (verdict["clean"], verdict["differences"]) == (True, 0)
    assert verdict["rows"] > 0


def test_a_backfill_before_the_cut_is_refused(world: World) -> None:
    """A backfill that ends at the cut is refused with the date; one that begins there changes nothing."""
    with pytest.raises(WindowFrozenError, match="2026-03-01 23:00") as caught:
        world.engine.backfill(START, "2026-03-02", HOTEL)
    assert caught.value.code == "window_frozen"
    assert world.engine.backfill("2026-03-02", END, HOTEL)["errors"] == {}
    assert answers(world.engine) == world.before


def test_events_before_the_cut_are_refused(world: World) -> None:
    """Events before the cut are too late, as history and live, and go to quarantine; an event at the cut is accepted."""
    cut = datetime.fromisoformat(CUT)
    late = {"type": "message.received", "time": (cut - timedelta(microseconds=1)).isoformat(), "id": "late"}
    for history in (True, False):
        (refused,) = world.engine.record(HOTEL, late, history=history)["rejected"]
        assert (refused["code"], refused["field"]) == ("too_late", "time")
    refreshed(world.engine)
    assert {row.code for row in world.engine.quarantine.of(HOTEL).rows} == {"too_late"}
    span: dict[str, Any] = {"metrics": "messages", "start": "2026-03-02", "end": "2026-03-03"}
    before = world.engine.query(HOTEL, **span)["rows"][0]["messages"]
    taken = world.engine.record(HOTEL, {**late, "time": cut.isoformat(), "conversation_id": "late"}, history=True)
    assert (taken["accepted"], taken["rejected"]) == (1, [])
    assert world.engine.query(HOTEL, **span)["rows"][0]["messages"] == before + 1
    assert world.engine.verify()["clean"]


def test_imported_history_survives_nightly_retention(tmp_path: Path) -> None:
    """Imported history is kept as long as live events, at every grain, also after the store is opened again."""
    with open_engine(tmp_path, lambda: TODAY) as engine:
        engine.add_tenant(HOTEL, ZONE, retention={"raw": 30, "facts": 30})
        old = {"type": "message.received", "time": "2025-11-01T12:00:00Z", "conversation_id": "c"}
        engine.record(HOTEL, [{**old, "id": f"old-{n}"} for n in range(10)], history=True)
        (gone,) = engine.retention()["rows"]
        assert (gone["events"], gone["attributes"], gone["gone_until"]) == (0, 0, None)
    with open_engine(tmp_path, lambda: TODAY + timedelta(days=29)) as engine:
        engine.retention()
        for grain in ("total", "month", "week", "day"):
            rows = engine.query(HOTEL, metrics="messages", start="2025-11-01", end="2025-12-01", grain=grain)["rows"]
            assert sum(row["messages"] for row in rows) == 10
        assert engine.verify()["clean"]


@pytest.mark.parametrize("zone", ["Australia/Lord_Howe", "Asia/Kathmandu"])
def test_a_changed_zone_gives_the_answers_of_a_tenant_of_that_zone(tmp_path: Path, zone: str) -> None:
    """After a change of zone, answers equal those of a tenant that was always in that zone."""
    now = datetime(2026, 4, 7, 9, tzinfo=UTC)  # Rome changed its clock nine days ago, Lord Howe two
    with open_engine(tmp_path, lambda: now) as engine:
        engine.ensure_tenant("moving", ZONE, retention=KEEP_EVERYTHING)
        engine.ensure_tenant("settled", zone, retention=KEEP_EVERYTHING)
        events = list(demo.events(HOTEL, now, days=9))
        for tenant in ("moving", "settled"):
            engine.accept(tenant, events, history=True)
        question: dict[str, Any] = {"metrics": ASKED, "start": "2026-03-28", "end": "2026-04-09", "grain": "day"}
        truth = engine.query("settled", **question)["rows"]
        assert engine.query("moving", **question)["rows"] != truth
        engine.tenants.change("moving", zone=zone)
        assert engine.query("moving", **question)["rows"] == truth
