"""Front: the conversations of a company, by an application's webhook.

- Signed with `X-Front-Signature`, the HMAC of `<timestamp>:<body>` in base64; the timestamp is in milliseconds, five minutes are
  allowed. Front asks for `X-Front-Challenge` to be said back when the address is saved.
- Comments are what teammates write to each other, so they are private. Drafts are left out. An archived conversation is resolved.
- Front's ids say what they are (`cnv_`, `msg_`, `tea_`), so they stand alone; the contact is the address or number that wrote.
- Not verified against the service: written from the published schemas.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import ClassVar

from hubbub.errors import ForgedError
from hubbub.ingest.receivers.base import (
    Delivery,
    Options,
    Received,
    Reply,
    Secret,
    Setup,
    check_fresh,
    check_same,
)
from hubbub.ingest.receivers.fields import Fields, filled, object_of
from hubbub.ingest.receivers.helpdesk import channel, message, when
from hubbub.ingest.receivers.zendesk import signature
from hubbub.model.name import Name

PROVIDER = "front"
ALIASES = {
    "inbound_received": "inbound", "outbound_sent": "outbound", "new_comment_added": "comment", "conversation_archived": "archive",
    "conversation_reopened": "reopen", "conversation_restored": "restore", "outbound_reply": "out_reply",
}  # fmt: skip
"""Names of an application's webhooks -> names of events in Front's API, where they differ."""
STEPS = {"archive": "conversation.resolved", "reopen": "conversation.reopened", "assign": "conversation.assigned"}


class Front:
    """A company at Front."""

    provider: ClassVar[str] = PROVIDER
    setup: ClassVar[Setup] = Setup(
        title="Front",
        steps=(
            "In Front open Settings, Developers, make an app, and add the feature 'Webhooks'.",
            "Copy the app's signing key, and give it here as 'signing_key'.",
            "Then paste {address} as the webhook's URL: Front asks it at once whether it answers.",
            "Select inbound and outbound messages, replies, comments, assignments, archived and reopened conversations, errors.",
        ),
        secrets=(Secret("signing_key", "the signing key of the app"),),
        scopes=("events of the inboxes that are to be counted",),
    )

    def verify(self, delivery: Delivery, secrets: Mapping[str, str]) -> None:
        """Raise ForgedError unless the signature is that of the timestamp and the body, and not old."""
        stamp = delivery.headers.get("x-front-request-timestamp", "")
        expected = signature(secrets["signing_key"], stamp.encode() + b":" + delivery.body)
        check_same(delivery.headers.get("x-front-signature", ""), expected)
        check_fresh(stamp[:-3] if len(stamp) > 11 else stamp, delivery.received_at)

    def challenge(self, delivery: Delivery, secrets: Mapping[str, str]) -> Reply | None:
        """Return Front's challenge, said back. Raises ForgedError."""
        asked = delivery.headers.get("x-front-challenge")
        if asked is None:
            return None
        if not (asked.isascii() and asked.isprintable() and len(asked) < 1000):
            raise ForgedError(reason="no_signature")
        self.verify(delivery, secrets)
        return Reply(200, "application/json", json.dumps({"challenge": asked}).encode())

    def read(self, delivery: Delivery, options: Options) -> Received:
        """Return what a body means. Raises BadRequestError."""
        body = object_of(delivery.body)
        event = body.one("payload") or body
        name = event.text("type") or body.text("type")
        name = ALIASES.get(name, name)
        event = Fields({**event.of, "type": name})
        read = _READ.get(name)
        if read is None:
            return Received(ignored={name or "no type": 1})
        return read(event, _about(event, body.text("authorization", "id")), options)


def _about(event: Fields, company: str) -> dict[str, object]:
    talk, said = event.one("conversation"), event.one("target", "data")
    handle = _handle(said) or talk.text("recipient", "handle")
    inboxes = event.many("source", "data") or [event.one("source", "data")]
    inbox = inboxes[0].text("id")
    return filled(
        channel=channel(said.text("type"), ""), account_id=company, channel_id=inbox if inbox.startswith("inb_") else "",
        conversation_id=talk.text("id"), contact_id=handle.lower(),
    )  # fmt: skip


