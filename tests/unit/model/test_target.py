"""The only target of a day: it exists where every wait that begins on that day is judged by it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import product
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from hubbub.model.target import Aim, Target, TargetsOf, only_target

FIRST = date(2026, 1, 1)
DAYS = st.integers(0, 9).map(lambda days: FIRST + timedelta(days))
SCOPES = st.sampled_from([None, None, "sms"]), st.sampled_from([None, None, None, "high"])


@st.composite
def targets(draw: st.DrawFn) -> Target:
    """Draw a target of some days."""
    begins = draw(DAYS)
    ends = draw(st.none() | st.integers(1, 5).map(lambda days: begins + timedelta(days)))
    return Target(
        id=str(draw(st.integers())), aim=draw(st.sampled_from([Aim.NEXT_RESPONSE, Aim.RESOLUTION])), minutes=5,
        channel=draw(SCOPES[0]), priority=draw(SCOPES[1]), valid_from=begins, valid_to=ends,
    )  # fmt: skip


@given(st.lists(targets(), max_size=5, unique_by=lambda each: (each.aim, each.scope, each.valid_from)), DAYS)
def test_the_only_target_judges_every_wait(some: list[Target], day: date) -> None:
    """For all waits or one channel's, it is the target that judges each of them; if they differ, there is none."""
    judges = TargetsOf(some, Aim.NEXT_RESPONSE, ZoneInfo("UTC"))
    noon = int(datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp()) * 1_000_000
    for channel, channels in ((None, ("sms", "mail", None)), ("sms", ("sms",)), ("mail", ("mail",))):
        by_wait = {judges.at(noon, each, priority) for each, priority in product(channels, (None, "high", "low"))}
        expected = by_wait.pop() if len(by_wait) == 1 else None
        assert only_target(some, Aim.NEXT_RESPONSE, day, channel) == expected
