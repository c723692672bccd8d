"""How chats become events, whoever wrote the file: who answers whom, which messages belong together, and what is kept.

An importer of chats gives `Chat`s of `Message`s; all that follows is decided here, once:

- **Conversations.** A chat of two people is one. In a room, messages that answer each other are one, named after the first;
  others belong to none, unless the team's side is known: then the room is their conversation.
- **Sides.** What those write who are named as staff is sent, all else received. Where nobody is named, whoever opened a
  conversation is the contact, and what others write in it is sent, as in a Slack thread: answers to who wrote first count.
- **Identity** is the chat's id and the message's. Edits, reactions and a named team raise the revision, so that an export that
  tells more wins.
- **Text** is left out unless asked for, and then e-mail addresses and secrets in it are masked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec

from hubbub.ingest.sources.slack_message import mask_text
from hubbub.ingest.sources.summary import Record
from hubbub.model.event import NOTHING, Event, Rejection
from hubbub.model.name import Name

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Message:
    """One message. `id` is unique in its chat, `time` aware; `answers` are ids of messages, the nearest first.

    `author` is a person's or bot's id and `name` what they are called. `changed` is when it was last edited, where the
    source tells of edits or reactions: its own time for one that never was.
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
    """A chat as it stands in a file. `id` is empty where ids of messages are unique by themselves, as of mails.

    `direct`: between two people, or a member of a team and a contact; None: as many as write in it.
    """

    id: str
    channel: str
    messages: list[Message | Rejection] = field(default_factory=list)
    name: str | None = None
    direct: bool | None = None

    def key(self, message: str) -> str:
        """Return the id that a message has among all of the channel."""
        return f"{self.id}:{message}" if self.id else message

    @property
    def people(self) -> dict[str, str]:
        """Who writes in it: id -> name, or id once more."""
        return {
            m.author: m.name or m.author
            for m in self.messages
            if isinstance(m, Message) and m.kind == "person" and m.author is not None
        }


class Numbering:
    """Ids of messages whose file has none: when, by whom, and which of those of the same moment."""

    def __init__(self) -> None:
        self._met: Counter[tuple[str, str]] = Counter()

    def id(self, moment: datetime, author: str | None) -> str:
        """Return the id of the next message, in the order of the chat."""
        key = moment.isoformat(), author or ""
        self._met[key] += 1
        return f"{key[0]}:{key[1]}:{self._met[key]}"


class Team:
    """Those who answer, by name, id or, of mails, `@domain`; nobody where nobody was named."""

    def __init__(self, staff: tuple[str, ...]) -> None:
        self.named = {one.strip().casefold() for one in staff if one.strip()}

    def has(self, author: str | None, name: str | None) -> bool:
        """Say whether somebody is one of them."""
        return bool(self.of(author, name))

    def of(self, author: str | None, name: str | None) -> set[str]:
        """Return under which of the names given somebody is one of them."""
        known = {text.strip().casefold() for text in (author, name) if text}
        known |= {"@" + text.rpartition("@")[2] for text in known if "@" in text}
        return known & self.named


def events(chat: Chat, team: Team, *, keep_text: bool) -> Iterator[Record | Rejection]:
    """Yield the event of each message, in the order of the chat, and what could not be read where it stood."""
    talks = _Talks(chat, team)
    for message in chat.messages:
        yield message if isinstance(message, Rejection) else Record(talks.event(message, keep_text), message.origin)


def names(chat: Chat, team: Team) -> Iterator[Name]:
    """Yield what the chat's people and the chat are called, where that is not their id, as of their newest message."""
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
    """The conversations of a chat, and who stands on which side in them."""

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
        """Return id of a message -> the conversation it is in, those of none left out."""
        there = {m.id for m in messages}
        parents: dict[str, str] = {}
        for message in messages:
            present = [one for one in message.answers if one in there and one != message.id]
            if present or message.answers:
                parents[message.id] = present[0] if present else message.answers[-1]
        found = {one: self._chat.key(_top(one, parents)) for one in parents}
        found |= {root: self._chat.key(root) for root in parents.values() if root in there and root not in found}
        if self._team.named and self._chat.id:
            found = dict.fromkeys(there, self._chat.id) | found
        if not self._chat.id:  # a mail by itself is a conversation that nobody answered
            found = {one: one for one in there} | found
        return found

    def answers(self, message: Message) -> bool:
        """Say whether a message is sent by the side that answers."""
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
            "text": mask_text(_whole(message.text)) if keep_text and message.text else None,
        }  # fmt: skip
        facts = {name: _whole(value) if isinstance(value, str) else value for name, value in facts.items() if value}
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
            attributes=msgspec.Raw(msgspec.json.encode(facts)) if facts else NOTHING,
        )


def _top(at: str, parents: dict[str, str]) -> str:
    """Return the first message that a message goes back to; of a loop, its smallest id."""
    path: dict[str, None] = {}
    while at in parents:
        if at in path:
            return min(list(path)[list(path).index(at) :])
        path[at] = None
        at = parents[at]
    return at


def _revision(message: Message, team: bool) -> int | None:
    """Return a number that is higher for a later edit, for more reactions, and once the team's side is known."""
    changed = 0 if message.changed is None else max(0, (message.changed - _EPOCH) // timedelta(microseconds=1))
    return changed * 1000 + min(message.reactions, 499) * 2 + team or None


def _whole(text: str) -> str:
    """Return a text without half characters, which attributes cannot hold."""
    return text.encode("utf-8", "replace").decode()
