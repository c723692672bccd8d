"""Weekly reports of real tenants: every figure of every section equals a recount of the source files in plain Python.

The recount shares nothing with Hubbub: messages, threads and waits are read from the files by the definitions of the
metric reference. Percentiles are those of all sorted waits, as in the report.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from hubbub.app import Engine
from hubbub.ingest.sources import slack
from hubbub.reports.sections import SECTIONS
from tests.acceptance.conftest import csv_rows, imported, mapped, needs, refreshed
from tests.acceptance.test_twitter import slugged

R, AIRLINES = "slack-rcontributors", "twitter-airlines"
EVERYBODY: Collection[str | None] | None = None
"""All staff, and messages without staff."""


@dataclass(frozen=True)
class Said:
    """A message: `thread` is its conversation; `opens` says whether the conversation is named after it."""

    at: datetime
    id: str
    inbound: bool
    person: str | None
    by_person: bool
    thread: str | None = None
    opens: bool = False


@dataclass(frozen=True)
class Wait:
    """A response and its duration in milliseconds."""

    at: datetime
    ms: int
    thread: str
    staff: str | None


def waited(asked: datetime, answered: datetime) -> int:
    """Return whole milliseconds, halves rounded up."""
    return ((answered - asked) // timedelta(microseconds=1) + 500) // 1000


class Recount:
    """All messages and waits of a tenant's files, as lists."""

    def __init__(self, said: Iterable[Said]) -> None:
        self.said = sorted(said, key=lambda one: (one.at, not one.inbound, one.id))
        self.turns = [one for one in self.said if one.thread is not None and (one.by_person or one.opens)]
        self.begun: dict[str, datetime] = {}
        self.met: dict[str, datetime] = {}
        self.waits: list[Wait] = []
        self.first_waits: list[Wait] = []
        waiting: dict[str, datetime] = {}
        answered: set[str] = set()
        for one in self.turns:
            assert one.thread is not None
            if one.inbound:
                self.begun.setdefault(one.thread, one.at)
                waiting.setdefault(one.thread, one.at)
                continue
            if one.thread in waiting:
                ms = waited(waiting.pop(one.thread), one.at)
                self.waits.append(Wait(one.at, ms, one.thread, one.person))
            if one.thread in self.begun and one.thread not in answered:
                answered.add(one.thread)
                ms = waited(self.begun[one.thread], one.at)
                self.first_waits.append(Wait(one.at, ms, one.thread, one.person))
        for one in self.said:
            if one.inbound and one.by_person and one.person is not None:
                self.met.setdefault(one.person, one.at)

    def figures(
        self, start: datetime, end: datetime, staff: Collection[str | None] | None = EVERYBODY
    ) -> dict[str, Any]:
        """Return every figure of a report over `[start, end)`; with `staff`, the responses of those staff alone."""

        def within(moment: datetime) -> bool:
            return start <= moment < end

        waits = [w for w in self.waits if within(w.at) and (staff is None or w.staff in staff)]
        firsts = [w for w in self.first_waits if within(w.at) and (staff is None or w.staff in staff)]
        people = [one for one in self.said if within(one.at) and one.by_person]
        began = sum(map(within, self.begun.values()))
        contacts = {one.person for one in people if one.inbound} - {None}
        nothing: dict[str, Any] = dict.fromkeys(ABSENT_COUNTS, 0) | dict.fromkeys(ABSENT_SHARES)
        return nothing | {
            "conversations_started": began,
            "active_conversations": len({one.thread for one in self.turns if within(one.at)}),
            "open_conversations": sum(moment < end for moment in self.begun.values()),
            "escalation_rate": 0.0 if began else None,
            "escalation_rate.n": began,
            "messages_received": sum(one.inbound for one in people),
            "messages_sent": sum(not one.inbound for one in people),
            "responses": len(waits),
            "conversations_handled": len({w.thread for w in waits if w.staff is not None}),
            "active_contacts": len(contacts),
            "new_contacts": sum(map(within, self.met.values())),
            **spread("response_ms", waits),
            **spread("first_response_ms", firsts),
            **spread("resolution_ms", []),
        }


