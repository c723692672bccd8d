"""The catalogue: every promised name exists, is documented, and is made of measures that exist."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from hubbub import calculations
from hubbub.errors import BadQuestionError
from hubbub.metrics import catalogue
from hubbub.metrics.catalogue import METRICS, ROLLUPS, STATISTICS, find, title_of
from hubbub.metrics.definition import (
    Better,
    Distinct,
    DistinctRatio,
    Distribution,
    Fact,
    First,
    Quantiles,
    Ratio,
    Rollup,
    Score,
    State,
    Stored,
    Unit,
    threads_bound,
)
from hubbub.model.threads import Threads
from hubbub.storage.store import Store

ENTITIES = ("conversation", "contact", "task", "campaign", "staff")
PROMISED = [
    "messages",
    "messages_received",
    "messages_sent",
    "messages_delivered",
    "messages_read",
    "messages_failed",
    "delivery_rate",
    "read_rate",
    "reply_rate",
    "failure_rate",
    "engagement_rate",
    "conversion_rate",
    "conversations_started",
    "conversations_resolved",
    "conversations_closed",
    "conversations_escalated",
    "conversations_reopened",
    "escalation_rate",
    "ai_handled",
    "ai_escalated",
    "ai_resolution_rate",
    "responses",
    "response_ms",
    "first_response_ms",
    "resolution_ms",
    "tasks_created",
    "tasks_completed",
    "sla_breaches",
    "intents",
    "intent_confidence",
    "classifications",
    "topic_confidence",
    "escalation_alerts",
    "hotspot_ratio",
    "surveys_sent",
    "ratings",
    "rating_avg",
    "csat",
    "nps_score",
    "active_contacts",
    "new_contacts",
    "open_conversations",
    "staff_online",
    "tasks_pending",
    "campaign_score",
    "contact_engagement_score",
]
PROMISED_DIMENSIONS = {
    "channel", "channel_id", "account_id", "staff_id", "contact_id", "direction", "intent", "topic", "sentiment", "severity",
    "campaign_id", "responder",
}  # fmt: skip


@pytest.mark.parametrize("name", PROMISED)
def test_every_promised_metric_can_be_asked_for(name: str) -> None:
    """The names that the public contract promises are in the catalogue, distributions with all their statistics."""
    if isinstance(METRICS[name][0], Quantiles):
        for statistic in ("avg", "p50", "p90", "p95", "p99", "min", "max", "count"):
            assert find(f"{name}.{statistic}").statistic == statistic
    else:
        assert find(name).name == name


def test_every_promised_dimension_belongs_to_a_metric() -> None:
    """Each dimension that the contract promises belongs to some metric."""
    found = {d for entry in catalogue.entries() for d in entry.dimensions}
    assert found >= PROMISED_DIMENSIONS


@pytest.mark.parametrize("name", sorted(METRICS))
def test_every_metric_has_a_unit_and_a_definition(name: str) -> None:
    """Each metric has a unit, and a definition that ends with a full stop."""
    metric, _ = METRICS[name]
    assert metric.doc.endswith(".") and len(metric.doc) > 10
    assert isinstance(metric.unit, Unit)


@pytest.mark.parametrize("rollup", ROLLUPS, ids=lambda r: r.name)
def test_every_rollup_measure_and_fact_has_a_description(rollup: Rollup) -> None:
    """Each rollup, its fact and each of its measures has a sentence for the reference."""
    assert all(text.endswith(".") for text in (rollup.doc, rollup.source.doc))
    assert all(m.doc.endswith(".") for m in rollup.measures.values())


def test_no_metric_rollup_or_fact_is_named_twice() -> None:
    """No metric, rollup or fact is named twice."""
    names = [name for r in ROLLUPS for name in r.metrics]
    for some in (names, [r.name for r in ROLLUPS], [f.name for f in catalogue.FACTS]):
        assert [name for name, n in Counter(some).items() if n > 1] == []


@pytest.mark.parametrize("name", sorted(METRICS))
def test_every_metric_is_made_of_parts_that_exist(name: str) -> None:
    """Ratios, distributions, distinct counts, states and scores refer to measures, members, states and functions that exist."""
    metric, rollup = METRICS[name]
    measures = rollup.measures
    if isinstance(metric, Stored):
        assert metric.measure in measures
        assert set(metric.where) <= set(rollup.dimensions)
    elif isinstance(metric, Ratio):
        assert {*metric.over, metric.under} <= set(measures)
        assert not metric.receipted or "channel" in rollup.dimensions
    elif isinstance(metric, Quantiles):
        assert isinstance(measures[metric.measure], Distribution)
    elif isinstance(metric, Distinct | DistinctRatio):
        assert metric.member in rollup.hidden
        counted = (metric.measure,) if isinstance(metric, Distinct) else (metric.over, metric.under)
        assert set(counted) <= set(measures)
    elif isinstance(metric, State | First):
        assert metric.held[0] in ENTITIES and metric.held[1]
        assert set(rollup.dimensions) <= {"channel", "account_id", "priority", f"{metric.held[0]}_id"}
    else:
        assert isinstance(metric, Score)
        assert set(metric.parts) <= set(measures)
        assert callable(getattr(calculations, metric.function))


@pytest.mark.parametrize("fact", catalogue.FACTS, ids=lambda f: f.name)
def test_every_view_can_be_read_and_has_the_columns_that_are_declared(fact: Fact, tmp_path: Path) -> None:
    """Each view runs on an empty store, and has the tenant, key, id, ends of durations, and all anchors and dimensions read from
    it."""
    store, bound = Store(tmp_path), threads_bound(Threads())
    with store.facts.read() as reading:
        reading.rows(f"SELECT tenant, {fact.key}, {fact.id} FROM ({fact.view})", bound)
        for ends in fact.spells.values():
            reading.rows(f"SELECT {', '.join(ends)} FROM ({fact.view})", bound)
        for rollup in ROLLUPS:
            read = any(not isinstance(metric, State | First) for metric in rollup.metrics.values())
            if rollup.source is fact and read:
                assert set(rollup.hidden) <= set(rollup.dimensions)
                reading.rows(f"SELECT {', '.join((rollup.anchor, *rollup.dimensions))} FROM ({fact.view})", bound)
    store.close()


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("mesages", "'messages'"),
        ("response_ms", "response_ms.p50"),
        ("response_ms.p51", "response_ms.p5"),
        ("csat.avg", "'csat'"),
        ("", "not in the catalogue"),
        ("messages; DROP TABLE events", "not in the catalogue"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(name: str, hint: str) -> None:
    """An unknown name is refused, with the nearest known ones."""
    with pytest.raises(BadQuestionError) as caught:
        find(name)
    assert hint in caught.value.message


def test_all_names_can_be_found() -> None:
    """Every listed name can be found, and a distribution's count has the unit of a count."""
    assert all(find(name).name == name for name in catalogue.names())
    assert find("response_ms.count").unit is Unit.COUNT
    assert find("response_ms.p90").unit is Unit.MS


