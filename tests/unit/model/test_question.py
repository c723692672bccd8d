"""Questions and answers in words: how times and grains are read, how rows are shown."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from hubbub.errors import BadQuestionError
from hubbub.model.question import Answer, Cell, Question, Row, parse_grain, parse_moment
from hubbub.model.window import Grain

START, END = datetime(2026, 8, 1, tzinfo=UTC), datetime(2026, 8, 2, tzinfo=UTC)


def test_a_date_is_a_local_midnight() -> None:
    """A plain date is the tenant's own midnight, not that of UTC."""
    assert parse_moment("2026-08-01", "America/New_York") == datetime(2026, 8, 1, 4, tzinfo=UTC)
    assert parse_moment("2026-12-01", "America/New_York") == datetime(2026, 12, 1, 5, tzinfo=UTC)


def test_a_time_needs_its_offset() -> None:
    """A time with an offset is that moment in any zone; one without is refused, with how to write it."""
    assert parse_moment("2026-08-01T09:00:00+02:00", "Asia/Tokyo") == datetime(2026, 8, 1, 7, tzinfo=UTC)
    assert parse_moment("2026-08-01T09:00:00Z", "Asia/Tokyo") == datetime(2026, 8, 1, 9, tzinfo=UTC)
    with pytest.raises(BadQuestionError, match="no offset"):
        parse_moment("2026-08-01T09:00:00", "UTC")


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-13-01", "2026-02-30", "20260801T", "0000-00-00", "99999-01-01"]
)
def test_other_times_are_refused(text: str) -> None:
    """What is neither a date nor a time is refused by name."""
    with pytest.raises(BadQuestionError, match="neither a date"):
        parse_moment(text, "UTC")


def test_grains_are_read_by_name() -> None:
    """Every grain is read by its name, and an unknown one lists them all."""
    assert [parse_grain(g.value) for g in Grain] == list(Grain)
    with pytest.raises(BadQuestionError, match="hour, day, week, month, total"):
        parse_grain("year")


def test_rows_are_shown_in_the_tenants_zone() -> None:
    """A row shows its window with the offset of that day, its dimensions, and one value per metric."""
    row = Row(START, {"channel": None}, {"messages": Cell(3, 3, None, 3)})
    answer = Answer(Question(("messages",), START, END), "Europe/Rome", [row], {"source": "raw"})
    assert answer.public() == {
        "rows": [{"window": "2026-08-01T02:00:00+02:00", "channel": None, "messages": 3}],
        "freshness": {"source": "raw"},
    }


def test_details_and_comparisons_are_shown_when_asked() -> None:
    """With details every cell shows its parts and state; a comparison stands beside its row."""
    cell = Cell(0.5, 1, 2, 2, "provisional", {"reason": "few"})
    row = Row(START, {}, {"csat": cell}, compare={"csat": {"previous": None, "change": None}})
    shown = Answer(Question(("csat",), START, END), "UTC", [row], {}).public(details=True)["rows"][0]
    assert shown["compare"] == {"csat": {"previous": None, "change": None}}
    assert shown["details"]["csat"] == {
        "value": 0.5, "numerator": 1, "denominator": 2, "n": 2, "state": "provisional", "reason": "few",
    }  # fmt: skip
