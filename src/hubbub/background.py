"""Repeated work on its own thread, until it is stopped."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Sequence


class Background:
    """A daemon thread that calls `work` repeatedly. `work` returns the seconds until its next call, and handles its own errors.

    `ended` is called on the thread after the last call. `stop` calls `wake`, which should end a wait inside `work`.
    """

    def __init__(
        self, name: str, work: Callable[[], float], ended: Callable[[], None] = lambda: None,
        wake: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        self._name, self._work, self._ended, self._wake = name, work, ended, wake
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread unless it runs; after a stop it can be started again."""
        if self.started and self.is_alive:
            return
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, name=f"hubbub-{self._name}", daemon=True)
        self._thread.start()

    def stop(self, seconds: float = 10.0) -> None:
        """Stop after the running call, and wait for it up to `seconds`."""
        self._stop.set()
        self._wake()
        if self._thread is not None:
            self._thread.join(seconds)

    @property
    def started(self) -> bool:
        """Whether it was started and not stopped since."""
        return self._thread is not None and not self._stop.is_set()

    @property
    def stopped(self) -> bool:
        """Whether it was stopped; long work should check this now and then."""
        return self._stop.is_set()

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def rest(self, seconds: float) -> bool:
        """Wait up to `seconds` within work, or until it is stopped; return whether it was stopped."""
        return self._stop.wait(seconds)

    def _run(self) -> None:
        while not self._stop.is_set() and not self._stop.wait(self._work()):
            pass
        self._ended()


def end(handed_back: Sequence[str]) -> None:
    """End the process at once if jobs were handed back: Python would wait for their threads, which still run."""
    if handed_back:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
