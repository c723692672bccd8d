"""Common parts of helpdesks: how their ids are written, the names of their channels, and the event of a message.

- A helpdesk's ids are small numbers that other helpdesks use too, so each is prefixed with its provider: `chatwoot:7`.
- A note between staff is `message.sent` with the status `private`: stored, but not counted as a message to anybody.
- A deleted message stays counted, since it was sent: its last revision has no text, and `deleted`.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from datetime import UTC, datetime

from hubbub.ingest.receivers.fields import Fields, filled

_BREAK, _TAG = re.compile(r"(?i)<(?:br|/p|/li|/div|/h\d)\b[^<>]*>"), re.compile(r"<[^<>]*>")
DELETED = 2**61
"""Revision of a deleted message: the highest of all."""

CHANNELS: Mapping[str, str] = {
    "web_widget": "chat", "webwidget": "chat", "conversation": "chat", "front_chat": "chat", "chat": "chat",
    "native_messaging": "chat", "push": "chat", "messenger": "messenger", "facebook": "messenger", "facebook_page": "messenger",
    "facebookpage": "messenger", "email": "email", "mail": "email", "web": "web", "mobile": "web", "twilio_sms": "sms",
    "twiliosms": "sms", "sms": "sms", "phone_call": "phone", "call": "phone", "voice": "phone", "phone": "phone",
    "instagram_direct": "instagram", "instagram": "instagram", "whatsapp": "whatsapp", "telegram": "telegram", "line": "line",
    "twitter": "twitter", "twitter_profile": "twitter", "twitterprofile": "twitter", "tweet": "twitter", "api": "api",
}  # fmt: skip
"""A helpdesk's name of a channel, in lower case -> the medium; any other keeps its name."""


def channel(name: str, otherwise: str) -> str:
    """Return the medium of a helpdesk's channel, `otherwise` where it has no name."""
    plain = name.lower().strip()
    return CHANNELS.get(plain, plain) or otherwise


def plain(text: str) -> str:
    """Return the text of HTML, one line for each block."""
    return html.unescape(_TAG.sub("", _BREAK.sub("\n", text))).strip()


def key(*parts: str) -> str:
    """Return an id of a provider and its ids, or "" when one of them is missing."""
    return ":".join(parts) if all(parts) else ""


def when(fields: Fields, *path: str, unit: float = 1.0) -> datetime | str:
    """Return the moment at the end of a path: Unix time or ISO, UTC without an offset.

    Any other text is returned unchanged, so that the event is refused with the field's name; "" if absent.
    """
    moment = fields.moment(*path, unit=unit)
    if moment is not None:
        return moment
    text = fields.text(*path)
    try:
        parsed = datetime.fromisoformat(text.removesuffix(" UTC"))
    except ValueError:
        return text
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


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
    """Return the event of a message with the fields of `about`; `text` is stored, "" for none."""
    attributes = filled(deleted=deleted, text="" if deleted else text)
    event = filled(
        type="message.received" if inbound and not private else "message.sent", status="private" if private else None,
        attributes=attributes or None, **{**about, **fields},
    )  # fmt: skip
    return {**event, "revision": DELETED if deleted else event.get("revision", 1)}
