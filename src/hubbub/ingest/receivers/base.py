"""What a receiver is: it verifies what a service sent, answers its challenges, and reads a body as events.

A new service is one file with one such class, and its name in `catalogue.py`. A receiver keeps nothing and asks nobody: all it
knows is the delivery, the integration's secrets and its options. The same body read again must give the same ids, so that a
service's retries count nothing twice.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ClassVar, Protocol

from hubbub.errors import ForgedError
from hubbub.ingest.connectors.base import Setting
from hubbub.model.coverage import Reason
from hubbub.model.name import Name

FRESH = timedelta(minutes=5)
"""How far the time inside a signature may lie from ours: an old body that somebody recorded is not taken again."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a service sent, untouched. Names of headers are in lower case; `url` is the address that it was sent to, whole."""

    method: str
    url: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Reply:
    """What a challenge is answered with."""

    status: int
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch `[from_, to)` of which the service says that something was lost, and why."""

    from_: datetime
    to: datetime
    reason: Reason


@dataclass(frozen=True, slots=True)
class Change:
    """A later word on a message that was sent before, by a service that does not say the whole message again.

    The stored event `id` gets these `fields`, its attributes these besides its own. `revision` grows from change to change, like
    the milliseconds of its moment. Where the event is not stored, `otherwise` is stored in its place: what is known of the
    message from its change alone. With an empty one the change is left out.
    """

    id: str
    revision: int
    fields: Mapping[str, object]
    otherwise: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UpTo:
    """A receipt of all messages sent to a conversation up to a moment: `type` is message.delivered or message.read."""

    type: str
    conversation_id: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Received:
    """What a body means.

    `events` are in the words of the contract, with ids that stay the same; `source` is the provider's name where one has none.
    A text stands in `attributes.text`, where options keep texts. `ignored` counts what is not about conversations, by name.
    """

    events: Sequence[Mapping[str, object]] = ()
    ignored: Mapping[str, int] = field(default_factory=dict)
    names: Sequence[Name] = ()
    gaps: Sequence[Gap] = ()
    changes: Sequence[Change] = ()
    up_to: Sequence[UpTo] = ()


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret of an integration. One that is `ours` is made here when none is given, and pasted at the service.

    With one that `opens` a connection of ours the service sends over that, and needs no address and no other secret.
    """

    name: str
    doc: str
    ours: bool = False
    opens: bool = False


@dataclass(frozen=True, slots=True)
class Setup:
    """How a service is connected: steps for a person, in order, where {address} and {secret name} are put in.

    `scopes` are what the service has to grant. `quiet`: it takes a body for an answer to be sent on, so it gets none. `connected`
    are the steps in place of the others where it sends over a connection of ours. `retries`: how long after the first attempt the
    service makes the last one with a body that was not taken, as it publishes; zero where it sends once, or does not say.
    """

    title: str
    steps: tuple[str, ...]
    secrets: tuple[Secret, ...]
    scopes: tuple[str, ...] = ()
    settings: tuple[Setting, ...] = ()
    quiet: bool = False
    connected: tuple[str, ...] = ()
    retries: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Options:
    """What an integration says about how its bodies are read.

    `staff_ids` are people of the tenant, `own_ids` its own accounts, `bot_ids` programs.
    """

    integration: str
    staff_ids: frozenset[str] = frozenset()
    own_ids: frozenset[str] = frozenset()
    bot_ids: frozenset[str] = frozenset()
    keep_text: bool = False
    zone: str = "UTC"
    settings: Mapping[str, str | list[str]] = field(default_factory=dict)


class Receiver(Protocol):
    """Reads what one service sends."""

    provider: ClassVar[str]
    setup: ClassVar[Setup]

    def verify(self, delivery: Delivery, secrets: Mapping[str, str]) -> None:
        """Raise ForgedError unless the service itself sent this. Looks at bytes alone: nothing is parsed before."""
        ...

    def challenge(self, delivery: Delivery, secrets: Mapping[str, str]) -> Reply | None:
        """Return the answer to a challenge, None for anything else. A GET comes here unverified. Raises ForgedError."""
        ...

    def read(self, delivery: Delivery, options: Options) -> Received:
        """Return what a verified body means. Raises BadRequestError for one that cannot be read."""
        ...


def check_same(given: str, expected: str) -> None:
    """Raise ForgedError unless two texts are the same; takes the same time wherever they differ."""
    if not given:
        raise ForgedError(reason="no_signature")
    if not hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode()):
        raise ForgedError(reason="bad_signature")


def check_fresh(seconds: str, received_at: datetime) -> None:
    """Raise ForgedError unless a Unix time lies within FRESH of the moment of receipt."""
    if not (seconds.isascii() and seconds.isdecimal() and len(seconds) < 12):
        raise ForgedError(reason="no_signature")
    if abs(received_at.timestamp() - int(seconds)) > FRESH.total_seconds():
        raise ForgedError(reason="old_signature")


def hmac_hex(secret: str, *parts: bytes, digest: str = "sha256") -> str:
    """Return the HMAC of some bytes as hexadecimal digits."""
    return hmac.new(secret.encode(), b"".join(parts), getattr(hashlib, digest)).hexdigest()


def no_challenge(delivery: Delivery, secrets: Mapping[str, str]) -> None:
    """Return None: the service asks no challenge."""
