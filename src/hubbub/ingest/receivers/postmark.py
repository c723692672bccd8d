"""Postmark: received mails, and reports on sent ones.

- Postmark signs nothing: the address that is pasted there holds a password (basic auth).
- It does not report the sending, so a mail counts as sent when Postmark first reports it delivered or bounced.
- A bounce that is an automatic answer, a change of address or a temporary delay is not a failure, and is ignored by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import ClassVar

from hubbub.ingest.receivers import mail_report
from hubbub.ingest.receivers.base import Delivery, Options, Received, Secret, Setup, no_challenge
from hubbub.ingest.receivers.fields import Fields, object_of
from hubbub.ingest.receivers.helpdesk import key, when
from hubbub.ingest.receivers.keys import check_secret
from hubbub.ingest.receivers.mail import Mail, headers_of, received
from hubbub.ingest.receivers.mail_report import BLOCKED, CLICKED, DELIVERED, FAILED, READ, UNBLOCKED, Report

REPORTS: Mapping[str, tuple[str, str, str]] = {
    "Delivery": (DELIVERED, "Recipient", "DeliveredAt"), "Open": (READ, "Recipient", "ReceivedAt"),
    "Click": (CLICKED, "Recipient", "ReceivedAt"), "Bounce": (FAILED, "Email", "BouncedAt"),
    "SpamComplaint": (BLOCKED, "Email", "BouncedAt"), "SubscriptionChange": (BLOCKED, "Recipient", "ChangedAt"),
}  # fmt: skip
"""RecordType -> the event, the field of the recipient, and the field of the time."""
NO_FAILURE = frozenset(
    {"AutoResponder", "AddressChange", "Transient", "Subscribe", "Unsubscribe", "OpenRelayTest", "TestSubscription"}
)
"""Types of bounces of mails that may have been delivered."""


class Postmark:
    """A server of Postmark."""

    provider: ClassVar[str] = "postmark"
    setup: ClassVar[Setup] = Setup(
        title="Postmark",
        steps=(
            "Write the password into the address: https://hubbub:{password}@ and the part of {address} after https://.",
            "In Postmark open your server and its outbound stream, Webhooks, 'Add webhook', and paste that address.",
            "Tick Delivery, Bounce, Spam complaint, Open, Link click and Subscription change; leave 'Include content' off.",
            "For received mails open the inbound stream, Settings, and paste the same address as the webhook.",
        ),
        secrets=(Secret("password", "the password in the address", ours=True),),
        retries=timedelta(hours=10),
    )
    challenge = staticmethod(no_challenge)

    def verify(self, delivery: Delivery, secrets: Mapping[str, str]) -> None:
        """Raise ForgedError unless the password is shown."""
        check_secret(delivery, secrets["password"])

    def read(self, delivery: Delivery, options: Options) -> Received:
        """Return what a body means. Raises BadRequestError."""
        body = object_of(delivery.body)
        kind = body.text("RecordType")
        if not kind and body.has("FromFull"):
            return received(_mail(body), options, delivery.received_at)
        if kind not in REPORTS:
            return Received(ignored={kind or "no RecordType": 1})
        reason = _reason_ignored(body, kind)
        return Received(ignored={reason: 1}) if reason else mail_report.received([_report(body, kind)])


def _reason_ignored(body: Fields, kind: str) -> str:
    """Return why a report is ignored, "" for one that concerns a mail or a contact."""
    if kind == "Bounce" and body.text("Type") in NO_FAILURE:
        return f"bounce {body.text('Type')}"
    own = body.of.get("SuppressSending") is True and (
        body.text("Origin") != "Recipient" or body.text("SuppressionReason") == "HardBounce"
    )
    return "suppression that is not the recipient's" if kind == "SubscriptionChange" and own else ""


def _report(body: Fields, kind: str) -> Report:
    type_, recipient, at = REPORTS[kind]
    if kind == "SubscriptionChange" and body.of.get("SuppressSending") is not True:
        type_ = UNBLOCKED
    return Report(
        type_, body.text("MessageID"), body.text(recipient), when(body, at), metadata=lambda name: body.text("Metadata", name),
        id=body.text("ID"), account=key("postmark", body.text("ServerID") or body.text("ServerId")),
        why=body.text("Name") if kind in ("Bounce", "SpamComplaint") else "",
    )  # fmt: skip


def _mail(body: Fields) -> Mail:
    """Return a received mail; Postmark sends some headers outside the list."""
    pairs = [(header.text("Name"), header.text("Value")) for header in body.children("Headers")]
    pairs += [(name, body.text(name)) for name in ("To", "Cc", "Date") if body.text(name)]
    name = "".join(c for c in body.text("FromFull", "Name") if c not in '"\\')
    pairs.append(("From", f'"{name}" <{body.text("FromFull", "Email") or body.text("From")}>'))
    to = [body.text("OriginalRecipient")] if body.text("OriginalRecipient") else []
    text = body.text("StrippedTextReply") or body.text("TextBody")
    return Mail(headers_of(pairs), to=to, text=text, id=body.text("MessageID"))
