"""WhatsApp's "Export chat": a text file, alone or in the ZIP with its media. Signal's texts have the same shape.

- **The chat** is named by the file (`WhatsApp Chat with Ada.txt`), for `_chat.txt` by its ZIP or folder; a copy's ` (1)` is
  ignored. A message is identified by chat, local time, author and its place within the same moment, so that a newer or longer
  export of the same phone adds new messages, and an edited text changes nothing.
- **The author** is the name in the phone's address book, or the digits of a number, as in the WhatsApp Cloud API.
- **Notices** have no author (`Ada added Bob`), or the chat is their author; they are stored as `system`.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from hubbub.errors import BadQuestionError
from hubbub.ingest.sources.chat_importer import ChatImporter, bodies
from hubbub.ingest.sources.chat_lines import (
    Clock,
    Header,
    Line,
    OpenDatesError,
    day_of,
    header_of,
    messages,
    order_of,
    person_id,
    plain_name,
)  # fmt: skip
from hubbub.ingest.sources.chats import Chat, Message, Numbering
from hubbub.ingest.sources.importer import Options
from hubbub.ingest.sources.mails import decoded
from hubbub.ingest.sources.package import Package
from hubbub.model.event import Rejection

_COPY = re.compile(r"\s*\(\d+\)\Z")
_AUTHOR = re.compile(r"(?P<author>[^:\n]{1,100}?):(?: (?P<text>.*)|)\Z", re.DOTALL)
_QUOTES = frozenset('"“”„«»「」')
_NOTICE = "\u200e"
"""WhatsApp on an iPhone writes this mark before generated texts."""
_FILE = re.compile(r"<[^<>\n]*\.\w{2,5}>|\S\.\w{2,5} \([^()\n]+\)\Z|\A\u200e?<[^<>\n]{5,40}>\Z")
_EARLIER_ISO = re.compile(r"\[\d{4}-\d\d-\d\d, \d\d:\d\d\] ")


def _first(package: Package, name: str) -> Header | None:
    """Return the first header of a file, from its first lines."""
    for line in _text(package.head(name)).split("\n")[:20]:
        if (header := header_of(line.rstrip("\r"))) is not None:
            return header
    return None


def _is_signal(header: Header) -> bool:
    return _EARLIER_ISO.match(header.text + " ") is not None


def _text(body: bytes) -> str:
    """Return a file's text: UTF-16 if it has a byte order mark, else each line as UTF-8, else as Windows-1252."""
    if body[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return body.decode("utf-16", "replace")
    return "\n".join(map(decoded, body.removeprefix(BOM_UTF8).split(b"\n")))


def _read(package: Package, files: Sequence[str], options: Options) -> Iterator[Chat | Rejection]:
    for name, body in bodies(package, files):
        yield body if isinstance(body, Rejection) else _chat(package, name, _text(body), options)


def _chat(package: Package, name: str, text: str, options: Options) -> Chat:
    """Return the chat of a file. Raises BadQuestionError where its dates are ambiguous and `day_first` is None."""
    parsed = list(messages(line.rstrip("\r") for line in text.split("\n")))
    lines = [line for line in parsed if isinstance(line, Line)]
    latest = datetime.now(UTC).date() + timedelta(days=1)
    try:
        order = order_of([line.header for line in lines], options.day_first, latest)
    except OpenDatesError as error:
        raise BadQuestionError(f"{package.path}: {name}: {error}: give --day-first or --month-first") from None
    folder, _, file = name.rpartition("/")
    stem = file.rpartition(".")[0]
    chat_id = _COPY.sub("", (folder.rpartition("/")[2] or package.name) if stem in ("_chat", "chat") else stem)
    is_signal = bool(lines) and _is_signal(lines[0].header)
    chat = Chat(id=chat_id, channel="signal" if is_signal else "whatsapp")
    group = _group_itself(lines, chat_id)
    clock = Clock(options.zone) if options.zone is not None else None
    numbering = Numbering()
    for line in parsed:
        if isinstance(line, int):
            chat.messages.append(_rejection("no_header", f"{file} line {line}", "is before the first message"))
            continue
        day, at = day_of(line.header, order, latest), f"{file} line {line.number}"
        if day is None or clock is None:
            chat.messages.append(_rejection("invalid_time", at, f"{line.header.text!r} is not a date with the {order}"))
            continue
        local = datetime(day.year, day.month, day.day, line.header.hour, line.header.minute, line.header.second)  # noqa: DTZ001
        author, content = _split(line)
        if author is not None and author == group:
            author = None
        place = numbering.id(local, person_id(author) if author else None)
        chat.messages.append(_message(place, clock.moment(local), at, author, content))
    return chat


def _group_itself(lines: list[Line], chat: str) -> str | None:
    """Return the author of a group's notices on an iPhone: the one named like the chat, who never typed anything."""
    typed: dict[str, bool] = {}
    for author, text in map(_split, lines):
        if author is not None:
            typed[author] = typed.get(author, False) or not text.startswith(_NOTICE)
    silent = [author for author, has_typed in typed.items() if not has_typed and chat.endswith(author)]
    return silent[0] if silent and len(typed) > 2 else None


def _split(line: Line) -> tuple[str | None, str]:
    """Return author and text; a notice has no author."""
    match = _AUTHOR.match(line.text)
    if match is None or _QUOTES & set(match["author"]) or not (match["text"] or "").strip(" "):
        return None, line.text
    author, text = plain_name(match["author"]), match["text"]
    if not author or (line.number == 1 and text.startswith(_NOTICE) and _FILE.search(text) is None):
        return None, text
    return author, text


def _message(place: str, moment: datetime, origin: str, author: str | None, text: str) -> Message:
    if author is None:
        return Message(place, moment, origin, kind="system", text=text)
    return Message(
        place,
        moment,
        origin,
        author=person_id(author),
        name=author,
        files=int(_FILE.search(text) is not None),
        text=text,
    )


def _rejection(code: str, origin: str, reason: str) -> Rejection:
    return Rejection(index=0, code=code, field=None, message=f"{origin}: {reason}")


def _is_whatsapp(package: Package, name: str) -> bool:
    header = _first(package, name)
    return header is not None and not _is_signal(header)


def _is_signal_text(package: Package, name: str) -> bool:
    header = _first(package, name)
    return header is not None and _is_signal(header)


WHATSAPP = ChatImporter("a WhatsApp chat (text)", r"\.txt\Z", _is_whatsapp, _read, needs_zone=True)
SIGNAL = ChatImporter("a Signal chat (text)", r"\.txt\Z", _is_signal_text, _read, needs_zone=True)
