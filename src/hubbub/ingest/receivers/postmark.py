"""Postmark: mails that come in, and what became of those that went out.

- Postmark signs nothing: the address that it is given holds a password (basic auth).
- It reports no sending, so a mail counts as sent when Postmark first says that it was delivered or bounced.
- A bounce that is an automatic answer, a change of address or a passing delay is no failure, and is ignored by name.
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
"""RecordType -> the event, where the recipient stands, and the time."""
NO_FAILURE = frozenset(
    {"AutoResponder", "AddressChange", "Transient", "Subscribe", "Unsubscribe", "OpenRelayTest", "TestSubscription"}
)
"""Types of bounces of mails that may well have been delivered."""


class Postmark:
    """A server of Postmark."""

    provider: ClassVar[str] = "postmark"
    setup: ClassVar[Setup] = Setup(
        title="Postmark",
        steps=(
            "Write the password into the address: https://hubbub:{password}@ and what follows in {address} after https://.",
            "In Postmark open your server and its outbound stream, Webhooks, 'Add webhook', and paste that address.",
            "Tick Delivery, Bounce, Spam complaint, Open, Link click and Subscription change; leave 'Include content' off.",
            "For mails that come in open the inbound stream, Settings, and paste the same address as the webhook.",
        ),
        secrets=(Secret("password", "the password in the address", ours=True),),
        retries=timedelta(hours=10),
    )
    challenge = staticmethod(no_challenge)

    def verify(self, delivery: Delivery, secrets: Mapping[str, str]) -> None:
        """Raise ForgedError unless the password came along."""
        check_secret(delivery, secrets["password"])

    def read(self, delivery: Delivery, options: Options) -> Received:
        """Return what a body means. Raises BadRequestError."""
        body = object_of(delivery.body)
        kind = body.text("RecordType")
        if not kind and body.has("FromFull"):
            return received(_mail(body), options, delivery.received_at)
        if kind not in REPORTS:
            return Received(ignored={kind or "no RecordType": 1})
        left_out = _left_out(body, kind)
        return Received(ignored={left_out: 1}) if left_out else mail_report.received([_report(body, kind)])


def _left_out(body: Fields, kind: str) -> str:
    """Return why a report says nothing about a mail or a contact, "" for one that does."""
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
    """Return a mail that came in; Postmark gives some headers apart from the others."""
    pairs = [(one.text("Name"), one.text("Value")) for one in body.many("Headers")]
    pairs += [(name, body.text(name)) for name in ("To", "Cc", "Date") if body.text(name)]
    name = "".join(c for c in body.text("FromFull", "Name") if c not in '"\\')
    pairs.append(("From", f'"{name}" <{body.text("FromFull", "Email") or body.text("From")}>'))
    to = [body.text("OriginalRecipient")] if body.text("OriginalRecipient") else []
    text = body.text("StrippedTextReply") or body.text("TextBody")
    return Mail(headers_of(pairs), to=to, text=text, id=body.text("MessageID"))
