"""Twilio: SMS, WhatsApp and other messages, and reports on sent ones.

A form has no time, so the time of receipt is used; a body of Event Streams has its own time. Twilio sends once, and again only if
the number has a fallback address.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import ClassVar
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from hubbub.errors import BadRequestError, ForgedError
from hubbub.ingest.receivers.base import Delivery, Options, Received, Secret, Setup, check_same, no_challenge
from hubbub.ingest.receivers.fields import Fields, filled

MOST_FIELDS = 1000
INBOUND = "com.twilio.messaging.inbound-message.received"
STATUS = "com.twilio.messaging.message."
RECEIPTS = {
    "sent": "message.sent", "delivered": "message.delivered", "read": "message.read", "failed": "message.failed",
    "undelivered": "message.failed",
}  # fmt: skip
PORTS = {"https": ":443", "http": ":80"}


class Twilio:
    """A Twilio account's numbers."""

    provider: ClassVar[str] = "twilio"
    setup: ClassVar[Setup] = Setup(
        "Twilio",
        (
            "In the Twilio console copy the account's Auth Token into 'auth_token' here.",
            "At the number or messaging service paste {address} as the address for incoming messages, with POST, and give it "
            "as StatusCallback for those that you send. The setting public_url must have the same host.",
            "To fetch what a webhook lost, set account_sid, and give the Auth Token as 'token', too.",
            "Send a message to the number.",
        ),
        (Secret("auth_token", "Auth Token of the account"),),
        quiet=True,
    )  # fmt: skip
    challenge = staticmethod(no_challenge)

    def verify(self, delivery: Delivery, secrets: Mapping[str, str]) -> None:
        """Check the HMAC-SHA1 of the address and the sorted form; with JSON the address contains the body's hash."""
        signature, token = delivery.headers.get("x-twilio-signature", ""), secrets["auth_token"].encode()
        hashed = delivery.query.get("bodySHA256")
        if hashed is not None:
            check_same(hashed, hashlib.sha256(delivery.body).hexdigest())
            signed = ""
        else:
            signed = "".join(f"{name}{value}" for name, value in sorted(set(_form(delivery.body))))
        for url in _spellings(delivery.url):
            expected = base64.b64encode(hmac.new(token, (url + signed).encode(), hashlib.sha1).digest()).decode()
            if hmac.compare_digest(signature.encode(), expected.encode()):
                return
        raise ForgedError(reason="bad_signature" if signature else "no_signature")

    def read(self, delivery: Delivery, options: Options) -> Received:
        """Read a form, or a batch of Event Streams."""
        reports = list(_stream_reports(delivery)) if "bodySHA256" in delivery.query else [_form_report(delivery)]
        events, ignored = [], Counter[str]()
        for report in reports:
            event = event_of(report, options)
            if event is None:
                ignored[report.text("status") or report.text("type") or "unknown"] += 1
            else:
                events.append(event)
        return Received(events, ignored)


def _form(body: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        raise ForgedError(reason="bad_signature") from None


def _spellings(url: str) -> Iterator[str]:
    """Yield an address, and the same with or without its scheme's port: Twilio signs either."""
    yield url
    parts = urlsplit(url)
    port = PORTS.get(parts.scheme, "")
    if port and parts.netloc.endswith(port):
        yield urlunsplit(parts._replace(netloc=parts.netloc.removesuffix(port)))
    elif port and ":" not in parts.netloc:
        yield urlunsplit(parts._replace(netloc=parts.netloc + port))


def _form_report(delivery: Delivery) -> Fields:
    form = dict(_form(delivery.body))
    return Fields({
        "id": form.get("MessageSid") or form.get("SmsSid"), "from": form.get("From"), "to": form.get("To"),
        "status": form.get("MessageStatus") or form.get("SmsStatus"), "text": form.get("Body"), "files": form.get("NumMedia"),
        "error": form.get("ErrorCode"), "name": form.get("ProfileName"), "time": delivery.received_at.isoformat(),
    })  # fmt: skip


def _stream_reports(delivery: Delivery) -> Iterator[Fields]:
    try:
        events = json.loads(delivery.body)
    except (ValueError, RecursionError):
        raise BadRequestError("the body is not a JSON array of CloudEvents", reason="unreadable") from None
    for event in Fields({"events": events if isinstance(events, list) else [events]}).children("events"):
        type_, data = event.text("type"), event.child("data")
        is_message = type_ == INBOUND or type_.startswith(STATUS)
        status = "received" if type_ == INBOUND else type_.removeprefix(STATUS)
        yield Fields({
            "id": data.text("messageSid"), "from": data.text("from"), "to": data.text("to"), "status": status if is_message else "",
            "text": data.text("body"), "files": data.text("numMedia"), "error": data.text("errorCode"),
            "time": event.text("time") or data.text("timestamp"), "type": type_,
        })  # fmt: skip


def event_of(report: Fields, options: Options) -> dict[str, object] | None:
    """Return the event of a message's report: `id`, `from`, `to`, `status` and `time`; None for a status without one."""
    status, id_ = report.text("status"), report.text("id")
    inbound = status in ("received", "receiving")
    type_ = "message.received" if inbound else RECEIPTS.get(status)
    if type_ is None:
        return None
    theirs, ours = report.text("from" if inbound else "to"), report.text("to" if inbound else "from")
    channel, _, contact = theirs.rpartition(":")
    account = ours.rpartition(":")[2]
    files = report.text("files")
    about = filled(
        text=report.text("text") if inbound and options.keep_text else "", files=int(files) or None if files.isdecimal() else None,
        error=report.text("error"),
    )  # fmt: skip
    return filled(
        type=type_, time=report.text("time"), id=id_ if inbound or not id_ else f"{id_}:{status}", message_id=id_,
        channel=channel or "sms", account_id=account, contact_id=contact,
        conversation_id=f"{account}:{contact}" if contact else "", attributes=about or None,
    )  # fmt: skip
