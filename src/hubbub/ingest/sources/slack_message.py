"""A Slack message: its author, its thread, and its event.

Shared by the importer of exports and the connector, so that both yield the same event. `slack.py` explains the decisions about
identity, revision, kind and text.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from hubbub.ingest.asking import asks, signs_field
from hubbub.model.event import NOTHING, Event, Rejection
from hubbub.model.plain import JsonObject

PEOPLE = frozenset({None, "", "thread_broadcast", "me_message", "file_share"})
MAX_TEXT = 12_000  # bytes of JSON: attributes as a whole may have 16,384

_TS = re.compile(r"(\d{1,10})(?:\.(\d{1,6}))?\Z")
_LAST_SECOND = 9_000_000_000  # the year 2255: beyond it a revision would not fit into 64 bits
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BRIDGED = re.compile(r"\((?:matrix|irc|discord|telegram|gitter|zulip)\)\s*\Z", re.IGNORECASE)
_SECRETS = re.compile(
    r"\b(?:xox[a-z]|xapp)[-.][\w.-]+"
    r"|\b(?:pub_secret|pwd|passwd|password|passcode|icsToken|token|api[_-]?key|secret)\b\s*(?:=|:|is\b)\s*\S+"
    r"|\b(?:sk|pk|rk)[-_][\w-]{16,}|\bgh[opsu]_\w{20,}|\bgithub_pat_\w{20,}|\bAKIA[0-9A-Z]{16}\b"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    re.IGNORECASE | re.DOTALL,
)
_EMAIL = re.compile(r"[\w.+%'-]{1,64}@[\w-]+(?:\.[\w-]+)+")


class Message(msgspec.Struct):
    """A record from Slack's exports and API; unused fields are left out."""

    ts: str | float
    type: str | None = None
    subtype: str | None = None
    user: str | None = None
    bot_id: str | None = None
    username: str | None = None
    thread_ts: str | float | None = None
    parent_user_id: str | None = None
    text: str | None = None
    # These fields are checked on use: an odd value must not fail the record, because its identity does not depend on it.
    latest_reply: Any = None
    edited: Any = None
    reactions: Any = None
    reply_count: Any = None
    files: Any = None
    file: Any = None
    root: Any = None

    @property
    def author(self) -> str | None:
        """The id of its author, a person or bot."""
        return self.user or self.bot_id

    @property
    def kind(self) -> str:
        """The kind of its author: person, bot or system."""
        if self.subtype not in PEOPLE and self.subtype != "bot_message":
            return "system"
        return "bot" if self.bot_id or self.subtype == "bot_message" or self.user == "USLACKBOT" else "person"


@dataclass(slots=True)
class Thread:
    """The facts of a thread that its events need: the number of replies, the newest reply, and the first author."""

    replies: int = 0
    newest: int = 0
    author: str | None = None


decode_message = msgspec.json.Decoder(Message).decode


