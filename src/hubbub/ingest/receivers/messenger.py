"""Messenger and Instagram: messages to and from a page or account, and their receipts, edits and reactions.

- A person's id belongs to the page (PSID, IGSID): the same person has another id at another page.
- An echo is a message of the page, from an inbox or through an app. Meta does not say which apps are bots: `bot_ids` names them.
- A receipt up to a moment covers every message sent to the conversation until then.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

from hubbub.ingest.receivers.base import Change, Delivery, Options, Received, Setup, UpTo
from hubbub.ingest.receivers.fields import Fields, filled, object_of
from hubbub.ingest.receivers.meta import APP, CALLBACK, RETRIES, SECRETS, Meta
from hubbub.ingest.receivers.page_feed import Feed

MILLISECOND = 0.001
NOT_MESSAGES = (
    "referral", "account_linking", "optin", "pass_thread_control", "take_thread_control", "request_thread_control",
    "app_roles", "policy_enforcement", "game_play",
)  # fmt: skip


class Messenger(Meta):
    """The conversations of a Facebook page."""

    provider: ClassVar[str] = "messenger"
    setup: ClassVar[Setup] = Setup(
        "Messenger",
        (
            APP,
            CALLBACK.replace("{product}", "Messenger"),
            "Subscribe the page to messages, message_echoes, message_deliveries, message_reads, message_reactions, "
            "message_edits and messaging_postbacks.",
            "Write to the page.",
        ),
        SECRETS,
        scopes=("pages_messaging", "pages_manage_metadata"),
        retries=RETRIES,
    )

    def read(self, delivery: Delivery, options: Options) -> Received:
        """Read every entry of a body."""
        return read_page(delivery, options)


class Instagram(Meta):
    """The conversations of an Instagram professional account."""

    provider: ClassVar[str] = "instagram"
    setup: ClassVar[Setup] = Setup(
        "Instagram",
        (
            APP,
            CALLBACK.replace("{product}", "Instagram"),
            "Subscribe to messages, messaging_postbacks, messaging_seen, message_reactions, message_edit and comments.",
            "Write to the account.",
        ),
        SECRETS,
        scopes=("instagram_business_basic", "instagram_business_manage_messages", "instagram_business_manage_comments"),
        retries=RETRIES,
    )

    def read(self, delivery: Delivery, options: Options) -> Received:
        """Read every entry of a body."""
        return read_page(delivery, options)


def read_page(delivery: Delivery, options: Options) -> Received:
    """Read a body of an object `page` or `instagram`: conversations and changes of posts arrive at one address."""
    body = object_of(delivery.body)
    channel = "instagram" if body.text("object") == "instagram" else "messenger"
    talk, feed = Talk(channel, options), Feed("instagram" if channel == "instagram" else "facebook", options)
    for entry in body.children("entry"):
        for happening in (*entry.children("messaging"), *entry.children("standby")):
            talk.see(entry.text("id"), happening)
        for change in entry.children("changes"):
            feed.see(entry.text("id"), change, entry.moment("time"))
    return Received(
        [*talk.events, *feed.events], talk.ignored + feed.ignored, feed.names, changes=[*talk.changes, *feed.changes],
        up_to=talk.up_to,
    )  # fmt: skip


@dataclass
class Talk:
    """The events of conversations read so far."""

    channel: str
    options: Options
    events: list[dict[str, object]] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    up_to: list[UpTo] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)

    def see(self, page: str, fields: Fields) -> None:
        """Read an event of a conversation of a page."""
        happening = _Happening(self.channel, page, fields, self.options)
        if fields.has("message"):
            self._message(happening, fields.child("message"))
        elif fields.has("message_edit"):
            edit = fields.child("message_edit")
            text = edit.text("text") if self.options.keep_text else ""
            self.changes.append(happening.change(edit.text("mid"), {"edited": True, **filled(text=text)}))
        elif fields.has("delivery") or fields.has("read"):
            self._receipt(happening, fields)
        elif fields.has("reaction"):
            self._reaction(happening, fields.child("reaction"))
        elif fields.has("postback"):
            postback = fields.child("postback")
            id_ = postback.text("mid") or f"{happening.contact}:{fields.text('timestamp')}:postback"
            text = postback.text("title") if self.options.keep_text else ""
            self.events.append(happening.event("message.received", id_, filled(form="postback", text=text)))
        else:
            self.ignored[next((name for name in NOT_MESSAGES if fields.has(name)), "unknown")] += 1

    def _message(self, happening: _Happening, message: Fields) -> None:
        mid = message.text("mid")
        if message.of.get("is_deleted") is True:
            self.changes.append(happening.change(mid, {"deleted": True}))
            return
        forms = [attachment.text("type") for attachment in message.children("attachments")]
        if message.of.get("is_unsupported") is True:
            forms.append("unsupported")
        about = filled(
            form=forms[0] if forms else "", files=len(forms) or None, answers=message.text("reply_to", "mid"),
            app=message.text("app_id"), text=message.text("text") if self.options.keep_text else "",
        )  # fmt: skip
        self.events.append(happening.event(happening.type_of(message), mid, about))

    def _receipt(self, happening: _Happening, fields: Fields) -> None:
        name = "read" if fields.has("read") else "delivery"
        type_ = "message.read" if name == "read" else "message.delivered"
        receipt, until = fields.child(name), fields.child(name).moment("watermark", unit=MILLISECOND)
        mids = receipt.texts("mids") or [mid for mid in (receipt.text("mid"),) if mid]
        moment = fields.moment("timestamp", unit=MILLISECOND) or until
        for mid in mids:
            event = happening.event(type_, f"{mid}:{type_.partition('.')[2]}", {}, moment)
            self.events.append({**event, "message_id": mid})
        if not mids and until is not None:
            self.up_to.append(UpTo(type_, happening.conversation, until))
        elif not mids:
            self.ignored[name] += 1

    def _reaction(self, happening: _Happening, reaction: Fields) -> None:
        if reaction.text("action") == "unreact":
            self.ignored["reaction taken back"] += 1
            return
        mid = reaction.text("mid")
        kind = reaction.text("reaction") or reaction.text("emoji")
        event = happening.event(
            "message.reacted", f"{mid}:{happening.contact}:{kind}" if mid else "", {"reaction": kind}
        )
        self.events.append({**event, "message_id": mid})


@dataclass(frozen=True, slots=True)
class _Happening:
    """An event between a page and a person."""

    channel: str
    page: str
    of: Fields
    options: Options

    @property
    def contact(self) -> str:
        """The contact: of sender and recipient the one that is not the page."""
        sender, recipient = self.of.text("sender", "id"), self.of.text("recipient", "id")
        return recipient if sender == self.page and recipient else sender or self.of.text("sender", "user_ref")

    @property
    def conversation(self) -> str:
        return f"{self.page}:{self.contact}" if self.contact else ""

    def type_of(self, message: Fields) -> str:
        """Return message.sent for a message of the page itself."""
        sent = message.of.get("is_echo") is True or self.of.text("sender", "id") in (self.page, *self.options.own_ids)
        return "message.sent" if sent else "message.received"

    def event(
        self, type_: str, id_: str, about: dict[str, object], moment: datetime | None = None
    ) -> dict[str, object]:
        """Return an event of this conversation."""
        moment = moment or self.of.moment("timestamp", unit=MILLISECOND)
        app = about.get("app")
        return filled(
            type=type_, time=moment.isoformat() if moment else None, id=id_, source=self.channel, message_id=id_,
            channel=self.channel, account_id=self.page, contact_id=self.contact, conversation_id=self.conversation,
            kind="bot" if app in self.options.bot_ids else None, attributes=about or None,
        )  # fmt: skip

    def change(self, mid: str, attributes: dict[str, object]) -> Change:
        """Return the change of a message by an edit or a deletion."""
        moment = self.of.moment("timestamp", unit=MILLISECOND)
        revision = int(moment.timestamp() * 1000) if moment else 1
        return Change(
            mid, revision, {"attributes": attributes}, self.event(self.type_of(self.of.child("message")), mid, {})
        )
