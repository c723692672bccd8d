"""Numbers of deliveries: whatever their order, doubles and holes, the ranges are those of the set of numbers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubbub.control.database import Database
from hubbub.control.sequences import Hole, Sequences
from tests.unit.ingest.connectors.conftest import integration

AT = datetime(2026, 8, 20, 10, tzinfo=UTC)
SECOND, WEEK = timedelta(seconds=1), timedelta(days=7)
BOT = integration("telegram", "http://127.0.0.1:9")


@pytest.fixture(scope="module")
def sequences(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sequences]:
    """Open a database of control data."""
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('control')}/control.db")
    yield Sequences(database)
    database.close()


def holes_of(times: dict[int, datetime]) -> list[Hole]:
    """Return the holes in a set of numbers by definition, each with the first receipts of the numbers beside it."""
    return [
        Hole(after - before - 1, *sorted((times[before].replace(tzinfo=None), times[after].replace(tzinfo=None))))
        for before, after in pairwise(sorted(times))
        if after - before > 1
    ]


@settings(deadline=None, max_examples=60)
@given(numbers=st.lists(st.integers(100, 125), max_size=50))
def test_holes_are_the_missing_numbers_of_the_sequence(sequences: Sequences, numbers: list[int]) -> None:
    """In any order and with any doubles, a hole is a missing number between two that came."""
    sequences.forget(BOT.id)
    times: dict[int, datetime] = {}
    for n, number in enumerate(numbers):
        times.setdefault(number, AT + n * SECOND)
        sequences.note(BOT, number, AT + n * SECOND)
    assert sequences.holes(BOT, WEEK) == holes_of(times)


@pytest.mark.parametrize(("later", "first"), [(WEEK, 900), (WEEK, 3), (timedelta(days=30), 900)])
def test_after_a_week_without_any_the_numbers_may_begin_anywhere(
    sequences: Sequences, later: timedelta, first: int
) -> None:
    """Telegram begins at another number, higher or lower, after a quiet week: that is no hole."""
    sequences.forget(BOT.id)
    for number, at in (
        (100, AT),
        (101, AT + SECOND),
        (first, AT + SECOND + later),
        (first + 1, AT + 2 * SECOND + later),
    ):
        sequences.note(BOT, number, at)
    assert sequences.holes(BOT, WEEK) == []
    sequences.note(BOT, first + 4, AT + later + 3 * SECOND)
    assert [hole.count for hole in sequences.holes(BOT, WEEK)] == [2]


def test_sequences_of_two_integrations_are_separate(sequences: Sequences) -> None:
    """One bot's numbers do not affect another's."""
    sequences.forget(BOT.id)
    sequences.note(BOT, 1, AT)
    sequences.note(BOT, 3, AT)
    assert sequences.holes(BOT, WEEK) != []
    sequences.forget("another")
    assert sequences.holes(BOT, WEEK) != []
    sequences.forget(BOT.id)
    assert sequences.holes(BOT, WEEK) == []
