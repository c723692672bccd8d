"""Caches of answers: in this process, or in a Redis that several processes share.

An answer is stored under tags, like a tenant's numbers. Each tag has a token, and an answer is valid while all its tags have the
tokens from before it was computed. Dropping a tag gives it a new token, which invalidates every answer begun before, in any process
(why/0014-cache.md).
"""

from __future__ import annotations

import itertools
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

import msgspec
from cachetools import TLRUCache

from hubbub.errors import BadSettingError, HubbubError
from hubbub.storage.store import Store
from hubbub.telemetry import CACHE, log

if TYPE_CHECKING:
    import redis

LARGEST = 2 << 20
"""Larger answers (bytes) are not cached: one would evict hundreds."""
BESIDE = 1024
"""Bytes of an entry in memory besides its answer, rounded up."""
PATIENCE = 0.25
"""Seconds that Redis has for a call: computing an answer takes less than a longer wait."""
PAUSE = 5.0
"""Seconds for which a failed Redis is not called again."""
LOG_PAUSE = 60.0
"""Seconds between two log lines about a failed Redis."""
TOKENS_STAY = 86_400
"""Seconds after which Redis drops the tokens of a tenant without questions and changes."""
AT_ONCE = 500
"""Keys of one round trip."""

Stamp = tuple[str, ...]
"""The tokens of an answer's tags; empty if unknown: then the answer cannot be cached."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer as JSON, and when it was computed, in seconds since 1970."""

    body: bytes
    made: float


class Cache(Protocol):
    """A cache of answers. Callable from any thread; no method raises, since the store can answer without a cache."""

    inline: bool
    """Whether its methods never wait, so that an event loop may call them."""

    def get(self, key: str, tags: Sequence[str]) -> tuple[Kept | None, Stamp]:
        """Return the valid answer under a key, or None, and the stamp for an answer that is computed from now on."""
        ...

    def put(self, key: str, stamp: Stamp, kept: Kept, seconds: float) -> None:
        """Cache an answer for some seconds, unless one of its tags was dropped since its stamp."""
        ...

    def drop(self, tags: Iterable[str]) -> None:
        """Invalidate every answer under one of these tags, also those being computed."""
        ...

    def forget(self, prefix: str) -> None:
        """Delete every answer whose key has this prefix, valid or not: `drop` leaves them in place until they expire."""
        ...

    def close(self) -> None:
        """Close connections."""
        ...


@dataclass(frozen=True, slots=True)
class _Entry:
    kept: Kept
    stamp: Stamp
    seconds: float


class Memory:
    """A cache in this process of at most `size` bytes; evicts the least recently used answers."""

    inline = True

    def __init__(self, size: int, timer: Callable[[], float] = time.monotonic) -> None:
        self._entries: TLRUCache[str, _Entry] = TLRUCache(
            size, lambda _, entry, now: now + entry.seconds, timer, lambda entry: BESIDE + len(entry.kept.body)
        )
        self._tokens: dict[str, str] = {}
        self._numbers = itertools.count()
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """Bytes of all entries."""
        with self._lock:
            return int(self._entries.currsize)

    def get(self, key: str, tags: Sequence[str]) -> tuple[Kept | None, Stamp]:
        """Return a valid answer or None, and the current stamp."""
        with self._lock:
            stamp = self._stamp(tags)
            entry = self._entries.get(key)
            if entry is not None and entry.stamp != stamp:
                self._entries.pop(key, None)
                entry = None
            return (entry.kept if entry is not None else None), stamp

    def put(self, key: str, stamp: Stamp, kept: Kept, seconds: float) -> None:
        """Cache an answer if it is small enough."""
        if seconds > 0 and len(kept.body) <= LARGEST:
            with self._lock, suppress(ValueError):  # larger than the whole cache
                self._entries[key] = _Entry(kept, stamp, seconds)

    def drop(self, tags: Iterable[str]) -> None:
        """Give tags a new token; their answers are deleted when read, evicted or expired."""
        with self._lock:
            for tag in tags:
                self._tokens[tag] = str(next(self._numbers))

    def forget(self, prefix: str) -> None:
        """Delete every answer whose key has this prefix."""
        with self._lock:
            for key in [key for key in self._entries if key.startswith(prefix)]:
                self._entries.pop(key, None)

    def _stamp(self, tags: Sequence[str]) -> Stamp:
        return tuple(self._tokens.get(tag, "-") for tag in tags)

    def close(self) -> None:
        """Delete all answers."""
        with self._lock:
            self._entries.clear()


class Following(Memory):
    """A cache in one of several processes on a store: an answer is valid while no other process changes anything.

    This process drops what it changes itself; the store's number of other processes' changes is part of each stamp.
    """

    def __init__(self, size: int, store: Store) -> None:
        super().__init__(size)
        self._store = store
        self.inline = not store.facts.by_tenant  # other processes may change a store on a server

    def get(self, key: str, tags: Sequence[str]) -> tuple[Kept | None, Stamp]:
        """Return a valid answer or None, and the current stamp; nothing is read or cached while the store does not answer."""
        try:
            others = map(str, self._store.others())
        except HubbubError:
            return None, ()
        with self._lock:
            stamp = (*self._stamp(tags), *others)
            entry = self._entries.get(key)
            return (entry.kept if entry is not None and entry.stamp == stamp else None), stamp

    def put(self, key: str, stamp: Stamp, kept: Kept, seconds: float) -> None:
        """Cache an answer if it is small enough and its stamp is known."""
        if stamp:
            super().put(key, stamp, kept, seconds)


class _AwayError(Exception):
    """Redis does not answer, or failed within the last seconds."""


class _Head(msgspec.Struct):
    """The line before an answer in Redis."""

    made: float
    stamp: list[str]


