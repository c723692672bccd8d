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
from typing import Any

import msgspec

from hubbub.clock import Clock
from hubbub.control.cache import Cache, Kept, Stamp
from hubbub.metrics.catalogue import DEFINITION_VERSION
from hubbub.model.tenant import Tenant
from hubbub.model.window import day_of
from hubbub.telemetry import CACHE


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
    """How an operation's answers are kept: the setting that says for how many seconds, and what drops them sooner."""

    tier: str
    parts: tuple[Part, ...]
    tier_of_days: str | None = None
    """The setting when its parameter `days` is more than one."""


RULES: dict[str, Rule] = {
    "states": Rule("realtime", (Part.NUMBERS,)),
    "dashboard": Rule("dashboard", (Part.NUMBERS,), tier_of_days="period"),
    "changes": Rule("period", (Part.NUMBERS,)),
    "usual": Rule("period", (Part.NUMBERS,)),
    "news": Rule("period", (Part.NUMBERS,)),
    "trends": Rule("period", (Part.NUMBERS,)),
    "hotspots": Rule("period", (Part.NUMBERS,)),
    "snapshots": Rule("snapshots", (Part.SNAPSHOTS,)),
    "query": Rule("realtime", (Part.NUMBERS, Part.EVENTS)),  # a question may be about what was sent a moment ago
}
"""Every operation whose answers are kept, by its name; their first parameter is the tenant."""

_ALL = "all"
"""A tag of every answer."""


@dataclass(frozen=True)
class Asked:
    """An operation with its parameters: the key and tags that its answer is kept under, and for how many seconds."""

    name: str
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
    """Asks operations, and keeps what they answer. May be used from any thread."""

    def __init__(
        self,
        cache: Cache,
        seconds: Mapping[str, float],
        operation: Callable[[str], Callable[..., Any]],
        tenant: Callable[[str], Tenant],
        clock: Clock,
        refresh: Callable[[Tenant], object] = lambda _: None,
        gaps: Callable[[Tenant], str] = lambda _: "",
    ) -> None:
        """`refresh` folds what waits of a tenant, and drops what it changes. `gaps` tells those of its sources."""
        self.cache = cache
        self._seconds = seconds
        self._operation = operation
        self._tenant = tenant
        self._clock = clock
        self._refresh = refresh
        self._gaps = gaps
        self._defaults: dict[str, dict[str, Any]] = {}
        self._told: dict[int, tuple[Tenant, str]] = {}
        self._flights: dict[tuple[str, Stamp], _Flight] = {}
        self._lock = threading.Lock()

    def asked(self, name: str, tenant: str, **params: Any) -> Asked:
        """Name an answer of one of RULES; raises NotFoundError for an unknown tenant.

        Its key holds all that the answer depends on but what is stored: operation, parameters, all that is known of the tenant
        (number, zone, retention), the gaps of its sources, its local day, and the version of the metrics' definitions.
        """
        rule, one = RULES[name], self._tenant(tenant)
        params = {**self._defaults_of(name), **params}  # left out and given as it is anyway are the same question
        tier = rule.tier_of_days if rule.tier_of_days is not None and params.get("days", 1) > 1 else rule.tier
        day = day_of(self._clock(), one.tz).isoformat()
        told = json.dumps([name, params, self._told_of(one), self._gaps(one), day, DEFINITION_VERSION], sort_keys=True)
        digest = hashlib.blake2b(told.encode("utf-8", "surrogatepass"), digest_size=20).hexdigest()
        tags = (_ALL, *(f"{one.no}:{part}" for part in rule.parts))
        return Asked(
            name, {"tenant": tenant, **params}, f"{one.no}:{digest}", tags, self._seconds[tier],
            Part.EVENTS not in rule.parts,
        )  # fmt: skip

    def _defaults_of(self, name: str) -> dict[str, Any]:
        if name not in self._defaults:
            given = inspect.signature(self._operation(name)).parameters.values()
            self._defaults[name] = {p.name: p.default for p in given if p.default is not p.empty}
        return self._defaults[name]

    def _told_of(self, tenant: Tenant) -> str:
        """Return all that is known of a tenant as text, written once for as long as it is the same object."""
        known = self._told.get(tenant.no)
        if known is None or known[0] is not tenant:
            known = self._told[tenant.no] = tenant, repr(tenant)
        return known[1]

    def look(self, asked: Asked) -> Answered | None:
        """Return the answer that is kept, if there is one."""
        return self._found(self.cache.get(asked.key, asked.tags)[0])

    def work(self, asked: Asked, *, fresh: bool = False) -> Answered | Future[Answered]:
        """Return the cached answer, or work it out, or return what it will be when another thread is working it out already.

        `fresh` works it out in any case, and keeps it. Raises what the operation raises; errors are not kept.
        """
        found = None if fresh else self.look(asked)
        if found is not None:
            return found
        self._refresh(
            self._tenant(asked.params["tenant"])
        )  # first: what it changes would drop the answer that asked for it
        stamp = self.cache.get(asked.key, asked.tags)[1]
        if fresh:
            return self._compute(asked, stamp)
        mine = _Flight(frozenset(asked.tags), Future())
        mine.future.set_running_or_notify_cancel()  # who waits and goes away cancels nothing
        with self._lock:
            flight = self._flights.setdefault((asked.key, stamp), mine)
        if flight is not mine:
            return flight.future
        try:
            found = self.look(asked) or self._compute(asked, stamp, mine)  # another may have been done in between
            mine.future.set_result(found)
            return found
        except BaseException as error:
            mine.future.set_exception(error)
            raise
        finally:
            with self._lock:
                if self._flights.get((asked.key, stamp)) is mine:
                    del self._flights[asked.key, stamp]

    def answer(self, asked: Asked, *, fresh: bool = False) -> Answered:
        """Do the same, and wait for it."""
        found = self.work(asked, fresh=fresh)
        return found.result() if isinstance(found, Future) else found

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

    def _found(self, kept: Kept | None) -> Answered | None:
        if kept is None:
            return None
        CACHE.labels("hit").inc()
        return Answered(kept.body, max(0.0, self._clock().timestamp() - kept.made))

    def _compute(self, asked: Asked, stamp: Stamp, flight: _Flight | None = None) -> Answered:
        CACHE.labels("miss").inc()
        made = self._clock().timestamp()
        body = msgspec.json.encode(self._operation(asked.name)(**asked.params))
        dropped = flight is not None and self._flights.get((asked.key, stamp)) is not flight
        if not dropped:  # else it would be in vain, and take the place of a newer one
            self.cache.put(asked.key, stamp, Kept(body, made), asked.seconds)
        return Answered(body, 0.0)
