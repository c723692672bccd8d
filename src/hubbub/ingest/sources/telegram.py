"""Telegram's `result.json`: one chat, or all chats of "Export Telegram data".

Ids of chats, messages and people are Telegram's own; in a file without ids, names and places replace them. Old exports have times
without a zone: `--zone` gives it. In a chat with a bot, the author with the chat's name is the bot.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from hubbub.ingest.sources.chat_importer import ChatImporter, documents, unreadable
from hubbub.ingest.sources.chats import Chat, Message, Numbering
from hubbub.ingest.sources.importer import Options
from hubbub.ingest.sources.json_export import record_of, rejection
from hubbub.ingest.sources.package import Package
from hubbub.model.event import Rejection

_DIRECT = frozenset({"personal_chat", "bot_chat", "saved_messages"})
_FILES = ("photo", "file", "media_type")


class _Chat(msgspec.Struct):
    messages: list[Any]
    id: str | int | None = None
    name: str | None = None
    type: str | None = None


class _Message(msgspec.Struct):
    type: str
    id: int | None = None
    date: datetime | None = None
    date_unixtime: int | None = None
    edited_unixtime: int | None = None
    from_id: str | None = None
    from_: str | None = msgspec.field(default=None, name="from")
    reply_to_message_id: int | None = None
    action: str | None = None
    text: Any = None
    reactions: Any = None
    photo: Any = None
    file: Any = None
    media_type: Any = None


def _is_one(package: Package, name: str) -> bool:
    head = package.head(name).lstrip()
    return head[:1] == b"{" and (
        b'"date_unixtime"' in head or b"Telegram" in head or (b'"from_id"' in head and b'"text' in head)
    )


def _read(package: Package, files: Sequence[str], options: Options) -> Iterator[Chat | Rejection]:
    for name, content in documents(package, files, dict[str, Any]):
        if isinstance(content, Rejection):
            yield content
            continue
        chats = list(_chats(content))
        if not chats:
            yield unreadable(name, "it has neither 'messages' nor 'chats'")
        for number, value in enumerate(chats, 1):
            origin = name if len(chats) == 1 else f"{name} chat {number}"
            chat = record_of(_Chat, value, origin)
            yield chat if isinstance(chat, Rejection) else _chat(chat, package.name, origin, options)


def _chats(content: dict[str, Any]) -> Iterator[Any]:
    """Yield the chats of a file, including those that the user left."""
    if "messages" in content:
        yield content
    for part in ("chats", "left_chats"):
        section = content.get(part)
        listed = section.get("list") if isinstance(section, dict) else None
        yield from listed if isinstance(listed, list) else ()


def _chat(export: _Chat, package: str, origin: str, options: Options) -> Chat:
    id_ = str(export.id if export.id is not None else export.name or package)
    chat = Chat(id_, "telegram", name=export.name, direct=True if export.type in _DIRECT else None)
    if export.type is not None and export.type not in _DIRECT:
        chat.direct = False
    numbering = Numbering()
    for number, value in enumerate(export.messages, 1):
        place = f"{origin} message {number}"
        message = record_of(_Message, value, place)
        chat.messages.append(
            message if isinstance(message, Rejection) else _message(message, export, place, numbering, options)
        )
    return chat


def _message(
    message: _Message, chat: _Chat, origin: str, numbering: Numbering, options: Options
) -> Message | Rejection:
    moment = _moment(message, options)
    if moment is None:
        reason = (
            "'date' has no zone: give the zone of the export with --zone"
            if message.date
            else "'date_unixtime' is missing"
        )
        return rejection("invalid_time", "date", f"{origin}: {reason}")
    if message.type not in ("message", "service"):
        return rejection("invalid_field", "type", f"{origin}: {message.type[:40]!r} is an unknown type of message")
    author = message.from_id or message.from_
    kind = "system" if message.type == "service" or author is None else "person"
    if kind == "person" and chat.type == "bot_chat" and message.from_ is not None and message.from_ == chat.name:
        kind = "bot"
    edited = _at(message.edited_unixtime)
    return Message(
        id=str(message.id) if message.id is not None else numbering.id(moment, author),
        time=moment,
        origin=origin,
        author=author if kind != "system" else None,
        name=message.from_,
        kind=kind,
        answers=(str(message.reply_to_message_id),) if message.reply_to_message_id is not None else (),
        changed=edited or moment,
        edited=edited is not None,
        reactions=_reactions(message.reactions),
        files=int(any(getattr(message, part) for part in _FILES)),
        subtype=message.action,
        text=_text(message.text),
    )


def _moment(message: _Message, options: Options) -> datetime | None:
    if message.date_unixtime is not None:
        return _at(message.date_unixtime)
    if message.date is None or message.date.tzinfo is not None or options.zone is None:
        return message.date if message.date is not None and message.date.tzinfo is not None else None
    return message.date.replace(tzinfo=options.zone)


def _at(seconds: int | None) -> datetime | None:
    try:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _reactions(value: Any) -> int:
    counts = (
        [reaction.get("count") for reaction in value if isinstance(reaction, dict)] if isinstance(value, list) else []
    )
    return sum(reaction for reaction in counts if isinstance(reaction, int) and reaction > 0)


def _text(value: Any) -> str:
    """Return a text; Telegram writes a formatted one as a list of parts."""
    if isinstance(value, list):
        return "".join(_text(part.get("text") if isinstance(part, dict) else part) for part in value)
    return value if isinstance(value, str) else ""


TELEGRAM = ChatImporter("a Telegram export (JSON)", r"\.json\Z", _is_one, _read)
