"""Standard Webhooks: events of the contract from any system that signs by that specification.

A body is an event of the contract, or `{"type", "timestamp", "data"}` with the other fields in data. An event without an id gets
the `webhook-id`. Types outside the contract are ignored by name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar

import standardwebhooks

from hubbub.errors import ForgedError
from hubbub.ingest.receivers.base import Delivery, Options, Received, Secret, Setup, no_challenge
from hubbub.ingest.receivers.contract import in_contract
from hubbub.ingest.receivers.fields import object_of

_SECRET = re.compile(r"(?:whsec_)?[A-Za-z0-9+/]+={0,2}")


def is_signing_secret(text: str) -> bool:
    """Say whether a text can be a signing secret: base64, with or without `whsec_` and padding."""
    if _SECRET.fullmatch(text) is None:
        return False
    try:
        standardwebhooks.Webhook(text)
    except ValueError:
        return False
    return True


class StandardWebhooks:
    """A system that sends Standard Webhooks."""

    provider: ClassVar[str] = "standard_webhooks"
    setup: ClassVar[Setup] = Setup(
        title="Standard Webhooks",
        steps=(
            "At the system that sends, add {address} as an endpoint.",
            "Copy the endpoint's signing secret (whsec_...), and give it here as 'secret'.",
        ),
        secrets=(Secret("secret", "the signing secret of the endpoint, whsec_...", usable=is_signing_secret),),
    )
    challenge = staticmethod(no_challenge)

    def verify(self, delivery: Delivery, secrets: Mapping[str, str]) -> None:
        """Raise ForgedError unless the signature is that of the id, the timestamp and the body, and not old."""
        check_signature(secrets["secret"], delivery, "webhook")

    def read(self, delivery: Delivery, options: Options) -> Received:
        """Return what a body means. Raises BadRequestError."""
        body = dict(object_of(delivery.body).of)
        data = body.pop("data", None)
        event = {**data, **body} if isinstance(data, dict) else body
        event.setdefault("id", delivery.headers.get("webhook-id", ""))
        return in_contract([event])


def check_signature(secret: str, delivery: Delivery, prefix: str) -> None:
    """Raise ForgedError unless the headers `<prefix>-id`, `-timestamp` and `-signature` sign the body."""
    names = ("id", "timestamp", "signature")
    headers = {f"webhook-{name}": delivery.headers.get(f"{prefix}-{name}", "") for name in names}
    if not all(headers.values()):
        raise ForgedError(reason="no_signature")
    try:
        standardwebhooks.Webhook(secret).verify(delivery.body, headers, json_parse=False)
    except (standardwebhooks.WebhookVerificationError, ValueError) as wrong:
        reason = "old_signature" if "timestamp" in str(wrong) else "bad_signature"
        raise ForgedError(reason=reason) from None
