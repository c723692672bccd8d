"""Discord channels from DiscordChatExporter's JSON, one file for each channel, thread or direct chat.

Ids are Discord's own, so a later export adds new messages, and its edits and reactions win. A reply names its message; a thread
is one conversation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec

from hubbub.ingest.sources.chat_importer import ChatImporter, documents, unreadable
from hubbub.ingest.sources.chats import Chat, Message
from hubbub.ingest.sources.importer import Options
from hubbub.ingest.sources.json_export import record_of, rejection
from hubbub.ingest.sources.package import Package
from hubbub.model.event import Rejection

_WRITTEN = frozenset({"Default", "Reply", "20", "21", "23"})
"""Types of messages that a person wrote; those of commands and thread starters are numbers."""


class _Channel(msgspec.Struct):
    id: str
    type: str = ""
    name: str | None = None


class _Export(msgspec.Struct):
    channel: _Channel
    messages: list[Any]
    message_count: int | None = msgspec.field(default=None, name="messageCount")


class _Author(msgspec.Struct, rename="camel"):
    id: str
    name: str | None = None
    nickname: str | None = None
    is_bot: bool = False


class _Reference(msgspec.Struct, rename="camel"):
    message_id: str | None = None
    channel_id: str | None = None


class _Reaction(msgspec.Struct):
    count: int = 0


class _Message(msgspec.Struct, rename="camel"):
    id: str
    type: str
    timestamp: datetime
    author: _Author
    timestamp_edited: datetime | None = None
    content: str | None = None
    attachments: list[Any] = []
    reactions: list[_Reaction] = []
    reference: _Reference | None = None


def _is_one(package: Package, name: str) -> bool:
    head = package.head(name)
    return b'"guild"' in head and b'"channel"' in head and b'"dateRange"' in head


def _read(package: Package, files: Sequence[str], options: Options) -> Iterator[Chat | Rejection]:
    for name, export in documents(package, files, _Export):
        if isinstance(export, Rejection):
            yield export
            continue
        yield _chat(export, name)
        if export.message_count is not None and export.message_count != len(export.messages):
            yield unreadable(name, f"it declares {export.message_count} messages, but has {len(export.messages)}")


def _chat(export: _Export, name: str) -> Chat:
    channel = export.channel
    chat = Chat(
        channel.id, "discord", name=channel.name, direct="Thread" in channel.type or channel.type == "DirectTextChat"
    )
    for number, value in enumerate(export.messages, 1):
        place = f"{name} message {number}"
        message = record_of(_Message, value, place)
        chat.messages.append(message if isinstance(message, Rejection) else _message(message, place, channel.id))
    return chat


def _message(message: _Message, origin: str, channel: str) -> Message | Rejection:
    if message.timestamp.tzinfo is None:
        return rejection("invalid_time", "timestamp", f"{origin}: 'timestamp' has no offset")
    written, answered = message.type in _WRITTEN, message.reference
    in_channel = answered is not None and answered.channel_id in (None, channel) and message.type == "Reply"
    return Message(
        id=message.id,
        time=message.timestamp,
        origin=origin,
        author=message.author.id if written else None,
        name=message.author.nickname or message.author.name,
        kind="system" if not written else "bot" if message.author.is_bot else "person",
        answers=(answered.message_id,) if answered is not None and in_channel and answered.message_id else (),
        changed=message.timestamp_edited
        if message.timestamp_edited and message.timestamp_edited.tzinfo
        else message.timestamp,
        edited=message.timestamp_edited is not None,
        reactions=sum(max(0, reaction.count) for reaction in message.reactions),
        files=len(message.attachments),
        subtype=None if written else message.type,
        text=message.content,
    )


DISCORD = ChatImporter("a Discord channel (DiscordChatExporter's JSON)", r"\.json\Z", _is_one, _read)
