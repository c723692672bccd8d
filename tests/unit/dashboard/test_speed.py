"""Speed: percentiles, the spread of response times and its parts equal the engine's; missing business hours are named."""

from __future__ import annotations

import pytest

from hubbub.dashboard import charts
from hubbub.dashboard.sparks import sparkline
from hubbub.dashboard.speed import BANDS, CARDS, NO_HOURS, STEPS
from hubbub.metrics.definition import WITHIN
from tests.unit.dashboard.busy import EVIL, VIEW, agree, asked, numbers, read, rows
from tests.unit.dashboard.conftest import Pages


def test_numbers_of_speed_are_the_engines(busy: Pages) -> None:
    """Cards, bands and tables equal the engine's answers for the same days and filters."""
    http = busy.sign_in()
    for where in ({}, {"channel": "sms"}, {"staff_id": EVIL}):
        answer = asked(busy.engine, *CARDS, where=where)[0]
        assert numbers(read(http, "/t/a/speed", **VIEW, **where)) == {name: answer[name] for name in CARDS}
    bands = [f"response_ms.{name}" for name in BANDS]
    days = asked(busy.engine, *bands, grain="day")
    shown = rows(http, "/t/a/speed/bands", **VIEW, metric="response_ms.p50")
    assert [[float(row[n]) if row[n] else None for n in bands] for row in shown] == [
        [row[n] for n in bands] for row in days
    ]
    for part, dimension in (("channels", "channel"), ("staff", "staff_id")):
        wanted = [f"response_ms.{name}" for name in ("count", "p50", "p90", "within_1h")]
        table = rows(http, f"/t/a/speed/{part}", **VIEW, metric="response_ms.p50")
        agree(table, asked(busy.engine, *wanted, by=[dimension]), dimension, *wanted)


def test_the_spread_is_all_of_the_waits(busy: Pages) -> None:
    """Bars count every response time once; cumulative shares equal the engine's shares within each limit."""
    http = busy.sign_in()
    found = rows(http, "/t/a/speed/spread", **VIEW, metric="response_ms.p90")
    limits = [f"response_ms.{name}" for name in WITHIN]
    answer = asked(busy.engine, *limits, "response_ms.count")[0]
    assert [row["step"] for row in found] == list(STEPS)
    assert [int(row["n"]) for row in found] == [1, 1, 0, 1, 1, 0, 0]
    assert sum(int(row["n"]) for row in found) == answer["response_ms.count"] == 4
    assert [float(row["upto"]) for row in found] == pytest.approx([*(answer[name] for name in limits), 1.0])
    assert "metric=response_ms.within_1h" in read(http, "/t/a/speed/spread", **VIEW, metric="response_ms.p90")


def test_without_business_hours_the_page_says_so(busy: Pages) -> None:
    """Without business hours the page says so; with them its numbers equal the engine's."""
    http = busy.sign_in()
    assert NO_HOURS in read(http, "/t/a/speed", **VIEW, business="1")
    hours = {"valid_from": "2026-01-01", "week": {"tuesday": ["09:00-18:00"], "wednesday": ["09:00-18:00"]}}
    busy.engine.calendar.set("a", {"versions": [hours]})
    names = [name.replace("_ms", "_business_ms") for name in CARDS]
    shown = numbers(read(http, "/t/a/speed", **VIEW, business="1"))
    assert shown == {name: asked(busy.engine, name)[0][name] for name in names}
    assert shown["response_business_ms.p50"] is not None


