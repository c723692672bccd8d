"""DBOS's log lines in Hubbub's log."""

from __future__ import annotations

import logging

from hubbub.telemetry import log, seldom


class _DbosLines(logging.Handler):
    """Writes DBOS's log lines to Hubbub's log, equal lines at most once a minute."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        """Log a line, unless it was logged within the last minute."""
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
