"""What helpdesks have in common: how their ids are written, what their channels are called, and the event of a message.

- The ids of a helpdesk are small numbers that another one has too, so each is written with its provider: `chatwoot:7`.
- A note that staff write for each other is `message.sent` with the status `private`: kept, and no message to anybody.
- A message that was deleted keeps its place, since it was sent: a last revision without its text, with `deleted`.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from datetime import UTC, datetime

from hubbub.ingest.receivers.fields import Fields, filled

_BREAK, _TAG = re.compile(r"(?i)<(?:br|/p|/li|/div|/h\d)\b[^<>]*>"), re.compile(r"<[^<>]*>")
DELETED = 2**61
"""Revision of a message that was deleted: nothing comes after it."""

CHANNELS: Mapping[str, str] = {
    "web_widget": "chat", "webwidget": "chat", "conversation": "chat", "front_chat": "chat", "chat": "chat",
    "native_messaging": "chat", "push": "chat", "messenger": "messenger", "facebook": "messenger", "facebook_page": "messenger",
    "facebookpage": "messenger", "email": "email", "mail": "email", "web": "web", "mobile": "web", "twilio_sms": "sms",
    "twiliosms": "sms", "sms": "sms", "phone_call": "phone", "call": "phone", "voice": "phone", "phone": "phone",
    "instagram_direct": "instagram", "instagram": "instagram", "whatsapp": "whatsapp", "telegram": "telegram", "line": "line",
    "twitter": "twitter", "twitter_profile": "twitter", "twitterprofile": "twitter", "tweet": "twitter", "api": "api",
}  # fmt: skip
"""A helpdesk's name of a channel, in lower case -> the medium; one that is not here keeps its name."""


def channel(name: str, otherwise: str) -> str:
    """Return the medium that a helpdesk's channel is, `otherwise` where it names none."""
    plain = name.lower().strip()
    return CHANNELS.get(plain, plain) or otherwise


def plain(text: str) -> str:
    """Return the text of a piece of HTML, on lines as its blocks are."""
    return html.unescape(_TAG.sub("", _BREAK.sub("\n", text))).strip()


def key(*parts: str) -> str:
    """Return an id made of a provider and its ids, or "" when one of them is missing."""
    return ":".join(parts) if all(parts) else ""


def when(fields: Fields, *path: str, unit: float = 1.0) -> datetime | str:
    """Return the moment at the end of a path: Unix time or ISO, UTC where no offset is given.

    What is neither comes back as it is, so that the event is refused with the field's name; "" where there is nothing.
    """
    moment = fields.moment(*path, unit=unit)
    if moment is not None:
        return moment
    text = fields.text(*path)
    try:
        found = datetime.fromisoformat(text.removesuffix(" UTC"))
    except ValueError:
        return text
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def millis(moment: datetime | str) -> int | None:
    """Return a moment as whole milliseconds since 1970, for revisions and ids; None for none."""
    return round(moment.timestamp() * 1000) if isinstance(moment, datetime) else None


def message(
    about: Mapping[str, object],
    *,
    inbound: bool,
    private: bool = False,
    deleted: bool = False,
    text: str = "",
    **fields: object,
) -> dict[str, object]:
    """Return the event of a message in what it is about; `text` is what may be kept of it, "" for nothing."""
    said = filled(deleted=deleted, text="" if deleted else text)
    found = filled(
        type="message.received" if inbound and not private else "message.sent", status="private" if private else None,
        attributes=said or None, **{**about, **fields},
    )  # fmt: skip
    return {**found, "revision": DELETED if deleted else found.get("revision", 1)}
