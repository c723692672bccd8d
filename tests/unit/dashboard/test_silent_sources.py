"""A source that is silent for longer than usual is named in the header, in place of how far numbers are complete."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from hubbub.ingest.silence import HISTORY
from hubbub.services import monitoring
from tests.unit.dashboard.conftest import NOW, Pages


def _sent(pages: Pages, events: list[dict[str, object]]) -> None:
    """Store tenant `b`'s events as if each had arrived when it happened."""
    pages.engine.record("b", events, history=True)
    pages.engine.refresh()
    no = pages.engine.control.tenant("b").no
    with pages.engine.store.facts.write(no) as writing:
        writing.run("UPDATE event SET received_at = time WHERE tenant = ?", (no,))


def test_a_silent_source_is_named_and_is_not_green(pages: Pages) -> None:
    """The header names a source without events for longer than usual, and since when; days before are complete."""
    for source, gone in (("desk", 30), ("chat", 0)):
        times = [NOW - timedelta(hours=hour) for hour in range(gone, 24 * 24)]
        sent = [
            {"type": "message.received", "time": at, "id": f"{source}{at}", "source": source, "channel": "web"}
            for at in times
        ]
        _sent(pages, sent)
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
    _sent(pages, [*sent, *new, *busy, just_now])
    monkeypatch.setattr(
        pages.engine.monitoring, "_clock", lambda: NOW + timedelta(minutes=30)
    )  # within an hour with an event
    assert pages.engine.monitoring.silent("b") == []


def test_an_import_is_not_silent(pages: Pages) -> None:
    """A source whose events were imported long after they happened is no stream: that nothing follows is nothing missing."""
    times = [NOW - timedelta(hours=hour) for hour in range(72, 72 + 24 * 24)]
    sent = [
        {"type": "message.received", "time": at, "id": f"d{at}", "source": "desk", "channel": "web"} for at in times
    ]
    pages.engine.record("b", sent, history=True)
    assert pages.engine.monitoring.silent("b") == []
    assert "Complete to" in pages.sign_in().get("/t/b/overview").text
    _sent(pages, [])  # the same events are silence where they came by themselves
    monitoring_ = pages.engine.monitoring
    monitoring_._settled.cache_clear()
    assert [one.source for one in monitoring_.silent("b")] == ["desk"]


def test_weeks_of_a_source_are_counted_once_a_day(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all sources sent something in the last hour, only that hour is read again; the weeks before are read once a day."""
    times = [NOW - timedelta(minutes=30, hours=hour) for hour in range(24 * 24)]
    sent = [
        {"type": "message.received", "time": at, "id": f"d{at}", "source": "desk", "channel": "web"} for at in times
    ]
    _sent(pages, sent)
    read: list[int] = []
    heard = monitoring._heard

    def counted(*args: object) -> object:
        read.append(args[3] - args[2])  # type: ignore[operator]
        return heard(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(monitoring, "_heard", counted)
    for _ in range(3):
        assert pages.engine.monitoring.silent("b") == []
    assert read == [monitoring.SEEN, 2, 2, 2] and monitoring.SEEN > HISTORY
