"""Importers of chats: every messenger's export gives the same story."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from hubbub.errors import BadInputError, BadQuestionError
from hubbub.ingest.sources.catalogue import IMPORTERS, importer_of, recognised
from hubbub.ingest.sources.importer import Import, Options
from hubbub.ingest.sources.json_export import record_of
from hubbub.ingest.sources.package import package_at
from hubbub.ingest.sources.summary import Record
from hubbub.model.event import Event, Rejection
from tests.data import CHATS
from tests.unit.ingest.sources.exports import ANSWER, ASKED, EXPORTS, GUEST, HOTEL, START, WAIT

each_kind = pytest.mark.parametrize("kind", EXPORTS)
NO_IDS = ("whatsapp", "messenger", "instagram")
"""Messengers whose people have no id but their name."""


def written(folder: Path, kind: str, body: bytes | None = None) -> Path:
    """Write an export into a folder; return the file."""
    name, given = EXPORTS[kind]
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(given if body is None else body)
    return path


def opened(kind: str, path: Path, **options: Any) -> Import:
    """Open an export; times without a zone are in UTC."""
    given = Options(**options)
    if kind == "whatsapp":
        given = replace(given, zone=ZoneInfo("UTC"), day_first=True)
    return IMPORTERS[kind].load().open(package_at(path), given)


def events(kind: str, path: Path, **options: Any) -> list[Event]:
    """Return the events of an export; fail on any rejection."""
    items = list(opened(kind, path, **options).records())
    assert not [item for item in items if isinstance(item, Rejection)]
    return [item.event for item in items if isinstance(item, Record)]


@each_kind
def test_every_export_gives_the_same_events(tmp_path: Path, kind: str) -> None:
    """A notice, a question and an answer have the right times, kinds, sides, texts, conversation and names."""
    path = written(tmp_path, kind)
    run = opened(kind, tmp_path, keep_text=True)
    found = sorted(
        (item.event for item in run.records() if isinstance(item, Record)), key=lambda e: (e.time, e.kind != "system")
    )
    notice, asked, answer = found
    assert (notice.kind, notice.contact_id, notice.staff_id) == ("system", None, None)
    assert [(e.type, e.kind, e.time) for e in (asked, answer)] == [
        ("message.received", "person", START), ("message.sent", "person", START + WAIT),
    ]  # fmt: skip
    assert asked.contact_id == answer.contact_id != answer.staff_id
    assert asked.conversation_id == answer.conversation_id is not None
    texts = [json.loads(bytes(e.attributes)).get("text", "").strip() for e in (asked, answer)]
    assert texts == [ASKED, ANSWER]
    assert {e.channel for e in found} == {"email" if kind == "mail" else kind} == {e.source for e in found}
    called = {name.id: name.name for name in run.names if name.kind in ("contact", "staff")}
    known = {} if kind in NO_IDS else {asked.contact_id: GUEST, answer.staff_id: HOTEL}
    assert called == known
    assert (run.summary["records"], run.summary["people_messages"], run.summary["system_messages"]) == (3, 2, 1)
    assert (run.summary["threads"], run.read_bytes) == (1, run.total_bytes) == (1, path.stat().st_size)


@each_kind
def test_the_teams_side_is_given_by_name(tmp_path: Path, kind: str) -> None:
    """With --staff that person sends and all others are received, whoever began; an unknown name is refused."""
    path = written(tmp_path, kind)
    (asked, answer) = [e for e in events(kind, path, staff=(f" {GUEST.upper()}",)) if e.kind == "person"]
    assert (asked.type, answer.type) == ("message.sent", "message.received")
    assert (asked.staff_id, asked.contact_id) == (asked.staff_id or "-", answer.contact_id)
    with pytest.raises(BadInputError, match="--staff 'nobody here'"):
        opened(kind, path, staff=("Nobody here",))


@each_kind
def test_a_team_that_is_named_later_corrects_the_sides(tmp_path: Path, kind: str) -> None:
    """The same export with --staff has the same ids and higher revisions, so that it replaces the earlier import."""
    path = written(tmp_path, kind)
    without, named = (
        {e.id: e for e in events(kind, path, **options)} for options in ({}, {"staff": (HOTEL,)})
    )  # fmt: skip
    assert without.keys() == named.keys()
    assert all((named[id_].revision or 0) > (event.revision or 0) for id_, event in without.items())


@each_kind
def test_texts_are_left_out_unless_requested(tmp_path: Path, kind: str) -> None:
    """Without --keep-text no attribute holds any text."""
    told = b"".join(bytes(e.attributes) for e in events(kind, written(tmp_path, kind)))
    assert ANSWER not in told.decode() and "Bitte" not in told.decode()


@pytest.mark.parametrize("kind", ["telegram", "discord", "mattermost", "teams"])
def test_edits_and_reactions_raise_the_revision(tmp_path: Path, kind: str) -> None:
    """An edited or reacted-to message has a higher revision than before."""
    found = {str(e.id): e for e in events(kind, written(tmp_path, kind))}
    answer = next(e for e in found.values() if e.type == "message.sent")
    assert json.loads(bytes(answer.attributes)) == {"edited": True, "reactions": 2, "files": 1}
    assert answer.revision == int((START + 2 * WAIT).timestamp() * 1_000_000) * 1000 + 2 * 2


@each_kind
def test_each_export_is_recognised_by_one_importer(tmp_path: Path, kind: str) -> None:
    """File, folder and ZIP of every export are recognised, by one importer alone."""
    written(tmp_path / kind, kind)
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.write(tmp_path / kind / EXPORTS[kind][0], EXPORTS[kind][0])
    for path in (tmp_path / kind, tmp_path / kind / EXPORTS[kind][0], tmp_path / "all.zip"):
        assert importer_of(package_at(path))[0] == kind
        assert len(events(kind, path)) == 3


@each_kind
def test_a_byte_order_mark_changes_nothing(tmp_path: Path, kind: str) -> None:
    """A file with a byte order mark is recognised and gives the same events."""
    marked = written(tmp_path / "marked", kind, b"\xef\xbb\xbf" + EXPORTS[kind][1])
    assert list(recognised(package_at(marked))) == [kind]
    assert events(kind, marked) == events(kind, written(tmp_path / "plain", kind))


def test_a_folder_of_several_kinds_is_refused(tmp_path: Path) -> None:
    """A folder with two kinds of exports is refused, and the error names both importers."""
    written(tmp_path, "telegram"), written(tmp_path, "whatsapp")
    with pytest.raises(BadInputError, match=r"hubbub import whatsapp reads.*hubbub import telegram reads.*Choose one"):
        importer_of(package_at(tmp_path))
    assert set(recognised(package_at(tmp_path))) == {"telegram", "whatsapp"}


@each_kind
def test_a_file_of_another_kind_is_refused_by_name(tmp_path: Path, kind: str) -> None:
    """Each importer refuses the file of another kind, and an empty folder, by name."""
    (tmp_path / "empty").mkdir()
    for path in (written(tmp_path, "telegram" if kind != "telegram" else "discord"), tmp_path / "empty"):
        with pytest.raises(BadInputError, match=path.name):
            opened(kind, path)
    if kind != "whatsapp":
        with pytest.raises(BadQuestionError, match="--day-first"):
            opened(kind, written(tmp_path, kind), day_first=True)


# --- rooms


def room(*rows: tuple[int, str, int | None]) -> bytes:
    """Return a Telegram group from ids, authors and the message each answers."""
    return json.dumps({
        "name": "Gäste", "type": "private_group", "id": 9, "messages": [
            {"id": id_, "type": "message", "date_unixtime": str(int(START.timestamp()) + 60 * id_), "from": who, "from_id": who,
             "text": "x", **({"reply_to_message_id": to} if to else {})}
            for id_, who, to in rows
        ],
    }).encode()  # fmt: skip


def test_answers_make_threads_of_a_room(tmp_path: Path) -> None:
    """Without staff, messages that answer each other are one conversation named after the first; others have none."""
    rows = ((1, "ada", None), (2, "bob", None), (3, "bob", 1), (4, "ada", 3), (5, "eve", 99))
    found = events("telegram", written(tmp_path, "telegram", room(*rows)))
    assert [(e.type, e.conversation_id, e.contact_id, e.staff_id) for e in found] == [
        ("message.received", "9:1", "ada", None),
        ("message.received", None, "bob", None),
        ("message.sent", "9:1", "ada", "bob"),
        ("message.received", "9:1", "ada", None),
        ("message.sent", "9:99", None, "eve"),
    ]


def test_with_a_team_a_room_is_a_conversation(tmp_path: Path) -> None:
    """With staff, messages outside threads belong to the room's conversation, and staff messages are sent."""
    rows = ((1, "ada", None), (2, "bob", None), (3, "bob", 1))
    run = opened("telegram", written(tmp_path, "telegram", room(*rows)), staff=("bob",))
    found = [item.event for item in run.records() if isinstance(item, Record)]
    assert [(e.type, e.conversation_id) for e in found] == [
        ("message.received", "9:1"), ("message.sent", "9"), ("message.sent", "9:1"),
    ]  # fmt: skip
    assert [(n.kind, n.id, n.name) for n in run.names] == [("room", "9", "Gäste")]


