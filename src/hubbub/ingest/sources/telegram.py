"""Telegram's `result.json`: one chat, or all that "Export Telegram data" wrote.

Ids of chats, messages and people are Telegram's own; where a file has none, names and places stand for them. Old exports have times
without a zone: `--zone` says which it was. The other side of a chat with a bot is the bot.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from hubbub.ingest.sources.chat_importer import ChatImporter, documents, unreadable
from hubbub.ingest.sources.chats import Chat, Message, Numbering
from hubbub.ingest.sources.importer import Options
from hubbub.ingest.sources.json_export import record_of, refusal
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
        found = list(_chats(content))
        if not found:
            yield unreadable(name, "there is neither 'messages' nor 'chats' in it")
        for number, value in enumerate(found, 1):
            origin = name if len(found) == 1 else f"{name} chat {number}"
            chat = record_of(_Chat, value, origin)
            yield chat if isinstance(chat, Rejection) else _chat(chat, package.name, origin, options)


def _chats(content: dict[str, Any]) -> Iterator[Any]:
    """Yield the chats of a file, those that were left too."""
    if "messages" in content:
        yield content
    for part in ("chats", "left_chats"):
        some = content.get(part)
        listed = some.get("list") if isinstance(some, dict) else None
        yield from listed if isinstance(listed, list) else ()


def _chat(found: _Chat, package: str, origin: str, options: Options) -> Chat:
    id_ = str(found.id if found.id is not None else found.name or package)
    chat = Chat(id_, "telegram", name=found.name, direct=True if found.type in _DIRECT else None)
    if found.type is not None and found.type not in _DIRECT:
        chat.direct = False
    numbering = Numbering()
    for number, value in enumerate(found.messages, 1):
        place = f"{origin} message {number}"
        one = record_of(_Message, value, place)
        chat.messages.append(one if isinstance(one, Rejection) else _message(one, found, place, numbering, options))
    return chat


def _message(one: _Message, chat: _Chat, origin: str, numbering: Numbering, options: Options) -> Message | Rejection:
    moment = _moment(one, options)
    if moment is None:
        what = (
            "'date' has no zone: say with --zone in which it was exported"
            if one.date
            else "there is no 'date_unixtime'"
        )
        return refusal("invalid_time", "date", f"{origin}: {what}")
    if one.type not in ("message", "service"):
        return refusal("invalid_field", "type", f"{origin}: {one.type[:40]!r} is not a type of messages that is known")
    author = one.from_id or one.from_
    kind = "system" if one.type == "service" or author is None else "person"
    if kind == "person" and chat.type == "bot_chat" and one.from_ is not None and one.from_ == chat.name:
        kind = "bot"
    edited = _at(one.edited_unixtime)
    return Message(
        id=str(one.id) if one.id is not None else numbering.id(moment, author),
        time=moment,
        origin=origin,
        author=author if kind != "system" else None,
        name=one.from_,
        kind=kind,
        answers=(str(one.reply_to_message_id),) if one.reply_to_message_id is not None else (),
        changed=edited or moment,
        edited=edited is not None,
        reactions=_reactions(one.reactions),
        files=int(any(getattr(one, part) for part in _FILES)),
        subtype=one.action,
        text=_text(one.text),
    )


def _moment(one: _Message, options: Options) -> datetime | None:
    if one.date_unixtime is not None:
        return _at(one.date_unixtime)
    if one.date is None or one.date.tzinfo is not None or options.zone is None:
        return one.date if one.date is not None and one.date.tzinfo is not None else None
    return one.date.replace(tzinfo=options.zone)


def _at(seconds: int | None) -> datetime | None:
    try:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _reactions(value: Any) -> int:
    counts = [one.get("count") for one in value if isinstance(one, dict)] if isinstance(value, list) else []
    return sum(one for one in counts if isinstance(one, int) and one > 0)


def _text(value: Any) -> str:
    """Return a text that is given whole, or in parts with their formats."""
    if isinstance(value, list):
        return "".join(_text(part.get("text") if isinstance(part, dict) else part) for part in value)
    return value if isinstance(value, str) else ""


TELEGRAM = ChatImporter("a Telegram export (JSON)", r"\.json\Z", _is_one, _read)
