"""Satisfaction: ratings equal the engine's, each scale separately."""

from __future__ import annotations

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
