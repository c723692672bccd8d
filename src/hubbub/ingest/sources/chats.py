"""Turn chats into events, whatever the file: who replies to whom, which messages belong together, and what is stored.

An importer of chats yields `Chat`s of `Message`s; this file decides the rest:

- **Conversations.** A chat of two people is one conversation. In a room, messages that reply to each other are one, named after
  the first; other messages belong to none, unless the team is known: then the room is their conversation.
- **Sides.** Messages of named staff are sent, all others received. Without named staff, the author who opened a conversation is
  the contact, and messages of others in it are sent, as in a Slack thread.
- **Identity** is the chat's id and the message's. Edits, reactions and a named team raise the revision, so that the more complete
  export wins.
- **Text** is left out unless requested; then e-mail addresses and secrets in it are masked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec

from hubbub.ingest.asking import asks
from hubbub.ingest.sources.slack_message import mask_text
from hubbub.ingest.sources.summary import Record
from hubbub.model.event import NOTHING, Event, Rejection
from hubbub.model.name import Name

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Message:
    """A message. `id` is unique in its chat, `time` aware; `answers` are ids of messages, nearest first.

    `author` is a person's or bot's id and `name` the display name. `changed` is the time of the last edit, where the source
    reports edits or reactions: the message's own time if never edited.
    """

    id: str
    time: datetime
    origin: str
    author: str | None = None
    name: str | None = None
    kind: str = "person"
    answers: tuple[str, ...] = ()
    changed: datetime | None = None
    edited: bool = False
    reactions: int = 0
    files: int = 0
    subtype: str | None = None
    text: str | None = None


@dataclass(slots=True)
class Chat:
    """A chat of a file. `id` is empty where ids of messages are unique by themselves, like those of mails.

    `direct`: the chat is between two people, or a member of a team and a contact; None: the number of authors decides.
    """

    id: str
    channel: str
    messages: list[Message | Rejection] = field(default_factory=list)
    name: str | None = None
    direct: bool | None = None

    def key(self, message: str) -> str:
        """Return a message's id in the channel."""
        return f"{self.id}:{message}" if self.id else message

    @property
    def people(self) -> dict[str, str]:
        """The authors: id -> name, or the id again."""
        return {
            m.author: m.name or m.author
            for m in self.messages
            if isinstance(m, Message) and m.kind == "person" and m.author is not None
        }