def test_the_target_is_a_line_in_steps(busy: Pages) -> None:
    """Each day has the target in force; with several targets that apply there is no line."""
    http = busy.sign_in()

    def drawn(**where: str) -> list[str]:
        return [
            row.get("target", "") for row in rows(http, "/t/a/speed/bands", **VIEW, metric="response_ms.p50", **where)
        ]

    assert not any(drawn())
    busy.engine.targets.add("a", "next_response", 30, valid_from="2026-01-01")
    days = [row["window"] for row in rows(http, "/t/a/speed/bands", **VIEW, metric="response_ms.p50")]
    busy.engine.targets.add("a", "next_response", 20, valid_from=days[1][:10])
    assert {float(text) for text in drawn()[:1]} == {1_800_000}
    assert {float(text) for text in drawn()[1:]} == {1_200_000}
    assert "mark aim" in read(http, "/t/a/speed/bands", **VIEW, metric="response_ms.p50")
    busy.engine.targets.add("a", "next_response", 5, channel="sms", valid_from="2026-01-01")
    assert not any(drawn())
    assert {float(text) for text in drawn(channel="sms")} == {300_000}


def test_filters_that_a_wait_does_not_know_hide_it(busy: Pages) -> None:
    """With a filter by topic no response time is shown, and the page says why."""
    http = busy.sign_in()
    html = read(http, "/t/a/speed", **VIEW, topic="x")
    assert not numbers(html) and "not known by topic" in html
    assert "not known by topic" in read(http, "/t/a/speed/spread", **VIEW, topic="x")


def test_without_replies_each_part_says_so(pages: Pages) -> None:
    """For a tenant without replies, each part says so."""
    http = pages.sign_in()
    for part in ("bands", "spread", "channels", "staff"):
        assert "Nothing in these days and filters." in read(http, f"/t/b/speed/{part}", **VIEW)


def test_parts_name_the_chosen_wait(busy: Pages) -> None:
    """The distribution counts the chosen wait, and titles name it; its axis names what it counts."""
    http = busy.sign_in()
    for wait, title in (("first_response_ms", "First response"), ("response_ms", "Response")):
        view = {**VIEW, "metric": f"{wait}.p50"}
        html = read(http, "/t/a/speed", **view)
        for part in (" over time", ", distribution", " by channel", " by staff"):
            assert f">{title}{part}</h2>" in html
        count = asked(busy.engine, f"{wait}.count")[0][f"{wait}.count"]
        assert sum(int(row["n"]) for row in rows(http, "/t/a/speed/spread", **view)) == count
        assert '"title": "Waits"' in read(http, "/t/a/speed/spread", **view)


def test_a_broken_line_says_why(busy: Pages) -> None:
    """Days without a wait between two with one break the line, and the chart says so; a day alone is a dot."""
    http = busy.sign_in()
    for id_, at in (("b1", "2026-08-03"), ("b2", "2026-08-06")):
        who = {"conversation_id": id_, "contact_id": id_, "channel": "sms"}
        busy.engine.record("a", [
            {"type": "message.received", "time": f"{at}T09:00:00Z", "id": f"{id_}in", **who},
            {"type": "response.staff_sent", "time": f"{at}T09:05:00Z", "id": f"{id_}out", "staff_id": "ada", **who},
        ], history=True)  # fmt: skip
    html = read(http, "/t/a/speed/bands", **VIEW, metric="response_ms.p50")
    assert "The line breaks where a day has no value." in html
    days = read(http, "/t/a/speed/bands", **{"from": "2026-08-03", "to": "2026-08-04"}, metric="response_ms.p50")
    assert "The line breaks" not in days
    assert 'class="lone" d="M' in sparkline([None, 2, None, 3, 4]) and "lone" not in sparkline([None, 3, 4])


def test_an_axis_of_waits_has_a_line_at_each_step() -> None:
    """No tick of a log axis is left out: Vega thins ticks that are more than the wanted number."""
    rows = [
        {"window": f"2026-08-0{day}", "at": "", "a": 90_000 * day, "b": 9_000_000 * day, "a_shown": "", "b_shown": ""}
        for day in (1, 2)
    ]  # fmt: skip
    axis = charts.bands(rows, [("a", "Half"), ("b", "Most")], "ms")["layer"][0]["encoding"]["y"]["axis"]
    assert axis["values"] == [60_000, 600_000, 3_600_000, 36_000_000] and axis["tickCount"] == 4
