"""DBOS's log lines among Hubbub's."""

from __future__ import annotations

import logging

from hubbub.telemetry import log, seldom


class _DbosLines(logging.Handler):
    """Passes DBOS's log lines on, the same line at most once a minute: an unavailable database repeats itself."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a line on, unless it was just logged."""
        if record.getMessage().startswith("Exception encountered in background workflow"):
            return  # a job's failure: its worker logs it
        text = record.getMessage().splitlines()[0][:300]
        if seldom(("jobs database", text[:40])):
            log.warning("jobs database", note=text)


def log_as_ours() -> None:
    """Send DBOS's log lines through Hubbub's log from now on."""
    logger = logging.getLogger("dbos")
    if not any(isinstance(handler, _DbosLines) for handler in logger.handlers):
        logger.handlers, logger.propagate = [_DbosLines()], False
