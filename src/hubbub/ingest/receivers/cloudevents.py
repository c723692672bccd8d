"""CloudEvents over HTTP, in all three modes: binary (attributes in `ce-` headers), structured, and batched.

The sender sends the secret as a bearer token. `source` and `id` of a CloudEvent are its identity. Types may begin with `hubbub.`;
those outside the contract are ignored by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import unquote

from hubbub.errors import BadRequestError
from hubbub.ingest.receivers.base import Delivery, Options, Received, Secret, Setup, no_challenge
from hubbub.ingest.receivers.contract import in_contract
from hubbub.ingest.receivers.fields import object_of, objects_of
from hubbub.ingest.receivers.keys import check_secret


class CloudEvents:
    """A system that sends CloudEvents."""

    provider: ClassVar[str] = "cloudevents"
    setup: ClassVar[Setup] = Setup(
        title="CloudEvents",
        steps=(
            "At the system that sends, add {address} as an HTTP sink.",
            "Have it send the header 'Authorization: Bearer {token}'.",
        ),
        secrets=(Secret("token", "the bearer token that the sender shows", ours=True),),
    )
    challenge = staticmethod(no_challenge)

    def verify(self, delivery: Delivery, secrets: Mapping[str, str]) -> None:
        """Raise ForgedError unless the token is shown."""
        check_secret(delivery, secrets["token"])

    def read(self, delivery: Delivery, options: Options) -> Received:
        """Return what a body means. Raises BadRequestError."""
        kind = delivery.headers.get("content-type", "").lower()
        if kind.startswith("application/cloudevents-batch"):
            return in_contract([each.of for each in objects_of(delivery.body)])
        if kind.startswith("application/cloudevents"):
            return in_contract([object_of(delivery.body).of])
        return in_contract([_binary(delivery)])


def _binary(delivery: Delivery) -> dict[str, object]:
    """Return the event of binary mode in the form of structured mode. Headers are percent-encoded."""
    attributes: dict[str, object] = {
        name.removeprefix("ce-"): unquote(value) for name, value in delivery.headers.items() if name.startswith("ce-")
    }
    if "specversion" not in attributes:
        raise BadRequestError(
            "the request is not a CloudEvent: the header ce-specversion is missing", reason="unreadable"
        )
    if delivery.body:
        attributes["data"] = dict(object_of(delivery.body).of)
    return attributes
