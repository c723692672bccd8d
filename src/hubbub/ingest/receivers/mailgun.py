"""Mailgun: what became of mails (webhooks), and mails that come in (routes).

- Mailgun signs a timestamp and a token that stand in the body, and not the body: the signature says that the sender has seen one of
  Mailgun's own, no more. Mailgun tries for eight hours, so a signature is good for twelve.
- A failure that is temporary is tried again, and is ignored by name.
- Not verified against the service.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import ClassVar

from hubbub.errors import BadRequestError, ForgedError
from hubbub.ingest.receivers import mail_report
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
from hubbub.ingest.receivers.fields import Fields, object_of
from hubbub.ingest.receivers.forms import form_of
from hubbub.ingest.receivers.helpdesk import when
from hubbub.ingest.receivers.mail import Mail, addresses, headers_of, parse, received
from hubbub.ingest.receivers.mail_report import BLOCKED, CLICKED, DELIVERED, FAILED, READ, SENT, Report

GOOD_FOR = timedelta(hours=12)
REPORTS: Mapping[str, str] = {
    "accepted": SENT, "delivered": DELIVERED, "opened": READ, "clicked": CLICKED, "complained": BLOCKED, "unsubscribed": BLOCKED,
    "failed": FAILED, "rejected": FAILED,
}  # fmt: skip


class Mailgun:
    """A domain at Mailgun."""

    provider: ClassVar[str] = "mailgun"
    setup: ClassVar[Setup] = Setup(
        title="Mailgun",
        steps=(
            "In Mailgun open Send, Sending, Webhooks of your domain and choose 'Add webhook'.",
            "Paste {address} for Accepted, Delivered, Opened, Clicked, Permanent failure, Spam complaints and Unsubscribes.",
            "Copy the HTTP webhook signing key, and give it here as 'signing_key'.",
            "For mails that come in make a route under Receive whose action forwards to the same address.",
        ),
        secrets=(Secret("signing_key", "the HTTP webhook signing key of the account"),),
        retries=timedelta(hours=8),
    )
    challenge = staticmethod(no_challenge)

    def verify(self, delivery: Delivery, secrets: Mapping[str, str]) -> None:
        """Raise ForgedError unless the body holds a timestamp and a token that Mailgun signed, not long ago."""
        try:
            signed = _signature(delivery)
        except BadRequestError:
            raise ForgedError(reason="no_signature") from None
        stamp, token = signed.text("timestamp"), signed.text("token")
        check_same(
            signed.text("signature"),
            hmac_hex(secrets["signing_key"], stamp.encode("utf-8", "replace"), token.encode("utf-8", "replace")),
        )
        moment = signed.moment("timestamp")
        if moment is None or abs(delivery.received_at - moment) > GOOD_FOR:
            raise ForgedError(reason="old_signature")

    def read(self, delivery: Delivery, options: Options) -> Received:
        """Return what a body means. Raises BadRequestError."""
        if _is_form(delivery):
            return received(_mail(form_of(delivery)), options, delivery.received_at)
        event = object_of(delivery.body).one("event-data")
        kind = event.text("event")
        if kind == "failed" and event.text("severity") == "temporary":
            kind = "failed for now"
        if kind not in REPORTS:
            return Received(ignored={kind or "no event": 1})
        return mail_report.received(_reports(event, kind))


def _is_form(delivery: Delivery) -> bool:
    return "form" in delivery.headers.get("content-type", "").lower()


def _signature(delivery: Delivery) -> Fields:
    return Fields(form_of(delivery)) if _is_form(delivery) else object_of(delivery.body).one("signature")


def _reports(event: Fields, kind: str) -> Iterator[Report]:
    """Yield what an event says: one that was rejected at once names no recipient but the mail's own."""
    headers, status = event.one("message", "headers"), event.one("delivery-status")
    sender = next((address for _, address in addresses([headers.text("from")])), "")
    recipients = (
        [event.text("recipient")] if event.has("recipient") else [one for _, one in addresses([headers.text("to")])]
    )
    why = status.text("description") or status.text("message") or event.text("reason") or event.text("reject", "reason")
    for recipient in recipients or [""]:
        yield Report(
            REPORTS[kind], headers.text("message-id"), recipient, when(event, "timestamp"),
            metadata=lambda name: event.text("user-variables", name), id=event.text("id"), account=sender,
            why=why if REPORTS[kind] == FAILED else "",
        )  # fmt: skip


def _mail(form: Mapping[str, str]) -> Mail:
    """Return a mail that came in: whole, from a route whose address ends with `mime`, or its headers and text."""
    to = [form["recipient"]] if form.get("recipient") else []
    if "body-mime" in form:
        whole = parse(form["body-mime"].encode("utf-8", "replace"))
        return Mail(whole.headers, to=to, text=whole.text, failed=whole.failed)
    try:
        pairs = json.loads(form.get("message-headers", ""))
    except (ValueError, RecursionError):
        pairs = None
    if not isinstance(pairs, list):
        raise BadRequestError(
            "the form holds no mail: neither 'message-headers' nor 'body-mime' is in it", reason="unreadable"
        )
    known = [
        (one[0], one[1])
        for one in pairs
        if isinstance(one, list) and len(one) == 2 and all(isinstance(x, str) for x in one)
    ]
    return Mail(headers_of(known), to=to, text=form.get("stripped-text") or form.get("body-plain", ""))
