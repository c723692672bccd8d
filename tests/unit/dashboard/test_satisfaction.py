"""Satisfaction: ratings equal the engine's, each scale separately."""

from __future__ import annotations

import re
from datetime import timedelta

from hubbub.dashboard.satisfaction import CARDS, NOT_RATED
from tests.unit.dashboard.busy import VIEW, agree, asked, numbers, read, report, rows
from tests.unit.dashboard.conftest import NOW, Pages


def test_numbers_of_satisfaction_are_the_engines(busy: Pages) -> None:
    """Cards, ratings from 1 to 5, and the tables by channel and staff equal the engine's answers."""
    http = busy.sign_in()
    answer = asked(busy.engine, *CARDS)[0]
    assert numbers(read(http, "/t/a/satisfaction", **VIEW)) == {name: answer[name] for name in CARDS}
    assert (answer["ratings"], answer["csat"]) == (4, 0.75)
    found = rows(http, "/t/a/satisfaction/ratings", **VIEW)
    assert [(row["rating"], int(row["n"]), float(row["share"])) for row in found] == [
        ("1", 1, 0.25), ("2", 0, 0), ("3", 0, 0), ("4", 1, 0.25), ("5", 2, 0.5),
    ]  # fmt: skip
    names = ["ratings", "csat", "rating_avg", "survey_response_rate"]
    for part, dimension in (("channels", "channel"), ("staff", "staff_id")):
        table = rows(http, f"/t/a/satisfaction/{part}", **VIEW)
        agree(table, asked(busy.engine, *names, by=[dimension]), dimension, *names)


def test_the_nps_card_needs_answers_from_0_to_10(busy: Pages) -> None:
    """The card of the 0-to-10 NPS is there only with such answers; it equals the engine's, apart from the other NPS."""
    http = busy.sign_in()
    assert "nps10_score" not in numbers(read(http, "/t/a/satisfaction", **VIEW))
    told = {
        "type": "satisfaction.rating_received",
        "time": NOW.isoformat(),
        "id": "n",
        "survey_id": "n",
        "value": 9,
        "scale": 10,
    }
    busy.engine.record("a", told)
    busy.engine.cached.drop_all()
    shown = numbers(read(http, "/t/a/satisfaction", **VIEW, metric="nps10_score"))
    assert shown["nps10_score"] == 100 and shown["nps_score"] == asked(busy.engine, "nps_score")[0]["nps_score"]


def test_without_ratings_each_part_says_so(pages: Pages) -> None:
    """Without ratings each part says so, and its CSV is not found for that reason; with a filter that ratings do not know, the
    part says that.
    """
    report(pages.engine, "b", "satisfaction")
    http = pages.sign_in()
    for part in ("ratings", "channels", "staff"):
        assert NOT_RATED in read(http, f"/t/b/satisfaction/{part}", **VIEW)
        refused = http.get(f"/t/b/satisfaction/{part}.csv", params=VIEW)
        assert refused.status_code == 404 and NOT_RATED in refused.text
    assert "not known by room" in read(http, "/t/b/satisfaction/ratings", **VIEW, channel_id="x")


def test_ratings_of_few_before_give_no_color(pages: Pages) -> None:
    """Two people fell from only fives to 14 fives of 20. Who had 64 ratings in the eight weeks before is red; who had eight is not:
    ranges of eight and of 20 ratings overlap.
    """
    start = NOW - timedelta(days=27)
    rated = [("sure", 7 * week + 1 + day % 6, 5) for week in range(8) for day in range(8)]
    rated += [("few", 7 * week + 1, 5) for week in range(8)]
    rated += [(who, -number, 5 if number < 14 else 1) for who in ("sure", "few") for number in range(20)]
    made = [
        {
            "type": "satisfaction.rating_received", "time": (start - timedelta(days=ago, minutes=number)).isoformat(),
            "value": value, "id": f"r{number}", "survey_id": f"r{number}", "staff_id": who,
        }
        for number, (who, ago, value) in enumerate(rated)
    ]  # fmt: skip
    assert not pages.engine.record("b", made, history=True)["rejected"]
    days = {"from": f"{start:%Y-%m-%d}", "to": f"{NOW + timedelta(days=1):%Y-%m-%d}", "compare": "previous"}
    html = read(pages.sign_in(), "/t/b/satisfaction/staff", **days)
    of_few, of_sure = (
        re.findall(r'change (\S*) ?\w*">(−\d+\.\d+)', next(row for row in html.split("<tr") if f">{who}<" in row))
        for who in ("few", "sure")
    )
    assert of_sure == [("worse", "−30.0"), ("worse", "−1.20")]
    assert of_few == [("", "−30.0"), ("", "−1.20")]
