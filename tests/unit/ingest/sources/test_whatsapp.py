"""WhatsApp and Signal chats as text: every form of header, both orders of dates, and lines that are no message."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubbub.errors import BadInputError, BadQuestionError
from hubbub.ingest.sources.chat_importer import ChatImport
from hubbub.ingest.sources.chat_lines import header_of
from hubbub.ingest.sources.chats import Chat, Message
from hubbub.ingest.sources.importer import Options
from hubbub.ingest.sources.package import package_at
from hubbub.ingest.sources.summary import Record
from hubbub.ingest.sources.whatsapp import SIGNAL, WHATSAPP
from hubbub.model.event import Event, Rejection
from tests.data import CHATS

UTC_ZONE = ZoneInfo("UTC")
SAMPLES = sorted(CHATS.glob("test_*.txt"))


def read(path: Path, zone: str = "UTC", **options: object) -> ChatImport:
    """Open a chat."""
    return WHATSAPP.open(package_at(path), Options(zone=ZoneInfo(zone), **options))  # type: ignore[arg-type]


def events(path: Path, zone: str = "UTC", **options: object) -> list[Event]:
    """Return the events of a chat; fail on any rejection."""
    items = list(read(path, zone, **options).records())
    assert not [item for item in items if isinstance(item, Rejection)]
    return [item.event for item in items if isinstance(item, Record)]


def messages(path: Path, **options: object) -> list[Message]:
    """Return the people's messages of a chat."""
    package = package_at(path)
    (chat,) = WHATSAPP.read(package, list(package.sizes), Options(zone=UTC_ZONE, **options))  # type: ignore[arg-type]
    assert isinstance(chat, Chat)
    return [m for m in chat.messages if isinstance(m, Message) and m.kind == "person"]


def chat(folder: Path, text: str, name: str = "WhatsApp Chat with Ada.txt") -> Path:
    """Write a chat and return its path."""
    path = folder / name
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize("path", SAMPLES, ids=lambda p: p.stem)
def test_samples_give_their_known_messages(path: Path) -> None:
    """Five header forms of one chat give its six known messages, authors, times and texts."""
    known = json.loads((CHATS / "whatsapp.json").read_text())
    found = [
        (m.time.replace(tzinfo=None).isoformat(), m.author, (m.text or "").replace("\n", " ")) for m in messages(path)
    ]
    assert sorted(found) == sorted((one["timestamp"], one["author"], one["message"]) for one in known)


def test_a_signal_text_is_a_chat_of_signal() -> None:
    """Signal's text is recognised by its header, and has its own channel."""
    path = CHATS / "signal.txt"
    assert (WHATSAPP.recognises(package_at(path)), SIGNAL.recognises(package_at(path))) == ("", "a Signal chat (text)")
    found = [i for i in SIGNAL.open(package_at(path), Options(zone=UTC_ZONE)).records() if isinstance(i, Record)]
    assert [(i.event.time.replace(tzinfo=None).isoformat(), i.event.channel) for i in found] == [
        (one["timestamp"], "signal") for one in reversed(json.loads((CHATS / "signal.json").read_text()))
    ]  # fmt: skip


# --- the law: a chat reads back the same in every header form

DATES: dict[str, Callable[[datetime, str], str]] = {
    "dmy": lambda t, mark: f"{t.day}{mark}{t.month}{mark}{t.year % 100:02}",
    "dd.mm.yyyy": lambda t, mark: f"{t.day:02}{mark}{t.month:02}{mark}{t.year}",
    "mdy": lambda t, mark: f"{t.month}{mark}{t.day}{mark}{t.year % 100:02}",
    "mm.dd.yyyy": lambda t, mark: f"{t.month:02}{mark}{t.day:02}{mark}{t.year}",
    "yyyy.mm.dd": lambda t, mark: f"{t.year}{mark}{t.month:02}{mark}{t.day:02}",
}


def twelve(t: datetime) -> int:
    """Return the hour on a twelve-hour clock."""
    return t.hour % 12 or 12


