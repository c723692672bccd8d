"""The contract of a receiver: it verifies a service's delivery, answers its challenges, and reads a body as events.

A new service is a file with a class like this, and its name in `catalogue.py`. A receiver stores nothing and makes no requests: it
reads only the delivery, the integration's secrets and its options. The same body must always yield the same ids, so that a
service's retries count nothing twice.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ClassVar, Protocol

from hubbub.errors import ForgedError
from hubbub.ingest.setting import Setting
from hubbub.model.coverage import Reason
from hubbub.model.name import Name

FRESH = timedelta(minutes=5)
"""Longest distance between a signature's time and the time of receipt: an older body may be a replay, and is refused."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A request of a service, unchanged. Names of headers are in lower case; `url` is the full address it was sent to."""

    method: str
    url: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a challenge."""

    status: int
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Gap:
    """A range `[from_, to)` in which the service says that events were lost, and why."""

    from_: datetime
    to: datetime
    reason: Reason


@dataclass(frozen=True, slots=True)
class Change:
    """A later change of a message, from a service that does not send the whole message again.

    The stored event `id` gets these `fields`; these `attributes` are merged into its own. `revision` grows with each change, like
    the change's time in milliseconds. When the event is not stored, `otherwise` is stored in its place: what the change
    says about the message. When `otherwise` is empty, the change is ignored.
    """

    id: str
    revision: int
    fields: Mapping[str, object]
    otherwise: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UpTo:
    """A receipt for all messages sent to a conversation up to a moment: `type` is message.delivered or message.read."""

    type: str
    conversation_id: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Received:
    """The meaning of a body.

    `events` have the fields of the contract and stable ids; an event without `source` gets the provider's name.
    A text is in `attributes.text`, when the options store texts. `ignored` counts what is not about conversations, by name.
    `number` is the delivery's number, when the service numbers its deliveries. `after_stand_in` are changes for the case that the
    events replaced the stand-in of a change that came first: what that change said, and the events do not.
    """

    events: Sequence[Mapping[str, object]] = ()
    ignored: Mapping[str, int] = field(default_factory=dict)
    names: Sequence[Name] = ()
    gaps: Sequence[Gap] = ()
    changes: Sequence[Change] = ()
    after_stand_in: Sequence[Change] = ()
    up_to: Sequence[UpTo] = ()
    number: int | None = None

    @property
    def says_nothing(self) -> bool:
        """Whether the body has no part that could be read or named."""
        return not any((self.events, self.ignored, self.names, self.gaps, self.changes, self.up_to))


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret of an integration. `ours`: it is generated when absent, and pasted at the service.

    `opens`: Hubbub opens a connection with it, over which the service sends; no address and no other secret is needed.
    `usable` is falsy for a text that cannot be one: with another no delivery could ever be verified.
    """

    name: str
    doc: str
    ours: bool = False
    opens: bool = False
    usable: Callable[[str], object] = bool


@dataclass(frozen=True, slots=True)
class Setup:
    """How to connect a service: ordered steps for a person, with placeholders {address} and {secret name}.

    `scopes` are what the service must grant. `quiet`: the answer has no body, because the service would forward it. `connected`
    are the steps when it sends over a connection that Hubbub opens. `retries`: the published time from the first to the
    last attempt with a body that was not accepted; zero if it sends once, or does not say. `renumbers`: for a service that
    numbers its deliveries in order, the pause after which the numbers may start anywhere; zero for others.
    """

    title: str
    steps: tuple[str, ...]
    secrets: tuple[Secret, ...]
    scopes: tuple[str, ...] = ()
    settings: tuple[Setting, ...] = ()
    quiet: bool = False
    connected: tuple[str, ...] = ()
    retries: timedelta = timedelta(0)
    renumbers: timedelta = timedelta(0)

    @property
    def verifying(self) -> tuple[Secret, ...]:
        """The secrets without which no delivery can be verified."""
        return tuple(secret for secret in self.secrets if not secret.opens)

    def receives(self, names: tuple[str, ...]) -> bool:
        """Whether deliveries can be verified, given the names of the secrets."""
        return {secret.name for secret in self.verifying} <= set(names)

    def listens(self, names: tuple[str, ...]) -> bool:
        """Whether the service sends over a connection that Hubbub opens, given the names of the secrets."""
        return any(secret.opens and secret.name in names for secret in self.secrets)


@dataclass(frozen=True, slots=True)
class Options:
    """How to read the bodies of an integration.

    `staff_ids` are people of the tenant, `own_ids` its own accounts, `bot_ids` programs.
    """

    integration: str
    staff_ids: frozenset[str] = frozenset()
    own_ids: frozenset[str] = frozenset()
    bot_ids: frozenset[str] = frozenset()
    keep_text: bool = False
    zone: str = "UTC"
    settings: Mapping[str, str | list[str]] = field(default_factory=dict)


def with_source(source: str, event: Mapping[str, object]) -> dict[str, object]:
    """Return an event with its source. A message gets revision 1, so that it replaces a stand-in made from its change (0)."""
    revision = {"revision": 1} if event.get("type") in ("message.received", "message.sent") else {}
    return {"source": source, **revision, **event}


class Receiver(Protocol):
    """Reads what one service sends."""

    provider: ClassVar[str]
    setup: ClassVar[Setup]

    def verify(self, delivery: Delivery, secrets: Mapping[str, str]) -> None:
        """Raise ForgedError unless the service itself sent this. Checks bytes, before anything is parsed."""
        ...

    def challenge(self, delivery: Delivery, secrets: Mapping[str, str]) -> Reply | None:
        """Return the answer to a challenge, None for anything else. A GET is not verified before. Raises ForgedError."""
        ...

    def read(self, delivery: Delivery, options: Options) -> Received:
        """Return the meaning of a verified body. Raises BadRequestError for one that cannot be read."""
        ...


def check_same(shown: str, expected: str) -> None:
    """Raise ForgedError unless two texts are equal; takes the same time wherever they differ."""
    if not shown:
        raise ForgedError(reason="no_signature")
    if not hmac.compare_digest(shown.encode("utf-8", "surrogatepass"), expected.encode()):
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
    """Return None: the service sends no challenge."""