def test_entries_are_plain_and_complete() -> None:
    """The catalogue has one row a metric, with statistics for distributions alone and no hidden dimension."""
    entries = {entry.name: entry for entry in catalogue.entries()}
    assert set(entries) == set(METRICS)
    assert entries["response_ms"].statistics == list(STATISTICS)
    assert entries["csat"].statistics == []
    assert entries["open_conversations"].state is True
    assert all(entry.grains == ["hour", "day", "week", "month"] for entry in entries.values())
    assert entries["active_conversations"].dimensions == ["channel", "account_id"]
    assert entries["active_contacts"].dimensions == ["channel", "account_id", "contact_id"]


@pytest.mark.parametrize(
    ("name", "title", "better"),
    [
        ("csat", "Satisfied", Better.HIGHER),
        ("messages", "Messages", None),
        ("response_ms", "Response", Better.LOWER),
        ("response_ms.p90", "Response, 9 in 10 within", Better.LOWER),
        ("first_response_business_ms.p50", "First response, median", Better.LOWER),
        ("response_ms.within_15min", "Response, within 15 min", Better.HIGHER),
        ("response_ms.count", "Response, count", None),
        ("campaigns_failed", "Campaigns failed", Better.LOWER),
    ],
)
def test_titles_and_better_directions_are_given(name: str, title: str, better: Better | None) -> None:
    """Shorter waits are better, and more of them within a limit; a count of waits is neither better nor worse."""
    assert title_of(name) == title
    asked = find(name).better if "." in name or name != "response_ms" else METRICS[name][0].better
    assert asked is better


def test_no_two_metrics_are_called_the_same_but_those_in_business_hours() -> None:
    """No two metrics share a title, except those in business hours, which share that of the metric around the clock."""
    titles = Counter(title_of(name) for name, (_, rollup) in METRICS.items() if not rollup.in_hours)
    assert [title for title, times in titles.items() if times > 1] == []
