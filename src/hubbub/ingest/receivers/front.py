"""Front: the conversations of a company, by an application's webhook.

- Signed with `X-Front-Signature`, the HMAC of `<timestamp>:<body>` in base64; the timestamp is in milliseconds, and may be five
  minutes off. When the address is saved, Front expects its `X-Front-Challenge` in the answer.
- Comments are between teammates, so they are private. Drafts are ignored. An archived conversation is resolved.
- Front's ids carry their type (`cnv_`, `msg_`, `tea_`), so they need no prefix; the contact is the writer's address or number.
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
            "In Front open Settings, Developers, create an app, and add the feature 'Webhooks'.",
            "Copy the app's signing key, and give it here as 'signing_key'.",
            "Then paste {address} as the webhook's URL: Front checks at once that it answers.",
            "Select inbound and outbound messages, replies, comments, assignments, archived and reopened conversations, errors.",
            "To fetch what a webhook lost, give an API token with read access to the inboxes as 'token', too.",
        ),
        secrets=(Secret("signing_key", "the signing key of the app"),),
        scopes=("events of the inboxes to count",),
    )

    def verify(self, delivery: Delivery, secrets: Mapping[str, str]) -> None:
        """Raise ForgedError unless the signature is that of the timestamp and the body, and not old."""
        stamp = delivery.headers.get("x-front-request-timestamp", "")
        expected = signature(secrets["signing_key"], stamp.encode() + b":" + delivery.body)
        check_same(delivery.headers.get("x-front-signature", ""), expected)
        check_fresh(stamp[:-3] if len(stamp) > 11 else stamp, delivery.received_at)

    def challenge(self, delivery: Delivery, secrets: Mapping[str, str]) -> Reply | None:
        """Return Front's challenge as the answer. Raises ForgedError."""
        challenge = delivery.headers.get("x-front-challenge")
        if challenge is None:
            return None
        if not (challenge.isascii() and challenge.isprintable() and len(challenge) < 1000):
            raise ForgedError(reason="no_signature")
        self.verify(delivery, secrets)
        return Reply(200, "application/json", json.dumps({"challenge": challenge}).encode())

    def read(self, delivery: Delivery, options: Options) -> Received:
        """Return what a body means. Raises BadRequestError."""
        body = object_of(delivery.body)
        event = body.child("payload") or body
        named = Fields({**event.of, "type": event.text("type") or body.text("type")})
        return meaning(named, body.text("authorization", "id"), options)


def meaning(event: Fields, company: str, options: Options) -> Received:
    """Return the meaning of an event, from a webhook or the API, of a company."""
    name = event.text("type")
    name = ALIASES.get(name, name)
    read = _READ.get(name)
    if read is None:
        return Received(ignored={name or "no type": 1})
    named = Fields({**event.of, "type": name})
    return read(named, _about(named, company), options)


def _about(event: Fields, company: str) -> dict[str, object]:
    talk, target = event.child("conversation"), event.child("target", "data")
    handle = _handle(target) or talk.text("recipient", "handle")
    inboxes = event.children("source", "data") or [event.child("source", "data")]
    inbox = inboxes[0].text("id")
    return filled(
        channel=channel(target.text("type"), ""), account_id=company, channel_id=inbox if inbox.startswith("inb_") else "",
        conversation_id=talk.text("id"), contact_id=handle.lower(),
    )  # fmt: skip


def _handle(target: Fields) -> str:
    """Return the contact's address or number: the sender of an inbound message, the recipient of another."""
    role = "from" if target.of.get("is_inbound") is True else "to"
    return next(
        (recipient.text("handle") for recipient in target.children("recipients") if recipient.text("role") == role), ""
    )


def _message(event: Fields, about: Mapping[str, object], options: Options) -> Received:
    """Return a message, inbound or outbound."""
    target = event.child("target", "data")
    if target.of.get("is_draft") is True:
        return Received(ignored={"draft": 1})
    id_ = target.text("id") or event.text("id")
    inbound = target.of.get("is_inbound") is True if target.has("is_inbound") else event.text("type") == "inbound"
    author = target.child("author")
    automatic = event.text("type") == "autoreply" or event.text("source", "_meta", "type") == "rule"
    fields = message(
        {"channel": PROVIDER, **about}, inbound=inbound, id=id_, message_id=id_,
        time=when(target, "created_at") or when(event, "emitted_at"),
        staff_id=None if inbound else author.text("id"), kind="auto" if automatic and not inbound else None,
        text=(target.text("text") or target.text("blurb")) if options.keep_text else "",
    )  # fmt: skip
    return Received(events=[fields], names=list(dict.fromkeys(_names(event, about))))


def _comment(event: Fields, about: Mapping[str, object], options: Options) -> Received:
    """Return a teammate's comment as a private message."""
    target = event.child("target", "data")
    author = target.child("author") or event.child("source", "data")
    id_ = target.text("id") or event.text("id")
    fields = message(
        {"channel": PROVIDER, **about}, inbound=False, private=True, id=id_, message_id=id_,
        time=when(target, "posted_at") or when(event, "emitted_at"), staff_id=author.text("id"),
        text=target.text("body") if options.keep_text else "",
    )  # fmt: skip
    return Received(events=[fields], names=list(dict.fromkeys(_names(event, about))))


def _step(event: Fields, about: Mapping[str, object], options: Options) -> Received:
    name = event.text("type")
    who = event.child("target" if name == "assign" else "source", "data").text("id")
    step = filled(
        type=STEPS[name],
        id=event.text("id"),
        time=when(event, "emitted_at"),
        staff_id=who if who.startswith("tea_") else "",
        **about,
    )
    return Received(events=[step], names=list(dict.fromkeys(_names(event, about))))


def _failed(event: Fields, about: Mapping[str, object], options: Options) -> Received:
    failure = filled(
        type="message.failed",
        id=event.text("id"),
        time=when(event, "emitted_at"),
        message_id=event.text("target", "data", "id"),
        **about,
    )
    return Received(events=[failure])


def _names(event: Fields, about: Mapping[str, object]) -> list[Name]:
    target = event.child("target", "data")
    people = [target, target.child("author"), event.child("source", "data"), event.child("conversation", "assignee")]
    names = [
        Name("staff", person.text("id"), f"{person.text('first_name')} {person.text('last_name')}".strip())
        for person in people
        if person.text("id").startswith("tea_") and (person.text("first_name") or person.text("last_name")).strip()
    ]
    names += [
        Name("room", person.text("id"), person.text("name"))
        for person in event.children("source", "data")
        if person.text("id").startswith("inb_") and person.text("name").strip()
    ]
    contact = str(about.get("contact_id", ""))
    named = next(
        (
            recipient.text("name")
            for recipient in target.children("recipients")
            if recipient.text("handle").lower() == contact
        ),
        "",
    )
    return [*names, Name("contact", contact, named)] if contact and named.strip() else names


_READ: Mapping[str, Callable[[Fields, Mapping[str, object], Options], Received]] = {
    **dict.fromkeys(("inbound", "outbound", "out_reply", "autoreply", "forward"), _message), "comment": _comment,
    **dict.fromkeys(STEPS, _step), **dict.fromkeys(("message_bounce_error", "sending_error"), _failed),
}  # fmt: skip
