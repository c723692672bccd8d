"""A tenant's dashboard: a day so far, or the last days, against an earlier stretch as long; and what is the case at that moment.

Two tiers of an answer: the numbers of the days, and the states, which a screen asks for again and again on their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from hubbub.errors import BadQuestionError
from hubbub.model.question import Question
from hubbub.model.tenant import Tenant
from hubbub.model.window import Grain, Window, local_midnight, window_of
from hubbub.query.queries import Queries
from hubbub.query.result import Answer, with_state

DAY = (
    "conversations_started", "active_conversations", "conversations_resolved", "messages_received", "messages_sent",
    "responses", "response_ms.avg", "response_ms.p50", "first_response_ms.p50", "escalation_rate", "csat", "rating_avg",
)  # fmt: skip
STATES = (
    "open_conversations", "waiting_conversations", "oldest_waiting_ms", "unassigned_conversations", "staff_online",
    "tasks_pending", "campaigns_active",
)  # fmt: skip
AGAINST = {"yesterday": "day", "week": "week"}
"""What a single day is compared with: the same part of the day before, or of the same weekday a week before."""
MOST_DAYS = 366


def dashboard(
    queries: Queries,
    tenant: Tenant,
    *,
    days: int = 1,
    against: str = "yesterday",
    account: str | None = None,
    at: datetime | None = None,
) -> dict[str, Any]:
    """Return `today` (value, previous, change, state per metric), `now` (states), of the tenant or one account, and freshness.

    `days` local days end with that of the moment `at` (aware; now when None), and are compared with as many days before (whole
    months with whole months); a single day with what `against` names. Raises BadQuestionError.
    """
    if not 1 <= days <= MOST_DAYS:
        raise BadQuestionError(f"'days' must lie between 1 and {MOST_DAYS}")
    if against not in AGAINST or (days > 1 and against != "yesterday"):
        raise BadQuestionError(
            f"'against' {against[:40]!r} is not one of {', '.join(AGAINST)}, which go with a single day; "
            "several days are compared with as many before"
        )
    day = _day(tenant, queries.now(), at)
    first = day.start.astimezone(tenant.tz).date() - timedelta(days=days - 1)
    where: Mapping[str, tuple[str, ...]] = {"account_id": (account,)} if account is not None else {}
    numbers, right_now = queries.together(
        tenant,
        [
            Question(
                DAY, local_midnight(first, tenant.tz), day.end, where=where,
                compare=AGAINST[against] if days == 1 else "previous",
            ),
            Question(STATES, day.start, day.end, where=where),
        ],
    )  # fmt: skip
    row = numbers.rows[0]
    return {
        "tenant": tenant.id,
        "account": account,
        "zone": tenant.zone,
        "day": day.start.astimezone(tenant.tz).date().isoformat(),
        "days": days,
        "today": {
            name: {"value": cell.value, "n": cell.n, "state": cell.state, **(row.compare or {}).get(name, {})}
            for name, cell in row.cells.items()
        },
        "now": _values(right_now),
        "freshness": numbers.freshness,
    }


def states(
    queries: Queries, tenant: Tenant, *, account: str | None = None, at: datetime | None = None
) -> dict[str, Any]:
    """Return the states alone, at a moment (aware; now when None), and when that was.

    One that is not known is None, with the reason beside it as `<metric>.state`.
    """
    now = queries.now()
    day = _day(tenant, now, at)
    where: Mapping[str, tuple[str, ...]] = {"account_id": (account,)} if account is not None else {}
    answer = queries.answer(tenant, Question(STATES, day.start, day.end, where=where))
    return {
        "tenant": tenant.id,
        "account": account,
        "at": min(day.end, now).astimezone(tenant.tz).isoformat(),
        "now": _values(answer),
        "freshness": answer.freshness,
    }


def _day(tenant: Tenant, now: datetime, at: datetime | None) -> Window:
    """Return the local day of now; of an earlier moment, its day up to it: at midnight that is the whole day before."""
    if at is None:
        return window_of(now, Grain.DAY, tenant.tz)
    if at > now:
        raise BadQuestionError("'at' lies in the future")
    return Window(window_of(at - timedelta(microseconds=1), Grain.DAY, tenant.tz).start, at)


def _values(answer: Answer) -> dict[str, Any]:
    return {key: value for name, cell in answer.rows[0].cells.items() for key, value in with_state(name, cell).items()}
