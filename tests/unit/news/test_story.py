"""Stories: a number, its place and a topic of the same days are one sentence if measured so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.app import Engine
from hubbub.news.story import IN_PLACE, SAME_DAYS, in_common
from hubbub.settings import load

NOW = datetime(2026, 3, 2, tzinfo=UTC)
FIRST = datetime(2026, 2, 2, tzinfo=UTC)
"""First of the last four weeks."""
DAY = timedelta(days=1)
A_DAY = 10
"""Ratings a day and channel, of which 2 are usually bad."""
Days = range
"""Days of February."""


@dataclass(frozen=True)
class World:
    """The last four weeks: days of bad ratings by web, days of a topic, and its messages a day in each channel."""

    bad: Days
    topic: Days
    web: int = 8
    mail: int = 0
    mild: Days = range(0)
    """Days on which ratings by web are slightly worse."""


def _events(world: World) -> Iterator[dict[str, Any]]:
    for back in range(98, 0, -1):
        noon = NOW - back * DAY + timedelta(hours=12)
        day = noon.day if noon >= FIRST else 0
        for channel in ("web", "mail"):
            bad = (9 if day in world.bad else 4 if day in world.mild else 2) if channel == "web" else 2
            yield from (_rating(noon, number, channel, bad) for number in range(A_DAY))
            yield _labelled(noon, "booking", 0, channel)
            topics = (world.web if channel == "web" else world.mail) if day in world.topic else 0
            yield from (_labelled(noon, "broken_lift", number, channel) for number in range(topics))


def _rating(at: datetime, number: int, channel: str, bad: int) -> dict[str, Any]:
    survey = f"s{channel}{at:%Y%j}-{number}"
    return {
        "type": "satisfaction.rating_received", "time": at, "id": survey, "survey_id": survey, "channel": channel,
        "value": 1.0 if number < bad else 5.0, "contact_id": f"c{number}",
    }  # fmt: skip


def _labelled(at: datetime, topic: str, number: int, channel: str) -> dict[str, Any]:
    name = f"{topic}{channel}{at:%Y%j}-{number}"
    shared = {
        "time": at,
        "channel": channel,
        "channel_id": f"{channel}-room",
        "conversation_id": name,
        "message_id": name,
    }
    return {**shared, "type": "topic.classified", "id": f"t{name}", "topic": topic, "sentiment": "negative"}


@pytest.fixture
def points(tmp_path: Path) -> Iterator[Callable[[World], list[dict[str, Any]]]]:
    """Return a function that gives the points of a world's four weeks."""
    with closing(Engine(load(data=tmp_path / "data", free_floor_mb=0), lambda: NOW)) as engine:
        engine.add_tenant("shop", zone="UTC")

        def of(world: World) -> list[dict[str, Any]]:
            engine.record("shop", list(_events(world)), history=True)
            answer: dict[str, Any] = engine.news("shop", start=FIRST.date().isoformat(), end=NOW.date().isoformat())
            return list(answer["points"])

        yield of


def _belongs(world: World) -> bool:
    """Whether the topic belongs to the fall, by the specification."""
    all_days, same = set(world.bad) | set(world.topic), set(world.bad) & set(world.topic)
    return len(same) / len(all_days) >= SAME_DAYS and world.web / (world.web + world.mail) >= IN_PLACE


@pytest.mark.parametrize(
    "world",
    [
        pytest.param(World(range(10, 15), range(10, 15)), id="the same days"),
        pytest.param(World(range(10, 16), range(12, 17)), id="more than half in common"),
        pytest.param(World(range(10, 15), range(10, 15), web=8, mail=3), id="mostly in the place"),
        pytest.param(World(range(10, 15), range(14, 19)), id="one day in common"),
        pytest.param(World(range(10, 15), range(20, 25)), id="other days"),
        pytest.param(World(range(10, 15), range(10, 15), web=6, mail=6), id="half elsewhere"),
        pytest.param(World(range(10, 15), range(10, 15), web=0, mail=8), id="elsewhere"),
    ],
)
def test_a_topic_belongs_to_a_number_of_the_same_days_and_place(
    points: Callable[[World], list[dict[str, Any]]], world: World
) -> None:
    """A topic of the same days and place is part of the number's point; any other has its own point."""
    found = points(world)
    fall, *others = found
    assert fall["metric"] == "csat" and fall["cause"]["value"] == "web"
    if _belongs(world):
        assert [point["dimension"] for point in others] == []
        messages = (world.web + world.mail) * len(world.topic)
        assert fall["topic"]["name"] == "broken_lift" and fall["topic"]["messages"] == messages
        room = "" if world.mail else " in web-room"
        assert (
            f"the channel web; at the same time, {messages} messages{room} were about “broken lift”."
            in fall["sentence"]
        )
        assert "because" not in fall["sentence"]
    else:
        assert fall["topic"] is None and "at the same time" not in fall["sentence"]
        (other,) = others
        assert other["slice"] == "broken_lift"
        same = world.bad == world.topic
        assert (fall["burst"]["from"] == other["burst"]["from"]) == ("in the same days" in other["head"]) == same
        assert ("Back to the usual range" in other["in_words"]) != same


def test_a_fall_on_most_days_is_named_with_the_days_of_its_topic(
    points: Callable[[World], list[dict[str, Any]]],
) -> None:
    """A fall on more than half of the days is named with the topic's days, if these carry it."""
    (fall,) = points(World(range(17, 29), range(17, 29), mild=range(13, 17)))
    assert fall["burst"]["from"][:10] == fall["topic"]["from"][:10] == "2026-02-17"
    assert fall["head"].startswith("Satisfaction was low from 17 to 28 February: ")


def test_usual_days_of_a_topic_are_no_days_of_the_fall(points: Callable[[World], list[dict[str, Any]]]) -> None:
    """Days of the topic before and after the fall, with usual ratings, are cut off; the fall is then over."""
    (fall,) = points(World(range(17, 26), range(15, 28), mild=range(11, 15)))
    assert fall["head"].startswith("Satisfaction was low from 17 to 25 February: ")
    assert fall["in_words"].startswith("Back to the usual range since 26 February. ") and not fall["burst"]["lasts"]
    assert (fall["topic"]["from"][:10], fall["topic"]["to"][:10]) == ("2026-02-15", "2026-02-28")


@given(st.integers(0, 20), st.integers(1, 20), st.integers(0, 20), st.integers(1, 20))
def test_the_common_part_of_two_sets_of_days_is_a_share(start: int, length: int, other: int, its: int) -> None:
    """The part in common is that of the sets of days: between 0 and 1, symmetric, and 1 only for equal days."""
    one = (FIRST + start * DAY, FIRST + (start + length) * DAY)
    two = (FIRST + other * DAY, FIRST + (other + its) * DAY)
    left, right = set(range(start, start + length)), set(range(other, other + its))
    part = in_common(one, two)
    assert part == in_common(two, one) and 0 <= part <= 1 and (part == 1) == (left == right)
    if left & right:
        assert part == pytest.approx(len(left & right) / len(left | right))
    else:
        assert part == 0
