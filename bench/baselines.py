"""What Hubbub is measured against: hand-written DuckDB SQL over the same events, as somebody who knows the data writes it.

The fold makes the same tables (hour, day, week and month, histograms too) from the same events with the same memory and
threads, without marks, retention of single tenants, or anything that can be repaired. Days are cut with two offsets per
tenant (before and after its one change of clocks). Facts that Hubbub computes well are computed by the same SQL here
(responses, episodes, intents, surveys); sent messages are written anew, once for both of the tables that need them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from bench.workload import clock_changes
from hubbub.metrics.conversations import EPISODE
from hubbub.metrics.definition import LOG_GAMMA, Fact
from hubbub.metrics.fold import types_in
from hubbub.metrics.intents import INTENT
from hubbub.metrics.responses import RESPONSE
from hubbub.metrics.satisfaction import SURVEY


@dataclass(frozen=True)
class Table:
    """One rollup of the baseline: `values` maps a column to (fold, merge)."""

    name: str
    source: str
    dims: Sequence[str]
    values: dict[str, tuple[str, str]]
    where: str = "TRUE"
    at: str = "anchor"
    histogram: str | None = None
    hours: bool = False


def _count(where: str | None = None) -> tuple[str, str]:
    return f"count(*) FILTER (WHERE {where})" if where else "count(*)", "sum({c})::BIGINT"


def _counts(**wheres: str | None) -> dict[str, tuple[str, str]]:
    return {name: _count(where) for name, where in wheres.items()}


def _spread(column: str) -> dict[str, tuple[str, str]]:
    return {
        f"{column}_count": (f"count({column})", "sum({c})::BIGINT"),
        f"{column}_sum": (f"coalesce(sum({column}), 0)::HUGEINT", "sum({c})::HUGEINT"),
        f"{column}_min": (f"min({column})", "min({c})"),
        f"{column}_max": (f"max({column})", "max({c})"),
    }


def _latest(column: str) -> dict[str, tuple[str, str]]:
    """Fold and merge of a last value and its moment."""
    here = f"FILTER (WHERE {column} IS NOT NULL)"
    return {
        column: (
            f"arg_max({column}, (anchor, {column})) {here}",
            "arg_max({c}, ({c}_at, {c})) FILTER (WHERE {c} IS NOT NULL)",
        ),
        f"{column}_at": (f"max(anchor) {here}", "max({c})"),
    }


def _micro(column: str, where: str = "TRUE") -> tuple[str, str]:
    return f"coalesce(sum(round({column} * 1e6)::HUGEINT) FILTER (WHERE {where}), 0)::HUGEINT", "sum({c})::HUGEINT"


SENT = """
    CREATE OR REPLACE TEMP TABLE sent AS
    WITH receipt AS (
        SELECT tenant, message_id, min(time) FILTER (WHERE type IN ('message.delivered', 'message.read')) AS delivered_at,
            bool_or(type = 'message.read') AS is_read, bool_or(type = 'message.failed') AS is_failed,
            bool_or(type IN ('link.clicked', 'message.reacted')) AS acted
        FROM events WHERE type IN ('message.delivered', 'message.read', 'message.failed', 'link.clicked', 'message.reacted')
        GROUP BY ALL
    ), talk AS (
        SELECT tenant, message_id, type, time, channel, channel_id, account_id, campaign_id, contact_id,
            lead(type) OVER thread AS next_type, lead(time) OVER thread AS next_time
        FROM events WHERE type IN ('message.sent', 'message.received')
        WINDOW thread AS (PARTITION BY tenant, conversation_id ORDER BY time, id)
    ), message AS (
        SELECT t.tenant, t.time AS anchor, t.channel, t.channel_id, t.account_id, t.campaign_id, t.contact_id, r.delivered_at,
            r.message_id IS NOT NULL AS has_receipt, r.delivered_at IS NOT NULL AS delivered, coalesce(r.is_read, FALSE) AS is_read,
            coalesce(r.is_failed, FALSE) AND r.delivered_at IS NULL AS is_failed, coalesce(r.acted, FALSE) AS acted,
            coalesce(next_type = 'message.received' AND next_time < time + INTERVAL 72 HOUR, FALSE) AS answered
        FROM talk AS t LEFT JOIN receipt AS r USING (tenant, message_id) WHERE type = 'message.sent'
    ), converted AS (
        SELECT tenant, contact_id, list_sort(list(time)) AS times FROM events
        WHERE type = 'contact.converted' GROUP BY ALL
    ), blocked AS (
        SELECT tenant, contact_id, list_sort(list(time)) AS times FROM events WHERE type = 'contact.blocked' GROUP BY ALL
    )
    SELECT m.*, m.delivered AND m.answered AS replied,
        coalesce(len(list_filter(c.times, lambda x: x >= m.delivered_at AND x < m.delivered_at + INTERVAL 168 HOUR)) > 0, FALSE)
            AS converted,
        m.delivered AND (m.answered OR m.acted OR converted) AS engaged,
        coalesce(len(list_filter(b.times, lambda x: x >= m.anchor AND x < m.anchor + INTERVAL 168 HOUR)) > 0, FALSE) AS opted_out
    FROM message AS m LEFT JOIN converted AS c USING (tenant, contact_id) LEFT JOIN blocked AS b USING (tenant, contact_id)