def mask_text(text: str) -> str:
    """Return `text` with e-mail addresses, tokens, keys and passwords replaced, cut to fit into attributes."""
    masked = _EMAIL.sub("[email]", _SECRETS.sub("[secret]", text))
    while (size := len(msgspec.json.encode(masked))) > MAX_TEXT:
        masked = masked[: min(len(masked) * MAX_TEXT // size, len(masked) - 1)]
    return masked


def event_of(
    channel: str,
    message: Message,
    threads: Mapping[str, Thread],
    *,
    keep_text: bool = False,
    bots: Container[str] = (),
) -> Event:
    """Return the event of a message in a channel, given by its id; `threads` by the `ts` of their root.

    `bots` are users that are programs.
    """
    ts, thread_ts = plain_ts(message.ts), plain_ts(message.thread_ts)
    thread = threads.get(thread_ts or ts or "")
    is_reply = thread_ts is not None and thread_ts != ts
    answers = is_reply and (thread is None or thread.author is None or thread.author != message.author)
    kind = "bot" if message.kind == "person" and message.user in bots else message.kind
    person = message.user if kind == "person" else None
    edited = message.edited if isinstance(message.edited, dict) else {}
    moment = micros(message.ts)
    newest = max(moment, micros(edited.get("ts")), micros(message.latest_reply))
    if thread is not None and not is_reply:
        newest = max(newest, thread.newest)
    reactions = message.reactions if isinstance(message.reactions, list) else []
    reacted = sum(count(r.get("count")) for r in reactions if isinstance(r, dict))
    attributes: dict[str, object] = {
        "subtype": message.subtype,
        "bot": message.bot_id,
        "bridged": kind == "bot" and _BRIDGED.search(message.username or "") is not None,
        "broadcast": message.subtype == "thread_broadcast",
        "edited": bool(edited),
        "reactions": reacted,
        "reply_count": count(message.reply_count),
        "files": len(message.files) if isinstance(message.files, list) else int(message.file is not None),
        "text": mask_text(message.text) if keep_text and message.text else None,
    }
    attributes = {name: value for name, value in attributes.items() if value}
    identity = f"{channel}:{ts}"
    return Event(
        type="message.sent" if answers else "message.received",
        time=_EPOCH + timedelta(microseconds=moment),
        id=identity,
        source="slack",
        channel="slack",
        channel_id=channel,
        conversation_id=None if thread is None and not is_reply else f"{channel}:{thread_ts or ts}",
        message_id=identity,
        contact_id=(_person(thread.author) if thread is not None else None) if answers else person,
        staff_id=person if answers else None,
        kind=kind,
        revision=newest * 1000 + min(reacted, 999),
        asks=asks(message.text) if kind == "person" else None,
        signs=signs_of(reactions, message.author),
        attributes=msgspec.Raw(msgspec.json.encode(attributes)) if attributes else NOTHING,
    )


def sign_of(name: str) -> str:
    """Return a reaction's name without a skin tone: `thumbsup` for `thumbsup::skin-tone-3`."""
    return name.partition("::")[0]


def signs_of(reactions: Iterable[Any], author: str | None) -> str | None:
    """Return the names of reactions by people other than the author, sorted, as many as the field holds; None if none."""
    names = {
        sign_of(reaction["name"])
        for reaction in reactions
        if isinstance(reaction, dict) and isinstance(reaction.get("name"), str) and _by_others(reaction, author)
    }
    return signs_field(names)


def _by_others(reaction: JsonObject, author: str | None) -> bool:
    """Say whether anybody but the author gave this reaction; `users` may list only some of them."""
    users = reaction.get("users")
    known = {user for user in users if isinstance(user, str)} if isinstance(users, list) else set()
    return bool(known - {author}) or count(reaction.get("count")) > len(known)


def _person(author: str | None) -> str | None:
    """Return the author's id if it is a person's: it begins with U or W, and is not Slackbot's. Bot ids begin with B."""
    return author if author and author[0] in "UW" and author != "USLACKBOT" else None


def read_message(raw: bytes | msgspec.Raw, origin: str) -> Message | Rejection:
    """Read a record; a `Rejection` names `origin` and the unusable field."""
    try:
        message = decode_message(raw)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        match = re.search(r"field `(\w+)`|`\$\.(\w+)", str(error))
        name = (match.group(1) or match.group(2)) if match else None
        code = "missing_field" if "missing required" in str(error) else "invalid_field" if name else "invalid_event"
        return refuse(code, name, f"{origin}: {f'{name!r}: ' if name else ''}{error}")
    for name in ("ts", "thread_ts"):
        value = getattr(message, name)
        if value is not None and plain_ts(value) is None:
            reason = f"{str(value)[:40]!r} is not a Slack time like 1604573608.000200"
            return refuse("invalid_time", name, f"{origin}: {name!r}: {reason}")
    return message


def refuse(code: str, name: str | None, message: str) -> Rejection:
    """Return a rejection without the record, which could hold texts."""
    return Rejection(index=0, code=code, field=name, message=message)


def plain_ts(ts: object) -> str | None:
    """Return a `ts` in its canonical form, six decimals, or None when absent or invalid.

    Some programs write it as a number, which is exact to microseconds until the year 2255.
    """
    text = f"{ts:.6f}" if isinstance(ts, int | float) and not isinstance(ts, bool) else ts
    match = _TS.match(text) if isinstance(text, str) else None
    if match is None or int(match.group(1)) > _LAST_SECOND:
        return None
    return f"{int(match.group(1))}.{(match.group(2) or ''):0<6}"


def micros(ts: object) -> int:
    """Return a `ts` as whole microseconds; 0 for anything else."""
    plain = plain_ts(ts)
    return int(plain.replace(".", "")) if plain else 0


def person_name(name: object, real_name: object, profile: object) -> str:
    """Return a user's name from the fields of a user object: the display name, else the full one, else the handle; may be empty."""
    fields = profile if isinstance(profile, dict) else {}
    candidates = (fields.get("display_name"), fields.get("real_name"), real_name, name)
    return next((text for text in candidates if isinstance(text, str) and text.strip()), "")


def moment_of(ts: object) -> datetime | None:
    """Return a `ts`, or a time in whole seconds, as a moment (aware, UTC); None for anything else."""
    moment = micros(ts)
    return _EPOCH + timedelta(microseconds=moment) if moment else None


def count(value: object) -> int:
    """Return a valid count, else 0."""
    return max(0, value) if isinstance(value, int) and not isinstance(value, bool) else 0
