"""Mail of any program: mbox files, Maildir folders, `.eml` files, archives of lists; alone, in folders or in a ZIP.

The address identifies the person; the display name is a label. Threads follow In-Reply-To and References. An automatic answer is
known by its header (Auto-Submitted), and counts for no person. Bodies are read only for their text, when it is requested.
"""

from __future__ import annotations

import email
import re
from codecs import BOM_UTF8
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from email.message import Message as Mail
from email.utils import parsedate_to_datetime
from typing import BinaryIO

from hubbub.ingest.sources.chat_importer import ChatImporter, unreadable
from hubbub.ingest.sources.chats import Chat, Message
from hubbub.ingest.sources.importer import Options
from hubbub.ingest.sources.json_export import rejection
from hubbub.ingest.sources.mails import ID, START, decoded, sender
from hubbub.ingest.sources.package import UNREADABLE, Package
from hubbub.ingest.sources.rows import lines
from hubbub.ingest.sources.values import pseudonym
from hubbub.model.event import Rejection

MAX_MAIL = 512 * 2**10
"""Bytes of a mail that are read: they hold its headers and the stored part of its text. Attachments follow these."""
_FIELD = re.compile(rb"[A-Za-z][A-Za-z0-9-]{1,60}:[ \t]")
_NEEDED = (re.compile(rb"^From:[ \t]", re.I | re.M), re.compile(rb"^(?:Date|Received):[ \t]", re.I | re.M))
_FILES = r"(?:\.(?:mbox|mbx|eml|txt)(?:\.gz)?|(?:^|/)(?:cur|new)/[^/]+|(?:^|/)[^./]+)\Z"


def _is_one(package: Package, name: str) -> bool:
    head = package.head(name)
    first = head.partition(b"\n")[0]
    if START.match(first.decode("utf-8", "replace") + "\n"):
        return True
    return _FIELD.match(head) is not None and all(pattern.search(head) for pattern in _NEEDED)


def _read(package: Package, files: Sequence[str], options: Options) -> Iterator[Chat | Rejection]:
    """Yield all mails as one chat, by time: a thread may span several files."""
    chat = Chat("", "email")
    for name in files:
        try:
            with package.open(name) as stream:
                for number, raw in _mails(stream):
                    origin = f"{name} line {number}" if number > 1 else name
                    chat.messages.append(_message(raw, origin, options.keep_text))
        except UNREADABLE as error:
            yield unreadable(name, error)
        package.read_bytes += package.sizes[name]
    chat.messages.sort(key=lambda m: (isinstance(m, Rejection), m.time.timestamp() if isinstance(m, Message) else 0))
    yield chat


def _mails(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield the mails of a file, each with its first line's number; a file that is not an mbox is one mail."""
    start, size = 1, 0
    collected: list[bytes] = []
    for number, line in enumerate(lines(stream), 1):
        line = line.removeprefix(BOM_UTF8) if line is not None and number == 1 else line
        if line is not None and line[:5] == b"From " and START.match(line.decode("utf-8", "replace")):
            if collected:
                yield start, b"".join(collected)
            start, size, collected = number, 0, []
        elif line is not None and size < MAX_MAIL:
            size += len(line)
            collected.append(line)
    if collected:
        yield start, b"".join(collected)


def _message(raw: bytes, origin: str, keep_text: bool) -> Message | Rejection:
    mail = email.message_from_bytes(raw)
    name, address = sender(_header(mail, "From"))
    if not address:
        return rejection("missing_field", "From", f"{origin}: the mail has no sender")
    moment = _moment(_header(mail, "Date"))
    if moment is None:
        return rejection("invalid_time", "Date", f"{origin}: {_header(mail, 'Date')[:60]!r} is not a date")
    ids = ID.findall(_header(mail, "Message-ID"))
    before = [*reversed(ID.findall(_header(mail, "In-Reply-To"))), *reversed(ID.findall(_header(mail, "References")))]
    kind = _kind(mail, address)
    return Message(
        id=ids[0] if ids else f"<{pseudonym('|'.join(_header(mail, h) for h in ('From', 'Date', 'Subject')))}@no-id>",
        time=moment,
        origin=origin,
        author=None if kind == "system" else address,
        name=name or None,
        kind=kind,
        answers=tuple(before),
        text=_text(mail) if keep_text else None,
    )


def _kind(mail: Mail, address: str) -> str:
    """Return the kind of a mail's sender, by the headers of programs (RFC 3834) and of delivery reports."""
    automatic = _header(mail, "Auto-Submitted").partition(";")[0].strip().lower()
    if address.partition("@")[0] in ("mailer-daemon", "postmaster") or mail.get_content_type() == "multipart/report":
        return "system"
    return {"": "person", "no": "person", "auto-replied": "auto"}.get(automatic, "bot")


def _header(mail: Mail, name: str) -> str:
    """Return a header on one line."""
    text = next((value for header, value in mail.raw_items() if header.lower() == name.lower()), "")
    return " ".join(decoded(text.encode("utf-8", "surrogateescape")).split())


def _moment(date: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(date)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _text(mail: Mail) -> str | None:
    """Return the first plain text of a mail."""
    for part in mail.walk():
        if part.get_content_type() == "text/plain" and part.get_filename() is None:
            body = part.get_payload(decode=True)
            if isinstance(body, bytes):
                try:
                    return body.decode(part.get_content_charset() or "utf-8", "replace")
                except LookupError:
                    return body.decode("utf-8", "replace")
    return None


MAIL = ChatImporter("mail", _FILES, _is_one, _read)
