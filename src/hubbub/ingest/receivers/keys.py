"""The check of the secret that a sender sends with each body, in the Authorization header."""

from __future__ import annotations

import base64
import binascii

from hubbub.errors import ForgedError
from hubbub.ingest.receivers.base import Delivery, check_same


def check_secret(delivery: Delivery, secret: str, *, as_user: bool = False) -> None:
    """Raise ForgedError unless the Authorization header has the secret as a bearer token, or as the password of basic auth.

    `as_user`: as the user name of basic auth, with any password.
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
