"""Mailgun: reports on mails (webhooks), and received mails (routes).

- Mailgun signs a timestamp and a token in the body, not the body itself: the signature proves only that the sender has seen a body
  of Mailgun. Mailgun retries for eight hours, so a signature is valid for twelve.
- A temporary failure is retried by Mailgun, and ignored by name.
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
from hubbub.ingest.receivers.mail import Mail, addresses, headers_of, received, whole
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
            "For received mails create a route under Receive whose action forwards to the same address.",
        ),
        secrets=(Secret("signing_key", "the HTTP webhook signing key of the account"),),
        retries=timedelta(hours=8),
    )
    challenge = staticmethod(no_challenge)

    def verify(self, delivery: Delivery, secrets: Mapping[str, str]) -> None:
        """Raise ForgedError unless the body holds a recent timestamp and a token that Mailgun signed."""
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
        event = object_of(delivery.body).child("event-data")
        kind = event.text("event")
        if kind == "failed" and event.text("severity") == "temporary":
            kind = "failed for now"
        if kind not in REPORTS:
            return Received(ignored={kind or "no event": 1})
        return mail_report.received(_reports(event, kind))


def _is_form(delivery: Delivery) -> bool:
    return "form" in delivery.headers.get("content-type", "").lower()


def _signature(delivery: Delivery) -> Fields:
    return Fields(form_of(delivery)) if _is_form(delivery) else object_of(delivery.body).child("signature")


def _reports(event: Fields, kind: str) -> Iterator[Report]:
    """Yield the reports of an event: a mail that was rejected at once has only its own recipients."""
    headers, status = event.child("message", "headers"), event.child("delivery-status")
    sender = next((address for _, address in addresses([headers.text("from")])), "")
    recipients = (
        [event.text("recipient")]
        if event.has("recipient")
        else [address for _, address in addresses([headers.text("to")])]
    )
    why = status.text("description") or status.text("message") or event.text("reason") or event.text("reject", "reason")
    for recipient in recipients or [""]:
        yield Report(
            REPORTS[kind], headers.text("message-id"), recipient, when(event, "timestamp"),
            metadata=lambda name: event.text("user-variables", name), id=event.text("id"), account=sender,
            why=why if REPORTS[kind] == FAILED else "",
        )  # fmt: skip


def _mail(form: Mapping[str, str]) -> Mail:
    """Return a received mail: whole, from a route whose address ends with `mime`, or its headers and text."""
    to = [form["recipient"]] if form.get("recipient") else []
    if "body-mime" in form:
        return whole(form["body-mime"].encode("utf-8", "replace"), to)
    try:
        pairs = json.loads(form.get("message-headers", ""))
    except (ValueError, RecursionError):
        pairs = None
    if not isinstance(pairs, list):
        raise BadRequestError(
            "the form holds no mail: it has neither 'message-headers' nor 'body-mime'", reason="unreadable"
        )
    headers = [
        (pair[0], pair[1])
        for pair in pairs
        if isinstance(pair, list) and len(pair) == 2 and all(isinstance(x, str) for x in pair)
    ]
    return Mail(headers_of(headers), to=to, text=form.get("stripped-text") or form.get("body-plain", ""))
