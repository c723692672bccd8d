"""Webhooks signed by the Standard Webhooks specification: a message id (the same when sent again), a time, a signature."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from hubbub.errors import BadInputError
from hubbub.outgoing.http import Outgoing

PREFIX = "whsec_"
KEY_BYTES = (24, 64)
"""Least and most bytes of a key."""


def new_secret() -> str:
    """Return a new secret as text, whsec_ and base64."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def key_of(secret: str) -> bytes:
    """Return the bytes of a secret. Raises BadInputError."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if not secret.startswith(PREFIX) or not KEY_BYTES[0] <= len(key) <= KEY_BYTES[1]:
        raise BadInputError(
            f"secret: write {PREFIX} and the base64 of {KEY_BYTES[0]} to {KEY_BYTES[1]} bytes, or leave it out"
        )
    return key


def signature(secret: str, id_: str, timestamp: int, body: bytes) -> str:
    """Return the signature of a body, `v1,` and base64."""
    signed = f"{id_}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key_of(secret), signed, hashlib.sha256).digest()).decode()


def send(http: Outgoing, url: str, secret: str, id_: str, at: datetime, body: Mapping[str, Any]) -> None:
    """Send a signed body. Raises UpstreamUnavailableError or UpstreamRefusedError unless the status is below 300."""
    content, timestamp = msgspec.json.encode(body), int(at.timestamp())
    headers = {
        "Content-Type": "application/json", "webhook-id": id_, "webhook-timestamp": str(timestamp),
        "webhook-signature": signature(secret, id_, timestamp, content),
    }  # fmt: skip
    http.send("POST", url, headers=headers, content=content, limit=1 << 20).checked()
