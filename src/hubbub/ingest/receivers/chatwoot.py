"""Chatwoot: messages, their receipts, and changes of conversations, from an account's webhook or an API inbox.

- Signed with `X-Chatwoot-Signature`, `sha256=` and the HMAC of `<timestamp>.<body>`. Each body is sent once, with five seconds to
  answer: lost ones are fetched through the API (`connectors/chatwoot.py`), with the same ids.
- `private` messages are notes of agents. Activity lines repeat conversation events, and are ignored.
- An agent bot and Captain answer people, so their kind is `ai`; templates (greeting, survey) and automation rules are `auto`.
- A conversation's priority (low, medium, high, urgent) comes with its next message or step; a change of it alone is ignored.
- A conversation that a bot hands to people goes from `pending` to `open`: that is `conversation.escalated`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import ClassVar

from hubbub.ingest.receivers.base import (
    Delivery,
    Options,
    Received,
    Secret,
    Setup,
    check_fresh,
    check_same,
    hmac_hex,
    no_challenge,
)
from hubbub.ingest.receivers.fields import Fields, filled, object_of
from hubbub.ingest.receivers.helpdesk import channel, key, message, millis, when
from hubbub.model.name import Name

PROVIDER = "chatwoot"
EVENTS = (
    "message_created, message_updated, conversation_created, conversation_updated, conversation_status_changed, "
    "contact_created"
)
INCOMING, OUTGOING, ACTIVITY, TEMPLATE = ("incoming", "0"), ("outgoing", "1"), ("activity", "2"), ("template", "3")
"""Types of messages, as webhooks and as the API write them."""
RECEIPTS = {"delivered": "message.delivered", "read": "message.read", "failed": "message.failed"}
STATES = {
    ("open", "resolved"): "conversation.resolved", ("pending", "resolved"): "conversation.resolved",
    ("snoozed", "resolved"): "conversation.resolved", ("resolved", "open"): "conversation.reopened",
    ("resolved", "pending"): "conversation.reopened", ("pending", "open"): "conversation.escalated",
}  # fmt: skip
"""Changes of status with a meaning; all others are ignored."""
AI = frozenset({"agent_bot", "captain_assistant"})


class Chatwoot:
    """An account of Chatwoot."""

    provider: ClassVar[str] = PROVIDER
    setup: ClassVar[Setup] = Setup(
        title="Chatwoot",
        steps=(
            "In Chatwoot open Settings, Integrations, Webhooks and choose 'Add new webhook'.",
            "Paste {address} as the URL.",
            f"Tick {EVENTS}.",
            "Save, copy the webhook's secret, and give it here as 'secret'.",
            "To fetch what a webhook lost, set account_id, and give your access token as 'token', too.",
        ),
        secrets=(Secret("secret", "the secret that Chatwoot shows for the webhook"),),
    )
    challenge = staticmethod(no_challenge)

    def verify(self, delivery: Delivery, secrets: Mapping[str, str]) -> None:
        """Raise ForgedError unless the signature is that of the timestamp and the body."""
        stamp = delivery.headers.get("x-chatwoot-timestamp", "")
        expected = hmac_hex(secrets["secret"], stamp.encode(), b".", delivery.body)
        check_same(delivery.headers.get("x-chatwoot-signature", ""), f"sha256={expected}")
        check_fresh(stamp, delivery.received_at)

    def read(self, delivery: Delivery, options: Options) -> Received:
        """Return what a body means. Raises BadRequestError."""
        body = object_of(delivery.body)
        event = body.text("event")
        if event in ("message_created", "message_updated"):
            return message_received(body, options, delivery.received_at, updated=event == "message_updated")
        if event == "conversation_created":
            return conversation_began(body)
        if event in ("conversation_status_changed", "conversation_updated"):
            return _changed(body, delivery.received_at)
        if event in ("contact_created", "contact_updated"):
            return _contact(body, delivery.received_at, new=event == "contact_created")
        return Received(ignored={event or "no event": 1})


def message_received(body: Fields, options: Options, received_at: datetime, *, updated: bool = False) -> Received:
    """Return the meaning of a message, with its conversation as `conversation`, from a webhook or the API."""
    kind = body.text("message_type")
    names = list(dict.fromkeys(_names(body)))
    if kind in ACTIVITY:
        return Received(ignored={"activity": 1}, names=names)
    last = next(
        (entry for entry in body.children("conversation", "messages") if entry.text("id") == body.text("id")),
        Fields({}),
    )
    changed = when(last, "updated_at") or when(body, "updated_at")
    about, writer = _about(body), _writer(body)
    inbound = kind in INCOMING
    deleted = body.child("content_attributes").of.get("deleted") is True
    event = message(
        about, inbound=inbound, private=body.of.get("private") is True, deleted=deleted,
        text=body.text("content") if options.keep_text else "",
        id=key(PROVIDER, body.text("id")), message_id=key(PROVIDER, body.text("id")), time=when(body, "created_at"),
        staff_id=None if inbound else writer, kind=None if inbound else _kind(body, kind),
        campaign_id=key(PROVIDER, body.text("additional_attributes", "campaign_id")),
        revision=millis(changed) if updated and options.keep_text else None,
    )  # fmt: skip
    events = [event, *_receipt(event, body.text("status") or last.text("status"), changed or received_at)]
    return Received(events=[*events, *_rating(body, about, changed or received_at)], names=names)


def _about(body: Fields) -> dict[str, object]:
    """Return the ids of a message's conversation, contact, inbox and account."""
    talk = body.child("conversation")
    account = body.text("account", "id") or talk.text("account_id") or body.text("account_id")
    sender = body.text("sender", "id") if body.text("sender", "type") == "contact" else ""
    contact = talk.text("meta", "sender", "id") or talk.text("contact_inbox", "contact_id") or sender
    medium = talk.text("channel") or talk.text("meta", "channel")
    return filled(
        channel=channel(medium.removeprefix("Channel::"), PROVIDER), account_id=key(PROVIDER, account),
        channel_id=key(PROVIDER, talk.text("inbox_id") or body.text("inbox", "id")),
        conversation_id=key(PROVIDER, account, talk.text("id")), contact_id=key(PROVIDER, contact), severity=talk.text("priority"),
    )  # fmt: skip


