"""The topics page: numbers equal the engine's, filters that an answer does not know empty it, and names are escaped."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from tests.unit.dashboard.visiting import XSS, Visitor

DAYS = {"start": "2026-08-17", "end": "2026-08-20"}
VIEW = "from=2026-08-17&to=2026-08-20"


@pytest.fixture
def classified(visitor: Visitor) -> Visitor:
    """Classified messages in two rooms, one of them a hotspot after calm days; names are markup."""
    events: list[dict[str, Any]] = []
    for number in range(60):
        hot = number % 3 == 0
        events.append(
            {
                "type": "topic.classified", "time": f"2026-08-{14 + number % 6}T10:00:00Z", "id": f"e{number}", "source": "test",
                "topic": ("complaint", "billing", XSS if number % 4 == 1 else None)[number % 3], "channel": "web",
                "sentiment": "negative" if hot else "neutral", "channel_id": XSS if hot else "calm", "message_id": f"m{number}",
                "conversation_id": f"c{number}", "confidence": 0.9,
            }
        )  # fmt: skip
    events.append({"type": "escalation.raised", "time": "2026-08-18T10:00:00Z", "severity": XSS, "id": "alert"})
    said = {
        "type": "message.received",
        "conversation_id": "c57",
        "message_id": "m57",
        "attributes": {"text": XSS},
        "id": "said",
    }
    events.append({**said, "time": "2026-08-17T09:00:00Z"})
    visitor.engine.record("acme", events, history=True)
    return visitor


def table(visitor: Visitor, widget: str, query: str = VIEW) -> list[dict[str, str]]:
    """Return a part's table, read from its CSV."""
    answer = visitor.http.get(f"/t/acme/topics/{widget}.csv?{query}")
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))


def test_numbers_of_topics_are_the_engines(classified: Visitor) -> None:
    """Topics by day, tones, movers, hotspots and alerts equal the answers of the API's operations."""
    engine = classified.engine
    asked = engine.query("acme", metrics=["classifications"], by=["topic"], start=DAYS["start"], end=DAYS["end"])[
        "rows"
    ]
    counts = sorted(row["classifications"] for row in asked if row["classifications"])
    days = table(classified, "share")
    assert sorted(sum(int(row[name]) for row in days) for name in list(days[0])[1:]) == counts
    assert sorted(int(row["n"]) for row in table(classified, "tones")) == counts
    assert sorted(int(row["classifications"]) for row in table(classified, "topics")) == counts
    moved = engine.trends("acme", DAYS["start"], DAYS["end"], "total")["rows"][0]["movers"]
    assert [(int(row["count"]), float(row["share"]), float(row["moved"])) for row in table(classified, "movers")] == [
        (one["count"], one["share"], one["change"]) for one in moved
    ]
    spots = engine.hotspots("acme", DAYS["start"], DAYS["end"])["rows"]
    assert [int(row["flagged_count"]) for row in table(classified, "hotspots")] == [
        one["flagged_count"] for one in spots
    ]
    assert [row["verdict"] for row in table(classified, "hotspots")] == ["strong hotspot", ""]
    assert [row["escalation_alerts"] for row in table(classified, "escalations")] == ["1"]


def test_messages_of_a_hotspot_link_to_their_conversations(classified: Visitor) -> None:
    """The messages of the worst room, or of a chosen one, are shown and link to conversation and event."""
    page = classified.page(f"/t/acme/topics/messages?{VIEW}")
    assert page.count("/t/acme/conversation?") == 10 and page.count("/files/event/json?") == 10
    assert page.count("&lt;img src=x") > 10
    assert "is one of complaints and escalations" in classified.see(f"/t/acme/topics/messages?{VIEW}&room=calm")


def test_shares_are_shown_with_their_coverage(classified: Visitor) -> None:
    """Coverage stands under topics, tones and intents, and equals the engine's; with a topic filter it is left out."""
    at = {"time": "2026-08-18T10:00:00Z", "source": "test", "channel": "web"}
    looked = [{**at, "type": "topic.unlabelled", "id": f"u{n}", "message_id": f"u{n}"} for n in range(30)]
    intents = [
        {**at, "type": "intent.classified", "id": "i1", "intent": XSS},
        {**at, "type": "intent.confidence_low", "id": "i2"},
    ]
    classified.engine.record("acme", [*looked, *intents], history=True)
    asked = classified.engine.query(
        "acme", metrics=["topic_coverage", "tone_coverage"], start=DAYS["start"], end=DAYS["end"]
    )["rows"][0]
    assert f"Coverage: {asked['topic_coverage']:.0%} of the examined messages" in classified.page(
        f"/t/acme/topics/share?{VIEW}"
    )
    assert f"Coverage: {asked['tone_coverage']:.0%} of the examined messages" in classified.page(
        f"/t/acme/topics/tones?{VIEW}"
    )
    assert "Coverage" not in classified.page(f"/t/acme/topics/share?{VIEW}&topic=billing")
    part = classified.page(f"/t/acme/topics/intents?{VIEW}")
    assert "Coverage: 50% of the examined messages" in part and "<img" not in part
    assert "has an intent" in classified.page("/t/acme/topics/intents?from=2026-01-01&to=2026-01-03")


def test_under_a_filter_no_unfiltered_number_is_shown(classified: Visitor) -> None:
    """Topics filter by topic and not by staff; movers and hotspots take no filter, and say so."""
    assert sum(int(row["n"]) for row in table(classified, "tones", f"{VIEW}&topic=billing")) == 10
    for widget in ("share", "tones", "topics", "escalations"):
        assert "staff" in classified.see(f"/t/acme/topics/{widget}?{VIEW}&staff_id=ann")
    for widget in ("movers", "hotspots"):
        assert "remove filters" in classified.see(f"/t/acme/topics/{widget}?{VIEW}&channel=web")
    assert "no dimension 'staff_id'" in classified.see(f"/t/acme/topics/messages?{VIEW}&staff_id=ann")


def test_days_without_a_classification_say_so(classified: Visitor) -> None:
    """Days without a classification have a sentence in every part, and no table."""
    for widget in ("share", "topics", "tones", "movers", "escalations", "hotspots", "messages"):
        part = classified.page(f"/t/acme/topics/{widget}?from=2026-01-01&to=2026-01-03")
        assert 'class="empty"' in part and "<table" not in part


def test_names_are_escaped_and_viewers_see_no_messages(classified: Visitor) -> None:
    """Markup in names is escaped; a viewer has the numbers, but neither messages nor links to them."""
    for role in ("analyst", "viewer"):
        classified.enter("acme", role)
        for widget in ("share", "topics", "tones", "movers", "escalations", "hotspots"):
            assert "<img" not in classified.page(f"/t/acme/topics/{widget}?{VIEW}")
    assert "room=" not in classified.page(f"/t/acme/topics/hotspots?{VIEW}")
    assert classified.http.get(f"/t/acme/topics/messages?{VIEW}").status_code == 404
