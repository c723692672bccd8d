"""Webhook deliveries signed as each service documents; nothing of the receivers is used to sign."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import httpx2
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

from hubbub.errors import UpstreamUnavailableError
from hubbub.ingest.receivers.base import Delivery, Receiver
from hubbub.ingest.receivers.chatwoot import Chatwoot
from hubbub.ingest.receivers.cloudevents import CloudEvents
from hubbub.ingest.receivers.front import Front
from hubbub.ingest.receivers.intercom import Intercom
from hubbub.ingest.receivers.mailgun import Mailgun
from hubbub.ingest.receivers.mime import Mime
from hubbub.ingest.receivers.postmark import Postmark
from hubbub.ingest.receivers.resend import Resend
from hubbub.ingest.receivers.segment import Segment
from hubbub.ingest.receivers.sendgrid import SendGrid
from hubbub.ingest.receivers.ses import Ses
from hubbub.ingest.receivers.standard_webhooks import StandardWebhooks
from hubbub.ingest.receivers.zendesk import Zendesk
from hubbub.outgoing.http import Answer, Outgoing

BODIES = Path(__file__).parents[3] / "data" / "webhooks"
SECRET = "s3cret-of-the-service"
WHSEC = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()
TOPIC = "arn:aws:sns:eu-west-1:123456789012:mails"
CERTIFICATE_URL = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem"
JSON = "application/json"

Signing = Callable[[bytes, datetime], Mapping[str, str]]
"""A function of body and time that returns the headers of the signature."""


def hmac_of(digest: str, signed: bytes, secret: bytes = SECRET.encode()) -> bytes:
    """Return an HMAC."""
    return hmac.new(secret, signed, digest).digest()


def seconds(now: datetime) -> str:
    """Return a moment as whole Unix seconds."""
    return str(int(now.timestamp()))


def chatwoot(body: bytes, now: datetime) -> Mapping[str, str]:
    """Sign as Chatwoot: SHA-256 of `<seconds>.<body>`."""
    signature = hmac_of("sha256", f"{seconds(now)}.".encode() + body).hex()
    return {"x-chatwoot-timestamp": seconds(now), "x-chatwoot-signature": f"sha256={signature}"}


def intercom(body: bytes, now: datetime) -> Mapping[str, str]:
    """Sign as Intercom: SHA-1 of the body."""
    return {"x-hub-signature": f"sha1={hmac_of('sha1', body).hex()}"}


def zendesk(body: bytes, now: datetime) -> Mapping[str, str]:
    """Sign as Zendesk: SHA-256 of timestamp and body, in base64."""
    stamp = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    signature = base64.b64encode(hmac_of("sha256", stamp.encode() + body)).decode()
    return {"x-zendesk-webhook-signature-timestamp": stamp, "x-zendesk-webhook-signature": signature}


def front(body: bytes, now: datetime) -> Mapping[str, str]:
    """Sign as Front: SHA-256 of `<milliseconds>:<body>`, in base64."""
    stamp = f"{seconds(now)}123"
    signature = base64.b64encode(hmac_of("sha256", f"{stamp}:".encode() + body)).decode()
    return {"x-front-request-timestamp": stamp, "x-front-signature": signature}


def basic(user: str, password: str) -> Mapping[str, str]:
    """Return the header of basic authentication."""
    return {"authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


@cache
def curve() -> ec.EllipticCurvePrivateKey:
    """Return the key that SendGrid signs with."""
    return ec.generate_private_key(ec.SECP256R1())


def curve_public() -> str:
    """Return SendGrid's verification key as its settings show it."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return base64.b64encode(curve().public_key().public_bytes(serialization.Encoding.DER, form)).decode()


def sendgrid(body: bytes, now: datetime) -> Mapping[str, str]:
    """Sign as SendGrid: ECDSA over timestamp and body."""
    signature = curve().sign(seconds(now).encode() + body, ec.ECDSA(hashes.SHA256()))
    return {
        "x-twilio-email-event-webhook-timestamp": seconds(now),
        "x-twilio-email-event-webhook-signature": base64.b64encode(signature).decode(),
    }


def standard(prefix: str) -> Signing:
    """Sign as Standard Webhooks, whose headers have a prefix."""

    def sign(body: bytes, now: datetime) -> Mapping[str, str]:
        signed = f"msg_1.{seconds(now)}.".encode() + body
        signature = base64.b64encode(hmac_of("sha256", signed, b"0123456789abcdef01234567")).decode()
        return {
            f"{prefix}-id": "msg_1", f"{prefix}-timestamp": seconds(now), f"{prefix}-signature": f"v1,{signature}",
        }  # fmt: skip

    return sign


def mailgun_signed(now: datetime) -> dict[str, str]:
    """Return the signature that Mailgun puts into a body: SHA-256 of timestamp and token."""
    token = hashlib.sha256(seconds(now).encode()).hexdigest()[:50]
    signature = hmac_of("sha256", f"{seconds(now)}{token}".encode()).hex()
    return {"timestamp": seconds(now), "token": token, "signature": signature}


