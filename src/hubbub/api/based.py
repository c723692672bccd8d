"""A server under a path of its host, behind a proxy that removes the path from requests or keeps it."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from hubbub.dashboard.base_path import base_path


class Based:
    """Removes the path from requests; addresses in answers get it back, see `dashboard.base_path.at`."""

    def __init__(self, app: ASGIApp, base: str) -> None:
        self._app, self._base = app, base

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on as if it were sent to the root of the host."""
        if scope["type"] != "http" or not self._base:
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        if path == self._base or path.startswith(f"{self._base}/"):
            raw = scope.get("raw_path") or path.encode()
            scope = {**scope, "path": path[len(self._base) :] or "/", "raw_path": raw[len(self._base) :] or b"/"}
        before = base_path.set(self._base)
        try:
            await self._app(scope, receive, send)
        finally:
            base_path.reset(before)
