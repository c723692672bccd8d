"""The Slack importer on small exports made here, and on real ones if present."""

from __future__ import annotations

import gzip
import json
import sqlite3
import statistics
import zipfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hubbub.errors import BadInputError
from hubbub.ingest.sources import package, slack, slack_message
from hubbub.ingest.sources.catalogue import importer_of
from hubbub.ingest.sources.package import package_at
from hubbub.ingest.sources.summary import Record
from hubbub.model.event import Event, Rejection

DATA = Path(__file__).resolve().parents[5] / "shared" / "data"
real = pytest.mark.skipif(not DATA.is_dir(), reason="the real data sets are not there (../shared/data)")

T0, T1, T2, T3 = "1604573608.000200", "1604573700.000001", "1604573800.999999", "1604660200.000000"


def message(ts: str, user: str | None = "U1", **more: Any) -> dict[str, Any]:
    """Return a Slack record with the fields of an ordinary message."""
    return {"type": "message", "ts": ts, "text": "hello", **({"user": user} if user else {}), **more}


def export(folder: Path, days: dict[str, list[Any]], **lists: list[Any]) -> Path:
    """Write an export with the given day files, and lists like channels, and return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, listed in {"channels": [], **lists}.items():
        (folder / f"{name}.json").write_text(json.dumps(listed))
    for name, messages in days.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(messages))
    return folder


def events(path: Path, *, keep_text: bool = False) -> dict[str, Event]:
    """Return the events of an export by id; fail on any rejection."""
    found: dict[str, Event] = {}
    for item in slack.read(path, keep_text=keep_text).records():
        assert isinstance(item, Record), item
        found[str(item.event.id)] = item.event
    return found


def facts(event: Event) -> dict[str, Any]:
    """Return an event's attributes."""
    return dict(json.loads(bytes(event.attributes))) if bytes(event.attributes) else {}


def rejections(path: Path) -> list[Rejection]:
    """Return the rejections of an import."""
    return [item for item in slack.read(path).records() if isinstance(item, Rejection)]


def test_a_message_outside_threads_has_no_conversation(tmp_path: Path) -> None:
    """A message outside threads is received from its author, at the time of its `ts`, without a conversation."""
    event = events(export(tmp_path, {"general/2020-11-05.json": [message(T0)]}))[f"general:{T0}"]
    assert (event.type, event.kind, event.contact_id, event.staff_id) == ("message.received", "person", "U1", None)
    assert event.time == datetime(2020, 11, 5, 10, 53, 28, 200, tzinfo=UTC)
    assert (event.source, event.channel, event.channel_id, event.conversation_id) == ("slack", "slack", "general", None)
    assert event.message_id == event.id
    assert not bytes(event.attributes)


def test_questions_are_marked_and_reactions_of_others_kept(tmp_path: Path) -> None:
    """A text that asks is marked without being stored; reactions of others are kept by name, without skin tones."""
    thanks = {"name": "pray", "users": ["U1"], "count": 1}
    check = {"name": "white_check_mark", "users": ["U1", "U2"], "count": 2}
    thumbs = {"name": "+1::skin-tone-3", "users": ["U9"], "count": 1}
    many = {"name": "eyes", "users": ["U1"], "count": 3}
    days = {
        "general/2020-11-05.json": [
            message(T0, text="Is it up? <https://a.org/?b=c>", reactions=[thanks, check, thumbs, many, 7]),
            message(T1, text="See <https://a.org/?b=c>"), message(T2, text="Why?", user="U7", bot_id="B1"),
        ]
    }  # fmt: skip
    asked, said, bot = events(export(tmp_path, days)).values()
    assert (asked.asks, said.asks, bot.asks) == (True, False, None)
    assert (asked.signs, said.signs) == ("+1,eyes,white_check_mark", None)
    assert facts(asked) == {"reactions": 7}


