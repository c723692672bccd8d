"""Times as facts hold them: whole microseconds since 1970 in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

HOUR = 3_600_000_000
DAY = 24 * HOUR
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def micros(moment: datetime) -> int:
    """Return an aware moment as microseconds."""
    return (moment - _EPOCH) // _MICROSECOND


def moment(us: int) -> datetime:
    """Return microseconds as an aware moment in UTC."""
    return _EPOCH + timedelta(microseconds=us)


def in_utc(us: int) -> datetime:
    """Return microseconds as a moment in UTC without a zone, as answers and control data hold it."""
    return moment(us).replace(tzinfo=None)


def rfc3339(us: int) -> str:
    """Return microseconds as text in UTC, like `2026-03-01T09:00:00Z`."""
    return f"{in_utc(us).isoformat()}Z"
