"""Slack's API gives a day's messages and threads as the importer of exports does."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hubbub.errors import UpstreamRefusedError, UpstreamUnavailableError
from hubbub.ingest.connectors.base import Notes
from hubbub.ingest.connectors.slack import LONGEST_PAUSE, PATIENCE, Slack
from hubbub.ingest.sources import slack as exports
from hubbub.ingest.sources.summary import Record
from hubbub.model.event import Event, Rejection
from hubbub.model.name import Name
from hubbub.outgoing.http import Outgoing
from tests.platforms import TOKEN, Workspace
from tests.services import Call, Reply, service
from tests.unit.ingest.connectors.conftest import DAY, HOUR, NOON, fetched, integration, of_day, read

BEFORE = 24 * HOUR
TOO_LONG = Reply({"ok": False, "error": "ratelimited"}, 429, {"Retry-After": "61"})
LIMITED = Reply({"ok": False, "error": "ratelimited"}, 429, {"Retry-After": "7"})


def said(at: float, user: str, thread: float | None = None, **more: Any) -> dict[str, Any]:
    """Return a message as Slack writes it."""
    told = {"type": "message", "ts": f"{at:.6f}", "user": user, "text": "canary text", **more}
    return told if thread is None else {**told, "thread_ts": f"{thread:.6f}"}


def talk() -> list[dict[str, Any]]:
    """Return a channel: plain messages, a thread of the day, one begun the day before, and one that ended earlier."""
    root, old, over = NOON, NOON - BEFORE, NOON - 2 * BEFORE
    return [
        said(over, "U1", over, reply_count=1, latest_reply=f"{over + 60:.6f}"), said(over + 60, "U2", over, parent_user_id="U1"),
        said(old, "U3", old, reply_count=2, latest_reply=f"{NOON + 30:.6f}"), said(old + 60, "U1", old, parent_user_id="U3"),
        said(NOON + 30, "U3", old, parent_user_id="U3"),
        said(NOON - 60, "U1"), said(NOON - 50, "U9", subtype="channel_join"),
        said(NOON - 40, "U2", edited={"user": "U2", "ts": f"{NOON:.6f}"}),
        said(root, "U1", root, reply_count=4, latest_reply=f"{root + BEFORE:.6f}", reactions=[{"name": "eyes", "count": 2}]),
        *(said(root + n, "U2", root, parent_user_id="U1") for n in (1, 2)),
        said(root + 3, "U4", root, subtype="thread_broadcast", root={"user": "U1", "ts": f"{root:.6f}"}),
        said(root + BEFORE, "U1", root, parent_user_id="U1"),
        said(NOON + 13 * HOUR, "U5"), said(NOON - 12 * HOUR, "U6"),
    ]  # fmt: skip


def exported(folder: Path, channels: dict[str, list[dict[str, Any]]]) -> dict[str | None, Event]:
    """Return the importer's events for the same messages, by id."""
    for name, messages in channels.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "2026-08-01.json").write_text(json.dumps(messages))
    listed = [{"id": f"C{n:04}", "name": name} for n, name in enumerate(channels)]
    (folder / "channels.json").write_text(json.dumps(listed))
    return {r.event.id: r.event for r in exports.read(folder).records() if isinstance(r, Record)}


def test_live_history_gives_the_events_of_an_export(out: Outgoing, tmp_path: Path) -> None:
    """Every event of the day and its threads equals the importer's in all fields, so that nothing counts twice."""
    channels = {"general": talk(), "random": [said(NOON, "U1")], "quiet": []}
    with service(Workspace(channels, strangers=("not-ours",))) as there:
        events = fetched(Slack(out), integration("slack", there.url))
    imported = exported(tmp_path / "export", channels)
    assert len({e.id for e in events}) == len(events)
    for event in events:
        assert event == imported[event.id]
    left_out = set(imported) - {e.id for e in events}
    assert left_out == {f"C0000:{NOON - 2 * BEFORE + n}.000000" for n in (0, 60)} | {f"C0000:{NOON + 13 * HOUR}.000000"}
    assert "canary" not in str(events)


