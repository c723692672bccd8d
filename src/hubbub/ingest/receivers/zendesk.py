"""Zendesk: tickets as conversations, their comments as messages, by a webhook for ticket events.

- Signed with `X-Zendesk-Webhook-Signature`, the HMAC of the timestamp and the body in base64. Zendesk publishes no age limit for
  a timestamp; a repeated body counts nothing twice.
- The author of a trigger chooses the shape of its body: an event of the contract is accepted unchanged, so a trigger can report
  what event subscriptions lack, like a rating.
- A ticket's priority (low, normal, high, urgent) comes with its next comment or step.
- Comments that are not public are notes. A comment that is later redacted or made private changes the message.
- Not verified against the service: written from the published schemas.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import ClassVar

from hubbub.ingest.receivers.base import (
    Change,
    Delivery,
    Options,
    Received,
    Secret,
    Setup,
    check_same,
    no_challenge,
)
from hubbub.ingest.receivers.fields import Fields, filled, object_of
from hubbub.ingest.receivers.helpdesk import channel, key, message, millis, when
from hubbub.model.event import is_known_type
from hubbub.model.name import Name

PROVIDER = "zendesk"
PREFIX = "zen:event-type:"
SOLVED = ("solved", "closed")


def signature(secret: str, signed: bytes) -> str:
    """Return the HMAC-SHA256 of some bytes in base64."""
    return base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()


class Zendesk:
    """An account of Zendesk."""

    provider: ClassVar[str] = PROVIDER
    setup: ClassVar[Setup] = Setup(
        title="Zendesk",
        steps=(
            "In Zendesk's Admin Center open Apps and integrations, Webhooks and choose 'Create webhook', 'Zendesk events'.",
            "Select the ticket events Ticket created, Comment added, Comment made private, Comment redacted, Status changed and "
            "Agent assignment changed, and Messaging: Message added if you use messaging.",
            "Paste {address} as the endpoint URL, method POST, format JSON, authentication None.",
            "Create it, choose 'Reveal secret', and give it here as 'secret'.",
            "To fetch what a webhook lost, set base_url, and give an admin's MAIL/token:TOKEN as 'token', too.",
        ),
        secrets=(Secret("secret", "the signing secret of the webhook"),),
    )
    challenge = staticmethod(no_challenge)

    def verify(self, delivery: Delivery, secrets: Mapping[str, str]) -> None:
        """Raise ForgedError unless the signature is that of the timestamp and the body."""
        stamp = delivery.headers.get("x-zendesk-webhook-signature-timestamp", "")
        expected = signature(secrets["secret"], stamp.encode() + delivery.body)
        check_same(delivery.headers.get("x-zendesk-webhook-signature", ""), expected)

    def read(self, delivery: Delivery, options: Options) -> Received:
        """Return what a body means. Raises BadRequestError."""
        body = object_of(delivery.body)
        type_ = body.text("type")
        if not type_.startswith(PREFIX) and is_known_type(type_):
            return Received(events=[body.of])
        return meaning(body, options)


def meaning(body: Fields, options: Options) -> Received:
    """Return the meaning of a webhook's body, or of an event of the API in the same form."""
    name = body.text("type").removeprefix(PREFIX)
    read = _READ.get(name)
    if read is None:
        return Received(ignored={name or "no type": 1})
    return read(body, options)


def _about(body: Fields) -> dict[str, object]:
    detail = body.child("detail")
    return filled(
        channel=channel(detail.text("via", "channel"), PROVIDER), account_id=key(PROVIDER, body.text("account_id")),
        channel_id=key(PROVIDER, detail.text("brand_id")), conversation_id=key(PROVIDER, detail.text("id")),
        contact_id=key(PROVIDER, detail.text("requester_id")), severity=detail.text("priority").lower(),
    )  # fmt: skip


def _created(body: Fields, options: Options) -> Received:
    """Return a new ticket; its text arrives as its first comment."""
    at = when(body, "detail", "created_at") or when(body, "time")
    event = filled(
        type="conversation.started", id=key("ticket", body.text("detail", "id"), "started"), time=at, **_about(body)
    )
    return Received(events=[event])


