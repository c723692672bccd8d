"""Chats of Facebook Messenger and of Instagram, as "Download your information" writes them in JSON.

A chat lies in a folder of its own with `message_1.json`, `message_2.json` …, newest first; end-to-end encrypted ones are a file
each, in a shape of their own. There are no ids: people are known by their names, a message by time, name and place. Meta writes
UTF-8 as if it were Latin-1; texts are read as they were meant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec

from hubbub.ingest.sources.chat_importer import ChatImporter, documents
from hubbub.ingest.sources.chats import Chat, Message, Numbering
from hubbub.ingest.sources.importer import Options
from hubbub.ingest.sources.json_export import record_of, refusal
from hubbub.ingest.sources.package import Package
from hubbub.model.event import Rejection

_NOTICES = frozenset({"Call", "Subscribe", "Unsubscribe", "call"})
_FILES = ("photos", "videos", "audio_files", "files", "gifs", "sticker", "media")


class _Download(msgspec.Struct):
    """What a file holds; the names of the encrypted ones beside those of the others."""

    messages: list[Any]
    participants: list[Any] = []
    title: str | None = None
    thread_path: str | None = None
    thread_name: str | None = msgspec.field(default=None, name="threadName")


class _Message(msgspec.Struct):
    sender_name: str | None = None
    timestamp_ms: int | None = None
    content: str | None = None
    type: str | None = None
    call_duration: int | None = None
    is_unsent: bool = False
    sender: str | None = msgspec.field(default=None, name="senderName")
    timestamp: int | None = None
    text: str | None = None
    unsent: bool = msgspec.field(default=False, name="isUnsent")
    reactions: list[Any] = []
    photos: Any = None
    videos: Any = None
    audio_files: Any = None
    files: Any = None
    gifs: Any = None
    sticker: Any = None
    media: Any = None


def _is_download(package: Package, name: str) -> bool:
    head = package.head(name)
    plain = b'"participants"' in head and (b'"sender_name"' in head or b'"timestamp_ms"' in head)
    return plain or (b'"threadName"' in head and b'"participants"' in head)


def _is_instagram(package: Package, name: str) -> bool:
    return "instagram" in f"{package.path.resolve()}/{name}".lower() and _is_download(package, name)


def _is_messenger(package: Package, name: str) -> bool:
    return _is_download(package, name) and not _is_instagram(package, name)


def _reader(channel: str) -> Callable[[Package, Sequence[str], Options], Iterator[Chat | Rejection]]:
    """Return what reads the downloads of a channel: the files of a chat together, oldest message first."""

    def read(package: Package, files: Sequence[str], options: Options) -> Iterator[Chat | Rejection]:
        chats: dict[str, Chat] = {}
        for name, found in documents(package, files, _Download):
            if isinstance(found, Rejection):
                yield found
                continue
            id_ = (found.thread_path or found.thread_name or name.rpartition("/")[0] or package.name).rpartition("/")[2]
            title = meant(found.title) if found.title else found.thread_name
            chat = chats.setdefault(id_, Chat(id_, channel, name=title, direct=len(found.participants) == 2))
            for number, value in enumerate(found.messages, 1):
                one = record_of(_Message, value, f"{name} message {number}")
                chat.messages.append(one if isinstance(one, Rejection) else _message(one, f"{name} message {number}"))
        for chat in chats.values():
            yield _in_order(chat)

    return read


def _in_order(chat: Chat) -> Chat:
    """Return a chat with its messages by time, each with its id; what could not be read stands behind."""
    numbering = Numbering()
    good = sorted((m for m in reversed(chat.messages) if isinstance(m, Message)), key=lambda m: m.time)
    refused = [m for m in chat.messages if isinstance(m, Rejection)]
    chat.messages = [*(replace(m, id=numbering.id(m.time, m.author)) for m in good), *refused]
    return chat


def _message(one: _Message, origin: str) -> Message | Rejection:
    """Return a message whose id is still open, as it needs its place among the others."""
    encrypted = one.timestamp is not None
    millis = one.timestamp if encrypted else one.timestamp_ms
    try:
        moment = datetime.fromtimestamp((millis or 0) / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        millis = None
    if millis is None:
        return refusal("invalid_time", "timestamp_ms", f"{origin}: there is no time in milliseconds since 1970")
    author = one.sender if encrypted else one.sender_name and meant(one.sender_name)
    notice = not author or one.type in _NOTICES or one.call_duration is not None
    text = one.text if encrypted else one.content and meant(one.content)
    return Message(
        id="",
        time=moment,
        origin=origin,
        author=None if notice else author,
        kind="system" if notice else "person",
        changed=moment,
        reactions=len(one.reactions),
        files=sum(_count(getattr(one, part)) for part in _FILES),
        subtype=one.type if notice else "unsent" if one.is_unsent or one.unsent else None,
        text=text or None,
    )


def _count(files: object) -> int:
    return len(files) if isinstance(files, list) else int(bool(files))


def meant(text: str) -> str:
    """Return a text whose UTF-8 was written as if it were Latin-1."""
    with suppress(UnicodeError):
        return text.encode("latin-1").decode("utf-8")
    return text


MESSENGER = ChatImporter("a Messenger download (JSON)", r"\.json\Z", _is_messenger, _reader("messenger"))
INSTAGRAM = ChatImporter("an Instagram download (JSON)", r"\.json\Z", _is_instagram, _reader("instagram"))