def test_only_chosen_channels_are_read(out: Outgoing) -> None:
    """Channels are chosen by name, with or without #, or by id; a missing one is named, and the others are read."""
    with service(Workspace({"a": [said(NOON, "U1")], "b": [said(NOON, "U1")], "c": [said(NOON, "U1")]})) as there:
        events = fetched(Slack(out), integration("slack", there.url, channels=["#a", "C0002"]))
        assert {e.channel_id for e in events} == {"C0000", "C0002"}
        notes = Notes()
        one = integration("slack", there.url, channels=["a", "nowhere"])
        assert [e.channel_id for e in read(Slack(out), one, notes) if isinstance(e, Event)] == ["C0000"]
        assert (notes.whole, notes.missing) == (False, {"channel_id": ["nowhere"]})
        assert "nowhere" in notes.reason
        with pytest.raises(UpstreamRefusedError, match="nowhere"):
            fetched(Slack(out), integration("slack", there.url, channels=["nowhere"]))


def test_short_pauses_are_waited_for_and_long_ones_end_the_attempt(out: Outgoing) -> None:
    """A short pause is waited for; a long one, or too many, ends the attempt with `retry_after`."""
    pauses: list[float] = []
    workspace = Workspace({"general": talk()})
    with service(workspace) as there:
        one = integration("slack", there.url)
        whole = fetched(Slack(out), one)
        workspace.errors = [LIMITED, LIMITED]
        assert fetched(Slack(out, pauses.append), one) == whole
        assert pauses == [7, 7]
        workspace.errors = [Reply({"ok": False, "error": "ratelimited"}, 429, {"Retry-After": str(LONGEST_PAUSE + 1)})]
        with pytest.raises(UpstreamUnavailableError) as caught:
            fetched(Slack(out, pauses.append), one)
        assert caught.value.retry_after == LONGEST_PAUSE + 1
        workspace.errors = [LIMITED] * 1000
        with pytest.raises(UpstreamUnavailableError):
            fetched(Slack(out, pauses.append), one)
    assert sum(pauses) <= PATIENCE + 14


def test_a_wrong_token_needs_a_person(out: Outgoing) -> None:
    """A wrong token raises UpstreamRefusedError with Slack's code, without the token."""
    with service(Workspace({})) as there, pytest.raises(UpstreamRefusedError, match="invalid_auth") as caught:
        fetched(Slack(out), integration("slack", there.url), token=TOKEN + "x")
    assert TOKEN not in str(caught.value)


def never(seconds: float) -> None:
    """Fail, since no pause is expected."""
    raise AssertionError(seconds)


def refusing(workspace: Workspace, method: str, error: str, **asked: str) -> Callable[[Call], Reply]:
    """Answer as the workspace, but refuse calls of a method with these parameters."""

    def answer(call: Call) -> Reply:
        told = call.told
        if call.path.endswith(method) and all(told.get(name) == value for name, value in asked.items()):
            return Reply({"ok": False, "error": error, "needed": "groups:read"})
        return workspace(call)

    return answer


def test_a_channel_that_cannot_be_read_stops_no_other(out: Outgoing) -> None:
    """After the app lost one of two channels, the other is read, and the lost one is named with an action."""
    workspace = Workspace({"a": [said(NOON, "U1")], "b": [said(NOON, "U1")]})
    for where in ("listed", "refused"):
        notes = Notes()
        with service(workspace) as there:
            one = integration("slack", there.url)
            of_day(Slack(out), one, notes)  # remembers both channels
            assert notes.whole
            gone = replace(workspace, channels={"b": workspace.channels["b"]}, strangers=("a",))
            refused = refusing(workspace, "conversations.history", "not_in_channel", channel="C0000")
            there.answer = gone if where == "listed" else refused
            if where == "listed":
                notes.memory["channels"] = {"C0000": ["b", False], "C0001": ["a", False]}
            notes.place = None
            kept, missing = ("C0000", "C0001") if where == "listed" else ("C0001", "C0000")
            assert [e.channel_id for e in of_day(Slack(out), one, notes)] == [kept]
        assert (notes.whole, notes.missing) == (False, {"channel_id": [missing]})
        assert "#a" in notes.reason and "Invite" in notes.action


def test_private_channels_are_read_where_the_token_may(out: Outgoing) -> None:
    """Private channels are read too; without that scope the public ones are read, an action is given, and the day
    counts as whole.
    """
    workspace, notes = Workspace({"a": [said(NOON, "U1")]}), Notes()
    with service(workspace) as there:
        of_day(Slack(out), integration("slack", there.url))
        assert there.calls[0].told["types"] == "public_channel,private_channel"
        there.answer = refusing(
            workspace, "conversations.list", "missing_scope", types="public_channel,private_channel"
        )
        assert len(of_day(Slack(out), integration("slack", there.url), notes)) == 1
    assert (notes.whole, notes.missing) == (True, {})
    assert "groups:history" in notes.action
    for method in ("conversations.list", "conversations.history"):
        with service(refusing(workspace, method, "missing_scope")) as there, pytest.raises(UpstreamRefusedError):
            of_day(Slack(out), integration("slack", there.url))