TIMES: dict[str, Callable[[datetime], str]] = {
    "24": lambda t: f"{t:%H:%M}",
    "24.": lambda t: f"{t.hour}.{t:%M}",
    "AM": lambda t: f"{twelve(t)}:{t:%M} {'AM' if t.hour < 12 else 'PM'}",
    "am": lambda t: f"{twelve(t)}:{t:%M}\u202f{'am' if t.hour < 12 else 'pm'}",
    "a. m.": lambda t: f"{twelve(t):02}:{t:%M} {'a' if t.hour < 12 else 'p'}.\u00a0m.",
    "午後": lambda t: f"{'午前' if t.hour < 12 else '午後'}{twelve(t)}:{t:%M}",
}
BRACKETS: dict[str, Callable[[str, str], str]] = {
    "phone": lambda day, time: f"{day}, {time} - ",
    "phone without comma": lambda day, time: f"{day} {time} - ",
    "iPhone": lambda day, time: f"[{day}, {time}] ",
    "iPhone with marks": lambda day, time: f"\u200e[{day}, {time}] ",
}
FORMS = list(product(DATES, "/.-", TIMES, BRACKETS))


def test_the_law_runs_over_360_forms() -> None:
    """The law below runs over 360 forms, more than the 96 that phones are known to write."""
    assert len(FORMS) == 360


letters = st.characters(blacklist_categories=("Cc", "Cs", "Cf", "Zl", "Zp"), blacklist_characters=':"“”„«»「」~')
authors = st.text(letters, min_size=1, max_size=12).map(lambda s: " ".join(s.split())).filter(bool)
bodies = (
    st.lists(st.text(st.characters(blacklist_categories=("Cc", "Cs", "Cf")), max_size=30), min_size=1, max_size=3)
    .map("\n".join)
    .filter(lambda t: bool(t.strip(" \n")) and bool(t.split("\n")[0].strip(" ")))
    .filter(lambda t: all(header_of(line) is None for line in t.split("\n")))
)
moments = st.integers(0, 16 * 365 * 24 * 60).map(lambda n: datetime(2010, 1, 1, tzinfo=UTC) + timedelta(minutes=n))


@settings(max_examples=150)
@given(
    said=st.lists(st.tuples(moments, authors, bodies), min_size=1, max_size=6).map(
        lambda some: sorted(some, key=lambda m: m[0])
    ),
    form=st.sampled_from(FORMS),
)
def test_a_chat_reads_back_the_same_in_every_form(
    tmp_path_factory: pytest.TempPathFactory, said: list[tuple[datetime, str, str]], form: tuple[str, str, str, str]
) -> None:
    """Any chat in any header form gives its times, authors and texts, with distinct ids."""
    date, mark, time, bracket = form
    lines = [BRACKETS[bracket](DATES[date](t, mark), TIMES[time](t)) + f"{who}: {text}" for t, who, text in said]
    path = chat(tmp_path_factory.mktemp("chat"), "\r\n".join(lines))
    found = messages(path, day_first=date.startswith("d"))
    assert [(m.time, m.name, m.text) for m in found] == [(t, who, text.rstrip("\n")) for t, who, text in said]
    assert len({m.id for m in found}) == len(found)
    assert all(m.id.startswith(f"{t:%Y-%m-%dT%H:%M}:00:") for m, (t, _, _) in zip(found, said, strict=True))


# --- ambiguous dates


@pytest.mark.parametrize(
    ("days", "order"),
    [
        (("13/1/19", "14/1/19"), (13, 1)),  # no month has that number
        (("1/13/19", "1/14/19"), (13, 1)),
        (("30/11/19", "1/12/19"), (30, 11)),
        (("1/11/19", "2/1/20"), None),
        (("1/2/19", "2/1/19", "3/3/19"), (2, 1)),  # with the day first the second would go back by a month
        (("5/5/19",), None),
        (("7/8/25", "7/9/25"), None),
    ],
)
def test_the_order_of_dates_is_inferred_or_refused(
    tmp_path: Path, days: tuple[str, ...], order: tuple[int, int] | None
) -> None:
    """A date order is inferred if the other is impossible or goes back in time; an open one is refused with the options."""
    path = chat(tmp_path, "\n".join(f"{day}, 10:00 - Ada: hi" for day in days))
    if order is None:
        with pytest.raises(BadQuestionError, match="--day-first or --month-first"):
            events(path)
        first, second = int(days[0].split("/")[0]), int(days[0].split("/")[1])
        assert (events(path, day_first=True)[0].time.day, events(path, day_first=False)[0].time.month) == (first, first)
        assert events(path, day_first=True)[0].time.month == second
    else:
        assert (events(path)[0].time.day, events(path)[0].time.month) == order


def test_a_zone_must_be_given(tmp_path: Path) -> None:
    """Times without a zone are refused with --zone."""
    with pytest.raises(BadQuestionError, match="--zone"):
        WHATSAPP.open(package_at(chat(tmp_path, "31/12/19, 10:00 - Ada: hi")), Options())


