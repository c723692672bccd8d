"""A question for metrics, as the command line, Python, HTTP, the dashboard and reports all ask it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import TypeVar
from zoneinfo import ZoneInfo

from hubbub.errors import BadQuestionError
from hubbub.model.window import Grain, local_midnight

NONE = "(none)"
"""The value in filters that stands for a missing dimension value."""

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}\Z")


@dataclass(frozen=True)
class Question:
    """Asks for metrics over `[start, end)` (aware), in windows of a grain, split (`by`) and filtered (`where`) by dimensions."""

    metrics: tuple[str, ...]
    start: datetime
    end: datetime
    grain: Grain = Grain.TOTAL
    by: tuple[str, ...] = ()
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    include_bots: bool = False
    compare: str | None = None
    as_of: datetime | None = None
    """Answer with the events known at this time (aware); None: all."""
    edges: tuple[datetime, ...] = ()
    """Limits of the windows (aware, in order), in place of a grain's; the first is `start`, the last `end`."""


Ordered = TypeVar("Ordered", int, date)


def check_order(start: Ordered, end: Ordered) -> None:
    """Raise BadQuestionError for a range `[start, end)` that is empty: of moments, days or microseconds."""
    if start >= end:
        raise BadQuestionError("'from' must be before 'to': the range is [from, to)")


def parse_range(start: str, end: str, zone: str) -> tuple[datetime, datetime]:
    """Read the two ends of a range, each as `parse_moment`. Raises BadQuestionError, also for an empty range."""
    low, high = parse_moment(start, zone), parse_moment(end, zone)
    check_order(low, high)
    return low, high


def parse_moment(text: str, zone: str) -> datetime:
    """Read a date in the tenant's zone (its local midnight) or an RFC 3339 time; returns UTC. Raises BadQuestionError."""
    try:
        if _DATE.match(text):
            return local_midnight(date.fromisoformat(text), ZoneInfo(zone))
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadQuestionError(f"{text[:60]!r} is neither a date (2026-08-01) nor an RFC 3339 time") from None
    raise BadQuestionError(f"{text[:60]!r} has no offset: write 2026-08-01T09:00:00+02:00, or a plain date")


def parse_date(text: str) -> date:
    """Read a plain date of the years 2000 to 2100; raises BadQuestionError."""
    if _DATE.match(text):
        with suppress(ValueError):
            day = date.fromisoformat(text)
            if 2000 <= day.year <= 2100:
                return day
    raise BadQuestionError(f"{text[:60]!r} is not a date of 2000 to 2100, like 2026-08-01")


def parse_grain(text: str) -> Grain:
    """Read the name of a grain; raises BadQuestionError naming all."""
    try:
        return Grain(text)
    except ValueError:
        raise BadQuestionError(f"grain {text[:40]!r} is not one of {', '.join(Grain)}") from None