"""


def _fact(name: str, fact: Fact) -> str:
    """SQL that keeps a fact's rows once, by the fact's own SELECT."""
    events = f"(SELECT * FROM events WHERE {types_in(fact.reads)})"
    return f"CREATE OR REPLACE TEMP TABLE {name} AS {fact.sql.replace('{events}', events)}"


FACTS = (
    SENT, _fact("response", RESPONSE), _fact("episode", EPISODE), _fact("intent", INTENT), _fact("survey", SURVEY),
)  # fmt: skip

_PLACE = ("channel", "channel_id", "account_id")
_TASKS = "('task.created', 'task.assigned', 'task.completed', 'task.sla_breached')"
_STATES = (
    "('conversation.started', 'conversation.escalated', 'conversation.resolved', 'conversation.closed', "
    "'conversation.reopened', 'conversation.assigned', 'message.received', 'message.sent')"
)
_CONTACT = (
    "('message.received', 'message.read', 'message.reacted', 'link.clicked', 'satisfaction.rating_received', "
    "'contact.created', 'contact.updated', 'contact.blocked', 'contact.unblocked', 'contact.converted')"
)
_TOPIC = """(SELECT *, time AS anchor, lower(sentiment) IN ('negative', 'complaint', 'frustrated', 'angry')
    OR lower(topic) IN ('complaint', 'complaints') AS bad, lower(topic) IN ('escalation', 'escalations')
    OR lower(sentiment) = 'escalation' AS up FROM events WHERE type IN ('topic.classified', 'escalation.raised'))"""


def _events(where: str, *more: str) -> str:
    return f"(SELECT *, time AS anchor{''.join(', ' + m for m in more)} FROM events WHERE {where})"


TABLES = (
    Table(
        "messages", _events(
            "type IN ('message.received', 'message.sent')",
            "CASE WHEN type = 'message.received' THEN 'in' ELSE 'out' END AS direction", "coalesce(kind, 'person') AS who",
        ),
        (*_PLACE, "direction", "who"),
        _counts(messages=None, messages_received="direction = 'in'", messages_sent="direction = 'out'"), hours=True,
    ),
    Table(
        "deliveries", "sent", (*_PLACE, "campaign_id"),
        _counts(attempted=None, receipted="has_receipt", messages_delivered="delivered", messages_read="is_read",
                messages_failed="is_failed", messages_replied="replied"),
    ),
    Table(
        "recipients", "sent", ("channel", "account_id", "campaign_id", "contact_id"),
        _counts(delivered=None, engaged="engaged", converted="converted"), "delivered AND contact_id IS NOT NULL",
    ),
    Table(
        "campaign_results", "sent", ("channel", "account_id", "campaign_id"),
        _counts(attempted=None, delivered="delivered", read="is_read", engaged="engaged", converted="converted",
                opted_out="opted_out"), "campaign_id IS NOT NULL",
    ),
    Table(
        "responses", "response", (*_PLACE, "staff_id", "responder"), {**_counts(responses=None), **_spread("duration_ms")},
        histogram="duration_ms", hours=True,
    ),
    Table(
        "handled", "response", ("channel", "staff_id", "conversation_id"), _counts(answers=None),
        "staff_id IS NOT NULL AND conversation_id IS NOT NULL",
    ),
    Table(
        "conversations", "episode", _PLACE,
        _counts(conversations_started=None, episodes_escalated="escalated", ai_involved="ai_involved",
                ai_handled="ai_resolved", ai_escalated="ai_escalated"), "anchor IS NOT NULL",
    ),
    Table(
        "first_responses", "episode", (*_PLACE, "first_staff_id", "responder"), _spread("first_response_ms"),
        "first_response_ms IS NOT NULL AND anchor IS NOT NULL", at="first_reply_at", histogram="first_response_ms",
    ),
    Table(
        "first_person_responses", "episode", _PLACE, _spread("first_person_response_ms"),
        "first_person_response_ms IS NOT NULL AND anchor IS NOT NULL", at="first_person_at",
        histogram="first_person_response_ms",
    ),
    Table(
        "resolutions", "episode", (*_PLACE, "staff_id"),
        {**_counts(conversations_resolved=None), **_spread("resolution_ms")}, "resolved_at IS NOT NULL", at="resolved_at",
        histogram="resolution_ms",
    ),
    Table(
        "conversation_events", _events(
            "type IN ('conversation.closed', 'conversation.escalated', 'conversation.reopened', 'conversation.assigned')"),
        (*_PLACE, "staff_id"),
        _counts(conversations_closed="type = 'conversation.closed'", conversations_escalated="type = 'conversation.escalated'",
                conversations_reopened="type = 'conversation.reopened'", conversations_assigned="type = 'conversation.assigned'"),
    ),
    Table(
        "conversation_states", _events(
            f"type IN {_STATES} AND conversation_id IS NOT NULL",
            "CASE WHEN type LIKE 'message.%' THEN NULL WHEN type IN ('conversation.resolved', 'conversation.closed') "
            "THEN 'closed' ELSE 'open' END AS state", "CASE WHEN type = 'message.received' THEN time END AS inbound",
        ),
        ("channel", "account_id", "conversation_id"),
        {**_latest("state"), "inbound_at": ("max(inbound)", "max({c})"), **_counts(touches=None)},
    ),
    Table(
        "tasks", _events(f"type IN {_TASKS}"), ("channel", "account_id", "staff_id"),
        _counts(tasks_created="type = 'task.created'", tasks_assigned="type = 'task.assigned'",
                tasks_completed="type = 'task.completed'", sla_breaches="type = 'task.sla_breached'"),
    ),
    Table(
        "task_states", _events(
            f"type IN {_TASKS} AND task_id IS NOT NULL",
            "CASE type WHEN 'task.completed' THEN 'done' WHEN 'task.sla_breached' THEN NULL ELSE 'pending' END AS state",
        ),
        ("channel", "account_id", "task_id"), _latest("state"),
    ),
    Table(
        "staff_states", _events(
            "type IN ('staff.login', 'staff.logout', 'staff.status_changed') AND staff_id IS NOT NULL",
            "CASE type WHEN 'staff.login' THEN 'online' WHEN 'staff.logout' THEN 'offline' ELSE lower(status) END AS state",
        ),
        ("account_id", "staff_id"), _latest("state"),
    ),
    Table(
        "intents", "intent", ("channel", "account_id", "intent"),
        {
            **_counts(intents="type = 'intent.classified'", confident="type = 'intent.classified' AND confidence IS NOT NULL"),
            "confidence": _micro("confidence", "type = 'intent.classified'"),
            **_counts(intents_low="type = 'intent.confidence_low'", intent_actions="type = 'intent.action_taken'",
                      intents_escalated="escalated"),
        },
    ),
    Table(
        "classifications", _TOPIC, (*_PLACE, "topic", "sentiment"),
        {**_counts(classifications=None, confident="confidence IS NOT NULL"), "confidence": _micro("confidence")},
        "type = 'topic.classified'",
    ),
    Table("alerts", _TOPIC, (*_PLACE, "severity"), _counts(escalation_alerts=None), "type = 'escalation.raised'"),
    Table(
        "hotspots", _TOPIC, _PLACE,
        _counts(total_count=None, complaint_count="bad", escalation_count="up AND NOT bad"), "type = 'topic.classified'",
    ),
    Table(
        "surveys", "survey", ("channel", "account_id", "staff_id"),
        _counts(surveys_sent=None, surveys_answered="rated_at IS NOT NULL"), "sent_at IS NOT NULL", at="sent_at",
    ),
    Table(
        "ratings", "survey", ("channel", "account_id", "staff_id"),
        _counts(ratings="scale = 5 AND rating IN (1, 2, 3, 4, 5)", **{f"rating_{n}": f"scale = 5 AND rating = {n}"
                for n in range(1, 6)}, nps_answers="scale = 10", promoters="scale = 10 AND rating >= 9",
                detractors="scale = 10 AND rating < 7"), "rated_at IS NOT NULL", at="rated_at",
    ),
    Table(
        "contacts", _events(
            f"type IN {_CONTACT} AND contact_id IS NOT NULL AND coalesce(kind, 'person') = 'person'",
            "CASE WHEN type IN ('contact.blocked') THEN 'blocked' WHEN type IN ('contact.unblocked', 'contact.created') "
            "THEN 'active' WHEN type = 'contact.updated' THEN lower(status) END AS state",
            "CASE WHEN type IN ('message.received', 'contact.created') THEN time END AS seen",
        ),
        ("channel", "account_id", "contact_id"),
        {
            **_counts(inbound="type = 'message.received'", conversions="type = 'contact.converted'",
                      clicks="type = 'link.clicked'", reads="type = 'message.read'",
                      good_ratings="type = 'satisfaction.rating_received' AND value >= 4",
                      deeds="type NOT IN ('contact.created', 'contact.updated', 'contact.blocked', 'contact.unblocked')"),
            "seen_at": ("min(seen)", "min({c})"), **_latest("state"),
        },
    ),
    Table("activity", _events("TRUE"), ("type", "channel", "account_id"), _counts(events=None)),
)  # fmt: skip


def zones_table(connection: duckdb.DuckDBPyConnection, tenants: int, zones: int) -> None:
    """Make `zone` (tenant, changes, before, after): each tenant's offset from UTC around its one change of clocks."""
    rows = [
        f"({no}, TIMESTAMP '{changes:%Y-%m-%d %H:%M}', INTERVAL '{before} seconds', INTERVAL '{after} seconds')"
        for no, (changes, before, after) in enumerate(clock_changes(tenants, zones), 1)
    ]
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE zone (tenant INTEGER, changes TIMESTAMP, before INTERVAL, after INTERVAL)"
    )
    connection.execute(f"INSERT INTO zone VALUES {', '.join(rows)}")