def test_times_in_a_repeated_hour_go_on(tmp_path: Path) -> None:
    """When summer time ends, a later line in the repeated hour has a later time."""
    times = ("2:10", "2:50", "2:05", "2:40", "3:00")
    path = chat(tmp_path, "\n".join(f"27/10/19, {time} - Ada: hi" for time in times))
    found = [event.time.astimezone(UTC) for event in events(path, "Europe/Berlin")]
    assert [t.strftime("%H:%M") for t in found] == ["00:10", "00:50", "01:05", "01:40", "02:00"]


# --- locales, written by hand as phones there do

LOCALES: dict[str, tuple[str, str]] = {
    "de": (
        "WhatsApp Chat mit Jürgen.txt",
        "31.12.19, 22:01 - Nachrichten und Anrufe sind Ende-zu-Ende-verschlüsselt.\n"
        "31.12.19, 22:01 - Jürgen: Guten Rutsch!\nund ein gutes: neues Jahr\n"
        "31.12.19, 22:05 - Hotel Adler: <Medien ausgeschlossen>\n",
    ),
    "es": (
        "Chat de WhatsApp con Jürgen.txt",
        "31/12/2019 10:01 p. m. - Los mensajes y las llamadas están cifrados de extremo a extremo.\n"
        "31/12/2019 10:01 p. m. - Jürgen: Guten Rutsch!\nund ein gutes: neues Jahr\n"
        "31/12/2019 10:05 p. m. - Hotel Adler: <Multimedia omitido>\n",
    ),
    "ja": (
        "WhatsAppチャット - Jürgen.txt",
        "[2019/12/31 22:01:00] Jürgen: \u200eメッセージと通話はエンドツーエンド暗号化されています。\n"
        "[2019/12/31 22:01:00] Jürgen: Guten Rutsch!\nund ein gutes: neues Jahr\n"
        "\u200e[2019/12/31 22:05:00] Hotel Adler: \u200e<添付ファイル: 00000003-PHOTO.jpg>\n",
    ),
    "tr": (
        "Jürgen ile WhatsApp Sohbeti.txt",
        "31.12.2019 ÖS 10:01 - Mesajlar ve aramalar uçtan uca şifrelidir.\n"
        "31.12.2019 ÖS 10:01 - Jürgen: Guten Rutsch!\nund ein gutes: neues Jahr\n"
        "31.12.2019 ÖS 10:05 - Hotel Adler: <Medya dahil edilmedi>\n",
    ),
    "ar": (
        "محادثة واتساب مع Jürgen.txt",
        "٣١\u200f/١٢\u200f/٢٠١٩، ١٠:٠١ م - الرسائل والمكالمات مشفرة تمامًا بين الطرفين.\n"
        "٣١\u200f/١٢\u200f/٢٠١٩، ١٠:٠١ م - Jürgen: Guten Rutsch!\nund ein gutes: neues Jahr\n"
        "٣١\u200f/١٢\u200f/٢٠١٩، ١٠:٠٥ م - Hotel Adler: <تم استبعاد الوسائط>\n",
    ),
    "fi": (
        "WhatsApp-keskustelu.txt",
        "[31.12.2019 klo 22.01.00] Jürgen: \u200eViestit ja puhelut ovat täysin salattuja.\n"
        "[31.12.2019 klo 22.01.00] Jürgen: Guten Rutsch!\nund ein gutes: neues Jahr\n"
        "\u200e[31.12.2019 klo 22.05.00] Hotel Adler: \u200e<liite: 00000003-PHOTO.jpg>\n",
    ),
}  # fmt: skip


