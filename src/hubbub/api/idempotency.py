"""`Idempotency-Key`: a creating POST that is repeated with the same key within a day gets the same answer, and is not done twice.

After draft-ietf-httpapi-idempotency-key-header. A route depends on `Once` and passes its work to it:

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
        description="A key of your own, like a UUID: within 24 hours a repeated request with it gets the same answer, and is "
        "not done twice.",
    ),
]


class Claimed:
    """The work of a route, done once for its request's Idempotency-Key; without a key it is just done."""

    def __init__(self, stored: Idempotency, key: str | None, fingerprint: str, response: Response) -> None:
        self._stored, self._key, self._fingerprint, self._response = stored, key, fingerprint, response

    def __call__(self, tenant: str | None, work: Callable[[], Answer], hide: Iterable[str] = ()) -> Answer:
        """Return the answer of `work`, or the stored one as JSON. Fields in `hide` (secrets) are only in the first answer.

        `tenant` None is an operator. Raises the errors of `Idempotency.once`.
        """
        if self._key is None:
            return work()
        answer: Answer
        answer, replayed = self._stored.once(tenant or "", self._key, self._fingerprint, work, hide)
        if replayed:
            self._response.headers[REPLAYED] = "true"
        return answer


async def claimed(request: Request, response: Response, engine: EngineOf, idempotency_key: KeyHeader = None) -> Claimed:
    """Read a request's key and fingerprint. Raises BadRequestError for an invalid key."""
    key = idempotency_key
    if key is not None:
        key = key[1:-1] if len(key) > 1 and key[0] == key[-1] == '"' else key  # the draft writes it as a quoted string
        if not key or not (key.isascii() and key.isprintable()):
            raise BadRequestError(f"Idempotency-Key: 1 to {MAX_KEY} printable ASCII characters")
    parts = [request.method, request.url.path, request.url.query]
    fingerprint = hashlib.sha256("\0".join(parts).encode() + b"\0" + await request.body())
    return Claimed(engine.idempotency, key, fingerprint.hexdigest(), response)


Once = Annotated[Claimed, Depends(claimed)]
