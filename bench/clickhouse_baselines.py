"""What Hubbub on ClickHouse is measured against: hand-written ClickHouse SQL over the same events.

The same tables as in `bench/baselines.py`, said as ClickHouse says it: MergeTree tables in the order of tenant and start, days cut
with two offsets per tenant from a small table. As there, facts that Hubbub computes well are computed by the same SQL (responses,
episodes, intents, surveys: it is translated, and reads events without any filter of what counts), and sent messages are written
anew, once for the tables that need them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import chain

from bench.baselines import TABLES, Table
from bench.workload import clock_changes
from hubbub.metrics.conversations import EPISODE
from hubbub.metrics.definition import LOG_GAMMA, Fact
from hubbub.metrics.fold import types_in
from hubbub.metrics.intents import INTENT
from hubbub.metrics.responses import RESPONSE
from hubbub.metrics.satisfaction import SURVEY
from hubbub.store.clickhouse_sql import Statement

SENT = """
    WITH receipt AS (
        SELECT tenant, message_id, minIf(time, type IN ('message.delivered', 'message.read')) AS delivered_at,
            max(type = 'message.read') AS is_read, max(type = 'message.failed') AS is_failed,
            max(type IN ('link.clicked', 'message.reacted')) AS acted
        FROM events WHERE type IN ('message.delivered', 'message.read', 'message.failed', 'link.clicked', 'message.reacted')
        GROUP BY tenant, message_id
    ), talk AS (
        SELECT tenant, message_id, type, time, channel, channel_id, account_id, campaign_id, contact_id,
            lead(type) OVER thread AS next_type, lead(time) OVER thread AS next_time
        FROM events WHERE type IN ('message.sent', 'message.received')
        WINDOW thread AS (PARTITION BY tenant, conversation_id ORDER BY time, id)
    ), message AS (
        SELECT t.tenant AS tenant, t.time AS anchor, t.channel AS channel, t.channel_id AS channel_id,
            t.account_id AS account_id, t.campaign_id AS campaign_id, t.contact_id AS contact_id,
            r.delivered_at AS delivered_at, r.message_id IS NOT NULL AS has_receipt, r.delivered_at IS NOT NULL AS delivered,
            coalesce(r.is_read, 0) AS is_read, coalesce(r.is_failed, 0) AND r.delivered_at IS NULL AS is_failed,
            coalesce(r.acted, 0) AS acted,
            coalesce(next_type = 'message.received' AND next_time < anchor + INTERVAL 72 HOUR, 0) AS answered
        FROM talk AS t LEFT JOIN receipt AS r ON r.tenant = t.tenant AND r.message_id = t.message_id
        WHERE t.type = 'message.sent'
    ), contact AS (
        SELECT tenant, contact_id, groupArrayIf(time, type = 'contact.converted') AS conversions,
            groupArrayIf(time, type = 'contact.blocked') AS blocks
        FROM events WHERE type IN ('contact.converted', 'contact.blocked') GROUP BY tenant, contact_id
    )
    SELECT m.*, m.delivered AND m.answered AS replied,
        arrayExists(x -> coalesce(x >= m.delivered_at AND x < m.delivered_at + INTERVAL 168 HOUR, 0), c.conversions) AS converted,
        m.delivered AND (m.answered OR m.acted OR converted) AS engaged,
        arrayExists(x -> x >= m.anchor AND x < m.anchor + INTERVAL 168 HOUR, c.blocks) AS opted_out
    FROM message AS m LEFT JOIN contact AS c ON c.tenant = m.tenant AND c.contact_id = m.contact_id
"""


def _fact(fact: Fact) -> str:
    """SQL of a fact over all events as they lie, in ClickHouse's words."""
    bare = f"(SELECT * FROM bare_events WHERE {types_in(fact.reads)})"
    return Statement.of(fact.sql.replace("{events}", bare), {}).sql.replace("bare_events", "events")


def statements(tenants: int, zones: int, now: datetime) -> Iterator[str]:
    """Yield all statements of the hand-written fold, in order."""
    yield "CREATE TABLE zone (tenant Int32, changes DateTime64(6, 'UTC'), before Int32, after Int32) ENGINE = Memory"
    rows = ", ".join(
        f"({no}, '{changes:%Y-%m-%d %H:%M:%S}', {before}, {after})"
        for no, (changes, before, after) in enumerate(clock_changes(tenants, zones), 1)
    )
    yield f"INSERT INTO zone VALUES {rows}"
    facts = {"sent": SENT, **{f.name: _fact(f) for f in (RESPONSE, EPISODE, INTENT, SURVEY)}}
    for name, sql in facts.items():
        yield f"CREATE TABLE {name} ENGINE = MergeTree ORDER BY tuple() AS {sql}"
    for table in TABLES:
        yield from chain.from_iterable(
            _finest(table, grain, now) for grain in (("hour", "day") if table.hours else ("day",))
        )
        yield from chain.from_iterable(_coarser(table, grain) for grain in ("week", "month"))


