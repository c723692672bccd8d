"""Mattermost's bulk export: JSON lines, alone or in the ZIP with its files, with posts, replies and reactions of each channel.

Posts have no ids: a post is identified by channel, time, author and its place among them; people by their user names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from hubbub.ingest.sources.chat_importer import ChatImporter, unreadable
from hubbub.ingest.sources.chats import Chat, Message, Numbering
from hubbub.ingest.sources.importer import Options
from hubbub.ingest.sources.json_export import record_of, rejection, value_of
from hubbub.ingest.sources.package import UNREADABLE, Package
from hubbub.ingest.sources.rows import CUT, lines
from hubbub.model.event import Rejection


class _Line(msgspec.Struct):
    type: str
    post: Any = None
    direct_post: Any = None
    user: Any = None
    bot: Any = None
    channel: Any = None


class _Post(msgspec.Struct):
    user: str
    create_at: int
    team: str | None = None
    channel: str | None = None
    channel_members: list[str] = []
    type: str | None = None
    message: str | None = None
    edit_at: int | None = None
    props: Any = None
    reactions: list[Any] = []
    replies: list[Any] = []
    attachments: list[Any] = []


class _User(msgspec.Struct):
    username: str
    nickname: str | None = None
    first_name: str | None = None
    last_name: str | None = None


class _Channel(msgspec.Struct):
    name: str
    team: str | None = None
    display_name: str | None = None


@dataclass
class _Server:
    """The content of an export read so far."""

    chats: dict[str, Chat] = field(default_factory=dict)
    numbering: dict[str, Numbering] = field(default_factory=dict)
    people: dict[str, str] = field(default_factory=dict)
    bots: set[str] = field(default_factory=set)
    titles: dict[str, str] = field(default_factory=dict)


def _is_one(package: Package, name: str) -> bool:
    first = package.head(name).lstrip()[:200].replace(b" ", b"")
    return b'"type":"version"' in first and b'"version":' in first


def _read(package: Package, files: Sequence[str], options: Options) -> Iterator[Chat | Rejection]:
    server = _Server()
    for name in files:
        try:
            with package.open(name) as stream:
                for number, raw in enumerate(lines(stream), 1):
                    yield from _line(server, raw, f"{name.rpartition('/')[2]} line {number}")
        except UNREADABLE as error:
            yield unreadable(name, error)
        package.read_bytes += package.sizes[name]
    for id_, chat in sorted(server.chats.items()):
        chat.name = server.titles.get(id_)
        yield chat


def _line(server: _Server, raw: bytes | None, origin: str) -> Iterator[Rejection]:
    """Read a line; yield the rejections of unusable records."""
    if raw is None:
        yield rejection("too_long", None, f"{origin}: the line is too long")
        return
    if not raw.strip():
        return
    try:
        line = record_of(_Line, value_of(raw), origin)
    except ValueError as error:
        yield rejection("invalid_json" if raw.endswith(b"\n") else CUT, None, f"{origin}: {error}")
        return
    if isinstance(line, Rejection):
        yield line
    elif line.type in ("post", "direct_post"):
        post = record_of(_Post, line.post if line.type == "post" else line.direct_post, origin)
        rejections = [post] if isinstance(post, Rejection) else _add_post(server, post, origin)
        yield from rejections
    else:
        _read_label(server, line)


def _read_label(server: _Server, line: _Line) -> None:
    """Read the names of people and channels; unusable ones are skipped."""
    if line.type == "user" and isinstance(user := record_of(_User, line.user, ""), _User):
        full = " ".join(part for part in (user.first_name, user.last_name) if part)
        server.people[user.username] = full or user.nickname or user.username
    elif line.type == "bot" and isinstance(bot := record_of(_User, line.bot, ""), _User):
        server.bots.add(bot.username)
    elif line.type == "channel" and isinstance(channel := record_of(_Channel, line.channel, ""), _Channel):
        server.titles[f"{channel.team}/{channel.name}"] = channel.display_name or channel.name


def _add_post(server: _Server, post: _Post, origin: str) -> list[Rejection]:
    """Add a post with its replies to its chat; return the rejections of unusable ones."""
    direct = bool(post.channel_members)
    id_ = "__".join(sorted(post.channel_members)) if direct else f"{post.team}/{post.channel}"
    chat = server.chats.setdefault(
        id_, Chat(id_, "mattermost", direct=len(post.channel_members) == 2 if direct else False)
    )
    numbering = server.numbering.setdefault(id_, Numbering())
    root = _message(server, post, origin, (), numbering)
    refused: list[Rejection] = []
    if isinstance(root, Rejection):
        return [root]
    chat.messages.append(root)
    for number, value in enumerate(post.replies, 1):
        place = f"{origin} reply {number}"
        reply = record_of(_Post, value, place)
        message = reply if isinstance(reply, Rejection) else _message(server, reply, place, (root.id,), numbering)
        if isinstance(message, Rejection):
            refused.append(message)
        else:
            chat.messages.append(message)
    return refused


def _message(
    server: _Server, post: _Post, origin: str, answers: tuple[str, ...], numbering: Numbering
) -> Message | Rejection:
    moment, edited = _at(post.create_at), _at(post.edit_at) if post.edit_at else None
    if moment is None:
        return rejection("invalid_time", "create_at", f"{origin}: 'create_at' is not a time in milliseconds since 1970")
    system = (post.type or "").startswith("system_")
    by_program = isinstance(post.props, dict) and "true" in (post.props.get("from_bot"), post.props.get("from_webhook"))
    return Message(
        id=numbering.id(moment, post.user),
        time=moment,
        origin=origin,
        author=None if system else post.user,
        name=server.people.get(post.user),
        kind="system" if system else "bot" if by_program or post.user in server.bots else "person",
        answers=answers,
        changed=edited or moment,
        edited=edited is not None and edited != moment,
        reactions=len(post.reactions),
        files=len(post.attachments),
        subtype=post.type or None,
        text=post.message,
    )


def _at(millis: int) -> datetime | None:
    with suppress(ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(millis / 1000, UTC)
    return None


MATTERMOST = ChatImporter("a Mattermost bulk export (JSON lines)", r"\.jsonl\Z", _is_one, _read)
