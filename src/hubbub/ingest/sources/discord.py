"""Discord channels as DiscordChatExporter writes them in JSON, one file a channel, thread or direct chat.

Ids are Discord's own, so an export that comes again adds what is new, and edits and reactions of a newer one win. A reply says
what it answers; a thread of its own is one conversation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec

from hubbub.ingest.sources.chat_importer import ChatImporter, documents, unreadable
from hubbub.ingest.sources.chats import Chat, Message
from hubbub.ingest.sources.importer import Options
from hubbub.ingest.sources.json_export import record_of, refusal
from hubbub.ingest.sources.package import Package
from hubbub.model.event import Rejection

_WRITTEN = frozenset({"Default", "Reply", "20", "21", "23"})
"""Types of messages that somebody wrote: also commands and what begins a thread, whose types have numbers alone."""


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
    for name, found in documents(package, files, _Export):
        if isinstance(found, Rejection):
            yield found
            continue
        yield _chat(found, name)
        if found.message_count is not None and found.message_count != len(found.messages):
            yield unreadable(
                name, f"it says that it has {found.message_count} messages, and {len(found.messages)} are there"
            )


def _chat(found: _Export, name: str) -> Chat:
    channel = found.channel
    chat = Chat(
        channel.id, "discord", name=channel.name, direct="Thread" in channel.type or channel.type == "DirectTextChat"
    )
    for number, value in enumerate(found.messages, 1):
        place = f"{name} message {number}"
        one = record_of(_Message, value, place)
        chat.messages.append(one if isinstance(one, Rejection) else _message(one, place, channel.id))
    return chat


def _message(one: _Message, origin: str, channel: str) -> Message | Rejection:
    if one.timestamp.tzinfo is None:
        return refusal("invalid_time", "timestamp", f"{origin}: 'timestamp' has no offset")
    written, answered = one.type in _WRITTEN, one.reference
    here = answered is not None and answered.channel_id in (None, channel) and one.type == "Reply"
    return Message(
        id=one.id,
        time=one.timestamp,
        origin=origin,
        author=one.author.id if written else None,
        name=one.author.nickname or one.author.name,
        kind="system" if not written else "bot" if one.author.is_bot else "person",
        answers=(answered.message_id,) if answered is not None and here and answered.message_id else (),
        changed=one.timestamp_edited if one.timestamp_edited and one.timestamp_edited.tzinfo else one.timestamp,
        edited=one.timestamp_edited is not None,
        reactions=sum(max(0, reaction.count) for reaction in one.reactions),
        files=len(one.attachments),
        subtype=None if written else one.type,
        text=one.content,
    )


DISCORD = ChatImporter("a Discord channel (DiscordChatExporter's JSON)", r"\.json\Z", _is_one, _read)
