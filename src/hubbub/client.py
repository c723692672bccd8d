"""Records events in a Hubbub server from any Python program, without blocking it.

`record` sets an event's id and time and puts it into a bounded queue; a daemon thread sends batches and retries them,
unchanged, until the server has answered. Nothing is lost silently: every event is counted in `Client.stats`, and events that
were not stored are reported to `on_error` and the log.
"""

from __future__ import annotations

import atexit
import contextlib
import gzip
import logging
import math
import os
import random
import signal
import threading
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from time import monotonic
from types import TracebackType
from typing import Any, Literal, Self

import httpx2
import msgspec

from hubbub.clock import system_clock
from hubbub.errors import BadInputError
from hubbub.model.event import ALIASES
from hubbub.retrying import pause, retry_after

log = logging.getLogger("hubbub.client")

REPORT_EVERY = 10.0
"""Seconds between two reports of dropped events or of an unreachable server."""
MAX_BODY = 1_000_000
"""Most bytes of JSON in a batch, before compression, unless one event is larger."""
GZIP_FROM = 1024
_RETRIED = frozenset({408, 429})


def _variable(name: str, default: float) -> float:
    """Return a number from a HUBBUB_COLLECTION__ variable, or the default. Raises BadInputError if it is not a number."""
    text = os.environ.get(f"HUBBUB_COLLECTION__{name}", "")
    try:
        return float(text) if text else default
    except ValueError:
        raise BadInputError(f"HUBBUB_COLLECTION__{name}: {text[:40]!r} is not a number") from None


def _spellings(field: str) -> frozenset[str]:
    snake = [field, *(alias for alias, name in ALIASES.items() if name == field)]
    return frozenset(snake) | {word[0] + word.title().replace("_", "")[1:] for word in snake}


_IDS = _spellings("id")
_TIMES = _spellings("time")


@dataclass(frozen=True)
class Stats:
    """Counts of events: recorded = sent + duplicates + rejected + dropped + queued. `retries` counts requests."""

    recorded: int = 0
    sent: int = 0
    duplicates: int = 0
    rejected: int = 0
    dropped: int = 0
    queued: int = 0
    retries: int = 0


@dataclass(frozen=True)
class Trouble:
    """Events that were not stored, for `on_error`.

    `rejected`: the server, or the JSON encoder, refused one event. `refused`: the server refused a whole batch. `dropped`: the
    queue was full, or the client was closed before the server had answered; then `ids` may be empty.
    """

    kind: Literal["rejected", "refused", "dropped"]
    message: str
    count: int
    ids: tuple[str, ...] = ()
    code: str | None = None
    field: str | None = None
    status: int | None = None


@dataclass(frozen=True)
class _Waiting:
    id: str
    body: bytes
    since: float


