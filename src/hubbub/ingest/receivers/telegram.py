"""Telegram: what people write to a bot, in private and in groups that it is in, and what a business account writes.

A message's number is its chat's own and, in private, its bot's: the id of an event names all three. What the bot itself sends it
is not told of.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ClassVar

from hubbub.ingest.connectors.base import Setting
from hubbub.ingest.receivers.base import Change, Delivery, Options, Received, Secret, Setup, check_same, no_challenge
from hubbub.ingest.receivers.fields import Fields, filled, object_of
from hubbub.model.name import Name

MESSAGES = (
    "message", "edited_message", "channel_post", "edited_channel_post", "business_message", "edited_business_message",
)  # fmt: skip
FORMS = (
    "text", "photo", "video", "animation", "audio", "voice", "video_note", "document", "sticker", "location", "venue",
    "contact", "poll", "dice", "story", "paid_media", "checklist", "invoice", "game",
)  # fmt: skip
"""What a message of somebody can be; anything else is a notice of Telegram's own."""


class Telegram:
    """A Telegram bot."""

    provider: ClassVar[str] = "telegram"
    setup: ClassVar[Setup] = Setup(
        "Telegram bot",
        (
            "Call setWebhook of the bot with url={address}, secret_token={secret_token}, and in allowed_updates message, "
            "edited_message, message_reaction, business_message, edited_business_message and deleted_business_messages.",
            "To read all that is said in groups, switch the bot's privacy mode off (/setprivacy at @BotFather).",
            "Write to the bot.",
        ),
        (Secret("secret_token", "what Telegram sends along in a header", ours=True),),
        settings=(
            Setting("bot_id", "number of the bot: what stands before the colon of its token", r"\d{1,20}", required=True),
        ),
        retries=timedelta(hours=24),
    )  # fmt: skip
    challenge = staticmethod(no_challenge)

    def verify(self, delivery: Delivery, secrets: Mapping[str, str]) -> None:
        """Check the secret token."""
        check_same(delivery.headers.get("x-telegram-bot-api-secret-token", ""), secrets["secret_token"])

    def read(self, delivery: Delivery, options: Options) -> Received:
        """Read one update."""
        update = object_of(delivery.body)
        found = _Update(options, str(options.settings.get("bot_id", "")), delivery.received_at)
        kind = next((name for name in update.of if name != "update_id"), "unknown")
        if kind in MESSAGES:
            found.message(update.one(kind), business="business" in kind)
        elif kind == "message_reaction":
            found.reaction(update.one(kind))
        elif kind == "callback_query":
            found.button(update.one(kind))
        elif kind == "deleted_business_messages":
            found.deleted(update.one(kind), update.text("update_id"))
        else:
            found.ignored[kind] += 1
        return Received(found.events, found.ignored, found.names, changes=found.changes)


@dataclass
class _Update:
    """What was read of an update so far."""

    options: Options
    bot: str
    received_at: datetime
    events: list[dict[str, object]] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    names: list[Name] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)

    def message(self, message: Fields, *, business: bool) -> None:
        """Read a message; an edited one comes whole."""
        form = next((name for name in FORMS if message.has(name)), None)
        if form is None:
            self.ignored["notice"] += 1
            return
        chat, sender = message.one("chat"), message.one("from") or message.one("sender_chat")
        edited = message.moment("edit_date")
        text = message.text("text") or message.text("caption")
        about = filled(
            form="" if form == "text" else form, edited=edited is not None,
            answers=self._id(chat, message.one("reply_to_message")), forwarded=message.has("forward_origin"),
            text=text if self.options.keep_text else "",
        )  # fmt: skip
        self.events.append(filled(
            type="message.sent" if self._is_ours(chat, sender, business) else "message.received",
            time=_iso(message.moment("date")), id=self._id(chat, message), message_id=self._id(chat, message),
            **self._place(chat, message), **self._people(chat, sender, business), attributes=about or None,
            kind="bot" if sender.of.get("is_bot") is True or sender.text("id") in self.options.bot_ids else None,
            revision=int(edited.timestamp() * 1000) if edited else None,
        ))  # fmt: skip
        self._name(chat, sender)

    def reaction(self, told: Fields) -> None:
        """Read how somebody's reactions to a message stand now."""
        user, chat = told.text("user", "id") or told.text("actor_chat", "id"), told.one("chat")
        if not told.many("new_reaction"):
            self.ignored["reaction taken back"] += 1
            return
        message = self._id(chat, told)
        kind = told.many("new_reaction")[0].text("emoji") or told.many("new_reaction")[0].text("type")
        self.events.append(filled(
            type="message.reacted", time=_iso(told.moment("date")), id=f"{message}:{user}:{kind}" if message else "",
            message_id=message, **self._place(chat, told), contact_id=user, attributes={"reaction": kind},
        ))  # fmt: skip

    def button(self, told: Fields) -> None:
        """Read that somebody pressed a button under a message: an answer, of this moment."""
        chat, sender = told.one("message", "chat"), told.one("from")
        self.events.append(filled(
            type="message.received", time=_iso(self.received_at), id=f"{self.bot}:button:{told.text('id')}",
            message_id=f"{self.bot}:button:{told.text('id')}", **self._place(chat, told.one("message")),
            contact_id=sender.text("id"), attributes={"form": "button"},
        ))  # fmt: skip

    def deleted(self, told: Fields, number: str) -> None:
        """Read that messages of a business chat were deleted."""
        chat, revision = told.text("chat", "id"), int(self.received_at.timestamp() * 1000)
        for id_ in told.texts("message_ids"):
            self.changes.append(Change(f"{self.bot}:{chat}:{id_}", revision, {"attributes": {"deleted": True}}))

    def _id(self, chat: Fields, message: Fields) -> str:
        number = message.text("message_id")
        return f"{self.bot}:{chat.text('id')}:{number}" if number and chat.has("id") else ""

    def _is_ours(self, chat: Fields, sender: Fields, business: bool) -> bool:
        id_ = sender.text("id")
        if id_ in self.options.staff_ids or id_ in self.options.own_ids or id_ == self.bot:
            return True
        return chat.text("type") == "channel" or (business and id_ != chat.text("id"))

    def _place(self, chat: Fields, message: Fields) -> dict[str, object]:
        """Return where a message is: a private chat is a conversation, in a group only a thread is."""
        id_, thread = chat.text("id"), message.text("message_thread_id")
        private = chat.text("type") == "private"
        conversation = f"{self.bot}:{id_}" if private else f"{self.bot}:{id_}:{thread}" if thread else ""
        return filled(
            channel="telegram", account_id=self.bot, channel_id="" if private else id_, conversation_id=conversation
        )

    def _people(self, chat: Fields, sender: Fields, business: bool) -> dict[str, object]:
        if not self._is_ours(chat, sender, business):
            return filled(contact_id=sender.text("id"))
        contact = chat.text("id") if chat.text("type") == "private" else ""
        return filled(contact_id=contact, staff_id=sender.text("id") if chat.text("type") != "channel" else "")

    def _name(self, chat: Fields, sender: Fields) -> None:
        name = " ".join(filter(None, (sender.text("first_name"), sender.text("last_name")))) or sender.text("username")
        if name and sender.has("id"):
            kind = "staff" if sender.text("id") in self.options.staff_ids else "contact"
            self.names.append(Name(kind, sender.text("id"), name))
        if chat.text("title"):
            self.names.append(Name("room", chat.text("id"), chat.text("title")))


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment is not None else None
