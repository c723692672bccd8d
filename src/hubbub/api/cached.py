"""Cached answers of routes: the bytes as sent, with their age; `Cache-Control: no-cache` computes them again."""

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
    """Return the answer of a service's `cacheable` method, cached or computed now."""
    answers = engine.cached
    call = answers.call(method, tenant, *args, **params)
    fresh = "no-cache" in request.headers.get("cache-control", "").lower()
    answer = answers.look(call) if answers.cache.inline and not fresh else None
    if answer is None:
        computed = await run_in_threadpool(counted(answers.work), call, fresh=fresh)
        # not awaited in a thread: a hundred requests for one slow answer would take all threads
        answer = await asyncio.wrap_future(computed) if isinstance(computed, Future) else computed
    keep = min(call.seconds, engine.settings.cache.realtime) if call.shared else 0
    headers = {
        "Age": str(int(answer.age)),
        "Cache-Control": f"private, max-age={int(keep)}",
        "Vary": "Authorization",
    }
    return Sent(answer.body, media_type="application/json", headers=headers)
