"""How often one API key may ask: a bucket of tokens per key and kind of request, in this process's memory.

A bucket fills at the key's rate and holds a burst's worth; each request takes a token, and one that finds none is refused
before its body is read. Several processes count each on its own. Headers: draft-ietf-httpapi-ratelimit-headers.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from hubbub.errors import RateLimitedError
from hubbub.settings import Limits

Headers = list[tuple[bytes, bytes]]
MOST_BUCKETS = 20_000
EVENTS = "/v1/events"
"""Where events are sent to."""


def kind_of(path: str) -> str:
    """Return the kind of request that a path is: `ingests` stores events, all else counts as `reads`."""
    return "ingests" if path == EVENTS else "reads"


class Limiter:
    """The buckets of all keys. Runs in the server's event loop alone, so it needs no lock."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._rates = {"reads": limits.reads, "ingests": limits.ingests}
        self._sizes = {kind: max(1.0, rate * limits.burst) for kind, rate in self._rates.items()}
        self._policies = {
            kind: f'"{kind}";q={math.floor(size)};w={math.ceil(size / self._rates[kind])}'.encode()
            for kind, size in self._sizes.items()
            if self._rates[kind]
        }
        self._buckets: dict[tuple[str, str], tuple[float, float]] = {}

    def take(self, key: str, kind: str) -> Headers:
        """Take a token of a key for a request of a kind, `reads` or `ingests`; returns the headers that tell what is left.

        Raises RateLimitedError with the seconds until the next token is there.
        """
        rate, size = self._rates[kind], self._sizes[kind]
        if not rate:
            return []
        now = self._clock()
        tokens, then = self._buckets.get((key, kind), (size, now))
        tokens = min(size, tokens + (now - then) * rate)
        if tokens < 1:
            wait = (1 - tokens) / rate
            raise RateLimitedError(
                f"key {key} may send {rate:g} requests a second and {math.floor(size)} at once; wait {wait:.2f} s",
                retry_after=wait, headers=self._headers(kind, tokens, size, rate),
            )  # fmt: skip
        if len(self._buckets) >= MOST_BUCKETS and (key, kind) not in self._buckets:
            self._forget_fullest(now)
        self._buckets[key, kind] = (tokens - 1, now)
        return self._headers(kind, tokens - 1, size, rate)

    def _headers(self, kind: str, tokens: float, size: float, rate: float) -> Headers:
        told = f'"{kind}";r={math.floor(tokens)};t={math.ceil((size - tokens) / rate)}'
        return [(b"ratelimit-policy", self._policies[kind]), (b"ratelimit", told.encode())]

    def _forget_fullest(self, now: float) -> None:
        """Drop the fuller half of the buckets: one that is full is as if it had never been."""

        def level(at: tuple[str, str]) -> float:
            tokens, then = self._buckets[at]
            return (tokens + (now - then) * self._rates[at[1]]) / self._sizes[at[1]]

        for at in sorted(self._buckets, key=level, reverse=True)[: MOST_BUCKETS // 2]:
            del self._buckets[at]
