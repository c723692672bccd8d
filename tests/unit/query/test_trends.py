"""Trends and hotspots: shares of classified messages, never of anything else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hubbub.app import Engine, open_engine

DAY = ("2026-08-01", "2026-08-02")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """An engine with one tenant."""
    with open_engine(tmp_path) as opened:
        opened.add_tenant("acme")
        yield opened


def classified(count: int, channel: str | None, **fields: Any) -> list[dict[str, Any]]:
    """Some classified messages of a channel."""
    event = {"type": "topic.classified", "time": "2026-08-01T10:00:00Z", "channel_id": channel, **fields}
    return [event] * count


def test_alerts_make_no_share_above_one(engine: Engine) -> None:
    """Alerts are counted by themselves: a channel with ten of them and two complaints among ten messages has 0.2."""
    alert = {"type": "escalation.raised", "time": "2026-08-01T10:00:00Z", "channel_id": "desk", "severity": "high"}
    complaints = classified(2, "desk", sentiment="Negative", topic="escalation")
    engine.record("acme", [*complaints, *classified(8, "desk", topic="billing"), *[alert] * 10], history=True)
    (spot,) = engine.hotspots("acme", *DAY)["rows"]
    assert (spot["flagged_count"], spot["total_count"], spot["hotspot_ratio"], spot["hotspot"]) == (2, 10, 0.2, False)
    assert engine.trends("acme", *DAY)["rows"][0]["escalation_counts"] == {"high": 10}


def test_complaints_and_escalations_count_a_message_once(engine: Engine) -> None:
    """What is classified as complaint, as escalation, or as both is one message; page and relation name the same hotspots."""
    both = classified(2, "desk", sentiment="angry", topic="escalation")
    one = [*classified(1, "desk", topic="Complaint"), *classified(3, "desk", sentiment="escalation")]
    rest = [*classified(4, "desk"), *classified(10, None, sentiment="negative")]
    engine.record("acme", [*both, *one, *rest], history=True)
    engine.refresh()
    (spot,) = engine.hotspots("acme", *DAY)["rows"]
    assert (spot["channel_id"], spot["hotspot_ratio"], spot["tenant_ratio"], spot["strong"]) == (
        "desk",
        0.6,
        0.8,
        False,
    )
    (shown,) = engine.trends("acme", *DAY)["rows"][0]["channel_hotspots"]
    (row,) = engine.store.query("SELECT channel_hotspots FROM communication_trends").rows
    assert json.loads(row[0]) == [
        {"channel_id": "desk", "complaint_count": 3, "escalation_count": 3, "total_count": 10, "hotspot_ratio": 0.6}
    ]
    assert shown["hotspot_ratio"] == 0.6


def test_movers_compare_shares_with_the_window_before(engine: Engine) -> None:
    """A topic moves by its share of a whole window, the first row's by the window before the range; sizes are shown."""
    at = {"time": "2026-07-31T10:00:00Z"}
    talk = [{"type": "message.received", "time": "2026-08-01T10:00:00Z", "id": f"m{n}"} for n in range(20)]
    day_before = [*classified(8, "desk", topic="billing", **at), *classified(2, "desk", topic="praise", **at)]
    engine.record(
        "acme",
        [
            *talk,
            *day_before,
            *classified(5, "desk", topic="billing", confidence=0.5),
            *classified(5, "desk", topic="login"),
        ],
        history=True,
    )
    for grain in ("day", "total"):
        (row,) = engine.trends("acme", *DAY, grain)["rows"]
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
    month = engine.trends("acme", "2026-07-01", "2026-09-01", "month")["rows"]
    assert [len(row["movers"]) for row in month] == [0, 3]
