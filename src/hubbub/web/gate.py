"""Where requests beyond a key's limit end: before routing, threads and bodies, so that a flood costs its neighbours little."""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from hubbub.errors import RateLimitedError, UnauthenticatedError
from hubbub.web import problems
from hubbub.web.auth import KeyRing, bearer
from hubbub.web.limits import Limiter, kind_of


class Gate:
    """Counts requests of keys that are known already. Others are counted by `auth.caller`, once the database knows them."""

    def __init__(self, app: ASGIApp, ring: KeyRing, limiter: Limiter) -> None:
        self._app, self._ring, self._limiter = app, ring, limiter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it with 429."""
        if scope["type"] == "http" and scope["path"].startswith("/v1/"):
            request = Request(scope)
            try:
                key = self._ring.remembered(bearer(request))
                if key is not None:
                    scope["state"]["key"] = key
                    scope["state"]["limit_headers"] = self._limiter.take(key.id, kind_of(scope["path"]))
            except UnauthenticatedError:
                pass  # the route says so itself
            except RateLimitedError as error:
                await problems.refusal(request, error)(scope, receive, send)
                return
        await self._app(scope, receive, send)
