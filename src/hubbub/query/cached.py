"""Cached answers: which, for how long, what drops them, and one computation for all who ask at once.

A server's routes ask here. Commands and the embedded engine do not: who asks there wants the number of this moment.
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
    """What of a tenant can change, and so drop answers."""

    NUMBERS = "numbers"
    """Facts were folded again or deleted."""
    EVENTS = "events"
    """Events came in, which no window knows yet."""
    SNAPSHOTS = "snapshots"
    """Snapshots were made or deleted."""


@dataclass(frozen=True)
class Rule:
    """How a method's answers are cached: the setting that says for how many seconds, and what drops them sooner."""

    tier: str
    parts: tuple[Part, ...]
    tier_of_days: str | None = None
    """The setting when its parameter `days` is more than one."""


def cacheable(tier: str, *parts: Part, tier_of_days: str | None = None) -> Callable[[F], F]:
    """Declare that a method's answers may be cached. Its first parameter is the tenant, the others are plain values."""

    def declare(method: F) -> F:
        vars(method)["rule"] = Rule(tier, parts, tier_of_days)
        return method

    return declare


def rule_of(method: Callable[..., object]) -> Rule:
    """Return how a method's answers are cached; raises LookupError for one whose answers are not."""
    rule: Rule | None = getattr(method, "rule", None)
    if rule is None:
        raise LookupError(f"the answers of {method.__qualname__} are not cached")
    return rule


_ALL = "all"
"""A tag of every answer."""


@dataclass(frozen=True)
class Asked(Generic[R]):
    """A method with its parameters: the key and tags that its answer is cached under, and for how many seconds."""

    method: Callable[..., R]
    tenant: str
    params: Mapping[str, Any]
    key: str
    tags: tuple[str, ...]
    seconds: float
    shared: bool
    """Whether whoever gets the answer may keep it for a while too: not when an event can drop it."""


@dataclass(frozen=True)
class Answered:
    """An answer as JSON, and how many seconds ago it was worked out."""

    body: bytes
    age: float


@dataclass
class _Flight:
    """A computation that others wait for; once a tag of it is dropped nobody joins it any more."""

    tags: frozenset[str]
    future: Future[Answered]


