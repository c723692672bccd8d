"""Intercom: the conversations of a workspace, by the topics that an app subscribes to.

- Signed with `X-Hub-Signature`, `sha1=` and the HMAC of the body by the app's client secret. A body that is not accepted is sent
  once more after a minute, and Intercom pauses the whole subscription when too many fail.
- A body holds the conversation with its first message (`source`) and later parts (`conversation_parts`): every message in it has
  its own id, so the next body replaces a lost one. The API's conversations have the same shape.
- Notes are private. Fin answers people, so its kind is `ai`; other bots, workflows and outbound campaigns are `auto`.
- A redacted text is a deleted message.
- A conversation's priority is `priority` or `not_priority`, as Intercom says it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

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
from hubbub.ingest.receivers.helpdesk import channel, key, message, plain, when
from hubbub.model.name import Name

PROVIDER = "intercom"
TOPICS = (
    "conversation.user.created", "conversation.user.replied", "conversation.admin.single.created", "conversation.admin.replied",
    "conversation.operator.replied", "conversation.admin.noted", "conversation.admin.assigned", "conversation.admin.closed",
    "conversation.admin.opened", "conversation.rating.added", "conversation_part.redacted", "contact.user.created",
    "contact.lead.created", "contact.merged",
)  # fmt: skip
"""Topics for an app to subscribe to; others are ignored by name."""
CONTACTS = frozenset({"user", "lead", "contact"})
STEPS = {
    "close": "conversation.resolved", "open": "conversation.reopened", "assignment": "conversation.assigned",
    "assign_and_reopen": "conversation.assigned", "away_mode_assignment": "conversation.assigned",
    "default_assignment": "conversation.assigned", "assign_and_unsnooze": "conversation.assigned",
}  # fmt: skip
"""Kind of a part -> its conversation event. A part may carry a message as well."""
WRITTEN = frozenset({"comment", "quick_reply", "note"})
"""Kinds of parts that are only a message."""
AUTOMATIC = frozenset({"automated", "operator_initiated", "campaigns_initiated"})


class Intercom:
    """A workspace of Intercom."""

    provider: ClassVar[str] = PROVIDER
    setup: ClassVar[Setup] = Setup(
        title="Intercom",
        steps=(
            "In Intercom's Developer Hub open your app, or create one in its workspace.",
            "Under Configure, Webhooks paste {address} as the endpoint.",
            f"Subscribe to {', '.join(TOPICS)}.",
            "Copy the client secret under Basic information, and give it here as 'client_secret'.",
            "To fetch what a webhook lost, give the app's access token (under Authentication) as 'token', too.",
        ),
        secrets=(Secret("client_secret", "the client secret of the app"),),
        scopes=("Read conversations", "Read one user and one company", "Read admins"),
    )
    challenge = staticmethod(no_challenge)

    def verify(self, delivery: Delivery, secrets: Mapping[str, str]) -> None:
        """Raise ForgedError unless the signature is that of the body."""
        expected = hmac_hex(secrets["client_secret"], delivery.body, digest="sha1")
        check_same(delivery.headers.get("x-hub-signature", ""), f"sha1={expected}")

    def read(self, delivery: Delivery, options: Options) -> Received:
        """Return what a body means. Raises BadRequestError."""
        body = object_of(delivery.body)
        topic, item = body.text("topic"), body.child("data", "item")
        if topic == "contact.merged" or (topic.endswith(".created") and topic.startswith("contact.")):
            return _contact(body, item)
        if topic not in TOPICS or item.text("type") != "conversation":
            return Received(ignored={topic or "no topic": 1})
        rated = topic == "conversation.rating.added"
        return conversation(item, options, account=body.text("app_id"), rated=rated)


def conversation(item: Fields, options: Options, *, account: str = "", rated: bool = False) -> Received:
    """Return the meaning of a conversation's body, from a webhook or the API; with its rating where `rated`."""
    about = _about(item, account)
    source = item.child("source")
    events: list[dict[str, object]] = []
    ignored: dict[str, int] = {}
    if source.text("id"):
        events += _source(item, source, about, options)
    for part in item.children("conversation_parts", "conversation_parts"):
        part_events = list(_part(item, part, about, options))
        events += part_events
        if not part_events:
            kind = part.text("part_type") or "part"
            ignored[kind] = ignored.get(kind, 0) + 1
    if rated:
        events += _rating(item, about)
    if not events and not ignored:
        ignored["conversation without parts"] = 1
    return Received(events=events, ignored=ignored, names=list(dict.fromkeys(_names(item))))


def _about(item: Fields, account: str) -> dict[str, object]:
    contacts = item.children("contacts", "contacts") or item.children("contacts")
    author = item.child("source", "author")
    contact = contacts[0].text("id") if contacts else author.text("id") if author.text("type") in CONTACTS else ""
    return filled(
        channel=channel(item.text("source", "type"), PROVIDER), account_id=key(PROVIDER, account),
        conversation_id=key(PROVIDER, item.text("id")), contact_id=key(PROVIDER, contact), severity=item.text("priority"),
    )  # fmt: skip


