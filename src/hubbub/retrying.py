"""Pauses before a client sends again: exponential backoff with jitter, or as long as the server asks for."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 60.0
LONGEST_SERVER_PAUSE = 3600.0
"""Seconds: the pause doubles from the first to the longest; a server can ask for up to an hour."""


def retry_after(header: str | None, now: datetime) -> float | None:
    """Return the seconds from `now` in a Retry-After header (seconds or an HTTP date); None without a valid value."""
    if not header:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        when = parsedate_to_datetime(header)
    except (ValueError, TypeError, OverflowError):
        return None
    return max(0.0, (when.replace(tzinfo=when.tzinfo or UTC) - now).total_seconds())


def pause(attempt: int, server: float | None, chance: float) -> float:
    """Return the seconds to wait after failure number `attempt` (from 0); `chance` is random, from 0 to 1.

    The pause doubles from `FIRST_PAUSE` to `LONGEST_PAUSE`; half of it is jitter. With `server`, the seconds that the server asks
    for, it is at least these, up to an hour.
    """
    own = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(attempt, 30)) * (0.5 + 0.5 * chance)
    return own if server is None else min(server, LONGEST_SERVER_PAUSE) + own * 0.5 * chance
