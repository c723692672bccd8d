"""Only changes beyond noise have color on pages of numbers, and shares of few things a day are drawn by week."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import Any

import pytest
from starlette.testclient import TestClient

from hubbub.dashboard import charts
from hubbub.dashboard.sparks import sparkline
from tests.unit.dashboard.busy import read
from tests.unit.dashboard.conftest import Pages
from tests.unit.dashboard.test_overview import _weeks

VIEW = {"from": "2026-07-24", "to": "2026-08-21"}


def spec(http: TestClient, path: str, **view: str) -> dict[str, Any]:
    """Return the drawing of a chart."""
    found = re.search(r'class="spec">(.*?)</script>', read(http, path, **view), re.DOTALL)
    assert found is not None
    drawing: dict[str, Any] = json.loads(unescape(found.group(1)))
    return drawing


def test_a_change_within_its_noise_has_no_color(pages: Pages) -> None:
    """On quiet weeks no change on Satisfaction is red or green."""
    _weeks(pages, 1)
    http = pages.sign_in()
    for part in ("cards", "channels"):
        html = read(http, f"/t/b/satisfaction/{part}", **VIEW)
        assert "change worse" not in html and "change better" not in html


def test_a_change_beyond_its_noise_has_a_color(pages: Pages) -> None:
    """The news' verdict colors cards and rows; a row within its noise has no color."""
    _weeks(pages, 4)
    http = pages.sign_in()
    cards = read(http, "/t/b/satisfaction/cards", **VIEW)
    assert re.search(r'change worse falls">−3\d\.\d points', cards) and "usual " in cards
    rows = read(http, "/t/b/satisfaction/channels", **VIEW)
    assert len(re.findall(r'change worse falls">−\d+\.\d points', rows)) == 1  # of web, not of mail


def test_judged_numbers_are_those_of_the_news(pages: Pages) -> None:
    """The judged numbers of a metric and its slices equal those in the news."""
    _weeks(pages, 4)
    answers, days = pages.engine.answers, ("2026-07-24", "2026-08-21")
    whole = {n.metric: n for n in answers.judged("b", *days, ["csat", "ratings"]).numbers}
    news = {n.metric: n for n in answers.news("b", *days, ["csat", "ratings"]).numbers if n.dimension is None}
    for name, number in whole.items():
        other = news[name]
        assert (number.value, number.usual, number.way, number.previous) == (
            other.value, other.usual, other.way, other.previous,
        )  # fmt: skip
    slices = {n.slice: n for n in answers.judged("b", *days, ["ratings"], by=["channel"]).numbers}
    both = {
        n.slice: n for n in answers.news("b", *days, ["ratings"], by=["channel"]).numbers if n.dimension == "channel"
    }
    assert slices == both and set(slices) == {"web", "mail"}


def test_a_share_of_few_things_is_drawn_by_week(pages: Pages) -> None:
    """Each week is a step with the engine's value, each day with a value a dot with its n, and the page says why."""
    _weeks(pages, 1)
    http, view = pages.sign_in(), {**VIEW, "channel": "web"}
    drawing = spec(http, "/t/b/satisfaction/chart", **view)
    span: dict[str, Any] = {
        "metrics": ["csat"],
        "start": VIEW["from"],
        "end": VIEW["to"],
        "where": {"channel": "web"},
        "details": True,
    }
    weeks, days = (pages.engine.query("b", grain=grain, **span)["rows"] for grain in ("week", "day"))
    assert [row["v"] for row in drawing["data"]["values"]] == [row["csat"] for row in weeks]
    dots = next(
        layer for layer in drawing["layer"] if isinstance(layer["mark"], dict) and layer["mark"]["type"] == "circle"
    )
    told = [(row["v"], row["n"]) for row in dots["data"]["values"]]
    assert len(days) == 28 and [day["window"][:10] for day in days if day["csat"] is None] == ["2026-08-20"]
    assert told == [(day["csat"], day["details"]["csat"]["n"]) for day in days if day["csat"] is not None]
    assert "Drawn by week: a day has 5 on average." in read(http, "/t/b/satisfaction/chart", **view)


@pytest.mark.parametrize(("bad", "words"), [(0, "not over yet"), (40, "below usual so far")])
def test_the_week_in_progress_says_that_it_is_not_over(pages: Pages, bad: int, words: str) -> None:
    """Each day of the week in progress says that its week is not over, or how it is unusual so far, which the legend says, too; the
    days of earlier weeks say neither. No end of a share's usual range is above 100 %.
    """
    _weeks(pages, 1)
    rated = {"type": "satisfaction.rating_received", "time": "2026-08-18T10:00:00Z", "channel": "web", "value": 1}
    pages.engine.record("b", [{**rated, "id": f"bad{number}", "survey_id": f"bad{number}"} for number in range(bad)])
    html = read(pages.sign_in(), "/t/b/satisfaction/chart", **VIEW, channel="web")
    found = re.search(r'class="readings">(.*?)</script>', html, re.DOTALL)
    assert found is not None
    days = [day["lines"] for day in json.loads(unescape(found.group(1)))]
    told = [[line for line in day if "Its week" in line] for day in days]
    assert [words in line for (line,) in told] == [False] * 24 + [True] * 4
    assert ("this week below usual so far" in html) == (bad > 0)
    ranges = [re.findall(r"[\d.]+(?=%)", line) for day in days for line in day if line.startswith("Usual")]
    assert ranges and all(0 <= float(low) <= float(high) <= 100 for low, high in ranges)


