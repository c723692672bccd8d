"""Where answers are kept for a while: in this process, or in a Redis that several processes share.

An answer is kept under tags, like a tenant's numbers. Each tag has a token, and an answer is good while all its tags have the
tokens that they had before it was worked out. Dropping a tag gives it another token: nothing that was begun before, here or in
another process, is found any more (why/0014-cache.md).
"""

from __future__ import annotations

import itertools
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol, TypeVar, cast

import msgspec
from cachetools import TLRUCache

from hubbub.errors import BadSettingError, HubbubError
from hubbub.storage.store import Store
from hubbub.telemetry import CACHE, log

if TYPE_CHECKING:
    import redis

LARGEST = 2 << 20
"""Answers of more bytes are not kept: one of them would push out hundreds."""
BESIDE = 1024
"""Bytes that an entry in memory takes beside its answer, rounded up."""
PATIENCE = 0.25
"""Seconds that Redis has for anything. Working an answer out takes less than waiting longer."""
PAUSE = 5.0
"""Seconds for which a Redis that failed is not asked again."""
LOG_PAUSE = 60.0
TOKENS_STAY = 86_400
"""Seconds after which Redis forgets the tokens of a tenant that nothing was asked of or happened to."""
AT_ONCE = 500

Stamp = tuple[str, ...]
"""The tokens of an answer's tags; empty when they are not known, and then the answer cannot be kept."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer as JSON, and when it was worked out, in seconds since 1970."""

    body: bytes
    made: float


