"""The engagement score in SQL is the public function's, for any deeds."""

from __future__ import annotations

from datetime import date, timedelta

import duckdb
from hypothesis import given
from hypothesis import strategies as st

from hubbub import calculations
from hubbub.metrics import engagement
from hubbub.metrics.catalogue import find
from hubbub.metrics.definition import Score

TODAY = date(2026, 8, 1)
DAYS = st.lists(st.tuples(st.integers(0, 400), *([st.integers(0, 9)] * len(engagement.DEEDS))), max_size=8)


@given(days=DAYS, data=st.data())
def test_sql_and_function_agree(days: list[tuple[int, ...]], data: st.DataObject) -> None:
    """Deeds of any kind, count and age give the same score to nine digits, and the very same one in any order of days."""
    days = list({day[0]: day for day in days}.values())
    names = ", ".join(engagement.DEEDS)
    points = engagement.points("r", "r.age")

    def scored(some: list[tuple[int, ...]]) -> int:
        rows = ", ".join(str(day) for day in some) or f"({', '.join(['0'] * (1 + len(engagement.DEEDS)))})"
        sql = f"SELECT {engagement.score(f'sum({points})')} FROM (VALUES {rows}) AS r(age, {names})"
        row = duckdb.execute(sql).fetchone()
        assert row is not None
        return int(row[0])

    deeds = {
        (kind, TODAY - timedelta(days=age)): count
        for age, *counts in days
        for kind, count in zip(engagement.DEEDS.values(), counts, strict=True)
    }
    mine = scored(days)
    truth = calculations.contact_engagement_score(deeds, TODAY).value
    assert abs(mine / engagement.BILLION - truth) < 1e-7
    assert scored(data.draw(st.permutations(days))) == mine


def test_every_deed_of_the_score_has_its_measure() -> None:
    """The kinds of deeds are those of the public function, and the measures those of the declared score."""
    asked = find("contact_engagement_score")
    assert isinstance(asked.metric, Score)
    assert set(engagement.DEEDS) == set(asked.metric.parts)
    assert set(engagement.DEEDS.values()) == set(calculations.DEED_WEIGHTS)