def test_a_page_without_a_cursor_is_followed_by_older_messages(out: Outgoing) -> None:
    """Without a cursor the next page holds older messages; a page that repeats raises UpstreamUnavailableError."""
    workspace = Workspace({"a": [said(NOON + n, "U1") for n in range(9)]}, page=4)

    def without_cursor(call: Call) -> Reply:
        reply = workspace(call)
        return replace(reply, body={**reply.body, "response_metadata": {}})

    with service(without_cursor) as there:
        assert len({e.id for e in of_day(Slack(out), integration("slack", there.url))}) == 9
        same = {"ok": True, "messages": [said(NOON, "U1")], "has_more": True}
        there.answer = lambda call: Reply(same) if call.path.endswith("history") else workspace(call)
        with pytest.raises(UpstreamUnavailableError, match="twice"):
            of_day(Slack(out), integration("slack", there.url))


def test_an_interrupted_fetch_resumes(out: Outgoing) -> None:
    """However often Slack ends an attempt, all messages are fetched in the end, and attempts resume."""
    channels = {"a": [said(NOON + n, "U1") for n in range(9)], "b": talk()}
    workspace, notes, asked = Workspace(channels, page=3), Notes(), 0
    events: dict[str | None, Event] = {}

    def three_calls_at_once(call: Call) -> Reply:
        nonlocal asked
        counts = call.path.endswith(("history", "replies"))
        asked += counts
        return TOO_LONG if counts and asked % 4 == 0 else workspace(call)

    attempts = 0
    with service(three_calls_at_once) as there:
        one, whole = integration("slack", there.url), False
        while not whole:
            attempts += 1
            assert attempts < 20
            try:
                for batch in Slack(out, never).fetch(one, TOKEN, DAY, notes):
                    events |= {item.id: item for item in batch if isinstance(item, Event)}
                whole = True
            except UpstreamUnavailableError:
                pass
        there.answer = workspace
        assert set(events) == {e.id for e in of_day(Slack(out), one)}
    assert attempts > 2


def test_unusable_messages_are_rejected_alone(out: Outgoing) -> None:
    """A record with an unusable field is a rejection with its index; its neighbours are events."""
    odd = [said(NOON, "U1"), {**said(NOON + 1, "U1"), "user": 5}, said(NOON + 2, "U2")]
    with service(Workspace({"general": odd})) as there:
        notes = Notes()
        items = [i for batch in Slack(out).fetch(integration("slack", there.url), TOKEN, DAY, notes) for i in batch]
    refused = [i for i in items if isinstance(i, Rejection)]
    assert [(r.code, r.field, r.index) for r in refused] == [("invalid_field", "user", 1)]
    assert "canary" not in str(refused)
    assert len([i for i in items if isinstance(i, Event)]) == 2


def names_of(out: Outgoing, workspace: Workspace) -> set[tuple[str, str, str]]:
    """Return the names that a day of a workspace gives."""
    with service(workspace) as there:
        batches = list(Slack(out).fetch(integration("slack", there.url), TOKEN, DAY, Notes()))
    return {(one.kind, one.id, one.name) for batch in batches for one in batch if isinstance(one, Name)}


def test_channels_and_authors_have_names(out: Outgoing) -> None:
    """Channels, and the people in the day's events, have names as Slack shows them; other people have none."""
    users = [
        {"id": "U1", "name": "ada", "profile": {"display_name": "Ada", "real_name": "Ada L"}},
        {"id": "U2", "name": "bo", "real_name": "Bo B", "profile": {"display_name": ""}},
        {"id": "U7", "name": "silent"}, {"id": 5}, "odd",
    ]  # fmt: skip
    thread = [said(NOON, "U1", NOON, reply_count=1), said(NOON + 1, "U2", NOON, parent_user_id="U1")]
    assert names_of(out, Workspace({"help": thread}, users=users)) == {
        ("room", "C0000", "help"), ("contact", "U1", "Ada"), ("staff", "U2", "Bo B"),
    }  # fmt: skip


def test_a_token_without_users_read_lacks_only_names(out: Outgoing) -> None:
    """Without the scope users:read the day is fetched whole and rooms have names; people have none."""
    workspace = Workspace({"help": [said(NOON, "U1")]}, scopes=frozenset())
    with service(workspace) as there:
        assert len(fetched(Slack(out), integration("slack", there.url))) == 1
    assert names_of(out, workspace) == {("room", "C0000", "help")}
