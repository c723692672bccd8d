"""Connections to a ClickHouse on which nobody waits for one that hangs: takes everything and never answers.

A statement may take minutes, so how long it takes says nothing. But while somebody has heard nothing for a while, `/ping` is asked,
which ClickHouse answers at once however busy it is. When it does not, all who wait are told, and until it does again nobody else
begins to wait.
"""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from typing import Any
from weakref import WeakSet

from clickhouse_connect.driver.httputil import get_pool_manager
from urllib3 import PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, NewConnectionError
from urllib3.response import BaseHTTPResponse

from hubbub.telemetry import log

SILENCE = 2.0
"""Seconds without an answer after which somebody looks whether there are any."""

AT_ONCE = 5.0
"""Seconds that ClickHouse has to answer a ping."""

PAUSE = 1.0
"""Seconds between two pings of one that hangs."""


class Watch:
    """Sees whether what is at one address answers, as long as somebody waits for it."""

    def __init__(self, address: str) -> None:
        self.sockets: WeakSet[socket.socket] = WeakSet()
        self.away = False
        self._address = address
        self._waiting: dict[int, float] = {}
        self._lock = threading.Lock()
        self._somebody = threading.Event()
        self._pings = get_pool_manager(maxsize=1)
        self._thread = threading.Thread(target=self._run, name="hubbub-clickhouse-watch", daemon=True)
        self._thread.start()

    def begin(self, connection: int) -> None:
        """Hear that a connection waits from now on."""
        with self._lock:
            self._waiting[connection] = time.monotonic()
            self._somebody.set()

    def end(self, connection: int) -> None:
        """Hear that a connection waits no more."""
        with self._lock:
            self._waiting.pop(connection, None)
            if not self._waiting:
                self._somebody.clear()

    def _run(self) -> None:
        while True:
            self._somebody.wait()
            time.sleep(SILENCE / 2)
            with self._lock:
                since = min(self._waiting.values(), default=None)
            if since is None or time.monotonic() - since < SILENCE or self._answers():
                continue
            self.away = True
            log.warning("ClickHouse hangs: whoever waits for it is told that it is away", address=self._address)
            while not self._answers():
                self._release()
                time.sleep(PAUSE)
            self.away = False
            log.info("ClickHouse answers again", address=self._address)

    def _answers(self) -> bool:
        try:
            self._pings.request("GET", f"{self._address}/ping", timeout=AT_ONCE, retries=False)
        except HTTPError:
            return False
        return True

    def _release(self) -> None:
        """End all connections, also those on which nobody waits: what they were told may never be answered."""
        for one in list(self.sockets):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


_watches: dict[str, Watch] = {}
_making = threading.Lock()


def _watch(address: str) -> Watch:
    with _making:
        if address not in _watches:
            _watches[address] = Watch(address)
        return _watches[address]


class _Plain(HTTPConnection):
    """A connection that is watched while it waits for an answer."""

    watch: Watch

    def connect(self) -> None:
        """Connect, unless nobody would answer."""
        scheme = "https" if isinstance(self, HTTPSConnection) else "http"
        self.watch = _watch(f"{scheme}://{self.host}:{self.port}")
        if self.watch.away:
            raise NewConnectionError(self, "it hangs")
        super().connect()
        self.watch.sockets.add(self.sock)

    def request(self, *args: Any, **kwargs: Any) -> None:
        """Send a request."""
        if self.sock is None:
            self.connect()
        self.watch.begin(id(self))
        try:
            super().request(*args, **kwargs)
        except BaseException:
            self.watch.end(id(self))
            raise

    def getresponse(self) -> BaseHTTPResponse:  # type: ignore[override]
        """Wait for the answer."""
        try:
            return super().getresponse()
        finally:
            self.watch.end(id(self))


class _Secure(_Plain, HTTPSConnection):
    """The same, encrypted."""


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _Secure


def watched(connections: int) -> PoolManager:
    """Return a pool of watched connections for clickhouse-connect, so many to one address."""
    pool: PoolManager = get_pool_manager(maxsize=connections)
    pool.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}
    return pool
