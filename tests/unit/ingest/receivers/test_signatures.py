"""Signatures: each service's published signature is accepted, and nothing else."""

from __future__ import annotations

import base64
import hmac
import json
import socket
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives import serialization

from hubbub.errors import ForgedError, UpstreamRefusedError, UpstreamUnavailableError
from hubbub.ingest.receivers.base import Delivery
from hubbub.ingest.receivers.catalogue import receivers
from hubbub.ingest.receivers.ses import Ses
from hubbub.outgoing.http import Outgoing
from tests.unit.ingest.receivers.sending import (
    BODIES,
    CERTIFICATE_URL,
    SECRET,
    TOPIC,
    Amazon,
    basic,
    curve,
    services,
    sns,
)

SERVICES = services()
SIGNS_BODY = sorted(set(SERVICES) - {"postmark", "mime", "cloudevents", "segment", "mailgun"})
"""Services that sign the body; the others show a secret or sign a token."""
SIGNS_TIME = ("chatwoot", "front", "resend", "standard_webhooks", "mailgun")
"""Services whose signatures expire."""
SES = {"topic_arn": TOPIC}


def body_of(name: str) -> bytes:
    """Return a body of a service."""
    found = sorted((BODIES / name).glob("*.json"))
    return found[0].read_bytes() if found else b"From: a@example.org\r\nMessage-ID: <1@example.org>\r\n\r\nhello"


def sent(name: str, at: datetime | None = None) -> Delivery:
    """Return a delivery of a service, signed now or at `at`."""
    now = datetime.now(UTC)
    return replace(SERVICES[name].delivery(body_of(name), at or now), received_at=now)


def reason(name: str, delivery: Delivery) -> str:
    """Return the reason for which a delivery is refused."""
    with pytest.raises(ForgedError) as caught:
        SERVICES[name].receiver.verify(delivery, SERVICES[name].secrets)
    return str(caught.value.details["reason"])


@pytest.mark.parametrize("name", SERVICES)
def test_a_correctly_signed_body_is_accepted(name: str) -> None:
    """A body signed by the published rule is accepted."""
    SERVICES[name].receiver.verify(sent(name), SERVICES[name].secrets)


