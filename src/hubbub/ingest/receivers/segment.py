"""Segment-compatible senders: `track`, `batch` and `identify`, from Segment's libraries, its webhooks, or compatible ones.

- A library sends the write key as the user name of basic auth; Segment's webhooks sign the body instead: `X-Signature` is the
  SHA-1 HMAC with the same key.
- `messageId` is the id, so a repeated call counts once. A phone's clock may be wrong: the event's time is the time of receipt minus
  the time between `timestamp` and `sentAt`, both by the sender's clock.
- A track's name is a type of the contract, as it is or in words: `message.received`, `Message Received`. Segment's own names for
  live chats and mails are known, too. Properties become the event's fields; unknown ones are left out.
- `alias` links two ids of one person.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import ClassVar

from hubbub.errors import BadRequestError
from hubbub.gunzip import BadGzipError, TooMuchError, gunzip
from hubbub.ingest.receivers.base import (
    Delivery,
    Options,
    Received,
    Secret,
    Setup,
    check_same,
    hmac_hex,
    no_challenge,
)
from hubbub.ingest.receivers.fields import Fields, filled, object_of
from hubbub.ingest.receivers.helpdesk import when
from hubbub.ingest.receivers.keys import check_secret
from hubbub.model.event import ALIASES, CUSTOM_TYPE, FIELDS, TYPES
from hubbub.model.name import Name
from hubbub.model.spelling import snake

NAMES: Mapping[str, str] = {
    "Live Chat Conversation Started": "conversation.started", "Live Chat Conversation Ended": "conversation.resolved",
    "Live Chat Message Sent": "message.received", "Live Chat Message Received": "message.sent",  # as the customer sees it
    "Email Delivered": "message.delivered", "Email Opened": "message.read", "Email Link Clicked": "link.clicked",
    "Email Bounced": "message.failed", "Email Marked as Spam": "contact.blocked", "Unsubscribed": "contact.blocked",
}  # fmt: skip
"""Segment's own names, from its specifications of live chats and mails."""
PROPERTIES: Mapping[str, str] = {
    "agent_id": "staff_id", "email_id": "message_id", "inbox_id": "channel_id", "message_body": "text", "user_id": "contact_id",
}  # fmt: skip
LARGEST = 16 << 20
"""Largest unpacked body in bytes; Segment itself accepts half a megabyte."""
_OURS = frozenset(FIELDS - {"type", "time", "id", "source", "attributes"})


class Segment:
    """A source of Segment."""

    provider: ClassVar[str] = "segment"
    setup: ClassVar[Setup] = Setup(
        title="Segment",
        steps=(
            "With a library: give it {address} as its host or endpoint, and {write_key} as its write key.",
            "From Segment itself: add 'Webhooks (Actions)' with {address} as its URL and {write_key} as its secret.",
        ),
        secrets=(Secret("write_key", "the write key of the library, or the shared secret of the webhook", ours=True),),
    )
    challenge = staticmethod(no_challenge)

    def verify(self, delivery: Delivery, secrets: Mapping[str, str]) -> None:
        """Raise ForgedError unless the write key is shown, or the signature fits the body."""
        signature = delivery.headers.get("x-signature")
        if signature is None:
            check_secret(delivery, secrets["write_key"], as_user=True)
        else:
            check_same(signature, hmac_hex(secrets["write_key"], delivery.body, digest="sha1"))

    def read(self, delivery: Delivery, options: Options) -> Received:
        """Return what a body means. Raises BadRequestError."""
        body = object_of(_unpacked(delivery))
        calls = body.children("batch") if body.has("batch") else [body]
        events: list[dict[str, object]] = []
        ignored: dict[str, int] = {} if calls else {"empty batch": 1}
        for call in calls:
            event = _event(call, when(call, "sentAt") or when(body, "sentAt"), delivery, options)
            if isinstance(event, str):
                ignored[event] = ignored.get(event, 0) + 1
            else:
                events.append(event)
        return Received(events=events, ignored=ignored, names=list(dict.fromkeys(_names(calls))))


def _unpacked(delivery: Delivery) -> bytes:
    """Return the body, unpacked if gzip. Raises BadRequestError."""
    if delivery.headers.get("content-encoding", "").lower() != "gzip":
        return delivery.body
    try:
        return gunzip(delivery.body, LARGEST)
    except (BadGzipError, TooMuchError):
        raise BadRequestError(
            "the body is truncated or invalid gzip, or too large unpacked", reason="bad_gzip"
        ) from None


def _event(call: Fields, sent_at: datetime | str, delivery: Delivery, options: Options) -> dict[str, object] | str:
    """Return the event of a call, or the name to ignore it by."""
    kind = call.text("type") or ("track" if call.has("event") else "")
    at = _written_at(when(call, "timestamp"), sent_at, delivery.received_at)
    contact = call.text("userId") or call.text("anonymousId")
    if kind == "alias" and call.text("previousId") and contact:
        return filled(
            type="contact.linked", id=call.text("messageId"), time=at, contact_id=contact, name=call.text("previousId")
        )
    if kind == "identify" and contact:
        return filled(type="contact.updated", id=call.text("messageId"), time=at, contact_id=contact)
    if kind != "track":
        return kind[:60] or "no type"
    type_ = _type(call.text("event"))
    if not type_:
        return f"track {call.text('event')}"[:60]
    fields = _fields(call.child("properties"))
    text = str(fields.pop("text", ""))
    return filled(**{
        "contact_id": contact, **fields, "type": type_, "id": call.text("messageId"), "time": at,
        "attributes": {"text": text} if options.keep_text and text else None,
    })  # fmt: skip


def _type(name: str) -> str:
    """Return the type of the contract that a track's name means; "" if it means none."""
    words = "_".join(name.lower().split())
    for type_ in (NAMES.get(name, ""), name, words.replace("_", ".", 1)):
        if type_ in TYPES or CUSTOM_TYPE.match(type_):
            return type_
    return ""


def _fields(properties: Fields) -> dict[str, object]:
    fields: dict[str, object] = {}
    for property_, value in properties.of.items():
        name = snake(property_)
        name = PROPERTIES.get(name, ALIASES.get(name, name))
        if (name in _OURS or name == "text") and isinstance(value, str | int | float):
            fields.setdefault(name, value)
    return fields


def _written_at(timestamp: datetime | str, sent_at: datetime | str, received_at: datetime) -> datetime | str:
    """Return the event's time by the receiver's clock; an invalid time is returned unchanged, to be refused."""
    if not timestamp:
        return received_at
    if isinstance(timestamp, datetime) and isinstance(sent_at, datetime):
        return received_at - max(sent_at - timestamp, timedelta(0))
    return timestamp


def _names(calls: Iterable[Fields]) -> Iterable[Name]:
    for call in calls:
        traits, properties = call.child("traits"), call.child("properties")
        contact = call.text("userId") or call.text("anonymousId")
        name = traits.text("name") or f"{traits.text('firstName')} {traits.text('lastName')}".strip()
        if contact and name.strip():
            yield Name("contact", contact, name)
        if properties.text("agent_id") and properties.text("agent_name").strip():
            yield Name("staff", properties.text("agent_id"), properties.text("agent_name"))
