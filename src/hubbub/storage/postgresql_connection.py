"""A connection to PostgreSQL, for events, control data and jobs: its time-outs, and when a server counts as hanging.

No server time-out ends a statement when the server hangs or is cut off. A caller that waits in silence therefore checks whether
the server still takes a connection. If it does, the statement is a long one, and the caller waits on. If not, every waiting caller
gets an error, and one caller at a time tries again until the server is back.
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
"""Seconds without an answer before the server is checked."""
KNOWN_SECONDS = 1.0
"""Seconds for which all callers use the result of a check."""
LOCK_SECONDS = 60
"""Seconds that a statement waits for a lock."""
STATEMENT_SECONDS = 300
"""Seconds that a statement may take, except after LONG."""
IDLE_SECONDS = 120
"""Seconds that a process may be idle within a transaction before the server ends it."""
_NETWORK = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 20_000}
"""TCP settings that detect a cut network, for connections on which nothing waits."""
DEFAULTS = {"connect_timeout": CONNECT_SECONDS, **_NETWORK}
"""Defaults for what the URL leaves out."""
_LIMITS = (
    f"SET lock_timeout = '{LOCK_SECONDS}s'; SET statement_timeout = '{STATEMENT_SECONDS}s'; "
    f"SET idle_in_transaction_session_timeout = '{IDLE_SECONDS}s'"
)
LONG = "SET LOCAL statement_timeout = 0"
"""Run first in a transaction whose statements may take long."""
T = TypeVar("T")


class HangingError(psycopg.errors.ConnectionTimeout):
    """The server neither answers nor takes a connection."""


class Server:
    """Whether the server at an address takes connections. May be used from any thread."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._asking = threading.Lock()
        self._known_until = 0.0
        self.hangs = False
        """It took no connection at the last check."""

    def check(self, *, wait: bool) -> None:
        """Try a connection, unless the last check was just now. Raises HangingError.

        One thread tries; the others wait for its result, or without `wait` use the last one.
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
        except psycopg.Error:  # it answers, or is down: open connections raise their own error
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
        """Wait for the server's answer. Raises HangingError and then closes the connection."""
        if self.server is None:
            return super().wait(gen, interval, timeout)
        if self.server.hangs:
            self._check(self.server, wait=False)
        return super().wait(self._watched(gen, self.server), interval, timeout)

    def _watched(self, gen: Generator[Any, Any, T], server: Server) -> Generator[Any, Any, T]:
        """Yield what the driver's generator waits for, and check the server after SILENT_SECONDS without an answer."""
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
            value: T = end.value
            return value

    @property
    def _asks(self) -> bool:
        """Whether it waits for the answer to a statement, not for notifications."""
        return self.info.transaction_status == psycopg.pq.TransactionStatus.ACTIVE

    def _check(self, server: Server, *, wait: bool) -> None:
        try:
            server.check(wait=wait)
        except HangingError:
            self.close()
            raise


def connect(url: str, **how: Any) -> Connection:
    """Connect to the server of a URL; `how`: arguments of the driver. Raises psycopg.Error, at once while the server hangs."""
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