def test_waits_have_a_log_scale(busy: Pages) -> None:
    """Response times have a log scale, so that hours in a band do not flatten a median of minutes."""
    drawing = spec(busy.sign_in(), "/t/a/speed/bands", **{"from": "2026-08-01", "to": "2026-08-21"})
    scales = [layer["encoding"]["y"]["scale"] for layer in drawing["layer"] if "y" in layer["encoding"]]
    assert scales and all(scale["type"] == "log" and scale["domain"][0] > 0 for scale in scales)


def test_a_band_is_drawn_where_the_card_names_a_range(pages: Pages) -> None:
    """A sparkline has the usual range only of a card that names one, and the strip says which days each is of."""
    _weeks(pages, 1)
    http = pages.sign_in()
    drawn: dict[tuple[str, str], int] = {}
    for first in ("2026-07-24", "2026-06-15"):  # eight known weeks before, and two
        for page in ("overview", "satisfaction", "contacts", "team"):
            html = read(http, f"/t/b/{page}/cards", **{"from": first, "to": "2026-08-21"})
            cards = re.findall(r'<li class="card.*?</li>', html, re.DOTALL)
            assert cards
            for card in cards:
                named = re.search(r'<p class="n">.*?usual (?:up to )?\d', card, re.DOTALL) is not None
                assert named >= ('class="usual"' in card), card
                drawn[first, page] = drawn.get((first, page), 0) + ('class="usual"' in card)
            note = "Usual: what the weeks before suggest for 28 days. The grey band: for one day."
            assert (note in html) == (first == "2026-07-24" and drawn[first, page] > 0), (page, html)
    assert drawn["2026-07-24", "overview"] > 1 and not any(
        n for (first, _), n in drawn.items() if first == "2026-06-15"
    )
    old = {"from": "2026-06-15", "to": "2026-08-21"}
    assert "usual range not known for 67 days" in read(http, "/t/b/overview/cards", **old)
    chart = read(http, "/t/b/overview/chart", **old, metric="messages")
    assert "usual for a day" in chart  # its later days have four known weeks before them


def test_a_number_that_is_always_0_has_no_range_and_no_line(pages: Pages) -> None:
    """Without a task since last year, tasks completed have neither a sparkline nor a usual range; a drop to 0 has both."""
    _weeks(pages, 1)
    old = {"time": "2025-09-01T09:00:00Z", "task_id": "t1", "staff_id": "ada"}
    made = [{"type": f"task.{what}", "id": what, **old} for what in ("created", "completed")]
    assert not pages.engine.record("b", made, history=True)["rejected"]
    cards = re.findall(r'<li class="card.*?</li>', read(pages.sign_in(), "/t/b/team/cards", **VIEW), re.DOTALL)
    (tasks,) = (card for card in cards if 'data-number="tasks_completed"' in card)
    assert 'data-value="0"' in tasks and "<svg" not in tasks and "usual" not in tasks
    assert not sparkline([0, 0, None], None, [(0.0, 0.0)] * 3)
    assert "usual" in sparkline([0, 0, None], None, [(3.0, 5.0)] * 3)


def _of_days(*values: int, unknown: int | None = None) -> list[dict[str, Any]]:
    """Return rows of a chart for days from 1 August 2026, of which one (`unknown`) has no usual range."""
    usual = [(None, None) if number == unknown else (1, 5) for number in range(len(values))]
    return [
        {"window": f"2026-08-{number + 1:02}T00:00:00+02:00", "at": str(number), "value": value, "low": low, "high": high}
        for number, (value, (low, high)) in enumerate(zip(values, usual, strict=True))
    ]  # fmt: skip


def test_the_outer_bars_are_within_the_plot() -> None:
    """The axis of bars reaches half a window beyond the first and last one's beginning; the axis of lines ends there."""
    days = _of_days(3, 0, 4)
    drawn = charts.over_time(days, [("value", "Messages")], "count", mark="bar", usual=True)
    ends = ["2026-07-31T12:00:00Z", "2026-08-03T12:00:00Z"]
    assert drawn["encoding"]["x"]["scale"]["domain"] == ends
    wash = [row["t"] for row in drawn["layer"][0]["data"]["values"]]
    assert [wash[0], wash[-1]] == ends
    lines = charts.over_time(days, [("value", "Share")], "share", usual=True)
    wash = [row["t"] for row in lines["layer"][0]["data"]["values"]]
    assert [wash[0], wash[-1]] == ["2026-08-01T00:00:00Z", "2026-08-03T00:00:00Z"]


def test_a_usual_range_is_not_drawn_across_a_window_without_one() -> None:
    """Each stretch of windows with a known usual range is an area of its own, which ends half way to the unknown window."""
    drawn = charts.over_time(_of_days(3, 0, 4, 2, unknown=1), [("value", "Messages")], "count", mark="bar", usual=True)
    layer = drawn["layer"][0]
    assert layer["encoding"]["detail"] == {"field": "stretch"}
    first, second = (
        [row["t"][5:16] for row in layer["data"]["values"] if row["stretch"] == number] for number in (0, 1)
    )
    assert first == ["07-31T12:00", "08-01T12:00"]
    assert second == ["08-02T12:00", "08-03T12:00", "08-03T12:00", "08-04T12:00"]
