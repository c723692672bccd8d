"""What DBOS logs, among our own lines."""

from __future__ import annotations

import logging
import time

from hubbub.telemetry import log


class _Calm(logging.Handler):
    """DBOS's own log lines, as ours, the same line at most every ten seconds: a database that is away repeats itself."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._said: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a line on unless it was just said."""
        if record.getMessage().startswith("Exception encountered in background workflow"):
            return  # a job's failure: told by whoever ran it
        text, now = record.getMessage().splitlines()[0][:300], time.monotonic()
        if now - self._said.get(text[:40], -60.0) > 10:
            self._said[text[:40]] = now
            log.warning("jobs database", note=text)


def calm() -> None:
    """Have DBOS log through us from now on."""
    logger = logging.getLogger("dbos")
    if not any(isinstance(handler, _Calm) for handler in logger.handlers):
        logger.handlers, logger.propagate = [_Calm()], False