class Numbering:
    """Ids for messages of a file without ids: time, author, and a count within the same moment."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()

    def id(self, moment: datetime, author: str | None) -> str:
        """Return the id of the next message, in the order of the chat."""
        key = moment.isoformat(), author or ""
        self._counts[key] += 1
        return f"{key[0]}:{key[1]}:{self._counts[key]}"


class Team:
    """The staff, by name, id or, for mails, `@domain`; empty when nobody was named."""

    def __init__(self, staff: tuple[str, ...]) -> None:
        self.named = {name.strip().casefold() for name in staff if name.strip()}

    def has(self, author: str | None, name: str | None) -> bool:
        """Say whether an author is staff."""
        return bool(self.of(author, name))

    def of(self, author: str | None, name: str | None) -> set[str]:
        """Return the given staff names that an author matches."""
        keys = {text.strip().casefold() for text in (author, name) if text}
        keys |= {"@" + text.rpartition("@")[2] for text in keys if "@" in text}
        return keys & self.named


def events(chat: Chat, team: Team, *, keep_text: bool) -> Iterator[Record | Rejection]:
    """Yield the event of each message, in the order of the chat, and rejections in their place."""
    talks = _Talks(chat, team)
    for message in chat.messages:
        yield message if isinstance(message, Rejection) else Record(talks.event(message, keep_text), message.origin)


def names(chat: Chat, team: Team) -> Iterator[Name]:
    """Yield the names of the chat and its people, where they differ from the id, as of their newest message."""
    if chat.name and chat.name != chat.id and chat.id:
        times = [m.time for m in chat.messages if isinstance(m, Message)]
        yield Name("room", chat.id, chat.name, max(times, default=None))
    talks = _Talks(chat, team)
    for message in chat.messages:
        if not isinstance(message, Message) or message.kind != "person" or message.author is None:
            continue
        if message.name and message.name != message.author:
            yield Name("staff" if talks.answers(message) else "contact", message.author, message.name, message.time)


class _Talks:
    """The conversations of a chat, and the side of each author."""

    def __init__(self, chat: Chat, team: Team) -> None:
        self._chat = chat
        self._team = team
        messages = [m for m in chat.messages if isinstance(m, Message) and m.kind != "system"]
        direct = chat.direct if chat.direct is not None else bool(chat.id) and len(chat.people) <= 2
        self._of = dict.fromkeys((m.id for m in messages), chat.id) if direct else self._threads(messages)
        self._contact: dict[str, str | None] = {}
        for message in messages:
            talk = self._of.get(message.id)
            opens = talk is not None and (direct or bool(team.named) or talk == chat.key(message.id))
            if opens and message.kind == "person" and not self._staffed(message):
                self._contact.setdefault(talk or "", message.author)

    def _staffed(self, message: Message) -> bool:
        return self._team.has(message.author, message.name)

    def _threads(self, messages: list[Message]) -> dict[str, str]:
        """Return message id -> conversation; messages without a conversation are left out."""
        ids = {m.id for m in messages}
        parents: dict[str, str] = {}
        for message in messages:
            present = [id_ for id_ in message.answers if id_ in ids and id_ != message.id]
            if present or message.answers:
                parents[message.id] = present[0] if present else message.answers[-1]
        conversations = {id_: self._chat.key(_top(id_, parents)) for id_ in parents}
        conversations |= {
            root: self._chat.key(root) for root in parents.values() if root in ids and root not in conversations
        }
        if self._team.named and self._chat.id:
            conversations = dict.fromkeys(ids, self._chat.id) | conversations
        if not self._chat.id:  # a single mail is a conversation without a reply
            conversations = {id_: id_ for id_ in ids} | conversations
        return conversations

    def answers(self, message: Message) -> bool:
        """Say whether a message is from the answering side."""
        if self._team.named:
            return self._staffed(message)
        talk = self._of.get(message.id)
        if talk is None or message.author is None:
            return False
        return talk != self._chat.key(message.id) and self._contact.get(talk) != message.author

    def event(self, message: Message, keep_text: bool) -> Event:
        """Return the event of a message."""
        talk, answers = self._of.get(message.id), self.answers(message)
        person = message.author if message.kind == "person" else None
        facts: dict[str, object] = {
            "subtype": message.subtype, "edited": message.edited, "reactions": message.reactions, "files": message.files,
            "bot": message.author if message.kind == "bot" else None,
            "text": mask_text(_encodable(message.text)) if keep_text and message.text else None,
        }  # fmt: skip
        facts = {name: _encodable(value) if isinstance(value, str) else value for name, value in facts.items() if value}
        key = self._chat.key(message.id)
        return Event(
            type="message.sent" if answers else "message.received",
            time=message.time,
            id=key,
            source=self._chat.channel,
            channel=self._chat.channel,
            channel_id=self._chat.id or None,
            conversation_id=talk,
            message_id=key,
            contact_id=self._contact.get(talk or "") if answers else person,
            staff_id=person if answers else None,
            kind=message.kind,
            revision=_revision(message, bool(self._team.named)),
            asks=asks(message.text) if person is not None and self._chat.id else None,
            attributes=msgspec.Raw(msgspec.json.encode(facts)) if facts else NOTHING,
        )


def _top(at: str, parents: dict[str, str]) -> str:
    """Return the first message of a message's chain of replies; in a loop, the smallest id."""
    path: dict[str, None] = {}
    while at in parents:
        if at in path:
            return min(list(path)[list(path).index(at) :])
        path[at] = None
        at = parents[at]
    return at


def _revision(message: Message, team: bool) -> int | None:
    """Return a number that is higher for a later edit, for more reactions, and once the team is known."""
    changed = 0 if message.changed is None else max(0, (message.changed - _EPOCH) // timedelta(microseconds=1))
    return changed * 1000 + min(message.reactions, 499) * 2 + team or None


def _encodable(text: str) -> str:
    """Return a text without lone surrogates, which attributes cannot hold."""
    return text.encode("utf-8", "replace").decode()
