"""Real Slack workspaces: five years of a community, a vendor's overlapping snapshots, and an export from before threads."""

from __future__ import annotations

import json
import random
import statistics
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from hubbub.app import Engine
from hubbub.ingest.sources import slack
from tests.acceptance.conftest import (
    Loaded,
    by,
    counts,
    every_answer,
    imported,
    needs,
    per_window,
    refreshed,
    tables_of,
    total,
)  # fmt: skip

R, OLAKE, HOUSTON = "slack-rcontributors", "slack-olake", "slack-houstondatavis"
RANGE = ("2020-11-01", "2026-07-02")
OLAKE_RANGE = ("2026-05-01", "2026-09-01")
ZONES = {"utc": "UTC", "new-york": "America/New_York", "kolkata": "Asia/Kolkata"}
WAYS = ("in-order", "shuffled-1", "shuffled-2", "twice")


@dataclass(frozen=True)
class Message:
    """A message of an export, read independently of the importer."""

    channel: str
    ts: str
    thread_ts: str | None
    author: str
    person: bool

    @property
    def time(self) -> datetime:
        """Return when it was written."""
        return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=int(Fraction(self.ts) * 1_000_000))


def messages(folder: Path) -> list[Message]:
    """Read the day files of an export, one message per channel and ts."""
    found: dict[tuple[str, str], Message] = {}
    for path in sorted(folder.glob("*/*.json")):
        if not path.stem[:4].isdigit():
            continue
        for record in json.loads(path.read_text()):
            subtype, user = record.get("subtype"), record.get("user")
            person = (
                not record.get("bot_id")
                and subtype in (None, "thread_broadcast", "me_message", "file_share")
                and user != "USLACKBOT"
            )
            author = user or record.get("bot_id") or ""
            one = Message(path.parent.name, record["ts"], record.get("thread_ts"), author, person)
            found[one.channel, one.ts] = one
    return list(found.values())


def by_room(engine: Engine, tenant: str, metric: str, start: str, end: str, **question: Any) -> dict[str, int]:
    """Return a metric of a range by the name of the room."""
    found = by(engine, tenant, metric, start, end, "channel_id", **question)
    called = engine.names.called(engine.control.tenant(tenant), {"room": [id_ for id_ in found if id_]})
    return {called.get(("room", id_), id_): n for id_, n in found.items() if id_}


def first_waits(several: Iterable[Message]) -> list[tuple[datetime, datetime]]:
    """Return, for every answered thread, when its root was written and when another person first replied."""
    threads: dict[tuple[str, str], list[Message]] = {}
    for one in several:
        threads.setdefault((one.channel, one.thread_ts or one.ts), []).append(one)
    waits = []
    for (_, root_ts), thread in threads.items():
        thread.sort(key=lambda m: m.time)
        root = thread[0]
        assert root.ts == root_ts
        replies = [m for m in thread[1:] if m.person and m.author != root.author]
        if replies:
            waits.append((root.time, replies[0].time))
    return waits


