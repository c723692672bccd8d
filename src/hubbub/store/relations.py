"""The relations of the systems that Hubbub replaces, under their names and columns: views over rollups, for BI tools.

Times are local to the tenant where a column is a date, UTC otherwise. Percentiles come from merged histograms (1 %).
"""

from __future__ import annotations

from hubbub.metrics.definition import bucket_estimate


def _percentiles(measure: str, table: str, keys: str, unit: float = 1.0) -> str:
    """SQL of p50 and p95 by `keys` of a histogram table."""
    by = f"tenant, window_start, {keys}"
    values = ", ".join(
        f"(min(estimate) FILTER (WHERE upto > floor((total - 1) * {q})) + (min(estimate) FILTER (WHERE upto > "
        f"ceil((total - 1) * {q})) - min(estimate) FILTER (WHERE upto > floor((total - 1) * {q}))) * "
        f"(max(total - 1) * {q} - floor(max(total - 1) * {q}))) / {unit} AS p{n}"
        for n, q in ((50, 0.5), (95, 0.95))
    )
    return f"""(
        SELECT {by}, {values} FROM (
            SELECT {by}, {bucket_estimate()} AS estimate, sum(n) OVER (PARTITION BY {by} ORDER BY bucket) AS upto,
                sum(n) OVER (PARTITION BY {by}) AS total
            FROM (SELECT {by}, bucket, sum(n) AS n FROM {table}_{measure}_histogram GROUP BY {by}, bucket)
        ) GROUP BY {by}
    )"""


_DAY = "CAST(timezone(t.zone, timezone('UTC', {start})) AS DATE)"
_LOCAL = _DAY.format(start="k.window_start")
_KEYS = "k.tenant = {a}.tenant AND k.window_start = {a}.window_start AND k.{d} IS NOT DISTINCT FROM {a}.{d}"


def _on(alias: str, dimension: str = "channel") -> str:
    return _KEYS.format(a=alias, d=dimension)


def _sums(table: str, dimension: str, *columns: str) -> str:
    """SQL of columns summed by one dimension."""
    values = ", ".join(f"CAST(sum({c}) AS BIGINT) AS {c}" for c in columns)
    return f"(SELECT tenant, window_start, {dimension}, {values} FROM {table} GROUP BY ALL)"


