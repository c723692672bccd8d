"""Admission: identifies the caller of a request before its body is read, so that a flood of requests costs other tenants little.

It refuses requests with an unknown key, beyond the limits of the key or tenant, or of a tenant with too many waiting requests. Each
tenant has a share of the threads; its other requests wait and block nobody. A tenant that was refused in the last few seconds goes
last: its refusals are delayed, and its accepted requests get fewer threads and yield to those of others (`precedence`).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from weakref import WeakValueDictionary

from fastapi.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hubbub.api import problems
from hubbub.api.auth import KeyRing, bearer
from hubbub.api.limits import HOOKS, Limiter, kind_of
from hubbub.api.work import Account, account
from hubbub.control.control import Key
from hubbub.control.deliveries import KEY_LENGTH
from hubbub.control.integrations import Integration
from hubbub.errors import ForgedError, HubbubError, RateLimitedError
from hubbub.precedence import Precedence

SHARE, HEAVY, LAST = 10, 3, 1
"""Requests of one tenant that are processed at once: small bodies of events; all others; all others of a tenant that goes last.

The server has 40 threads for requests.

Small bodies wait for the disk, most of them for the same commit. Other requests use the processor, which threads share: more at
once would not be faster, and would leave less for other tenants."""
SMALL = 1 << 16
"""Largest small body in bytes."""
LOOP_SECONDS = 0.0005
"""Approximate time of a request in the event loop: not measured, since requests interleave there."""
MOST_WAITING = 200
"""Most requests of one tenant that wait for a thread, and most that wait for their refusal."""
SLOW = 0.5
"""Seconds before a tenant that goes last gets a refusal. Without it, a sender that ignores Retry-After would send hundreds of
requests a second, and each takes time of the event loop."""


def _has_body(scope: Scope) -> bool:
    """Say whether a request has a body."""
    headers = dict(scope["headers"])
    return b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"


def _share(scope: Scope, goes_last: bool) -> int:
    """Return the number of such requests that are processed at once for a tenant."""
    length = dict(scope["headers"]).get(b"content-length", b"")
    is_small = length.isdigit() and len(length) < 20 and int(length) <= SMALL
    if is_small and kind_of(scope["path"]) == "ingests":
        return SHARE
    return LAST if goes_last else HEAVY


class Admission:
    """Identifies the key of each API request, counts the request and its work, and bounds how many of a tenant run at once.

    `find` returns the integration of a webhook's address, where a signature takes the place of the key. `precedence` counts the
    running requests that go first: those of tenants within their limits, and all outside the API.
    """

    def __init__(
        self,
        app: ASGIApp,
        ring: KeyRing,
        limiter: Limiter,
        find: Callable[[str, str], Integration],
        precedence: Precedence,
    ) -> None:
        self._app, self._ring, self._limiter, self._find, self._precedence = app, ring, limiter, find, precedence
        self._turns: WeakValueDictionary[tuple[str, int], asyncio.Semaphore] = WeakValueDictionary()
        self._present: Counter[str] = Counter()
        self._refusing: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it with 401, 429 or 503."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if not scope["path"].startswith("/v1/"):
            self._precedence.first += 1
            try:
                await self._app(scope, receive, send)
            finally:
                self._precedence.first -= 1
            return
        try:
            key = await self._admit(scope)
        except HubbubError as error:
            if scope["state"].get("goes_last"):
                await self._slow_down(scope["state"]["key"])
            await problems.refusal(Request(scope), error)(scope, receive, send)
            return
        owner, goes_last = key.tenant or key.id, scope["state"]["goes_last"]
        share = _share(scope, goes_last)
        turn = self._turns.setdefault((owner, share), asyncio.Semaphore(share))
        self._present[owner] += 1
        has_turn = False

        async def take() -> None:
            nonlocal has_turn
            await turn.acquire()
            has_turn = True
            self._precedence.first += not goes_last
            self._limiter.check(key)  # earlier requests may have used up the budget

        async def received() -> Message:
            """Take a turn when the whole body is received: a slow sender blocks nobody."""
            message = await receive()
            if not has_turn and message["type"] == "http.request" and not message.get("more_body"):
                await take()
            return message

        try:
            if not _has_body(scope):
                await take()
            with self._precedence.last() if goes_last else nullcontext():
                await self._work(key, scope, received, send)
        except RateLimitedError as error:
            await problems.refusal(Request(scope), error)(scope, receive, send)
        finally:
            if has_turn:
                self._precedence.first -= not goes_last
                turn.release()
            self._present[owner] -= 1
            if not self._present[owner]:
                del self._present[owner]

    async def _slow_down(self, key: Key) -> None:
        """Delay a refusal, unless MOST_WAITING of the tenant are delayed already."""
        owner = key.tenant or key.id
        if self._refusing[owner] < MOST_WAITING:
            self._refusing[owner] += 1
            try:
                await asyncio.sleep(SLOW)
            finally:
                self._refusing[owner] -= 1
                if not self._refusing[owner]:
                    del self._refusing[owner]

    async def _admit(self, scope: Scope) -> Key:
        """Count a request and return its key; set `key`, `goes_last` and `limit_headers` in its state.

        Raises UnauthenticatedError, NotFoundError, RateLimitedError, and errors of the database.
        """
        key: Key
        if scope["path"].startswith(HOOKS):
            key = await self._integration(scope)
        else:
            text = bearer(Request(scope))
            remembered = self._ring.remembered(text)
            key = remembered if remembered is not None else await run_in_threadpool(self._ring.key, text)
        scope["state"]["key"] = key
        scope["state"]["goes_last"] = self._limiter.refused_lately(key)
        scope["state"]["limit_headers"] = self._limiter.take(key, kind_of(scope["path"]))
        if self._present[key.tenant or key.id] >= SHARE + MOST_WAITING:
            raise RateLimitedError(f"{MOST_WAITING} requests already wait for their turn: wait 1 s", retry_after=1.0)
        return key

    async def _integration(self, scope: Scope) -> Key:
        """Find the integration of an address, and return the key under which it is counted. Raises NotFoundError."""
        provider, _, id_ = scope["path"].removeprefix(HOOKS).partition("/")
        integration = await run_in_threadpool(self._find, provider, id_.partition("/")[0])
        scope["state"]["integration"] = integration
        return Key(integration.id[-KEY_LENGTH:], integration.tenant, ("ingest",))

    async def _work(self, key: Key, scope: Scope, receive: Receive, send: Send) -> None:
        spent = Account()
        before = account.set(spent)
        try:
            await self._app(scope, receive, send)
        finally:
            account.reset(before)
            state = scope["state"]
            events = state["outcome"].size if "outcome" in state else 0
            work = {
                "events": events,
                "megabytes": state.get("received", 0) / 1e6,
                "seconds": LOOP_SECONDS + spent.seconds,
            }
            forged = state.get("problem") == ForgedError.code  # a forged body is not the tenant's work
            self._limiter.spend(replace(key, tenant=None) if forged else key, work)