def fold_statements(now: datetime) -> list[str]:
    """Return all statements of the hand-written fold, in order."""
    statements = list(FACTS)
    for table in TABLES:
        for grain in ("hour", "day") if table.hours else ("day",):
            statements += _finest(table, grain, now)
        for grain in ("week", "month"):
            keys = ", ".join(("tenant", f"date_trunc('{grain}', start) AS start", *table.dims))
            merged = ", ".join(f"{merge.format(c=name)} AS {name}" for name, (_, merge) in table.values.items())
            # every merge reads the day's own columns, never one made here
            statements.append(
                f"CREATE OR REPLACE TABLE hand_{table.name}_{grain} AS SELECT {keys}, {merged} "
                f"FROM hand_{table.name}_day AS s GROUP BY ALL"
            )
            if table.histogram:
                statements.append(
                    f"CREATE OR REPLACE TABLE hand_{table.name}_{grain}_histogram AS SELECT {keys}, bucket, sum(n)::BIGINT AS n "
                    f"FROM hand_{table.name}_day_histogram GROUP BY ALL"
                )
    return statements


def _finest(table: Table, grain: str, now: datetime) -> list[str]:
    local = f"{table.at} + CASE WHEN {table.at} < z.changes THEN z.before ELSE z.after END"
    keys = ", ".join(("f.tenant", f"date_trunc('{grain}', {local}) AS start", *table.dims))
    kept = f" AND {table.at} >= TIMESTAMP '{now - timedelta(days=30):%Y-%m-%d}'" if grain == "hour" else ""
    source = (
        f"FROM {table.source} AS f JOIN zone AS z USING (tenant) WHERE {table.at} IS NOT NULL AND {table.where}{kept}"
    )
    values = ", ".join(f"{fold} AS {name}" for name, (fold, _) in table.values.items())
    name = f"hand_{table.name}_{grain}"
    made = [f"CREATE OR REPLACE TABLE {name} AS SELECT {keys}, {values} {source} GROUP BY ALL"]
    if table.histogram:
        h = table.histogram
        bucket = f"CASE WHEN {h} <= 0 THEN -1 ELSE ceil(round(ln({h}) / {LOG_GAMMA}, 9))::INTEGER END AS bucket"
        made.append(
            f"CREATE OR REPLACE TABLE {name}_histogram AS SELECT {keys}, {bucket}, count(*) AS n {source} "
            f"AND {h} IS NOT NULL GROUP BY ALL"
        )
    return made


