"""The bench's events: a coherent, reproducible stream of conversations for many tenants, made by DuckDB.

Nothing is random: each choice is a hash of the things it is about. Rows are in the order of arrival, which differs from the order
of their times: 5 % are late by up to three days, and 1 % are sent again with the same id.
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb

ZONES: tuple[str, ...] = (
    "America/Los_Angeles", "America/New_York", "America/Sao_Paulo", "Atlantic/Azores", "Europe/London", "Europe/Rome",
    "Africa/Nairobi", "Asia/Dubai", "Asia/Kolkata", "Asia/Tokyo", "Australia/Lord_Howe", "Pacific/Auckland",
)  # fmt: skip
CHANNELS: tuple[str, ...] = ("whatsapp", "sms", "web", "email", "slack")
START = date(2026, 1, 1)
LATE_PERCENT, LATEST_HOURS, RESENT_PERCENT = 5, 72, 1
EVENTS_PER_CONVERSATION = 14.19
"""Mean number of events of a conversation and everything about it, resent events included; measured."""

EVENTS_PER_PART = 2_000_000
LOGIN_SHARE = 0.04
"""Share of events that are logins and logouts of staff; each tenant has twelve."""

HOURS = (0, 1, 1, 1, 1, 2, 6, 14, 26, 34, 38, 36, 30, 32, 36, 36, 34, 32, 30, 28, 24, 16, 8, 3)
"""Relative weight of each hour of a tenant's day."""

COLUMNS = (
    "tenant", "type", "time", "id", "channel", "channel_id", "account_id", "conversation_id", "message_id",
    "contact_id", "staff_id", "task_id", "campaign_id", "survey_id", "kind", "topic", "sentiment", "intent", "severity",
    "status", "value", "duration_ms", "confidence",
)  # fmt: skip
TOPICS = ("booking", "billing", "delivery", "wifi", "room service", "login", "refund", "complaint", "praise", "other")
TONES = ("positive", "positive", "neutral", "neutral", "neutral", "neutral", "negative")
INTENTS = ("book", "cancel", "change", "ask price", "ask hours", "complain", "thank", "check in", "check out", "human")
SEVERITIES = ("low", "low", "medium", "medium", "high", "critical")


def zone_of(tenant: int, zones: int = 12) -> str:
    """Return the IANA zone of tenant number `tenant` (from 1)."""
    return ZONES[(tenant - 1) % zones]


def write(
    path: Path,
    events: int,
    tenants: int = 1000,
    days: int = 90,
    zones: int = 12,
    channels: int = 5,
    *,
    start: date = START,
    memory: str = "3GB",
    threads: int = 2,
) -> None:
    """Write about `events` rows (within 2 %), in arrival order, to `path`: NDJSON if so named, else zstd Parquet.

    Columns are `COLUMNS`: the tenant's number from 1, then fields of an event. Times are UTC, within `days` local days from
    `start`. NDJSON leaves empty fields out, as clients do. Temporary files are beside `path`.
    """
    scratch = path.with_name(path.name + ".scratch")
    shutil.rmtree(scratch, ignore_errors=True)  # of an interrupted run
    scratch.mkdir(parents=True)
    connection = duckdb.connect(scratch / "events.duckdb")
    end = start + timedelta(days)
    try:
        connection.execute(f"SET memory_limit = '{memory}'; SET threads = {threads}")
        connection.execute(f"SET temp_directory = '{scratch / 'spill'}'; SET TimeZone = 'UTC'")
        connection.execute("SET enable_progress_bar = false")
        connection.execute(_conversations(events, tenants, days, zones, channels, start))
        connection.execute(f"CREATE TABLE event AS {_arrivals(_events(events, tenants, days, zones, start), end)}")
        parts = [str(scratch / f"{n}{path.suffix}") for n in range(max(1, round(events / EVENTS_PER_PART)))]
        for part, (since, until) in zip(parts, _slices(connection, len(parts)), strict=True):
            where = f"arrival >= TIMESTAMP '{since}' AND arrival < TIMESTAMP '{until}'"
            connection.execute(f"COPY ({_rows(where, _row(path))}) TO '{part}' ({_format(path)})")
        _join(connection, [Path(part) for part in parts], path)
    finally:
        connection.close()
        shutil.rmtree(scratch)


def _slices(connection: duckdb.DuckDBPyConnection, count: int) -> list[tuple[datetime, datetime]]:
    """Return ranges of the time of arrival with about equal numbers of events, each of which can be sorted in memory."""
    shares = [n / count for n in range(1, count + 1)]
    found = connection.execute(f"SELECT min(arrival), quantile_disc(arrival, {shares}) FROM event").fetchall()
    first, inner = found[0]
    return list(pairwise([first, *inner[:-1], inner[-1] + timedelta(seconds=1)]))


