"""Days of a report as text: Monday 23 to Sunday 29 November 2026, or 23 – 29 Nov 2026."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta

BEFORE = {"day": "the day before", "week": "the week before", "month": "the month before"}


def long_days(first: date, after: date) -> str:
    """Return the days `[first, after)` as text with weekdays."""
    last = after - timedelta(days=1)
    if first == last:
        return f"{last:%A} {last.day} {last:%B %Y}"
    start = f"{first:%A} {first.day}"
    if first.year != last.year:
        return f"{start} {first:%B %Y} to {last:%A} {last.day} {last:%B %Y}"
    month = f" {first:%B}" if first.month != last.month else ""
    return f"{start}{month} to {last:%A} {last.day} {last:%B %Y}"


def short_days(first: date, after: date) -> str:
    """Return the days `[first, after)` as short text."""
    last = after - timedelta(days=1)
    end = f"{last.day} {last:%b %Y}"
    if first == last:
        return end
    if first.year != last.year:
        return f"{first.day} {first:%b %Y} – {end}"
    return f"{first.day} – {end}" if first.month == last.month else f"{first.day} {first:%b} – {end}"


def span(start: str, end: str) -> str:
    """Return a range of local times (RFC 3339) as text: as days, where it begins and ends at midnight."""
    first, after = datetime.fromisoformat(start), datetime.fromisoformat(end)
    if first.time() == after.time() == time():
        return short_days(first.date(), after.date())
    return f"{start[:16]} to {end[:16]}".replace("T", " ")


def windows_in_words(windows: Sequence[str], step: str) -> list[str]:
    """Return names of windows by their starts (RFC 3339) and step: 14:00, Mon 23 Nov, 23 Nov 2026 or Nov 2026.

    An hour that occurs twice, when clocks are set back, has its offset from UTC behind it.
    """
    names = [_window(datetime.fromisoformat(text), step) for text in windows]
    return [
        f"{name} {text[19:]}" if names.count(name) > 1 and step == "hour" else name
        for name, text in zip(names, windows, strict=True)
    ]


def _window(at: datetime, step: str) -> str:
    if step == "hour":
        return f"{at:%H:%M}"
    if step == "day":
        return f"{at:%a} {at.day} {at:%b}"
    return f"{at:%b %Y}" if step == "month" else f"{at.day} {at:%b %Y}"