class Client:
    """Sends events to the server at `url` with an API `key` that has the scope ingest.

    A batch is sent when `flush_at` events wait (by default HUBBUB_COLLECTION__BATCH_SIZE, or 100) or the oldest has waited
    `flush_interval` seconds (HUBBUB_COLLECTION__FLUSH_INTERVAL, or 5). At most `max_queue` events wait; further ones are dropped,
    counted and reported. `timeout`: seconds for each step of a request. `on_error` is called on the sending thread, or by `record`
    for events that cannot be JSON and after `close`. Thread-safe, also after a fork.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        flush_at: int | None = None,
        flush_interval: float | None = None,
        max_queue: int = 10_000,
        timeout: float = 10.0,
        on_error: Callable[[Trouble], None] | None = None,
    ) -> None:
        """Check the settings; the sending thread starts with the first event. Raises BadInputError."""
        if not url.startswith(("http://", "https://")):
            raise BadInputError(f"url {url!r}: write it like https://hubbub.example.org")
        if not key or not key.isascii() or not key.isprintable() or " " in key:
            raise BadInputError("key: an API key like hub_live_... is needed, without spaces")
        flush_at = flush_at if flush_at is not None else int(_variable("BATCH_SIZE", 100))
        flush_interval = flush_interval if flush_interval is not None else _variable("FLUSH_INTERVAL", 5.0)
        if flush_at < 1 or max_queue < 1 or flush_interval < 0 or timeout <= 0:
            raise BadInputError("flush_at, max_queue and timeout must be positive, flush_interval 0 or more")
        self._endpoint = url.rstrip("/") + "/v1/events"
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._flush_at, self._flush_interval, self._max_queue = flush_at, flush_interval, max_queue
        self._timeout, self._on_error = timeout, on_error
        self._start_afresh()
        _open.add(self)

    def _start_afresh(self) -> None:
        # created here, not in the thread, so that a fork does not happen in the middle of an import
        self._http = httpx2.Client(headers=self._headers, timeout=self._timeout)
        self._changed = threading.Condition()
        self._queue: deque[_Waiting] = deque()
        self._stats = Stats()
        self._entered = self._taken = self._settled = self._flush_to = 0
        self._unreported_drops = self._lost_before = 0
        self._trouble: Trouble | None = None
        self._next_drop_report = self._next_retry_report = 0.0
        self._closed = self._abandoned = False
        self._deadline: float | None = None
        self._thread: threading.Thread | None = None

    @property
    def stats(self) -> Stats:
        """The current counts; `queued` includes the batch that is being sent."""
        with self._changed:
            return replace(self._stats, queued=self._entered - self._settled)

    def record(self, event: Mapping[str, Any] | None = None, /, **fields: Any) -> str:
        """Queue an event, given as a mapping or as fields, and return its id. Never blocks.

        A missing id (uuid4 hex) and time (now, UTC) are added. An event that cannot be JSON is reported as rejected.
        """
        value = {**(event or {}), **fields}
        event_id = _fill_in(value)
        try:
            body = _encode(value)
        except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
            with self._changed:
                self._count(recorded=1, rejected=1)
            self._report(Trouble("rejected", f"cannot be written as JSON: {error}", 1, (event_id,), "not_json"))
            return event_id
        with self._changed:
            self._count(recorded=1)
            if self._closed or self._entered - self._settled >= self._max_queue:
                self._count(dropped=1)
                self._unreported_drops += 1
            else:
                self._queue.append(_Waiting(event_id, body, monotonic()))
                self._entered += 1
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="hubbub-client", daemon=True)
                    self._thread.start()
            if len(self._queue) in (1, self._flush_at) or self._unreported_drops == 1:
                self._changed.notify_all()
            is_closed = self._closed
        if is_closed:
            _open.add(self)  # so that dropped events are reported when the program ends
            self._report_drops(rarely=True)
        return event_id

    def flush(self, timeout: float | None = None) -> bool:
        """Send the events recorded before this call; wait at most `timeout` seconds (None: until they are sent).

        Return whether all events since the last flush are stored: False if some were refused, rejected or dropped (see `trouble`),
        or still wait. While the server does not answer, it waits.
        """
        with self._changed:
            goal = self._flush_to = max(self._flush_to, self._entered)
            self._changed.notify_all()
            # called from on_error: the sender cannot wait for itself
            waits = threading.current_thread() is not self._thread
            done = self._changed.wait_for(lambda: self._settled >= goal, timeout) if waits else self._settled >= goal
            lost, before = self._stats.rejected + self._stats.dropped, self._lost_before
            self._lost_before = lost
            return done and lost == before and not self._abandoned

    @property
    def trouble(self) -> Trouble | None:
        """The last event or batch that was not stored, with the reason, or None."""
        return self._trouble

    def close(self, timeout: float = 10) -> None:
        """Send waiting events for at most `timeout` seconds, then stop; unsent events are dropped, counted and reported."""
        with self._changed:
            if not self._closed:
                self._closed = True
                self._deadline = monotonic() + timeout
            self._changed.notify_all()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)
        with self._changed:
            left = self._entered - self._settled
            if left:
                # a request may still run: without an answer its events count as dropped
                self._abandoned = True
                self._queue.clear()
                self._settled = self._entered
                self._count(dropped=left)
                self._unreported_drops += left
            self._changed.notify_all()
        if thread is None:
            self._http.close()
        _open.discard(self)
        self._report_drops()

    def __enter__(self) -> Self:
        """Return the client itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the client."""
        self.close()

    def _count(self, **more: int) -> None:
        self._stats = replace(self._stats, **{name: getattr(self._stats, name) + n for name, n in more.items()})

    def _run(self) -> None:
        with self._http:
            while (batch := self._take()) and self._deliver(batch):
                pass

    def _take(self) -> list[_Waiting]:
        """Wait for a due batch and take it; an empty one: the client is closed and nothing waits."""
        while True:
            self._report_drops(rarely=True)
            with self._changed:
                if self._queue:
                    age = monotonic() - self._queue[0].since
                    due = self._closed or self._flush_to > self._taken or len(self._queue) >= self._flush_at
                    if due or age >= self._flush_interval:
                        return self._next_batch()
                    self._changed.wait(self._flush_interval - age)
                elif self._closed:
                    return []
                else:
                    self._changed.wait(REPORT_EVERY if self._unreported_drops else None)

    def _next_batch(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        size = 0
        while self._queue and len(batch) < self._flush_at:
            size += len(self._queue[0].body)
            if batch and size > MAX_BODY:
                break
            batch.append(self._queue.popleft())
        self._taken += len(batch)
        return batch

    def _deliver(self, batch: list[_Waiting]) -> bool:
        """Post a batch until the server has answered; return False if the client was closed before."""
        body = b"[" + b",".join(waiting.body for waiting in batch) + b"]"
        headers = {}
        if len(body) > GZIP_FROM:
            body = gzip.compress(body, compresslevel=5, mtime=0)
            headers["Content-Encoding"] = "gzip"
        attempt = 0
        while not self._abandoned:
            wait: float | None = None
            try:
                answer = self._http.post(self._endpoint, content=body, headers=headers, timeout=self._patience())
                if self._is_settled(batch, answer):
                    return True
                wait = retry_after(answer.headers.get("retry-after"), system_clock())
                trouble = f"answer {answer.status_code}"
            except Exception as error:  # an unexpected error must not end the sender and lose later events
                trouble = f"{type(error).__name__}: {error}"
            self._warn_of_retry(trouble)
            if not self._pause(pause(attempt, wait, random.random())):
                return False
            attempt += 1
            with self._changed:
                self._count(retries=1)
        return False

    def _patience(self) -> float:
        return self._timeout if self._deadline is None else min(self._timeout, max(0.05, self._deadline - monotonic()))

    def _is_settled(self, batch: list[_Waiting], answer: httpx2.Response) -> bool:
        """Report and count the verdicts in the server's answer; return False if the batch has to be sent again."""
        status, body = answer.status_code, _decode(answer)
        if 400 <= status < 500 and status not in _RETRIED:
            message = str(body.get("detail") or body.get("title") or f"the server answered {status}")
            ids = tuple(waiting.id for waiting in batch)
            self._report(Trouble("refused", message, len(batch), ids, _text(body.get("code")), None, status))
            self._settle(len(batch), rejected=len(batch))
            return True
        if status != 202 or "accepted" not in body:
            return False  # a proxy's page or a redirect is no acknowledgement
        verdicts = [v for v in body.get("rejected") or [] if isinstance(v, dict)]
        for verdict in verdicts:
            index = verdict.get("index")
            ids = (batch[index].id,) if isinstance(index, int) and 0 <= index < len(batch) else ()
            code, field = _text(verdict.get("code")), _text(verdict.get("field"))
            self._report(Trouble("rejected", str(verdict.get("message")), 1, ids, code, field, status))
        for note in [n for n in body.get("notes") or [] if isinstance(n, dict)][:1]:
            log.warning("%d event(s) stored with a note, the first: %s", len(body["notes"]), note.get("message"))
        duplicates = int(body.get("duplicates") or 0)
        sent = len(batch) - duplicates - len(verdicts)
        self._settle(len(batch), sent=sent, duplicates=duplicates, rejected=len(verdicts))
        return True

    def _settle(self, size: int, **counts: int) -> None:
        with self._changed:
            if not self._abandoned:
                self._settled += size
                self._count(**counts)
                self._changed.notify_all()

    def _pause(self, seconds: float) -> bool:
        """Wait before the next attempt; return False if the client is closed before the end of the wait."""
        until = monotonic() + seconds
        while (left := until - monotonic()) > 0:
            self._report_drops(rarely=True)
            with self._changed:
                if self._abandoned or (self._deadline is not None and until > self._deadline):
                    return False
                self._changed.wait(min(left, REPORT_EVERY))
        return True

    def _warn_of_retry(self, trouble: str) -> None:
        if monotonic() >= self._next_retry_report:
            self._next_retry_report = monotonic() + REPORT_EVERY
            log.warning("events could not be sent (%s); trying again, %d wait", trouble, self.stats.queued)

    def _report_drops(self, *, rarely: bool = False) -> None:
        with self._changed:
            count = self._unreported_drops
            if not count or (rarely and monotonic() < self._next_drop_report):
                return
            self._unreported_drops = 0
            self._next_drop_report = monotonic() + REPORT_EVERY
            why = "the client is closed" if self._closed else f"the queue is full ({self._max_queue} events wait)"
        self._report(Trouble("dropped", why, count))

    def _report(self, trouble: Trouble) -> None:
        self._trouble = trouble
        log.warning("%d event(s) %s: %s", trouble.count, trouble.kind, trouble.message)
        if self._on_error is not None:
            try:
                self._on_error(trouble)
            except Exception:  # an error of the caller must not stop the sender
                log.exception("on_error failed")


