"""Targets on pages: set and ended by an admin, the distance to them on the overview, and a countdown on Live."""

from __future__ import annotations

import re
from datetime import timedelta

from tests.unit.api.conftest import NOW
from tests.unit.dashboard.visiting import Visitor

PAGE = "/t/acme/targets"


def wait(visitor: Visitor, minutes: int, answered: int | None = None) -> None:
    """Record a contact who wrote some minutes ago, and was answered after some of them."""
    begun = NOW - timedelta(minutes=minutes)
    event = {"channel": "chat", "conversation_id": f"c-{minutes}", "id": f"q-{minutes}"}
    visitor.engine.record("acme", {**event, "type": "message.received", "time": begun})
    if answered is not None:
        reply = {**event, "type": "message.sent", "time": begun + timedelta(minutes=answered), "id": f"a-{minutes}"}
        visitor.engine.record("acme", reply)


def test_a_target_is_set_shown_and_ended(visitor: Visitor) -> None:
    """The form sets one from today or a day on, and says from when it judges; its button ends it; wrong numbers are named."""
    assert "nothing says how long a wait may be" in visitor.see(PAGE)
    visitor.act(f"{PAGE}/set", PAGE, aim="first_response", minutes="15", share="90", valid_from="2026-01-01")
    (made,) = visitor.engine.targets.of("acme").rows
    assert (made.aim, made.minutes, made.share, made.valid_from) == ("first_response", 15, 0.9, "2026-01-01")
    seen = visitor.see(PAGE)
    assert "15 min around the clock" in seen and "90%" in seen
    assert "whole number" in visitor.act(f"{PAGE}/set", PAGE, aim="resolution", minutes="soon").text
    visitor.act(f"{PAGE}/end", PAGE, target=made.id)
    assert visitor.engine.targets.of("acme").rows[0].valid_to is not None
    assert f'action="{PAGE}/end' not in visitor.page(PAGE)


def test_only_an_admin_sets_targets(visitor: Visitor) -> None:
    """An analyst sees the targets and no form; a form that is sent all the same is refused."""
    visitor.enter("acme", "analyst")
    assert "Set a target" not in visitor.page(PAGE)
    visitor.act(f"{PAGE}/set", "/t/acme/overview", status=403, aim="resolution", minutes="5")
    assert visitor.engine.targets.of("acme").rows == []


def test_the_overview_says_how_far_from_the_target(visitor: Visitor) -> None:
    """With a target for first responses a card has the share within it, and how many points that is from the share wanted."""
    wait(visitor, 60, answered=5)
    wait(visitor, 50, answered=40)
    assert "First response within target" not in visitor.see("/t/acme/overview?range=today")
    visitor.engine.targets.add("acme", "first_response", 15, share=0.9, valid_from="2026-01-01")
    seen = visitor.see("/t/acme/overview?range=today")
    assert "First response within target" in seen and "40.0 points below target · n = 2" in seen


def test_the_news_say_when_a_target_is_missed(visitor: Visitor) -> None:
    """Two of twelve within a target of 90 % stand on top with both figures; one of two may be chance, and is not news."""
    visitor.engine.targets.add("acme", "first_response", 15, share=0.9, valid_from="2026-01-01")
    wait(visitor, 60, answered=5)
    wait(visitor, 50, answered=40)
    assert "Target." not in visitor.see("/t/acme/overview?range=today")
    wait(visitor, 61, answered=5)
    for minute in range(9):
        wait(visitor, 51 + minute, answered=40)
    assert "First response within target: 2 of 12 (16.7%), 90% wanted." in visitor.see("/t/acme/overview?range=today")


def test_live_counts_down(visitor: Visitor) -> None:
    """Who is furthest past the target comes first, in red; less than five minutes left are amber; a bar is as long as
    the used part of the target; a card counts the breaches."""
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
    """What is behind a share within a target, or behind breaches, is a list of waits: each in minutes, not in percent."""
    wait(visitor, 60, answered=5)
    wait(visitor, 50, answered=40)
    visitor.engine.targets.add("acme", "first_response", 15, valid_from="2026-01-01")
    for metric, waited in (("first_response_within_target", "5 min"), ("first_response_breaches", "40 min")):
        seen = visitor.see(f"/t/acme/explain/events?metric={metric}&from=2026-08-20&to=2026-08-21")
        assert waited in seen, seen