HEADERS = {
    "Turkish, 12 hours": "31.12.2019 ÖS 10:01 - ", "Turkish": "31.12.2019 22:01 - ", "Korean": "2019. 12. 31. 오후 10:01 - ",
    "Hungarian": "2019. 12. 31. du. 10:01 - ", "Chinese": "2019/12/31 晚上10:01 - ", "Thai, Buddhist era": "31/12/2562 22:01 - ",
    "Arabic": "٣١\u200f/١٢\u200f/٢٠١٩، ١٠:٠١ م - ", "Arabic, European digits": "31\u200f/12\u200f/2019, 10:01 م - ",
    "Arabic, iPhone": "\u200f[31\u200f/12\u200f/2019 \u200f10:01:00 م] ", "Persian": "۲۰۱۹/۱۲/۳۱،\u200f ۱۰:۰۱ ب.ظ. - ",
    "Hebrew": "31.12.2019, 22:01 - ", "Hebrew, 12 hours": "31.12.2019, 10:01 אחה״צ - ",
    "Hebrew, iPhone": "\u200f[31.12.2019, 22:01:00] ",
    "Portuguese": "31/12/2019 às 22:01 - ", "Portuguese, 12 hours": "31/12/2019, 10:01 da tarde - ",
    "German, 12 hours": "31.12.19, 10:01 nachm. - ", "Bulgarian": "31.12.2019 г., 22:01 ч. - ", "Greek": "31/12/19, 10:01 μ.μ. - ",
    "Canadian French": "2019-12-31 22 h 01 - ", "Croatian": "31. 12. 2019. u 22:01 - ", "Latvian": "31.12.2019., 22:01 - ",
    "Malay": "31/12/2019, 10:01 PTG - ", "Vietnamese": "31/12/2019, 10:01 CH - ", "Hindi": "३१/१२/१९, १०:०१ अपराह्न - ",
    "Bengali": "৩১/১২/১৯, ১০:০১ PM - ", "Marathi": "३१/१२/१९, १०:०१ म.उ. - ", "Icelandic": "31.12.2019, 10:01 e.h. - ",
    "Albanian": "31.12.2019, 10:01 e pasdites - ", "Amharic": "31/12/2019 10:01 ከሰዓት - ",
}  # fmt: skip


@pytest.mark.parametrize("filler", ["\u200e", " ", ".", " \u200e", "\u202f."])
@pytest.mark.parametrize("head", ["", "[", "1/1/20", "1/1/20,", "1/1/20, p", "1/1/20, 10:01", "1/1/20, 10:01 p"])
def test_a_line_full_of_marks_is_read_like_any_other(head: str, filler: str) -> None:
    """Half a million marks, blanks or dots in a header are rejected quickly, without backtracking."""
    assert header_of(head + filler * 500_000 + "x") is None


@pytest.mark.parametrize("locale", HEADERS)
def test_the_clock_of_a_language(tmp_path: Path, locale: str) -> None:
    """A header in digits of several scripts, with words for half-days and direction marks, gives the same minute."""
    path = chat(tmp_path, f"{HEADERS[locale]}Ayşe: أهلا\n{HEADERS[locale]}Ada: hi\n")
    assert [(m.time, m.author) for m in messages(path)] == [
        (datetime(2019, 12, 31, 22, 1, tzinfo=UTC), name) for name in ("Ayşe", "Ada")
    ]


@pytest.mark.parametrize("locale", LOCALES)
def test_a_chat_of_another_language(tmp_path: Path, locale: str) -> None:
    """Phones in six languages: a notice, a two-line message, and a reply with a file are read alike."""
    name, text = LOCALES[locale]
    path = chat(tmp_path, text, name)
    notice, asked, answer = events(path, keep_text=True, staff=("hotel adler",))
    assert (notice.kind, notice.contact_id, notice.conversation_id) == ("system", None, None)
    assert (asked.type, asked.contact_id, asked.staff_id) == ("message.received", "Jürgen", None)
    assert json.loads(bytes(asked.attributes))["text"] == "Guten Rutsch!\nund ein gutes: neues Jahr"
    assert (answer.type, answer.contact_id, answer.staff_id) == ("message.sent", "Jürgen", "Hotel Adler")
    assert json.loads(bytes(answer.attributes))["files"] == 1
    assert asked.conversation_id == answer.conversation_id == path.stem
    assert (asked.time, answer.time - asked.time) == (datetime(2019, 12, 31, 22, 1, tzinfo=UTC), timedelta(minutes=4))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_a_chat_that_an_editor_saved(tmp_path: Path, encoding: str) -> None:
    """Names and texts are the same in every encoding that editors write, also in mixed ones."""
    name, text = LOCALES["de"]
    path, last = tmp_path / name, "31.12.19, 22:06 - Jürgen: ¡Olé!\n"
    path.write_bytes(text.encode(encoding) + last.encode() if encoding == "cp1252" else (text + last).encode(encoding))
    found = [
        (e.contact_id, json.loads(bytes(e.attributes)).get("text"))
        for e in events(path, keep_text=True)
        if e.kind == "person"
    ]
    assert found[0] == ("Jürgen", "Guten Rutsch!\nund ein gutes: neues Jahr") and found[-1] == ("Jürgen", "¡Olé!")


# --- sides and authors

TWO = "31/12/19, 10:00 - Ada: hi\n31/12/19, 10:05 - +49 170 1234567: hello\n31/12/19, 10:06 - Ada: how are you\n"


