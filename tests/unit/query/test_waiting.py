"""Waiting conversations, ordered by the time past their target."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from hubbub.errors import BadQuestionError
from hubbub.model.event import Event
from hubbub.model.question import Question
from hubbub.model.target import Aim, Target
from hubbub.model.tenant import Tenant
from hubbub.query.waiting import Live, countdown, live
from tests.laws.conftest import Lab

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
TARGETS = (
    Target(id="all", aim=Aim.NEXT_RESPONSE, minutes=15, channel="sms", valid_from=date(2026, 1, 1)),
    Target(id="mail", aim=Aim.NEXT_RESPONSE, minutes=240, channel="mail", valid_from=date(2026, 1, 1)),
    Target(id="first", aim=Aim.FIRST_RESPONSE, minutes=10, channel="mail", valid_from=date(2026, 1, 1)),
)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """An empty laboratory at noon."""
    made = Lab(tmp_path)
    made.empty()
    made.now = NOW
    yield made
    made.store.close()


def told(lab: Lab, targets: tuple[Target, ...], **where: tuple[str, ...]) -> Live:
    """Return the live answer for three waiting conversations and an answered one, under these targets."""
    tenant: Tenant = replace(lab.tenant(), targets=targets)
    for name, channel, minutes in (("old", "web", 600), ("near", "sms", 12), ("over", "mail", 20), ("done", "sms", 30)):
        lab.send(tenant, [_event("message.received", name, channel, minutes)])
    lab.send(tenant, [_event("message.sent", "done", "sms", 1)])
    return live(lab.queries, tenant, Question((), NOW - timedelta(days=1), NOW, where=where))


def _event(type_: str, name: str, channel: str, minutes: float) -> Event:
    return Event(
        type=type_, time=NOW - timedelta(minutes=minutes), id=f"{type_}-{name}", conversation_id=name, channel=channel
    )


def test_the_furthest_past_its_target_comes_first(lab: Lab) -> None:
    """Conversations past their target come first, then those with time left, then those without a target; a first
    response has its own target.
    """
    found = told(lab, TARGETS)
    assert (found.waiting, found.past_target) == (3, 1)
    assert [(one.conversation_id, one.countdown, one.target_minutes) for one in found.rows] == [
        ("over", "10 min over", 10),
        ("near", "3 min left", 15),
        ("old", None, None),
    ]
    assert [one.waited_ms for one in found.rows] == [1_200_000, 720_000, 36_000_000]


def test_without_targets_the_longest_waits_first(lab: Lab) -> None:
    """Without targets the longest waiting comes first, and the number past target is null."""
    found = told(lab, ())
    assert (found.past_target, [one.conversation_id for one in found.rows]) == (None, ["old", "over", "near"])


def test_waiting_conversations_are_filtered_and_limited(lab: Lab) -> None:
    """A channel filter applies, and an unknown dimension is refused."""
    assert [one.conversation_id for one in told(lab, TARGETS, channel=("sms",)).rows] == ["near"]
    with pytest.raises(BadQuestionError, match="no dimension 'topic'"):
        told(lab, TARGETS, topic=("x",))


@pytest.mark.parametrize(
    ("over", "words"),
    [
        (-3 * 60_000, "3 min left"), (-2 * 60_000 - 1, "3 min left"), (0, "0 min left"), (1, "under 1 min over"),
        (49 * 60_000 + 59_999, "49 min over"), (177 * 60_000, "2 h 57 min over"), (44 * 3_600_000, "1 d 20 h over"),
    ],
)  # fmt: skip
def test_a_countdown_is_written_in_whole_minutes(over: int, words: str) -> None:
    """A countdown rounds minutes left up and minutes over down."""
    assert countdown(over) == words
