"""Coverage: fetched days of a source, gaps in answers, and catch-up."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hubbub.app import Engine
from hubbub.errors import BadQuestionError, HubbubError, UpstreamRefusedError
from hubbub.ingest.connectors.catalogue import CONNECTORS
from hubbub.ingest.connectors.slack import Slack
from hubbub.ingest.receivers.base import Gap as Lost
from hubbub.model.coverage import Reason
from hubbub.model.plain import plain
from hubbub.outgoing.http import Outgoing
from hubbub.services.coverage import Watched
from hubbub.settings import load
from tests.platforms import TOKEN, Graph, Workspace, graph_error, insight, post
from tests.services import Call, Reply, Service, service

FIRST = date(2026, 8, 1)


class Nights:
    """An engine whose clock moves from night to night, with services of the test."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.now = datetime(2026, 8, 1, 12, tzinfo=UTC)
        self.stack = stack
        options = {"free_floor_mb": 0, "allow_private_hosts": ["127.0.0.1"]}
        self.engine = stack.enter_context(Engine(load(data=folder, **options), lambda: self.now))
        self.engine.add_tenant("acme")

    def run(self, answer: Any) -> Service:
        """Run a service until the test ends."""
        return self.stack.enter_context(service(answer))

    def page(self, there: Service, **settings: str) -> str:
        """Connect a Facebook page."""
        settings = {"page_id": "7", "base_url": there.url, **settings}
        return str(self.engine.integrations.add("acme", "facebook_page", TOKEN, "Page", settings).id)

    def workspace(self, there: Service, **settings: str) -> str:
        """Connect a Slack workspace."""
        settings = {"base_url": there.url, **settings}
        return str(self.engine.integrations.add("acme", "slack", TOKEN, "Talk", settings).id)

    def night(self) -> list[str]:
        """Move to the next night and fetch due days as its jobs do; return the fetched days."""
        self.now = self.now.replace(hour=2) + timedelta(days=1)
        came: list[str] = []
        for row in self.engine.fetching.due().rows:
            for number, day in enumerate(map(str, row.dates)):
                try:
                    self.engine.fetching.day("acme", row.integration_id, day, catching_up=number > 0)
                    came.append(day)
                except HubbubError:
                    break
        return came

    def ask(self, *metrics: str, start: str = "2026-08-01", end: str = "2026-08-08", **more: Any) -> dict[str, Any]:
        """Answer metrics by day."""
        return self.engine.query("acme", metrics=metrics, start=start, end=end, grain="day", **more)


@pytest.fixture
def nights(tmp_path: Path) -> Iterator[Nights]:
    """An engine with the tenant acme at noon of 1 August."""
    with ExitStack() as stack:
        yield Nights(tmp_path / "data", stack)


def at(day: int, hour: int = 12) -> int:
    """Return a moment of August 2026 in seconds since 1970."""
    return int(datetime(2026, 8, day, hour, tzinfo=UTC).timestamp())


def posts() -> Graph:
    """Return a page with a post on each day but the fourth."""
    return Graph([post(f"7_{day}", at(day)) for day in range(1, 29) if day != 4], [])


def states(answer: dict[str, Any], metric: str) -> list[tuple[str, Any, Any]]:
    """Return day of month, value and state of each row."""
    return [(row["window"][8:10], row[metric], row.get(f"{metric}.state")) for row in answer["rows"]]


