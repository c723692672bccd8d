"""Resend: reports on mails. Its signatures follow Standard Webhooks, with Svix's header names.

- Resend sends one report for all recipients of a mail; it counts for each of them.
- A received mail arrives without its headers, so its conversation is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import ClassVar

from hubbub.ingest.receivers import mail_report
from hubbub.ingest.receivers.base import Delivery, Options, Received, Secret, Setup, no_challenge
from hubbub.ingest.receivers.fields import Fields, object_of
from hubbub.ingest.receivers.helpdesk import when
from hubbub.ingest.receivers.mail import Mail, addresses, headers_of, received
from hubbub.ingest.receivers.mail_report import BLOCKED, CLICKED, DELIVERED, FAILED, READ, SENT, Report
from hubbub.ingest.receivers.standard_webhooks import check_signature, is_signing_secret

REPORTS: Mapping[str, str] = {
    "email.sent": SENT, "email.delivered": DELIVERED, "email.bounced": FAILED, "email.failed": FAILED, "email.complained": BLOCKED,
    "email.opened": READ, "email.clicked": CLICKED,
}  # fmt: skip


class Resend:
    """An account of Resend."""

    provider: ClassVar[str] = "resend"
    setup: ClassVar[Setup] = Setup(
        title="Resend",
        steps=(
            "In Resend open Webhooks, 'Add webhook', and paste {address}.",
            "Select all email events, save, copy the signing secret, and give it here as 'secret'.",
        ),
        secrets=(Secret("secret", "the signing secret of the webhook, whsec_...", usable=is_signing_secret),),
        retries=timedelta(hours=17),
    )
    challenge = staticmethod(no_challenge)

    def verify(self, delivery: Delivery, secrets: Mapping[str, str]) -> None:
        """Raise ForgedError unless the signature is that of the id, the timestamp and the body, and not old."""
        check_signature(secrets["secret"], delivery, "svix")

    def read(self, delivery: Delivery, options: Options) -> Received:
        """Return what a body means. Raises BadRequestError."""
        body = object_of(delivery.body)
        kind, data = body.text("type"), body.child("data")
        if kind == "email.received":
            return received(_mail(data), options, delivery.received_at, threaded=False)
        if kind not in REPORTS:
            return Received(ignored={kind or "no type": 1})
        return mail_report.received(
            _report(body, data, address) for _, address in addresses(data.texts("to")) or [("", "")]
        )


def _report(body: Fields, data: Fields, recipient: str) -> Report:
    sender = next((address for _, address in addresses([data.text("from")])), "")
    return Report(
        REPORTS[body.text("type")], data.text("email_id"), recipient, when(body, "created_at"),
        metadata=lambda name: data.text("tags", name), account=sender, why=data.text("bounce", "type"),
    )  # fmt: skip


def _mail(data: Fields) -> Mail:
    pairs = [("message-id", data.text("message_id")), ("from", data.text("from")), ("date", data.text("created_at"))]
    pairs += [(name, ", ".join(data.texts(name))) for name in ("to", "cc")]
    return Mail(headers_of(pairs), to=data.texts("to"), id=data.text("email_id"))