def test_answers_in_a_circle_end(tmp_path: Path) -> None:
    """Messages that answer each other in a circle, or themselves, are read."""
    found = events("telegram", written(tmp_path, "telegram", room((1, "a", 2), (2, "b", 1), (3, "c", 3))))
    assert [e.conversation_id for e in found[:2]] == ["9:1", "9:1"]


# --- single messengers


def test_telegram_samples_give_their_known_messages() -> None:
    """Telegram's single and batch exports give the known authors, times and texts."""
    known = json.loads((CHATS / "telegram.json").read_text())
    for name in ("telegram_single.json", "telegram_batch.json"):
        found = events("telegram", CHATS / name, keep_text=True)
        assert [(e.time.strftime("%Y-%m-%dT%H:%M:%S"), e.contact_id if e.staff_id is None else e.staff_id) for e in found] == [
            (one["timestamp"], one["author"]) for one in known
        ]  # fmt: skip
        texts = [json.loads(bytes(e.attributes))["text"] for e in found]
        assert texts == [one["message"].replace(": https", ":https") for one in known]


def test_an_old_telegram_export_needs_a_zone(tmp_path: Path) -> None:
    """Telegram exports from before 2022 have only local times: without --zone each message is refused with advice."""
    body = room((1, "ada", None)).replace(
        b'"date_unixtime": "1709283660"', b'"date": "2024-03-01T10:01:00", "x": "date_unixtime"'
    )
    path = written(tmp_path, "telegram", body)
    (refused,) = opened("telegram", path).records()
    assert isinstance(refused, Rejection) and "--zone" in refused.message
    (event,) = events("telegram", path, zone=ZoneInfo("Europe/Berlin"))
    assert event.time.timestamp() == START.timestamp() + 60