class CachedAnswers:
    """Asks methods of services, and caches what they answer. May be used from any thread."""

    def __init__(
        self,
        cache: Cache,
        seconds: Mapping[str, float],
        tenant: Callable[[str], Tenant],
        clock: Clock,
        refresh: Callable[[Tenant], object] = lambda _: None,
        gaps: Callable[[Tenant], str] = lambda _: "",
    ) -> None:
        """`refresh` folds what waits of a tenant, and drops what it changes. `gaps` names those of its sources in a text."""
        self.cache = cache
        self._seconds = seconds
        self._tenant = tenant
        self._clock = clock
        self._refresh = refresh
        self._gaps = gaps
        self._texts: dict[int, tuple[Tenant, str]] = {}
        self._flights: dict[tuple[str, Stamp], _Flight] = {}
        self._lock = threading.Lock()

    def asked(
        self, method: Callable[Concatenate[str, P], R], tenant: str, /, *args: P.args, **params: P.kwargs
    ) -> Asked[R]:
        """Name the answer of a method that is `cacheable`; raises NotFoundError for an unknown tenant.

        Its key holds all that the answer depends on but what is stored: method, parameters, all that is known of the tenant
        (number, zone, retention), the gaps of its sources, its local day, and the version of the metrics' definitions.
        """
        rule, one = rule_of(method), self._tenant(tenant)
        given = _parameters(method, args, params)
        tier = rule.tier_of_days if rule.tier_of_days is not None and given.get("days", 1) > 1 else rule.tier
        day = day_of(self._clock(), one.tz).isoformat()
        about = [method.__qualname__, given, self._text_of(one), self._gaps(one), day, DEFINITION_VERSION]
        text = json.dumps(about, sort_keys=True)
        digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=20).hexdigest()
        tags = (_ALL, *(f"{one.no}:{part}" for part in rule.parts))
        return Asked(
            method, tenant, given, f"{one.no}:{digest}", tags, self._seconds[tier], Part.EVENTS not in rule.parts
        )

    def _text_of(self, tenant: Tenant) -> str:
        """Return all that is known of a tenant as text, written once for as long as it is the same object."""
        known = self._texts.get(tenant.no)
        if known is None or known[0] is not tenant:
            known = self._texts[tenant.no] = tenant, repr(tenant)
        return known[1]

    def look(self, asked: Asked[R]) -> Answered | None:
        """Return the cached answer, if there is one."""
        return self._read(self.cache.get(asked.key, asked.tags)[0])

    def work(self, asked: Asked[R], *, fresh: bool = False) -> Answered | Future[Answered]:
        """Return the cached answer, or work it out, or return what it will be when another thread is working it out already.

        `fresh` works it out in any case, and caches it. Raises what the method raises; errors are not cached.
        """
        answered = None if fresh else self.look(asked)
        if answered is not None:
            return answered
        self._refresh(self._tenant(asked.tenant))  # first: what it changes would drop the answer that asked for it
        stamp = self.cache.get(asked.key, asked.tags)[1]
        if fresh:
            return self._compute(asked, stamp)
        own = _Flight(frozenset(asked.tags), Future())
        own.future.set_running_or_notify_cancel()  # who waits and goes away cancels nothing
        with self._lock:
            flight = self._flights.setdefault((asked.key, stamp), own)
        if flight is not own:
            return flight.future
        try:
            answered = self.look(asked) or self._compute(asked, stamp, own)  # another may have been done in between
            own.future.set_result(answered)
            return answered
        except BaseException as error:
            own.future.set_exception(error)
            raise
        finally:
            with self._lock:
                if self._flights.get((asked.key, stamp)) is own:
                    del self._flights[asked.key, stamp]

    def answer(self, asked: Asked[R], *, fresh: bool = False) -> Answered:
        """Do the same, and wait for it."""
        answered = self.work(asked, fresh=fresh)
        return answered.result() if isinstance(answered, Future) else answered

    def value(self, asked: Asked[R]) -> R:
        """Do the same, and return what the method returns."""
        return typed(_returned(asked.method), msgspec.json.decode(self.answer(asked).body))

    def drop(self, tenants: Iterable[Tenant | int], *parts: Part) -> None:
        """Drop the answers that depend on these parts (all when none is given) of these tenants (or their numbers)."""
        numbers = [one if isinstance(one, int) else one.no for one in tenants]
        self._drop([f"{no}:{part}" for no in numbers for part in parts or Part])

    def forget(self, tenant: Tenant) -> None:
        """Drop a tenant's answers, and delete them where they are cached."""
        self.drop([tenant])
        self.cache.forget(f"{tenant.no}:")

    def drop_all(self) -> None:
        """Drop every answer: a server that starts does not know what happened to its store meanwhile."""
        self._drop([_ALL])

    def _drop(self, tags: list[str]) -> None:
        if not tags:
            return
        self.cache.drop(tags)
        with self._lock:
            self._flights = {key: one for key, one in self._flights.items() if one.tags.isdisjoint(tags)}

    def _read(self, kept: Kept | None) -> Answered | None:
        if kept is None:
            return None
        CACHE.labels("hit").inc()
        return Answered(kept.body, max(0.0, self._clock().timestamp() - kept.made))

    def _compute(self, asked: Asked[R], stamp: Stamp, flight: _Flight | None = None) -> Answered:
        CACHE.labels("miss").inc()
        made = self._clock().timestamp()
        body = msgspec.json.encode(plain(asked.method(asked.tenant, **asked.params)))
        dropped = flight is not None and self._flights.get((asked.key, stamp)) is not flight
        if not dropped:  # else it would be in vain, and take the place of a newer one
            self.cache.put(asked.key, stamp, Kept(body, made), asked.seconds)
        return Answered(body, 0.0)


def _parameters(method: Callable[..., object], args: tuple[Any, ...], params: Mapping[str, Any]) -> dict[str, Any]:
    """Return all parameters but the tenant: left out and given as they are anyway are the same question."""
    names, defaults = _signature(getattr(method, "__func__", method))
    return {**defaults, **dict(zip(names, args, strict=False)), **params}


@cache
def _signature(function: Callable[..., object]) -> tuple[tuple[str, ...], Mapping[str, Any]]:
    """Return the names of a method's parameters after the tenant, and their defaults."""
    own = [one for one in inspect.signature(function).parameters.values() if one.name not in ("self", "tenant")]
    return tuple(one.name for one in own), {one.name: one.default for one in own if one.default is not one.empty}


def _returned(method: Callable[..., R]) -> type[R]:
    kind: type[R] = _hints(getattr(method, "__func__", method))["return"]
    return kind


@cache
def _hints(function: Callable[..., object]) -> dict[str, Any]:
    return get_type_hints(function)
