"""The bench's questions as hand-written SQL over raw events, in one text for DuckDB, PostgreSQL and ClickHouse.

All times are microseconds. A question reads only the events that it needs, by tenant, time and type, and responses only of
conversations that have any in its range. Each engine's own syntax replaces `last(x)`, the value of the latest event, and `:name`, a
parameter.

The dashboard says what Hubbub's says but for two numbers, which are easier here: the longest wait begins with its last message, not
its first, and a conversation that was resolved again counts on the day of its last resolve.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from bench import lab
from bench.workload import START, zone_of
from hubbub.facts.moments import DAY, micros

_TURN = """turn AS (
        SELECT e.*, sum(CASE WHEN type = 'message.received' THEN 0 ELSE 1 END) OVER (PARTITION BY conversation_id
            ORDER BY time, type DESC, id ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
            - CASE WHEN type = 'message.received' THEN 0 ELSE 1 END AS replies_before
        FROM e WHERE type = 'message.received' OR (type = 'message.sent' AND campaign_id IS NULL)
    ), spell AS (
        SELECT conversation_id, replies_before, max(channel) AS channel, max(id) FILTER (WHERE type = 'message.sent') AS id,
            max(staff_id) FILTER (WHERE type = 'message.sent') AS staff_id,
            min(time) FILTER (WHERE type = 'message.received') AS asked, max(time) FILTER (WHERE type = 'message.sent') AS done
        FROM turn GROUP BY conversation_id, replies_before
    ), response AS MATERIALIZED (
        SELECT s.*, (done - asked) / 1000.0 AS ms, row_number() OVER (PARTITION BY conversation_id ORDER BY done) = 1 AS is_first
        FROM spell AS s WHERE asked IS NOT NULL AND done IS NOT NULL
    )"""

_TWO_DAYS = "tenant = :tenant AND time >= :yesterday AND time < :now"
_DAY_OF_TIME, _DAY_OF_DONE = (f"CASE WHEN {at} >= :today THEN :today ELSE :yesterday END" for at in ("time", "done"))

QUESTIONS: Mapping[str, str] = {
    "dashboard": f"""
    WITH e AS MATERIALIZED (
        SELECT * FROM events WHERE tenant = :tenant AND time < :now AND type IN ('message.received', 'message.sent')
            AND conversation_id IN (SELECT conversation_id FROM events WHERE {_TWO_DAYS} AND type = 'message.sent')
    ), {_TURN}
    SELECT m.low, CASE WHEN m.low = :today THEN c.started ELSE c.started_before END, m.active,
        CASE WHEN m.low = :today THEN c.resolved ELSE c.resolved_before END, m.received, m.sent, r.n, r.mean, r.middle,
        r.middle_first, CASE WHEN m.low = :today THEN c.escalated ELSE c.escalated_before END, s.csat, s.mean,
        c.open, c.waiting, c.oldest, c.unassigned, staff.online, task.pending
    FROM (
        SELECT {_DAY_OF_TIME} AS low, count(DISTINCT conversation_id) AS active,
            count(*) FILTER (WHERE type = 'message.received') AS received, count(*) FILTER (WHERE type = 'message.sent') AS sent
        FROM events WHERE {_TWO_DAYS} AND (starts_with(type, 'message.') OR starts_with(type, 'conversation.'))
            AND (time < :until OR time >= :today) GROUP BY 1
    ) AS m LEFT JOIN (
        SELECT {_DAY_OF_DONE} AS low, count(*) AS n, avg(ms) AS mean, percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) AS middle,
            percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) FILTER (WHERE is_first) AS middle_first
        FROM response WHERE done >= :yesterday AND (done < :until OR done >= :today) GROUP BY 1
    ) AS r ON r.low = m.low LEFT JOIN (
        SELECT {_DAY_OF_DONE} AS low, avg(CASE WHEN stars >= 4 THEN 1 ELSE 0 END) AS csat, avg(stars) AS mean
        FROM (SELECT last(value) AS stars, max(time) AS done FROM events
            WHERE {_TWO_DAYS} AND type = 'satisfaction.rating_received' GROUP BY survey_id) AS rating
        WHERE done < :until OR done >= :today GROUP BY 1
    ) AS s ON s.low = m.low CROSS JOIN (
        SELECT count(*) FILTER (WHERE began >= :today) AS started,
            count(*) FILTER (WHERE began >= :yesterday AND began < :until) AS started_before,
            count(*) FILTER (WHERE resolved >= :today) AS resolved,
            count(*) FILTER (WHERE resolved >= :yesterday AND resolved < :until) AS resolved_before,
            avg(escalated) FILTER (WHERE began >= :today) AS escalated,
            avg(escalated) FILTER (WHERE began >= :yesterday AND began < :until) AS escalated_before,
            count(*) FILTER (WHERE is_open) AS open, count(*) FILTER (WHERE is_open AND last_in > last_out) AS waiting,
            min(last_in) FILTER (WHERE is_open AND last_in > last_out) AS oldest,
            count(*) FILTER (WHERE is_open AND assignee IS NULL) AS unassigned
        FROM (
            SELECT min(time) FILTER (WHERE type IN ('message.received', 'conversation.started')) AS began,
                max(time) FILTER (WHERE type = 'conversation.resolved') AS resolved,
                max(CASE WHEN type IN ('conversation.escalated', 'escalation.raised') THEN 1 ELSE 0 END) AS escalated,
                coalesce(last(type) FILTER (WHERE starts_with(type, 'conversation.')), '')
                    NOT IN ('conversation.resolved', 'conversation.closed') AS is_open,
                last(staff_id) FILTER (WHERE type = 'conversation.assigned') AS assignee,
                max(time) FILTER (WHERE type = 'message.received') AS last_in,
                coalesce(max(time) FILTER (WHERE type IN ('conversation.resolved', 'conversation.closed')
                    OR (type = 'message.sent' AND campaign_id IS NULL)), 0) AS last_out
            FROM events WHERE tenant = :tenant AND time < :now AND conversation_id IS NOT NULL GROUP BY conversation_id
        ) AS conversation
    ) AS c CROSS JOIN (
        SELECT count(*) FILTER (WHERE latest = 'staff.login') AS online FROM (SELECT last(type) AS latest FROM events
            WHERE tenant = :tenant AND time < :now AND type IN ('staff.login', 'staff.logout') GROUP BY staff_id) AS shift
    ) AS staff CROSS JOIN (
        SELECT count(*) FILTER (WHERE latest <> 'task.completed') AS pending FROM (SELECT last(type) AS latest FROM events
            WHERE tenant = :tenant AND time < :now AND type IN ('task.created', 'task.completed') GROUP BY task_id) AS work
    ) AS task ORDER BY m.low DESC""",
    "series": f"""
    WITH e AS MATERIALIZED (
        SELECT type, time, id, conversation_id, channel, staff_id, campaign_id FROM events
        WHERE tenant = :tenant AND time >= :first AND time < :last AND type IN ('message.received', 'message.sent')
    ), {_TURN}, messages AS (
        SELECT floor((time + :offset) / {DAY}.0) AS day, channel, count(*) AS n FROM e GROUP BY 1, 2
    ), waits AS (
        SELECT floor((done + :offset) / {DAY}.0) AS day, channel, percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) AS middle
        FROM response GROUP BY 1, 2
    )
    SELECT day, channel, n, middle FROM messages FULL JOIN waits USING (day, channel) ORDER BY 1, 2""",
    "explain": f"""
    WITH e AS MATERIALIZED (
        SELECT type, time, id, conversation_id, channel, staff_id, campaign_id FROM events
        WHERE tenant = :tenant AND time >= :month - 7 * {DAY} AND time < :last AND type IN ('message.received', 'message.sent')
    ), {_TURN}, behind AS MATERIALIZED (SELECT * FROM response WHERE done >= :month AND done < :last)
    SELECT b.*, w.* FROM (SELECT count(*) AS n, percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) AS middle FROM behind) AS w
    LEFT JOIN (SELECT * FROM behind ORDER BY done LIMIT 50) AS b ON true ORDER BY done""",
    "team": f"""
    WITH e AS MATERIALIZED (
        SELECT * FROM events WHERE tenant = :tenant AND time >= :month - 7 * {DAY} AND time < :last
    ), {_TURN}, waits AS (
        SELECT staff_id, count(DISTINCT conversation_id) AS handled, count(*) AS n,
            percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) AS middle, percentile_cont(0.9) WITHIN GROUP (ORDER BY ms) AS most,
            percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) FILTER (WHERE is_first) AS middle_first
        FROM response WHERE done >= :month GROUP BY staff_id
    ), tasks AS (
        SELECT staff_id, count(*) FILTER (WHERE type = 'task.completed') AS done,
            count(*) FILTER (WHERE type = 'task.sla_breached') AS breaches
        FROM e WHERE starts_with(type, 'task.') AND time >= :month GROUP BY staff_id
    ), stars AS (
        SELECT staff_id, count(*) AS ratings, avg(value) AS mean, avg(CASE WHEN value >= 4 THEN 1 ELSE 0 END) AS csat
        FROM (SELECT survey_id, last(staff_id) AS staff_id, last(value) AS value FROM e
            WHERE type = 'satisfaction.rating_received' AND time >= :month GROUP BY survey_id) AS r GROUP BY staff_id
    )
    SELECT * FROM waits FULL JOIN tasks USING (staff_id) FULL JOIN stars USING (staff_id) ORDER BY 1""",
}
"""Question -> SQL. Days of a series have one offset from UTC, which is easier than Hubbub's question."""

