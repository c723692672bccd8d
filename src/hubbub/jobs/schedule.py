"""Schedules: the table of all of them, and the ticks of crons. Crons are in UTC; settings can change them.

A tick stands for the period before it: the job of 02:00 is about the previous day. Missed ticks (no process ran) become one job
that covers all of them; the ledger claims each tick exactly once. Ticks of a rhythm stand for no period: its job does what is due
when it runs, and its ticks repeat after the clock went back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from croniter import CroniterError, croniter

from hubbub.errors import BadSettingError


@dataclass(frozen=True)
class Schedule:
    """A cron that starts jobs: their queue, and the fixed part of their payload.

    `rhythm`: whether its ticks stand for no period.
    """

    name: str
    cron: str
    queue: str
    doc: str
    payload: Mapping[str, str]
    rhythm: bool = False


def _aggregation(name: str, cron: str, doc: str) -> Schedule:
    return Schedule(name, cron, "aggregation", doc, {"relation": name})


def _snapshots(grain: str, cron: str, doc: str) -> Schedule:
    return Schedule(f"{grain}-snapshots", cron, "snapshots", doc, {"kind": grain})


SCHEDULES = (
    _aggregation("hourly_message_counts", "0 * * * *", "Messages of the past hour by channel and direction."),
    _aggregation("hourly_response_times", "5 * * * *", "Response times of the past hour by channel."),
    _aggregation("daily_conversation_metrics", "0 1 * * *", "Conversations of the day before by channel."),
    _aggregation("daily_staff_performance", "0 1 * * *", "Work of staff on the day before."),
    _aggregation("daily_intent_distribution", "0 1 * * *", "Intents of the day before."),
    _aggregation("weekly_satisfaction_trends", "0 2 * * 0", "Satisfaction of the past week by channel."),
    _aggregation("monthly_summary", "0 3 1 * *", "The month before in one row."),
    Schedule("trend-aggregation", "0 3 * * *", "trend-aggregation", "Trends of the day before.", {}),
    _snapshots("daily", "0 2 * * *", "Snapshots of the day before."),
    _snapshots("weekly", "0 3 * * 1", "Snapshots of the week before, Monday to Sunday."),
    _snapshots("monthly", "0 4 1 * *", "Snapshots of the month before."),
    Schedule("analytics-ingest", "0 2 * * *", "fan-out", "Fetches the day before of every integration.", {}),
    Schedule("restatements", "15 5 * * *", "restatements", "Closes the numbers of days, and notes later changes.", {}),
    Schedule("alerts", "*/5 * * * *", "alerts", "Judges alert rules, and sends waiting messages.", {}, rhythm=True),
    Schedule(
        "watch-sources",
        "20 * * * *",
        "watch-sources",
        "Finds silent sources, and closes gaps.",
        {},
        rhythm=True,
    ),
    Schedule(
        "labels",
        "40 * * * *",
        "labels",
        "Labels stored messages of tenants with labels of their own.",
        {"task": "run"},
        rhythm=True,
    ),
    Schedule(
        "topic-suggestions",
        "50 3 * * 1",
        "labels",
        "Suggests topics to tenants with labels of their own.",
        {"task": "suggest"},
        rhythm=True,
    ),
    Schedule("retention", "30 4 * * *", "retention", "Deletes data past its retention.", {}, rhythm=True),
)


PUBLISHING = ("aggregation", "trend-aggregation")
"""Queues whose jobs write published tables."""


def schedules(changed: Mapping[str, str], *, aggregation: bool = True) -> dict[str, Schedule]:
    """Return all schedules by name, with the crons that the settings change.

    Without `aggregation`, schedules that write published tables are left out. Raises BadSettingError for an unknown name, an
    invalid cron, or one that never ticks.
    """
    by_name = {schedule.name: schedule for schedule in SCHEDULES}
    for name, cron in changed.items():
        if name not in by_name:
            raise BadSettingError(f"schedules: there is no schedule {name!r} (there are {', '.join(sorted(by_name))})")
        if not croniter.is_valid(cron) or len(cron.split()) != 5:
            raise BadSettingError(f"schedules.{name}: {cron!r} is not a cron line of five fields, like '0 2 * * *'")
        try:
            next_tick(cron, datetime.now(UTC))
        except CroniterError:
            raise BadSettingError(
                f"schedules.{name}: {cron!r} names a day that does not exist, like 31 February"
            ) from None
        by_name[name] = replace(by_name[name], cron=cron)
    return {name: schedule for name, schedule in by_name.items() if aggregation or schedule.queue not in PUBLISHING}


def next_tick(cron: str, after: datetime) -> datetime:
    """Return the first tick after a moment (aware)."""
    tick: datetime = croniter(cron, after.astimezone(UTC)).get_next(datetime)
    return tick


def ticks(cron: str, after: datetime, until: datetime, limit: int = 10_000) -> list[datetime]:
    """Return the ticks in `(after, until]`, oldest first, at most `limit` of them."""
    due: list[datetime] = []
    tick = next_tick(cron, after)
    while tick <= until and len(due) < limit:
        due.append(tick)
        tick = next_tick(cron, tick)
    return due
