"""Trends and hotspots: shares of classified messages alone."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.query.conftest import Desk

DAY = ("2026-08-01", "2026-08-02")


@pytest.fixture
def acme(desk: Desk) -> Desk:
    """A desk with one tenant."""
    desk.add("acme")
    return desk


def classified(count: int, channel: str | None, **fields: Any) -> list[dict[str, Any]]:
    """Return some classified messages of a channel."""
    event = {"type": "topic.classified", "time": "2026-08-01T10:00:00Z", "channel_id": channel, **fields}
    return [event] * count


def test_alerts_make_no_share_above_one(acme: Desk) -> None:
    """Alerts are counted separately: ten alerts and two escalations among ten messages give the share 0.2."""
    alert = {"type": "escalation.raised", "time": "2026-08-01T10:00:00Z", "channel_id": "desk", "severity": "high"}
    complaints = classified(2, "desk", topic="Escalation")
    acme.record("acme", [*complaints, *classified(8, "desk", topic="billing"), *[alert] * 10])
    (spot,) = acme.hotspots("acme", *DAY)["rows"]
    assert (spot["flagged_count"], spot["total_count"], spot["hotspot_ratio"], spot["hotspot"]) == (2, 10, 0.2, False)
    assert acme.trends("acme", *DAY)["rows"][0]["escalation_counts"] == {"high": 10}


def test_topics_make_a_hotspot_and_tones_only_where_they_are_named(acme: Desk) -> None:
    """Complaint and escalation topics count, and tones only if named, each message once; the answer has the rule."""
    both = classified(2, "desk", sentiment="angry", topic="escalation")
    one = [*classified(1, "desk", topic="Complaint"), *classified(3, "desk", sentiment="Negative")]
    rest = [*classified(4, "desk"), *classified(10, None, sentiment="negative")]
    acme.record("acme", [*both, *one, *rest])
    found = acme.hotspots("acme", *DAY)
    (spot,) = found["rows"]
    assert (spot["flagged_count"], spot["total_count"], spot["tenant_ratio"], spot["hotspot"]) == (3, 10, 0.15, False)
    assert found["rule"] == {
        "topics": ["complaint", "complaints", "escalation", "escalations"], "tones": [], "minimum": 10, "ratio": 0.3,
    }  # fmt: skip
    found = acme.hotspots("acme", *DAY, tones=["negative", "angry"])
    (spot,) = found["rows"]
    assert (spot["channel_id"], spot["hotspot_ratio"], spot["tenant_ratio"], spot["strong"]) == (
        "desk",
        0.6,
        0.8,
        False,
    )
    assert found["rule"]["tones"] == ["angry", "negative"]
    for tones, shown in (((), 0), (("negative", "angry"), 1)):
        assert len(acme.trends("acme", *DAY, tones=tones)["rows"][0]["channel_hotspots"]) == shown


def test_movers_compare_shares_with_the_window_before(acme: Desk) -> None:
    """A topic's movement is the change of its share against the window before, also for the first row."""
    at = {"time": "2026-07-31T10:00:00Z"}
    talk = [{"type": "message.received", "time": "2026-08-01T10:00:00Z", "id": f"m{n}"} for n in range(20)]
    day_before = [*classified(8, "desk", topic="billing", **at), *classified(2, "desk", topic="praise", **at)]
    acme.record(
        "acme",
        [
            *talk,
            *day_before,
            *classified(5, "desk", topic="billing", confidence=0.5),
            *classified(5, "desk", topic="login"),
        ],
    )
    for grain in ("day", "total"):
        (row,) = acme.trends("acme", *DAY, grain)["rows"]
        assert [(m["topic"], round(m["change"], 9)) for m in row["movers"]] == [
            ("login", 0.5),
            ("billing", -0.3),
            ("praise", -0.2),
        ]
        assert (row["total_classifications"], row["coverage"], row["confidence_n"], row["avg_confidence"]) == (
            10,
            0.5,
            5,
            0.5,
        )
    month = acme.trends("acme", "2026-07-01", "2026-09-01", "month")["rows"]
    assert [len(row["movers"]) for row in month] == [0, 3]
