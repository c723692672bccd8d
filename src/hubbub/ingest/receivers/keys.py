"""Keys that a sender shows with each body: a secret in the Authorization header, or an elliptic-curve signature."""

from __future__ import annotations

import base64
import binascii
import re

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from hubbub.errors import ForgedError
from hubbub.ingest.receivers.base import Delivery, check_same

_ARMOUR = re.compile(r"-----[^-]*-----")


def check_secret(delivery: Delivery, secret: str, *, as_user: bool = False) -> None:
    """Raise ForgedError unless the Authorization header shows the secret: as a bearer token, or as the password of basic auth.

    `as_user`: as its user name, with any password.
    """
    scheme, _, credential = delivery.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            user, _, password = base64.b64decode(credential.strip(), validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            raise ForgedError(reason="no_signature") from None
        credential = user if as_user else password
    elif scheme.lower() != "bearer":
        raise ForgedError(reason="no_signature")
    check_same(credential.strip(), secret)


def check_curve(public_key: str, signature: str, signed: bytes) -> None:
    """Raise ForgedError unless a base64 ECDSA signature (SHA-256) of some bytes fits the key, DER in base64 or PEM."""
    body = "".join(_ARMOUR.sub("", public_key).split())
    try:
        key = load_der_public_key(base64.b64decode(body))
        if not signature or not isinstance(key, ec.EllipticCurvePublicKey):
            raise ForgedError(reason="no_signature")
        key.verify(base64.b64decode(signature, validate=True), signed, ec.ECDSA(hashes.SHA256()))
    except (binascii.Error, ValueError, InvalidSignature):
        raise ForgedError(reason="bad_signature") from None
