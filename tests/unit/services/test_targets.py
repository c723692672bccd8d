"""Targets through the engine: set, replaced, ended; answers follow at once, and the past stays."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hubbub.app import Engine, open_engine
from hubbub.clock import fixed
from hubbub.errors import BadInputError, NotFoundError

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SHARE = "next_response_within_target"
OPEN = {"versions": [{"valid_from": "2026-01-01", "week": {"monday": ["09:00-17:00"]}}]}


def talk(day: str, waited: int, **more: str) -> list[dict[str, Any]]:
    """Return a question at nine in Berlin and its answer some minutes later."""
    return [
        {"type": "message.received", "time": f"{day}T09:00:00+01:00", "conversation_id": f"c{day}{waited}", **more},
        {
            "type": "message.sent",
            "time": f"{day}T09:{waited:02}:00+01:00",
            "conversation_id": f"c{day}{waited}",
            **more,
        },
    ]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """An engine with answers after 10 and 20 minutes on two days."""
    with open_engine(tmp_path / "data", clock=fixed(NOW)) as opened:
        opened.add_tenant("acme", "Europe/Berlin")
        for day in ("2026-11-10", "2026-11-20"):
            assert opened.record("acme", [*talk(day, 10), *talk(day, 20)])["rejected"] == []
        yield opened


def number(engine: Engine, start: str = "2026-11-09", end: str = "2026-11-22", **more: Any) -> dict[str, Any]:
    """Return the share within the target, with its parts."""
    (row,) = engine.query("acme", [SHARE], start, end, details=True, **more)["rows"]
    details: dict[str, Any] = row["details"][SHARE]
    return details


def test_a_target_counts_at_once(engine: Engine) -> None:
    """Without a target the share is null; a new target of 15 minutes counts at once."""
    none = number(engine)
    assert (none["value"], none["state"]) == (None, "no_target")
    engine.targets.add("acme", "next_response", 15, share=0.9, valid_from="2026-01-01")
    some = number(engine)
    assert (some["value"], some["numerator"], some["denominator"], some["goal"]) == (0.5, 2, 4, 0.9)


def test_a_change_shows_old_and_new_side_by_side(engine: Engine) -> None:
    """The old target judges waits that began before the new one's day, and the new one those from that day on."""
    old = engine.targets.add("acme", "next_response", 15, valid_from="2026-01-01")
    new = engine.targets.add("acme", "next_response", 30, valid_from="2026-11-15")
    both = number(engine)
    assert [(part["id"], part["minutes"], part["within"], part["judged"]) for part in both["targets"]] == [
        (old.id, 15, 1, 2),
        (new.id, 30, 2, 2),
    ]
    assert both["value"] == 3 / 4
    assert number(engine, end="2026-11-15")["value"] == 1 / 2
    listed = engine.targets.of("acme").rows
    assert [(one.id, one.valid_to) for one in listed] == [(old.id, "2026-11-15"), (new.id, None)]


def test_a_removed_target_ends_with_today(engine: Engine) -> None:
    """A removed target ends today and still judges the past; one that began today is deleted."""
    old = engine.targets.add("acme", "next_response", 15, valid_from="2026-01-01")
    today = engine.targets.add("acme", "first_response", 15)
    assert (today.valid_from, engine.targets.remove("acme", today.id).valid_to) == ("2026-11-22", None)
    assert engine.targets.remove("acme", old.id).valid_to == "2026-11-23"
    assert number(engine)["value"] == 0.5
    with pytest.raises(NotFoundError):
        engine.targets.remove("acme", today.id)


def test_the_most_specific_target_wins(engine: Engine) -> None:
    """Channel and priority win over priority, then channel, then all; priorities ignore case."""
    for minutes, channel, priority in ((40, None, None), (30, "sms", None), (5, None, "Urgent"), (15, "sms", "URGENT")):
        engine.targets.add("acme", "next_response", minutes, channel, priority, valid_from="2026-01-01")
    for n, more in enumerate(
        ({}, {"channel": "sms"}, {"severity": "urgent"}, {"channel": "sms", "severity": "urgent"})
    ):
        engine.record("acme", talk(f"2026-11-0{n + 1}", 10, **more))
    parts = number(engine, "2026-11-01", "2026-11-05")["targets"]
    assert sorted(part["minutes"] for part in parts) == [5, 15, 30, 40]
    assert {part["minutes"]: part["within"] for part in parts} == {5: 0, 15: 1, 30: 1, 40: 1}


def test_the_same_day_and_scope_is_replaced(engine: Engine) -> None:
    """A target with the same aim, scope and day replaces the first."""
    engine.targets.add("acme", "resolution", 60, valid_from="2026-11-01")
    new = engine.targets.add("acme", "resolution", 90, valid_from="2026-11-01")
    assert [one.id for one in engine.targets.of("acme").rows] == [new.id]


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"aim": "answer", "minutes": 5}, "aim: 'answer' is not one of first_response, next_response, resolution"),
        ({"aim": "resolution", "minutes": 0}, "minutes: 0 is not from 1"),
        ({"aim": "resolution", "minutes": 5, "share": 1.5}, "share: 1.5"),
        ({"aim": "resolution", "minutes": 5, "channel": "x" * 65}, "channel: 1 to 64"),
        ({"aim": "resolution", "minutes": 5, "business": True}, "business: this tenant has no business hours"),
    ],
)
def test_a_bad_target_is_refused_by_field(engine: Engine, given: dict[str, Any], named: str) -> None:
    """A bad target is refused by field."""
    with pytest.raises(BadInputError, match=named):
        engine.targets.add("acme", **given)


def test_business_minutes_need_hours_and_count_them(engine: Engine) -> None:
    """With business hours on Mondays alone, a wait on Tuesday took no business minute; without a calendar nothing is judged."""
    engine.calendar.set("acme", OPEN)
    engine.targets.add("acme", "next_response", 1, business=True, valid_from="2026-01-01")
    assert number(engine, "2026-11-10", "2026-11-11")["value"] == 1.0
    engine.calendar.set("acme", {"versions": []})
    gone = number(engine, "2026-11-10", "2026-11-11")
    assert (gone["value"], gone["n"]) == (None, 0)
