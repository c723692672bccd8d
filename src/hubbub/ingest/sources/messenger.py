"""Chats of Facebook Messenger and of Instagram, from "Download your information" in JSON.

A chat is a folder with `message_1.json`, `message_2.json` …, newest first; an end-to-end encrypted chat is one file, in another
shape. Nothing has an id: people are identified by their names, a message by time, name and place among equal ones. Meta writes
UTF-8 as if it were Latin-1; texts are corrected.
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
from hubbub.ingest.sources.json_export import record_of, rejection
from hubbub.ingest.sources.package import Package
from hubbub.model.event import Rejection

_NOTICES = frozenset({"Call", "Subscribe", "Unsubscribe", "call"})
_FILES = ("photos", "videos", "audio_files", "files", "gifs", "sticker", "media")


class _Download(msgspec.Struct):
    """A file's content, with the field names of encrypted and of other chats."""

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
    """Return the reader of a channel's downloads: the files of a chat together, oldest message first."""

    def read(package: Package, files: Sequence[str], options: Options) -> Iterator[Chat | Rejection]:
        chats: dict[str, Chat] = {}
        for name, download in documents(package, files, _Download):
            if isinstance(download, Rejection):
                yield download
                continue
            id_ = (download.thread_path or download.thread_name or name.rpartition("/")[0] or package.name).rpartition(
                "/"
            )[2]
            title = latin1_as_utf8(download.title) if download.title else download.thread_name
            chat = chats.setdefault(id_, Chat(id_, channel, name=title, direct=len(download.participants) == 2))
            for number, value in enumerate(download.messages, 1):
                message = record_of(_Message, value, f"{name} message {number}")
                chat.messages.append(
                    message if isinstance(message, Rejection) else _message(message, f"{name} message {number}")
                )
        for chat in chats.values():
            yield _in_order(chat)

    return read


def _in_order(chat: Chat) -> Chat:
    """Return a chat with its messages by time, each with its id; rejections come last."""
    numbering = Numbering()
    good = sorted((m for m in reversed(chat.messages) if isinstance(m, Message)), key=lambda m: m.time)
    refused = [m for m in chat.messages if isinstance(m, Rejection)]
    chat.messages = [*(replace(m, id=numbering.id(m.time, m.author)) for m in good), *refused]
    return chat


def _message(message: _Message, origin: str) -> Message | Rejection:
    """Return a message without an id, which depends on its place among the others."""
    encrypted = message.timestamp is not None
    millis = message.timestamp if encrypted else message.timestamp_ms
    try:
        moment = datetime.fromtimestamp((millis or 0) / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        millis = None
    if millis is None:
        return rejection(
            "invalid_time", "timestamp_ms", f"{origin}: the message has no time in milliseconds since 1970"
        )
    author = message.sender if encrypted else message.sender_name and latin1_as_utf8(message.sender_name)
    notice = not author or message.type in _NOTICES or message.call_duration is not None
    text = message.text if encrypted else message.content and latin1_as_utf8(message.content)
    return Message(
        id="",
        time=moment,
        origin=origin,
        author=None if notice else author,
        kind="system" if notice else "person",
        changed=moment,
        reactions=len(message.reactions),
        files=sum(_count(getattr(message, part)) for part in _FILES),
        subtype=message.type if notice else "unsent" if message.is_unsent or message.unsent else None,
        text=text or None,
    )


def _count(files: object) -> int:
    return len(files) if isinstance(files, list) else int(bool(files))


def latin1_as_utf8(text: str) -> str:
    """Return the text of UTF-8 that was written as if it were Latin-1."""
    with suppress(UnicodeError):
        return text.encode("latin-1").decode("utf-8")
    return text


MESSENGER = ChatImporter("a Messenger download (JSON)", r"\.json\Z", _is_messenger, _reader("messenger"))
INSTAGRAM = ChatImporter("an Instagram download (JSON)", r"\.json\Z", _is_instagram, _reader("instagram"))