def test_two_people_without_a_team_are_like_a_thread(tmp_path: Path) -> None:
    """The first writer is the contact and the other answers; --staff sets the sides instead."""
    path = chat(tmp_path, TWO)
    first, answer, third = events(path)
    assert [e.type for e in (first, answer, third)] == ["message.received", "message.sent", "message.received"]
    assert (answer.staff_id, answer.contact_id, first.contact_id) == ("491701234567", "Ada", "Ada")
    run = read(path, staff=("Ada",))
    sides = [i.event.type for i in run.records() if isinstance(i, Record)]
    assert sides == ["message.sent", "message.received", "message.sent"]
    assert [(n.kind, n.id, n.name) for n in run.names] == [("contact", "491701234567", "+49 170 1234567")]


def test_a_staff_name_without_messages_is_refused(tmp_path: Path) -> None:
    """A mistyped staff name is refused with the nearest one."""
    with pytest.raises(BadInputError, match=r"--staff 'adda'.*'Ada'"):
        read(chat(tmp_path, TWO), staff=("Adda",))


def test_many_people_without_a_team_only_talk(tmp_path: Path) -> None:
    """In a group without staff all messages are received without a conversation; with staff the group is one conversation."""
    path = chat(tmp_path, TWO + "31/12/19, 10:07 - Bob: and me\n")
    assert {(e.type, e.conversation_id) for e in events(path)} == {("message.received", None)}
    found = events(path, staff=("Bob",))
    assert {e.conversation_id for e in found} == {path.stem}
    assert [e.type for e in found] == ["message.received"] * 3 + ["message.sent"]


def test_notices_under_a_groups_name_are_the_systems(tmp_path: Path) -> None:
    """An iPhone's notices under the group's name are the system's; people's attachments are theirs."""
    group = "[31/12/19, 10:00:00] Team: \u200eMessages are encrypted.\n[31/12/19, 10:00:01] Team: \u200eAda added you\n"
    said = "[31/12/19, 10:01:00] Ada: \u200eimage omitted\n[31/12/19, 10:02:00] Bob: hi\n"
    found = events(chat(tmp_path, group + said + said.replace("Ada", "Eve"), "WhatsApp Chat - Team.txt"))
    assert [(e.kind, e.contact_id) for e in found[:4]] == [("system", None)] * 2 + [
        ("person", "Ada"),
        ("person", "Bob"),
    ]
    direct = group.replace("you\n", "\n") + said.replace("Bob", "Team")
    assert [e.kind for e in events(chat(tmp_path, direct, "WhatsApp Chat - Team.txt"))] == ["system"] + ["person"] * 3


def test_a_zip_is_named_as_its_chat(tmp_path: Path) -> None:
    """`_chat.txt` is named after its ZIP, other files are left out, and a second, longer copy adds to the same chat."""
    ids = []
    for name, text in (
        ("WhatsApp Chat - Ada.zip", TWO),
        ("WhatsApp Chat - Ada (1).zip", TWO + "1/1/20, 1:00 - Ada: x\n"),
    ):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr("_chat.txt", text)
            archive.writestr("00000003-PHOTO.jpg", b"\xff\xd8")
            archive.writestr("terms.txt", "no chat at all")
        run = read(tmp_path / name)
        ids.append([i.event.id for i in run.records() if isinstance(i, Record)])
        assert (run.not_read, run.summary["left_out"]) == (["terms.txt"], {"files": 1})
    assert ids[1][:3] == ids[0]
    assert len(ids[1]) == 4
    assert str(ids[0][0]).startswith("WhatsApp Chat - Ada:")


def test_unreadable_lines_are_rejected_by_place(tmp_path: Path) -> None:
    """Lines before the first message, and impossible dates, are rejected with file and line; the rest is read."""
    text = "a note\n31/12/19, 10:00 - Ada: hi\n32/12/19, 10:01 - Ada: lo\n31/12/19, 10:02 - Ada: there\n"
    items = list(read(chat(tmp_path, text)).records())
    refused = [i for i in items if isinstance(i, Rejection)]
    assert [(r.code, r.message.partition(":")[0]) for r in refused] == [
        ("no_header", "WhatsApp Chat with Ada.txt line 1"), ("invalid_time", "WhatsApp Chat with Ada.txt line 3"),
    ]  # fmt: skip
    assert len(items) == 4


def test_a_file_that_is_no_chat_is_refused_with_its_beginning(tmp_path: Path) -> None:
    """A file without any header is refused, and the error shows how it begins."""
    with pytest.raises(BadInputError, match="begins with b'dear"):
        read(chat(tmp_path, "dear all\n"))
