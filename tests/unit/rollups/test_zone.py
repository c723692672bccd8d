"""A tenant moves to another zone after some of its windows were frozen: what is gone keeps its days, the rest follows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hubbub.app import Engine, open_engine
from hubbub.clock import fixed
from hubbub.metrics import fold
from hubbub.metrics.catalogue import ROLLUPS

NOW = datetime(2026, 8, 20, 12, tzinfo=UTC)
OLD, KEPT = "Europe/Rome", 20


@pytest.fixture(params=["Asia/Tokyo", "America/New_York", "Australia/Lord_Howe"])
def moved(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[tuple[Engine, list[datetime], dict[str, list[Any]]]]:
    """An engine whose tenant moved after its oldest days were frozen, when its messages were, and the frozen rows before."""
    with open_engine(tmp_path, clock=fixed(NOW), threads=1, memory_limit="300MB", free_floor_mb=0) as engine:
        engine.add_tenant(
            "acme", zone=OLD, retention={"raw": KEPT, "hour": None, "day": None, "week": None, "month": None}
        )
        times = [datetime(2026, 7, 10, tzinfo=UTC) + timedelta(hours=3 * n) for n in range(8 * 40)]
        events = [
            {"type": "message.received", "time": t.isoformat(), "id": f"m{n}", "contact_id": f"k{n % 7}"}
            for n, t in enumerate(times)
        ]
        # just after the cut, on a day that ends as one of the new zone and began as one of the old
        events.append({"type": "contact.created", "time": "2026-07-30T23:00:00Z", "id": "late", "contact_id": "late"})
        assert engine.record("acme", events, history=True)["accepted"] == len(events)
        engine.refresh()
        assert engine.retention()["rows"][0]["raw"] > 0
        frozen = stored(engine, before=engine.frozen_until(engine.control.tenant("acme")))
        engine.change_tenant("acme", zone=request.param)
        engine.refresh()
        yield engine, times, frozen


def stored(engine: Engine, before: datetime | None) -> dict[str, list[Any]]:
    """Return the stored rows of hours and days that begin before a moment."""
    return {
        table: engine.store.query(
            f"SELECT * FROM {table} WHERE window_start < $before ORDER BY ALL", {"before": before}
        ).rows
        for rollup in ROLLUPS for grain in rollup.keep if grain in ("hour", "day") for table, _ in fold.schema(rollup, grain)
    }  # fmt: skip


def test_frozen_windows_keep_numbers_and_days(moved: tuple[Engine, list[datetime], dict[str, list[Any]]]) -> None:
    """Every stored hour and day before the cut is what it was, verify finds nothing, and a second refresh does nothing."""
    engine, _, frozen = moved
    assert any(frozen.values())
    assert stored(engine, engine.frozen_until(engine.control.tenant("acme"))) == frozen
    assert engine.verify("acme")["clean"]
    assert engine.refresh()["windows"] == 0


def test_newer_days_follow_the_new_zone(moved: tuple[Engine, list[datetime], dict[str, list[Any]]]) -> None:
    """Days after the cut are those of the new wall calendar, from rollups and from raw events alike."""
    engine, times, _ = moved
    tz = engine.control.tenant("acme").tz
    asked: dict[str, Any] = {"metrics": "messages", "start": "2026-08-02", "end": "2026-08-18", "grain": "day"}
    wanted = [sum(t.astimezone(tz).date() == date(2026, 8, d) for t in times) for d in range(2, 18)]
    answer = engine.query("acme", **asked)
    assert [row["messages"] for row in answer["rows"]] == wanted
    assert answer["freshness"]["source"] == "rollups"
    assert [row["messages"] for row in engine.query("acme", **asked, exact=True)["rows"]] == wanted


def test_no_event_is_lost_or_counted_twice_over_the_cut(
    moved: tuple[Engine, list[datetime], dict[str, list[Any]]],
) -> None:
    """A range that holds frozen and newer days adds up to all events, wherever the days of the two zones meet."""
    engine, times, _ = moved
    for grain in ("total", "day"):
        rows = engine.query("acme", metrics="messages", start="2026-07-05", end="2026-08-25", grain=grain)["rows"]
        assert sum(row["messages"] for row in rows) == len(times)
    asked: dict[str, Any] = {"metrics": "total_contacts", "start": "2026-08-18", "end": "2026-08-19"}
    assert engine.query("acme", **asked)["rows"][0]["total_contacts"] == 8
