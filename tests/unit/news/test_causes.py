"""Causes: rows of one dimension, each once, never the whole, with a note on what was left out."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from hubbub.metrics.catalogue import METRICS, find, names
from hubbub.metrics.definition import Quantiles
from hubbub.model.target import Aim, Target
from hubbub.news.causes import causes, made_of
from hubbub.query.changes import Changes, Contributions, Part, Periods


def row(value: str | None, before: float, after: float, contribution: float, n: int = 100) -> Part:
    """Return a part as `changes` does."""
    return Part(value, before, after, contribution, 0.0, contribution, n, n)


def answer(difference: float | None, unit: str = "count", **dimensions: list[Part]) -> Changes:
    """Return an answer of `changes`."""
    found = {name: Contributions(rows, None, 0.0) for name, rows in dimensions.items()}
    return Changes("messages", unit, Periods([], []), 0, difference or 0, difference, found)


MAIL = row("email", 100, 200, 100)
WEB = row("web", 500, 510, 10)


def test_a_room_that_is_all_of_a_channel_is_one_cause() -> None:
    """A room that is all of a channel is one cause, with the channel's name."""
    found = causes(
        answer(110, channel=[MAIL, WEB], channel_id=[replace(MAIL, value="reservations"), row("chat", 500, 510, 10)])
    )
    assert [(one.value, one.same) for one in found.rows] == [("reservations", "email")]
    assert found.left_out.endswith("Channels show the same change.")


def test_a_dimension_with_one_row_is_no_cause() -> None:
    """A dimension with one row is no cause, and is not mentioned."""
    found = causes(answer(110, account_id=[row("one", 600, 710, 110)], channel=[MAIL, WEB]))
    assert (found.dimension, [one.value for one in found.rows]) == ("channel", ["email"])
    assert "ccounts" not in found.left_out
    assert causes(answer(110, account_id=[row("one", 600, 710, 110)])).rows == ()


def test_changes_within_chance_are_left_out_and_counted() -> None:
    """Changes within chance are left out and counted; a part of thousands that moved a tenth is a cause."""
    found = causes(answer(110, channel=[MAIL, WEB]))
    assert [one.value for one in found.rows] == ["email"] and found.left_out == (
        "The change of the other channel is not clear by itself."
    )
    rooms = [row("a", 100, 200, 100), row("b", 500, 506, 6), row("c", 500, 504, 4)]
    assert causes(answer(110, channel_id=rooms)).left_out == "None of the 2 other rooms changed clearly by itself."
    shares = [row("a", 0.8, 0.5, -0.1), row("b", 0.8, 0.7, -0.02, n=20)]
    assert [one.value for one in causes(answer(-0.12, "share", channel=shares)).rows] == ["a"]


def test_the_dimension_that_explains_most_is_preferred() -> None:
    """One person who explains everything is preferred to rooms that explain half each; null is no cause."""
    rooms = [row("a", 100, 150, 50), row("b", 100, 150, 50)]
    staff = [row("ada", 100, 200, 100), row(None, 100, 100, 0)]
    assert causes(answer(100, channel_id=rooms, staff_id=staff)).rows[0].value == "ada"
    assert (
        causes(answer(100, channel_id=rooms, staff_id=[row(None, 100, 200, 100), row("b", 1, 1, 0)])).rows[0].value
        == "a"
    )


def test_no_difference_has_no_cause() -> None:
    """Without a difference there is no row and no note."""
    assert causes(answer(None, channel=[])).rows == () and causes(answer(0, channel=[MAIL])).left_out == ""


@pytest.mark.parametrize(
    "name", [name for name in names() if isinstance(METRICS[name.partition(".")[0]][0], Quantiles)]
)
def test_a_percentile_is_explained_by_the_share_within_a_limit(name: str) -> None:
    """A percentile is explained by the share within the tenant's target, else within the nearest limit; all else by itself."""
    (found,) = made_of(name, 70_000, ())
    assert find(found).name == found
    assert (found != name) == (name.rpartition(".")[2] in ("p50", "p90", "p95", "p99"))
    target = Target(aim=Aim.FIRST_RESPONSE, minutes=15, valid_from=date(2026, 1, 1))
    found_first = made_of(name, 70_000, [replace(target, channel="web"), target])
    judged = found != name and name.startswith("first_response_ms.")
    assert found_first == (*(("first_response_within_target",) if judged else ()), found)
    assert made_of(name, 70_000, [replace(target, channel="web")]) == (found,), "a target of some waits"
    assert not found.endswith((".p50", ".p90")) and (found == name or found.endswith(".within_1min"))