def test_the_other_side_of_a_bot_is_the_bot(tmp_path: Path) -> None:
    """The other side of a bot chat has the kind bot."""
    found = events(
        "telegram", written(tmp_path, "telegram", EXPORTS["telegram"][1].replace(b"personal_chat", b"bot_chat"))
    )
    assert [e.kind for e in found] == ["system", "bot", "person"]


def test_an_incomplete_discord_export_has_a_rejection(tmp_path: Path) -> None:
    """A file that states more messages than it holds has a rejection, and its messages are read."""
    body = EXPORTS["discord"][1].replace(b'"messageCount": 3', b'"messageCount": 5')
    items = list(opened("discord", written(tmp_path, "discord", body)).records())
    assert [i.code for i in items if isinstance(i, Rejection)] == ["unreadable_file"]
    assert sum(isinstance(i, Record) for i in items) == 3


def test_an_encrypted_messenger_chat_is_read(tmp_path: Path) -> None:
    """The format of end-to-end encrypted chats gives the same people, times and conversation."""
    body = json.dumps({
        "participants": [GUEST, HOTEL], "threadName": "Jürgen_12", "messages": [
            {"isUnsent": False, "media": [], "reactions": [], "senderName": who, "text": text, "timestamp": time, "type": "text"}
            for who, text, time in ((HOTEL, ANSWER, 1709283900000), (GUEST, ASKED, 1709283600000))
        ],
    }).encode()  # fmt: skip
    asked, answer = events("messenger", written(tmp_path, "messenger", body), keep_text=True)
    assert (asked.contact_id, answer.staff_id, asked.conversation_id) == (GUEST, HOTEL, "Jürgen_12")
    assert (asked.time, answer.time) == (START, START + WAIT)


