"""Computes answers ahead: after new snapshots, a thread goes through the tenants one by one.

It rests as long as each answer took, so that it uses at most half a processor, and stops after a while: answers would be too old
before anyone asks, and would displace requested ones.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from hubbub.background import Background
from hubbub.query.cached import CachedAnswers, CachedCall
from hubbub.telemetry import log


class Warmer:
    """Computes answers on its own thread, while started; at most `seconds` for one batch of calls."""

    def __init__(self, answers: CachedAnswers, seconds: float) -> None:
        self._answers = answers
        self._seconds = seconds
        self._wanted: queue.Queue[Iterable[Callable[[], CachedCall[Any]]]] = queue.Queue(maxsize=8)
        self._loop = Background("warmer", self._run, wake=self._wake)
        self.start, self.stop = self._loop.start, self._loop.stop

    def want(self, calls: Iterable[Callable[[], CachedCall[Any]]]) -> None:
        """Compute these answers soon; does nothing outside a server, or when too many batches wait already."""
        if self._loop.started and not self._wanted.full():
            self._wanted.put(calls)

    def _wake(self) -> None:
        with suppress(queue.Full):  # then it does not wait
            self._wanted.put_nowait(())

    def _run(self) -> float:
        calls = self._wanted.get()
        until = time.monotonic() + self._seconds
        for call in calls:
            begun = time.monotonic()
            if begun > until or self._loop.stopped:
                break
            try:
                self._answers.answer(call())
            except Exception as error:  # its caller will get the error; the others are computed
                log.warning("an answer could not be computed ahead", error=f"{type(error).__name__}: {error}"[:200])
            self._loop.rest(time.monotonic() - begun)
        return 0.0