_CUTS = {
    "hour": "toStartOfHour({at})", "day": "toDate({at})", "week": "toMonday({at})", "month": "toStartOfMonth({at})",
}  # fmt: skip
_MADE = "CREATE TABLE {name} ENGINE = MergeTree ORDER BY (tenant, start) AS"


def _said(sql: str) -> str:
    """Say a value of the baseline's tables as ClickHouse does."""
    for theirs, ours in (("HUGEINT", "Int128"), ("BIGINT", "Int64"), ("arg_max", "argMax")):
        sql = sql.replace(theirs, ours)
    return sql


def _finest(table: Table, grain: str, now: datetime) -> Iterator[str]:
    at = f"f.{table.at}"
    cut = _CUTS[grain].format(at=f"addSeconds(assumeNotNull({at}), if({at} < z.changes, z.before, z.after))")
    keys = ", ".join(("f.tenant AS tenant", f"{cut} AS start", *(f"f.{d} AS {d}" for d in table.dims)))
    by = ", ".join(("f.tenant", cut, *(f"f.{d}" for d in table.dims)))
    kept = f" AND {at} >= toDateTime64('{now - timedelta(days=30):%Y-%m-%d}', 6, 'UTC')" if grain == "hour" else ""
    source = (
        f"FROM {table.source} AS f JOIN zone AS z ON z.tenant = f.tenant WHERE {at} IS NOT NULL AND {table.where}{kept}"
    )
    values = ", ".join(f"{_said(fold)} AS {name}" for name, (fold, _) in table.values.items())
    name = f"hand_{table.name}_{grain}"
    yield f"{_MADE.format(name=name)} SELECT {keys}, {values} {source} GROUP BY {by}"
    if table.histogram:
        h = table.histogram
        bucket = f"if({h} <= 0, -1, toInt32(ceil(round(log({h}) / {LOG_GAMMA}, 9))))"
        yield (
            f"{_MADE.format(name=name + '_histogram')} SELECT {keys}, {bucket} AS bucket, count() AS n {source} "
            f"AND {h} IS NOT NULL GROUP BY {by}, {bucket}"
        )


def _coarser(table: Table, grain: str) -> Iterator[str]:
    cut, day = _CUTS[grain].format(at="s.start"), f"hand_{table.name}_day"
    keys = ", ".join(("s.tenant AS tenant", f"{cut} AS start", *(f"s.{d} AS {d}" for d in table.dims)))
    by = ", ".join(("s.tenant", cut, *(f"s.{d}" for d in table.dims)))
    merged = ", ".join(f"{_said(merge.format(c=name))} AS {name}" for name, (_, merge) in table.values.items())
    name = f"hand_{table.name}_{grain}"
    yield f"{_MADE.format(name=name)} SELECT {keys}, {merged} FROM {day} AS s GROUP BY {by}"
    if table.histogram:
        yield (
            f"{_MADE.format(name=name + '_histogram')} SELECT {keys}, s.bucket AS bucket, sum(s.n) AS n "
            f"FROM {day}_histogram AS s GROUP BY {by}, s.bucket"
        )


_PERIODS = (("{today:DateTime64(6)}", "{now:DateTime64(6)}"), ("{yesterday:DateTime64(6)}", "{until:DateTime64(6)}"))


def _both(value: str) -> str:
    """SQL of a value for both periods of the dashboard; `{within}` is the condition on a column."""
    return ", ".join(
        re.sub(r"within\((\w+)\)", lambda m, p=(low, high): f"({m[1]} >= {p[0]} AND {m[1]} < {p[1]})", value)  # type: ignore[misc]
        for low, high in _PERIODS
    )


_E = """(SELECT type, time, id, conversation_id, staff_id, task_id, campaign_id, survey_id, kind, value FROM events
    WHERE tenant = {tenant:Int32} AND time < {now:DateTime64(6)})"""
_TURNS = """(SELECT *, sum(type != 'message.received') OVER (PARTITION BY conversation_id
        ORDER BY time, type = 'message.sent', id ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
        - (type != 'message.received') AS replies_before
    FROM $from WHERE type IN ('message.received', 'message.sent', 'response.ai_generated', 'response.staff_sent'))"""