TOTALS = {
    "messages_day": "sum(messages)", "messages_hour": "sum(messages)", "deliveries_day": "sum(messages_delivered)",
    "responses_day": "sum(responses)", "handled_day": "sum(answers)", "conversations_day": "sum(conversations_started)",
    "resolutions_month": "sum(conversations_resolved)", "conversation_states_week": "sum(touches)",
    "contacts_day": "sum(deeds)", "classifications_day": "sum(confidence)", "hotspots_week": "sum(complaint_count)",
    "intents_month": "sum(intents_escalated)", "surveys_day": "sum(surveys_answered)", "ratings_day": "sum(rating_5)",
    "tasks_day": "sum(tasks_completed)", "recipients_day": "sum(engaged)", "activity_day": "sum(events)",
    "task_states_day": "count(*)", "staff_states_day": "count(*)", "campaign_results_day": "sum(engaged)",
}  # fmt: skip
"""Totals in which the hand-written tables and Hubbub's must agree (hours may differ at the edge of what is kept)."""


def totals(prefix: str, ask: Callable[[str], Sequence[Any]]) -> dict[str, int]:
    """Return the totals of the tables named with a prefix, and the number of their rows; `ask` answers a SELECT's row."""
    found: dict[str, int] = {}
    for table, value in TOTALS.items():
        row = ask(f"SELECT {value}, count(*) FROM {prefix}_{table}")
        found[table], found[f"{table} rows"] = int(row[0] or 0), int(row[1])
    return found