COLUMNS = (
    "tenant", "type", "time", "id", "conversation_id", "channel", "staff_id", "task_id", "campaign_id", "survey_id", "value",
)  # fmt: skip


def duckdb_text(question: str) -> str:
    """Return a question for DuckDB."""
    text = re.sub(r"\blast\((\w+)\)", r"arg_max(\1, time)", QUESTIONS[question])
    return re.sub(r"(?<!:):(\w+)", r"$\1", text)


def postgres_text(question: str) -> str:
    """Return a question for PostgreSQL, with parameters in the driver's syntax."""
    return re.sub(r"(?<!:):(\w+)", r"%(\1)s::bigint", for_postgres(question))


def for_postgres(question: str) -> str:
    """Return a question for PostgreSQL, with `:name` for its parameters."""
    return re.sub(r"\blast\((\w+)\)( FILTER \(WHERE (?:[^()]|\([^()]*\))*\))?",
                  r"(array_agg(\1 ORDER BY time DESC)\2)[1]", QUESTIONS[question])  # fmt: skip


def parameters(tenant: int, question: str) -> dict[str, int]:
    """Return the parameters of a question about one tenant."""
    local = lab.NOW.astimezone(ZoneInfo(zone_of(tenant)))
    offset = micros(local.replace(tzinfo=lab.NOW.tzinfo)) - micros(lab.NOW)
    today = micros(local.replace(hour=0, minute=0, second=0))
    first = micros(datetime(START.year, START.month, START.day, tzinfo=lab.NOW.tzinfo)) - offset
    known = {
        "tenant": tenant, "now": micros(lab.NOW), "today": today, "yesterday": today - DAY, "until": micros(lab.NOW) - DAY,
        "first": first, "last": first + 90 * DAY, "month": first + 59 * DAY, "offset": offset,
    }  # fmt: skip
    used = set(re.findall(r"(?<!:):(\w+)", QUESTIONS[question]))
    return {name: value for name, value in known.items() if name in used}


SPAN: Mapping[str, Any] = {"start": str(START), "end": str(START + timedelta(90))}
MONTH: Mapping[str, Any] = {"start": str(START + timedelta(59)), "end": str(START + timedelta(90))}
