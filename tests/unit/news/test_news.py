"""An engine's news: worst first, with cause and rows; one sentence on quiet days."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hubbub.app import Engine
from hubbub.errors import BadQuestionError
from hubbub.settings import load

NOW = datetime(2026, 3, 2, tzinfo=UTC)
DAY = timedelta(days=1)
SPAN: dict[str, Any] = {"start": "2026-02-02", "end": "2026-03-02"}


def _rating(at: datetime, number: int, channel: str, stars: float) -> dict[str, Any]:
    survey = f"s{channel}{at:%j}-{number}"
    return {
        "type": "satisfaction.rating_received", "time": at, "id": survey, "survey_id": survey, "channel": channel,
        "value": stars, "contact_id": f"c{number}",
    }  # fmt: skip


def _days(first: int, last: int) -> Iterator[tuple[int, datetime]]:
    """Yield noon of the days from `first` to `last` days ago."""
    for back in range(first, last, -1):
        yield back, NOW - back * DAY + timedelta(hours=12)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """An engine with ten weeks in which four of five ratings are satisfied, in both channels."""
    with closing(Engine(load(data=tmp_path / "data", free_floor_mb=0), lambda: NOW)) as made:
        made.add_tenant("shop", zone="UTC")
        steady = [
            _rating(at, number, channel, 5.0 if (number + back) % 5 else 1.0)
            for back, at in _days(98, 28) for channel in ("web", "mail") for number in range(5)
        ]  # fmt: skip
        made.record("shop", steady, history=True)
        yield made


def _last(engine: Engine, bad: int) -> dict[str, Any]:
    """Record the last four weeks with `bad` of five ratings by web; return the news."""
    made = [
        _rating(at, number, channel, 1.0 if number < (bad if channel == "web" else 1) else 5.0)
        for _, at in _days(28, 0) for channel in ("web", "mail") for number in range(5)
    ]  # fmt: skip
    engine.record("shop", made, history=True)
    found: dict[str, Any] = engine.news("shop", **SPAN)
    return found


def test_a_quiet_month_is_one_line(engine: Engine) -> None:
    """If every number is within its usual range there is no point, and the sentence gives their count."""
    found = _last(engine, 1)
    known = [one for one in found["numbers"] if one["verdict"] == "usual" and not one["dimension"]]
    assert (found["points"], found["rest"]) == ([], "")
    assert found["lead"] == f"Nothing unusual. All {len(known)} numbers are within their usual range."


def test_the_worst_change_is_first_with_its_cause(engine: Engine) -> None:
    """A fall in one channel is a point with size, usual range, n and channel; its numbers equal those of query, changes
    and explain.
    """
    found = _last(engine, 4)
    (point,) = found["points"]
    assert point["head"] == "Satisfaction fell to 50.0%" and point["change"] == "30.0 points less than before"
    assert point["because"] == "all in the channel web" and point["in_words"].endswith("; 280 ratings")
    assert found["lead"] == "Satisfaction fell to 50.0%, 30.0 points less than before; all in the channel web."
    assert (point["way"], point["where"]) == ("worse", {"channel": ["web"]})
    asked = engine.query("shop", metrics=["csat"], **SPAN, details=True)["rows"][0]["details"]["csat"]
    assert (point["value"], point["n"]) == (asked["value"], asked["n"])
    told = engine.changes("shop", metrics="csat", **SPAN)["dimensions"]["channel"]["rows"][0]
    assert {name: point["cause"][name] for name in ("value", "contribution", "n")} == {
        name: told[name] for name in ("value", "contribution", "n")
    }
    assert engine.explain("shop", "csat", **SPAN, where=point["where"])["numerator"] == 28


def test_news_can_be_filtered_and_judge_further_metrics(engine: Engine) -> None:
    """Under a filter, numbers are the filter's, metrics without that dimension are left out, and further metrics can be
    judged.
    """
    _last(engine, 4)
    mail = engine.news("shop", **SPAN, where={"channel": "mail"}, metrics=["ratings"])
    assert mail["points"] == [] and {"csat", "ratings"} <= {one["metric"] for one in mail["numbers"]}
    campaign = engine.news("shop", **SPAN, where={"campaign_id": "x"})
    assert {one["metric"] for one in campaign["numbers"]} == {"delivery_rate"}


def test_future_and_too_long_ranges_have_no_news(engine: Engine) -> None:
    """Future days have no numbers, more than a year is refused, and without earlier weeks the usual is not known yet."""
    assert engine.news("shop", start="2026-04-01", end="2026-04-02")["numbers"] == []
    with pytest.raises(BadQuestionError, match="366 days"):
        engine.news("shop", start="2024-01-01", end="2026-01-01")
    early = engine.news("shop", start="2025-11-24", end="2025-12-01")
    assert early["lead"] == "Too early to say what is usual: that takes four weeks of data before these days."
    assert early["points"] == []
