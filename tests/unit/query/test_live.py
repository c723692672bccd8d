"""The present: members of a state, counts by the minute, and shares of a distribution within a limit."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hubbub.errors import BadQuestionError
from hubbub.metrics.definition import WITHIN
from hubbub.model.event import Event
from hubbub.model.question import Question
from hubbub.query.live import Member, Minute, lately, members
from tests.laws.conftest import Lab

NOW = datetime(2026, 5, 6, 12, 0, 30, tzinfo=UTC)
TODAY = Question(("waiting_conversations",), NOW.replace(hour=0, minute=0, second=0), NOW + timedelta(hours=12))
LIMITS = tuple(f"response_ms.{name}" for name in WITHIN)
WAITS = [random.Random(7).choice((1_000, 60_000, 400_000, 5_000_000, 90_000_000)) + n for n in range(60)]


def _ago(minutes: float, type_: str = "message.received", **fields: Any) -> Event:
    return Event(type=type_, id=f"{type_}-{minutes}", time=NOW - timedelta(minutes=minutes), **fields)


EVENTS = [
    _ago(3000, channel="email", conversation_id="old", contact_id="k1"),
    _ago(90, channel="email", conversation_id="answered", contact_id="k2"),
    _ago(80, "message.sent", channel="email", conversation_id="answered", contact_id="k2", staff_id="ada"),
    _ago(20, channel="chat", conversation_id="young", contact_id="k3"),
    _ago(19.9, channel="chat", kind="bot"),
    _ago(10, channel="chat", conversation_id="young", contact_id="k3"),
    _ago(0, "message.sent", channel="email", conversation_id="x", contact_id="k4"),
    _ago(400, "staff.login", staff_id="ada"),
    _ago(300, "staff.login", staff_id="bob"),
    _ago(200, "staff.logout", staff_id="bob"),
]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A laboratory with two tenants: one with conversations, one with reported response times."""
    made = Lab(tmp_path_factory.mktemp("live"))
    made.empty()
    made.now = NOW
    one, other = made.tenant("Europe/Rome"), made.tenant("UTC")
    made.send(one, EVENTS)
    made.send(other, [_ago(6000 + n, "response.time_recorded", conversation_id=f"w{n}", duration_ms=ms, channel=f"c{n % 2}")
                      for n, ms in enumerate(WAITS)])  # fmt: skip
    yield made
    made.store.close()


def _named(lab: Lab, question: Question, **options: Any) -> list[Member]:
    return members(lab.queries, lab.tenants[0], question, **options)


def test_listed_rows_are_as_many_as_the_metric_counts(lab: Lab) -> None:
    """The members of a state are as many as its metric counts, filtered too, the longest waiting first."""
    tenant = lab.tenants[0]
    for where in ({}, {"channel": ("chat",)}, {"channel": ("fax",)}):
        for name in ("waiting_conversations", "open_conversations", "unassigned_conversations"):
            question = replace(TODAY, metrics=(name,), where=where)
            counted = lab.queries.answer(tenant, question).rows[0].cells[name].value
            assert len(_named(lab, question)) == counted
    rows = _named(lab, replace(TODAY, metrics=("oldest_waiting_ms",)))
    assert [(row.id, row.dimensions["channel"]) for row in rows] == [("old", "email"), ("young", "chat")]
    assert rows[1].since == NOW.replace(tzinfo=None) - timedelta(minutes=20)
    assert _named(lab, replace(TODAY, metrics=("oldest_waiting_ms",)), limit=1) == rows[:1]
    assert [row.id for row in _named(lab, replace(TODAY, metrics=("staff_online",)))] == ["ada"]


def test_an_invalid_live_list_is_refused(lab: Lab) -> None:
    """A metric that is no state, an unknown filter, several metrics and a limit out of range are refused."""
    for question in (
        replace(TODAY, metrics=("messages",)),
        replace(TODAY, where={"topic": ("x",)}),
        replace(TODAY, metrics=("open_conversations", "waiting_conversations")),
    ):
        with pytest.raises(BadQuestionError):
            _named(lab, question)
    with pytest.raises(BadQuestionError):
        _named(lab, TODAY, limit=1001)


def test_minutes_add_up_to_the_answer_of_their_range(lab: Lab) -> None:
    """Counts by one and by five minutes add up to the range's answer, with filters and bots."""
    tenant, start = lab.tenants[0], NOW.replace(second=0) - timedelta(minutes=29)
    base = Question(("messages_received", "messages_sent"), start, start + timedelta(minutes=30))
    for question in (base, replace(base, where={"channel": ("chat",)}), replace(base, include_bots=True)):
        whole = lab.queries.answer(tenant, question).rows[0].cells
        for step in (timedelta(minutes=1), timedelta(minutes=5)):
            rows = lately(lab.queries, tenant, question, step)
            assert len(rows) == timedelta(minutes=30) / step
            for name in question.metrics:
                assert sum(row.values[name] for row in rows) == whole[name].value
    rows = lately(lab.queries, tenant, base)
    assert [row.window[:16] for row in rows if row.values["messages_received"]] == [
        "2026-05-06T13:40",
        "2026-05-06T13:50",
    ]
    assert rows[-1] == Minute("2026-05-06T14:00:00+02:00", {"messages_received": 0, "messages_sent": 1})


def test_only_counts_are_given_by_minute(lab: Lab) -> None:
    """Rates, splits, mixed metrics and long ranges are refused."""
    base = Question(("messages",), NOW - timedelta(minutes=5), NOW)
    for question in (
        replace(base, metrics=("csat",)),
        replace(base, by=("channel",)),
        replace(base, metrics=("messages", "responses")),
        replace(base, start=NOW - timedelta(days=9)),
    ):
        with pytest.raises(BadQuestionError):
            lately(lab.queries, lab.tenants[0], question)


def test_a_limit_divides_a_distribution(lab: Lab) -> None:
    """A share within a limit counts values up to and including it; without values it is null."""
    tenant = lab.tenants[1]
    question = Question(LIMITS, NOW - timedelta(days=10), NOW, by=("channel",))
    for row in lab.queries.answer(tenant, question).rows:
        mine = [ms for n, ms in enumerate(WAITS) if f"c{n % 2}" == row.dims["channel"]]
        for name, limit in WITHIN.items():
            cell = row.cells[f"response_ms.{name}"]
            assert (cell.numerator, cell.n) == (sum(ms <= limit for ms in mine), len(mine))
            assert cell.value == sum(ms <= limit for ms in mine) / len(mine)
    fast = Question(LIMITS, NOW - timedelta(days=1), NOW)
    assert [cell.value for cell in lab.queries.answer(tenant, fast).rows[0].cells.values()] == [None] * len(LIMITS)