def _source(item: Fields, source: Fields, about: Mapping[str, object], options: Options) -> Iterator[dict[str, object]]:
    """Yield the beginning of a conversation and its first message, whose time is the conversation's."""
    at = when(item, "created_at")
    yield filled(type="conversation.started", id=key("conversation", item.text("id"), "started"), time=at, **about)
    automatic = "auto" if source.text("delivered_as") in AUTOMATIC else None
    yield _written(key(PROVIDER, "source", source.text("id")), source, about, options, time=at, kind=automatic)


def _part(item: Fields, part: Fields, about: Mapping[str, object], options: Options) -> Iterator[dict[str, object]]:
    """Yield the message of a part, if any, and its conversation event."""
    kind, id_, at = part.text("part_type"), part.text("id"), when(part, "created_at")
    if kind in WRITTEN or (kind in STEPS and (part.text("body").strip() or part.of.get("redacted") is True)):
        changed = part.text("updated_at") if part.text("updated_at") != part.text("created_at") else ""
        revision = int(changed) if changed.isdecimal() else None
        private = kind not in ("comment", "quick_reply", "close", "open")  # text with an assignment is for staff
        yield _written(key(PROVIDER, "part", id_), part, about, options, time=at, private=private, revision=revision)
    if kind in STEPS:
        yield filled(
            type=STEPS[kind], id=key("part", id_, kind), time=at, staff_id=_assigned(item, part, kind), **about
        )


def _assigned(item: Fields, part: Fields, kind: str) -> str:
    """Return the new assignee of a conversation, or who closed or opened it."""
    if STEPS[kind] != "conversation.assigned":
        return key(PROVIDER, part.text("author", "id")) if part.text("author", "type") == "admin" else ""
    to = part.child("assigned_to")
    return key(PROVIDER, to.text("id") or item.text("admin_assignee_id")) if to.text("type") in ("admin", "") else ""


def _written(
    id_: str,
    written: Fields,
    about: Mapping[str, object],
    options: Options,
    *,
    kind: str | None = None,
    private: bool = False,
    **more: object,
) -> dict[str, object]:
    """Return the event of a written message: the first of a conversation, or a part."""
    author = written.child("author")
    inbound = author.text("type") in CONTACTS
    machine = author.text("type") == "bot" or author.text("email").startswith("operator+")
    if machine:
        kind = "ai" if _is_fin(author) else "auto"
    staff = key(PROVIDER, author.text("id")) if author.text("type") == "admin" and not machine and kind is None else ""
    return message(
        about, inbound=inbound, private=private, deleted=written.of.get("redacted") is True, id=id_, message_id=id_,
        text=plain(written.text("body")) if options.keep_text else "", staff_id=staff, kind=None if inbound else kind,
        **more,
    )  # fmt: skip


def _is_fin(author: Fields) -> bool:
    return (
        author.of.get("from_ai_agent") is True or author.of.get("is_ai_answer") is True or author.text("name") == "Fin"
    )


def _rating(item: Fields, about: Mapping[str, object]) -> list[dict[str, object]]:
    rating = item.child("conversation_rating")
    if not rating.has("rating"):
        return []
    at = when(rating, "created_at") or when(item, "updated_at")
    survey = key(PROVIDER, "rating", item.text("id"), rating.text("created_at"))
    return [filled(
        type="satisfaction.rating_received", id=survey, survey_id=survey, time=at, value=rating.number("rating"), scale=5,
        staff_id=key(PROVIDER, rating.text("teammate", "id")), **about,
    )]  # fmt: skip


def _contact(body: Fields, item: Fields) -> Received:
    """Return a new contact, or a link between two merged ids."""
    at, id_ = when(body, "created_at"), item.text("id")
    named = item.text("name").strip()
    names = [Name("contact", key(PROVIDER, id_), named)] if id_ and named else []
    if body.text("topic") != "contact.merged":
        event = filled(
            type="contact.created", id=key("contact", id_, "created"), time=at, contact_id=key(PROVIDER, id_), channel=PROVIDER,
            account_id=key(PROVIDER, body.text("app_id")),
        )  # fmt: skip
        return Received(events=[event], names=names)
    merged = item.text("merged_from") or item.text("from", "id")
    if not merged:
        return Received(ignored={"contact.merged that names one contact": 1}, names=names)
    event = filled(
        type="contact.linked", id=key("contact", id_, "linked", merged), time=at, contact_id=key(PROVIDER, id_),
        name=key(PROVIDER, merged),
    )  # fmt: skip
    return Received(events=[event], names=names)


def _names(item: Fields) -> Iterator[Name]:
    people = [item.child("source", "author")]
    people += [part.child("author") for part in item.children("conversation_parts", "conversation_parts")]
    for person in people:
        kind = {"admin": "staff", "user": "contact", "lead": "contact", "contact": "contact"}.get(person.text("type"))
        if kind and person.text("id") and person.text("name").strip():
            yield Name(kind, key(PROVIDER, person.text("id")), person.text("name"))