def _comment(body: Fields, options: Options) -> Received:
    comment, about = body.child("event", "comment"), _about(body)
    author = comment.child("author")
    staff = author.of.get("is_staff") is True
    writer = key(PROVIDER, author.text("id"))
    id_ = key(PROVIDER, comment.text("id"))
    event = message(
        about, inbound=not staff, private=comment.of.get("is_public") is False, id=id_, message_id=id_, time=when(body, "time"),
        staff_id=writer if staff else None, text=comment.text("body") if options.keep_text else "",
    )  # fmt: skip
    return Received(events=[event], names=_name("staff" if staff else "contact", writer, author))


def _message(body: Fields, options: Options) -> Received:
    """Return a message of Zendesk's messaging, which belongs to the named ticket."""
    content, actor = body.child("event", "message"), body.child("event", "actor")
    kind = actor.text("type")
    inbound, staff = kind == "end_user", kind == "agent"
    author = key(PROVIDER, actor.text("id"))
    about = {**_about(body), "channel": channel(body.text("detail", "via", "channel"), "chat")}
    if inbound and author:
        about.setdefault("contact_id", author)
    event = message(
        about, inbound=inbound, id=key(PROVIDER, content.text("id")), message_id=key(PROVIDER, content.text("id")),
        time=when(body, "time"),
        staff_id=author if staff else None, kind=None if inbound or staff else "ai" if "answerbot" in author.lower() else "auto",
        text=content.text("body") if options.keep_text else "",
    )  # fmt: skip
    return Received(
        events=[event], names=_name("contact" if inbound else "staff", author, actor) if inbound or staff else []
    )


def _status(body: Fields, options: Options) -> Received:
    before, after = (body.text("event", name).lower() for name in ("previous", "current"))
    if after == "solved" or (after == "closed" and before not in SOLVED):
        type_ = "conversation.resolved"
    elif after == "closed":
        type_ = "conversation.closed"
    elif before in SOLVED:
        type_ = "conversation.reopened"
    else:
        return Received(ignored={f"status {after}"[:60]: 1})
    return Received(events=[_step(body, type_, staff=key(PROVIDER, body.text("detail", "assignee_id")))])


def _assigned(body: Fields, options: Options) -> Received:
    staff = key(PROVIDER, body.text("event", "current"))
    if not staff:
        return Received(ignored={"unassigned": 1})
    return Received(events=[_step(body, "conversation.assigned", staff=staff)])


def _step(body: Fields, type_: str, *, staff: str) -> dict[str, object]:
    """Return a step of a ticket. Its id is ticket, kind and second, because the API does not report the webhook's id."""
    at = when(body, "detail", "updated_at") or when(body, "time")
    second = str(int(at.timestamp())) if isinstance(at, datetime) else body.text("id")
    id_ = key("ticket", body.text("detail", "id"), type_.partition(".")[2], second)
    return filled(type=type_, id=id_, time=when(body, "time"), staff_id=staff, **_about(body))


def _changed(fields: Mapping[str, object]) -> Callable[[Fields, Options], Received]:
    """Return the reader of a comment's change. The change has only the comment's id, so it is applied to the stored message."""

    def read(body: Fields, options: Options) -> Received:
        comment = body.text("event", "comment", "id")
        if not comment:
            return Received(ignored={f"{body.text('type').removeprefix(PREFIX)} without its comment": 1})
        revision = millis(when(body, "time")) or 1
        return Received(changes=[Change(id=key(PROVIDER, comment), revision=revision, fields=fields)])

    return read


def _name(kind: str, id_: str, person: Fields) -> list[Name]:
    return [Name(kind, id_, person.text("name"))] if id_ and person.text("name").strip() else []


_READ: Mapping[str, Callable[[Fields, Options], Received]] = {
    "ticket.created": _created, "ticket.comment_added": _comment, "messaging_ticket.message_added": _message,
    "ticket.status_changed": _status, "ticket.agent_assignment_changed": _assigned,
    "ticket.comment_made_private": _changed({"status": "private"}),
    "ticket.comment_redacted": _changed({"attributes": {"deleted": True}}),
}  # fmt: skip
