"""How much processor time a request takes in the threads that work for it."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from fastapi.routing import APIRoute

from hubbub.web.typed import answer_of, in_plain_values, shaped

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(slots=True)
class Account:
    """Seconds of processor time that a request has taken so far."""

    seconds: float = 0.0


account: ContextVar[Account | None] = ContextVar("account", default=None)
"""Of the request that is being answered; threads that work for it see the same."""


def counted(call: Callable[P, T]) -> Callable[P, T]:
    """Return a function whose processor time is put to the account of the request that it works for."""

    @wraps(call)
    def counting(*args: P.args, **kwargs: P.kwargs) -> T:
        begun = time.thread_time()
        try:
            return call(*args, **kwargs)
        finally:
            if (open_ := account.get()) is not None:
                open_.seconds += time.thread_time() - begun

    return counting


class Counted(APIRoute):
    """A route whose work is counted, and whose answer is typed: see `typed`.

    One that is async counts what it hands to threads itself.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        is_async = inspect.iscoroutinefunction(endpoint)
        if (kind := answer_of(endpoint)) is not None:
            options["response_model"] = shaped(kind)
            endpoint = in_plain_values(endpoint)
        super().__init__(path, endpoint if is_async else counted(endpoint), **options)
