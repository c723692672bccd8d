"""Posts: the latest reading of each counter, posts with most engagement, and levels, which are never added up."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from hubbub.dashboard.posts import NO_LEVELS, NO_POSTS
from hubbub.errors import BadQuestionError
from hubbub.query.posts import levels, posts
from tests.unit.dashboard.busy import VIEW, asked, read, rows
from tests.unit.dashboard.conftest import NOW, Pages

PAGE: dict[str, Any] = {"source": "facebook", "channel": "facebook"}


def observed(id_: str, days: int, name: str, value: float, account: str = "7", **fields: Any) -> dict[str, Any]:
    """Return a number that was observed some days ago."""
    time = (NOW - timedelta(days=days)).isoformat()
    return {**PAGE, "type": "metric.observed", "time": time, "id": f"{id_}:{name}", "name": name, "value": value,
            "account_id": account, **fields}  # fmt: skip


def counted(
    post: str, days: int, reactions: int, comments: int, account: str = "7", revision: int = 1
) -> list[dict[str, Any]]:
    """Return the counters of a post."""
    numbers = {"num_reactions": reactions, "num_comments": comments, "num_likes": reactions}
    return [
        observed(post, days, name, value, account, message_id=post, revision=revision)
        for name, value in numbers.items()
    ]


@pytest.fixture
def page(pages: Pages) -> Pages:
    """Three posts of two accounts, one of them counted again, and followers on three days."""
    events = [*counted("7_1", 3, 10, 2), *counted("7_2", 2, 4, 1), *counted("8_1", 2, 1, 0, "8")]
    events += [observed(f"7:{days}", days, "page_follows", value) for days, value in ((4, 100), (3, 90), (1, 95))]
    events += [observed("8:4", 4, "page_follows", 900, "8"), *counted("7_2", 2, 30, 5, revision=2)]
    pages.engine.record("a", events)
    pages.engine.cached.drop_all()
    return pages


def test_posts_are_sorted_by_engagement(page: Pages) -> None:
    """Posts are sorted by engagement from the latest counters, without counting likes twice; filters apply."""
    http = page.sign_in()
    table = rows(http, "/t/a/posts/top", **VIEW)
    assert [(row["message_id"], float(row["engagement"])) for row in table] == [("7_2", 35), ("7_1", 12), ("8_1", 1)]
    assert (table[0]["num_reactions"], table[0]["num_shares"]) == ("30", "")
    alone = rows(http, "/t/a/posts/top", **VIEW, account_id="8")
    assert [row["message_id"] for row in alone] == ["8_1"]


def test_engagement_over_time_is_the_engines(page: Pages) -> None:
    """The chart's counters of each day equal the engine's."""
    answer = asked(page.engine, "observed_sum", by=["name"], grain="day")
    expected = {
        (row["window"][:10], row["name"]): row["observed_sum"] for row in answer if row["name"].startswith("num_")
    }
    found = rows(page.sign_in(), "/t/a/posts/chart", **VIEW, grain="day")
    for row in found:
        for name in ("num_reactions", "num_comments"):
            assert float(row[name] or 0) == (expected.get((row["window"][:10], name)) or 0)
    assert sum(float(row["num_reactions"] or 0) for row in found) == 41


def test_a_level_is_its_last_value(page: Pages) -> None:
    """Followers are the last observed value of each step, not a sum; a step without an observation is empty."""
    found = rows(page.sign_in(), "/t/a/posts/levels", **VIEW, grain="day")
    assert [row["level_1"] for row in found if row["level_1"]] == ["100", "90", "95"]
    assert [row["level_0"] for row in found if row["level_0"]] == ["900"]
    weeks = rows(page.sign_in(), "/t/a/posts/levels", **VIEW, grain="week")
    assert [row["level_1"] for row in weeks if row["level_1"]][-1] == "95"


def test_without_posts_each_part_says_what_to_do(pages: Pages) -> None:
    """Without posts each part says what to do; a filter that counters do not know is named, or refused by the functions."""
    http = pages.sign_in()
    assert NO_POSTS in read(http, "/t/b/posts/chart", **VIEW) and NO_POSTS in read(http, "/t/b/posts/top", **VIEW)
    assert NO_LEVELS in read(http, "/t/b/posts/levels", **VIEW)
    assert "not known by staff" in read(http, "/t/b/posts/top", **VIEW, staff_id="x")
    engine, tenant = pages.engine, pages.engine.control.tenant("a")
    with pytest.raises(BadQuestionError):
        levels(engine.queries, tenant, NOW, NOW, {"topic": ["x"]})
    with pytest.raises(BadQuestionError):
        posts(engine.queries, tenant, NOW, NOW, {"topic": ["x"]}, 1)
