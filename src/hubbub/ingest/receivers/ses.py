"""Amazon SES: reports on mails, and received mails, through a topic of Amazon SNS.

- SNS signs each message with a certificate that the message names. Anyone with an Amazon account can create a topic that signs, so
  the topic must be the configured one; and the host and path of the certificate must be those of SNS.
- Certificates are fetched through `outgoing/`, and a few are cached. While one cannot be fetched, nothing is accepted, and SNS
  retries.
- A request to the address in the signed message confirms a new subscription; this address must belong to SNS, too.
- A report names its recipients; an opening or a click does not, so for a mail to several recipients it is ignored by name.
- Not verified against the service.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit

from cachetools import LRUCache

from hubbub.errors import BadRequestError, ForgedError
from hubbub.ingest.receivers import mail_report
from hubbub.ingest.receivers.base import Delivery, Options, Received, Reply, Secret, Setup, check_same
from hubbub.ingest.receivers.fields import Fields, object_of
from hubbub.ingest.receivers.helpdesk import when
from hubbub.ingest.receivers.mail import Mail, headers_of, received, whole
from hubbub.ingest.receivers.mail_report import BLOCKED, CLICKED, DELIVERED, FAILED, READ, SENT, Report
from hubbub.outgoing.http import Outgoing

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

SNS_HOST = re.compile(r"sns\.[a-z0-9-]{1,30}\.amazonaws\.com(\.cn)?")
TOPIC = re.compile(r"arn:aws[a-z-]{0,20}:sns:[a-z0-9-]{1,30}:\d{12}:[\w-]{1,256}(?:\.fifo)?", re.ASCII)
CERTIFICATE_PATH = re.compile(r"/SimpleNotificationService-[A-Za-z0-9]{1,64}\.pem")
LARGEST_CERTIFICATE, CERTIFICATES, PATIENCE = 65_536, 16, 5.0
NO_CERTIFICATE = frozenset({400, 403, 404, 410})
"""Answers of SNS to the address of a certificate that it does not have."""
SIGNED: Mapping[str, Sequence[str]] = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    **dict.fromkeys(
        ("SubscriptionConfirmation", "UnsubscribeConfirmation"),
        ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    ),
}
"""Kind of a message -> its signed fields, in order."""
DIGESTS: Mapping[str, str] = {"1": "sha1", "2": "sha256"}
"""Version of a signature -> its digest."""
REPORTS: Mapping[str, tuple[str, str, str]] = {
    "Send": (SENT, "send", ""), "Delivery": (DELIVERED, "delivery", "recipients"), "Reject": (FAILED, "reject", ""),
    "Bounce": (FAILED, "bounce", "bouncedRecipients"), "Rendering Failure": (FAILED, "failure", ""), "Open": (READ, "open", ""),
    "Click": (CLICKED, "click", ""), "Complaint": (BLOCKED, "complaint", "complainedRecipients"),
}  # fmt: skip
"""Type of a report -> the event, the field of its details, and the field of its recipients ("": all of the mail's)."""


class Ses:
    """A topic that SES publishes to."""

    provider: ClassVar[str] = "ses"
    setup: ClassVar[Setup] = Setup(
        title="Amazon SES",
        steps=(
            "In Amazon SNS create a standard topic, and give its ARN here as 'topic_arn'.",
            "Add a subscription to it: protocol HTTPS, endpoint {address}, raw message delivery off. It is confirmed by itself.",
            "In Amazon SES open the configuration set of your mails, Event destinations, and add the topic for all event types.",
            "For received mails add the action 'Publish to Amazon SNS topic' with the same topic to the receipt rule.",
        ),
        secrets=(Secret("topic_arn", "the ARN of the topic, arn:aws:sns:...", usable=TOPIC.fullmatch),),
        retries=timedelta(minutes=1),
    )

    def __init__(self, http: Outgoing) -> None:
        """Certificates are fetched through `http`."""
        self._http = http
        self._certificates: LRUCache[str, RSAPublicKey] = LRUCache(CERTIFICATES)

    def verify(self, delivery: Delivery, secrets: Mapping[str, str]) -> None:
        """Raise ForgedError unless SNS signed the message for the configured topic.

        Raises UpstreamUnavailableError when the certificate cannot be fetched now, UpstreamRefusedError when a person must act.
        """
        from hubbub.ingest.receivers.signatures import check_rsa

        try:
            message = object_of(delivery.body)
        except BadRequestError:
            raise ForgedError(reason="no_signature") from None
        check_same(message.text("TopicArn"), secrets["topic_arn"])
        names, digest = SIGNED.get(message.text("Type")), DIGESTS.get(message.text("SignatureVersion"))
        if names is None or digest is None:
            raise ForgedError(reason="no_signature")
        signed = "".join(f"{name}\n{message.text(name)}\n" for name in names if message.has(name))
        check_rsa(self._key(message.text("SigningCertURL")), message.text("Signature"), signed.encode(), digest)

    def _key(self, url: str) -> RSAPublicKey:
        from hubbub.ingest.receivers.signatures import rsa_key

        cached = self._certificates.get(url)
        if cached is None:
            if not _is_at_sns(url) or not CERTIFICATE_PATH.fullmatch(urlsplit(url).path):
                raise ForgedError(reason="bad_signature")
            answer = self._http.send("GET", url, timeout=PATIENCE, limit=LARGEST_CERTIFICATE)
            if answer.status in NO_CERTIFICATE:
                raise ForgedError(reason="bad_signature")
            cached = self._certificates[url] = rsa_key(answer.checked().body)
        return cached

    def challenge(self, delivery: Delivery, secrets: Mapping[str, str]) -> Reply | None:
        """Confirm a subscription to the topic. Raises ForgedError, UpstreamUnavailableError, UpstreamRefusedError."""
        if delivery.method != "POST" or b"SubscriptionConfirmation" not in delivery.body:
            return None
        message = object_of(delivery.body)
        if message.text("Type") != "SubscriptionConfirmation":
            return None
        self.verify(delivery, secrets)
        url = message.text("SubscribeURL")
        if not _is_at_sns(url):
            raise ForgedError(reason="bad_signature")
        self._http.send("GET", url, timeout=PATIENCE, limit=LARGEST_CERTIFICATE).checked()
        return Reply(200, "text/plain; charset=utf-8", b"confirmed")

    def read(self, delivery: Delivery, options: Options) -> Received:
        """Return what a body means. Raises BadRequestError."""
        message = object_of(delivery.body)
        if message.text("Type") != "Notification":
            return Received(ignored={message.text("Type") or "no Type": 1})
        try:
            report = object_of(message.text("Message").encode("utf-8", "replace"))
        except BadRequestError:
            return Received(ignored={"a note of SNS": 1})
        kind = report.text("eventType") or report.text("notificationType")
        if kind == "Received":
            return received(_mail(report), options, delivery.received_at)
        if kind not in REPORTS:
            return Received(ignored={kind or "no type": 1})
        if kind in ("Open", "Click") and len(report.texts("mail", "destination")) > 1:
            return Received(ignored={f"{kind} of a mail to several": 1})
        return mail_report.received(_reports(report, kind, message))


def _is_at_sns(url: str) -> bool:
    """Say whether an address belongs to SNS, by https and without credentials."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    return (
        parts.scheme == "https"
        and port in (None, 443)
        and SNS_HOST.fullmatch(parts.netloc.partition(":")[0]) is not None
    )


def _reports(report: Fields, kind: str, message: Fields) -> Iterator[Report]:
    """Yield a report for each recipient."""
    type_, where, whom = REPORTS[kind]
    mail, detail = report.child("mail"), report.child(where)
    about = (
        detail.texts(whom) or [entry.text("emailAddress") for entry in detail.children(whom)]
        if whom
        else mail.texts("destination")
    )

    at = when(mail, "timestamp") if type_ == SENT else when(detail, "timestamp")
    why = " ".join(filter(None, (detail.text("bounceType"), detail.text("bounceSubType"), detail.text("reason"))))

    def metadata(name: str) -> str:
        return next(iter(mail.texts("tags", name)), "")

    for recipient in about or [""]:
        yield Report(
            type_, mail.text("messageId"), recipient, at or when(message, "Timestamp"), metadata, id=message.text("MessageId"),
            account=mail.text("source"), why=why, sent_at=when(mail, "timestamp"),
        )  # fmt: skip


def _mail(report: Fields) -> Mail:
    """Return a received mail: the whole mail if the action includes it, else its headers."""
    mail = report.child("mail")
    to = report.texts("receipt", "recipients") or mail.texts("destination")
    content = report.text("content")
    if content:
        raw = content.encode("utf-8", "replace")
        if report.text("receipt", "action", "encoding").upper() == "BASE64":
            try:
                raw = base64.b64decode(raw)
            except binascii.Error:
                raise BadRequestError("the mail in 'content' is not base64", reason="unreadable") from None
        return whole(raw, to, id=mail.text("messageId"))
    pairs = [(header.text("name"), header.text("value")) for header in mail.children("headers")]
    return Mail(headers_of(pairs), to=to, id=mail.text("messageId"))
