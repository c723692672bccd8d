"""The page AI: outcomes and usage equal the API's numbers, and without AI the page says so."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.unit.api.conftest import NOW
from tests.unit.dashboard.busy import report
from tests.unit.dashboard.visiting import XSS, Visitor

VIEW = "from=2026-08-18&to=2026-08-21"


def _conversation(visitor: Visitor, name: str, *steps: dict[str, Any]) -> None:
    for place, step in enumerate(({"type": "message.received"}, {"type": "response.ai_generated"}, *steps)):
        when = NOW - timedelta(hours=3) + timedelta(minutes=place)
        event = {"id": f"{name}-{place}", "time": when, "conversation_id": name, "channel": "web", **step}
        visitor.engine.record("acme", event)


def _widget(visitor: Visitor, name: str) -> str:
    return visitor.see(f"/t/acme/ai/{name}?{VIEW}")


def test_without_ai_the_page_says_so(visitor: Visitor) -> None:
    """Without replies by AI, each part says the same in place of zeros."""
    report(visitor.engine, "acme", "conversation")
    for name in ("cards", "chart", "lasting", "hand-offs", "reasons", "usage", "channels"):
        assert "AI replied in no conversation that began in these days and filters." in _widget(visitor, name)


def test_outcomes_reasons_and_usage_are_shown(visitor: Visitor) -> None:
    """The page shows resolved and handed-off conversations, escaped reasons, tokens by model, and hours by the tenant's minutes."""
    visitor.engine.tenants.change("acme", ai_minutes_saved=30)
    usage = {"type": "response.ai_generated", "name": "small", "input_tokens": 1234, "output_tokens": 56, "value": 0.5}
    _conversation(visitor, "kept", usage, {"type": "conversation.resolved"})
    _conversation(visitor, "given", {"type": "conversation.escalated", "kind": "ai", "reason": f"refund {XSS}"})
    reasons = visitor.page(f"/t/acme/ai/reasons?{VIEW}")
    assert "refund" in reasons
    assert XSS not in reasons
    lasting, young = (
        _widget(visitor, "lasting"),
        "Of the last 7 days, a conversation counts as lasting as long as nobody comes",
    )
    assert "24 hours 1 0 50.0%" in lasting and young in lasting
    assert "small 1 1,234 56" in _widget(visitor, "usage")
    cards = visitor.http.get(f"/t/acme/ai/cards.csv?{VIEW}").text
    assert "metric,value,previous,n,unit" in cards and "Hours saved by AI (assumed),0.5,,1,number" in cards


def test_only_days_that_are_young_say_that_they_are(visitor: Visitor) -> None:
    """Where all days are older than the longest time that a resolution must last, no note says that it is not known yet."""
    at = {"channel": "web", "conversation_id": "old"}
    visitor.engine.record("acme", [
        {**at, "type": "message.received", "id": "q", "time": "2026-08-03T09:00:00Z"},
        {**at, "type": "response.ai_generated", "id": "a", "time": "2026-08-03T09:01:00Z"},
    ], history=True)  # fmt: skip
    old = visitor.see("/t/acme/ai/lasting?from=2026-08-01&to=2026-08-13")
    assert "7 days" in old and "Of the last 7 days" not in old


def test_a_cost_that_nobody_reported_says_so(visitor: Visitor) -> None:
    """Without a reported cost, the card and the API say that it is not reported."""
    _conversation(visitor, "kept", {"type": "conversation.resolved"})
    assert "not reported by its source" in _widget(visitor, "cards")
    answer = visitor.engine.query("acme", metrics=["ai_cost"], start="2026-08-18", end="2026-08-21", details=True)
    row = answer["rows"][0]
    assert row["ai_cost"] is None and row["details"]["ai_cost"]["state"] == "not_reported"