class Redis:
    """A cache in Redis under the prefix `space`. While Redis is away every read misses; it is tried again after `PAUSE` seconds.

    Drops that could not be sent are remembered, and sent before the next read. Raises BadSettingError for a malformed URL; the
    first call shows whether Redis answers.
    """

    inline = False

    def __init__(self, url: str, space: str, timer: Callable[[], float] = time.monotonic) -> None:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        try:
            self._client = redis.Redis.from_url(
                url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE, retry=Retry(NoBackoff(), 0)
            )
        except (ValueError, TypeError) as error:
            raise BadSettingError(f"cache_url: {error}; write it like redis://localhost:6379/0") from None
        self._failures = (redis.RedisError, OSError)
        self._space = space
        self._timer = timer
        self._lock = threading.Lock()
        self._owed: dict[str, int] = {}
        self._numbers = itertools.count()
        self._shut_until = 0.0
        self._logged = -LOG_PAUSE

    def get(self, key: str, tags: Sequence[str]) -> tuple[Kept | None, Stamp]:
        """Return a valid answer or None, and the current stamp, in one round trip."""
        names = [self._tag(tag) for tag in tags]
        try:
            self._settle()
            raw, *tokens = self._ask(lambda client: _values(client, [f"{self._space}:{key}", *names]))
            if None in tokens:
                tokens = self._ask(lambda client: _tokens(client, names))
        except _AwayError:
            return None, ()
        stamp = tuple((token or b"").decode("ascii", "replace") for token in tokens)
        try:
            head, _, body = (raw or b"").partition(b"\n")
            entry = msgspec.json.decode(head, type=_Head) if raw else None
        except msgspec.MsgspecError:  # not written by us
            CACHE.labels("error").inc()
            return None, stamp
        return (Kept(body, entry.made) if entry is not None and tuple(entry.stamp) == stamp else None), stamp

    def put(self, key: str, stamp: Stamp, kept: Kept, seconds: float) -> None:
        """Cache an answer if it is small enough and its stamp is known."""
        if stamp and seconds > 0 and len(kept.body) <= LARGEST:
            value = msgspec.json.encode(_Head(kept.made, list(stamp))) + b"\n" + kept.body
            with suppress(_AwayError):
                self._ask(lambda client: client.set(f"{self._space}:{key}", value, px=max(1, int(seconds * 1000))))

    def drop(self, tags: Iterable[str]) -> None:
        """Give tags a new token, at the latest before this process reads again."""
        with self._lock:
            self._owed.update((tag, next(self._numbers)) for tag in tags)
        with suppress(_AwayError):
            self._settle()

    def forget(self, prefix: str) -> None:
        """Delete every answer whose key has this prefix; while Redis is away they expire there, within the hour."""
        with suppress(_AwayError):
            self._ask(lambda client: _forget(client, f"{self._space}:{prefix}*"))

    def close(self) -> None:
        """Close connections."""
        self._client.close()

    def _tag(self, tag: str) -> str:
        return f"{self._space}:tag:{tag}"

    def _settle(self) -> None:
        """Send the drops that are owed. Raises _AwayError."""
        if not self._owed:
            return
        with self._lock:
            owed = list(self._owed.items())
        for start in range(0, len(owed), AT_ONCE):
            some = owed[start : start + AT_ONCE]
            self._ask(lambda client, some=some: _renew(client, [self._tag(tag) for tag, _ in some]))  # type: ignore[misc]
            with self._lock:
                for tag, number in some:
                    if self._owed.get(tag) == number:  # not dropped again meanwhile
                        del self._owed[tag]

    def _ask(self, what: Callable[[redis.Redis], T]) -> T:
        """Call Redis. Raises _AwayError when it fails, and at once for some seconds after that."""
        with self._lock:
            now = self._timer()
            if now < self._shut_until:
                raise _AwayError
            trying = self._shut_until > 0
            if trying:  # this caller tries; the others skip the cache
                self._shut_until = now + PAUSE
        try:
            result = what(self._client)
        except self._failures as error:
            self._failed(error)
            raise _AwayError from None
        if trying:
            self._shut_until = 0.0
            log.info("the cache is back")
        return result

    def _failed(self, error: Exception) -> None:
        CACHE.labels("error").inc()
        with self._lock:
            now = self._timer()
            self._shut_until = now + PAUSE
            speak = now - self._logged >= LOG_PAUSE
            self._logged = now if speak else self._logged
        if speak:
            log.warning(
                "the cache is away: answers come from the store", error=f"{type(error).__name__}: {error}"[:200]
            )


def _values(client: redis.Redis, names: Sequence[str]) -> list[bytes | None]:
    return cast(list[bytes | None], client.mget(names))


def _renew(client: redis.Redis, names: Sequence[str]) -> None:
    with client.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.set(name, secrets.token_hex(8), ex=TOKENS_STAY)
        pipe.execute()


def _forget(client: redis.Redis, match: str) -> None:
    for key in client.scan_iter(match, AT_ONCE):
        client.delete(key)


def _tokens(client: redis.Redis, names: Sequence[str]) -> list[bytes | None]:
    """Return the tokens of tags, creating missing ones: random, so that a lost token never comes back."""
    with client.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.set(name, secrets.token_hex(8), ex=TOKENS_STAY, nx=True)
        pipe.mget(names)
        tokens: list[bytes | None] = pipe.execute()[-1]
    if None in tokens:
        raise _AwayError  # Redis is full and stores nothing
    return tokens


def space_of(store: Store) -> str:
    """Return the prefix of a store's answers in a Redis that other installations may share."""
    return f"hubbub:{store.installation()}"


__all__ = ["Cache", "Following", "Kept", "Memory", "Redis", "Stamp", "space_of"]
