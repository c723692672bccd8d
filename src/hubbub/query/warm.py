"""Work out answers before somebody asks: when snapshots were made, a thread goes through the tenants one by one.

It rests as long as each took, so that it never has more than half a processor, and it stops after a while: answers that
nobody asked for by then would be too old, and leave no room for those that are.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterable
from typing import Any

from hubbub.background import Background
from hubbub.query.cached import Asked, CachedAnswers
from hubbub.telemetry import log


class Warmer:
    """Works answers out on a thread of its own, while it is started. `seconds`: how long it works on what is wanted at once."""

    def __init__(self, answers: CachedAnswers, seconds: float) -> None:
        self._answers = answers
        self._seconds = seconds
        self._wanted: queue.Queue[Iterable[Callable[[], Asked[Any]]]] = queue.Queue(maxsize=8)
        self._loop = Background("warmer", self._run)
        self.start, self.stop = self._loop.start, self._loop.stop

    def want(self, wanted: Iterable[Callable[[], Asked[Any]]]) -> None:
        """Have these worked out soon; nothing happens where nobody serves, or when there is more to do than can be done."""
        if self._loop.started and not self._wanted.full():
            self._wanted.put(wanted)

    def _run(self) -> float:
        try:
            wanted = self._wanted.get(timeout=0.5)
        except queue.Empty:
            return 0.0
        until = time.monotonic() + self._seconds
        for name in wanted:
            begun = time.monotonic()
            if begun > until or self._loop.stopped:
                break
            try:
                self._answers.answer(name())
            except Exception as error:  # who asks for it will hear of it; the other tenants' are worked out
                log.warning("an answer was not worked out ahead", error=f"{type(error).__name__}: {error}"[:200])
            self._loop.rest(time.monotonic() - begun)
        return 0.0
