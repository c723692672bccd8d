"""Checks the address of a destination, and separates what may be shown from what is secret."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from hubbub.control.outbox import KINDS
from hubbub.errors import BadInputError
from hubbub.outgoing.http import Outgoing
from hubbub.outgoing.mail import is_address
from hubbub.outgoing.webhook import key_of, new_secret

LONGEST_URL = 2000


@dataclass(frozen=True, slots=True)
class Address:
    """A stored address: `shown` in the clear, `secret` encrypted."""

    shown: str
    secret: dict[str, str]


def address(http: Outgoing, kind: str, to: str, secret: str = "", integration: str = "") -> Address:
    """Check the address of a destination: a mail address, the URL of a webhook or Slack webhook, or a Slack channel.

    A Slack channel needs the tenant's `integration`. A webhook without a `secret` gets a new one. Raises BadInputError.
    """
    if kind not in KINDS:
        raise BadInputError(f"kind {kind[:40]!r} is not one of {', '.join(KINDS)}")
    if secret and kind != "webhook":
        raise BadInputError("secret: only a webhook is signed")
    if integration and kind != "slack":
        raise BadInputError("integration: only a Slack destination has one")
    if kind == "mail":
        if not is_address(to):
            raise BadInputError(f"to: {to[:80]!r} is not a mail address like marta@hotel.example")
        return Address(to, {"address": to})
    if integration:
        if not to or len(to) > 100 or not to.isprintable():
            raise BadInputError("to: name the Slack channel by its id, like C0123456789")
        return Address(f"channel {to}", {"channel": to, "integration": integration})
    host = _checked_url(http, to)
    if kind == "slack":
        return Address(f"{host}/…{to[-4:]}", {"url": to})
    secret = secret or new_secret()
    key_of(secret)
    return Address(host, {"url": to, "secret": secret})


def _checked_url(http: Outgoing, url: str) -> str:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port, parts = "", None, urlsplit("")
    odd = " " in url or not url.isprintable()
    if odd or not host or parts.scheme not in ("http", "https") or parts.username is not None or len(url) > LONGEST_URL:
        raise BadInputError("to: not an https address like https://host/path")
    if parts.scheme == "http" and not http.is_allowed(host, port or 80):
        raise BadInputError("to: write an https address; over http others could read what is sent")
    return host
