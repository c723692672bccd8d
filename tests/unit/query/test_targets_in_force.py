"""Targets in force for a series: for each day the only target that judges all counted responses."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.model.calendar import NO_CALENDAR
from hubbub.model.question import Question
from hubbub.model.target import Aim, Target, only_target
from hubbub.model.tenant import KEEP_EVERYTHING, Tenant
from hubbub.model.window import local_midnight
from hubbub.query.targets_in_force import TargetInForce, targets_in_force
from tests.unit.model.test_target import FIRST, targets

ZONE = "Australia/Lord_Howe"
SOME = st.lists(targets(), max_size=5, unique_by=lambda each: (each.aim, each.scope, each.valid_from))


def _asked(
    some: list[Target], metric: str, by: tuple[str, ...] = (), where: dict[str, tuple[str, ...]] | None = None
) -> tuple[TargetInForce, ...]:
    tenant = Tenant(1, "acme", ZONE, "", KEEP_EVERYTHING, NO_CALENDAR, targets=tuple(some))
    start, end = (local_midnight(FIRST + timedelta(days), ZoneInfo(ZONE)) for days in (0, 12))
    question = Question((metric,), start, end, by=by, where=where or {})
    return targets_in_force(tenant, question, [("sms",), ("mail",), (None,), ("sms",)] if by else [()])


def _on(rows: tuple[TargetInForce, ...], day: date, channel: str | None = None) -> list[str]:
    return [row.id for row in rows if row.channel == channel and row.from_ <= day.isoformat() < row.to]


@given(SOME)
def test_each_day_has_the_one_target_that_judges_it(some: list[Target]) -> None:
    """Each day has that target for all channels, for a filtered channel, and for each channel of a split; equal days
    are one row.
    """
    whole, sms = _asked(some, "response_ms.p50"), _asked(some, "response_ms.p50", where={"channel": ("sms",)})
    split = _asked(some, "next_response_within_target", by=("channel",))
    for day in (FIRST + timedelta(n) for n in range(12)):
        of = {channel: only_target(some, Aim.NEXT_RESPONSE, day, channel) for channel in (None, "sms", "mail")}
        ids = {channel: [target.id] if target is not None else [] for channel, target in of.items()}
        assert (_on(whole, day), _on(sms, day)) == (ids[None], ids["sms"])
        assert (_on(split, day, "sms"), _on(split, day, "mail")) == (ids["sms"], ids["mail"])
    for one, other in pairwise(whole):
        assert one.to < other.from_ or (one.to == other.from_ and one.id != other.id)


TARGET = Target(id="t", aim=Aim.NEXT_RESPONSE, minutes=5, business=True, share=0.9, valid_from=FIRST)


@pytest.mark.parametrize(
    ("metric", "by", "where"),
    [
        ("response_ms.p50", (), {}), ("response_business_ms.count", (), {}), ("response_business_ms.within_1h", (), {}),
        ("response_business_ms.sum", (), {}), ("resolution_business_ms.p50", (), {}), ("messages", (), {}),
        ("next_response_breaches", ("priority",), {}), ("next_response_breaches", (), {"channel": ("sms", "mail")}),
    ],
)  # fmt: skip
def test_no_target_is_named_where_none_can_be_drawn(
    metric: str, by: tuple[str, ...], where: dict[str, tuple[str, ...]]
) -> None:
    """No target is given for the other kind of time, for counts, sums, shares within a limit and other metrics, over
    priorities or several channels.
    """
    assert _asked([TARGET], metric, by, where) == ()


def test_a_target_in_force_has_its_days_and_terms() -> None:
    """A target in force has its days clipped to the question, its minutes, business time and wanted share."""
    (row,) = _asked([TARGET], "response_business_ms.p90")
    expected = TargetInForce(
        "response_business_ms.p90", None, "2026-01-01", "2026-01-13", "t", Aim.NEXT_RESPONSE, 5, True, 0.9
    )
    assert row == expected


def test_a_question_of_an_hour_has_its_day() -> None:
    """A range within a local day has that day's target."""
    tenant = Tenant(1, "acme", ZONE, "", KEEP_EVERYTHING, NO_CALENDAR, targets=(TARGET,))
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    (row,) = targets_in_force(tenant, Question(("next_response_breaches",), noon, noon + timedelta(hours=1)), [()])
    assert (row.from_, row.to) == ("2026-03-01", "2026-03-02")