def read_ndjson(connection: duckdb.DuckDBPyConnection, path: Path, columns: dict[str, str]) -> int:
    """Read NDJSON into a fresh table with its columns given; returns the number of rows."""
    given = ", ".join(f"{name}: '{kind}'" for name, kind in columns.items())
    connection.execute("DROP TABLE IF EXISTS bare")
    connection.execute(
        f"CREATE TABLE bare AS SELECT * FROM read_json('{path}', format = 'newline_delimited', columns = {{{given}}})"
    )
    row = connection.execute("SELECT count(*) FROM bare").fetchone()
    assert row is not None
    return int(row[0])


RAW_DASHBOARD = """
    WITH e AS MATERIALIZED (
        SELECT type, time, id, conversation_id, staff_id, task_id, campaign_id, survey_id, kind, value FROM events
        WHERE tenant = $tenant AND time < $now
    ), period AS (
        SELECT unnest([$today, $yesterday]) AS low, unnest([$now, $until]) AS high
    ), turn AS (
        SELECT *, sum(CASE WHEN type = 'message.received' THEN 0 ELSE 1 END) OVER (PARTITION BY conversation_id
            ORDER BY time, type = 'message.sent', id ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
            - CASE WHEN type = 'message.received' THEN 0 ELSE 1 END AS replies_before
        FROM e WHERE type IN ('message.received', 'message.sent', 'response.ai_generated', 'response.staff_sent')
    ), spell AS (
        SELECT conversation_id, min(time) FILTER (WHERE type = 'message.received') AS asked,
            max(time) FILTER (WHERE type <> 'message.received') AS done FROM turn GROUP BY conversation_id, replies_before
    ), response AS (
        SELECT done, epoch_ms(done) - epoch_ms(asked) AS ms,
            row_number() OVER (PARTITION BY conversation_id ORDER BY done) = 1 AS is_first
        FROM spell WHERE asked IS NOT NULL AND done IS NOT NULL
    ), conversation AS (
        SELECT conversation_id, min(time) FILTER (WHERE type IN ('message.received', 'conversation.started')) AS began,
            max(time) FILTER (WHERE type = 'conversation.resolved') AS resolved,
            bool_or(type IN ('conversation.escalated', 'escalation.raised')) AS escalated,
            arg_max(type, time) FILTER (WHERE type LIKE 'conversation.%') AS last_type,
            max(time) FILTER (WHERE type = 'message.received') AS last_in
        FROM e WHERE conversation_id IS NOT NULL GROUP BY conversation_id
    ), rating AS (
        SELECT survey_id, arg_max(value, time) AS stars, max(time) AS done FROM e
        WHERE type = 'satisfaction.rating_received' GROUP BY survey_id
    )
    SELECT p.low,
        (SELECT count(*) FROM conversation WHERE began >= p.low AND began < p.high) AS started,
        (SELECT count(DISTINCT conversation_id) FROM e WHERE time >= p.low AND time < p.high) AS active,
        (SELECT count(*) FROM conversation WHERE resolved >= p.low AND resolved < p.high) AS resolved,
        (SELECT count(*) FROM e WHERE type = 'message.received' AND time >= p.low AND time < p.high) AS received,
        (SELECT count(*) FROM e WHERE type = 'message.sent' AND time >= p.low AND time < p.high) AS sent,
        (SELECT [count(*), avg(ms), quantile_cont(ms, 0.5), quantile_cont(ms, 0.5) FILTER (WHERE is_first)]
            FROM response WHERE done >= p.low AND done < p.high) AS waits,
        (SELECT avg(escalated::INTEGER) FROM conversation WHERE began >= p.low AND began < p.high) AS escalation_rate,
        (SELECT avg((stars >= 4)::INTEGER) FROM rating WHERE done >= p.low AND done < p.high) AS csat,
        (SELECT count(*) FROM conversation WHERE last_type NOT IN ('conversation.resolved', 'conversation.closed')
            OR last_type IS NULL) AS open,
        (SELECT count(*) FROM (SELECT arg_max(type, time) AS t FROM e WHERE type LIKE 'staff.%' GROUP BY staff_id)
            WHERE t = 'staff.login') AS online,
        (SELECT count(*) FROM (SELECT arg_max(type, time) AS t FROM e WHERE task_id IS NOT NULL GROUP BY task_id)
            WHERE t <> 'task.completed') AS pending
    FROM period AS p
"""
"""The dashboard's question on raw events: one look at the tenant's events, everything else from that."""

