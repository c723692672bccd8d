"""Stop a digest without signing in: the link in a message names it, signed with a key of this installation.

Opening the page stops nothing, since mail programs open links by themselves. Its button does, and so does the one-click request of
a mail program (RFC 8058), which posts to the same address.
"""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from hubbub.app import Engine
from hubbub.dashboard import render
from hubbub.errors import HubbubError

routes = APIRouter(include_in_schema=False)


@routes.get("/unsubscribe/{token}")
async def look(request: Request, token: str) -> Response:
    """Show the digest of the link, with a button to stop it."""
    return await run_in_threadpool(_answer, request.app.state.engine, token, stop=False)


@routes.post("/unsubscribe/{token}")
async def stop(request: Request, token: str) -> Response:
    """Stop the digest of the link."""
    return await run_in_threadpool(_answer, request.app.state.engine, token, stop=True)


def _answer(engine: Engine, token: str, *, stop: bool) -> Response:
    try:
        digest = engine.subscriptions.unsubscribe(token[:200], stop=stop)
    except HubbubError as error:
        return render.page("error.html", error.status, title="No such digest", message=error.message)
    tenant = engine.control.tenant(digest.tenant)
    return render.page(
        "unsubscribe.html", kind=digest.kind, tenant=tenant.name or tenant.id, stopped=digest.state == "stopped"
    )
