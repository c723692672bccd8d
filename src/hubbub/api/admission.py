"""Whom a request is from, before its body is read, a thread taken or a route looked for: so a flood costs others little.

A key that is not known, or beyond its limit, ends here. So does a tenant of whom more requests wait than may. Of the threads that
work a tenant has a share; its other requests wait here for their turn, and take nobody's place.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
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

SHARE, HEAVY = 10, 3
"""Requests of one tenant that are worked on at once, small bodies of events and all others; the server has 40 threads for requests.

Small bodies wait for the disk, most of them for the same commit. All else takes the processor, which threads share: more of them at
once would get no more done, and leave the less to other tenants."""
SMALL = 1 << 16
"""Bytes of a body that is small."""
LOOP_SECONDS = 0.0005
"""What a request takes in the event loop, about: it is not measured, since all requests are there in turns."""
MOST_WAITING = 200
"""Requests of one tenant that wait for their turn."""


def _has_body(scope: Scope) -> bool:
    """Whether a body comes after the head of a request."""
    headers = dict(scope["headers"])
    return b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"


def _share(scope: Scope) -> int:
    """Return how many requests like this one of a tenant are worked on at once."""
    length = dict(scope["headers"]).get(b"content-length", b"")
    is_small = length.isdigit() and len(length) < 20 and int(length) <= SMALL
    return SHARE if is_small and kind_of(scope["path"]) == "ingests" else HEAVY


class Admission:
    """Finds out the key of each request to the API, counts it and the work that it causes, and gives tenants their turns.

    `find` gives the integration of an address that a service sends to: there its signature is the key.
    """

    def __init__(self, app: ASGIApp, ring: KeyRing, limiter: Limiter, find: Callable[[str, str], Integration]) -> None:
        self._app, self._ring, self._limiter, self._find = app, ring, limiter, find
        self._turns: WeakValueDictionary[tuple[str, int], asyncio.Semaphore] = WeakValueDictionary()
        self._here: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it with 401, 429 or 503."""
        if scope["type"] != "http" or not scope["path"].startswith("/v1/"):
            await self._app(scope, receive, send)
            return
        try:
            key = await self._let_in(scope)
        except HubbubError as error:
            await problems.refusal(Request(scope), error)(scope, receive, send)
            return
        owner = key.tenant or key.id
        share = _share(scope)
        turn = self._turns.setdefault((owner, share), asyncio.Semaphore(share))
        self._here[owner] += 1
        taken = False

        async def take() -> None:
            nonlocal taken
            await turn.acquire()
            taken = True
            self._limiter.check(key)  # those that went before may have used up what there was

        async def received() -> Message:
            """Take a turn when the whole body is there: a sender that is slow keeps nobody from theirs."""
            message = await receive()
            if not taken and message["type"] == "http.request" and not message.get("more_body"):
                await take()
            return message

        try:
            if not _has_body(scope):
                await take()
            await self._work(key, scope, received, send)
        except RateLimitedError as error:
            await problems.refusal(Request(scope), error)(scope, receive, send)
        finally:
            if taken:
                turn.release()
            self._here[owner] -= 1
            if not self._here[owner]:
                del self._here[owner]

    async def _let_in(self, scope: Scope) -> Key:
        """Return the key of a request, counted.

        Raises UnauthenticatedError, NotFoundError, RateLimitedError, and what the database raises.
        """
        key: Key
        if scope["path"].startswith(HOOKS):
            key = await self._integration(scope)
        else:
            text = bearer(Request(scope))
            known = self._ring.remembered(text)
            key = known if known is not None else await run_in_threadpool(self._ring.key, text)
        scope["state"]["key"] = key
        scope["state"]["limit_headers"] = self._limiter.take(key, kind_of(scope["path"]))
        if self._here[key.tenant or key.id] >= SHARE + MOST_WAITING:
            raise RateLimitedError(f"{MOST_WAITING} requests wait for their turn already: wait 1 s", retry_after=1.0)
        return key

    async def _integration(self, scope: Scope) -> Key:
        """Find the integration that an address is of, and return what it is counted under. Raises NotFoundError."""
        provider, _, id_ = scope["path"].removeprefix(HOOKS).partition("/")
        found = await run_in_threadpool(self._find, provider, id_.partition("/")[0])
        scope["state"]["integration"] = found
        return Key(found.id[-KEY_LENGTH:], found.tenant, ("ingest",))

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
            forged = state.get("problem") == ForgedError.code  # what somebody else sends is not the tenant's work
            self._limiter.spend(replace(key, tenant=None) if forged else key, work)
