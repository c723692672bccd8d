"""Effects of gaps on an answer, against a model that checks every minute."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.metrics.catalogue import find
from hubbub.metrics.definition import Unit
from hubbub.model.coverage import Feed, Gap, Reason
from hubbub.model.question import Question
from hubbub.model.tenant import Tenant
from hubbub.model.window import Window
from hubbub.query.freshness import AnswerGap, fresh
from hubbub.query.gaps import listed, mark, relevant, sentences
from hubbub.query.result import Column, State

ACME = Tenant(1, "acme", "UTC")
START = datetime(2026, 8, 1, tzinfo=UTC)
MINUTES = 24 * 60


def at(minute: int) -> datetime:
    """Return a minute of the day."""
    return START + timedelta(minutes=minute)


def gap(start: int, end: int, *subjects: str, **dims: str) -> Gap:
    """Return a gap between two minutes, of a source with these subjects and dimensions."""
    feed = Feed(frozenset(subjects) or None, {name: frozenset({value}) for name, value in dims.items()})
    return Gap("int_1", "Page", "facebook_page", at(start), at(end), Reason.FAILED, feed)


@given(
    edges=st.lists(st.integers(0, MINUTES), min_size=2, max_size=8, unique=True).map(sorted),
    spans=st.lists(st.tuples(st.integers(-100, MINUTES), st.integers(1, 600)), max_size=5),
    values=st.lists(st.integers(0, 2), min_size=7, max_size=7),
    now=st.integers(1, MINUTES + 100),
)
def test_states_of_windows_follow_their_minutes_in_gaps(
    edges: list[int], spans: list[tuple[int, int]], values: list[int], now: int
) -> None:
    """A window with a minute in a gap is incomplete; it is null if it counts nothing and at least half of its minutes
    so far are in gaps.
    """
    cut = [Window(at(a), at(b)) for a, b in pairwise(edges)]
    gaps = [gap(start, start + length) for start, length in spans]
    numbers = values[: len(cut)]
    column = Column(
        Unit.COUNT, list(numbers), [None] * len(cut), [None] * len(cut), list(numbers), [State.SETTLED] * len(cut)
    )
    question = Question(("messages",), at(edges[0]), at(edges[-1]))
    mark({"messages": column}, [find("messages")], question, cut, [()], gaps, at(now))
    lost = {minute for start, length in spans for minute in range(start, start + length)}
    for number, (first, after) in enumerate(pairwise(edges)):
        minutes = range(first, after)
        so_far = [minute for minute in minutes if minute < now]
        touched = any(minute in lost for minute in minutes)
        unknown = touched and 2 * sum(minute in lost for minute in so_far) >= len(so_far) and not numbers[number]
        state = State.NOT_FETCHED if unknown else State.INCOMPLETE if touched and after <= now else State.SETTLED
        assert (column.states[number], column.values[number]) == (state, None if unknown else numbers[number])


def test_a_gap_affects_only_metrics_of_its_source() -> None:
    """A gap affects metrics of its source's subjects and filters of its dimensions; a source without either affects all."""
    posts, anything = gap(0, 60, "content", "metric", channel="facebook"), gap(0, 60)
    metrics = [find("messages"), find("events")]
    assert relevant([posts], metrics[:1], Question(("messages",), at(0), at(60))) == []
    assert relevant([posts, anything], metrics, Question(("messages", "events"), at(0), at(60))) == [posts, anything]
    assert relevant([posts], metrics, Question(("events",), at(0), at(60), where={"channel": ("sms", "(none)")})) == []
    assert relevant([posts], metrics, Question(("events",), at(60), at(90))) == []


def test_adjacent_gaps_of_a_reason_are_listed_as_one() -> None:
    """Adjacent gaps with the same reason are listed as one, cut to the question; its sentence names source and reason."""
    question = Question(("messages",), at(30), at(200))
    (one,) = listed([gap(60, 120), gap(0, 60)], question, ACME)
    assert (datetime.fromisoformat(one.from_), datetime.fromisoformat(one.to)) == (at(30), at(120))
    assert len(listed([gap(60, 120), gap(0, 59)], question, ACME)) == 2
    (sentence,) = sentences(replace(fresh(question, ACME, at(300), 0), gaps=[one]))
    assert "did not answer" in sentence
    assert sentence.startswith("Page is not complete from ")


@pytest.mark.parametrize(
    ("start", "end", "words"),
    [
        ("2026-11-29T12:38:11.5+01:00", "2026-11-29T19:38:00+01:00", "from Sun 29 Nov 2026, 12:38 to 19:38"),
        (
            "2026-11-29T12:38:00+01:00",
            "2026-12-01T00:00:00+01:00",
            "from Sun 29 Nov 2026, 12:38 to Tue 1 Dec 2026, 00:00",
        ),
        ("2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00", "on Sun 25 Oct 2026"),
        ("2026-10-23T00:00:00+02:00", "2026-10-28T00:00:00+01:00", "from Fri 23 Oct 2026 to Tue 27 Oct 2026"),
    ],
)
def test_a_gap_of_whole_days_is_written_as_days(start: str, end: str, words: str) -> None:
    """Whole days are written with their last day, also over a clock change; other ranges to the minute, one day once."""
    lost = AnswerGap("Page", "i", "slack", start, end, Reason.DOWN.value, "no server was running", None)
    (sentence,) = sentences(replace(fresh(Question(("messages",), at(0), at(60)), ACME, at(300), 0), gaps=[lost]))
    assert sentence == f"Page is not complete {words}: no server was running"