def _handle(said: Fields) -> str:
    """Return the address or number of the contact: who an inbound message is from, who another one is to."""
    role = "from" if said.of.get("is_inbound") is True else "to"
    return next((one.text("handle") for one in said.many("recipients") if one.text("role") == role), "")


def _said(event: Fields, about: Mapping[str, object], options: Options) -> Received:
    """A message, in or out."""
    said = event.one("target", "data")
    if said.of.get("is_draft") is True:
        return Received(ignored={"draft": 1})
    id_ = said.text("id") or event.text("id")
    inbound = said.of.get("is_inbound") is True if said.has("is_inbound") else event.text("type") == "inbound"
    author = said.one("author")
    automatic = event.text("type") == "autoreply" or event.text("source", "_meta", "type") == "rule"
    found = message(
        {"channel": PROVIDER, **about}, inbound=inbound, id=id_, message_id=id_,
        time=when(said, "created_at") or when(event, "emitted_at"),
        staff_id=None if inbound else author.text("id"), kind="auto" if automatic and not inbound else None,
        text=(said.text("text") or said.text("blurb")) if options.keep_text else "",
    )  # fmt: skip
    return Received(events=[found], names=list(dict.fromkeys(_names(event, about))))


def _comment(event: Fields, about: Mapping[str, object], options: Options) -> Received:
    """What a teammate writes to others."""
    said = event.one("target", "data")
    author = said.one("author") or event.one("source", "data")
    id_ = said.text("id") or event.text("id")
    found = message(
        {"channel": PROVIDER, **about}, inbound=False, private=True, id=id_, message_id=id_,
        time=when(said, "posted_at") or when(event, "emitted_at"), staff_id=author.text("id"),
        text=said.text("body") if options.keep_text else "",
    )  # fmt: skip
    return Received(events=[found], names=list(dict.fromkeys(_names(event, about))))


def _step(event: Fields, about: Mapping[str, object], options: Options) -> Received:
    name = event.text("type")
    who = event.one("target" if name == "assign" else "source", "data").text("id")
    found = filled(
        type=STEPS[name],
        id=event.text("id"),
        time=when(event, "emitted_at"),
        staff_id=who if who.startswith("tea_") else "",
        **about,
    )
    return Received(events=[found], names=list(dict.fromkeys(_names(event, about))))


def _failed(event: Fields, about: Mapping[str, object], options: Options) -> Received:
    found = filled(
        type="message.failed",
        id=event.text("id"),
        time=when(event, "emitted_at"),
        message_id=event.text("target", "data", "id"),
        **about,
    )
    return Received(events=[found])


def _names(event: Fields, about: Mapping[str, object]) -> list[Name]:
    said = event.one("target", "data")
    people = [said, said.one("author"), event.one("source", "data"), event.one("conversation", "assignee")]
    found = [
        Name("staff", one.text("id"), f"{one.text('first_name')} {one.text('last_name')}".strip())
        for one in people
        if one.text("id").startswith("tea_") and (one.text("first_name") or one.text("last_name")).strip()
    ]
    found += [
        Name("room", one.text("id"), one.text("name"))
        for one in event.many("source", "data")
        if one.text("id").startswith("inb_") and one.text("name").strip()
    ]
    contact = str(about.get("contact_id", ""))
    named = next((one.text("name") for one in said.many("recipients") if one.text("handle").lower() == contact), "")
    return [*found, Name("contact", contact, named)] if contact and named.strip() else found


_READ: Mapping[str, Callable[[Fields, Mapping[str, object], Options], Received]] = {
    **dict.fromkeys(("inbound", "outbound", "out_reply", "autoreply", "forward"), _said), "comment": _comment,
    **dict.fromkeys(STEPS, _step), **dict.fromkeys(("message_bounce_error", "sending_error"), _failed),
}  # fmt: skip