RELATIONS: dict[str, str] = {
    "agg_message_counts_hourly": """
        SELECT r.window_start AS period_start, t.name AS tenant, r.channel, r.direction, CAST(sum(r.messages) AS BIGINT) AS count
        FROM rollup_messages_hour AS r JOIN tenants AS t ON t.tenant = r.tenant
        WHERE r.kind IN ('person', 'ai') GROUP BY ALL
    """,
    "agg_response_times_hourly": f"""
        SELECT k.window_start AS period_start, t.name AS tenant, k.channel,
            k.response_ms_sum / nullif(k.response_ms_count, 0) AS avg, p.p50, p.p95, k.response_ms_count AS count
        FROM {_sums("rollup_responses_hour", "channel", "response_ms_sum", "response_ms_count")} AS k
        JOIN tenants AS t ON t.tenant = k.tenant
        LEFT JOIN {_percentiles("response_ms", "rollup_responses_hour", "channel")} AS p ON {_on("p")}
    """,
    "agg_conversation_metrics_daily": f"""
        SELECT {_LOCAL} AS date, t.name AS tenant, k.channel, coalesce(s.conversations_started, 0) AS started,
            coalesce(r.conversations_resolved, 0) AS resolved, coalesce(e.conversations_escalated, 0) AS escalated,
            f.first_response_ms_sum / nullif(f.first_response_ms_count, 0) AS avg_first_response_ms,
            fp.p50 AS p50_first_response_ms, fp.p95 AS p95_first_response_ms,
            r.resolution_ms_sum / nullif(r.resolution_ms_count, 0) / 60000.0 AS avg_resolution_minutes,
            rp.p50 AS p50_resolution_minutes, rp.p95 AS p95_resolution_minutes,
            coalesce(s.ai_handled, 0) AS ai_handled, coalesce(s.ai_escalated, 0) AS ai_escalated
        FROM (
            SELECT tenant, window_start, channel FROM rollup_conversations_day
            UNION SELECT tenant, window_start, channel FROM rollup_resolutions_day
            UNION SELECT tenant, window_start, channel FROM rollup_first_responses_day
            UNION SELECT tenant, window_start, channel FROM rollup_conversation_events_day
        ) AS k JOIN tenants AS t ON t.tenant = k.tenant
        LEFT JOIN {
        _sums("rollup_conversations_day", "channel", "conversations_started", "ai_handled", "ai_escalated")
    } AS s
            ON {_on("s")}
        LEFT JOIN {
        _sums("rollup_resolutions_day", "channel", "conversations_resolved", "resolution_ms_sum", "resolution_ms_count")
    } AS r ON {_on("r")}
        LEFT JOIN {_sums("rollup_conversation_events_day", "channel", "conversations_escalated")} AS e ON {_on("e")}
        LEFT JOIN {
        _sums("rollup_first_responses_day", "channel", "first_response_ms_sum", "first_response_ms_count")
    } AS f
            ON {_on("f")}
        LEFT JOIN {_percentiles("first_response_ms", "rollup_first_responses_day", "channel")} AS fp ON {_on("fp")}
        LEFT JOIN {_percentiles("resolution_ms", "rollup_resolutions_day", "channel", 60000.0)} AS rp ON {_on("rp")}
    """,
    "agg_staff_performance_daily": f"""
        SELECT {_LOCAL} AS date, t.name AS tenant, k.staff_id, coalesce(h.conversations_handled, 0) AS conversations_handled,
            coalesce(d.tasks_completed, 0) AS tasks_completed,
            a.response_ms_sum / nullif(a.response_ms_count, 0) AS avg_response_time_ms,
            (s.rating_1 + 2 * s.rating_2 + 3 * s.rating_3 + 4 * s.rating_4 + 5 * s.rating_5) / nullif(s.ratings, 0)
                AS satisfaction_avg, coalesce(s.ratings, 0) AS satisfaction_count
        FROM (
            SELECT tenant, window_start, staff_id FROM rollup_responses_day
            UNION SELECT tenant, window_start, staff_id FROM rollup_tasks_day
            UNION SELECT tenant, window_start, staff_id FROM rollup_ratings_day
        ) AS k JOIN tenants AS t ON t.tenant = k.tenant
        LEFT JOIN (SELECT tenant, window_start, staff_id, count(DISTINCT conversation_id) AS conversations_handled
            FROM rollup_handled_day GROUP BY ALL) AS h ON {_on("h", "staff_id")}
        LEFT JOIN {_sums("rollup_tasks_day", "staff_id", "tasks_completed")} AS d ON {_on("d", "staff_id")}
        LEFT JOIN {_sums("rollup_responses_day", "staff_id", "response_ms_sum", "response_ms_count")} AS a
            ON {_on("a", "staff_id")}
        LEFT JOIN {_sums("rollup_ratings_day", "staff_id", "ratings", "rating_1", "rating_2", "rating_3", "rating_4", "rating_5")}
            AS s ON {_on("s", "staff_id")}
        WHERE k.staff_id IS NOT NULL
    """,
    "agg_intent_distribution_daily": f"""
        SELECT {_LOCAL} AS date, t.name AS tenant, k.intent, k.intents AS count,
            k.confidence / 1e6 / nullif(k.confident, 0) AS avg_confidence, k.intent_actions AS action_taken_count,
            k.intents_escalated AS escalated_count
        FROM {_sums("rollup_intents_day", "intent", "intents", "confident", "confidence", "intent_actions", "intents_escalated")}
            AS k JOIN tenants AS t ON t.tenant = k.tenant
    """,
    "agg_satisfaction_weekly": f"""
        SELECT {_LOCAL} AS week, t.name AS tenant, k.channel, coalesce(s.surveys_sent, 0) AS surveys_sent,
            coalesce(r.ratings, 0) AS responses_received, coalesce(r.rating_1, 0) AS rating_1,
            coalesce(r.rating_2, 0) AS rating_2, coalesce(r.rating_3, 0) AS rating_3, coalesce(r.rating_4, 0) AS rating_4,
            coalesce(r.rating_5, 0) AS rating_5,
            (r.rating_1 + 2 * r.rating_2 + 3 * r.rating_3 + 4 * r.rating_4 + 5 * r.rating_5) / nullif(r.ratings, 0) AS avg_rating,
            100.0 * (r.rating_5 - r.rating_1 - r.rating_2 - r.rating_3) / nullif(r.ratings, 0) AS nps_score
        FROM (
            SELECT tenant, window_start, channel FROM rollup_surveys_week
            UNION SELECT tenant, window_start, channel FROM rollup_ratings_week
        ) AS k JOIN tenants AS t ON t.tenant = k.tenant
        LEFT JOIN {_sums("rollup_surveys_week", "channel", "surveys_sent")} AS s ON {_on("s")}
        LEFT JOIN {_sums("rollup_ratings_week", "channel", "ratings", "rating_1", "rating_2", "rating_3", "rating_4", "rating_5")}
            AS r ON {_on("r")}
    """,
    "agg_monthly_summary": f"""
        SELECT {_LOCAL} AS month, t.name AS tenant, coalesce(c.conversations_started, 0) AS conversations,
            coalesce(m.messages, 0) AS messages, coalesce(d.tasks_created, 0) AS tasks,
            c.ai_handled / nullif(c.ai_involved, 0) AS ai_resolution_rate,
            (s.rating_1 + 2 * s.rating_2 + 3 * s.rating_3 + 4 * s.rating_4 + 5 * s.rating_5) / nullif(s.ratings, 0)
                AS avg_satisfaction,
            a.response_ms_sum / nullif(a.response_ms_count, 0) / 60000.0 AS avg_response_minutes,
            i.top_intents, b.channel_breakdown
        FROM (
            SELECT tenant, window_start FROM rollup_messages_month
            UNION SELECT tenant, window_start FROM rollup_conversations_month
            UNION SELECT tenant, window_start FROM rollup_tasks_month
            UNION SELECT tenant, window_start FROM rollup_ratings_month
        ) AS k
        LEFT JOIN (SELECT tenant, window_start, sum(conversations_started) AS conversations_started, sum(ai_handled) AS ai_handled,
            sum(ai_involved) AS ai_involved FROM rollup_conversations_month GROUP BY ALL) AS c USING (tenant, window_start)
        LEFT JOIN (SELECT tenant, window_start, sum(messages) AS messages FROM rollup_messages_month
            WHERE kind IN ('person', 'ai') GROUP BY ALL) AS m USING (tenant, window_start)
        LEFT JOIN (SELECT tenant, window_start, sum(tasks_created) AS tasks_created FROM rollup_tasks_month GROUP BY ALL) AS d
            USING (tenant, window_start)
        LEFT JOIN (SELECT tenant, window_start, sum(ratings) AS ratings, sum(rating_1) AS rating_1, sum(rating_2) AS rating_2,
            sum(rating_3) AS rating_3, sum(rating_4) AS rating_4, sum(rating_5) AS rating_5
            FROM rollup_ratings_month GROUP BY ALL) AS s USING (tenant, window_start)
        LEFT JOIN (SELECT tenant, window_start, sum(response_ms_sum) AS response_ms_sum, sum(response_ms_count) AS response_ms_count
            FROM rollup_responses_month GROUP BY ALL) AS a USING (tenant, window_start)
        LEFT JOIN (SELECT tenant, window_start,
            to_json(list({{'intent': intent, 'count': intents}} ORDER BY intents DESC, intent)[:10]) AS top_intents
            FROM {_sums("rollup_intents_month", "intent", "intents")} WHERE intents > 0 GROUP BY ALL) AS i
            USING (tenant, window_start)
        LEFT JOIN (SELECT tenant, window_start, to_json(list({{'channel': channel, 'messages': messages}} ORDER BY channel))
            AS channel_breakdown FROM {_sums("rollup_messages_month", "channel", "messages")} GROUP BY ALL) AS b
            USING (tenant, window_start)
        JOIN tenants AS t ON t.tenant = k.tenant
    """,
    "communication_trends": f"""
        SELECT t.name AS tenant, {_LOCAL} AS trend_date, 'daily' AS trend_period,
            coalesce(p.topic_distribution, '{{}}') AS topic_distribution,
            coalesce(o.sentiment_distribution, '{{}}') AS sentiment_distribution,
            coalesce(e.escalation_counts, '{{}}') AS escalation_counts, coalesce(h.channel_hotspots, '[]') AS channel_hotspots,
            coalesce(n.total, 0) AS total_classifications, n.confidence / 1e6 / nullif(n.confident, 0) AS avg_confidence
        FROM (SELECT tenant, window_start FROM rollup_classifications_day UNION SELECT tenant, window_start FROM rollup_alerts_day)
            AS k
        LEFT JOIN (SELECT tenant, window_start, sum(classifications) AS total, sum(confidence) AS confidence,
            sum(confident) AS confident FROM rollup_classifications_day GROUP BY ALL) AS n USING (tenant, window_start)
        LEFT JOIN (SELECT tenant, window_start, json_group_object(topic, classifications) AS topic_distribution
            FROM {_sums("rollup_classifications_day", "topic", "classifications")} WHERE topic IS NOT NULL GROUP BY ALL) AS p
            USING (tenant, window_start)
        LEFT JOIN (SELECT tenant, window_start, json_group_object(sentiment, classifications) AS sentiment_distribution
            FROM {_sums("rollup_classifications_day", "sentiment", "classifications")} WHERE sentiment IS NOT NULL GROUP BY ALL)
            AS o USING (tenant, window_start)
        LEFT JOIN (SELECT tenant, window_start, json_group_object(severity, escalation_alerts) AS escalation_counts
            FROM {_sums("rollup_alerts_day", "severity", "escalation_alerts")} WHERE severity IS NOT NULL GROUP BY ALL) AS e
            USING (tenant, window_start)
        LEFT JOIN (SELECT tenant, window_start, to_json(list({{'channel_id': channel_id, 'complaint_count': complaint_count,
                'escalation_count': escalation_count, 'total_count': total_count,
                'hotspot_ratio': (complaint_count + escalation_count) / total_count}} ORDER BY channel_id)) AS channel_hotspots
            FROM {_sums("rollup_hotspots_day", "channel_id", "complaint_count", "escalation_count", "total_count")}
            WHERE total_count >= 10 AND (complaint_count + escalation_count) / total_count > 0.30 AND channel_id IS NOT NULL
            GROUP BY ALL) AS h USING (tenant, window_start)
        JOIN tenants AS t ON t.tenant = k.tenant
    """,
    "analytics_snapshots": """
        SELECT t.name AS tenant, nullif(s.account, '') AS account_id, s.date AS snapshot_date, s.kind AS snapshot_type,
            CAST(s.document AS JSON) AS data, s.state, s.zone, s.definition_version, s.made_at
        FROM snapshots AS s JOIN tenants AS t ON t.tenant = s.tenant
    """,
    "analytics_events": """
        SELECT e.id, e.type, e."time", t.name AS tenant, e.source, e.channel, e.channel_id, e.account_id, e.contact_id AS contact,
            e.staff_id AS staff, e.conversation_id AS conversation, e.task_id AS task, e."value", e.duration_ms,
            e.attributes AS metadata
        FROM events AS e JOIN tenants AS t ON t.tenant = e.tenant
    """,
}
"""Name -> SELECT, in DuckDB's dialect."""
