"""A connection to PostgreSQL, the same for events, control data and jobs: how long it waits, and when it gives a server up.

A server that hangs, or is cut off, says nothing, and no time-out of its own ends a statement. Who waits for an answer in silence
therefore asks whether the server still takes a connection. Where it does the statement is a long one, and is waited for; where it
does not, every waiting caller gets an error, and until it is back one caller at a time tries again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from functools import lru_cache
from typing import Any, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

CONNECT_SECONDS = 5
SILENT_SECONDS = 3.0
"""How long an answer is waited for until the server is asked whether it is there."""
KNOWN_SECONDS = 1.0
"""How long what it said to that is good for everybody."""
LOCK_SECONDS = 60
"""How long a statement waits for somebody else's lock."""
STATEMENT_SECONDS = 300
"""How long a statement may take that is not said to be long."""
IDLE_SECONDS = 120
"""How long a process may stand still within a transaction, until the server takes its locks away."""
_NETWORK = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 20_000}
"""When a network counts as cut, which takes a connection along that nobody waits on."""
DEFAULTS = {"connect_timeout": CONNECT_SECONDS, **_NETWORK}
"""What a URL does not say itself."""
_LIMITS = (
    f"SET lock_timeout = '{LOCK_SECONDS}s'; SET statement_timeout = '{STATEMENT_SECONDS}s'; "
    f"SET idle_in_transaction_session_timeout = '{IDLE_SECONDS}s'"
)
LONG = "SET LOCAL statement_timeout = 0"
"""Said within a transaction whose statements may take long."""
T = TypeVar("T")


class HangingError(psycopg.errors.ConnectionTimeout):
    """The server says nothing, and takes no connection either."""


class Server:
    """What this process knows of the server at an address: whether it takes connections. May be used from any thread."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._asking = threading.Lock()
        self._known_until = 0.0
        self.hangs = False
        """It took no connection when it was asked last."""

    def check(self, *, wait: bool) -> None:
        """Ask whether it takes a connection, unless that was asked just now. Raises HangingError.

        One thread asks; the others wait for what it finds, or without `wait` go by what is known.
        """
        if self._asking.acquire(blocking=wait):
            try:
                if time.monotonic() >= self._known_until:
                    self._ask()
            finally:
                self._asking.release()
        if self.hangs:
            raise HangingError(f"it hangs: it takes no connection within {CONNECT_SECONDS} s")

    def _ask(self) -> None:
        try:
            psycopg.connect(self._address).close()
            self.hangs = False
        except psycopg.errors.ConnectionTimeout:
            self.hangs = True
        except psycopg.Error:  # it answers, or is down: those that have a connection to it will hear so
            self.hangs = False
        self._known_until = time.monotonic() + KNOWN_SECONDS


@lru_cache(maxsize=64)
def _server(address: str) -> Server:
    return Server(address)


class Connection(psycopg.Connection[tuple[Any, ...]]):
    """A connection that does not wait for a server that hangs. Made by `connect`."""

    server: Server | None = None

    def wait(
        self, gen: Generator[Any, Any, T], interval: float = 0.1, timeout: float | None = None
    ) -> T:  # every statement of the driver goes through here
        """Wait for what the server answers. Raises HangingError; then the connection is closed."""
        if self.server is None:
            return super().wait(gen, interval, timeout)
        if self.server.hangs:
            self._check(self.server, wait=False)
        return super().wait(self._watched(gen, self.server), interval, timeout)

    def _watched(self, gen: Generator[Any, Any, T], server: Server) -> Generator[Any, Any, T]:
        """Yield what a generator of the driver waits for, and look at the server when nothing came for a while."""
        due = time.monotonic() + SILENT_SECONDS
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if not ready and time.monotonic() >= due and self._asks:
                    self._check(server, wait=True)
                    due = time.monotonic() + SILENT_SECONDS
                wanted = gen.send(ready)
        except StopIteration as end:
            found: T = end.value
            return found

    @property
    def _asks(self) -> bool:
        """Whether it waits for an answer, and not for what others may have to say."""
        return self.info.transaction_status == psycopg.pq.TransactionStatus.ACTIVE

    def _check(self, server: Server, *, wait: bool) -> None:
        try:
            server.check(wait=wait)
        except HangingError:
            self.close()
            raise


def connect(url: str, **how: Any) -> Connection:
    """Connect to the server of a URL, with `how` the driver wants it. Raises psycopg.Error, at once while the server hangs."""
    address = make_conninfo("", **(DEFAULTS | conninfo_to_dict(url)))
    server = _server(address)
    if server.hangs:
        server.check(wait=False)
    try:
        con = Connection.connect(address, **how)
    except psycopg.errors.ConnectionTimeout:
        server.hangs = True
        raise
    con.server = server
    try:
        con.execute(_LIMITS)
        if not con.autocommit:
            con.commit()
    except BaseException:
        con.close()
        raise
    return con