def test_a_thread_is_a_conversation(tmp_path: Path) -> None:
    """The root and its author's later messages are received; a reply by another is sent by staff to that author."""
    days = {
        "help/2020-11-05.json": [
            message(T0, thread_ts=T0, reply_count=3),
            message(T1, "U2", thread_ts=T0),
            message(T2, thread_ts=T0),
        ],
        "help/2020-11-06.json": [message(T3, "U3", thread_ts=T0, subtype="thread_broadcast")],
    }
    found = events(export(tmp_path, days))
    assert {e.conversation_id for e in found.values()} == {f"help:{T0}"}
    assert [e.type.removeprefix("message.") for e in found.values()] == ["received", "sent", "received", "sent"]
    assert [(e.contact_id, e.staff_id) for e in found.values()] == [
        ("U1", None), ("U1", "U2"), ("U1", None), ("U1", "U3"),
    ]  # fmt: skip
    assert facts(found[f"help:{T3}"]) == {"subtype": "thread_broadcast", "broadcast": True}


def test_a_root_without_thread_mark(tmp_path: Path) -> None:
    """A root without `thread_ts` is found by a reply in a later file, and its revision counts that reply."""
    days = {"help/2020-11-05.json": [message(T0)], "help/2020-11-06.json": [message(T3, "U2", thread_ts=T0)]}
    found = events(export(tmp_path, days))
    assert found[f"help:{T0}"].conversation_id == f"help:{T0}"
    assert found[f"help:{T0}"].revision == 1604660200_000000 * 1000


def test_a_thread_stays_in_its_channel(tmp_path: Path) -> None:
    """The same `ts` in two channels is two messages; a thread in one does not affect the other."""
    days = {"a/2020-11-05.json": [message(T0), message(T1, "U2", thread_ts=T0)], "b/2020-11-05.json": [message(T0)]}
    found = events(export(tmp_path, days))
    assert found[f"a:{T0}"].conversation_id == f"a:{T0}"
    assert found[f"b:{T0}"].conversation_id is None


def test_a_reply_without_its_root_is_sent_by_staff(tmp_path: Path) -> None:
    """A reply with a missing root is sent by staff; its contact is known only if the reply names the root's author."""
    days = {"a/2020-11-05.json": [message(T1, "U2", thread_ts=T0), message(T2, "U3", thread_ts="1604573000.000100",
            parent_user_id="U9")]}  # fmt: skip
    found = events(export(tmp_path, days))
    assert [(e.type, e.contact_id, e.staff_id) for e in found.values()] == [
        ("message.sent", None, "U2"), ("message.sent", "U9", "U3"),
    ]  # fmt: skip
    run = slack.read(tmp_path)
    list(run.records())
    assert (run.summary["threads"], run.summary["replies"], run.summary["conversations"]) == (0, 2, 2)


@pytest.mark.parametrize(
    ("more", "kind"),
    [
        ({}, "person"),
        ({"subtype": "me_message"}, "person"),
        ({"subtype": "file_share", "bot_id": None, "username": "u"}, "person"),
        ({"bot_id": "B1"}, "bot"),
        ({"subtype": "bot_message"}, "bot"),
        ({"user": "USLACKBOT"}, "bot"),
        ({"subtype": "bot_add", "bot_id": "B1"}, "system"),
        ({"subtype": "channel_join"}, "system"),
        ({"subtype": "file_comment"}, "system"),
        ({"subtype": "tombstone"}, "system"),
    ],
)
def test_the_kind_follows_from_subtype_bot_id_and_user(tmp_path: Path, more: dict[str, Any], kind: str) -> None:
    """The kind follows from subtype, bot id and user, in old and new exports; only people are contacts."""
    event = events(export(tmp_path, {"a/2020-11-05.json": [message(T0) | more]}))[f"a:{T0}"]
    assert event.kind == kind
    assert event.contact_id == ("U1" if kind == "person" else None)


def test_a_bridge_leaves_a_flag_but_no_name(tmp_path: Path) -> None:
    """A person's message through a Matrix bridge is a bot's with the flag `bridged`, and the event has no name."""
    bridged = message(T0, None, subtype="bot_message", bot_id="B1", username="Jane Roe (matrix)")
    event = events(export(tmp_path, {"a/2020-11-05.json": [bridged]}))[f"a:{T0}"]
    assert facts(event) == {"subtype": "bot_message", "bot": "B1", "bridged": True}
    assert "Jane" not in repr(event) + str(facts(event))


