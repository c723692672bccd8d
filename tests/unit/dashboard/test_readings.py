"""Readings of a chart's windows: numbers with n, comparison and usual range, and links to the days."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import Any

from starlette.testclient import TestClient

from tests.unit.dashboard.busy import VIEW, asked, read
from tests.unit.dashboard.conftest import Pages


def said(http: TestClient, path: str, **view: str) -> list[dict[str, Any]]:
    """Return the readings of a chart."""
    found = re.search(r'class="readings">(.*?)</script>', read(http, path, **view), re.DOTALL)
    assert found is not None
    readings: list[dict[str, Any]] = json.loads(unescape(found.group(1)))
    return readings


def test_each_day_has_a_reading_and_a_link(busy: Pages) -> None:
    """Each day has a reading with the engine's number, and n of a share; its link is the page on that day."""
    http = busy.sign_in()
    days = asked(busy.engine, "csat", grain="day")
    found = said(http, "/t/a/satisfaction/chart", **VIEW, metric="csat")
    assert len(found) == len(days)
    for reading, day in zip(found, days, strict=True):
        n = day["details"]["csat"]["n"] if "details" in day else None
        value = day["csat"]
        assert reading["lines"][0].startswith("Satisfied: " + ("–" if value is None else f"{value:.1%}"))
        assert value is None or n is None or f"(n = {n})" in reading["lines"][0]
        assert f"from={day['window'][:10]}&to=" in reading["link"] and reading["at"][:10] == day["window"][:10]


def test_readings_name_the_comparison_and_the_open_day(busy: Pages) -> None:
    """The compared number has its own line, and the last day says that it is not over."""
    earlier = {"type": "message.received", "time": "2026-08-02T09:00:00Z", "id": "earlier", "channel": "sms"}
    busy.engine.record("a", [earlier], history=True)
    found = said(busy.sign_in(), "/t/a/messages/chart", range="7d", metric="messages")
    assert any(line.startswith("Before: ") for reading in found for line in reading["lines"])
    assert "Not over yet" in found[-1]["lines"] and "Not over yet" not in found[0]["lines"]


def test_an_hour_opens_its_explanation(busy: Pages) -> None:
    """An hour's link is the explanation of its number, since no page shows an hour."""
    found = said(busy.sign_in(), "/t/a/messages/chart", range="today", metric="messages")
    assert all("/explain?" in reading["link"] for reading in found)
