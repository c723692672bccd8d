"""Cached answers of routes: the bytes as they were sent, with their age; `Cache-Control: no-cache` works them out again."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from typing import Any

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool

from hubbub.api.work import counted
from hubbub.app import Engine


async def cached(request: Request, engine: Engine, name: str, tenant: str, /, **params: Any) -> Response:
    """Answer with an operation of `query.cached.RULES`, kept or worked out now."""
    answers = engine.cached
    asked = answers.asked(name, tenant, **params)
    fresh = "no-cache" in request.headers.get("cache-control", "").lower()
    found = answers.look(asked) if answers.cache.inline and not fresh else None
    if found is None:
        worked = await run_in_threadpool(counted(answers.work), asked, fresh=fresh)
        # not waited for in a thread: a hundred askers of one slow answer would leave none for others
        found = await asyncio.wrap_future(worked) if isinstance(worked, Future) else worked
    keep = min(asked.seconds, engine.settings.cache.realtime) if asked.shared else 0
    headers = {
        "Age": str(int(found.age)),
        "Cache-Control": f"private, max-age={int(keep)}",
        "Vary": "Authorization",
    }
    return Response(found.body, media_type="application/json", headers=headers)