ABSENT_COUNTS = (
    "conversations_resolved", "conversations_escalated", "conversations_reopened", "ai_handled", "ai_escalated",
    "ai_resolution_rate.n", "ai_resolution_rate_72h.n", "ai_resolution_rate_7d.n",
    "tasks_created", "tasks_completed", "sla_breaches", "surveys_sent", "surveys_answered",
    "survey_response_rate.n", "ratings", "rating_1", "rating_2", "rating_3", "rating_4", "rating_5", "rating_avg.n", "csat.n",
    "nps_score.n", "intents", "intent_confidence.n", "intents_low", "intent_actions", "intents_escalated",
)  # fmt: skip
ABSENT_SHARES = (
    "ai_resolution_rate", "ai_resolution_rate_72h", "ai_resolution_rate_7d", "survey_response_rate", "rating_avg", "csat",
    "nps_score", "intent_confidence",
)  # fmt: skip
"""The files hold no resolves, AI, tasks, surveys or intents: their counts are 0, their shares None."""


def spread(name: str, waits: Iterable[Wait]) -> dict[str, Any]:
    """Return mean, percentiles and number of some waits."""
    values = sorted(w.ms for w in waits)
    found: dict[str, Any] = {f"{name}.n": len(values), f"{name}.avg": sum(values) / len(values) if values else None}
    for percent in (50, 90, 95):
        rank = Fraction(percent * (len(values) - 1), 100)
        low = values[int(rank)] if values else 0
        high = values[min(int(rank) + 1, len(values) - 1)] if values else 0
        found[f"{name}.p{percent}"] = float(low + (high - low) * (rank - int(rank))) if values else None
    return found


def same(told: Any, expected: Any, name: str) -> bool:
    """Whether a figure is the recounted one: percentiles to the last digits of a division, all else exactly."""
    if told is None or expected is None or ".p" not in name:
        return bool(told == expected)
    return bool(told == pytest.approx(expected, rel=1e-12))


def midnight(day: date, zone: str) -> datetime:
    """Return the first moment of a day in a zone."""
    return datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)


def check(data: Mapping[str, Any], recount: Recount, channel: str) -> Counter[str]:
    """Compare every figure of a weekly report with the recount; return the number of comparisons by section."""
    zone, monday = data["zone"], date.fromisoformat(data["from"])
    week = [midnight(monday + timedelta(days=n), zone) for n in range(8)]
    compared: Counter[str] = Counter()
    whole = recount.figures(week[0], week[-1])

    def row_is(section: str, row: Mapping[str, Any], figures: Mapping[str, Any]) -> None:
        for name, value in row.items():
            if name not in ("row", "window", "staff_id", "staff_id.name", "channel", "intent", "state"):
                assert same(value, figures[name], name), (section, row, name, value, figures[name])
                compared[section] += 1
        assert row["state"] == "settled"

    tables = {table["name"]: table["rows"] for table in data["sections"]}
    assert list(tables) == [name for name, section in SECTIONS.items() if not section.of_targets]
    before = recount.figures(midnight(monday - timedelta(days=7), zone), week[0])
    for row in tables["summary"]:
        name = row["metric"]
        assert same(row["value"], whole[name], name), (name, row, whole[name])
        assert same(row["previous"], before[name], name), (name, row, before[name])
        told = (row["absolute"], row["relative"], row["label"])
        assert told == change(row["value"], row["previous"], name), row
        base = f"{name.partition('.')[0]}.n"
        assert row["n"] == whole.get(base)
        assert row["state"] == "settled"
        compared["summary"] += 6
    for section in ("conversations", "response_times", "satisfaction"):
        *days, total = tables[section]
        starts = [datetime.fromisoformat(row["window"]).astimezone(UTC) for row in days]
        assert starts == week[:-1]
        for row, start, end in zip(days, week, week[1:], strict=False):
            row_is(section, row, recount.figures(start, end))
        row_is(section, total, whole)
    mine = Counter(w.staff for w in recount.waits if week[0] <= w.at < week[-1])
    mine.update({w.staff: 0 for w in recount.first_waits if week[0] <= w.at < week[-1]})
    named = sorted((s for s in mine if s is not None), key=lambda s: (-mine[s], s))
    for row in tables["staff_performance"]:
        who: Collection[str | None] | None = {"value": [row["staff_id"]], "others": named[50:], "none": [None]}.get(
            row["row"], EVERYBODY
        )
        row_is("staff_performance", row, recount.figures(week[0], week[-1], who))
    shown = [row["staff_id"] for row in tables["staff_performance"] if row["row"] == "value"]
    assert [mine[s] for s in shown] == [mine[s] for s in named[:50]]
    assert set(shown) == set(named) or len(named) > 50
    assert [row["row"] for row in tables["top_intents"]] == ["total"]
    row_is("top_intents", tables["top_intents"][0], whole)
    assert [row["channel"] for row in tables["channel_breakdown"]] == [channel, None]
    for row in tables["channel_breakdown"]:
        row_is("channel_breakdown", row, whole)
    return compared


