"""Microsoft Teams in JSON: messages as Microsoft Graph gives them, and the personal export of Teams and Skype.

Graph's are a list, or lie under `value`, of `chatMessage`s of any chats and channels, with replies inside or beside them. The
personal export (`messages.json`) has `conversations`, each with its `MessageList`. Ids are Microsoft's own.
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
from hubbub.ingest.sources.json_export import record_of, refusal
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


class _Talk(msgspec.Struct):
    id: str
    messages: list[Any] = msgspec.field(default_factory=list, name="MessageList")
    name: str | None = msgspec.field(default=None, name="displayName")


class _Said(msgspec.Struct):
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
    for name, found in values(package, files):
        if isinstance(found, Rejection):
            yield found
        elif isinstance(found, dict) and isinstance(found.get("conversations"), list):
            yield from _personal(found["conversations"], name)
        elif isinstance(some := found.get("value", found.get("messages")) if isinstance(found, dict) else found, list):
            yield from _graph(some, name, chats)
        else:
            yield unreadable(name, "there is neither a list of messages nor 'value' nor 'conversations' in it")
    for chat in chats.values():
        chat.messages.sort(
            key=lambda m: (isinstance(m, Rejection), m.time.timestamp() if isinstance(m, Message) else 0)
        )
        yield chat


def _graph(some: list[Any], origin: str, chats: dict[str, Chat]) -> Iterator[Rejection]:
    """Put messages and their replies into the chats that they name; yield what cannot be used."""
    for number, value in enumerate(some, 1):
        place = f"{origin} message {number}"
        one = record_of(_GraphMessage, value, place)
        if isinstance(one, Rejection):
            yield one
            continue
        where = one.chat_id or (one.channel_identity.channel_id if one.channel_identity else None) or origin
        chat = chats.setdefault(where, Chat(where, "teams", direct=where.endswith("@unq.gbl.spaces")))
        chat.messages.append(_graph_message(one, place))
        yield from _graph([{"chatId": where, **r} if isinstance(r, dict) else r for r in one.replies], place, chats)


def _graph_message(one: _GraphMessage, origin: str) -> Message | Rejection:
    if one.created_date_time.tzinfo is None:
        return refusal("invalid_time", "createdDateTime", f"{origin}: 'createdDateTime' has no offset")
    user = one.from_.user if one.from_ else None
    program = one.from_.application if one.from_ else None
    who = user or program
    kind = "system" if one.message_type != "message" or who is None else "person" if user else "bot"
    edited = one.last_edited_date_time
    return Message(
        id=one.id,
        time=one.created_date_time,
        origin=origin,
        author=who.id if who is not None and kind != "system" else None,
        name=who.display_name if who is not None else None,
        kind=kind,
        answers=(one.reply_to_id,) if one.reply_to_id else (),
        changed=max(
            (t for t in (one.created_date_time, edited, one.deleted_date_time) if t and t.tzinfo), default=None
        ),
        edited=edited is not None,
        reactions=len(one.reactions),
        files=len(one.attachments),
        subtype="deleted" if one.deleted_date_time else None if kind != "system" else one.message_type,
        text=_plain(one.body.content if one.body else None),
    )


def _personal(some: list[Any], origin: str) -> Iterator[Chat | Rejection]:
    for number, value in enumerate(some, 1):
        place = f"{origin} conversation {number}"
        talk = record_of(_Talk, value, place)
        if isinstance(talk, Rejection):
            yield talk
            continue
        chat = Chat(talk.id, "teams", name=talk.name, direct=not talk.id.startswith("19:"))
        for count, said in enumerate(reversed(talk.messages), 1):
            one = record_of(_Said, said, f"{place} message {count} from the end")
            chat.messages.append(one if isinstance(one, Rejection) else _said(one, f"{place} message {one.id}"))
        yield chat


def _said(one: _Said, origin: str) -> Message | Rejection:
    if one.moment.tzinfo is None:
        return refusal("invalid_time", "originalarrivaltime", f"{origin}: 'originalarrivaltime' has no offset")
    written = one.kind.startswith(("RichText", "Text")) and bool(one.author)
    return Message(
        id=one.id,
        time=one.moment,
        origin=origin,
        author=one.author if written else None,
        name=one.name,
        kind="system" if not written else "bot" if (one.author or "").startswith("28:") else "person",
        files=int(one.kind.startswith("RichText/")),
        subtype=None if written else one.kind,
        text=_plain(one.content),
    )


def _plain(text: str | None) -> str | None:
    """Return a text without its HTML."""
    return None if text is None else html.unescape(_TAG.sub(" ", text)).strip()


TEAMS = ChatImporter("Teams messages (JSON)", r"\.json\Z", _is_one, _read)