def test_the_personal_export_of_teams_is_read(tmp_path: Path) -> None:
    """The personal export of Teams and Skype is read, with calls as notices."""
    said = [
        {"id": id_, "originalarrivaltime": f"2024-03-01T{time}Z", "messagetype": kind, "from": f"8:live:{who}", "content": "x"}
        for id_, time, kind, who in (
            ("3", "09:05:00.1", "RichText", "me"), ("2", "09:00:00", "Text", "ju"), ("1", "08:00:00", "Event/Call", "ju"),
        )
    ]  # fmt: skip
    body = {
        "userId": "8:live:me",
        "exportDate": "2024-03-02T00:00",
        "conversations": [{"id": "8:live:ju", "displayName": GUEST, "MessageList": said}],
    }
    found = events("teams", written(tmp_path, "teams", json.dumps(body).encode()))
    assert [(e.kind, e.type, e.conversation_id) for e in found] == [
        ("system", "message.received", None), ("person", "message.received", "8:live:ju"), ("person", "message.sent", "8:live:ju"),
    ]  # fmt: skip


# --- mail


def test_an_address_is_one_person_under_any_name(tmp_path: Path) -> None:
    """One address under two names is one person, so that a customer's second mail is no reply; the newest name is kept."""
    mails = [("1", "Jurgen <j@x.org>", "", ""), ("2", '"Jurgen K." <J@x.org>', "1", ""), ("3", "Desk <d@y.org>", "2", ""),
             ("4", "Desk <d@y.org>", "1", "Auto-Submitted: auto-replied\n")]  # fmt: skip
    for n, sender, to, more in mails:
        answered = f"In-Reply-To: <{to}@x>\n" if to else ""
        (tmp_path / f"{n}.eml").write_text(
            f"{more}From: {sender}\nDate: Fri, 1 Mar 2024 0{n}:00:00 +0000\nMessage-ID: <{n}@x>\n{answered}\nhi\n"
        )
    run = opened("mail", tmp_path)
    found = [item.event for item in run.records() if isinstance(item, Record)]
    assert [(e.type, e.kind, e.contact_id, e.staff_id, e.conversation_id) for e in found] == [
        ("message.received", "person", "j@x.org", None, "<1@x>"),
        ("message.received", "person", "j@x.org", None, "<1@x>"),
        ("message.sent", "person", "j@x.org", "d@y.org", "<1@x>"),
        ("message.sent", "auto", "j@x.org", None, "<1@x>"),
    ]
    assert {(n.kind, n.id, n.name) for n in run.names} == {
        ("contact", "j@x.org", "Jurgen K."),
        ("staff", "d@y.org", "Desk"),
    }
    sides = [e.type for e in events("mail", tmp_path, staff=("@X.org",))]
    assert sides == ["message.sent", "message.sent", "message.received", "message.received"]


