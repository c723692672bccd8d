"""Cached answers of routes: the bytes as they were sent, with their age; `Cache-Control: no-cache` works them out again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import Concatenate, ParamSpec, TypeVar

from fastapi import Request
from fastapi.concurrency import run_in_threadpool

from hubbub.api.typed import Sent
from hubbub.api.work import counted
from hubbub.app import Engine

P = ParamSpec("P")
R = TypeVar("R")


async def cached(
    request: Request, engine: Engine, method: Callable[Concatenate[str, P], R], tenant: str, /,
    *args: P.args, **params: P.kwargs,
) -> Sent[R]:  # fmt: skip
    """Answer with what a `cacheable` method of a service returns, cached or worked out now."""
    answers = engine.cached
    asked = answers.asked(method, tenant, *args, **params)
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
    return Sent(found.body, media_type="application/json", headers=headers)