@cache
def sns_key() -> rsa.RSAPrivateKey:
    """Return the key that SNS signs with."""
    return rsa.generate_private_key(65537, 2048)


@cache
def sns_certificate() -> bytes:
    """Return the certificate of SNS in PEM."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(sns_key().public_key())
    made = made.serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    return made.sign(sns_key(), hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def sns(message: str, *, kind: str = "Notification", version: str = "2", **more: str) -> bytes:
    """Return a message of SNS, signed over its fields in order of their names."""
    body = {
        "Type": kind, "MessageId": "19ba9823-d7f2-53c1-860e-cb10e0d13dfc", "TopicArn": TOPIC, "Message": message,
        "Timestamp": "2026-06-01T08:00:00.675Z", "SignatureVersion": version, "SigningCertURL": CERTIFICATE_URL, **more,
    }  # fmt: skip
    names = ["Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
    signed = "".join(f"{name}\n{body[name]}\n" for name in names if name in body)
    digest = hashes.SHA1() if version == "1" else hashes.SHA256()
    signature = sns_key().sign(signed.encode(), padding.PKCS1v15(), digest)
    return json.dumps({**body, "Signature": base64.b64encode(signature).decode()}).encode()


class Amazon(Outgoing):
    """A stand-in for SNS, which cannot run here: it returns its certificate and records the visited addresses."""

    def __init__(self) -> None:
        super().__init__()
        self.visited: list[str] = []
        self.away = False

    def send(self, method: str, url: str, **_: Any) -> Answer:
        """Answer as SNS does."""
        if self.away:
            raise UpstreamUnavailableError("sns is away")
        self.visited.append(url)
        status = 403 if url.endswith(".pem") and url != CERTIFICATE_URL else 200
        body = sns_certificate() if url.endswith(".pem") else b"<ConfirmSubscriptionResponse/>"
        return Answer("sns.eu-west-1.amazonaws.com", status, httpx2.Headers(), body)


@dataclass(frozen=True)
class Service:
    """A service under test: its receiver, its secrets, how it signs, and how a file becomes a body."""

    receiver: Receiver
    secrets: Mapping[str, str]
    sign: Signing
    kind: str = JSON
    wrap: Callable[[bytes, datetime], bytes] = lambda body, now: body

    def delivery(self, content: bytes, now: datetime, **headers: str) -> Delivery:
        """Return what the service sends for a file's content."""
        body = self.wrap(content, now)
        given = {"content-type": self.kind, **self.sign(body, now), **headers}
        return Delivery("POST", "https://hub.example/v1/hooks/x/1", {}, given, body, now)


def in_mailgun(content: bytes, now: datetime) -> bytes:
    """Put Mailgun's signature into a body."""
    return json.dumps({**json.loads(content), "signature": mailgun_signed(now)}).encode()


def in_intercom(content: bytes, now: datetime) -> bytes:
    """Wrap a conversation of Intercom's API in a notification."""
    item = json.loads(content)
    if item.get("type") != "conversation":
        return content
    topic = {
        "type": "notification_event",
        "app_id": "ak1",
        "topic": "conversation.admin.replied",
        "created_at": 1780301000,
    }
    return json.dumps({**topic, "data": {"type": "notification_event_data", "item": item}}).encode()


def services() -> dict[str, Service]:
    """Return the services by folder name."""
    secret = {"secret": SECRET}
    return {
        "chatwoot": Service(Chatwoot(), secret, chatwoot),
        "intercom": Service(Intercom(), {"client_secret": SECRET}, intercom, wrap=in_intercom),
        "zendesk": Service(Zendesk(), secret, zendesk),
        "front": Service(Front(), {"signing_key": SECRET}, front),
        "postmark": Service(Postmark(), {"password": SECRET}, lambda body, now: basic("hubbub", SECRET)),
        "sendgrid": Service(SendGrid(), {"public_key": curve_public()}, sendgrid),
        "mailgun": Service(Mailgun(), {"signing_key": SECRET}, lambda body, now: {}, wrap=in_mailgun),
        "resend": Service(Resend(), {"secret": WHSEC}, standard("svix")),
        "ses": Service(
            Ses(Amazon()), {"topic_arn": TOPIC}, lambda body, now: {}, "text/plain; charset=UTF-8",
            lambda content, now: sns(content.decode()),
        ),
        "mime": Service(Mime(), {"password": SECRET}, lambda body, now: basic("hubbub", SECRET), "message/rfc822"),
        "standard_webhooks": Service(StandardWebhooks(), {"secret": WHSEC}, standard("webhook")),
        "segment": Service(Segment(), {"write_key": SECRET}, lambda body, now: basic(SECRET, "")),
        "cloudevents": Service(
            CloudEvents(), {"token": SECRET}, lambda body, now: {"authorization": f"Bearer {SECRET}"},
            "application/cloudevents+json",
        ),
    }  # fmt: skip