def _join(connection: duckdb.DuckDBPyConnection, parts: list[Path], path: Path) -> None:
    if len(parts) == 1:
        parts[0].replace(path)
    elif _is_json(path):
        with path.open("wb") as whole:
            for part in parts:
                with part.open("rb") as lines:
                    shutil.copyfileobj(lines, whole, 1 << 20)
    else:
        names = [str(part) for part in parts]
        connection.execute(f"COPY (FROM read_parquet({names})) TO '{path}' ({_format(path)})")


def _is_json(path: Path) -> bool:
    return path.suffix in (".ndjson", ".jsonl", ".json")


def row_as_json(names: Iterable[str] = COLUMNS) -> str:
    """Return SQL for a row as a JSON object without empty fields, as a client sends it."""
    stamp = """strftime("time", '%Y-%m-%dT%H:%M:%S.%gZ')"""
    pairs = ", ".join(f""""{name}" := {stamp if name == "time" else f'"{name}"'}""" for name in names)
    return f"json_merge_patch('{{}}', to_json(struct_pack({pairs})))"  # a merge patch leaves nulls out


def _row(path: Path) -> str:
    return row_as_json() if _is_json(path) else ", ".join(f'"{name}"' for name in COLUMNS)


def _format(path: Path) -> str:
    if _is_json(path):
        return "FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER '\t'"
    return "FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880"


def _offsets(zones: int, start: date) -> str:
    """Return an SQL list of the zones' offsets in seconds at the start; daylight saving time is ignored."""
    noon = datetime(start.year, start.month, start.day, 12)  # noqa: DTZ001 - a wall clock time, put into each zone below
    offsets = [noon.replace(tzinfo=ZoneInfo(zone)).utcoffset() or timedelta() for zone in ZONES[:zones]]
    return f"[{', '.join(str(int(offset.total_seconds())) for offset in offsets)}]"


def _dice(salt: str, sides: int, *what: str) -> str:
    """Return SQL for a whole number in `[0, sides)` that depends only on `salt` and `what`."""
    return f"CAST(hash({', '.join(what)}, '{salt}') % {sides} AS BIGINT)"


def _pick(words: tuple[str, ...], salt: str, *what: str) -> str:
    return f"[{', '.join(repr(word) for word in words)}][1 + {_dice(salt, len(words), *what)}]"


def _conversations(events: int, tenants: int, days: int, zones: int, channels: int, start: date) -> str:
    """Return SQL that makes a row for each conversation: tenant, channel, people, start, length and pace."""
    hours = [hour for hour, weight in enumerate(HOURS) for _ in range(weight)]
    count = max(1, int(events * (1 - LOGIN_SHARE) / EVENTS_PER_CONVERSATION))
    names = ", ".join(repr(name) for name in CHANNELS[:channels])
    return f"""
        CREATE TABLE conversation AS
        SELECT c, tenant, [{names}][1 + {_dice("channel", channels, "c")}] AS channel,
            {_dice("contact", 400, "c")} AS contact, {_dice("room", 8, "c")} AS room,
            {_dice("staff", 12, "c")} AS staff, 3 + {_dice("n", 6, "c")} AS n, {_dice("ai", 100, "c")} < 35 AS ai,
            CASE WHEN {_dice("slow", 10, "c")} < 7 THEN 60 + {_dice("pace", 1500, "c")}
                ELSE 3600 + {_dice("pace", 30000, "c")} END AS pace,
            TIMESTAMP '{start} 00:00:00' + to_milliseconds({_dice("ms", 3_600_000, "c")}
                + 1000 * (86400 * CASE WHEN (day + {start.weekday()}) % 7 >= 5 AND {_dice("weekend", 10, "c")} < 5
                    THEN {_dice("workday", days, "c")} ELSE day END
                + 3600 * {hours}[1 + {_dice("hour", len(hours), "c")}]
                - {_offsets(zones, start)}[1 + (tenant - 1) % {zones}])) AS begun
        FROM (
            SELECT c, {_dice("day", days, "c")} AS day,
                1 + CAST(floor({tenants} * pow({_dice("tenant", 1_000_000, "c")} / 1e6, 1.3)) AS BIGINT) AS tenant
            FROM range({count}) AS r(c)
        )
    """