def test_four_days_without_a_token_are_gaps_until_caught_up(nights: Nights) -> None:
    """Days that cannot be fetched are null with an action, also before the next attempt.

    The night after the token was replaced fetches all of them, newest first, and a day without posts is a true 0.
    """
    graph = posts()
    there = nights.run(graph)
    id_ = nights.page(there)
    assert nights.night() == ["2026-08-01"]
    there.answer = lambda _: graph_error(190, 401, error_subcode=463)
    for _ in range(4):
        assert nights.night() == []
    where = {"type": "content.published"}
    answer = nights.ask("events", where=where)
    assert states(answer, "events") == [
        ("01", 1, None), *((f"0{day}", None, "not_fetched") for day in (2, 3, 4, 5, 6)), ("07", 0, None),
    ]  # fmt: skip
    fresh = answer["freshness"]
    assert (fresh["complete"], fresh["complete_to"]) == (False, "2026-08-02T00:00:00+00:00")
    named = [
        (gap["source"], gap["from"][:10], gap["to"][:10], gap["reason"], bool(gap["action"])) for gap in fresh["gaps"]
    ]
    assert named == [
        ("Page", "2026-08-02", "2026-08-06", "refused", True), ("Page", "2026-08-06", "2026-08-07", "not_over", False),
    ]  # fmt: skip
    there.answer = graph
    nights.engine.integrations.rotate("acme", id_, TOKEN)
    assert nights.night() == ["2026-08-06", "2026-08-05", "2026-08-04", "2026-08-03", "2026-08-02"]
    answer = nights.ask("events", where=where, end="2026-08-07")
    assert [value for _, value, _ in states(answer, "events")] == [1, 1, 1, 0, 1, 1]
    assert answer["freshness"]["complete"] is True
    assert "gaps" not in answer["freshness"]


def test_a_gap_affects_only_what_its_source_can_report(nights: Nights) -> None:
    """Missing posts affect no messages, other channels, other pages or earlier days; events from elsewhere are counted,
    as incomplete.
    """
    nights.page(nights.run(posts()))
    nights.now += timedelta(days=2)
    assert nights.ask("messages", "first_response_ms.p50", "open_conversations")["freshness"]["complete"] is True
    assert nights.ask("events", where={"channel": "sms"})["freshness"]["complete"] is True
    assert nights.ask("events", where={"account_id": "8"})["freshness"]["complete"] is True
    before = nights.ask("events", start="2026-07-20", end="2026-08-01")
    assert before["freshness"]["complete"] is True
    nights.engine.record("acme", [
        {"type": "content.published", "time": "2026-08-01T10:00:00Z", "id": "a", "channel": "facebook", "account_id": "7"},
        {"type": "message.received", "time": "2026-08-01T10:00:00Z", "id": "b", "channel": "sms"},
    ])  # fmt: skip
    answer = nights.ask("events", end="2026-08-03")
    assert states(answer, "events") == [("01", 2, "incomplete"), ("02", None, "not_fetched")]
    by = nights.ask("events", end="2026-08-02", by=["channel"])
    assert [(row["channel"], row["events"], row.get("events.state")) for row in by["rows"]] == [
        ("facebook", 1, "incomplete"), ("sms", 1, None),
    ]  # fmt: skip
    total = nights.engine.query("acme", metrics="events", start="2026-08-01", end="2026-08-03", compare="previous")
    assert total["rows"][0]["events.state"] == "incomplete"


def test_a_gap_closed_by_another_process_is_closed_here(nights: Nights, tmp_path: Path) -> None:
    """A gap that another process closed, or whose integration was removed, is closed in the next answer."""
    id_ = nights.page(nights.run(posts()))
    nights.now += timedelta(days=1)
    assert nights.ask("events", end="2026-08-02")["freshness"]["complete"] is False
    options = {"free_floor_mb": 0, "allow_private_hosts": ["127.0.0.1"]}
    with Engine(load(data=tmp_path / "data", **options), lambda: nights.now) as other:
        other.fetching.day("acme", id_, "2026-08-01")
    assert nights.ask("events", end="2026-08-02")["freshness"]["complete"] is True
    nights.engine.integrations.remove("acme", id_)
    nights.now += timedelta(days=5)
    assert nights.ask("events")["freshness"]["complete"] is True


def test_a_paused_integration_leaves_days_unknown_and_catches_up(nights: Nights) -> None:
    """Days of a pause are gaps with that reason, and are fetched after the integration is resumed."""
    id_ = nights.page(nights.run(posts()))
    nights.engine.integrations.pause("acme", id_)
    for _ in range(3):
        assert nights.night() == []
    assert {gap["reason"] for gap in nights.ask("events")["freshness"]["gaps"]} == {"paused", "not_over"}
    nights.engine.integrations.resume("acme", id_)
    assert len(nights.night()) == 4


