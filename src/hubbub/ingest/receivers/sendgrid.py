"""SendGrid: reports on mails (Event Webhook), and received mails (Inbound Parse).

- Signed with an elliptic curve: `X-Twilio-Email-Event-Webhook-Signature` over the timestamp and the body. SendGrid publishes no
  age limit for a timestamp; a repeated body counts nothing twice.
- `sg_message_id` is the mail's id up to `.filter` or `.recvd`; the rest differs between events of one mail.
- A machine that opens a mail (Apple's privacy protection) has not read it: this is ignored by name.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from typing import ClassVar

from hubbub.errors import BadRequestError
from hubbub.ingest.receivers import mail_report
from hubbub.ingest.receivers.base import Delivery, Options, Received, Secret, Setup, no_challenge
from hubbub.ingest.receivers.fields import Fields, objects_of
from hubbub.ingest.receivers.forms import form_of
from hubbub.ingest.receivers.helpdesk import when
from hubbub.ingest.receivers.mail import Mail, parse, received, whole
from hubbub.ingest.receivers.mail_report import BLOCKED, CLICKED, DELIVERED, FAILED, READ, SENT, UNBLOCKED, Report

REPORTS: Mapping[str, str] = {
    "processed": SENT, "delivered": DELIVERED, "bounce": FAILED, "dropped": FAILED, "open": READ, "click": CLICKED,
    "spamreport": BLOCKED, "unsubscribe": BLOCKED, "group_unsubscribe": BLOCKED, "group_resubscribe": UNBLOCKED,
}  # fmt: skip
_BEHIND = re.compile(r"\.?(?:filter|recvd)[\w-]*\..*\Z", re.DOTALL)


def _is_key(text: str) -> bool:
    from hubbub.ingest.receivers.signatures import is_curve_key

    return is_curve_key(text)


class SendGrid:
    """An account of SendGrid."""

    provider: ClassVar[str] = "sendgrid"
    setup: ClassVar[Setup] = Setup(
        title="SendGrid",
        steps=(
            "In SendGrid open Settings, Mail Settings, Event Webhooks, 'Create new webhook', and paste {address}.",
            "Select Processed, Dropped, Delivered, Bounced, Opened, Clicked, Spam reports, Unsubscribes and group unsubscribes.",
            "Turn 'Enable Signed Event Webhook' on, save, copy the verification key, and give it here as 'public_key'.",
            "For received mails open Settings, Inbound Parse, add the host, paste the same address, and attach a security "
            "policy with the same key.",
        ),
        secrets=(Secret("public_key", "the verification key that SendGrid shows", usable=_is_key),),
        retries=timedelta(hours=24),
    )
    challenge = staticmethod(no_challenge)

    def verify(self, delivery: Delivery, secrets: Mapping[str, str]) -> None:
        """Raise ForgedError unless the signature is that of the timestamp and the body."""
        from hubbub.ingest.receivers.signatures import check_curve

        stamp = delivery.headers.get("x-twilio-email-event-webhook-timestamp", "")
        signature = delivery.headers.get("x-twilio-email-event-webhook-signature", "")
        check_curve(secrets["public_key"], signature, stamp.encode() + delivery.body)

    def read(self, delivery: Delivery, options: Options) -> Received:
        """Return what a body means. Raises BadRequestError."""
        if "form" in delivery.headers.get("content-type", "").lower():
            return received(_mail(form_of(delivery)), options, delivery.received_at)
        reports: list[Report] = []
        ignored: Counter[str] = Counter()
        for event in objects_of(delivery.body):
            kind = event.text("event")
            if kind == "open" and event.of.get("sg_machine_open") is True:
                kind = "open by a machine"
            if kind in REPORTS:
                reports.append(_report(event, kind))
            else:
                ignored[kind or "no event"] += 1
        outcome = mail_report.received(reports)
        return Received(events=outcome.events, ignored=ignored + Counter(outcome.ignored))


def _report(event: Fields, kind: str) -> Report:
    mail = _BEHIND.sub("", event.text("sg_message_id"))
    mail = mail or event.text("smtp-id").strip("<>").partition("@")[0]

    def metadata(name: str) -> str:
        campaign = event.text("singlesend_id") or event.text("marketing_campaign_id") if name == "campaign_id" else ""
        return event.text(name) or campaign

    return Report(
        REPORTS[kind], mail, event.text("email"), when(event, "timestamp"), metadata, id=event.text("sg_event_id"),
        why=event.text("reason") if REPORTS[kind] == FAILED else "",
    )  # fmt: skip


def _mail(form: Mapping[str, str]) -> Mail:
    """Return a received mail: the whole mail if the parser sends it raw, else its headers and text."""
    try:
        envelope = json.loads(form.get("envelope", "{}"))
    except (ValueError, RecursionError):
        envelope = {}
    to = Fields(envelope if isinstance(envelope, dict) else {}).texts("to")
    if "email" in form:
        return whole(form["email"].encode("utf-8", "replace"), to)
    if "headers" not in form:
        raise BadRequestError("the form holds no mail: it has neither 'headers' nor 'email'", reason="unreadable")
    head = parse(form["headers"].encode("utf-8", "replace"), body=False)
    return Mail(head.headers, to=to, text=form.get("text", ""))