def _writer(body: Fields) -> str:
    return key(PROVIDER, body.text("sender", "id")) if body.text("sender", "type") == "user" else ""


def _kind(body: Fields, kind: str) -> str | None:
    if body.text("sender", "type") in AI:
        return "ai"
    ruled = body.child("content_attributes").has("automation_rule_id")
    return "auto" if kind in TEMPLATE or ruled or body.child("additional_attributes").has("campaign_id") else None


def _receipt(event: Mapping[str, object], status: str, at: datetime | str) -> Iterator[dict[str, object]]:
    """Yield the receipt in the status of a sent message, if any."""
    if status in RECEIPTS and event["type"] == "message.sent" and "status" not in event:
        same = {
            name: event[name]
            for name in ("channel", "channel_id", "account_id", "message_id", "contact_id")
            if name in event
        }
        yield filled(type=RECEIPTS[status], id=key(str(event.get("id", "")), status), time=at, **same)


def _rating(body: Fields, about: Mapping[str, object], at: datetime | str) -> Iterator[dict[str, object]]:
    """Yield the rating that a contact gave in a survey's message."""
    answer = body.child("content_attributes", "submitted_values", "csat_survey_response")
    if answer.has("rating"):
        yield filled(
            type="satisfaction.rating_received", id=key("rating", body.text("id")), survey_id=key(PROVIDER, body.text("id")),
            time=at, value=answer.number("rating"), scale=5, **about,
        )  # fmt: skip


def _names(body: Fields) -> Iterator[Name]:
    talk = body.child("conversation")
    for kind, person in (
        ("contact", talk.child("meta", "sender")), ("staff", talk.child("meta", "assignee")), ("account", body.child("account")),
        ("room", body.child("inbox")), ("staff" if _writer(body) else "contact", body.child("sender")),
    ):  # fmt: skip
        known = person.text("type") not in AI and person.text("id") and person.text("name").strip()
        if known:
            yield Name(kind, key(PROVIDER, person.text("id")), person.text("name"))


def _as_message(body: Fields) -> Fields:
    """Return a conversation's own body in the shape of a message's, with the conversation as a field."""
    account = body.text("account", "id") or body.text("account_id") or _account(body)
    return Fields({**body.of, "conversation": body.of, "account": {"id": account} if account else None})


def _account(body: Fields) -> str:
    return next((message.text("account_id") for message in body.children("messages") if message.text("account_id")), "")


def conversation_began(body: Fields) -> Received:
    """Return the beginning of a conversation, from a webhook or the API."""
    message_body = _as_message(body)
    at = when(body, "created_at") or when(body, "timestamp")
    about = _about(message_body)
    event = filled(
        type="conversation.started",
        id=key("conversation", str(about.get("conversation_id", "")), "started"),
        time=at,
        **about,
    )
    return Received(events=[event], names=list(dict.fromkeys(_names(message_body))))


def _changed(body: Fields, received_at: datetime) -> Received:
    """Return the events of a changed conversation: a new status, a new assignee."""
    message_body = _as_message(body)
    about, names = _about(message_body), list(dict.fromkeys(_names(message_body)))
    at = when(body, "updated_at") or when(body, "timestamp") or received_at
    events, ignored = [], {}
    for change in body.children("changed_attributes"):
        for name in change.of:
            before, after = change.text(name, "previous_value"), change.text(name, "current_value")
            type_ = STATES.get((before, after)) if name == "status" else None
            staff = key(PROVIDER, after) if name == "assignee_id" else ""
            if type_ is None and not staff:
                ignored[f"change of {name}"[:60]] = 1
                continue
            type_ = type_ or "conversation.assigned"
            step = key(
                "conversation", str(about.get("conversation_id", "")), type_.partition(".")[2], str(millis(at) or "")
            )
            events.append(filled(type=type_, id=step, time=at, staff_id=staff, **about))
    if not events and not ignored:
        ignored[body.text("event")] = 1
    return Received(events=events, ignored=ignored, names=names)


def _contact(body: Fields, received_at: datetime, *, new: bool) -> Received:
    """Return a new contact; of a changed one, its name."""
    id_, name = key(PROVIDER, body.text("id")), body.text("name").strip()
    event = filled(
        type="contact.created", id=key("contact", body.text("id"), "created"), contact_id=id_,
        time=when(body, "created_at") or received_at, account_id=key(PROVIDER, body.text("account", "id")), channel=PROVIDER,
    )  # fmt: skip
    names = [Name("contact", id_, name)] if id_ and name else []
    return Received(events=[event] if new else [], ignored={} if new else {"contact_updated": 1}, names=names)
