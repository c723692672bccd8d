"""A source that is silent for longer than usual is named in the header, in place of how far numbers are complete."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from tests.unit.dashboard.conftest import NOW, Pages


def test_a_silent_source_is_named_and_is_not_green(pages: Pages) -> None:
    """The header names a source without events for longer than usual, and since when; days before are complete."""
    for source, gone in (("desk", 30), ("chat", 0)):
        times = [NOW - timedelta(hours=hour) for hour in range(gone, 24 * 24)]
        sent = [
            {"type": "message.received", "time": at, "id": f"{source}{at}", "source": source, "channel": "web"}
            for at in times
        ]
        pages.engine.record("b", sent, history=True)
    (silent,) = pages.engine.monitoring.silent("b")
    assert (silent.source, silent.since) == ("desk", "2026-08-19T08:00:00+02:00")
    http = pages.sign_in()
    page = http.get("/t/b/overview").text
    assert "Complete to" not in page and "No events from desk since Wed 19 Aug, 08:00" in page
    assert re.search(r'<p class="fresh warn">\s*<i class="dot up">', page)
    earlier = http.get("/t/b/overview?from=2026-08-10&to=2026-08-17").text
    assert "Complete to" in earlier and "No events from" not in earlier
    assert "Complete to" in http.get("/t/a/overview").text


def test_a_source_that_is_often_quiet_is_not_silent(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    """A night without events is usual where all nights are; two weeks are needed to expect anything."""
    times = [NOW - timedelta(hours=hour) for hour in range(1, 24 * 24)]
    sent = [
        {"type": "message.received", "time": at, "id": f"n{at}", "source": "desk", "channel": "web"}
        for at in times if 12 > at.hour >= 0
    ]  # fmt: skip
    new = [
        {"type": "message.received", "time": at, "id": f"w{at}", "source": "new", "channel": "web"}
        for at in times[48 : 10 * 24]
    ]
    just_now = {"type": "message.received", "time": NOW, "id": "now", "source": "busy", "channel": "web"}
    busy = [{**just_now, "time": at, "id": f"b{at}"} for at in times]
    pages.engine.record("b", [*sent, *new, *busy, just_now], history=True)
    monkeypatch.setattr(
        pages.engine.monitoring, "_clock", lambda: NOW + timedelta(minutes=30)
    )  # within an hour with an event
    assert pages.engine.monitoring.silent("b") == []
