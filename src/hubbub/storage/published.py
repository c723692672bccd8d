"""The published tables and views, which other programs read in the store, and the days whose published rows are stale.

`publishing/tables.py` maps each column to a metric. Names and columns are those of the systems that Hubbub replaces. The tenant's
id is in `tenant` and under every name that those systems have for it; `published_at` is the time as of which a row is true. Times
are ISO text in UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from hubbub.storage.transaction import Transaction

_NEEDED = "TEXT NOT NULL"
_OWNED = {"property_id": _NEEDED, "tenant": _NEEDED}
_COUNT, _MEAN = "INTEGER NOT NULL", "REAL"
_PUBLISHED = {"published_at": _NEEDED}

ROWS: Mapping[str, Mapping[str, str]] = {
    "agg_message_counts_hourly": {
        "period_start": _NEEDED, **_OWNED, "channel": "TEXT", "direction": _NEEDED, "count": _COUNT,
    },
    "agg_response_times_hourly": {
        "period_start": _NEEDED, **_OWNED, "channel": "TEXT",
        **dict.fromkeys(("avg_response_ms", "p50_response_ms", "p95_response_ms"), _MEAN), "count": _COUNT,
    },
    "agg_conversation_metrics_daily": {
        "period_date": _NEEDED, **_OWNED, "channel": "TEXT",
        **dict.fromkeys(("conversations_started", "conversations_resolved", "conversations_escalated"), _COUNT),
        **{f"{part}_first_response_ms": _MEAN for part in ("avg", "p50", "p95")},
        **{f"{part}_resolution_minutes": _MEAN for part in ("avg", "p50", "p95")},
        "ai_handled_count": _COUNT, "ai_escalated_count": _COUNT,
    },
    "agg_staff_performance_daily": {
        "period_date": _NEEDED, **_OWNED, "staff_id": _NEEDED, "conversations_handled": _COUNT, "tasks_completed": _COUNT,
        "avg_response_time_ms": _MEAN, "satisfaction_avg": _MEAN, "satisfaction_count": _COUNT,
    },
    "agg_intent_distribution_daily": {
        "period_date": _NEEDED, **_OWNED, "intent": "TEXT", "count": _COUNT, "avg_confidence": _MEAN,
        "action_taken_count": _COUNT, "escalated_count": _COUNT,
    },
    "agg_satisfaction_weekly": {
        "period_start": _NEEDED, **_OWNED, "channel": "TEXT", "surveys_sent": _COUNT, "responses_received": _COUNT,
        **{f"rating_{n}": _COUNT for n in range(1, 6)}, "avg_rating": _MEAN, "nps_score": _MEAN,
    },
    "agg_monthly_summary": {
        "period_month": _NEEDED, **_OWNED,
        **dict.fromkeys(("total_conversations", "total_messages", "total_tasks"), _COUNT),
        **dict.fromkeys(("ai_resolution_rate", "avg_satisfaction", "avg_response_time_minutes"), _MEAN),
        "top_intents": _NEEDED, "channel_breakdown": _NEEDED,
    },
    "communication_trends": {
        "organization_id": _NEEDED, "tenant": _NEEDED, "trend_date": _NEEDED, "trend_period": _NEEDED,
        **dict.fromkeys(("topic_distribution", "sentiment_distribution", "escalation_counts", "channel_hotspots"), _NEEDED),
        "total_classifications": _COUNT, "avg_confidence": _MEAN,
    },
}  # fmt: skip
"""Published table -> column -> type; a row is one window of one tenant and one combination of dimension values."""

TABLES: Mapping[str, tuple[Mapping[str, str], str]] = {
    "published_tenant": (
        {
            "tenant": "INTEGER NOT NULL", "name": _NEEDED, "zone": _NEEDED, "definition_version": "INTEGER NOT NULL",
            "seen": "INTEGER NOT NULL", "tones": "TEXT",
        },
        "tenant",
    ),
    "stale": ({"tenant": "INTEGER NOT NULL", "day": "INTEGER NOT NULL", "taken": "INTEGER"}, "tenant, day"),
    **{name: ({**columns, **_PUBLISHED}, "") for name, columns in ROWS.items()},
}  # fmt: skip
"""As in `schema.TABLES`. `seen`: the day on which rows past retention were last deleted; `tones`: the tones that hotspots count.
`stale`: days (since 1970 in UTC) whose facts changed after publishing; `taken`: the process that writes their rows, null when
none began since the last change."""

PERIOD: Mapping[str, str] = {
    name: next(c for c in columns if c.startswith(("period_", "trend_date"))) for name, columns in ROWS.items()
}
"""Published table -> the column of a row's window."""

INDEXES: Mapping[str, str] = {f"{name}_period": f"{name} (tenant, {PERIOD[name]})" for name in ROWS}


def views(iso: Callable[[str], str], day: Callable[[str], str], now: str) -> dict[str, str]:
    """Return name -> SELECT of the views, which are always up to date, for tenants published at least once.

    `iso` and `day` turn microseconds into text in an engine's SQL; `now`: SQL of the current time. A snapshot's day is in its
    tenant's zone.
    """
    return {
        "analytics_events": f"""
        SELECT e.id, e.type AS event_type, {iso("e.time")} AS timestamp, t.name AS property_id, t.name AS tenant, e.channel,
            e.contact_id AS guest_id, e.staff_id, e.conversation_id, e.task_id, e.value, e.duration_ms,
            e.attributes AS metadata, {day("e.time")} AS date_partition,
            {now} AS published_at
        FROM published_tenant AS t JOIN event AS e ON e.tenant = t.tenant
    """,
        "analytics_snapshots": f"""
        SELECT t.name || '/' || s.kind || '/' || s.date || '/' || s.account AS id, t.name AS team_id, t.name AS tenant,
            nullif(s.account, '') AS whatsapp_account_id, s.date, s.kind AS snapshot_type, s.document AS metrics,
            {iso("s.made_at")} AS created_at, {iso("s.made_at")} AS published_at
        FROM published_tenant AS t JOIN snapshot AS s ON s.tenant = t.tenant
    """,
    }


VIEWS = ("analytics_events", "analytics_snapshots")
"""The names of the views."""
DAY = 86_400_000_000
MOMENTS: Mapping[str, tuple[str, ...]] = {
    "event": ("time",), "response": ("anchor",), "episode": ("anchor", "first_reply_at", "resolved_at"),
    "survey": ("sent_at", "rated_at"),
}  # fmt: skip
"""Fact table -> the columns whose days become stale when a row is added, changed or deleted."""


def mark(writing: Transaction, tenant: int, moments: Iterable[int | None]) -> None:
    """Mark the days of moments (microseconds) as stale, in the transaction that writes these facts."""
    days = {at // DAY for at in moments if at is not None}
    writing.many(
        "INSERT INTO stale VALUES (?, ?, NULL) ON CONFLICT (tenant, day) DO UPDATE SET taken = NULL WHERE stale.taken IS NOT NULL",
        [(tenant, day) for day in sorted(days)],
    )


def moments_of(table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[int | None]:
    """Yield the moments of rows whose days become stale; none for a table that is not published."""
    places = [columns.index(name) for name in MOMENTS.get(table, ())]
    return (row[place] for place in places for row in rows)
