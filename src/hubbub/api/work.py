"""Common behaviour of all API routes: work is counted, answers are typed, unknown and repeated query parameters are refused."""

from __future__ import annotations

import inspect
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec, TypeVar, get_args, get_origin

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from hubbub.api.problems import RESPONSES
from hubbub.api.typed import answer_of, in_plain_values, shaped
from hubbub.errors import BadRequestError
from hubbub.model.event import nearest

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(slots=True)
class Account:
    """Seconds of processor time that a request has taken so far."""

    seconds: float = 0.0


account: ContextVar[Account | None] = ContextVar("account", default=None)
"""The account of the current request, shared by the threads that work for it."""


def counted(call: Callable[P, T]) -> Callable[P, T]:
    """Return a function whose processor time is charged to its request."""

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
    """A route that counts its work and returns a typed answer (see `typed`), and refuses unknown or repeated query parameters.

    An async route must count the work that it passes to threads, with `counted`.
    """

    strict = True

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        is_async = inspect.iscoroutinefunction(endpoint)
        if (kind := answer_of(endpoint)) is not None:
            options["response_model"] = shaped(kind)
            endpoint = in_plain_values(endpoint)
        options["responses"] = RESPONSES | (options.get("responses") or {})
        super().__init__(path, endpoint if is_async else counted(endpoint), **options)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler, which answers 400 to an unknown or repeated parameter: ignoring it would answer another question."""
        handle = super().get_route_handler()
        parameters = dict(_parameters(self.dependant))
        known = frozenset(parameters)

        async def checked(request: Request) -> Response:
            if unknown := sorted(set(request.query_params) - known):
                hint = nearest(unknown[0], known) or f"; it has {', '.join(sorted(known)) or 'none'}"
                raise BadRequestError(f"{self.path} has no query parameter {unknown[0][:40]!r}{hint}")
            counts = Counter(name for name, _ in request.query_params.multi_items())
            if twice := sorted(name for name, n in counts.items() if n > 1 and not parameters[name]):
                raise BadRequestError(f"the query parameter {twice[0]!r} occurs {counts[twice[0]]} times: give it once")
            return await handle(request)

        return checked if self.strict else handle


def _parameters(dependant: Dependant) -> Iterator[tuple[str, bool]]:
    """Yield the query parameters of a route and of its dependencies, and whether each is a list, which may be repeated."""
    for parameter in dependant.query_params:
        kinds = {parameter.field_info.annotation, *get_args(parameter.field_info.annotation)}
        yield parameter.alias, any((get_origin(kind) or kind) in (list, set, tuple) for kind in kinds)
    for dependency in dependant.dependencies:
        yield from _parameters(dependency)


class Open(Counted):
    """A route that services call with their own parameters."""

    strict = False