def _events(events: int, tenants: int, days: int, zones: int, start: date) -> str:
    """Return SQL for a row for each event, without texts of ids: fewer bytes make the sort by arrival faster."""
    c = "c, tenant, channel, contact, room"
    end = f"begun + to_seconds(pace * n + 60 + {_dice('end', 3600, 'c')})"
    ok = _dice("ok", 100, "m")
    on_duty = min(1_000_000, int(1_000_000 * LOGIN_SHARE * events / (tenants * days * 12 * 2)))
    return f"""
        WITH message AS (
            SELECT *, k % 2 = 1 AS is_out, ai AND k < 4 AS by_ai, c * 8 + k AS m,
                begun + to_milliseconds(1000 * pace * k + {_dice("gap", 1000, "c", "k")} * pace * 9 // 10) AS sent
            FROM conversation, range(n) AS r(k)
        ), receipt AS (
            SELECT *, sent + to_milliseconds(200 + {_dice("delivery", 20_000, "m")}) AS delivered
            FROM message WHERE is_out AND channel IN ('whatsapp', 'sms', 'email')
        )
        SELECT 'conversation.started' AS type, begun AS "time", {c}, 0 AS k, NULL AS staff, FALSE AS by_ai
            FROM conversation
        UNION ALL SELECT CASE WHEN is_out THEN 'message.sent' ELSE 'message.received' END, sent, {c}, k,
            CASE WHEN is_out AND NOT by_ai THEN staff END, by_ai AND is_out FROM message
        UNION ALL SELECT 'message.delivered', delivered, {c}, k, NULL, FALSE FROM receipt WHERE {ok} < 96
        UNION ALL SELECT 'message.failed', delivered, {c}, k, NULL, FALSE FROM receipt WHERE {ok} >= 97
        UNION ALL SELECT 'message.read', delivered + to_milliseconds({_dice("read", 7_200_000, "m")}), {c}, k, NULL,
            FALSE FROM receipt WHERE channel <> 'sms' AND {ok} < 62
        UNION ALL SELECT 'intent.classified', sent + to_milliseconds(90), {c}, k, NULL, ai FROM message
            WHERE NOT is_out AND {_dice("intent", 100, "m")} < 55
        UNION ALL SELECT 'intent.action_taken', sent + to_milliseconds(900), {c}, k, NULL, ai FROM message
            WHERE NOT is_out AND {_dice("intent", 100, "m")} < 15
        UNION ALL SELECT 'topic.classified', sent + to_milliseconds(140), {c}, k, NULL, FALSE FROM message
            WHERE NOT is_out AND {_dice("topic", 100, "m")} < 60
        UNION ALL SELECT 'conversation.escalated', begun + to_seconds(pace * 2), {c}, 2, staff, ai FROM conversation
            WHERE {_dice("escalated", 100, "c")} < 8
        UNION ALL SELECT 'escalation.raised', begun + to_seconds(pace * 2 + 1), {c}, 2, NULL, FALSE FROM conversation
            WHERE {_dice("escalated", 100, "c")} < 5
        UNION ALL SELECT 'conversation.resolved', {end}, {c}, n, CASE WHEN NOT ai THEN staff END, ai FROM conversation
            WHERE {_dice("resolved", 100, "c")} < 82
        UNION ALL SELECT 'conversation.reopened', {end} + to_hours(2), {c}, n, NULL, FALSE FROM conversation
            WHERE {_dice("resolved", 100, "c")} < 4
        UNION ALL SELECT 'satisfaction.survey_sent', {end} + to_minutes(5), {c}, n, staff, FALSE FROM conversation
            WHERE {_dice("survey", 100, "c")} < 30
        UNION ALL SELECT 'satisfaction.rating_received', {end} + to_minutes(5 + {_dice("answer", 600, "c")}), {c}, n,
            staff, FALSE FROM conversation WHERE {_dice("survey", 100, "c")} < 13
        UNION ALL SELECT 'task.created', begun + to_seconds(pace), {c}, 1, staff, FALSE FROM conversation
            WHERE {_dice("task", 100, "c")} < 16
        UNION ALL SELECT 'task.completed', begun + to_seconds(pace + 600 + {_dice("work", 90_000, "c")}), {c}, 1, staff,
            FALSE FROM conversation WHERE {_dice("task", 100, "c")} < 13
        UNION ALL SELECT 'contact.converted', {end} + to_minutes(30), {c}, n, NULL, FALSE FROM conversation
            WHERE {_dice("converted", 100, "c")} < 3
        UNION ALL SELECT CASE WHEN k = 0 THEN 'staff.login' ELSE 'staff.logout' END,
            TIMESTAMP '{start} 00:00:00' + to_seconds(86400 * d + 3600 * (8 + 9 * k)
                + {_dice("shift", 3600, "t", "d", "s", "k")} - {_offsets(zones, start)}[1 + (t - 1) % {zones}]),
            (d * {tenants} + t) * 16 + s, t, NULL, NULL, NULL, k, s, FALSE
        FROM range(1, {tenants + 1}) AS t(t), range({days}) AS d(d), range(12) AS s(s), range(2) AS k(k)
        WHERE {_dice("onduty", 1_000_000, "t", "s", "d")} < {on_duty}
    """