def _fill_in(value: dict[str, Any]) -> str:
    """Add a missing id and time to an event, in any accepted spelling, and return the id."""
    data = value.get("data") if "specversion" in value else None
    layers = [value, data] if isinstance(data, dict) else [value]

    def first(names: frozenset[str]) -> Any:
        return next((layer[n] for layer in layers for n in names if n in layer and layer[n] not in (None, "")), None)

    event_id = first(_IDS)
    if event_id is None:
        event_id = value["id"] = uuid.uuid4().hex
    if first(_TIMES) is None:
        value["time"] = system_clock()
    return str(event_id)


def _encode(value: dict[str, Any]) -> bytes:
    # msgspec would silently write null for infinite and NaN values
    for name, content in value.items():
        if isinstance(content, float) and not math.isfinite(content):
            raise ValueError(f"{name!r} is {content}")
    return msgspec.json.encode(value)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _decode(answer: httpx2.Response) -> dict[str, Any]:
    with contextlib.suppress(msgspec.DecodeError, ValueError):
        return msgspec.json.decode(answer.content, type=dict[str, Any])
    return {}


_open: set[Client] = set()


def _close_all() -> None:
    for client in list(_open):
        client.close()


def close_on_signal(number: int = signal.SIGTERM, timeout: float = 10) -> None:
    """On a signal, close all clients within `timeout` seconds, then call the signal's old handler. Main thread only.

    `atexit` closes clients at a normal end. A signal ends the program without `atexit`, and waiting events would be lost.
    """
    before = signal.getsignal(number)

    def end() -> None:
        for client in list(_open):
            client.close(timeout)
        os.kill(os.getpid(), number)

    def begin(*_: object) -> None:
        # in a thread: the interrupted code may hold a client's lock, and has to continue
        signal.signal(number, before if before is not None else signal.SIG_DFL)
        threading.Thread(target=end, name="hubbub-close").start()

    signal.signal(number, begin)


def _after_fork() -> None:
    # the parent keeps its thread and queue; a lock held at the fork would never be released
    for client in list(_open):
        client._start_afresh()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