RAW_SERIES = """
    WITH e AS MATERIALIZED (
        SELECT type, time, id, conversation_id, channel, kind FROM events
        WHERE tenant = $tenant AND time >= $low AND time < $high AND type IN ('message.received', 'message.sent')
    ), turn AS (
        SELECT *, sum(CASE WHEN type = 'message.received' THEN 0 ELSE 1 END) OVER (PARTITION BY conversation_id
            ORDER BY time, type = 'message.sent', id ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
            - CASE WHEN type = 'message.received' THEN 0 ELSE 1 END AS replies_before FROM e
    ), spell AS (
        SELECT max(channel) AS channel, min(time) FILTER (WHERE type = 'message.received') AS asked,
            max(time) FILTER (WHERE type <> 'message.received') AS done FROM turn GROUP BY conversation_id, replies_before
    ), messages AS (
        SELECT date_trunc('day', time + $offset::INTERVAL) AS day, channel, count(*) AS n FROM e GROUP BY ALL
    ), waits AS (
        SELECT date_trunc('day', done + $offset::INTERVAL) AS day, channel,
            quantile_cont(epoch_ms(done) - epoch_ms(asked), 0.5) AS p50
        FROM spell WHERE asked IS NOT NULL AND done IS NOT NULL GROUP BY ALL
    )
    SELECT day, channel, n, p50 FROM messages FULL JOIN waits USING (day, channel) ORDER BY ALL
"""
"""Messages and the median wait by day and channel on raw events (with one offset for all days, which is easier)."""

RAW_HOTSPOTS = """
    SELECT channel_id, count(*) AS total, count(*) FILTER (
        WHERE lower(topic) IN ('complaint', 'complaints', 'escalation', 'escalations')
            OR lower(sentiment) IN ('negative', 'complaint', 'frustrated', 'angry', 'escalation')) AS flagged
    FROM events WHERE tenant = $tenant AND type = 'topic.classified' AND time >= $low AND time < $high
    GROUP BY channel_id HAVING count(*) >= 10 ORDER BY flagged / total DESC
"""
"""Channels by their share of complaints and escalations over the same 90 days on raw events."""
