"""Commands have the options of the routes: details of numbers, metrics of news over time and by dimension, undoing labels."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from hubbub.app import open_engine
from tests.unit.cli.conftest import Run

DAY = ("--tenant", "acme", "--from", "2026-08-01", "--to", "2026-08-02")


def test_a_query_with_details_has_the_parts(loaded: Run) -> None:
    """`--details` adds numerator, denominator, n and state of each number to JSON, and nothing to the table."""
    (row,) = loaded("query", "messages", *DAY, "--details", "--json").told["rows"]
    assert row["details"]["messages"]["n"] == row["messages"]
    assert "details" not in loaded("query", "messages", *DAY, "--details").out


def test_news_judge_metrics_over_time_and_by_dimension(loaded: Run) -> None:
    """`--metric`, `--grain` and `--by` add the course of a metric, and its numbers by value of the dimension."""
    told = loaded(
        "news", *DAY, "--metric", "messages", "--grain", "hour", "--by", "channel", "--include-bots", "--json"
    ).told
    numbers = [number for number in told["numbers"] if number["metric"] == "messages"]
    assert {number["dimension"] for number in numbers if number["dimension"]} == {"channel"}
    assert any(number.get("course") for number in numbers)


def test_a_label_is_given_listed_and_undone(loaded: Run, tmp_path: Path) -> None:
    """`labels reviewed` lists the labels of `labels review --say`; `labels undo` undoes the last one, once."""
    with open_engine(tmp_path / "hubbub-data", free_floor_mb=0) as engine:
        engine.labels.replace("acme", {"topic": {"wifi": {"words": ["wifi"]}, "food": None}})
        engine.record("acme", {
            "type": "message.received", "time": datetime.now(UTC), "id": "text", "attributes": {"text": "no wifi here"},
        })  # fmt: skip
    loaded("labels", "run", "--tenant", "acme")
    loaded("labels", "review", "topic", "--tenant", "acme", "--say", "text=food")
    reviewed = loaded("labels", "reviewed", "topic", "--tenant", "acme", "--json").told
    assert [row["label"] for row in reviewed["rows"]] == ["food"]
    assert loaded("labels", "undo", "topic", "--tenant", "acme", "--json").told["label"] == "food"
    again = loaded("labels", "undo", "topic", "--tenant", "acme")
    assert (again.code, "nothing to undo" in again.err) == (1, True)
