"""A tenant's dashboard: today so far against the same elapsed part of yesterday, and what is the case right now."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from hubbub.model.question import Question
from hubbub.model.tenant import Tenant
from hubbub.model.window import Grain, window_of
from hubbub.query.answer import Answers

TODAY = (
    "conversations_started", "active_conversations", "conversations_resolved", "messages_received", "messages_sent",
    "responses", "response_ms.avg", "response_ms.p50", "first_response_ms.p50", "escalation_rate", "csat",
)  # fmt: skip
NOW = ("open_conversations", "staff_online", "tasks_pending", "campaigns_active")


def dashboard(answers: Answers, tenant: Tenant, now: datetime) -> dict[str, Any]:
    """Return `today` (value, previous, change, state per metric), `now` (counts at this moment) and freshness."""
    day = window_of(now, Grain.DAY, tenant.tz)
    today, right_now = answers.together(
        tenant, [Question(TODAY, day.start, day.end, compare="previous"), Question(NOW, day.start, day.end)]
    )
    row = today.rows[0]
    return {
        "tenant": tenant.id,
        "zone": tenant.zone,
        "day": day.start.astimezone(tenant.tz).date().isoformat(),
        "today": {
            name: {"value": cell.value, "n": cell.n, "state": cell.state, **(row.compare or {}).get(name, {})}
            for name, cell in row.cells.items()
        },
        "now": {name: cell.value for name, cell in right_now.rows[0].cells.items()},
        "freshness": today.freshness,
    }