def test_a_lost_channel_makes_only_its_numbers_incomplete(nights: Nights) -> None:
    """If the app loses one of two channels, only that channel's numbers are incomplete.

    The integration is degraded with an action, and the day is fetched again once the app is back.
    """
    workspace = Workspace({name: [{"ts": f"{at(day)}.0", "user": "U1"} for day in (1, 2)] for name in ("a", "b")})
    there = nights.run(workspace)
    id_ = nights.workspace(there)
    nights.night()

    def out_of_a(call: Call) -> Reply:
        refused = call.path.endswith("history") and call.told["channel"] == "C0000"
        return Reply({"ok": False, "error": "not_in_channel"}) if refused else workspace(call)

    there.answer = out_of_a
    assert nights.night() == ["2026-08-02"]
    row = nights.engine.integrations.get("acme", id_)
    assert (row.state, "#a" in row.reason, "Invite" in row.action) == ("degraded", True, True)
    by = nights.ask("messages", start="2026-08-02", end="2026-08-03", by=["channel_id"])
    assert [(r["channel_id"], r["messages"], r.get("messages.state")) for r in by["rows"]] == [("C0001", 1, None)]
    assert by["freshness"]["complete"] is False
    assert nights.ask("messages", end="2026-08-03", where={"channel_id": "C0001"})["freshness"]["complete"] is True
    answer = nights.ask("messages", end="2026-08-03", where={"channel_id": "C0000"})
    assert states(answer, "messages") == [("01", 1, None), ("02", None, "not_fetched")]
    there.answer = workspace
    assert nights.night() == ["2026-08-03", "2026-08-02"]
    assert nights.engine.integrations.get("acme", id_).state == "active"
    assert nights.ask("messages", end="2026-08-04")["freshness"]["complete"] is True


def said_in(*days: int) -> list[dict[str, Any]]:
    """Return a Slack message for each of these days of August."""
    return [{"ts": f"{at(day)}.0", "user": "U1"} for day in days]


@pytest.mark.parametrize("left", ["archived", "deleted"])
def test_an_unlisted_slack_channel_is_read_or_degrades_the_integration(nights: Nights, left: str) -> None:
    """An archived channel is read to its end as long as Slack returns its messages.

    For a deleted or private one the integration is degraded with its name, and its second day stays incomplete; the
    other channel and later days are complete.
    """
    workspace = Workspace({"a": said_in(1, 2), "b": said_in(1, 2, 3, 4)})
    there = nights.run(workspace)
    id_ = nights.workspace(there)
    assert nights.night() == ["2026-08-01"]

    def without_a(call: Call) -> Reply:
        if call.path.endswith("list"):
            return replace(workspace, channels={"b": workspace.channels["b"]}, ids={"b": "C0001"})(call)
        gone = left == "deleted" and call.told.get("channel") == "C0000"
        return Reply({"ok": False, "error": "channel_not_found"}) if gone else workspace(call)

    there.answer = without_a
    assert nights.night() == ["2026-08-02"]
    is_whole = left == "archived"
    row = nights.engine.integrations.get("acme", id_)
    assert (row.state, "#a" in (row.reason or "")) == (("active", False) if is_whole else ("degraded", True))
    assert nights.night() == ["2026-08-03"] + ([] if is_whole else ["2026-08-02"])
    whole = nights.ask("messages", start="2026-08-02", end="2026-08-04", by=["channel_id"])
    assert whole["freshness"]["complete"] is is_whole
    assert nights.ask("messages", start="2026-08-03", end="2026-08-04")["freshness"]["complete"] is True
    assert nights.ask("messages", end="2026-08-04", where={"channel_id": "C0001"})["freshness"]["complete"] is True
    counted = nights.ask("messages", end="2026-08-03", where={"channel_id": "C0000"})
    assert states(counted, "messages") == [
        ("01", 1, None),
        ("02", 1, None) if is_whole else ("02", None, "not_fetched"),
    ]
    (covered,) = nights.engine.coverage.of("acme", integration=id_).rows
    assert ["#a" in gap.message for gap in covered.gaps if gap.reason is Reason.UNREADABLE] == (
        [] if is_whole else [True]
    )
    nights.engine.integrations.resume("acme", id_)
    assert nights.night()[0] == "2026-08-04"
    assert nights.ask("messages", end="2026-08-05")["freshness"]["complete"] is True


