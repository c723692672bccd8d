"""The refresh loop: stores, folds and publishes arriving events; in servers as they arrive, in workers every half minute."""

from __future__ import annotations

import time

from hubbub.app import Engine
from hubbub.background import Background
from hubbub.telemetry import log, seldom

STUCK_AFTER = 300.0
REST = 3.0
"""Rest after a refresh, as a multiple of its duration: it leaves the processor to requests and jobs."""
LONGEST_REST = 30.0
PUBLISH_SECONDS = 60.0
"""Seconds between checks for stale published tables."""


class RefreshLoop:
    """Stores, folds and publishes arriving events repeatedly, on its own thread, until stopped.

    Several processes on one folder or database may run it: each skips work that another has done.
    """

    def __init__(self, engine: Engine, pause: float) -> None:
        self._engine = engine
        self._pause = pause
        self._ended = time.monotonic()
        self._published = -PUBLISH_SECONDS
        self._loop = Background("refresh", self._run)
        self.start, self.stop = self._loop.start, self._loop.stop
        self.error: str | None = None

    def alive(self) -> bool:
        """Say whether a refresh ended within the last STUCK_AFTER seconds, or the loop was stopped."""
        return self._loop.stopped or (self._loop.is_alive and time.monotonic() - self._ended < STUCK_AFTER)

    def _run(self) -> float:
        begun, rest = time.monotonic(), REST
        try:
            self._engine.control.follow()
            self._engine.facts.refresh()
            if self._engine.settings.aggregation.enabled and begun - self._published >= PUBLISH_SECONDS:
                self._published = begun
                self._engine.published.publish()
            self.error = None
        except Exception as error:  # the next round may succeed: a full disk is emptied
            self.error, rest = f"{type(error).__name__}: {error}"[:300], 0.0  # a failed refresh mostly waited
            if seldom(("refresh", type(error))):
                log.error("refresh failed", error=self.error)
        took, self._ended = time.monotonic() - begun, time.monotonic()
        return min(max(self._pause, rest * took), LONGEST_REST)
