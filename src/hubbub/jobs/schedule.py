"""When jobs start by themselves: the whole scheduler is this table. Crons are UTC, and can be changed in the settings.

A tick stands for the time up to it: the job of 02:00 is about the day before. Ticks that were missed (nobody was running, a
process slept) become one job that covers all of them; see `Ledger` for how each is taken exactly once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from croniter import CroniterError, croniter

from hubbub.errors import BadSettingError


@dataclass(frozen=True)
class Schedule:
    """A job that starts by the clock: its queue, which says what it does, and the fixed part of its payload."""

    name: str
    cron: str
    queue: str
    doc: str
    payload: Mapping[str, str]


def _aggregation(name: str, cron: str, doc: str) -> Schedule:
    return Schedule(name, cron, "aggregation", doc, {"relation": name})


def _snapshots(grain: str, cron: str, doc: str) -> Schedule:
    return Schedule(f"{grain}-snapshots", cron, "snapshots", doc, {"kind": grain})


SCHEDULES = (
    _aggregation("hourly_message_counts", "0 * * * *", "Messages of the past hour by channel and direction."),
    _aggregation("hourly_response_times", "5 * * * *", "Response times of the past hour by channel."),
    _aggregation("daily_conversation_metrics", "0 1 * * *", "Conversations of the day before by channel."),
    _aggregation("daily_staff_performance", "0 1 * * *", "What staff did the day before."),
    _aggregation("daily_intent_distribution", "0 1 * * *", "Intents of the day before."),
    _aggregation("weekly_satisfaction_trends", "0 2 * * 0", "Satisfaction of the past week by channel."),
    _aggregation("monthly_summary", "0 3 1 * *", "The month before in one row."),
    Schedule("trend-aggregation", "0 3 * * *", "trend-aggregation", "Trends of the day before.", {}),
    _snapshots("daily", "0 2 * * *", "Snapshots of the day before."),
    _snapshots("weekly", "0 3 * * 1", "Snapshots of the week before, Monday to Sunday."),
    _snapshots("monthly", "0 4 1 * *", "Snapshots of the month before."),
    Schedule("analytics-ingest", "0 2 * * *", "fan-out", "Fetches the day before of every integration.", {}),
    Schedule(
        "restatements", "15 5 * * *", "restatements", "Closes the numbers of days; notes which changed later.", {}
    ),
    Schedule("alerts", "*/5 * * * *", "alerts", "Judges alert rules, and sends what waits.", {}),
    Schedule(
        "watch-sources",
        "20 * * * *",
        "watch-sources",
        "Looks for sources that fell silent, and mends what was lost.",
        {},
    ),
    Schedule(
        "labels",
        "40 * * * *",
        "labels",
        "Labels stored messages of tenants that have labels of their own.",
        {"task": "run"},
    ),
    Schedule("retention", "30 4 * * *", "retention", "Deletes what is past its retention.", {}),
)


PUBLISHING = ("aggregation", "trend-aggregation")
"""Queues whose jobs write published tables."""


def schedules(changed: Mapping[str, str], *, aggregation: bool = True) -> dict[str, Schedule]:
    """Return all schedules by name, with the crons of the settings in place of the given ones.

    Without `aggregation` those that write published tables are left out. Raises BadSettingError for a name that is not known,
    and for a cron that cannot be read or never comes.
    """
    known = {one.name: one for one in SCHEDULES}
    for name, cron in changed.items():
        if name not in known:
            raise BadSettingError(f"schedules: there is no schedule {name!r} (there are {', '.join(sorted(known))})")
        if not croniter.is_valid(cron) or len(cron.split()) != 5:
            raise BadSettingError(f"schedules.{name}: {cron!r} is not a cron line of five fields, like '0 2 * * *'")
        try:
            next_tick(cron, datetime.now(UTC))
        except CroniterError:
            raise BadSettingError(
                f"schedules.{name}: {cron!r} names a day that no year has, like 31 February"
            ) from None
        known[name] = replace(known[name], cron=cron)
    return {name: one for name, one in known.items() if aggregation or one.queue not in PUBLISHING}


def next_tick(cron: str, after: datetime) -> datetime:
    """Return the first tick after a moment (aware)."""
    tick: datetime = croniter(cron, after.astimezone(UTC)).get_next(datetime)
    return tick


def last_tick(cron: str, now: datetime) -> datetime:
    """Return the last tick at or before a moment (aware)."""
    moment = now.astimezone(UTC).replace(microsecond=0)
    if croniter.match(cron, moment) and moment.second == 0:
        return moment
    tick: datetime = croniter(cron, now.astimezone(UTC)).get_prev(datetime)
    return tick


def ticks(cron: str, after: datetime, until: datetime, limit: int = 10_000) -> list[datetime]:
    """Return the ticks in `(after, until]`, oldest first, at most `limit` of them."""
    found: list[datetime] = []
    tick = next_tick(cron, after)
    while tick <= until and len(found) < limit:
        found.append(tick)
        tick = next_tick(cron, tick)
    return found
