"""Cached answers: their keys, lifetimes and invalidation, and one computation for all simultaneous callers.

A server's routes use it. Commands and the embedded engine do not: they compute every answer.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, get_type_hints

import msgspec

from hubbub.clock import Clock
from hubbub.control.cache import Cache, Kept, Stamp
from hubbub.metrics.catalogue import DEFINITION_VERSION
from hubbub.model.plain import plain, typed
from hubbub.model.tenant import Tenant
from hubbub.model.window import day_of
from hubbub.telemetry import CACHE

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., object])


class Part(StrEnum):
    """A part of a tenant's data: a change of it drops the answers that depend on it."""

    NUMBERS = "numbers"
    """Facts were folded again or deleted."""
    EVENTS = "events"
    """Events arrived that no window counts yet."""
    SNAPSHOTS = "snapshots"
    """Snapshots were made or deleted."""


@dataclass(frozen=True)
class Rule:
    """How a method's answers are cached: the setting with their seconds, and the parts that drop them."""

    tier: str
    parts: tuple[Part, ...]
    tier_of_days: str | None = None
    """The setting to use instead if the parameter `days` is above one."""


def cacheable(tier: str, *parts: Part, tier_of_days: str | None = None) -> Callable[[F], F]:
    """Declare that a method's answers may be cached. Its first parameter is the tenant, the others are plain values."""

    def declare(method: F) -> F:
        vars(method)["rule"] = Rule(tier, parts, tier_of_days)
        return method

    return declare


def rule_of(method: Callable[..., object]) -> Rule:
    """Return the rule of a method's answers. Raises LookupError for a method without one."""
    rule: Rule | None = getattr(method, "rule", None)
    if rule is None:
        raise LookupError(f"the answers of {method.__qualname__} are not cached")
    return rule


_ALL = "all"
"""A tag of every answer."""


@dataclass(frozen=True)
class CachedCall(Generic[R]):
    """A method with its parameters, and the key, tags and lifetime (seconds) of its cached answer."""

    method: Callable[..., R]
    tenant: str
    params: Mapping[str, Any]
    key: str
    tags: tuple[str, ...]
    seconds: float
    shared: bool
    """Whether the caller may cache the answer too: not when an event can drop it."""


@dataclass(frozen=True)
class Answered:
    """An answer as JSON, and its age in seconds."""

    body: bytes
    age: float


@dataclass
class _Flight:
    """A computation that several callers wait for; once one of its tags is dropped, no more callers join it."""

    tags: frozenset[str]
    future: Future[Answered]


