"""Outcomes of twenty handwritten conversations with AI, under three definitions, worked out by hand.

Steps are "HOURS what", counted from Monday 2 March 2026, 09:00 UTC. The outcomes follow the definitions of
`metrics/ai.py` as the reference prints them: confirmed by a resolve, assumed from silence, handed off by whom and why,
and undone by a return.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hubbub.app import Engine
from hubbub.model.event import Event

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
RANGE = "2026-03-01", "2026-05-01"
MONTH_LATER = 35 * 24

WHAT: dict[str, dict[str, Any]] = {
    "in": {"type": "message.received"},
    "ai": {"type": "response.ai_generated"},
    "ai-message": {"type": "message.sent", "kind": "ai"},
    "ai-note": {"type": "message.sent", "kind": "ai", "status": "private"},
    "agent": {"type": "message.sent", "staff_id": "anna"},
    "resolve": {"type": "conversation.resolved"},
    "reopen": {"type": "conversation.reopened"},
    "assign": {"type": "conversation.assigned", "staff_id": "anna"},
    "raise": {"type": "escalation.raised"},
    "escalate": {"type": "conversation.escalated"},
    "ai-escalates": {"type": "conversation.escalated", "kind": "ai", "reason": "refund"},
    "guest-escalates": {"type": "conversation.escalated", "kind": "person", "reason": "asked"},
}

SCRIPTS: dict[str, str] = {
    "resolved for good": "0 in, 0.1 ai, 0.5 resolve",
    "one word of thanks": "0 in, 0.1 ai, 0.5 resolve, 20 in",
    "back after 30 hours": "0 in, 0.1 ai, 0.5 resolve, 30 in",
    "back after 4 days": "0 in, 0.1 ai, 0.5 resolve, 100 in",
    "back next month": f"0 in, 0.1 ai, 0.5 resolve, {MONTH_LATER} in",
    "never heard of again": "0 in, 0.1 ai",
    "asks again, then silent": "0 in, 0.1 ai, 30 in, 30.1 ai",
    "asks again, unanswered": "0 in, 0.1 ai, 30 in",
    "ai hands over": "0 in, 0.1 ai, 1 in, 1.1 ai, 2 ai-escalates",
    "agent follows up": "0 in, 0.1 ai, 30 agent",
    "guest asks for a person": "0 in, 0.1 ai, 0.2 guest-escalates, 1 agent, 2 resolve",
    "agent first": "0 in, 0.1 agent, 0.2 ai, 1 resolve",
    "assigned, unanswered": "0 in, 0.1 ai, 0.2 assign",
    "reopened, ai again": "0 in, 0.1 ai, 0.5 resolve, 5 reopen, 5.1 ai, 6 resolve",
    "reopened, agent": "0 in, 0.1 ai, 0.5 resolve, 5 reopen, 6 agent, 7 resolve",
    "ai sends a message": "0 in, 0.1 ai-message, 1 resolve",
    "no ai": "0 in",
    "alert after 8 days": "0 in, 0.1 ai, 0.5 resolve, 192 raise",
    "handed off by nobody": "0 in, 0.1 ai, 1 escalate",
    "ai only notes": "0 in, 0.1 ai-note",
}

INVOLVED = 18  # all but "no ai" and "ai only notes"
CONFIRMED = (
    7,  # for good, thanks, 30 hours, 4 days, next month, ai sends a message, alert after 8 days
    6,  # without the one back after 30 hours
    5,  # and without the one back after 4 days
)
ASSUMED = (
    5,  # never heard of, asks again twice, agent follows up (after 29.9 hours), reopened and ai again
    3,  # never heard of; asks again, then silent; reopened, ai again
    3,  # the same
)
CONTAINED = 11
HANDED = {
    "ai": 1,
    "agent": 4,
    "contact": 1,
    None: 1,
}  # ai hands over; follows up, first, assigned, reopened; guest; nobody
REASONS = {"refund": 1, "asked": 1, None: 5}
REOPENED = (4, 9)  # 30 hours, 4 days, twice reopened; of nine that AI alone had resolved


def _events() -> list[Event]:
    found = []
    for conversation, script in SCRIPTS.items():
        for place, step in enumerate(script.split(", ")):
            hours, what = step.split(" ")
            when = START + timedelta(hours=float(hours))
            found.append(
                Event(
                    id=f"{conversation}-{place}", time=when, conversation_id=conversation, contact_id="g", **WHAT[what]
                )
            )
    return found


def _by(engine: Engine, tenant: str, dimension: str) -> dict[str | None, int]:
    start, end = RANGE
    rows = engine.query(tenant, metrics=["ai_hand_offs"], start=start, end=end, grain="total", by=[dimension])["rows"]
    return {row[dimension]: row["ai_hand_offs"] for row in rows}


@pytest.mark.parametrize("late", [False, True])
def test_outcomes_of_twenty_conversations_match_a_hand_calculation(engine: Engine, late: bool) -> None:
    """Sent in order, and last event first: confirmed, assumed, handed off and reopened are the numbers above."""
    tenant = "ai-late" if late else "ai"
    engine.tenants.add(tenant, "UTC", retention={"raw": None, "facts": None})
    engine.tenants.change(tenant, ai_minutes_saved=10)
    events = _events()[::-1] if late else _events()
    for at in range(0, len(events), 7):
        outcome = engine.load(tenant, events[at : at + 7])
        assert outcome["rejected"] == []
        engine.refresh(tenant)
    endings = ("", "_72h", "_7d")
    wanted = {
        "ai_involved": INVOLVED, "ai_contained": CONTAINED, "ai_escalated": INVOLVED - CONTAINED,
        "ai_hand_offs": INVOLVED - CONTAINED, "ai_containment_rate": CONTAINED / INVOLVED,
        "ai_reopened": REOPENED[0], "ai_reopen_rate": REOPENED[0] / REOPENED[1], "ai_hours_saved": CONFIRMED[0] * 10 / 60,
    }  # fmt: skip
    for ending, confirmed, assumed in zip(endings, CONFIRMED, ASSUMED, strict=True):
        wanted |= {
            f"ai_handled{ending}": confirmed, f"ai_assumed{ending}": assumed,
            f"ai_resolution_rate{ending}": confirmed / INVOLVED,
            f"ai_assumed_resolution_rate{ending}": (confirmed + assumed) / INVOLVED,
        }  # fmt: skip
    start, end = RANGE
    (row,) = engine.query(tenant, metrics=[*wanted], start=start, end=end, grain="total")["rows"]
    assert {name: row[name] for name in wanted} == pytest.approx(wanted)
    assert _by(engine, tenant, "handed_off_by") == HANDED
    assert _by(engine, tenant, "reason") == REASONS
    assert engine.verify(tenant)["clean"]
