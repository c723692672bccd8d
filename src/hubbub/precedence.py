"""Precedence among the requests of one process, whose threads share a processor: those of tenants beyond their limits go last.

`Precedence` counts the others that are worked on. Long work calls `step_aside` wherever it holds no lock and no transaction that
writes; beside a thread that computes, each statement of the others' would take several times as long.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

PAUSE = 0.002
"""Seconds between two looks whether others are still worked on."""
LONGEST = 1.0
"""Seconds that a request steps aside in all: where many are served, the others never end."""


class Precedence:
    """The requests that go first, counted. Only the server's event loop changes it."""

    def __init__(self) -> None:
        self.first = 0

    @contextmanager
    def last(self) -> Iterator[None]:
        """Let the present request go last, in this task and in the threads that work for it."""
        before = _last.set(_Last(self))
        try:
            yield
        finally:
            _last.reset(before)


class _Last:
    """A request that goes last, and how many seconds it still steps aside."""

    def __init__(self, precedence: Precedence) -> None:
        self._precedence, self._left = precedence, LONGEST

    def wait(self) -> None:
        while self._precedence.first and self._left > 0:
            time.sleep(PAUSE)
            self._left -= PAUSE


_last: ContextVar[_Last | None] = ContextVar("last", default=None)


def step_aside() -> None:
    """Wait while requests that go first are worked on, where the present one goes last; else return at once."""
    if (last := _last.get()) is not None:
        last.wait()