@pytest.mark.parametrize("name", SIGNS_BODY)
def test_any_flipped_byte_is_forged(name: str) -> None:
    """A changed byte anywhere in a signed body is forged."""
    good = sent(name)
    for at in {*range(0, len(good.body), max(1, len(good.body) // 40)), len(good.body) - 1}:
        flipped = bytearray(good.body)
        flipped[at] ^= 1
        with pytest.raises(ForgedError):
            SERVICES[name].receiver.verify(replace(good, body=bytes(flipped)), SERVICES[name].secrets)


@pytest.mark.parametrize("name", sorted(set(SIGNS_BODY) - {"ses"}))  # SNS signs a message, not its spaces
def test_no_byte_may_be_added_or_cut(name: str) -> None:
    """A longer or shorter body is forged."""
    good = sent(name)
    for body in (good.body[:-1], good.body + b" ", b"", good.body * 2):
        with pytest.raises(ForgedError):
            SERVICES[name].receiver.verify(replace(good, body=body), SERVICES[name].secrets)


@pytest.mark.parametrize("name", SERVICES)
def test_another_secret_is_forged(name: str) -> None:
    """A delivery checked with another secret is forged."""
    service, good = SERVICES[name], sent(name)
    other = (
        "whsec_" + base64.b64encode(b"another-secret-of-a-length").decode()
        if "whsec" in str(service.secrets)
        else "another"
    )
    with pytest.raises(ForgedError):
        service.receiver.verify(good, dict.fromkeys(service.secrets, other))


@pytest.mark.parametrize("name", SERVICES)
@pytest.mark.parametrize(
    "value", ["", "x", "sha256=", "Basic !!!", "Basic", "Bearer ", "v1,", "v1", "é", "a,b,c", "=" * 5000]
)
def test_headers_of_any_kind_are_forged(name: str, value: str) -> None:
    """Nonsense headers are forged, and never raise another error."""
    good = sent(name)
    headers = {key: good.headers[key] if key == "content-type" else value for key in good.headers}
    if len(headers) > 1:
        with pytest.raises(ForgedError):
            SERVICES[name].receiver.verify(replace(good, headers=headers), SERVICES[name].secrets)
    without = {"content-type": good.headers["content-type"]}
    if SERVICES[name].sign(b"", good.received_at):
        assert reason(name, replace(good, headers=without)) == "no_signature"


@pytest.mark.parametrize("name", SIGNS_TIME)
@pytest.mark.parametrize("hours", [-13, 13])
def test_an_old_signature_is_forged(name: str, hours: int) -> None:
    """A signature too far in the past or the future is refused as old."""
    assert reason(name, sent(name, datetime.now(UTC) + timedelta(hours=hours))) == "old_signature"


def test_sendgrid_takes_a_key_with_its_armour() -> None:
    """SendGrid's key may be pasted as PEM."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    pem = curve().public_key().public_bytes(serialization.Encoding.PEM, form).decode()
    SERVICES["sendgrid"].receiver.verify(sent("sendgrid"), {"public_key": pem})


def test_segment_signs_or_shows_its_key() -> None:
    """Segment's webhooks sign the body; its libraries send the write key as the user of basic authentication."""
    good = sent("segment")
    signature = hmac.new(SECRET.encode(), good.body, "sha1").hexdigest()
    SERVICES["segment"].receiver.verify(replace(good, headers={"x-signature": signature}), SERVICES["segment"].secrets)
    assert reason("segment", replace(good, headers={"x-signature": "0" * 40})) == "bad_signature"
    assert reason("segment", replace(good, headers=basic("hubbub", SECRET))) == "bad_signature"


def test_a_signed_challenge_of_front_is_answered() -> None:
    """A signed challenge of Front is answered, an unsigned one is forged, and other deliveries are no challenge."""
    service = SERVICES["front"]
    now = datetime.now(UTC)
    asked = service.delivery(b'{"type":"sync","authorization":{"id":"cmp_1"}}', now, **{"x-front-challenge": "c-1"})
    reply = service.receiver.challenge(asked, service.secrets)
    assert reply is not None and json.loads(reply.body) == {"challenge": "c-1"}
    assert service.receiver.challenge(sent("front"), service.secrets) is None
    with pytest.raises(ForgedError):
        service.receiver.challenge(replace(asked, body=b"{}"), service.secrets)


def ses(body: bytes) -> Delivery:
    """Return a delivery from SNS."""
    return Delivery("POST", "https://hub.example/", {}, {"content-type": "text/plain"}, body, datetime.now(UTC))


@pytest.mark.parametrize("version", ["1", "2"])
def test_sns_signs_with_either_hash(version: str) -> None:
    """SNS signatures of version 1 (SHA-1) and 2 (SHA-256) are accepted, and the certificate is fetched once."""
    amazon = Amazon()
    receiver = Ses(amazon)
    for message in ("{}", '{"eventType":"Send"}'):
        receiver.verify(ses(sns(message, version=version, Subject="Amazon SES Email Event Notification")), SES)
    assert amazon.visited == [CERTIFICATE_URL]


def test_sns_of_another_topic_is_forged() -> None:
    """Only the configured topic is accepted; for another, which could be anybody's, nothing is fetched."""
    amazon = Amazon()
    with pytest.raises(ForgedError):
        Ses(amazon).verify(ses(sns("{}", TopicArn=TOPIC + "2")), SES)
    assert amazon.visited == []


@pytest.mark.parametrize(
    "url",
    [
        "http://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0.pem",
        "https://sns.eu-west-1.amazonaws.com.evil.example/SimpleNotificationService-0.pem",
        "https://evil.example/SimpleNotificationService-0.pem",
        "https://sns.eu-west-1.amazonaws.com@evil.example/SimpleNotificationService-0.pem",
        "https://evil.example#sns.eu-west-1.amazonaws.com/SimpleNotificationService-0.pem",
        "https://bucket.s3.amazonaws.com/SimpleNotificationService-0.pem",
        "https://sns.eu-west-1.amazonaws.com:8443/SimpleNotificationService-0.pem",
        "https://sns.eu-west-1.amazonaws.com/?Action=x.pem",
        "https://sns.eu-west-1.amazonaws.com/../SimpleNotificationService-0.pem",
        "https://sns.eu-west-1.amazonaws.com\\@evil.example/SimpleNotificationService-0.pem",
        "https://[::1/SimpleNotificationService-0.pem", "", "file:///etc/passwd",
    ],
)  # fmt: skip
def test_certificates_are_fetched_from_sns_alone(url: str) -> None:
    """Certificates are fetched from SNS alone, and subscriptions are confirmed there alone."""
    amazon = Amazon()
    with pytest.raises(ForgedError):
        Ses(amazon).verify(ses(sns("{}", SigningCertURL=url)), SES)
    assert amazon.visited == []
    confirmation = sns("You have chosen to subscribe", kind="SubscriptionConfirmation", Token="t", SubscribeURL=url)
    if not url.startswith("https://sns.eu-west-1.amazonaws.com/"):
        with pytest.raises(ForgedError):
            Ses(amazon).challenge(ses(confirmation), SES)
        assert amazon.visited == [CERTIFICATE_URL]


def test_a_subscription_is_confirmed_where_sns_says() -> None:
    """A signed confirmation of the topic is answered by visiting its address; a forged one is not."""
    amazon = Amazon()
    url = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Token=t"
    good = sns("You have chosen to subscribe", kind="SubscriptionConfirmation", Token="t", SubscribeURL=url)
    reply = Ses(amazon).challenge(ses(good), SES)
    assert reply is not None and reply.status == 200
    assert amazon.visited == [CERTIFICATE_URL, url]
    with pytest.raises(ForgedError):
        Ses(amazon).challenge(ses(good.replace(b'"t"', b'"u"')), SES)
    assert Ses(amazon).challenge(ses(sns("SubscriptionConfirmation")), SES) is None


def test_a_delivery_fails_while_the_certificate_is_unavailable() -> None:
    """While SNS's certificate cannot be fetched, the delivery fails as unavailable, so that SNS retries."""
    amazon = Amazon()
    amazon.away = True
    with pytest.raises(UpstreamUnavailableError):
        Ses(amazon).verify(ses(sns("{}")), SES)


def test_a_certificate_that_sns_does_not_have_is_forged() -> None:
    """A certificate address that SNS answers with 403 is forged."""
    with pytest.raises(ForgedError):
        Ses(Amazon()).verify(ses(sns("{}", SigningCertURL=CERTIFICATE_URL.replace("0123", "ffff"))), SES)


def test_sns_inside_a_private_network_is_not_called_forged(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a private network at Amazon SNS has a private address: the error names `allow_private_hosts`, and the body is
    not forged.

    With the host in that setting the address is called.
    """
    host = "sns.eu-west-1.amazonaws.com"
    closed = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 443))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [closed])
    with pytest.raises(UpstreamRefusedError, match="allow_private_hosts"):
        Ses(Outgoing()).verify(ses(sns("{}")), SES)
    with pytest.raises((UpstreamUnavailableError, UpstreamRefusedError)) as caught:
        receivers(Outgoing([host]))["ses"].verify(ses(sns("{}")), SES)
    assert "private network" not in str(caught.value)