def change(value: Any, previous: Any, name: str) -> tuple[Any, Any, str]:
    """Return difference, relative difference and label, as the metric reference defines them."""
    if value is None or previous is None:
        return None, None, "n/a"
    label = "up" if value > previous else "down" if value < previous else "flat"
    if name.endswith("_rate") or name == "csat":
        return value - previous, None, label
    if previous == 0:
        return value - previous, None if value else 0.0, "new" if value > 0 else label
    return value - previous, (value - previous) / abs(previous), label


def reported(engine: Engine, tenant: str, day: str) -> dict[str, Any]:
    """Make a weekly report and return the data of its JSON file."""
    made = engine.reports.make(tenant, "weekly", date=day)
    path = engine.reports.file(tenant, made.id, "json").path
    data: dict[str, Any] = json.loads(Path(path).read_text())["data"]
    return data


def slack_said(folder: Path) -> list[Said]:
    """Read an export's messages: author, thread, and whether a message answers the thread's author."""
    records: dict[tuple[str, str], dict[str, Any]] = {}
    for path in sorted(folder.glob("*/*.json")):
        if path.stem[:4].isdigit():
            for record in json.loads(path.read_text()):
                records[path.parent.name, record["ts"]] = record
    author: Callable[[Mapping[str, Any]], str | None] = lambda r: r.get("user") or r.get("bot_id")  # noqa: E731
    threads: dict[tuple[str, str], str | None] = {}
    for (channel, _), record in records.items():
        if record.get("thread_ts"):
            threads.setdefault((channel, record["thread_ts"]), record.get("parent_user_id"))
    for place in threads:
        if place in records:
            threads[place] = author(records[place]) or threads[place]
    said = []
    for (channel, ts), record in records.items():
        root = record.get("thread_ts") or ts
        answers = root != ts and (threads[channel, root] is None or threads[channel, root] != author(record))
        person = (
            not record.get("bot_id")
            and record.get("subtype") in (None, "thread_broadcast", "me_message", "file_share")
            and record.get("user") != "USLACKBOT"
        )
        said.append(
            Said(
                at=datetime.fromtimestamp(0, UTC) + timedelta(microseconds=int(Fraction(ts) * 1_000_000)),
                id=f"{channel}:{ts}", inbound=not answers, person=record.get("user") if person else None, by_person=person,
                thread=f"{channel}:{root}" if (channel, root) in threads else None, opens=root == ts and not answers,
            )
        )  # fmt: skip
    return said


@needs(R)
@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_weekly_reports_of_a_slack_workspace_equal_a_recount(engine: Engine, data: Path, zone: str) -> None:
    """Reports of the R contributors' busiest week and of the week with the most answering staff, in two zones, equal
    the export's files: over 200 figures each, over 50 of them on staff.
    """
    tenant = zone.lower().replace("/", "-").replace("_", "-")
    imported(engine, slack.read(data / R), tenant, zone)
    refreshed(engine, tenant)
    recount = Recount(slack_said(data / R))
    weeks: Counter[date] = Counter()
    staff: dict[date, set[str | None]] = {}
    for one in recount.said:
        day = one.at.astimezone(ZoneInfo(zone)).date()
        monday = day - timedelta(days=day.weekday())
        weeks[monday] += one.by_person
        staff.setdefault(monday, set()).update([one.person] if not one.inbound else [])
    for monday in (weeks.most_common(1)[0][0], max(staff, key=lambda m: len(staff[m]))):
        compared = check(reported(engine, tenant, monday.isoformat()), recount, "slack")
        assert compared.total() > 200
        assert compared["staff_performance"] > 50


@needs(AIRLINES)
@pytest.mark.parametrize("day", ["2015-02-18", "2015-02-23"])
def test_weekly_reports_of_an_airline_equal_a_recount(engine: Engine, data: Path, day: str) -> None:
    """Reports of United's week that was captured from its middle, and of the week after, equal the file."""
    zone = "America/New_York"
    imported(engine, mapped(AIRLINES, data / AIRLINES / "Tweets.csv"), zone=zone)
    refreshed(engine)
    recount = Recount(
        Said(datetime.strptime(row["tweet_created"], "%Y-%m-%d %H:%M:%S %z"), row["tweet_id"], True, row["name"], True)
        for row in csv_rows(data / AIRLINES / "Tweets.csv")
        if slugged(row["airline"]) == "united"
    )
    found = reported(engine, "united", day)
    assert check(found, recount, "twitter").total() > 200
    assert next(row for row in found["sections"][0]["rows"] if row["metric"] == "messages_received")["value"] > 100
