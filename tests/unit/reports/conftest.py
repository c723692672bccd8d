"""An engine whose tenant has two weeks of everything, and helpers for reports."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hubbub.app import Engine
from hubbub.clock import fixed
from hubbub.settings import load

NOW = datetime(2026, 8, 20, 12, tzinfo=UTC)
WEEK = ("2026-08-10", "2026-08-17")


def open_engine(folder: Path, **flags: Any) -> Engine:
    """Open a small engine with its clock at NOW."""
    return Engine(load(data=folder, free_floor_mb=0, **flags), fixed(NOW))


def events() -> Iterator[dict[str, Any]]:
    """Yield two weeks of conversations on three channels, 60 staff, 30 intents, ratings and tasks; some without names."""
    for n in range(240):
        at = f"2026-08-{3 + n % 14:02}T{8 + n % 9:02}"
        who: dict[str, Any] = {
            "channel": ("sms", "email", None)[n % 3],
            "conversation_id": f"c{n}",
            "contact_id": f"k{n % 50}",
        }
        staff = {"staff_id": f"=staff {n % 60}"} if n % 7 else {}
        yield {"type": "message.received", "time": f"{at}:00:00Z", "id": f"in{n}", **who}
        yield {"type": "message.sent", "time": f"{at}:{n % 50:02}:30Z", "id": f"out{n}", **who, **staff}
        yield {
            "type": "intent.classified",
            "time": f"{at}:00:01Z",
            "id": f"int{n}",
            "intent": f"<b>{n % 30}",
            "confidence": 0.5,
        }
        if n % 2:
            yield {"type": "conversation.resolved", "time": f"{at}:55:00Z", "id": f"done{n}", **who}
            yield {
                "type": "satisfaction.rating_received",
                "time": f"{at}:56:00Z",
                "id": f"r{n}",
                "value": 1 + n % 5,
                **who,
                **staff,
            }
        if n % 5 == 0:
            yield {"type": "task.completed", "time": f"{at}:57:00Z", "id": f"t{n}", "task_id": f"t{n}", **staff}


@pytest.fixture(scope="package")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Open an engine whose tenant acme, in Rome, has all of `events`, folded."""
    with open_engine(tmp_path_factory.mktemp("reports") / "data") as made:
        made.add_tenant("acme", zone="Europe/Rome")
        assert made.record("acme", events())["rejected"] == []
        assert made.refresh()["errors"] == {}
        yield made


def whole(engine: Engine, report: str, tenant: str = "acme") -> dict[str, Any]:
    """Return a report's JSON file."""
    found: dict[str, Any] = json.loads(Path(engine.reports.file(tenant, report, "json").path).read_text())
    return found
