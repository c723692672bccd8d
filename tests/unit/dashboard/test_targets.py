"""Targets on pages: an admin sets and ends them, the Overview shows the distance to them, and Live a countdown."""

from __future__ import annotations

import re
from datetime import timedelta

from tests.unit.api.conftest import NOW
from tests.unit.dashboard.visiting import Visitor

PAGE = "/t/acme/targets"


def wait(visitor: Visitor, minutes: int, answered: int | None = None, channel: str = "chat") -> None:
    """Record a message from some minutes ago, and its answer after some minutes if given."""
    begun = NOW - timedelta(minutes=minutes)
    event = {"channel": channel, "conversation_id": f"c-{minutes}", "id": f"q-{minutes}"}
    visitor.engine.record("acme", {**event, "type": "message.received", "time": begun})
    if answered is not None:
        reply = {**event, "type": "message.sent", "time": begun + timedelta(minutes=answered), "id": f"a-{minutes}"}
        visitor.engine.record("acme", reply)


def test_a_target_is_set_shown_and_ended(visitor: Visitor) -> None:
    """The form sets a target from a day on, and its button ends it; a wrong number is refused."""
    assert "nothing says how long a wait may be" in visitor.see(PAGE)
    visitor.act(f"{PAGE}/set", PAGE, aim="first_response", minutes="15", share="90", valid_from="2026-01-01")
    (made,) = visitor.engine.targets.of("acme").rows
    assert (made.aim, made.minutes, made.share, made.valid_from) == ("first_response", 15, 0.9, "2026-01-01")
    seen = visitor.see(PAGE)
    assert "15 min around the clock" in seen and "90%" in seen and "Thu 1 Jan 2026" in seen
    assert "whole number" in visitor.act(f"{PAGE}/set", PAGE, aim="resolution", minutes="soon").text
    visitor.act(f"{PAGE}/end", PAGE, target=made.id)
    assert visitor.engine.targets.of("acme").rows[0].valid_to is not None
    assert f'action="{PAGE}/end' not in visitor.page(PAGE)


def test_only_an_admin_sets_targets(visitor: Visitor) -> None:
    """An analyst has no form, and posting one is refused."""
    visitor.enter("acme", "analyst")
    assert "Set a target" not in visitor.page(PAGE)
    visitor.act(f"{PAGE}/set", "/t/acme/overview", status=403, aim="resolution", minutes="5")
    assert visitor.engine.targets.of("acme").rows == []


def test_the_overview_shows_the_distance_from_the_target(visitor: Visitor) -> None:
    """With a target, a card shows the share within it and the distance in points from the wanted share."""
    wait(visitor, 60, answered=5)
    wait(visitor, 50, answered=40)
    assert "First response within target" not in visitor.see("/t/acme/overview?range=today")
    visitor.engine.targets.add("acme", "first_response", 15, share=0.9, valid_from="2026-01-01")
    seen = visitor.see("/t/acme/overview?range=today")
    assert "First response within target" in seen and "40.0 points below the 90% wanted · n = 2" in seen


def test_a_missed_target_is_news(visitor: Visitor) -> None:
    """Two of twelve within a target of 90 % are news with both figures; one of two may be chance, and is not."""
    visitor.engine.targets.add("acme", "first_response", 15, share=0.9, valid_from="2026-01-01")
    wait(visitor, 60, answered=5)
    wait(visitor, 50, answered=40)
    assert "Target." not in visitor.see("/t/acme/overview?range=today")
    wait(visitor, 61, answered=5)
    for minute in range(9):
        wait(visitor, 51 + minute, answered=40)
    assert "First response within target: 16.7% (2 of 12), below the 90% wanted." in visitor.see(
        "/t/acme/overview?range=today"
    )


def test_a_missed_target_names_where_it_is_missed_most(visitor: Visitor) -> None:
    """Of two channels with enough waits the one with the lower share is named; one with few waits is not."""
    visitor.engine.targets.add("acme", "first_response", 15, share=0.9, valid_from="2026-01-01")
    for minute in range(100, 120):
        wait(visitor, minute, answered=40 if minute % 2 else 5)
        wait(visitor, minute + 100, answered=5, channel="web")
    wait(visitor, 300, answered=40, channel="few")
    seen = visitor.see("/t/acme/overview?range=today")
    assert "First response within target: 73.2% (30 of 41), below the 90% wanted; lowest in chat: 50.0%." in seen


def test_live_counts_down(visitor: Visitor) -> None:
    """The wait furthest past its target comes first, in red; under five minutes left is amber; bars show the used part."""
    wait(visitor, 12)
    wait(visitor, 64)
    visitor.engine.targets.add("acme", "next_response", 15, valid_from="2026-01-01")
    html = visitor.page("/t/acme/live")
    assert html.index("49 min over") < html.index("3 min left")
    assert 'class="number state-bad">49 min over' in html
    assert 'class="number state-warn">3 min left' in html
    assert "Waiting past target" in html
    bars = re.findall(r'(\d+ min (?:over|left))<svg class="bar" aria-hidden="true"><rect width="([\d.]+)%"', html)
    assert bars == [("49 min over", "100.0"), ("3 min left", "80.0")]


def test_the_explanation_writes_waits_as_times(visitor: Visitor) -> None:
    """The events behind a share within target, or behind breaches, show their wait as a duration."""
    wait(visitor, 60, answered=5)
    wait(visitor, 50, answered=40)
    visitor.engine.targets.add("acme", "first_response", 15, valid_from="2026-01-01")
    for metric, waited in (("first_response_within_target", "5 min"), ("first_response_breaches", "40 min")):
        seen = visitor.see(f"/t/acme/explain/events?metric={metric}&from=2026-08-20&to=2026-08-21")
        assert waited in seen, seen
