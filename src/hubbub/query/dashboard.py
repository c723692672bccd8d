"""A tenant's dashboard: today so far, or the last days, compared with an equally long earlier range; and the current states.

`states` answers the states alone: a screen refreshes them more often than the numbers of the days.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from hubbub.calculations import Change
from hubbub.errors import BadQuestionError
from hubbub.model.plain import ABSENT
from hubbub.model.question import Question
from hubbub.model.tenant import Tenant
from hubbub.model.window import Grain, Window, local_midnight, window_of
from hubbub.query.freshness import Freshness
from hubbub.query.queries import Queries
from hubbub.query.result import Answer, Number, with_state

DAY = (
    "conversations_started", "active_conversations", "conversations_resolved", "messages_received", "messages_sent",
    "responses", "response_ms.avg", "response_ms.p50", "first_response_ms.p50", "escalation_rate", "csat", "rating_avg",
)  # fmt: skip
STATES = (
    "open_conversations", "waiting_conversations", "waiting_past_target", "oldest_waiting_ms",
    "unassigned_conversations", "staff_online", "tasks_pending", "campaigns_active",
)  # fmt: skip
AGAINST = {"yesterday": "day", "week": "week"}
"""The comparison of a single day: the same part of the day before, or of the same weekday a week before."""
MOST_DAYS = 366


@dataclass(frozen=True, slots=True)
class TodayNumber:
    """A number of the days so far, and of the same part of the days before."""

    value: Number
    n: int | None
    """How many things it counts."""
    state: str
    previous: Number
    change: Change
    previous_state: str | None = field(default=None, metadata=ABSENT)
    """Why the earlier number is unknown or incomplete; absent where it is known."""


@dataclass(frozen=True, slots=True)
class Dashboard:
    """Today so far, or some days, and the current states."""

    tenant: str
    account: str | None
    """null: all."""
    zone: str
    day: str
    """The last of the days."""
    days: int
    today: Mapping[str, TodayNumber]
    """By metric."""
    now: Mapping[str, Number | str]
    """By metric; null with `<metric>.state` beside it where unknown."""
    freshness: Freshness


@dataclass(frozen=True, slots=True)
class States:
    """The states at a moment."""

    tenant: str
    account: str | None
    """null: all."""
    at: str
    """RFC 3339, in the tenant's zone."""
    now: Mapping[str, Number | str]
    """By metric; null with `<metric>.state` beside it where unknown."""
    freshness: Freshness


def dashboard(
    queries: Queries,
    tenant: Tenant,
    *,
    days: int = 1,
    against: str = "yesterday",
    account: str | None = None,
    at: datetime | None = None,
) -> Dashboard:
    """Return the numbers of some days with those before, and the current states, of the tenant or one account.

    `days` local days end with the one of the moment `at` (aware; now when None), and are compared with as many days before (whole
    months with whole months); a single day according to `against`. Raises BadQuestionError for an unknown `against`, too many
    days, and a moment in the future.
    """
    if not 1 <= days <= MOST_DAYS:
        raise BadQuestionError(f"'days' must be between 1 and {MOST_DAYS}")
    if against not in AGAINST or (days > 1 and against != "yesterday"):
        raise BadQuestionError(
            f"'against' {against[:40]!r} is not one of {', '.join(AGAINST)}, which go with a single day; "
            "several days are compared with as many before"
        )
    day = _day(tenant, queries.now(), at)
    first = day.start.astimezone(tenant.tz).date() - timedelta(days=days - 1)
    where = _of(account)
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
    before = row.compare or {}
    today = {
        name: TodayNumber(
            cell.value, cell.n, cell.state, before[name].previous, before[name].change, before[name].previous_state
        )
        for name, cell in row.cells.items()
    }
    last = day.start.astimezone(tenant.tz).date().isoformat()
    return Dashboard(tenant.id, account, tenant.zone, last, days, today, _values(right_now), numbers.freshness)


def states(queries: Queries, tenant: Tenant, *, account: str | None = None, at: datetime | None = None) -> States:
    """Return the states alone, at the moment `at` (aware; now when None). Raises BadQuestionError for a moment in the future."""
    now = queries.now()
    day = _day(tenant, now, at)
    answer = queries.answer(tenant, Question(STATES, day.start, day.end, where=_of(account)))
    moment = min(day.end, now).astimezone(tenant.tz).isoformat()
    return States(tenant.id, account, moment, _values(answer), answer.freshness)


def _of(account: str | None) -> Mapping[str, tuple[str, ...]]:
    return {"account_id": (account,)} if account is not None else {}


def _day(tenant: Tenant, now: datetime, at: datetime | None) -> Window:
    """Return the local day of now, or the day of an earlier moment up to it; at midnight that is the whole day before."""
    if at is None:
        return window_of(now, Grain.DAY, tenant.tz)
    if at > now:
        raise BadQuestionError("'at' is in the future")
    return Window(window_of(at - timedelta(microseconds=1), Grain.DAY, tenant.tz).start, at)


def _values(answer: Answer) -> dict[str, Number | str]:
    return {key: value for name, cell in answer.rows[0].cells.items() for key, value in with_state(name, cell).items()}