class CachedAnswers:
    """Calls methods of services, and caches their answers. Thread-safe."""

    def __init__(
        self,
        cache: Cache,
        seconds: Mapping[str, float],
        tenant: Callable[[str], Tenant],
        clock: Clock,
        refresh: Callable[[Tenant], object] = lambda _: None,
        gaps: Callable[[Tenant], str] = lambda _: "",
    ) -> None:
        """`refresh` folds a tenant's waiting events and drops changed answers; `gaps` returns the gaps of its sources as text."""
        self.cache = cache
        self._seconds = seconds
        self._tenant = tenant
        self._clock = clock
        self._refresh = refresh
        self._gaps = gaps
        self._texts: dict[int, tuple[Tenant, str]] = {}
        self._flights: dict[tuple[str, Stamp], _Flight] = {}
        self._lock = threading.Lock()

    def call(
        self, method: Callable[Concatenate[str, P], R], tenant: str, /, *args: P.args, **params: P.kwargs
    ) -> CachedCall[R]:
        """Return the call of a `cacheable` method. Raises NotFoundError for an unknown tenant.

        Its key holds everything the answer depends on except stored data: method, parameters, the tenant's settings (number,
        zone, retention), the gaps of its sources, its local day, and the version of the metrics' definitions.
        """
        rule, owner = rule_of(method), self._tenant(tenant)
        parameters = _parameters(method, args, params)
        tier = rule.tier_of_days if rule.tier_of_days is not None and parameters.get("days", 1) > 1 else rule.tier
        day = day_of(self._clock(), owner.tz).isoformat()
        about = [method.__qualname__, parameters, self._text_of(owner), self._gaps(owner), day, DEFINITION_VERSION]
        text = json.dumps(about, sort_keys=True)
        digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=20).hexdigest()
        tags = (_ALL, *(f"{owner.no}:{part}" for part in rule.parts))
        return CachedCall(
            method, tenant, parameters, f"{owner.no}:{digest}", tags, self._seconds[tier], Part.EVENTS not in rule.parts
        )

    def _text_of(self, tenant: Tenant) -> str:
        """Return the tenant's settings as text, made once for each object."""
        known = self._texts.get(tenant.no)
        if known is None or known[0] is not tenant:
            known = self._texts[tenant.no] = tenant, repr(tenant)
        return known[1]

    def look(self, call: CachedCall[R]) -> Answered | None:
        """Return the cached answer, if any."""
        return self._read(self.cache.get(call.key, call.tags)[0])

    def work(self, call: CachedCall[R], *, fresh: bool = False) -> Answered | Future[Answered]:
        """Return the cached answer, compute it, or return the future of another thread's computation.

        `fresh` computes and caches it in any case. Raises what the method raises; errors are not cached.
        """
        answered = None if fresh else self.look(call)
        if answered is not None:
            return answered
        self._refresh(self._tenant(call.tenant))  # first: its changes would drop this answer
        stamp = self.cache.get(call.key, call.tags)[1]
        if fresh:
            return self._compute(call, stamp)
        own = _Flight(frozenset(call.tags), Future())
        own.future.set_running_or_notify_cancel()  # a waiting caller that disconnects cancels nothing
        with self._lock:
            flight = self._flights.setdefault((call.key, stamp), own)
        if flight is not own:
            return flight.future
        try:
            answered = self.look(call) or self._compute(call, stamp, own)  # another may have finished meanwhile
            own.future.set_result(answered)
            return answered
        except BaseException as error:
            own.future.set_exception(error)
            raise
        finally:
            with self._lock:
                if self._flights.get((call.key, stamp)) is own:
                    del self._flights[call.key, stamp]

    def answer(self, call: CachedCall[R], *, fresh: bool = False) -> Answered:
        """Return the result of `work`, waiting for it."""
        answered = self.work(call, fresh=fresh)
        return answered.result() if isinstance(answered, Future) else answered

    def value(self, call: CachedCall[R]) -> R:
        """Return the result of `work` as the method's return value."""
        return typed(_returned(call.method), msgspec.json.decode(self.answer(call).body))

    def drop(self, tenants: Iterable[Tenant | int], *parts: Part) -> None:
        """Drop answers that depend on these parts (all by default) of these tenants (or their numbers)."""
        numbers = [owner if isinstance(owner, int) else owner.no for owner in tenants]
        self._drop([f"{no}:{part}" for no in numbers for part in parts or Part])

    def forget(self, tenant: Tenant) -> None:
        """Drop a tenant's answers, and delete them from the cache."""
        self.drop([tenant])
        self.cache.forget(f"{tenant.no}:")

    def drop_all(self) -> None:
        """Drop every answer: a starting server does not know earlier changes of its store."""
        self._drop([_ALL])

    def _drop(self, tags: list[str]) -> None:
        if not tags:
            return
        self.cache.drop(tags)
        with self._lock:
            self._flights = {key: flight for key, flight in self._flights.items() if flight.tags.isdisjoint(tags)}

    def _read(self, kept: Kept | None) -> Answered | None:
        if kept is None:
            return None
        CACHE.labels("hit").inc()
        return Answered(kept.body, max(0.0, self._clock().timestamp() - kept.made))

    def _compute(self, call: CachedCall[R], stamp: Stamp, flight: _Flight | None = None) -> Answered:
        CACHE.labels("miss").inc()
        computed_at = self._clock().timestamp()
        body = msgspec.json.encode(plain(call.method(call.tenant, **call.params)))
        dropped = flight is not None and self._flights.get((call.key, stamp)) is not flight
        if not dropped:  # else it would replace a newer one
            self.cache.put(call.key, stamp, Kept(body, computed_at), call.seconds)
        return Answered(body, 0.0)


def _parameters(method: Callable[..., object], args: tuple[Any, ...], params: Mapping[str, Any]) -> dict[str, Any]:
    """Return all parameters except the tenant: an absent one equals its default."""
    names, defaults = _signature(getattr(method, "__func__", method))
    return {**defaults, **dict(zip(names, args, strict=False)), **params}


@cache
def _signature(function: Callable[..., object]) -> tuple[tuple[str, ...], Mapping[str, Any]]:
    """Return the names of a method's parameters after the tenant, and their defaults."""
    own = [each for each in inspect.signature(function).parameters.values() if each.name not in ("self", "tenant")]
    return tuple(each.name for each in own), {each.name: each.default for each in own if each.default is not each.empty}


def _returned(method: Callable[..., R]) -> type[R]:
    kind: type[R] = _hints(getattr(method, "__func__", method))["return"]
    return kind


@cache
def _hints(function: Callable[..., object]) -> dict[str, Any]:
    return get_type_hints(function)
