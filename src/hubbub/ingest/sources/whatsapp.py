"""WhatsApp's "Export chat": a text file, alone or in the ZIP with its media. Signal's texts have the same shape.

- **Which chat** it is says the file's name (`WhatsApp Chat with Ada.txt`), of `_chat.txt` that of its ZIP or folder; a
  copy's ` (1)` does not count. A message is known by chat, local time, author and its place among those of the same moment, so
  that a newer or longer export of the same phone adds what is new, and an edited text changes nothing.
- **Who** is the name in the phone's address book, or the digits of a number, as the WhatsApp Cloud API has them.
- **Notices** have no author (`Ada added Bob`), or the chat itself as one; they are kept as `system`.
"""

from __future__ import annotations

import re
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
from hubbub.ingest.sources.package import Package
from hubbub.model.event import Rejection

_COPY = re.compile(r"\s*\(\d+\)\Z")
_AUTHOR = re.compile(r"(?P<author>[^:\n]{1,100}?):(?: (?P<text>.*)|)\Z", re.DOTALL)
_QUOTES = frozenset('"“”„«»「」')
_NOTICE = "\u200e"
"""WhatsApp on an iPhone writes this mark before texts that nobody typed."""
_FILE = re.compile(r"<[^<>\n]*\.\w{2,5}>|\S\.\w{2,5} \([^()\n]+\)\Z|\A\u200e?<[^<>\n]{5,40}>\Z")
_EARLIER_ISO = re.compile(r"\[\d{4}-\d\d-\d\d, \d\d:\d\d\] ")


def _first(package: Package, name: str) -> Header | None:
    """Return the first header of a file that begins within its first lines."""
    for line in _text(package.head(name)).split("\n")[:20]:
        if (header := header_of(line.rstrip("\r"))) is not None:
            return header
    return None


def _is_signal(header: Header) -> bool:
    return _EARLIER_ISO.match(header.text + " ") is not None


def _text(body: bytes) -> str:
    encoding = "utf-16" if body[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    return body.decode(encoding, "surrogateescape" if encoding == "utf-8-sig" else "replace")


def _read(package: Package, files: Sequence[str], options: Options) -> Iterator[Chat | Rejection]:
    for name, body in bodies(package, files):
        yield body if isinstance(body, Rejection) else _chat(package, name, _text(body), options)


def _chat(package: Package, name: str, text: str, options: Options) -> Chat:
    """Return the chat of a file. Raises BadQuestionError where its dates can be read two ways and nobody said which."""
    found = list(messages(line.rstrip("\r") for line in text.split("\n")))
    lines = [one for one in found if isinstance(one, Line)]
    latest = datetime.now(UTC).date() + timedelta(days=1)
    try:
        order = order_of([one.header for one in lines], options.day_first, latest)
    except OpenDatesError as error:
        raise BadQuestionError(f"{package.path}: {name}: {error}: say --day-first or --month-first") from None
    folder, _, file = name.rpartition("/")
    stem = file.rpartition(".")[0]
    whole = _COPY.sub("", (folder.rpartition("/")[2] or package.name) if stem in ("_chat", "chat") else stem)
    signal = bool(lines) and _is_signal(lines[0].header)
    chat = Chat(id=whole, channel="signal" if signal else "whatsapp")
    group = _group_itself(lines, whole)
    clock = Clock(options.zone) if options.zone is not None else None
    numbering = Numbering()
    for one in found:
        if isinstance(one, int):
            chat.messages.append(_refusal("no_header", f"{file} line {one}", "stands before the first message"))
            continue
        day, at = day_of(one.header, order, latest), f"{file} line {one.number}"
        if day is None or clock is None:
            chat.messages.append(_refusal("invalid_time", at, f"{one.header.text!r} is no date with the {order}"))
            continue
        local = datetime(day.year, day.month, day.day, one.header.hour, one.header.minute, one.header.second)  # noqa: DTZ001
        author, content = _split(one)
        if author is not None and author == group:
            author = None
        place = numbering.id(local, person_id(author) if author else None)
        chat.messages.append(_message(place, clock.moment(local), at, author, content))
    return chat


def _group_itself(lines: list[Line], chat: str) -> str | None:
    """Return the author under whom an iPhone writes the notices of a group: named as the chat, and never typing anything."""
    typed: dict[str, bool] = {}
    for author, text in map(_split, lines):
        if author is not None:
            typed[author] = typed.get(author, False) or not text.startswith(_NOTICE)
    silent = [author for author, has_typed in typed.items() if not has_typed and chat.endswith(author)]
    return silent[0] if silent and len(typed) > 2 else None


def _split(line: Line) -> tuple[str | None, str]:
    """Return author and text; no author for a notice of the platform."""
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


def _refusal(code: str, origin: str, what: str) -> Rejection:
    return Rejection(index=0, code=code, field=None, message=f"{origin}: {what}")


def _is_whatsapp(package: Package, name: str) -> bool:
    header = _first(package, name)
    return header is not None and not _is_signal(header)


def _is_signal_text(package: Package, name: str) -> bool:
    header = _first(package, name)
    return header is not None and _is_signal(header)


WHATSAPP = ChatImporter("a WhatsApp chat (text)", r"\.txt\Z", _is_whatsapp, _read, needs_zone=True)
SIGNAL = ChatImporter("a Signal chat (text)", r"\.txt\Z", _is_signal_text, _read, needs_zone=True)
