"""The facts in hand-written DuckDB SQL, in bulk from all events at once, as somebody who knows the data writes it.

Times are microseconds. It does what a fold from scratch does and no more: its facts cannot be updated. `totals` are compared with
those of Hubbub's facts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import duckdb

from bench import lab

_DAY = 86_400_000_000
_FOREVER = 2**62
_PUBLIC = "coalesce(kind, 'person') IN ('person', 'ai')"
_REPLY = "type = 'message.sent' AND campaign_id IS NULL"
_OPENS = "type IN ('message.received', 'conversation.started', 'conversation.reopened')"

SENT = """
    CREATE TEMP TABLE sent AS SELECT * REPLACE (epoch_us("time") AS "time") FROM read_parquet('{file}', file_row_number = true)
    QUALIFY row_number() OVER (PARTITION BY tenant, id ORDER BY file_row_number) = 1
"""
TURN = f"""
    CREATE TEMP TABLE turn AS
    SELECT tenant, conversation_id, "time", id, type, channel, channel_id, account_id, staff_id, kind, campaign_id,
        {_REPLY} AS reply, type = 'message.received' AS inbound, {_OPENS} AS opens, type = 'conversation.resolved' AS resolves,
        CASE type WHEN 'conversation.started' THEN 0 WHEN 'conversation.reopened' THEN 1 WHEN 'message.received' THEN 2
            WHEN 'conversation.assigned' THEN 3 WHEN 'message.sent' THEN 6 WHEN 'conversation.resolved' THEN 8
            WHEN 'conversation.closed' THEN 9 ELSE 4 END AS place
    FROM sent WHERE conversation_id IS NOT NULL AND {_PUBLIC} AND type IN ('message.received', 'message.sent',
        'conversation.started', 'conversation.escalated', 'conversation.resolved', 'conversation.closed',
        'conversation.reopened', 'conversation.assigned', 'escalation.raised')