RAW_DASHBOARD = f"""
    WITH spell AS (
        SELECT conversation_id, minIf(time, type = 'message.received') AS asked, maxIf(time, type != 'message.received') AS done
        FROM {_TURNS.replace("$from", _E)} GROUP BY conversation_id, replies_before
    ), response AS (
        SELECT done, dateDiff('millisecond', asked, done) AS ms,
            row_number() OVER (PARTITION BY conversation_id ORDER BY done) = 1 AS is_first
        FROM spell WHERE asked IS NOT NULL AND done IS NOT NULL
    ), conversation AS (
        SELECT conversation_id, minIf(time, type IN ('message.received', 'conversation.started')) AS began,
            maxIf(time, type = 'conversation.resolved') AS resolved,
            max(type IN ('conversation.escalated', 'escalation.raised')) AS escalated,
            argMaxIf(type, time, startsWith(type, 'conversation.')) AS last_type
        FROM {_E} WHERE conversation_id IS NOT NULL GROUP BY conversation_id
    ), rating AS (
        SELECT survey_id, argMax(value, time) AS stars, max(time) AS done FROM {_E}
        WHERE type = 'satisfaction.rating_received' GROUP BY survey_id
    )
    SELECT
        (SELECT tuple({_both("countIf(within(began))")}, {_both("countIf(within(resolved))")},
            {_both("avgIf(escalated, within(began))")},
            countIf(coalesce(last_type NOT IN ('conversation.resolved', 'conversation.closed'), 1))) FROM conversation),
        (SELECT tuple({_both("uniqExactIf(conversation_id, within(time))")},
            {_both("countIf(type = 'message.received' AND within(time))")},
            {_both("countIf(type = 'message.sent' AND within(time))")}) FROM {_E}),
        (SELECT tuple({_both("countIf(within(done))")}, {_both("avgIf(ms, within(done))")},
            {_both("quantileExactInclusiveIf(0.5)(ms, within(done))")},
            {_both("quantileExactInclusiveIf(0.5)(ms, is_first AND within(done))")}) FROM response),
        (SELECT tuple({_both("avgIf(stars >= 4, within(done))")}) FROM rating),
        (SELECT countIf(t = 'staff.login') FROM (
            SELECT argMax(type, time) AS t FROM {_E} WHERE startsWith(type, 'staff.') GROUP BY staff_id)),
        (SELECT countIf(t != 'task.completed') FROM (
            SELECT argMax(type, time) AS t FROM {_E} WHERE task_id IS NOT NULL GROUP BY task_id))
"""
"""The dashboard's question on raw events, for today and yesterday at once."""

_SPAN = """(SELECT type, time, id, conversation_id, channel, kind FROM events
    WHERE tenant = {tenant:Int32} AND time >= {low:DateTime64(6)} AND time < {high:DateTime64(6)}
        AND type IN ('message.received', 'message.sent'))"""

RAW_SERIES = f"""
    WITH spell AS (
        SELECT max(channel) AS place, minIf(time, type = 'message.received') AS asked,
            maxIf(time, type != 'message.received') AS done
        FROM {_TURNS.replace("$from", _SPAN)} GROUP BY conversation_id, replies_before
    ), messages AS (
        SELECT toDate(addSeconds(time, {{offset:Int32}})) AS day, channel, count() AS n FROM {_SPAN} GROUP BY day, channel
    ), waits AS (
        SELECT toDate(addSeconds(assumeNotNull(done), {{offset:Int32}})) AS day, place AS channel,
            quantileExactInclusive(0.5)(dateDiff('millisecond', asked, done)) AS p50
        FROM spell WHERE asked IS NOT NULL AND done IS NOT NULL GROUP BY day, place
    )
    SELECT day, channel, n, p50 FROM messages FULL JOIN waits USING (day, channel) ORDER BY day, channel
"""
"""Messages and the median wait by day and channel on raw events (with one offset for all days, which is easier)."""

RAW_HOTSPOTS = """
    SELECT channel_id, count() AS total, countIf(
        lower(topic) IN ('complaint', 'complaints', 'escalation', 'escalations')
        OR lower(sentiment) IN ('negative', 'complaint', 'frustrated', 'angry', 'escalation')) AS flagged
    FROM events WHERE tenant = {tenant:Int32} AND type = 'topic.classified'
        AND time >= {low:DateTime64(6)} AND time < {high:DateTime64(6)}
    GROUP BY channel_id HAVING total >= 10 ORDER BY flagged / total DESC
"""
"""Channels by their share of complaints and escalations over the same 90 days on raw events."""
