"""The relations of the replaced systems say the same as Hubbub's own answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import hubbub
from hubbub import demo
from hubbub.app import Engine
from hubbub.clock import fixed
from hubbub.store.relations import RELATIONS

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
TENANT = "hotel-aurora"
COLUMNS = {
    "agg_message_counts_hourly": "period_start tenant channel direction count",
    "agg_response_times_hourly": "avg p50 p95 count channel",
    "agg_conversation_metrics_daily": "started resolved escalated ai_handled ai_escalated channel avg_first_response_ms "
    "p50_first_response_ms p95_first_response_ms avg_resolution_minutes p50_resolution_minutes p95_resolution_minutes",
    "agg_staff_performance_daily": "staff_id conversations_handled tasks_completed avg_response_time_ms satisfaction_avg "
    "satisfaction_count",
    "agg_intent_distribution_daily": "intent count avg_confidence action_taken_count escalated_count",
    "agg_satisfaction_weekly": "surveys_sent responses_received rating_1 rating_2 rating_3 rating_4 rating_5 avg_rating nps_score",
    "agg_monthly_summary": "conversations messages tasks ai_resolution_rate avg_satisfaction avg_response_minutes top_intents "
    "channel_breakdown",
    "communication_trends": "tenant trend_date trend_period topic_distribution sentiment_distribution escalation_counts "
    "channel_hotspots total_classifications avg_confidence",
    "analytics_snapshots": "tenant account_id snapshot_date snapshot_type data state zone definition_version made_at",
    "analytics_events": "id type time tenant channel contact staff conversation task value duration_ms metadata",
}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Twelve days of the demo's hotel, folded."""
    folder: Path = tmp_path_factory.mktemp("relations")
    with hubbub.open(folder, clock=fixed(NOW)) as opened:
        opened.add_tenant(TENANT, zone="Europe/Rome")
        opened.accept(TENANT, demo.events(TENANT, NOW, days=12), history=True)
        opened.snapshot("daily")
        yield opened


def _rows(engine: Engine, sql: str) -> list[dict[str, Any]]:
    return engine.store.query(sql).dicts()


def _ask(engine: Engine, metrics: list[str], grain: str, by: list[str]) -> list[dict[str, Any]]:
    answer = engine.query(TENANT, metrics=metrics, start="2026-11-01", end="2026-12-01", grain=grain, by=by)
    rows: list[dict[str, Any]] = answer["rows"]
    return rows


@pytest.mark.parametrize("name", sorted(RELATIONS))
def test_columns_are_those_of_the_contract(engine: Engine, name: str) -> None:
    """Every relation of requirements A, B and C exists under its name, with its columns, and has rows on lively data."""
    found = engine.store.query(f"SELECT * FROM {name} LIMIT 1")
    assert set(COLUMNS[name].split()) <= set(found.columns)
    assert found.rows


def test_message_counts_equal_the_query(engine: Engine) -> None:
    """agg_message_counts_hourly adds up to the metric `messages` by channel and direction."""
    view = _rows(engine, "SELECT channel, direction, sum(count) AS n FROM agg_message_counts_hourly GROUP BY ALL")
    mine = {
        (r["channel"], r["direction"]): r["messages"]
        for r in _ask(engine, ["messages"], "total", ["channel", "direction"])
    }
    assert {(r["channel"], r["direction"]): int(r["n"]) for r in view} == {k: v for k, v in mine.items() if v}


def test_conversation_metrics_equal_the_query(engine: Engine) -> None:
    """agg_conversation_metrics_daily has the counts and percentiles of the same days and channels."""
    names = ["conversations_started", "conversations_resolved", "first_response_ms.p50", "first_response_ms.avg"]
    mine = {(r["window"][:10], r["channel"]): [r[n] for n in names] for r in _ask(engine, names, "day", ["channel"])}
    columns = "date, channel, started, resolved, p50_first_response_ms, avg_first_response_ms"
    view = _rows(engine, f"SELECT {columns} FROM agg_conversation_metrics_daily")
    assert len(view) > 10
    for row in view:
        started, resolved, p50, mean = mine[row["date"].isoformat(), row["channel"]]
        assert (row["started"], row["resolved"]) == (started, resolved)
        assert row["avg_first_response_ms"] == (pytest.approx(mean) if mean is not None else None)
        # the query keeps an estimate between the smallest and largest true value, the view does not
        assert row["p50_first_response_ms"] == (pytest.approx(p50, rel=0.01) if p50 is not None else None)


def test_staff_performance_equals_the_query(engine: Engine) -> None:
    """agg_staff_performance_daily has the responses, handled conversations and ratings of the same days and people."""
    names = ["response_ms.avg", "conversations_handled"]
    mine = {(r["window"][:10], r["staff_id"]): [r[n] for n in names] for r in _ask(engine, names, "day", ["staff_id"])}
    view = _rows(
        engine, "SELECT date, staff_id, avg_response_time_ms, conversations_handled FROM agg_staff_performance_daily"
    )
    assert view
    for row in view:
        mean, handled = mine.get((row["date"].isoformat(), row["staff_id"]), [None, 0])
        assert row["conversations_handled"] == handled
        assert row["avg_response_time_ms"] == (pytest.approx(mean) if mean is not None else None)


def test_trends_equal_the_answer(engine: Engine) -> None:
    """communication_trends holds, day by day, what `hubbub trends` answers."""
    mine = {r["trend_date"]: r for r in engine.trends(TENANT, "2026-11-01", "2026-12-01")["rows"]}
    view = _rows(engine, "SELECT * FROM communication_trends")
    assert view
    for row in view:
        answer = mine[row["trend_date"].isoformat()]
        assert json.loads(row["topic_distribution"]) == answer["topic_distribution"]
        assert json.loads(row["sentiment_distribution"]) == answer["sentiment_distribution"]
        assert json.loads(row["escalation_counts"]) == answer["escalation_counts"]
        assert row["total_classifications"] == answer["total_classifications"]
        spots = {h["channel_id"]: h["hotspot_ratio"] for h in json.loads(row["channel_hotspots"])}
        assert spots == {h["channel_id"]: h["hotspot_ratio"] for h in answer["channel_hotspots"]}