def test_a_removed_metric_degrades_the_integration_and_opens_no_gap(nights: Nights) -> None:
    """If Facebook no longer knows one of four metrics, the day is complete, and the integration is degraded with that
    metric's name.
    """
    graph = Graph([post("7_1", at(1))], [insight("page_follows", d2026_08_01=5)])

    def without(call: Call) -> Reply:
        gone = "page_video_views" in call.query.get("metric", "").split(",")
        return graph_error(100) if gone else graph(call)

    id_ = nights.page(nights.run(without))
    assert nights.night() == ["2026-08-01"]
    row = nights.engine.integrations.get("acme", id_)
    assert (row.state, "page_video_views" in row.reason) == ("degraded", True)
    assert nights.ask("events", end="2026-08-02")["freshness"]["complete"] is True
    assert nights.night() == ["2026-08-02"]
    with pytest.raises(UpstreamRefusedError):  # a missing page is refused with the same code, and breaks
        nights.engine.fetching.day("acme", nights.page(nights.run(lambda _: graph_error(100))), "2026-08-01")


@pytest.mark.slow
def test_sixty_days_of_history_arrive_at_one_call_a_minute(nights: Nights, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one call a minute allowed, all messages of sixty days arrive in two nights of at most 31 days, newest first,
    in under four hours.
    """
    first = datetime(2026, 6, 2, 9, tzinfo=UTC).timestamp()
    said: list[dict[str, Any]] = []
    for day in range(60):
        root = f"{first + day * 86_400:.6f}"
        reply = {"ts": f"{float(root) + 60:.6f}", "user": "U2", "thread_ts": root, "parent_user_id": "U1"}
        said += [{"ts": root, "user": "U1", "thread_ts": root, "reply_count": 1, "latest_reply": reply["ts"]}, reply]
        said += [{"ts": f"{float(root) + 600 + n:.6f}", "user": "U3"} for n in range(3)]
    workspace, elapsed, last = Workspace({"a": said}, page=15), 0.0, -60.0

    def once_a_minute(call: Call) -> Reply:
        nonlocal last
        if call.path.endswith(("history", "replies")):
            if elapsed - last < 60:
                return Reply(
                    {"ok": False, "error": "ratelimited"}, 429, {"Retry-After": str(math.ceil(60 - elapsed + last))}
                )
            last = elapsed
        return workspace(call)

    def pause(seconds: float) -> None:
        nonlocal elapsed
        elapsed += seconds

    class Patient(Slack):
        """A Slack connector whose pauses take no time."""

        def __init__(self, http: Outgoing) -> None:
            super().__init__(http, pause)

    monkeypatch.setitem(CONNECTORS, "slack", Patient)
    there = nights.run(once_a_minute)
    nights.workspace(there, since="2026-06-02")
    nights.now = datetime(2026, 7, 31, 12, tzinfo=UTC)
    came = [nights.night() for _ in range(2)]
    assert [len(days) for days in came] == [31, 30]
    assert all(days == sorted(days, reverse=True) for days in came)
    answer = nights.ask("messages", start="2026-06-02", end="2026-08-01")
    assert {value for _, value, _ in states(answer, "messages")} == {5}
    assert answer["freshness"]["complete"] is True
    assert elapsed < 4 * 3600


def test_an_omitted_minute_is_a_gap_until_the_day_is_fetched(nights: Nights) -> None:
    """A minute that Slack left out is a gap, once, until the day is fetched."""
    id_ = nights.workspace(nights.run(Workspace({"a": [{"ts": f"{at(1)}.0", "user": "U1"}]})))
    one = nights.engine.integration_store.get("acme", id_)
    minute = datetime(2026, 8, 1, 12, 7, tzinfo=UTC)
    for start in (minute, minute, minute + timedelta(minutes=1)):
        nights.engine.coverage.note(one, [Lost(start, start + timedelta(minutes=1), Reason.RATE_LIMITED)])
    gaps = nights.engine.coverage.of("acme").rows[0].gaps
    assert [(f"{gap.from_:%H:%M}", f"{gap.to:%H:%M}", gap.reason) for gap in gaps] == [
        ("12:07", "12:09", "rate_limited")
    ]
    nights.night()
    assert nights.engine.coverage.of("acme").rows[0].gaps == []


def test_a_source_that_falls_silent_is_found(nights: Nights) -> None:
    """A source with ten messages an hour for three weeks and none for four hours has a gap there, and doctor names it."""
    secrets = {"secret_token": "x" * 20}
    id_ = nights.engine.integrations.add("acme", "telegram", name="Bot", settings={"bot_id": "1"}, secrets=secrets).id
    nights.now = datetime(2026, 8, 22, 12, tzinfo=UTC)
    quiet = range(4, 8)
    nights.engine.record("acme", [
        {"type": "message.received", "time": (nights.now - timedelta(hours=hour, minutes=n * 6)).isoformat(), "id": f"{hour}-{n}",
         "source": "telegram", "channel": "telegram"}
        for hour in range(1, 21 * 24) if hour not in quiet for n in range(10)
    ], history=True)  # fmt: skip
    assert nights.engine.coverage.watch() == Watched(1)
    (row,) = nights.engine.coverage.of("acme", integration=id_).rows
    assert [gap.reason for gap in row.gaps] == ["silent"]
    assert nights.engine.coverage.watch() == Watched(1)
    assert len(nights.engine.coverage.of("acme", integration=id_).rows[0].gaps) == 1
    nights.now += timedelta(days=1)
    (check,) = [row for row in nights.engine.doctor()["rows"] if row["check"] == "coverage"]
    assert (check["ok"], "Bot" in check["found"]) == (False, True)


def test_coverage_gives_the_state_of_each_day(nights: Nights) -> None:
    """Coverage tells days before the connection, fetched, empty, missing and not over; bad parameters are refused."""
    graph = posts()
    there = nights.run(graph)
    id_ = nights.page(there, since="2026-08-03")
    nights.now += timedelta(days=3)
    assert nights.night() == ["2026-08-04", "2026-08-03"]
    there.answer = lambda _: graph_error(4, 403)
    assert nights.night() == []
    (row,) = nights.engine.coverage.of("acme", "2026-08-01", "2026-08-08").rows
    assert [(f"{day.date:%d}", day.state, day.reason, day.found) for day in row.days] == [
        ("01", "before", None, None), ("02", "before", None, None), ("03", "fetched", None, 4), ("04", "empty", None, 0),
        ("05", "missing", "failed", None), ("06", "not_over", "not_over", None), ("07", "not_over", "not_over", None),
    ]  # fmt: skip
    assert plain(row.complete_to) == "2026-08-05T00:00:00+00:00"
    assert [(gap["from"], gap["to"], gap["reason"]) for gap in plain(row.gaps)] == [
        ("2026-08-05T00:00:00Z", "2026-08-06T00:00:00Z", "failed")
    ]
    assert nights.engine.coverage.of().rows[0].integration == id_
    assert nights.engine.coverage.of("acme", integration=id_).rows == nights.engine.coverage.of("acme").rows
    odd: list[dict[str, Any]] = [
        {"start": "2026-08-02", "end": "2026-08-01"},
        {"start": "2020-01-01"},
        {"integration": id_},
    ]
    for bad in odd:
        with pytest.raises(BadQuestionError):
            nights.engine.coverage.of(**bad)


def test_a_snapshot_over_a_gap_is_incomplete_and_made_again(nights: Nights) -> None:
    """A snapshot over a gap is incomplete with null numbers; settling makes it again after the day was fetched."""
    talk = Workspace({"a": [{"ts": f"{at(1)}.0", "user": "U1"}]})
    there = nights.run(talk)
    nights.workspace(there)
    nights.now += timedelta(days=20)
    made = nights.engine.snapshot("daily", "2026-08-01", "acme")["rows"][0]
    assert (made["state"], made["complete"], made["messages"]["total"]) == ("incomplete", False, None)
    assert made["gaps"][0]["source"] == "Talk"
    nights.engine.fetching.day("acme", nights.engine.integrations.of("acme").rows[0].id, "2026-08-01")
    nights.engine.snapshot_service.settle()
    (kept,) = nights.engine.snapshots("acme", "2026-08-01", "2026-08-02")["rows"]
    assert (kept["state"], kept["complete"], kept["messages"]["total"]) == ("settled", True, 1)
