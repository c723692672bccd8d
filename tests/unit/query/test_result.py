"""The form of an answer: windows in the tenant's zone, details on request, and the reason of a null."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hubbub.calculations import Change
from hubbub.metrics.definition import Unit
from hubbub.model.question import Question
from hubbub.model.tenant import Tenant
from hubbub.query.freshness import fresh
from hubbub.query.result import Answer, Column, Compared, Rows, State

START, END = datetime(2026, 8, 1, tzinfo=UTC), datetime(2026, 8, 2, tzinfo=UTC)
FRESH = fresh(Question(("csat",), START, END), Tenant(1, "acme"), END, 0)


def _answer(column: Column, zone: str = "UTC", **options: Any) -> Answer:
    question = Question(("csat",), START, END, by=("channel",))
    return Answer(question, zone, [START], [(None,)], {"csat": column}, FRESH, **options)


def test_rows_are_shown_in_the_tenants_zone() -> None:
    """A row has its window with the offset of that day, its dimensions, and one value per metric."""
    column = Column(Unit.SHARE, [0.5], [1], [2], [2], [State.SETTLED])
    shown = {"window": "2026-08-01T02:00:00+02:00", "channel": None, "csat": 0.5}
    assert _answer(column, "Europe/Rome").public() == Rows([shown], FRESH)


def test_details_and_comparisons_are_in_rows_on_request() -> None:
    """With details every cell has its parts and state; a comparison is in its row."""
    column = Column(Unit.SHARE, [0.5], [1], [2], [2], [State.PROVISIONAL], {0: {"reason": "few"}})
    before = {"csat": Compared(None, Change(None, None, "n/a"))}
    shown = _answer(column, compare=[before]).public(details=True).rows[0]
    assert shown["compare"] == {
        "csat": {"previous": None, "change": {"absolute": None, "relative": None, "label": "n/a"}}
    }
    assert shown["details"]["csat"] == {
        "value": 0.5, "numerator": 1, "denominator": 2, "n": 2, "state": "provisional", "reason": "few",
    }  # fmt: skip


def test_a_null_number_has_its_state() -> None:
    """A deleted number is null with its state beside it."""
    gone = _answer(Column(Unit.SHARE, [None], [None], [None], [None], [State.GONE])).public().rows[0]
    assert (gone["csat"], gone["csat.state"]) == (None, "gone")
