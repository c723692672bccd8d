"""The bench's questions as hand-written SQL over raw events, in one text for DuckDB and PostgreSQL.

Times are microseconds in both. Each question looks at the tenant's events once and takes everything else from that. `last(x)` is
the value of the latest event, and `:name` a parameter, in each engine's own words.
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

QUESTIONS: Mapping[str, str] = {
    "dashboard": f"""
    WITH e AS MATERIALIZED (
        SELECT * FROM events WHERE tenant = :tenant AND time < :now
    ), period AS (
        SELECT * FROM (VALUES (:today, :now), (:yesterday, :until)) AS v(low, high)
    ), {_TURN}, conversation AS MATERIALIZED (
        SELECT conversation_id, min(time) FILTER (WHERE type IN ('message.received', 'conversation.started')) AS began,
            max(time) FILTER (WHERE type = 'conversation.resolved') AS resolved,
            bool_or(type IN ('conversation.escalated', 'escalation.raised')) AS escalated,
            last(type) FILTER (WHERE starts_with(type, 'conversation.')) AS last_type,
            last(staff_id) FILTER (WHERE type = 'conversation.assigned') AS assignee,
            max(time) FILTER (WHERE type = 'message.received') AS last_in,
            max(time) FILTER (WHERE type = 'message.sent') AS last_out
        FROM e WHERE conversation_id IS NOT NULL GROUP BY conversation_id
    ), rating AS MATERIALIZED (
        SELECT survey_id, last(value) AS stars, max(time) AS done FROM e
        WHERE type = 'satisfaction.rating_received' GROUP BY survey_id
    ), still_open AS MATERIALIZED (
        SELECT * FROM conversation WHERE last_type NOT IN ('conversation.resolved', 'conversation.closed') OR last_type IS NULL
    )
    SELECT p.low,
        (SELECT count(*) FROM conversation WHERE began >= p.low AND began < p.high),
        (SELECT count(DISTINCT conversation_id) FROM e WHERE time >= p.low AND time < p.high),
        (SELECT count(*) FROM conversation WHERE resolved >= p.low AND resolved < p.high),
        (SELECT count(*) FROM e WHERE type = 'message.received' AND time >= p.low AND time < p.high),
        (SELECT count(*) FROM e WHERE type = 'message.sent' AND time >= p.low AND time < p.high),
        r.n, r.mean, r.middle, r.middle_first,
        (SELECT avg(CASE WHEN escalated THEN 1 ELSE 0 END) FROM conversation WHERE began >= p.low AND began < p.high),
        (SELECT avg(CASE WHEN stars >= 4 THEN 1 ELSE 0 END) FROM rating WHERE done >= p.low AND done < p.high),
        (SELECT avg(stars) FROM rating WHERE done >= p.low AND done < p.high),
        (SELECT count(*) FROM still_open), (SELECT count(*) FROM still_open WHERE last_in > coalesce(last_out, 0)),
        (SELECT min(last_in) FROM still_open WHERE last_in > coalesce(last_out, 0)),
        (SELECT count(*) FROM still_open WHERE assignee IS NULL),
        (SELECT count(*) FROM (SELECT last(type) AS t FROM e WHERE starts_with(type, 'staff.') GROUP BY staff_id) AS s
            WHERE t = 'staff.login'),
        (SELECT count(*) FROM (SELECT last(type) AS t FROM e WHERE task_id IS NOT NULL GROUP BY task_id) AS s
            WHERE t <> 'task.completed')
    FROM period AS p LEFT JOIN (
        SELECT q.low, count(*) AS n, avg(ms) AS mean, percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) AS middle,
            percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) FILTER (WHERE is_first) AS middle_first
        FROM period AS q JOIN response ON done >= q.low AND done < q.high GROUP BY q.low
    ) AS r ON r.low = p.low""",
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
"""Question -> SQL. Days of a series are cut with one offset, which is easier than what is asked of Hubbub."""

COLUMNS = (
    "tenant", "type", "time", "id", "conversation_id", "channel", "staff_id", "task_id", "campaign_id", "survey_id", "value",
)  # fmt: skip


def duckdb_text(question: str) -> str:
    """Return a question for DuckDB."""
    text = re.sub(r"\blast\((\w+)\)", r"arg_max(\1, time)", QUESTIONS[question])
    return re.sub(r"(?<!:):(\w+)", r"$\1", text)


def postgres_text(question: str) -> str:
    """Return a question for PostgreSQL."""
    text = re.sub(r"\blast\((\w+)\)( FILTER \(WHERE (?:[^()]|\([^()]*\))*\))?",
                  r"(array_agg(\1 ORDER BY time DESC)\2)[1]", QUESTIONS[question])  # fmt: skip
    return re.sub(r"(?<!:):(\w+)", r"%(\1)s::bigint", text)


def parameters(tenant: int, question: str) -> dict[str, int]:
    """Return the parameters of a question of one tenant."""
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