def whole_ms(span: timedelta) -> int:
    """Return whole milliseconds, halves rounded up."""
    return (span // timedelta(microseconds=1) + 500) // 1000


def first_replies(several: Iterable[Message]) -> list[int]:
    """Return, for every answered thread, the milliseconds from its root to the first reply of another person."""
    return [whole_ms(replied - asked) for asked, replied in first_waits(several)]


@pytest.fixture(scope="module")
def workspace(engine: Engine, data: Path) -> dict[str, Loaded]:
    """Import the R contributors' workspace into three tenants in three zones."""
    done = {tenant: imported(engine, slack.read(data / R), tenant, zone) for tenant, zone in ZONES.items()}
    refreshed(engine)
    return done


@pytest.fixture(scope="module")
def snapshots(engine: Engine, data: Path) -> dict[str, list[Loaded]]:
    """Import OLake's 19 snapshots into one tenant per order of arrival, with a refresh in between."""
    runs = sorted((data / OLAKE).glob("run-*"))
    orders = {
        "in-order": runs,
        "shuffled-1": random.Random(1).sample(runs, len(runs)),
        "shuffled-2": random.Random(2).sample(runs, len(runs)),
        "twice": [*runs, *runs],
    }
    done: dict[str, list[Loaded]] = {}
    for tenant, order in orders.items():
        done[tenant] = [imported(engine, slack.read(run), tenant) for run in order[:9]]
    refreshed(engine)
    for tenant, order in orders.items():
        done[tenant] += [imported(engine, slack.read(run), tenant) for run in order[9:]]
    refreshed(engine)
    return done


@needs(R)
def test_the_import_counts_every_record_of_the_export(workspace: dict[str, Loaded]) -> None:
    """4,764 records in 18 channels: 2,593 people's messages, 362 threads, 1,503 replies; none rejected."""
    known = counts(R)
    for loaded in workspace.values():
        assert (loaded.stored, loaded.duplicates, loaded.corrected, loaded.rejected) == (4764, 0, 0, {})
        assert loaded.summary["records"] == known["messages"] == 4764
        assert loaded.summary["channels"] == known["channels_with_messages"] == 18
        assert loaded.summary["people_messages"] == 2593
        assert (loaded.summary["threads"], loaded.summary["replies"]) == (362, known["thread_replies"])


@needs(R)
def test_messages_by_channel_are_those_of_the_export(engine: Engine, workspace: dict[str, Loaded]) -> None:
    """Messages by channel, bots included, equal the counts that came with the data, in each zone; people's add up to 2,593."""
    known = counts(R)
    for tenant in workspace:
        asked = by_room(engine, tenant, "messages", *RANGE, include_bots=True)
        assert asked == known["per_channel"]
        assert sum(by_room(engine, tenant, "messages", *RANGE).values()) == 2593
        assert total(engine, tenant, "messages", *RANGE) == 2593


@needs(R)
def test_first_responses_are_those_of_the_threads(engine: Engine, data: Path, workspace: dict[str, Loaded]) -> None:
    """330 threads have a first response, with a median of 12,559,845 ms over 5.6 years."""
    waits = first_replies(messages(data / R))
    assert (len(waits), statistics.median(waits)) == (330, 12_559_845)
    for tenant in workspace:
        assert total(engine, tenant, "first_response_ms.count", *RANGE) == 330
        assert total(engine, tenant, "first_response_ms.p50", *RANGE) == 12_559_845
        assert total(engine, tenant, "first_response_ms.p50", *RANGE) == 12_559_845
        assert total(engine, tenant, "first_response_ms.sum", *RANGE) == sum(waits)
        assert total(engine, tenant, "first_response_ms.max", *RANGE) == max(waits)


@needs(R)
@pytest.mark.parametrize("tenant", ZONES)
def test_days_are_cut_in_the_tenants_zone(
    engine: Engine, data: Path, workspace: dict[str, Loaded], tenant: str
) -> None:
    """Messages by day equal a recount of every `ts` with zoneinfo, with and without bots."""
    zone = ZoneInfo(ZONES[tenant])
    several = messages(data / R)
    for bots in (False, True):
        rows = engine.query(tenant, metrics="messages", start=RANGE[0], end=RANGE[1], grain="day", include_bots=bots)[
            "rows"
        ]
        asked = {window[:10]: n for window, n in per_window(rows, "messages").items()}
        assert asked == Counter(m.time.astimezone(zone).date().isoformat() for m in several if m.person or bots)
        assert len(rows) == (datetime.fromisoformat(RANGE[1]) - datetime.fromisoformat(RANGE[0])).days


@needs(R)
@pytest.mark.parametrize("tenant", ["new-york", "kolkata"])
def test_hours_are_cut_in_the_tenants_zone(
    engine: Engine, data: Path, workspace: dict[str, Loaded], tenant: str
) -> None:
    """Messages by hour equal a recount of every `ts`, in a half-hour zone and over clock changes too."""
    zone = ZoneInfo(ZONES[tenant])
    asked: dict[str, int] = {}
    edges = [RANGE[0], "2022-10-01", "2024-10-01", RANGE[1]]
    for start, end in pairwise(edges):
        rows = engine.query(tenant, metrics="messages", start=start, end=end, grain="hour")["rows"]
        asked |= per_window(rows, "messages")
    # No zone here changes its clock by less than an hour, so an hour begins at minute 0 of its own offset.
    recount = Counter(
        m.time.astimezone(zone).replace(minute=0, second=0, microsecond=0).isoformat()
        for m in messages(data / R) if m.person
    )  # fmt: skip
    assert asked == recount


@needs(OLAKE)
@pytest.mark.parametrize("way", WAYS)
def test_overlapping_snapshots_leave_each_message_once(
    engine: Engine, snapshots: dict[str, list[Loaded]], way: str
) -> None:
    """19 snapshots with 266 records leave 80 messages, in any order and sent twice."""
    known = counts(OLAKE)
    loads = snapshots[way]
    records = sum(one.stored + one.duplicates + one.corrected for one in loads)
    assert records == known["message_records_over_all_snapshots"] * (2 if way == "twice" else 1)
    assert sum(one.stored for one in loads) == known["messages"] == 80
    assert by_room(engine, way, "messages", *OLAKE_RANGE, include_bots=True) == known["per_channel"]
    assert total(engine, way, "messages", *OLAKE_RANGE, include_bots=True) == 80


@needs(OLAKE)
@pytest.mark.parametrize("way", WAYS[1:])
def test_the_order_of_snapshots_does_not_matter(engine: Engine, snapshots: dict[str, list[Loaded]], way: str) -> None:
    """Snapshots shuffled or sent twice leave the same fact rows and the same answers of all metrics."""
    assert tables_of(engine, way) == tables_of(engine, "in-order") != {}
    assert every_answer(engine, way, *OLAKE_RANGE) == every_answer(engine, "in-order", *OLAKE_RANGE)


@needs(OLAKE)
def test_late_replies_count_when_their_snapshot_comes(
    engine: Engine, data: Path, snapshots: dict[str, list[Loaded]]
) -> None:
    """10 threads have a first response by another person, with a median of 3,561.68 s, as in the union of the snapshots."""
    known = counts(OLAKE)
    union = {(m.channel, m.ts): m for run in sorted((data / OLAKE).glob("run-*")) for m in messages(run)}
    waits = first_replies(union.values())
    assert len(waits) == known["threads_with_reply_by_other_person"]
    for tenant in snapshots:
        assert total(engine, tenant, "first_response_ms.count", *OLAKE_RANGE) == len(waits)
        asked = total(engine, tenant, "first_response_ms.p50", *OLAKE_RANGE)
        assert asked == statistics.median(waits) == pytest.approx(known["first_reply_seconds_median"] * 1000, abs=1)


@pytest.mark.slow
@needs(R, OLAKE, HOUSTON)
def test_another_tenant_moves_no_number(
    engine: Engine, data: Path, workspace: dict[str, Loaded], snapshots: dict[str, list[Loaded]]
) -> None:
    """A third workspace has its own 723 messages, and no row and no answer of another tenant changes."""
    watched = {"kolkata": RANGE, "in-order": OLAKE_RANGE, "shuffled-1": OLAKE_RANGE}
    rows = {tenant: tables_of(engine, tenant) for tenant in (*workspace, *snapshots)}
    answers = {tenant: every_answer(engine, tenant, *span, grain="total") for tenant, span in watched.items()}
    loaded = imported(engine, slack.read(data / HOUSTON), "houston", "America/Chicago")
    assert {tenant: tables_of(engine, tenant) for tenant in rows} == rows
    assert {t: every_answer(engine, t, *span, grain="total") for t, span in watched.items()} == answers
    refreshed(engine)
    assert {tenant: tables_of(engine, tenant) for tenant in rows} == rows
    assert {t: every_answer(engine, t, *span, grain="total") for t, span in watched.items()} == answers
    known = counts(HOUSTON)
    span = ("2015-06-01", "2016-08-01")
    assert loaded.stored == known["messages"] == 723
    assert (loaded.summary["threads"], loaded.summary["replies"]) == (0, 0)
    assert by_room(engine, "houston", "messages", *span, include_bots=True) == known["per_channel"]
    assert total(engine, "houston", "messages", *span) == 535
    assert total(engine, "houston", "first_response_ms.count", *span) == 0