"""
RESPONSE = """
    CREATE TABLE response AS
    WITH counted AS (
        SELECT *, sum(reply::INT) OVER thread - reply::INT AS spell FROM turn WHERE reply OR inbound
        WINDOW thread AS (PARTITION BY tenant, conversation_id ORDER BY "time", place, id
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
    )
    SELECT tenant, max("time") FILTER (reply) AS anchor, max(id) FILTER (reply) AS id, conversation_id,
        coalesce(max(channel) FILTER (reply), arg_min(channel, "time")) AS channel, arg_min(channel_id, "time") AS channel_id,
        arg_min(account_id, "time") AS account_id, max(staff_id) FILTER (reply) AS staff_id,
        CASE WHEN bool_or(kind = 'ai') FILTER (reply) THEN 'ai' ELSE 'person' END AS responder,
        min("time") FILTER (inbound) AS asked_at
    FROM counted GROUP BY tenant, conversation_id, spell
    HAVING bool_or(inbound) AND bool_or(reply) ORDER BY tenant, anchor
"""
EPISODE = f"""
    CREATE TABLE episode AS
    WITH seen AS (
        SELECT *, max("time") FILTER (resolves) OVER (PARTITION BY tenant, conversation_id ORDER BY "time", place, id
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS resolved_before
        FROM turn WHERE type <> 'conversation.closed'
    ), marked AS (
        SELECT *, lag(opens AND (resolved_before IS NULL OR "time" > resolved_before + {_DAY})) OVER thread AS was_open,
            opens AND (resolved_before IS NULL OR "time" > resolved_before + {_DAY}) AS may_open
        FROM seen WINDOW thread AS (PARTITION BY tenant, conversation_id ORDER BY "time", place, id)
    ), numbered AS (
        SELECT *, min("time") FILTER (may_open) OVER (PARTITION BY tenant, conversation_id, resolved_before) AS anchor_new
        FROM marked
    ), placed AS (
        SELECT *, max(anchor_new) FILTER ("time" >= anchor_new) OVER (PARTITION BY tenant, conversation_id
            ORDER BY "time", place, id ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS anchor
        FROM numbered
    ), based AS (
        SELECT *, greatest(min("time") FILTER (inbound) OVER here, min("time") FILTER (
            type = 'conversation.escalated' OR (type = 'conversation.assigned' AND staff_id IS NOT NULL)) OVER here) AS person_from,
            min("time") FILTER (inbound) OVER here AS first_inbound, max("time") FILTER (resolves) OVER here AS last_resolve
        FROM placed WHERE anchor IS NOT NULL WINDOW here AS (PARTITION BY tenant, conversation_id, anchor)
    )
    SELECT tenant, anchor, conversation_id, arg_min(id, ("time", place)) AS id, arg_min(channel, "time") AS channel,
        arg_min(channel_id, "time") AS channel_id, arg_min(account_id, "time") AS account_id,
        arg_max(staff_id, "time") FILTER (staff_id IS NOT NULL) AS staff_id,
        arg_min(staff_id, "time") FILTER (reply AND "time" >= first_inbound) AS first_staff_id,
        coalesce(arg_min(kind, "time") FILTER (reply AND "time" >= first_inbound), 'person') AS responder,
        min(first_inbound) AS first_inbound, min("time") FILTER (reply AND "time" >= first_inbound) AS first_reply_at,
        min(person_from) AS person_from,
        min("time") FILTER (reply AND kind IS DISTINCT FROM 'ai' AND "time" >= person_from) AS first_person_at,
        max(last_resolve) AS last_resolve,
        CASE WHEN max("time") FILTER (type = 'conversation.reopened') > max(last_resolve) THEN NULL
            ELSE max(last_resolve) END AS resolved_at,
        min("time") FILTER (type = 'conversation.reopened' AND "time" > last_resolve) AS returned_at,
        coalesce(bool_or(type IN ('conversation.escalated', 'escalation.raised') AND "time" <= anchor + 7 * {_DAY}), FALSE)
            AS escalated,
        coalesce(bool_or(reply AND kind = 'ai'), FALSE) AS ai_involved,
        ai_involved AND (escalated OR coalesce(bool_or(reply AND kind IS DISTINCT FROM 'ai'), FALSE)) AS ai_escalated,
        ai_involved AND max(last_resolve) IS NOT NULL AND NOT ai_escalated
            AND NOT coalesce(bool_or(type = 'conversation.reopened'), FALSE) AS ai_resolved
    FROM based GROUP BY tenant, conversation_id, anchor ORDER BY tenant, anchor
"""
EVENT = f"""
    CREATE TABLE event AS
    WITH receipt AS (
        SELECT s.tenant, s.id, min(r."time") FILTER (r.type IN ('message.delivered', 'message.read')) AS delivered_at,
            bit_or(CASE r.type WHEN 'message.delivered' THEN 1 WHEN 'message.read' THEN 3 WHEN 'message.failed' THEN 5
                ELSE 8 END) AS receipts
        FROM sent AS s JOIN sent AS r ON r.tenant = s.tenant AND r.message_id = s.message_id
        WHERE s.type = 'message.sent' AND r.type IN ('message.delivered', 'message.read', 'message.failed', 'message.reacted',
            'link.clicked') AND r."time" >= s."time" - 3 * {_DAY} AND r."time" < s."time" + 3 * {_DAY}
        GROUP BY s.tenant, s.id
    ), talk AS (
        SELECT tenant, id, lead("time") OVER thread AS next_at, lead(type) OVER thread AS next_type, type, "time"
        FROM sent WHERE type IN ('message.sent', 'message.received')
        WINDOW thread AS (PARTITION BY tenant, conversation_id ORDER BY "time", type, id)
    ), answer AS (
        SELECT tenant, id, next_at AS answered_at FROM talk
        WHERE type = 'message.sent' AND next_type = 'message.received' AND next_at < "time" + 3 * {_DAY}
    ), raised AS (
        SELECT tenant, conversation_id, list("time") AS times FROM sent
        WHERE type IN ('conversation.escalated', 'escalation.raised') GROUP BY ALL
    ), credit AS (
        SELECT r.tenant, r.id, a.staff_id AS credited_staff_id FROM sent AS r ASOF JOIN (
            SELECT * FROM turn WHERE reply AND staff_id IS NOT NULL) AS a
        ON a.tenant = r.tenant AND a.conversation_id = r.conversation_id AND r."time" >= a."time"
        WHERE r.type = 'satisfaction.rating_received'
    ), repeat AS (
        SELECT tenant, id, 1 AS repeats FROM sent
        WHERE type IN ('message.sent', 'message.received') AND message_id IS NOT NULL
        QUALIFY row_number() OVER (PARTITION BY tenant, type, channel, message_id ORDER BY "time", id) > 1
    )
    SELECT s.*, repeats, delivered_at, CASE WHEN delivered_at IS NULL THEN receipts ELSE receipts & ~4 END AS receipts,
        answered_at, CASE WHEN s.type = 'intent.classified'
            AND len(list_filter(times, lambda x: x >= s."time" AND x < s."time" + 7 * {_DAY})) > 0 THEN 1 END AS escalated,
        credited_staff_id
    FROM sent AS s LEFT JOIN receipt USING (tenant, id) LEFT JOIN answer USING (tenant, id) LEFT JOIN credit USING (tenant, id)
        LEFT JOIN repeat USING (tenant, id) LEFT JOIN raised USING (tenant, conversation_id)
    ORDER BY s.tenant, s."time"
"""
SURVEY = """
    CREATE TABLE survey AS
    SELECT tenant, coalesce(survey_id, id) AS survey, max(channel) AS channel, max(account_id) AS account_id,
        coalesce(max(staff_id), max(credited_staff_id)) AS staff_id,
        min("time") FILTER (type = 'satisfaction.survey_sent') AS sent_at,
        max("time") FILTER (type = 'satisfaction.rating_received' AND value IN (1, 2, 3, 4, 5)) AS rated_at,
        arg_max(value, "time") FILTER (type = 'satisfaction.rating_received' AND value IN (1, 2, 3, 4, 5)) AS rating, 5 AS scale
    FROM event WHERE type IN ('satisfaction.survey_sent', 'satisfaction.rating_received') GROUP BY ALL ORDER BY ALL
"""
STATE = f"""
    CREATE TABLE state AS
    WITH own AS (
        SELECT *, count(*) FILTER (reply OR type IN ('conversation.resolved', 'conversation.closed')) OVER thread AS wait,
            last_value(CASE WHEN type IN ('conversation.resolved', 'conversation.closed') THEN 0
                WHEN type LIKE 'conversation.%' THEN 1 END IGNORE NULLS) OVER thread AS own,
            max("time") FILTER (type LIKE 'conversation.%') OVER thread AS own_at,
            max("time") FILTER (inbound) OVER thread AS inbound_at,
            last_value(CASE WHEN type = 'conversation.assigned' THEN staff_id END IGNORE NULLS) OVER thread AS assignee
        FROM turn WHERE type <> 'escalation.raised'
        WINDOW thread AS (PARTITION BY tenant, conversation_id ORDER BY "time", place, id
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
    ), waits AS (
        SELECT *, min("time") FILTER (inbound) OVER (PARTITION BY tenant, conversation_id, wait
                ORDER BY "time", place, id) AS asked,
            coalesce(own = 1, inbound_at IS NOT NULL) OR coalesce(inbound_at > own_at + {_DAY}, FALSE) AS is_open
        FROM own
    ), track AS (
        SELECT tenant, conversation_id AS entity_id, "time", place, id,
            unnest(['open', 'closed', 'waiting', 'unassigned']) AS state,
            unnest([is_open, own = 0 AND NOT is_open, is_open AND asked IS NOT NULL, is_open AND assignee IS NULL]) AS held,
            unnest([NULL, NULL, asked, NULL]) AS began
        FROM waits
    ), edge AS (
        SELECT *, coalesce(held, FALSE) AS now_held, lag(coalesce(held, FALSE), 1, FALSE) OVER t AS was_held,
            lag(began) OVER t AS was_began
        FROM track WINDOW t AS (PARTITION BY tenant, entity_id, state ORDER BY "time", place, id)
    ), change AS (
        SELECT * FROM edge WHERE now_held <> was_held OR (now_held AND began IS DISTINCT FROM was_began)
    ), stretch AS (
        SELECT tenant, 'conversation' AS entity, entity_id AS id, state, "time" AS since,
            lead("time", 1, {_FOREVER}) OVER (PARTITION BY tenant, entity_id, state ORDER BY "time", place, id) AS until,
            began, now_held
        FROM change
    ), place AS (
        SELECT tenant, conversation_id AS id, min("time") AS since, arg_min(channel, "time") AS channel,
            arg_min(account_id, "time") AS account_id FROM turn WHERE type <> 'escalation.raised' GROUP BY ALL
    ), moved AS (
        SELECT tenant, CASE WHEN type LIKE 'task.%' THEN 'task' ELSE 'staff' END AS entity,
            CASE WHEN type LIKE 'task.%' THEN task_id ELSE staff_id END AS id,
            CASE type WHEN 'task.completed' THEN 'done' WHEN 'staff.login' THEN 'online' WHEN 'staff.logout' THEN 'offline'
                ELSE 'pending' END AS state, "time", channel, account_id
        FROM sent WHERE type IN ('task.created', 'task.assigned', 'task.completed', 'staff.login', 'staff.logout')
    ), turned AS (
        SELECT * FROM moved QUALIFY state IS DISTINCT FROM lag(state) OVER (PARTITION BY tenant, entity, id ORDER BY "time")
    ), contact AS (
        SELECT tenant, contact_id AS id, channel, account_id, min("time") AS known,
            min("time") FILTER (type IN ('message.received', 'contact.created')) AS seen
        FROM sent WHERE contact_id IS NOT NULL AND coalesce(kind, 'person') = 'person' AND type IN ('message.received',
            'message.read', 'message.reacted', 'link.clicked', 'satisfaction.rating_received', 'contact.created',
            'contact.converted') GROUP BY ALL
    )
    SELECT s.tenant, entity, s.id, state, s.since, until, channel, account_id, began
    FROM stretch AS s JOIN place AS p ON p.tenant = s.tenant AND p.id = s.id WHERE now_held AND s.since < until
    UNION ALL SELECT tenant, 'conversation', id, 'known', since, {_FOREVER}, channel, account_id, NULL FROM place
    UNION ALL SELECT tenant, entity, id, state, "time",
        lead("time", 1, {_FOREVER}) OVER (PARTITION BY tenant, entity, id ORDER BY "time"), channel, account_id, NULL FROM turned
    UNION ALL SELECT tenant, entity, id, 'known', min("time"), {_FOREVER}, min(channel), min(account_id), NULL FROM moved
        GROUP BY ALL
    UNION ALL SELECT tenant, 'contact', id, 'known', known, {_FOREVER}, channel, account_id, seen FROM contact
    UNION ALL SELECT tenant, 'contact', id, 'seen', min(seen), {_FOREVER}, arg_min(channel, seen), arg_min(account_id, seen), NULL
        FROM contact WHERE seen IS NOT NULL GROUP BY ALL
    ORDER BY 1, 2, 3, 4
"""
TOTALS = {
    "events": "SELECT count(*) FROM event", "repeats": "SELECT count(repeats) FROM event",
    "delivered": "SELECT count(delivered_at) FROM event", "receipts": "SELECT sum(receipts) FROM event",
    "answered": "SELECT count(answered_at) FROM event", "escalated intents": "SELECT sum(escalated) FROM event",
    "credited": "SELECT count(credited_staff_id) FROM event", "responses": "SELECT count(*) FROM response",
    "waits": "SELECT sum((anchor - asked_at) / 1000000.0) FROM response", "episodes": "SELECT count(*) FROM episode",
    "first replies": "SELECT count(first_reply_at) FROM episode", "first persons": "SELECT count(first_person_at) FROM episode",
    "resolved": "SELECT count(resolved_at) FROM episode", "returned": "SELECT count(returned_at) FROM episode",
    "ai resolved": "SELECT sum(CAST(ai_resolved AS INTEGER)) FROM episode", "surveys": "SELECT count(*) FROM survey",
    "ratings": "SELECT sum(rating) FROM survey", "states": "SELECT count(*) FROM state",
    "open": f"SELECT count(*) FROM state WHERE state = 'open' AND until = {_FOREVER}",
    "waiting": f"SELECT count(*) FROM state WHERE state = 'waiting' AND until = {_FOREVER}",
}  # fmt: skip


def fold(file: Path, database: Path) -> tuple[lab.Cost, dict[str, float]]:
    """Make all facts of a Parquet file of events in a new database; return the cost and the totals."""
    database.unlink(missing_ok=True)
    with duckdb.connect(database) as con:
        con.execute(
            f"SET threads = {lab.THREADS}; SET memory_limit = '4GB'; SET enable_progress_bar = false; SET TimeZone = 'UTC'"
        )
        con.execute("SET preserve_insertion_order = false")

        def run() -> None:
            for statement in (SENT.format(file=file), TURN, RESPONSE, EPISODE, EVENT, SURVEY, STATE):
                con.execute(statement)
            con.execute("CHECKPOINT")

        spent = lab.cost(run)
        return spent, totals(lambda sql: con.execute(sql).fetchall())


def totals(ask: Callable[[str], Sequence[Sequence[float | None]]]) -> dict[str, float]:
    """Return the totals of facts that must agree between Hubbub and the hand-written SQL."""
    return {name: float(ask(sql)[0][0] or 0) for name, sql in TOTALS.items()}
