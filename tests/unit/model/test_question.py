"""Questions as text: how times and grains are read."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from hubbub.errors import BadQuestionError
from hubbub.model.question import parse_grain, parse_moment
from hubbub.model.window import Grain


def test_a_date_is_a_local_midnight() -> None:
    """A plain date is the tenant's local midnight."""
    assert parse_moment("2026-08-01", "America/New_York") == datetime(2026, 8, 1, 4, tzinfo=UTC)
    assert parse_moment("2026-12-01", "America/New_York") == datetime(2026, 12, 1, 5, tzinfo=UTC)


def test_a_time_needs_its_offset() -> None:
    """A time with an offset is that moment in any zone; one without is refused."""
    assert parse_moment("2026-08-01T09:00:00+02:00", "Asia/Tokyo") == datetime(2026, 8, 1, 7, tzinfo=UTC)
    assert parse_moment("2026-08-01T09:00:00Z", "Asia/Tokyo") == datetime(2026, 8, 1, 9, tzinfo=UTC)
    with pytest.raises(BadQuestionError, match="no offset"):
        parse_moment("2026-08-01T09:00:00", "UTC")


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-13-01", "2026-02-30", "20260801T", "0000-00-00", "99999-01-01"]
)
def test_other_times_are_refused(text: str) -> None:
    """A text that is neither a date nor a time is refused."""
    with pytest.raises(BadQuestionError, match="neither a date"):
        parse_moment(text, "UTC")


def test_grains_are_read_by_name() -> None:
    """Every grain is read by its name, and an unknown one is refused with the list."""
    assert [parse_grain(g.value) for g in Grain] == list(Grain)
    with pytest.raises(BadQuestionError, match="hour, day, week, month, total"):
        parse_grain("year")