def test_revisions_order_snapshots() -> None:
    """An edit, a newer reply and another reaction each raise the revision, which fits 64 bits."""

    def revision(**more: Any) -> int:
        raw = json.dumps(message(T0, **more)).encode()
        event = slack_message.event_of("a", slack_message.decode_message(raw), {}, keep_text=False)
        assert event.revision is not None
        return event.revision

    plain = revision()
    liked = revision(reactions=[{"name": "+1", "count": 2, "users": []}, {"name": "eyes", "count": 1}])
    edited = revision(edited={"user": "U1", "ts": T1})
    replied = revision(latest_reply=T2)
    assert plain < liked < edited < replied < 2**62
    assert liked - plain == 3
    assert revision(reactions=[{"count": 5000}]) - plain == 999


def test_texts_are_left_out_unless_requested(tmp_path: Path) -> None:
    """Text is kept only on request, without mail addresses, tokens, keys and passwords."""
    secrets = ["jane.roe@example.org", "xoxb-123-abc", "hunter2", "abcdefTOKEN", "p4ss", "AKIAIOSFODNN7EXAMPLE"]
    text = (
        f"mail {secrets[0]}, bot {secrets[1]}, Password: {secrets[2]}, https://f.slack.com/x?t={secrets[1]}&pub_secret="
        f"{secrets[3]}, https://zoom.us/j/1?pwd={secrets[4]} {secrets[5]} fine"
    )
    path = export(tmp_path, {"a/2020-11-05.json": [message(T0) | {"text": text}]})
    assert not bytes(events(path)[f"a:{T0}"].attributes)
    kept = facts(events(path, keep_text=True)[f"a:{T0}"])["text"]
    assert not [secret for secret in secrets if secret in kept]
    assert kept.startswith("mail [email]")
    assert kept.endswith("fine")


def test_a_long_text_is_cut() -> None:
    """A long text is cut to the limit of attributes, counted in JSON bytes."""
    for text in ("x" * 200_000, "\n" * 200_000, "\N{GRINNING FACE}" * 50_000):
        assert 0 < len(json.dumps(slack_message.mask_text(text), ensure_ascii=False).encode()) <= slack_message.MAX_TEXT


def test_a_broken_file_is_one_rejection(tmp_path: Path) -> None:
    """A day file that is not JSON is one rejection with its name, and the rest is imported."""
    path = export(tmp_path, {"a/2020-11-05.json": [message(T0)], "a/2020-11-07.json": [message(T3)]})
    (path / "a/2020-11-06.json").write_text('[{"ts": "16')
    run = slack.read(path)
    items = list(run.records())
    assert [isinstance(item, Rejection) for item in items] == [False, True, False]
    refused = items[1]
    assert isinstance(refused, Rejection)
    assert (refused.code, refused.index) == ("unreadable_file", 1)
    assert refused.message.startswith("a/2020-11-06.json: ")
    assert run.summary["records"] == 3


@pytest.mark.parametrize(
    ("record", "code", "field"),
    [
        ({"type": "message"}, "missing_field", "ts"),
        ({"ts": "yesterday"}, "invalid_time", "ts"),
        ({"ts": "99999999999999.0"}, "invalid_time", "ts"),
        ({"ts": True}, "invalid_field", "ts"),
        ({"ts": 1e300}, "invalid_time", "ts"),
        ({"ts": T0, "thread_ts": "x"}, "invalid_time", "thread_ts"),
        ({"ts": T0, "user": {}}, "invalid_field", "user"),
        ("", "invalid_event", None),
    ],
)
def test_a_bad_record_names_file_record_and_field(tmp_path: Path, record: Any, code: str, field: str | None) -> None:
    """An unusable record is rejected with file, record number and field; its neighbours are read."""
    path = export(tmp_path, {"a/2020-11-05.json": [message(T0), record, message(T1)]})
    assert sum(isinstance(item, Record) for item in slack.read(path).records()) == 2
    (refused,) = rejections(path)
    assert (refused.code, refused.field) == (code, field)
    assert refused.message.startswith("a/2020-11-05.json record 2: ")
    assert refused.raw == ""


