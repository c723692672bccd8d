"""Common parts of Meta's webhooks: the signature, the challenge, and the names of their secrets."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from hubbub.errors import ForgedError
from hubbub.ingest.receivers.base import Delivery, Reply, Secret, check_same, hmac_hex

SECRETS = (
    Secret("app_secret", "App Secret of the Meta app, under App settings, Basic"),
    Secret("verify_token", "a token that Meta sends back when it checks the address", ours=True),
)
APP = "At developers.facebook.com/apps open your app, and copy its App Secret (App settings, Basic) into 'app_secret' here."
CALLBACK = "Under {product}, Webhooks, paste {address} as the callback URL and {verify_token} as the verify token."

RETRIES = timedelta(hours=36)
"""How long Meta retries for Messenger, Instagram and pages; for WhatsApp longer."""


class Meta:
    """Verifies Meta's deliveries."""

    def verify(self, delivery: Delivery, secrets: Mapping[str, str]) -> None:
        """Check `sha256=` HMAC-SHA256 of the body with the app's secret."""
        expected = hmac_hex(secrets["app_secret"], delivery.body)
        check_same(delivery.headers.get("x-hub-signature-256", ""), f"sha256={expected}")

    def challenge(self, delivery: Delivery, secrets: Mapping[str, str]) -> Reply | None:
        """Return `hub.challenge` when the verify token is right. Raises ForgedError otherwise."""
        if delivery.method != "GET":
            return None
        if delivery.query.get("hub.mode") != "subscribe":
            raise ForgedError(reason="no_signature")
        check_same(delivery.query.get("hub.verify_token", ""), secrets["verify_token"])
        return Reply(200, "text/plain", delivery.query.get("hub.challenge", "").encode())
