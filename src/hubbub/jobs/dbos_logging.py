"""What DBOS logs, among our own lines."""

from __future__ import annotations

import logging

from hubbub.telemetry import log, seldom


class _DbosLines(logging.Handler):
    """DBOS's own log lines, as ours, the same line at most once a minute: a database that is away repeats itself."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a line on unless it was just said."""
        if record.getMessage().startswith("Exception encountered in background workflow"):
            return  # a job's failure: told by whoever ran it
        text = record.getMessage().splitlines()[0][:300]
        if seldom(("jobs database", text[:40])):
            log.warning("jobs database", note=text)


def log_as_ours() -> None:
    """Have DBOS log through us from now on."""
    logger = logging.getLogger("dbos")
    if not any(isinstance(handler, _DbosLines) for handler in logger.handlers):
        logger.handlers, logger.propagate = [_DbosLines()], False
