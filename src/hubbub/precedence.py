"""Precedence among the requests of one process, whose threads share a processor: those of tenants beyond their limits go last.

`Precedence` counts the running requests that go first. Long work calls `step_aside` wherever it holds no lock and no writing
transaction: next to a computing thread, each statement of the other requests would take several times as long.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

PAUSE = 0.002
"""Seconds between two checks whether others still run."""
LONGEST = 1.0
"""Most seconds that a request steps aside in total: on a busy server there are always others."""


class Precedence:
    """The number of running requests that go first. Only the server's event loop changes it."""

    def __init__(self) -> None:
        self.first = 0

    @contextmanager
    def last(self) -> Iterator[None]:
        """Let the current request go last, in this task and in the threads that work for it."""
        before = _last.set(_Last(self))
        try:
            yield
        finally:
            _last.reset(before)


class _Last:
    """A request that goes last, and the seconds that it may still step aside."""

    def __init__(self, precedence: Precedence) -> None:
        self._precedence, self._left = precedence, LONGEST

    def wait(self) -> None:
        while self._precedence.first and self._left > 0:
            time.sleep(PAUSE)
            self._left -= PAUSE


_last: ContextVar[_Last | None] = ContextVar("last", default=None)


def step_aside() -> None:
    """If the current request goes last, wait while requests that go first run; else return at once."""
    if (last := _last.get()) is not None:
        last.wait()
