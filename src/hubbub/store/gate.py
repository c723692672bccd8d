"""A gate: many pass at a time, until somebody shuts it and is alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hubbub.errors import StoreBusyError


class Gate:
    """Lets threads pass while it is open. A thread that is inside may pass again, also while others wait for it to leave."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._shut = False
        self._mine = threading.local()

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Be inside; waits while the gate is shut."""
        depth = getattr(self._mine, "depth", 0)
        if not depth:
            with self._changed:
                while self._shut:
                    self._changed.wait()
                self._inside += 1
        self._mine.depth = depth + 1
        try:
            yield
        finally:
            self._mine.depth = depth
            if not depth:
                with self._changed:
                    self._inside -= 1
                    self._changed.notify_all()

    @contextmanager
    def shut(self, patience: float) -> Iterator[None]:
        """Let nobody in and be alone, once all who are inside have left. Raises StoreBusyError after so many seconds."""
        until = time.monotonic() + patience
        with self._changed:
            self._wait(lambda: not self._shut, until)
            self._shut = True
        try:
            with self._changed:
                self._wait(lambda: not self._inside, until)
            yield
        finally:
            with self._changed:
                self._shut = False
                self._changed.notify_all()

    def _wait(self, condition: Callable[[], bool], until: float) -> None:
        if not self._changed.wait_for(condition, max(0.0, until - time.monotonic())):
            raise StoreBusyError("somebody reads or changes the store for minutes; run the same again later")
