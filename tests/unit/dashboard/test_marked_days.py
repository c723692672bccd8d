"""Charts mark the days that the news name, and those of open incidents, with a band, a reading, a column and a sentence."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

from hubbub.dashboard.marked_days import MarkedDays, bands, marked_in_words, with_incidents
from tests.unit.dashboard.busy import read, rows
from tests.unit.dashboard.conftest import Pages
from tests.unit.dashboard.test_chosen_chart import spec
from tests.unit.dashboard.test_incidents import opened
from tests.unit.dashboard.test_readings import said
from tests.unit.dashboard.visiting import XSS, Visitor
from tests.unit.news.test_story import World, _events

DAYS = {"from": "2026-02-02", "to": "2026-03-02"}


def _bands(drawing: dict[str, Any], style: str = "incident") -> list[tuple[str, str, str]]:
    """Return the bands of a drawing: from, to and name."""
    return [
        (one["t"], one["until"], one["incident"])
        for layer in drawing["layer"] if layer["mark"].get("style") == style and layer["mark"]["type"] == "rect"
        for one in layer["data"]["values"]
    ]  # fmt: skip


def test_a_topic_of_the_news_marks_its_days_in_every_chart(pages: Pages) -> None:
    """The days of a fall that has a topic are marked by the topic, in the chart of satisfaction and in that of another number."""
    pages.engine.record("b", list(_events(World(range(17, 26), range(15, 28), mild=range(11, 15)))), history=True)
    sent = {"type": "message.received", "channel": "web"}
    days = [f"2026-02-{day:02}" for day in range(2, 29)]
    pages.engine.record("b", [{**sent, "time": f"{day}T12:00:00Z", "id": f"m{day}"} for day in days], history=True)
    http = pages.sign_in()
    csat, messages = (_bands(spec(http, "/t/b/overview/chart", **DAYS, metric=name)) for name in ("csat", "messages"))
    assert csat == [("2026-02-16T12:00:00Z", "2026-02-25T12:00:00Z", "Broken lift")]
    assert messages == csat  # bars, too, stand around the beginning of their day
    told = [one["at"][:10] for one in said(http, "/t/b/overview/chart", **DAYS) if "Broken lift" in one["lines"]]
    table = rows(http, "/t/b/overview/chart", **DAYS)
    assert told == [row["window"][:10] for row in table if row["incident"] == "Broken lift"]
    assert told == [f"2026-02-{day}" for day in range(17, 26)]
    assert "Broken lift: 17 – 25 Feb 2026" in read(http, "/t/b/overview/chart", **DAYS)


def test_a_frequent_topic_alone_is_marked_without_red(pages: Pages) -> None:
    """A topic that is news by itself is neither better nor worse: its band is grey."""
    pages.engine.record("b", list(_events(World(range(14, 18), range(14, 18)))), history=True)
    drawing = spec(pages.sign_in(), "/t/b/overview/chart", **DAYS, metric="csat")
    assert (_bands(drawing), [name for _, _, name in _bands(drawing, "marked")]) == ([], ["Broken lift"])


def test_an_open_incident_is_marked_in_the_chart(visitor: Visitor) -> None:
    """An open incident is marked by its title, and in the chart of its own page, for those who may see incidents alone."""
    found = opened(visitor)
    page = visitor.page("/t/acme/overview/chart?range=7d&metric=messages")
    title = f"Many {XSS}: chat"
    assert f"{title}: 1" in unescape(re.findall('<figure.*aria-label="([^"]*)"', page)[0])
    assert (
        len([one for one in said(visitor.http, "/t/acme/overview/chart", range="7d") if title in one["lines"]]) == 2
    )  # UTC midnights
    drawing = spec(visitor.http, "/t/acme/incident/drawn", id=found)
    assert [name for _, _, name in _bands(drawing)] == ["Incident"]
    visitor.enter("acme", "viewer")
    assert "Many" not in visitor.page("/t/acme/overview/chart?range=7d&metric=messages")


def test_marked_days_are_whole_windows_of_the_chart() -> None:
    """Marked days take in each window that they overlap; adjacent windows of the same names are one band, and a way is worst."""
    start = datetime(2026, 2, 1, tzinfo=UTC)
    made: list[dict[str, Any]] = [{"window": (start + timedelta(days=day)).isoformat()} for day in range(6)]
    ends = [start + timedelta(days=day + 1) for day in range(6)]
    high = MarkedDays("High", start + timedelta(days=1, hours=5), start + timedelta(days=3), "up")
    low = MarkedDays("Low", start + timedelta(days=5), start + timedelta(days=9))
    assert with_incidents(made, ends, [high, low]) and not with_incidents(
        [{"window": start.isoformat()}], ends[:1], [high]
    )
    whole = MarkedDays("Whole", start, ends[-1])
    assert not with_incidents([{"window": row["window"]} for row in made], ends, [whole])
    assert [row["incident"] for row in made] == ["", "High", "High", "", "", "Low"]
    assert marked_in_words(made, ends) == "High: 2 – 3 Feb 2026. Low: 6 Feb 2026"
    behind, above = bands(made, [(str(day), str(day + 1)) for day in range(6)])
    assert [(layer["mark"]["style"], layer["data"]["values"][0]["t"]) for layer in behind] == [
        ("incident", "5"),
        ("marked", "1"),
    ]
    names = [layer for layer in above if layer["mark"]["type"] == "text"]
    assert [(layer["mark"]["align"], layer["data"]["values"][0]["named"]) for layer in names] == [
        ("right", "6"),
        ("left", "1"),
    ]