@pytest.mark.parametrize("spoilt", ['"\\ud83d"', '"\udcff"', "1e999", "NaN"])
def test_a_bad_character_rejects_its_record_alone(tmp_path: Path, spoilt: str) -> None:
    """A lone surrogate, a byte that is not UTF-8 or an infinite number rejects its own record; a byte order mark none."""
    path = export(tmp_path, {"a/2020-11-05.json": []})
    bad = f'{{"ts": "{T0}", "text": {spoilt}, "reply_count": {spoilt}}}'
    text = f"\ufeff[{json.dumps(message(T1))},{bad},{json.dumps(message(T2))}]"
    (path / "a/2020-11-05.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    (refused,) = rejections(path)
    assert refused.message.startswith("a/2020-11-05.json record 2: ")
    assert [i.event.id for i in slack.read(path).records() if isinstance(i, Record)] == [f"a:{T1}", f"a:{T2}"]


def test_a_time_written_as_a_number_is_the_same_time(tmp_path: Path) -> None:
    """`ts`, `thread_ts` and edits as JSON numbers give the same ids, times and revisions as texts."""
    texts = [message(T0, edited={"ts": T2}), message(T1, "U2", thread_ts=T0)]
    numbers = [message(T0, edited={"ts": float(T2)}), message(T1, "U2", thread_ts=float(T0))]
    for record in numbers:
        record["ts"] = float(record["ts"])
    one, two = (
        export(tmp_path / "1", {"a/2020-11-05.json": texts}),
        export(tmp_path / "2", {"a/2020-11-05.json": numbers}),
    )
    assert events(one) == events(two)


def test_users_that_are_programs_are_bots(tmp_path: Path) -> None:
    """A bot of `users.json` is a bot without a bot id; an unreadable entry there is skipped.

    An unreadable list is named among the files that were not read.
    """
    path = export(tmp_path, {"a/2020-11-05.json": [message(T0, "U9"), message(T1)]})
    (path / "users.json").write_text(json.dumps([{"id": "U9", "is_bot": True}, {"id": "U1", "is_bot": False}]))
    found = events(path)
    assert [(e.kind, e.contact_id) for e in found.values()] == [("bot", None), ("person", "U1")]
    (path / "users.json").write_text(json.dumps([{"id": "U9", "is_bot": True}, {"id": 3}, "x"]))
    assert [e.kind for e in events(path).values()] == ["bot", "person"]
    (path / "users.json").write_text("{")
    run = slack.read(path)
    assert len(list(run.records())) == 2
    assert (run.not_read, run.summary["left_out"]) == (["users.json"], {"files": 1})


def test_a_dump_with_one_file_a_channel_is_read(tmp_path: Path) -> None:
    """A dump of slackdump, with replies inside their message, gives the events of the channel's export."""
    reply = message(T1, "U2", thread_ts=T0)
    root = message(T0, thread_ts=T0, reply_count=1)
    days = export(
        tmp_path / "days", {"help/2020-11-05.json": [root, reply]}, channels=[{"id": "C0HELP", "name": "help"}]
    )
    for name, listed in (("named", "help"), ("listed", None)):
        dump = tmp_path / name
        dump.mkdir()
        body = {"channel_id": "C0HELP", "name": listed, "messages": [{**root, "slackdump_thread_replies": [reply]}]}
        (dump / "C0HELP.json").write_text(json.dumps(body))
        if listed is None:
            (dump / "channels.json").write_text(json.dumps([{"id": "C0HELP", "name": "help"}]))
        assert events(dump) == events(days), name
        assert names(dump) == names(days) == {("room", "C0HELP", "help")}


def names(path: Path) -> set[tuple[str, str, str]]:
    """Return the names that an export gives."""
    run = slack.read(path)
    list(run.records())
    return {(one.kind, one.id, one.name) for one in run.names}


def test_a_renamed_channel_is_the_same_channel(tmp_path: Path) -> None:
    """A newer export with another channel name gives the same events, and the new name."""
    days = [message(T0, thread_ts=T0, reply_count=1), message(T1, "U2", thread_ts=T0)]
    old = export(tmp_path / "old", {"desk/2020-11-05.json": days}, channels=[{"id": "C1", "name": "desk"}])
    new = export(tmp_path / "new", {"front/2020-11-05.json": days}, channels=[{"id": "C1", "name": "front"}])
    assert events(old) == events(new)
    assert (names(old), names(new)) == ({("room", "C1", "desk")}, {("room", "C1", "front")})


def test_authors_have_names(tmp_path: Path) -> None:
    """Authors have Slack's display name, else the full name, else the handle, valid since the profile changed; others
    have none.
    """
    users = [
        {"id": "U1", "name": "ada", "profile": {"display_name": "Ada", "real_name": "Ada L"}, "updated": 1_600_000_000},
        {"id": "U2", "name": "bo", "real_name": "Bo B", "profile": {"display_name": ""}},
        {"id": "U3", "name": "silent"}, {"id": "U9", "profile": "odd", "real_name": 7, "name": "odd"},
    ]  # fmt: skip
    days = {"a/2020-11-05.json": [message(T0, thread_ts=T0), message(T1, "U2", thread_ts=T0), message(T2, "U9")]}
    run = slack.read(export(tmp_path, days, users=users))
    list(run.records())
    found = {(one.kind, one.id): (one.name, one.valid_from) for one in run.names}
    assert {place: name for place, (name, _) in found.items()} == {
        ("contact", "U1"): "Ada", ("staff", "U2"): "Bo B", ("contact", "U9"): "odd",
    }  # fmt: skip
    assert found["contact", "U1"][1] == datetime(2020, 9, 13, 12, 26, 40, tzinfo=UTC)
    assert found["staff", "U2"][1] == slack_message.moment_of(T2)


def slackdump(folder: Path, root: dict[str, Any], reply: dict[str, Any]) -> tuple[Path, Path]:
    """Write a channel with a thread as slackdump's archive of chunks and as its database; return both paths."""
    user, channel = {"id": "U2", "name": "bea", "is_bot": False}, {"id": "C0HELP", "name": "help"}
    chunks = folder / "chunks"
    chunks.mkdir()
    for name, lines in {
        "C0HELP": [{"t": 5, "ts": 1, "id": "C0HELP", "ci": channel}, {"t": 0, "ts": 1, "id": "C0HELP", "n": 1, "m": [root]},
                   {"t": 1, "ts": 2, "id": "C0HELP", "r": T0, "n": 1, "p": root, "m": [reply]}],
        "users": [{"t": 3, "ts": 1, "n": 1, "u": [user]}], "channels": [{"t": 4, "ts": 1, "n": 1, "ch": [channel]}],
    }.items():  # fmt: skip
        body = "".join(json.dumps(line) + "\n" for line in lines).encode()
        (chunks / f"{name}.json.gz").write_bytes(gzip.compress(body))
    path = folder / "slackdump.sqlite"
    with closing(sqlite3.connect(path)) as con, con:
        con.execute("PRAGMA journal_mode=WAL")
        con.execute("CREATE TABLE MESSAGE (ID INTEGER, CHUNK_ID INTEGER, CHANNEL_ID TEXT, TS TEXT, DATA BLOB)")
        con.execute("CREATE TABLE S_USER (ID TEXT, CHUNK_ID INTEGER, IDX INTEGER, USERNAME TEXT, DATA BLOB)")
        con.execute("CREATE TABLE CHANNEL (ID TEXT, CHUNK_ID INTEGER, NAME TEXT, IDX INTEGER, DATA BLOB)")
        older = {**root, "text": "before it was edited", "reply_count": 0}
        con.executemany("INSERT INTO MESSAGE VALUES (?, ?, 'C0HELP', ?, ?)", [
            (1, 1, T0, json.dumps(older).encode()), (1, 2, T0, json.dumps(root).encode()), (2, 2, T1, json.dumps(reply).encode()),
        ])  # fmt: skip
        con.execute("INSERT INTO S_USER VALUES ('U2', 1, 0, 'bea', ?)", (json.dumps(user).encode(),))
        con.execute("INSERT INTO CHANNEL VALUES ('C0HELP', 1, 'help', 0, '{}')")
    return chunks, path


def test_slackdumps_archive_and_database_are_read(tmp_path: Path) -> None:
    """Chunks and database of slackdump give the export's events, with the newest version of each message and people's names."""
    reply = message(T1, "U2", thread_ts=T0)
    root = message(T0, thread_ts=T0, reply_count=1)
    days = export(tmp_path / "days", {"help/2020-11-05.json": [root, reply]})
    (days / "channels.json").write_text(json.dumps([{"id": "C0HELP", "name": "help"}]))
    wanted = events(days, keep_text=True)
    assert [event.type for event in wanted.values()] == ["message.received", "message.sent"]
    for path in slackdump(tmp_path, root, reply):
        assert importer_of(package_at(path))[0] == "slack"
        assert events(path, keep_text=True) == wanted
        run = slack.read(path)
        assert run.total_bytes > 0 and len(list(run.records())) == 2
        assert [(n.kind, n.id, n.name) for n in run.names] == [("room", "C0HELP", "help"), ("staff", "U2", "bea")]
        assert run.not_read == []


def test_a_damaged_database_of_slackdump_is_named(tmp_path: Path) -> None:
    """A truncated slackdump database, or one in a ZIP, is refused with its name."""
    _, path = slackdump(tmp_path, message(T0), message(T1))
    with zipfile.ZipFile(tmp_path / "e.zip", "w") as archive:
        archive.write(path, "slackdump.sqlite")
    path.write_bytes(path.read_bytes()[:5000])
    for name, reason in (("slackdump.sqlite", "cannot be read as slackdump's database"), ("e.zip", "unpack it")):
        with pytest.raises(BadInputError, match=f"{name}.*{reason}"):
            slack.read(tmp_path / name)


def test_an_enterprise_grid_is_one_export_of_many_workspaces(tmp_path: Path) -> None:
    """Channels of the same name in two workspaces differ: by their listed ids, else by workspace and name."""
    days = {
        f"{place}/2020-11-05.json": [message(T0)] for place in ("all-hands", "teams/eu/general", "teams/us/general")
    }
    path = export(tmp_path, days)
    (path / "org_users.json").write_text(json.dumps([{"id": "U1", "name": "ada", "is_bot": True}]))
    (path / "teams/eu/channels.json").write_text(json.dumps([{"id": "C0EU", "name": "general"}]))
    found = events(path)
    assert set(found) == {f"{place}:{T0}" for place in ("all-hands", "C0EU", "us/general")}
    assert {event.kind for event in found.values()} == {"bot"}
    with pytest.raises(BadInputError, match="one by one"):
        slack.read(
            export(
                tmp_path / "other", {"a/teams/eu/general/2020-11-05.json": [], "b/teams/eu/general/2020-11-05.json": []}
            )
        )


def test_names_in_a_zip_are_read_as_they_were_meant(tmp_path: Path) -> None:
    """In a ZIP, backslashes separate folders, and UTF-8 names without the flag are decoded."""
    day = json.dumps([message(T0)])
    with zipfile.ZipFile(tmp_path / "e.zip", "w") as archive:
        archive.writestr("channels.json", "[]")
        archive.writestr("помощь\\2020-11-05.json", day)
    body = bytearray((tmp_path / "e.zip").read_bytes())
    for mark, at in ((b"PK\x03\x04", 7), (b"PK\x01\x02", 9)):
        place = body.find(mark)
        while place >= 0:
            body[place + at] &= ~0x08 & 0xFF
            place = body.find(mark, place + 1)
    (tmp_path / "e.zip").write_bytes(body)
    assert list(events(tmp_path / "e.zip")) == [f"помощь:{T0}"]


def test_unknown_shapes_of_extras_add_nothing(tmp_path: Path) -> None:
    """Reactions, edits, files and counts of unknown shapes add nothing to the event."""
    odd = message(T0, reactions="many", edited=True, files={}, reply_count="3", latest_reply=7, blocks=None, root=[])
    assert facts(events(export(tmp_path, {"a/2020-11-05.json": [odd]}))[f"a:{T0}"]) == {}


def test_other_json_files_are_skipped(tmp_path: Path) -> None:
    """Canvases and lists are no messages; unread files are named and counted."""
    path = export(
        tmp_path, {"a/2020-11-05.json": [message(T0)], "a/canvas_in_the_conversation.json": [1], "lists.json": [""]}
    )
    assert list(events(path)) == [f"a:{T0}"]
    run = slack.read(path)
    list(run.records())
    assert run.not_read == ["a/canvas_in_the_conversation.json", "lists.json"]
    assert run.summary["left_out"] == {"files": 2}


def test_zip_and_folder_give_the_same(tmp_path: Path) -> None:
    """A ZIP, also with a top folder and macOS metadata, gives what the folder gives, and is unpacked nowhere."""
    days = {"b/2020-11-05.json": [message(T0)], "a/2020-11-05.json": [message(T1), message(T2, "U2", thread_ts=T1)]}
    folder = export(tmp_path / "export", days)
    for name, prefix in (("plain.zip", ""), ("nested.zip", "My export/")):
        with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(folder.rglob("*.json"), reverse=True):
                archive.write(path, prefix + path.relative_to(folder).as_posix())
            archive.writestr("__MACOSX/a/2020-11-05.json", b"\0\5")
        one, other = slack.read(folder), slack.read(tmp_path / name)
        assert list(one.records()) == list(other.records())
        assert one.summary == other.summary
        assert other.read_bytes == other.total_bytes == one.total_bytes
    assert sorted(p.name for p in tmp_path.iterdir()) == ["export", "nested.zip", "plain.zip"]


def test_a_damaged_zip_member_is_one_rejection(tmp_path: Path) -> None:
    """A damaged ZIP member is rejected with its name, and the others are read."""
    with zipfile.ZipFile(tmp_path / "e.zip", "w") as archive:
        archive.writestr("a/2020-11-05.json", json.dumps([message(T0)]))
        archive.writestr("a/2020-11-06.json", json.dumps([message(T3)]))
    body = (tmp_path / "e.zip").read_bytes().replace(T0.encode(), T1.encode())
    (tmp_path / "e.zip").write_bytes(body)
    assert [r.message.partition(":")[0] for r in rejections(tmp_path / "e.zip")] == ["a/2020-11-05.json"]


def test_a_day_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A day file larger than the limit is rejected by its stated size before it is unpacked."""
    monkeypatch.setattr(package, "MAX_FILE", 1000)
    with zipfile.ZipFile(tmp_path / "e.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/2020-11-05.json", " " * 5000)
    (refused,) = rejections(tmp_path / "e.zip")
    assert "5000 bytes" in refused.message


def test_a_path_that_is_no_export_is_refused(tmp_path: Path) -> None:
    """A missing path, a folder without channels, another file and several exports at once are refused by name."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "note.txt").write_text("hello")
    export(tmp_path / "runs/one", {"a/2020-11-05.json": []})
    export(tmp_path / "runs/two", {"a/2020-11-05.json": []})
    export(tmp_path / "deep/in/folders/one", {"a/2020-11-05.json": []})
    export(tmp_path / "deep/in/folders/two", {"C01.json": []})
    for name, reason in (
        ("none", "does not exist"),
        ("empty", "no Slack export"),
        ("note.txt", "no Slack export"),
        ("runs", "one by one"),
        ("deep", "one by one"),
    ):
        with pytest.raises(BadInputError, match=reason):
            slack.read(tmp_path / name)


def test_an_empty_export_is_fine(tmp_path: Path) -> None:
    """An export without messages gives none, without an error."""
    (export(tmp_path, {}) / "users.json").write_text("[]")
    assert importer_of(package_at(tmp_path)) == ("slack", "a Slack export with 0 files of messages")
    run = slack.read(tmp_path)
    assert list(run.records()) == []
    assert (run.summary["records"], run.summary["first"]) == (0, None)


@real
@pytest.mark.parametrize("name", ["slack-rcontributors", "slack-houstondatavis"])
def test_counts_of_real_exports(name: str) -> None:
    """Records, people's messages, threads, replies and channels of a real export equal the independent counts."""
    expected = json.loads((DATA / "COUNTS.json").read_text())[name]
    run = slack.read(DATA / name)
    items = list(run.records())
    assert not [item for item in items if isinstance(item, Rejection)]
    assert run.summary["records"] == expected["messages"]
    people = "human_messages (no bot_id, subtype none/thread_broadcast/me_message/file_share)"
    assert run.summary["people_messages"] == expected[people]
    assert run.summary["replies"] == expected["thread_replies"]
    assert run.summary["channels"] == expected["channels_with_messages"]
    assert str(run.summary["first"])[:19] == expected["first"][:19].replace(" ", "T")
    assert str(run.summary["last"])[:19] == expected["last"][:19].replace(" ", "T")
    # 360 roots are flagged; two more have replies but no flag.
    assert run.summary["threads"] == expected["thread_roots"] + (2 if name == "slack-rcontributors" else 0)
    per_channel: dict[str, int] = {}
    named = {one.id: one.name for one in run.names if one.kind == "room"}
    for item in items:
        assert isinstance(item, Record)
        room = named.get(str(item.event.channel_id), str(item.event.channel_id))  # some folders are in no list
        per_channel[room] = per_channel.get(room, 0) + 1
    assert per_channel == expected["per_channel"]


@real
def test_first_replies_of_a_real_export() -> None:
    """First replies by other people are as many, and as late, as the independent count says."""
    expected = json.loads((DATA / "COUNTS.json").read_text())["slack-rcontributors"]
    found = events(DATA / "slack-rcontributors")
    first: dict[str, float] = {}
    for event in found.values():
        root = found.get(event.conversation_id or "")
        if event.type == "message.sent" and event.kind == "person" and root is not None:
            seconds = (event.time - root.time).total_seconds()
            first[root.id or ""] = min(seconds, first.get(root.id or "", seconds))
    assert len(first) == expected["threads_with_reply_by_other_person"]
    assert round(statistics.median(first.values()), 3) == expected["first_reply_seconds_median"]
    assert round(statistics.mean(first.values()), 2) == expected["first_reply_seconds_mean"]


@real
@pytest.mark.parametrize("backwards", [False, True])
def test_overlapping_snapshots_settle_the_same(backwards: bool) -> None:
    """Nineteen overlapping snapshots give 80 messages in their newest state, in either order of import."""
    expected = json.loads((DATA / "COUNTS.json").read_text())["slack-olake"]
    runs = sorted((DATA / "slack-olake").glob("run-*"))
    newest: dict[str, Event] = {}
    for run in runs:
        for event in events(run).values():
            newest[str(event.id)] = event
    kept: dict[str, Event] = {}
    corrections = records = 0
    for run in reversed(runs) if backwards else runs:
        for event in events(run).values():
            records += 1
            old = kept.get(str(event.id))
            if old is None or (event.revision or 0) > (old.revision or 0):
                corrections += old is not None
                kept[str(event.id)] = event
    assert (len(kept), records) == (expected["messages"], expected["message_records_over_all_snapshots"])
    assert sum(e.kind == "person" for e in kept.values()) == 76
    assert sum(e.conversation_id not in (None, e.id) for e in kept.values()) == expected["thread_replies"]
    assert corrections == (0 if backwards else expected["records_that_changed_between_snapshots"])
    assert kept == newest
