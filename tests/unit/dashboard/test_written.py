"""Values, counts and changes in readable words."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from hubbub.dashboard.ask import Ask
from hubbub.dashboard.components import Column, Table
from hubbub.dashboard.labelled import LABELS
from hubbub.dashboard.names import named, with_names
from hubbub.dashboard.written import written
from hubbub.metrics.wording import COMMON, SLACK, WORDINGS
from hubbub.model.question import NONE
from hubbub.reports.formatting import changed, of_few


@pytest.mark.parametrize(
    ("dimension", "value", "words"),
    [
        ("topic", "late_check_in", "late check in"), ("intent", "book_room", "book room"), ("topic", "___", "___"),
        ("channel_id", "front_desk", "front_desk"), ("topic", NONE, "no topic"), ("staff_id", NONE, "no known person"),
        ("channel_id", NONE, "no room"),
    ],
)  # fmt: skip
def test_values_are_written_as_words(dimension: str, value: str, words: str) -> None:
    """Topics and intents lose their underscores, ids stay as they are, and a missing value has a name."""
    assert written(WORDINGS[COMMON], dimension, value) == words


def test_labels_of_a_row_are_written_as_words() -> None:
    """The cell with all labels of a row loses its underscores on a page, as topics do; the CSV keeps the labels as given."""
    ask = cast(Ask, SimpleNamespace(in_words=str))
    table = Table(LABELS, [{"labels": "late_check_in, negative"}, {"labels": None}])
    shown = named(ask, table)
    assert shown is not None and [row["labels"] for row in shown.rows] == ["late check in, negative", None]
    assert [row["labels"] for row in with_names(ask, table)] == ["late_check_in, negative", None]


def test_a_missing_value_of_any_dimension_is_written_as_words() -> None:
    """A table's missing reason of a hand-off is "no reason", though no filter has that dimension; other reasons stay as given."""
    called = SimpleNamespace(in_words=str, wording=WORDINGS[COMMON], called=lambda _: {})
    table = Table([Column("reason", "Reason")], [{"reason": NONE}, {"reason": "not_understood"}])
    shown = named(cast(Ask, called), table)
    assert shown is not None and [row["reason"] for row in shown.rows] == ["no reason", "not_understood"]


def test_a_missing_value_is_named_in_the_tenants_words() -> None:
    """A missing value is named in the tenant's words."""
    assert written(WORDINGS[SLACK], "channel_id", NONE) == "no channel"


@pytest.mark.parametrize(
    ("value", "n", "unit", "words"),
    [
        (2 / 3, 3, "share", "2 of 3"), (0.0, 4, "share", "0 of 4"), (0.5, 5, "share", ""), (None, 3, "share", ""),
        (3.0, 3, "count", ""), (0.5, None, "share", ""), (0.5, 0, "share", ""),
    ],
)  # fmt: skip
def test_a_share_of_few_is_a_count(value: float | None, n: int | None, unit: str, words: str) -> None:
    """A share of fewer than five things is written as "n of m"."""
    assert of_few(value, n, unit) == words


@pytest.mark.parametrize(
    ("absolute", "relative", "words"),
    [(2, 0.004, "+2"), (2, 0.005, "+2 (+0%)"), (2, 0.006, "+2 (+1%)"), (-3, -0.3, "−3 (−30%)")],
)
def test_a_change_that_rounds_to_0_percent_is_left_out(absolute: float, relative: float, words: str) -> None:
    """A relative change that rounds to 0 % is left out."""
    assert changed(absolute, relative, "count") == words.replace(" (+0%)", "")
