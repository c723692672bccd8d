"""Business hours on five years of a real Slack workspace, recomputed from its files day by day."""

from __future__ import annotations

import statistics
from datetime import date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from hubbub.app import Engine
from hubbub.ingest.sources import slack
from tests.acceptance.conftest import imported, needs, refreshed, total
from tests.acceptance.test_slack import RANGE, R, first_waits, messages, whole_ms

ZONE = ZoneInfo("America/New_York")
WEEK = {day: ["09:00-17:00"] for day in ("monday", "tuesday", "wednesday", "thursday", "friday")}
MEDIAN = 3_258_710
"""Milliseconds; the median over all hours is 12,559,845."""
HOURS = {"versions": [{"valid_from": "2020-01-01", "week": WEEK}]}


def office(asked: datetime, replied: datetime, feasts: frozenset[date] = frozenset()) -> int:
    """Return the milliseconds of a wait from 9 to 17 o'clock in New York, Monday to Friday, without holidays."""
    found, day = timedelta(), asked.astimezone(ZONE).date()
    while day <= replied.astimezone(ZONE).date():
        if day.weekday() < 5 and day not in feasts:
            opens, closes = (datetime.combine(day, time(hour), ZONE).astimezone(asked.tzinfo) for hour in (9, 17))
            found += max(min(replied, closes) - max(asked, opens), timedelta())
        day += timedelta(days=1)
    return whole_ms(found)


@needs(R)
def test_the_median_first_response_is_that_of_the_files(engine: Engine, data: Path) -> None:
    """Count, sum, median and maximum of all 330 first responses in business hours equal a recount, before and after a
    holiday is added. The new calendar folds nothing, and verify finds no difference.
    """
    waits = first_waits(messages(data / R))
    imported(engine, slack.read(data / R), "hours", ZONE.key)
    refreshed(engine)
    assert total(engine, "hours", "first_response_business_ms.p50", *RANGE) is None
    feast = date(2024, 7, 4)
    for feasts in (frozenset[date](), frozenset({feast})):
        holidays: dict[str, list[str]] = {day.isoformat(): [] for day in feasts}
        told = engine.calendar.set("hours", {"versions": [{**HOURS["versions"][0], "holidays": holidays}]})
        assert told.changed_from == (feast if feasts else date(2020, 1, 1))
        mine = [office(*wait, feasts) for wait in waits]
        median = statistics.median(mine)
        assert feasts or median == MEDIAN
        assert total(engine, "hours", "first_response_business_ms.count", *RANGE) == len(mine) == 330
        assert total(engine, "hours", "first_response_business_ms.sum", *RANGE) == sum(mine)
        assert total(engine, "hours", "first_response_business_ms.max", *RANGE) == max(mine)
        assert total(engine, "hours", "first_response_business_ms.p50", *RANGE) == median
        assert engine.refresh("hours")["units"] == {}
    assert engine.verify("hours")["clean"]
