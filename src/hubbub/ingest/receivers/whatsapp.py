"""WhatsApp's Cloud API: messages of customers, echoes of the business's own, and reports on sent ones.

- A customer's id is the phone number (`wa_id`); without it, the business-scoped user id. A body with both links them as one
  person.
- A message sent through the API is reported only by its status `sent`, which becomes `message.sent`; marketing and authentication
  templates are `auto`, because nobody wrote them.
- An edit or a deletion has the id of its message, but not its time: it changes the stored message.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ClassVar

from hubbub.ingest.receivers.base import Change, Delivery, Options, Received, Setup
from hubbub.ingest.receivers.fields import Fields, filled, object_of, rfc3339
from hubbub.ingest.receivers.meta import APP, CALLBACK, SECRETS, Meta
from hubbub.model.name import Name

RECEIPTS = {
    "delivered": "message.delivered",
    "read": "message.read",
    "played": "message.read",
    "failed": "message.failed",
}
NOT_WRITTEN = ("marketing", "authentication")
LATEST = 4_102_444_800_000_000
"""Revisions count down from here: of two reports that link the same ids the earlier counts, whichever arrives first."""


class WhatsApp(Meta):
    """A WhatsApp business account of a Meta app."""

    provider: ClassVar[str] = "whatsapp"
    setup: ClassVar[Setup] = Setup(
        "WhatsApp Cloud API",
        (
            APP,
            CALLBACK.replace("{product}", "WhatsApp"),
            "Subscribe to the field messages, and to smb_message_echoes where people answer in the WhatsApp Business app.",
            "Send a message to the number.",
        ),
        SECRETS,
        scopes=("whatsapp_business_management", "whatsapp_business_messaging"),
        retries=timedelta(days=7),
    )

    def read(self, delivery: Delivery, options: Options) -> Received:
        """Read every change of every entry of a body."""
        reading = _Body(options)
        for entry in object_of(delivery.body).children("entry"):
            for change in entry.children("changes"):
                reading.change(change)
        return Received(reading.events, reading.ignored, reading.names, changes=reading.changes)


@dataclass
class _Body:
    """The events of a body read so far."""

    options: Options
    events: list[dict[str, object]] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    names: list[Name] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)

    def change(self, change: Fields) -> None:
        name, value = change.text("field"), change.child("value")
        number = value.text("metadata", "phone_number_id")
        if name in ("messages", "smb_message_echoes"):
            for message in value.children("messages"):
                self._message(_Message(number, message, _sender(message, value), sent=False))
            for message in value.children("message_echoes"):
                self._message(_Message(number, message, message.text("to") or message.text("to_user_id"), sent=True))
            for status in value.children("statuses"):
                self._status(number, status)
            self._contacts(value)
            if value.children("errors"):
                self.ignored["errors"] += len(value.children("errors"))
        else:
            self.ignored[name or "unknown"] += 1

    def _contacts(self, value: Fields) -> None:
        number, display = value.text("metadata", "phone_number_id"), value.text("metadata", "display_phone_number")
        if number and display:
            self.names.append(Name("account", number, f"+{display.removeprefix('+')}"))
        moments = [m.moment("timestamp") for m in value.children("messages")]
        for contact in value.children("contacts"):
            phone, scoped = contact.text("wa_id"), contact.text("user_id")
            if name := contact.text("profile", "name"):
                self.names.append(Name("contact", phone or scoped, name))
            if phone and scoped and moments and moments[0]:
                self.events.append(_linked(phone, scoped, moments[0]))

    def _message(self, message: _Message) -> None:
        kind = message.body.text("type")
        if kind == "system":
            self._system(message)
        elif kind == "reaction":
            self._reaction(message)
        elif kind in ("edit", "revoke"):
            self.changes.append(message.change(self.options.keep_text))
        else:
            self.events.append(message.event(message.body, self.options.keep_text))

    def _system(self, message: _Message) -> None:
        new = message.body.text("system", "wa_id") or message.body.text("system", "new_wa_id")
        moment = message.body.moment("timestamp")
        if new and new != message.contact and moment:
            self.events.append(_linked(message.contact, new, moment))
        else:
            self.ignored[f"system: {message.body.text('system', 'type') or 'unknown'}"] += 1

    def _reaction(self, message: _Message) -> None:
        if not message.body.text("reaction", "emoji"):
            self.ignored["reaction taken back"] += 1
            return
        self.events.append(filled(
            type="message.reacted", id=message.body.text("id"), message_id=message.body.text("reaction", "message_id"),
            attributes={"reaction": message.body.text("reaction", "emoji")}, **message.common,
        ))  # fmt: skip

    def _status(self, number: str, status: Fields) -> None:
        name = status.text("status")
        contact = status.text("recipient_id") or status.text("recipient_user_id")
        type_ = "message.sent" if name == "sent" else RECEIPTS.get(name)
        if type_ is None or status.text("type") == "call":
            self.ignored[f"{status.text('type') or 'status'}: {name or 'unknown'}"] += 1
            return
        template = status.text("pricing", "category") in NOT_WRITTEN
        errors = [error.text("code") for error in status.children("errors")]
        self.events.append(filled(
            type=type_, time=rfc3339(status.moment("timestamp")), id=f"{status.text('id')}:{name}", message_id=status.text("id"),
            channel="whatsapp", account_id=number, contact_id=contact, conversation_id=_conversation(number, contact),
            kind="auto" if template and name == "sent" else None, attributes={"errors": errors} if errors else None,
        ))  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Message:
    """A message with the number that received or sent it."""

    number: str
    body: Fields
    contact: str
    sent: bool

    @property
    def common(self) -> dict[str, object]:
        return filled(
            time=rfc3339(self.body.moment("timestamp")), channel="whatsapp", account_id=self.number, contact_id=self.contact,
            conversation_id=_conversation(self.number, self.contact),
        )  # fmt: skip

    def event(self, content: Fields, keep_text: bool) -> dict[str, object]:
        about = filled(
            form=content.text("type"), answers=self.body.text("context", "id"), text=_text(content) if keep_text else None,
            ad=self.body.text("referral", "source_id"), forwarded=self.body.child("context").of.get("forwarded") is True,
        )  # fmt: skip
        type_ = "message.sent" if self.sent else "message.received"
        return {
            **filled(type=type_, id=self.body.text("id"), message_id=self.body.text("id"), **self.common), "attributes": about,
        }  # fmt: skip

    def change(self, keep_text: bool) -> Change:
        """Return the change of a message by an edit or a deletion."""
        kind = self.body.text("type")
        original = self.body.text(kind, "original_message_id")
        moment = self.body.moment("timestamp")
        attributes: dict[str, object] = {"deleted": True}
        if kind == "edit":
            text = _text(self.body.child("edit", "message")) if keep_text else None
            attributes = {"edited": True, **filled(text=text)}
        type_ = "message.sent" if self.sent else "message.received"
        otherwise = {"type": type_, "message_id": original, **self.common}
        revision = int(moment.timestamp() * 1000) if moment else 1
        return Change(original, revision, {"attributes": attributes}, otherwise)


def _text(content: Fields) -> str:
    kind = content.text("type")
    for path in (("text", "body"), (kind, "caption"), ("button", "text"), *_interactive(content)):
        if text := content.text(*path):
            return text
    return ""


def _interactive(content: Fields) -> Iterator[tuple[str, ...]]:
    yield from (("interactive", kind, "title") for kind in ("list_reply", "button_reply"))
    yield "interactive", "nfm_reply", "body"


def _sender(message: Fields, value: Fields) -> str:
    """Return the customer: by number, else by the scoped id, else the only contact of the body."""
    sender = message.text("from") or message.text("from_user_id")
    contacts = value.children("contacts")
    if sender or len(contacts) != 1:
        return sender
    return contacts[0].text("wa_id") or contacts[0].text("user_id")


def _conversation(number: str, contact: str) -> str:
    return f"{number}:{contact}" if contact else ""


def _linked(first: str, second: str, moment: datetime) -> dict[str, object]:
    return {
        "type": "contact.linked", "time": moment.isoformat(), "id": f"linked:{first}:{second}", "contact_id": first, "name": second,
        "channel": "whatsapp", "revision": LATEST - int(moment.timestamp() * 1_000_000),
    }  # fmt: skip