class Cache(Protocol):
    """Keeps answers. Every method may be called from any thread, and none raises: without a cache there is the store."""

    inline: ClassVar[bool]
    """Whether it answers without waiting for anything, so that an event loop may ask."""

    def get(self, key: str, tags: Sequence[str]) -> tuple[Kept | None, Stamp]:
        """Return what is kept under a key and still good, or None, and the stamp to put an answer with that is begun now."""
        ...

    def put(self, key: str, stamp: Stamp, kept: Kept, seconds: float) -> None:
        """Keep an answer for some seconds, unless its tags have been dropped since its stamp was given."""
        ...

    def drop(self, tags: Iterable[str]) -> None:
        """Drop every answer under one of these tags, also of those that are being worked out."""
        ...

    def forget(self, prefix: str) -> None:
        """Take every answer away whose key begins so, good or not: `drop` leaves them until they are old."""
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
    """A cache in this process, of so many bytes at most; the answers asked for longest ago go first."""

    inline: ClassVar[bool] = True

    def __init__(self, size: int, timer: Callable[[], float] = time.monotonic) -> None:
        self._entries: TLRUCache[str, _Entry] = TLRUCache(
            size, lambda _, entry, now: now + entry.seconds, timer, lambda entry: BESIDE + len(entry.kept.body)
        )
        self._tokens: dict[str, str] = {}
        self._numbers = itertools.count()
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """Bytes that all entries take."""
        with self._lock:
            return int(self._entries.currsize)

    def get(self, key: str, tags: Sequence[str]) -> tuple[Kept | None, Stamp]:
        """Return a good answer or None, and the stamp of now."""
        with self._lock:
            stamp = self._stamp(tags)
            entry = self._entries.get(key)
            if entry is not None and entry.stamp != stamp:
                self._entries.pop(key, None)
                entry = None
            return (entry.kept if entry is not None else None), stamp

    def put(self, key: str, stamp: Stamp, kept: Kept, seconds: float) -> None:
        """Keep an answer, when it is small enough."""
        if seconds > 0 and len(kept.body) <= LARGEST:
            with self._lock, suppress(ValueError):  # larger than the whole cache
                self._entries[key] = _Entry(kept, stamp, seconds)

    def drop(self, tags: Iterable[str]) -> None:
        """Give tags another token; what was kept under them goes when it is asked for, pushed out, or old."""
        with self._lock:
            for tag in tags:
                self._tokens[tag] = str(next(self._numbers))

    def forget(self, prefix: str) -> None:
        """Take every answer away whose key begins so."""
        with self._lock:
            for key in [key for key in self._entries if key.startswith(prefix)]:
                self._entries.pop(key, None)

    def _stamp(self, tags: Sequence[str]) -> Stamp:
        return tuple(self._tokens.get(tag, "-") for tag in tags)

    def close(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()


class Following(Memory):
    """A cache in one of several processes on a store: an answer is good while no other process has changed anything.

    This process drops what it changes itself; a change of another one is part of each stamp.
    """

    def __init__(self, size: int, store: Store) -> None:
        super().__init__(size)
        self._store = store

    def get(self, key: str, tags: Sequence[str]) -> tuple[Kept | None, Stamp]:
        """Return a good answer or None, and the stamp of now; nothing is found or kept while the store does not say."""
        try:
            others = map(str, self._store.others())
        except HubbubError:
            return None, ()
        with self._lock:
            stamp = (*self._stamp(tags), *others)
            entry = self._entries.get(key)
            return (entry.kept if entry is not None and entry.stamp == stamp else None), stamp

    def put(self, key: str, stamp: Stamp, kept: Kept, seconds: float) -> None:
        """Keep an answer, when it is small enough and its stamp is known."""
        if stamp:
            super().put(key, stamp, kept, seconds)


class _AwayError(Exception):
    """Redis does not answer, or did not lately."""


class _Head(msgspec.Struct):
    """What stands before an answer in Redis, on a line of its own."""

    made: float
    stamp: list[str]


class Redis:
    """A cache in Redis under the prefix `space`. When it is away nothing is found; a few seconds after its return all is as before.

    Drops that could not be told are remembered, and told before anything is read again. Raises BadSettingError for a URL that
    cannot be one; whether a Redis is there shows when it is asked.
    """

    inline: ClassVar[bool] = False

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
        """Return a good answer or None, and the stamp of now, in one round trip."""
        names = [self._tag(tag) for tag in tags]
        try:
            self._settle()
            raw, *found = self._ask(lambda client: _values(client, [f"{self._space}:{key}", *names]))
            if None in found:
                found = self._ask(lambda client: _tokens(client, names))
        except _AwayError:
            return None, ()
        stamp = tuple((token or b"").decode("ascii", "replace") for token in found)
        try:
            head, _, body = (raw or b"").partition(b"\n")
            told = msgspec.json.decode(head, type=_Head) if raw else None
        except msgspec.MsgspecError:  # not written by us
            CACHE.labels("error").inc()
            return None, stamp
        return (Kept(body, told.made) if told is not None and tuple(told.stamp) == stamp else None), stamp

    def put(self, key: str, stamp: Stamp, kept: Kept, seconds: float) -> None:
        """Keep an answer, when it is small enough and its stamp is known."""
        if stamp and seconds > 0 and len(kept.body) <= LARGEST:
            value = msgspec.json.encode(_Head(kept.made, list(stamp))) + b"\n" + kept.body
            with suppress(_AwayError):
                self._ask(lambda client: client.set(f"{self._space}:{key}", value, px=max(1, int(seconds * 1000))))

    def drop(self, tags: Iterable[str]) -> None:
        """Give tags another token, at the latest before this process reads again."""
        with self._lock:
            self._owed.update((tag, next(self._numbers)) for tag in tags)
        with suppress(_AwayError):
            self._settle()

    def forget(self, prefix: str) -> None:
        """Take every answer away whose key begins so; a Redis that is away forgets them when they are old, within the hour."""
        with suppress(_AwayError):
            self._ask(lambda client: _forget(client, f"{self._space}:{prefix}*"))

    def close(self) -> None:
        """Close connections."""
        self._client.close()

    def _tag(self, tag: str) -> str:
        return f"{self._space}:tag:{tag}"

    def _settle(self) -> None:
        """Tell the drops that are owed; raises _AwayError while that cannot be."""
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
        """Ask Redis; raises _AwayError when it fails, and at once for some seconds after that."""
        with self._lock:
            now = self._timer()
            if now < self._shut_until:
                raise _AwayError
            trying = self._shut_until > 0
            if trying:  # this caller tries, the others go on without
                self._shut_until = now + PAUSE
        try:
            found = what(self._client)
        except self._failures as error:
            self._failed(error)
            raise _AwayError from None
        if trying:
            self._shut_until = 0.0
            log.info("the cache is back")
        return found

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
    """Return the tokens of tags, making those that are not there: random, so that a lost one never comes again."""
    with client.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.set(name, secrets.token_hex(8), ex=TOKENS_STAY, nx=True)
        pipe.mget(names)
        found: list[bytes | None] = pipe.execute()[-1]
    if None in found:
        raise _AwayError  # it keeps nothing, being full
    return found


def space_of(store: Store) -> str:
    """Return the prefix under which a store's answers are kept in a Redis that other installations may use too."""
    return f"hubbub:{store.installation()}"


__all__ = ["Cache", "Following", "Kept", "Memory", "Redis", "Stamp", "space_of"]
