"""The table of schedules, and the ticks of a cron."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubbub.errors import BadSettingError
from hubbub.jobs.payloads import checked
from hubbub.jobs.policies import QUEUES
from hubbub.jobs.schedule import SCHEDULES, next_tick, schedules, ticks
from hubbub.publishing.tables import table_of

REQUIRED = {
    "hourly_message_counts": "0 * * * *",
    "hourly_response_times": "5 * * * *",
    "daily_conversation_metrics": "0 1 * * *",
    "daily_staff_performance": "0 1 * * *",
    "daily_intent_distribution": "0 1 * * *",
    "weekly_satisfaction_trends": "0 2 * * 0",
    "monthly_summary": "0 3 1 * *",
    "trend-aggregation": "0 3 * * *",
    "daily-snapshots": "0 2 * * *",
    "weekly-snapshots": "0 3 * * 1",
    "monthly-snapshots": "0 4 1 * *",
    "analytics-ingest": "0 2 * * *",
}
START = datetime(2026, 1, 1, tzinfo=UTC)


def test_the_crons_are_those_of_the_requirements() -> None:
    """Every required schedule has its cron, every queue accepts its schedule's payload, and every named table is published by
    it."""
    known = schedules({})
    for name, cron in REQUIRED.items():
        assert known[name].cron == cron
    for schedule in SCHEDULES:
        assert schedule.queue in QUEUES
        assert checked(schedule.queue, {**schedule.payload, "ticks": ["2026-01-01T00:00:00+00:00"]})
        if "relation" in schedule.payload:
            assert table_of(schedule.payload["relation"]).job == schedule.name


@settings(deadline=None)
@given(
    st.sampled_from(sorted({s.cron for s in SCHEDULES})), st.integers(0, 60 * 24 * 400), st.integers(0, 60 * 24 * 30)
)
def test_ticks_split_anywhere_are_the_same_ticks(cron: str, offset: int, span: int) -> None:
    """The ticks of a range are those of its two parts, wherever it is split: none twice, none missing."""
    begin = START + timedelta(minutes=offset)
    cut, end = begin + timedelta(minutes=span // 2, seconds=17), begin + timedelta(minutes=span)
    assert ticks(cron, begin, end) == ticks(cron, begin, cut) + ticks(cron, cut, end)
    for tick in ticks(cron, begin, end):
        assert begin < tick <= end
        assert next_tick(cron, tick - timedelta(seconds=1)) == tick


def test_settings_change_a_cron_and_nothing_else() -> None:
    """A cron of the settings replaces the table's; an unknown schedule or invalid cron is refused by name."""
    assert schedules({"retention": "15 5 * * *"})["retention"].cron == "15 5 * * *"
    with pytest.raises(BadSettingError, match="nightly"):
        schedules({"nightly": "0 0 * * *"})
    for line in ("often", "* * * * * *", "61 * * * *", "0 0 31 2 *", "0 0 30 2 *"):
        with pytest.raises(BadSettingError, match=r"schedules\.retention"):
            schedules({"retention": line})
