"""Microsoft Teams in JSON: messages of Microsoft Graph, and the personal export of Teams and Skype.

A file of Graph is a list of `chatMessage`s, possibly under `value`, from any chats and channels, with replies inside or beside
them. The personal export (`messages.json`) has `conversations`, each with its `MessageList`. Ids are Microsoft's own.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec

from hubbub.ingest.sources.chat_importer import ChatImporter, unreadable, values
from hubbub.ingest.sources.chats import Chat, Message
from hubbub.ingest.sources.importer import Options
from hubbub.ingest.sources.json_export import record_of, rejection
from hubbub.ingest.sources.package import Package
from hubbub.model.event import Rejection

_TAG = re.compile(r"<[^<>]*>")


class _Identity(msgspec.Struct, rename="camel"):
    id: str | None = None
    display_name: str | None = None


class _From(msgspec.Struct):
    user: _Identity | None = None
    application: _Identity | None = None


class _Body(msgspec.Struct):
    content: str | None = None


class _Place(msgspec.Struct, rename="camel"):
    channel_id: str | None = None


class _GraphMessage(msgspec.Struct, rename="camel"):
    id: str
    created_date_time: datetime
    message_type: str = "message"
    reply_to_id: str | None = None
    last_edited_date_time: datetime | None = None
    deleted_date_time: datetime | None = None
    chat_id: str | None = None
    channel_identity: _Place | None = None
    from_: _From | None = msgspec.field(default=None, name="from")
    body: _Body | None = None
    attachments: list[Any] = []
    reactions: list[Any] = []
    replies: list[Any] = []


class _Conversation(msgspec.Struct):
    id: str
    messages: list[Any] = msgspec.field(default_factory=list, name="MessageList")
    name: str | None = msgspec.field(default=None, name="displayName")


class _PersonalMessage(msgspec.Struct):
    id: str
    moment: datetime = msgspec.field(name="originalarrivaltime")
    kind: str = msgspec.field(default="RichText", name="messagetype")
    author: str | None = msgspec.field(default=None, name="from")
    name: str | None = msgspec.field(default=None, name="displayName")
    content: str | None = None


def _is_one(package: Package, name: str) -> bool:
    head = package.head(name)
    return (b'"createdDateTime"' in head and b'"messageType"' in head) or (
        b'"conversations"' in head and b'"exportDate"' in head
    )


def _read(package: Package, files: Sequence[str], options: Options) -> Iterator[Chat | Rejection]:
    chats: dict[str, Chat] = {}
    for name, content in values(package, files):
        if isinstance(content, Rejection):
            yield content
        elif isinstance(content, dict) and isinstance(content.get("conversations"), list):
            yield from _personal(content["conversations"], name)
        elif isinstance(
            messages := content.get("value", content.get("messages")) if isinstance(content, dict) else content, list
        ):
            yield from _graph(messages, name, chats)
        else:
            yield unreadable(name, "it has neither a list of messages nor 'value' nor 'conversations'")
    for chat in chats.values():
        chat.messages.sort(
            key=lambda m: (isinstance(m, Rejection), m.time.timestamp() if isinstance(m, Message) else 0)
        )
        yield chat


def _graph(values: list[Any], origin: str, chats: dict[str, Chat]) -> Iterator[Rejection]:
    """Add messages and their replies to their chats; yield rejections."""
    for number, value in enumerate(values, 1):
        place = f"{origin} message {number}"
        message = record_of(_GraphMessage, value, place)
        if isinstance(message, Rejection):
            yield message
            continue
        chat_id = (
            message.chat_id or (message.channel_identity.channel_id if message.channel_identity else None) or origin
        )
        chat = chats.setdefault(chat_id, Chat(chat_id, "teams", direct=chat_id.endswith("@unq.gbl.spaces")))
        chat.messages.append(_graph_message(message, place))
        yield from _graph(
            [{"chatId": chat_id, **r} if isinstance(r, dict) else r for r in message.replies], place, chats
        )


def _graph_message(message: _GraphMessage, origin: str) -> Message | Rejection:
    if message.created_date_time.tzinfo is None:
        return rejection("invalid_time", "createdDateTime", f"{origin}: 'createdDateTime' has no offset")
    user = message.from_.user if message.from_ else None
    program = message.from_.application if message.from_ else None
    author = user or program
    kind = "system" if message.message_type != "message" or author is None else "person" if user else "bot"
    edited = message.last_edited_date_time
    return Message(
        id=message.id,
        time=message.created_date_time,
        origin=origin,
        author=author.id if author is not None and kind != "system" else None,
        name=author.display_name if author is not None else None,
        kind=kind,
        answers=(message.reply_to_id,) if message.reply_to_id else (),
        changed=max(
            (t for t in (message.created_date_time, edited, message.deleted_date_time) if t and t.tzinfo), default=None
        ),
        edited=edited is not None,
        reactions=len(message.reactions),
        files=len(message.attachments),
        subtype="deleted" if message.deleted_date_time else None if kind != "system" else message.message_type,
        text=_plain(message.body.content if message.body else None),
    )


def _personal(values: list[Any], origin: str) -> Iterator[Chat | Rejection]:
    for number, value in enumerate(values, 1):
        place = f"{origin} conversation {number}"
        conversation = record_of(_Conversation, value, place)
        if isinstance(conversation, Rejection):
            yield conversation
            continue
        chat = Chat(conversation.id, "teams", name=conversation.name, direct=not conversation.id.startswith("19:"))
        for count, record in enumerate(reversed(conversation.messages), 1):
            message = record_of(_PersonalMessage, record, f"{place} message {count} from the end")
            chat.messages.append(
                message
                if isinstance(message, Rejection)
                else _personal_message(message, f"{place} message {message.id}")
            )
        yield chat


def _personal_message(message: _PersonalMessage, origin: str) -> Message | Rejection:
    if message.moment.tzinfo is None:
        return rejection("invalid_time", "originalarrivaltime", f"{origin}: 'originalarrivaltime' has no offset")
    written = message.kind.startswith(("RichText", "Text")) and bool(message.author)
    return Message(
        id=message.id,
        time=message.moment,
        origin=origin,
        author=message.author if written else None,
        name=message.name,
        kind="system" if not written else "bot" if (message.author or "").startswith("28:") else "person",
        files=int(message.kind.startswith("RichText/")),
        subtype=None if written else message.kind,
        text=_plain(message.content),
    )


def _plain(text: str | None) -> str | None:
    """Return a text without its HTML."""
    return None if text is None else html.unescape(_TAG.sub(" ", text)).strip()


TEAMS = ChatImporter("Teams messages (JSON)", r"\.json\Z", _is_one, _read)
