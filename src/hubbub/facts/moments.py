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
