"""Telegram: messages to a bot, in private and in its groups, and messages of a business account.

A message's number is unique only in its chat and, for private chats, for its bot: an event's id has all three. Telegram does not
report the bot's own messages. Updates are numbered in order (`update_id`); after a week without any, the numbers start anywhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ClassVar

from hubbub.ingest.receivers.base import Change, Delivery, Options, Received, Secret, Setup, check_same, no_challenge
from hubbub.ingest.receivers.fields import Fields, filled, object_of, rfc3339
from hubbub.ingest.setting import Setting
from hubbub.model.name import Name

LONGEST_NUMBER = 19
"""Digits."""
MESSAGES = (
    "message", "edited_message", "channel_post", "edited_channel_post", "business_message", "edited_business_message",
)  # fmt: skip
FORMS = (
    "text", "photo", "video", "animation", "audio", "voice", "video_note", "document", "sticker", "location", "venue",
    "contact", "poll", "dice", "story", "paid_media", "checklist", "invoice", "game",
)  # fmt: skip
"""Kinds of content that a person sends; a message without any of them is a notice of Telegram itself."""


class Telegram:
    """A Telegram bot."""

    provider: ClassVar[str] = "telegram"
    setup: ClassVar[Setup] = Setup(
        "Telegram bot",
        (
            "Call setWebhook of the bot with url={address}, secret_token={secret_token}, and in allowed_updates message, "
            "edited_message, message_reaction, business_message, edited_business_message and deleted_business_messages.",
            "To read all messages of groups, switch the bot's privacy mode off (/setprivacy at @BotFather).",
            "Write to the bot.",
        ),
        (Secret("secret_token", "the token that Telegram sends in a header", ours=True),),
        settings=(
            Setting("bot_id", "number of the bot: the part of its token before the colon", r"\d{1,20}", required=True, fixed=True),
        ),
        retries=timedelta(hours=24),
        renumbers=timedelta(days=7),
    )  # fmt: skip
    challenge = staticmethod(no_challenge)

    def verify(self, delivery: Delivery, secrets: Mapping[str, str]) -> None:
        """Check the secret token."""
        check_same(delivery.headers.get("x-telegram-bot-api-secret-token", ""), secrets["secret_token"])

    def read(self, delivery: Delivery, options: Options) -> Received:
        """Read one update."""
        update = object_of(delivery.body)
        reading = _Update(options, str(options.settings.get("bot_id", "")), delivery.received_at)
        kind = next((name for name in update.of if name != "update_id"), "unknown")
        if kind in MESSAGES:
            reading.message(update.child(kind), business="business" in kind)
        elif kind == "message_reaction":
            reading.reaction(update.child(kind))
        elif kind == "callback_query":
            reading.button(update.child(kind))
        elif kind == "deleted_business_messages":
            reading.deleted(update.child(kind), update.text("update_id"))
        else:
            reading.ignored[kind] += 1
        number = update.text("update_id")
        return Received(
            reading.events, reading.ignored, reading.names, changes=reading.changes,
            number=int(number) if number.isdecimal() and len(number) < LONGEST_NUMBER else None,
        )  # fmt: skip


@dataclass
class _Update:
    """The events of an update read so far."""

    options: Options
    bot: str
    received_at: datetime
    events: list[dict[str, object]] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    names: list[Name] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)

    def message(self, message: Fields, *, business: bool) -> None:
        """Read a new or edited message; Telegram sends both whole."""
        form = next((name for name in FORMS if message.has(name)), None)
        if form is None:
            self.ignored["notice"] += 1
            return
        chat, sender = message.child("chat"), message.child("from") or message.child("sender_chat")
        edited = message.moment("edit_date")
        text = message.text("text") or message.text("caption")
        about = filled(
            form="" if form == "text" else form, edited=edited is not None,
            answers=self._id(chat, message.child("reply_to_message")), forwarded=message.has("forward_origin"),
            text=text if self.options.keep_text else "",
        )  # fmt: skip
        self.events.append(filled(
            type="message.sent" if self._is_ours(chat, sender, business) else "message.received",
            time=rfc3339(message.moment("date")), id=self._id(chat, message), message_id=self._id(chat, message),
            **self._place(chat, message), **self._people(chat, sender, business), attributes=about or None,
            kind="bot" if sender.of.get("is_bot") is True or sender.text("id") in self.options.bot_ids else None,
            revision=int(edited.timestamp() * 1000) if edited else None,
        ))  # fmt: skip
        self._name(chat, sender)

    def reaction(self, reaction: Fields) -> None:
        """Read a person's current reactions to a message."""
        user, chat = reaction.text("user", "id") or reaction.text("actor_chat", "id"), reaction.child("chat")
        if not reaction.children("new_reaction"):
            self.ignored["reaction taken back"] += 1
            return
        message = self._id(chat, reaction)
        kind = reaction.children("new_reaction")[0].text("emoji") or reaction.children("new_reaction")[0].text("type")
        self.events.append(filled(
            type="message.reacted", time=rfc3339(reaction.moment("date")), id=f"{message}:{user}:{kind}" if message else "",
            message_id=message, **self._place(chat, reaction), contact_id=user, attributes={"reaction": kind},
        ))  # fmt: skip

    def button(self, query: Fields) -> None:
        """Read the press of a button under a message: it is a reply, at the time of receipt."""
        chat, sender = query.child("message", "chat"), query.child("from")
        self.events.append(filled(
            type="message.received", time=rfc3339(self.received_at), id=f"{self.bot}:button:{query.text('id')}",
            message_id=f"{self.bot}:button:{query.text('id')}", **self._place(chat, query.child("message")),
            contact_id=sender.text("id"), attributes={"form": "button"},
        ))  # fmt: skip

    def deleted(self, notice: Fields, number: str) -> None:
        """Read the deletion of messages of a business chat."""
        chat, revision = notice.text("chat", "id"), int(self.received_at.timestamp() * 1000)
        for id_ in notice.texts("message_ids"):
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
        """Return the ids of a message's place. A private chat is a conversation; in a group only a thread is."""
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
