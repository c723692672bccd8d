"""`Idempotency-Key`: a POST that creates, sent again with the same key within a day, is answered again and not done again.

After draft-ietf-httpapi-idempotency-key-header. A route asks for `Once` and hands it what it does:

    def add(engine: EngineOf, tenant: Administers, body: New, once: Once) -> Thing:
        return once(tenant, lambda: engine.things.add(tenant, body.name))
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Annotated, TypeVar

from fastapi import Depends, Header, Request, Response

from hubbub.api.auth import EngineOf
from hubbub.control.idempotency import Idempotency
from hubbub.errors import BadRequestError

Answer = TypeVar("Answer")

MAX_KEY = 255
REPLAYED = "Idempotent-Replayed"
KeyHeader = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        max_length=MAX_KEY,
        description="A key of your own, like a UUID: sent again with it within 24 hours, the request is answered as before and "
        "not done again.",
    ),
]


class Claimed:
    """What a route does once for its request's Idempotency-Key; without one, it just does it."""

    def __init__(self, stored: Idempotency, key: str | None, fingerprint: str, response: Response) -> None:
        self._stored, self._key, self._fingerprint, self._response = stored, key, fingerprint, response

    def __call__(self, tenant: str | None, work: Callable[[], Answer], hide: Iterable[str] = ()) -> Answer:
        """Return what `work` answers, or answered, then as JSON. Fields named in `hide` (secrets) are in the first answer alone.

        `tenant` None is an operator. Raises what `Idempotency.once` raises.
        """
        if self._key is None:
            return work()
        answer: Answer
        answer, replayed = self._stored.once(tenant or "", self._key, self._fingerprint, work, hide)
        if replayed:
            self._response.headers[REPLAYED] = "true"
        return answer


async def claimed(request: Request, response: Response, engine: EngineOf, idempotency_key: KeyHeader = None) -> Claimed:
    """Read the key of a request and what it asks for. Raises BadRequestError for a key that is not valid."""
    key = idempotency_key
    if key is not None:
        key = key[1:-1] if len(key) > 1 and key[0] == key[-1] == '"' else key  # the draft writes it as a quoted string
        if not key or not (key.isascii() and key.isprintable()):
            raise BadRequestError(f"Idempotency-Key: 1 to {MAX_KEY} printable ASCII characters")
    asked = [request.method, request.url.path, request.url.query]
    fingerprint = hashlib.sha256("\0".join(asked).encode() + b"\0" + await request.body())
    return Claimed(engine.idempotency, key, fingerprint.hexdigest(), response)


Once = Annotated[Claimed, Depends(claimed)]