def _arrivals(events: str, end: date) -> str:
    """Return SQL for the events before the end with their times of arrival: some late, some twice."""
    about = "c, k, type"
    resent, lateness = _dice("resent", 100, about), _dice("lateness", LATEST_HOURS * 3_600_000, about)
    return f"""
        WITH event AS ({events}), copied AS (
            SELECT *, unnest(CASE WHEN {resent} < {RESENT_PERCENT} THEN [0, 1] ELSE [0] END) AS again
            FROM event WHERE "time" < TIMESTAMP '{end} 00:00:00'
        )
        SELECT *, "time" + to_milliseconds(again * (1000 + {_dice("resend", 3_600_000, about)})
            + CASE WHEN {_dice("late", 100, about)} < {LATE_PERCENT}
                THEN {lateness} ELSE {_dice("travel", 3000, about)} END) AS arrival
        FROM copied
    """


def _rows(where: str, row: str) -> str:
    """Return SQL for some rows in the order of arrival, with the texts of ids and labels."""
    stars = _dice("stars", 10, "c")
    return f"""
        WITH ordered AS (
            SELECT * FROM event WHERE {where} ORDER BY arrival, c, k, type, again
        ), named AS (
            SELECT *, type LIKE 'message.%' OR type LIKE 'intent.%' OR type LIKE 'topic.%' AS is_talk FROM ordered
        ), filled AS (
            SELECT tenant, type, "time", channel, channel || '-' || room AS channel_id, 'a' || (room % 2) AS account_id,
                substr(type, 1, 1) || substr(split_part(type, '.', 2), 1, 3) || c || '.' || k AS id,
                CASE WHEN type NOT LIKE 'staff.%' THEN 'c' || c END AS conversation_id,
                CASE WHEN is_talk THEN 'm' || (c * 8 + k) END AS message_id,
                'p' || contact AS contact_id, 's' || staff AS staff_id,
                CASE WHEN type LIKE 'task.%' THEN 't' || c END AS task_id,
                CASE WHEN type = 'message.sent' AND c % 40 = 0 THEN 'k' || (c % 7) END AS campaign_id,
                CASE WHEN type LIKE 'satisfaction.%' THEN 'q' || c END AS survey_id,
                CASE WHEN by_ai THEN 'ai' WHEN type = 'message.sent' THEN 'person' END AS kind,
                CASE WHEN type = 'topic.classified' THEN {_pick(TOPICS, "topicname", "c")} END AS topic,
                CASE WHEN type = 'topic.classified' THEN {_pick(TONES, "tone", "c", "k")} END AS sentiment,
                CASE WHEN type LIKE 'intent.%' THEN {_pick(INTENTS, "intentname", "c")} END AS intent,
                CASE WHEN type = 'escalation.raised' THEN {_pick(SEVERITIES, "severity", "c")} END AS severity,
                CAST(NULL AS VARCHAR) AS status, CAST(NULL AS BIGINT) AS duration_ms,
                CAST(CASE type
                    WHEN 'satisfaction.rating_received' THEN [1, 2, 3, 4, 4, 4, 5, 5, 5, 5][1 + {stars}]
                    WHEN 'contact.converted' THEN 10 + {_dice("worth", 500, "c")} END AS DOUBLE) AS "value",
                CASE WHEN type IN ('intent.classified', 'topic.classified')
                    THEN round(0.4 + {_dice("sure", 600, "c", "k")} / 1000.0, 3)::DOUBLE END AS confidence
            FROM named
        )
        SELECT {row} FROM filled
    """


def main() -> None:
    """Write a workload, and print its duration and size."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("events", type=int)
    parser.add_argument("--tenants", type=int, default=1000)
    options = parser.parse_args()
    began = time.perf_counter()
    write(options.path, options.events, options.tenants)
    print(f"{time.perf_counter() - began:.1f} s, {options.path.stat().st_size / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