WRITERS: dict[str, tuple[bytes, str]] = {
    "ISO-2022-JP": (b"=?ISO-2022-JP?B?GyRCOzNFRBsoQg==?= <y@x.org>", "山田"),
    "KOI8-R": (b"=?koi8-r?B?6dfBzg==?= <y@x.org>", "Иван"),
    "GB18030": (b"=?gb18030?B?zfXOsA==?= <y@x.org>", "王伟"),
    "two words that part a character": (b"=?utf-8?B?5bGx55Q=?=\n =?utf-8?B?sA==?= <y@x.org>", "山田"),
    "quoted, with a comma": (b'"=?utf-8?q?M=C3=BCller=2C_Eva?=" <y@x.org>', "Müller, Eva"),
    "with a language (RFC 2231)": (b"=?iso-8859-1*de?Q?J=FCrgen?= <y@x.org>", "Jürgen"),
    "bytes of UTF-8": ("Jürgen <y@x.org>".encode(), "Jürgen"),
    "bytes of Windows-1252": ("Jürgen “Jo” <y@x.org>".encode("cp1252"), "Jürgen “Jo”"),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_a_mail_in_another_charset(tmp_path: Path, writer: str) -> None:
    """Sender names in encoded words of any charset (RFC 2047), or in raw bytes, are decoded, and the address is the
    person.

    The text is in the charset of its header, also by RFC 2231; an attachment with an encoded name is no text. A file
    may begin with a byte order mark and have Windows line ends.
    """
    sender, name = WRITERS[writer]
    mail = (
        b"From: " + sender + b"\nDate: Fri, 1 Mar 2024 10:00:00 +0100 (Mitteleurop\xe4ische Zeit)\nMessage-ID: <1@x>\n"
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain; name*=utf-8''n%C3%A4.txt\n"
        b"Content-Disposition: attachment; filename*0*=utf-8''n%C3%A4; filename*1=.txt\n\nfile\n"
        b"--b\nContent-Type: text/plain; charset*=us-ascii'ru'koi8-r\nContent-Transfer-Encoding: 8bit\n\n\xf0\xd2\xc9\n--b--\n"
    )
    (tmp_path / "1.eml").write_bytes(b"\xef\xbb\xbf" + mail.replace(b"\n", b"\r\n"))
    (tmp_path / "i.mbox").write_bytes(b"\xef\xbb\xbfFrom y@x.org Fri Mar  1 10:00:00 2024\n" + mail)
    for file in ("1.eml", "i.mbox"):
        assert recognised(package_at(tmp_path / file)) == {"mail": "mail"}
        run = opened("mail", tmp_path / file, keep_text=True)
        (item,) = run.records()
        assert isinstance(item, Record)
        assert (item.event.contact_id, f"{item.event.time:%H:%M %z}") == ("y@x.org", "10:00 +0100")
        assert json.loads(bytes(item.event.attributes))["text"].strip() == "При"
        assert [(one.id, one.name) for one in run.names] == [("y@x.org", name)]


def test_a_maildir_is_read(tmp_path: Path) -> None:
    """Files without an extension in `cur` and `new` are mails; files there that are no mail are named."""
    for name in ("cur/1.host:2,S", "new/2.host", ".Sent/cur/3.host:2,S"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"From: a@x\nDate: Fri, 1 Mar 2024 10:00:00 +0000\nMessage-ID: <{name[-3:]}@x>\n\nhi\n")
    (tmp_path / "new/dovecot").write_text("12 34\n")
    run = opened("mail", tmp_path)
    assert sum(isinstance(item, Record) for item in run.records()) == 3
    assert run.not_read == ["new/dovecot"]


def test_a_mail_without_date_or_sender_is_refused_by_its_line(tmp_path: Path) -> None:
    """Mails without a date or sender are rejected with file, line and header; a complete one beside them is read."""
    start = "From a@x Fri Mar  1 10:00:00 2024\n"
    date = "Date: Fri, 1 Mar 2024 10:00:00 +0000"
    body = f"{start}From: a@x\nDate: soon\n\nhi\n{start}{date}\n\nhi\n{start}From: a@x\n{date}\n\nhi\n"
    items = list(opened("mail", written(tmp_path, "mail", body.encode())).records())
    refused = [(i.code, i.field, i.message.partition(": ")[0]) for i in items if isinstance(i, Rejection)]
    assert refused == [("invalid_time", "Date", "Inbox.mbox"), ("missing_field", "From", "Inbox.mbox line 6")]
    assert len(items) == 3


class Who(msgspec.Struct):
    """A part of a record."""

    id: str


class Line(msgspec.Struct):
    """A record."""

    at: int
    who: Who | None = None


def test_a_refused_record_names_its_field() -> None:
    """A missing or wrong field is named with its path in the record."""
    for value, code, field in (
        ({}, "missing_field", "at"), ({"at": "soon"}, "invalid_field", "at"), ([], "invalid_event", None),
        ({"at": 1, "who": {}}, "missing_field", "who.id"), ({"at": 1, "who": {"id": 7}}, "invalid_field", "who.id"),
    ):  # fmt: skip
        refused = record_of(Line, value, "a.json line 1")
        assert isinstance(refused, Rejection)
        assert (refused.code, refused.field) == (code, field)
        assert refused.message.startswith("a.json line 1: ")
