"""Limits: requests of one API key, and work of one tenant, as token buckets in this process's memory.

A bucket fills at its rate and holds a burst. Each request takes a token of its key; without one it is refused before its body is
read. Work (events, bytes, processor time) is known only afterwards: it is taken from the tenant's buckets once the request is
answered, and while one of them is overdrawn the tenant's requests are refused. Each process counts by itself. Headers:
draft-ietf-httpapi-ratelimit-headers.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping

from hubbub.control.control import Key
from hubbub.errors import RateLimitedError
from hubbub.settings import Limits

Headers = list[tuple[bytes, bytes]]
MOST_BUCKETS = 20_000
EVENTS = "/v1/events"
"""The address of events."""
HOOKS = "/v1/hooks/"
"""The prefix of services' addresses."""
WORK = {"events": "events", "megabytes": "MB of bodies", "seconds": "seconds of processor time"}
"""Kinds of work -> units for people."""
LATELY = 5.0
"""Seconds after a refusal in which a tenant counts as beyond its limits."""
WORK_BURST = 10.0
"""Size of a work bucket, in seconds of its rate. It can be overdrawn by as much, so no wait is longer than this."""


def kind_of(path: str) -> str:
    """Return the kind of a request by its path: `ingests` for events, `reads` for all others."""
    return "ingests" if path == EVENTS or path.startswith(HOOKS) else "reads"


class Limiter:
    """The buckets of all keys and tenants. Runs only in the server's event loop, so it needs no lock."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._rates = {kind: float(getattr(limits, kind)) for kind in ("reads", "ingests", *WORK)}
        self._sizes = {
            kind: rate * WORK_BURST if kind in WORK else max(1.0, rate * limits.burst)
            for kind, rate in self._rates.items()
        }
        self._policies = {
            kind: f'"{kind}";q={math.floor(size)};w={math.ceil(size / self._rates[kind])}'.encode()
            for kind, size in self._sizes.items()
            if self._rates[kind]
        }
        self._work = [kind for kind in WORK if self._rates[kind]]
        self._buckets: dict[tuple[str, str], tuple[float, float]] = {}
        self._refused: dict[str, float] = {}

    def take(self, key: Key, kind: str) -> Headers:
        """Take a token of a key for a request of a kind, `reads` or `ingests`; return the headers with the remaining budget.

        Raises RateLimitedError with the seconds until the next request is accepted.
        """
        self.check(key)
        now = self._clock()
        rate, size = self._rates[kind], self._sizes[kind]
        if not rate:
            return []
        tokens = self._level(key.id, kind, now)
        if tokens < 1:
            message = f"key {key.id} may send {rate:g} requests a second and {math.floor(size)} at once"
            self._refuse(key, message, kind, tokens, (1 - tokens) / rate)
        self._put(key.id, kind, tokens - 1, now)
        return self._headers(kind, tokens - 1)

    def check(self, key: Key) -> None:
        """Raise RateLimitedError while the work of a key's tenant is overdrawn."""
        now, owner = self._clock(), _owner(key)
        for work in self._work:
            left = self._level(owner, work, now)
            if left < 0:
                rate, size = self._rates[work], self._sizes[work]
                message = f"{owner} may cause {rate:g} {WORK[work]} a second and {size:g} at once"
                self._refuse(key, message, work, left, -left / rate)

    def refused_lately(self, key: Key) -> bool:
        """Say whether a request of the key's tenant was refused within the last LATELY seconds."""
        return self._clock() - self._refused.get(_owner(key), -LATELY) < LATELY

    def spend(self, key: Key, work: Mapping[str, float]) -> None:
        """Take the work of an answered request, by kind, from its tenant's buckets."""
        now = self._clock()
        owner = _owner(key)
        for kind in self._work:
            if amount := work.get(kind):
                self._put(owner, kind, max(self._level(owner, kind, now) - amount, -self._sizes[kind]), now)

    def _level(self, owner: str, kind: str, now: float) -> float:
        size = self._sizes[kind]
        tokens, then = self._buckets.get((owner, kind), (size, now))
        return min(size, tokens + (now - then) * self._rates[kind])

    def _put(self, owner: str, kind: str, tokens: float, now: float) -> None:
        if len(self._buckets) >= MOST_BUCKETS and (owner, kind) not in self._buckets:
            self._forget_fullest(now)
        self._buckets[owner, kind] = tokens, now

    def _refuse(self, key: Key, message: str, kind: str, tokens: float, wait: float) -> None:
        if len(self._refused) >= MOST_BUCKETS:
            self._refused.clear()
        self._refused[_owner(key)] = self._clock()
        raise RateLimitedError(
            f"{message}; wait {wait:.2f} s", retry_after=wait, headers=self._headers(kind, tokens)
        ) from None

    def _headers(self, kind: str, tokens: float) -> Headers:
        seconds = math.ceil((self._sizes[kind] - tokens) / self._rates[kind])
        budget = f'"{kind}";r={max(0, math.floor(tokens))};t={seconds}'
        return [(b"ratelimit-policy", self._policies[kind]), (b"ratelimit", budget.encode())]

    def _forget_fullest(self, now: float) -> None:
        """Drop the fuller half of the buckets: a full bucket equals a new one."""

        def level(at: tuple[str, str]) -> float:
            return self._level(*at, now) / self._sizes[at[1]]

        for at in sorted(self._buckets, key=level, reverse=True)[: MOST_BUCKETS // 2]:
            del self._buckets[at]


def _owner(key: Key) -> str:
    """Return the owner of a key's work: its tenant, or an operator's key itself."""
    return f"tenant {key.tenant}" if key.tenant is not None else f"key {key.id}"
