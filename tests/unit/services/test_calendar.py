"""Business hours through the engine: set, shown, applied to answers at once, and never stored in facts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from hubbub.app import Engine, open_engine
from hubbub.clock import fixed
from hubbub.errors import BadInputError, NotFoundError
from hubbub.model.calendar import WEEKDAYS
from hubbub.services.calendar import CalendarVersion, CalendarView

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
RANGE: dict[str, Any] = {"start": "2026-11-09", "end": "2026-11-22"}
HOUR = 3_600_000


def office(day: str, hours: str = "09:00-17:00", closed: str | None = None) -> dict[str, Any]:
    """Return a version with these hours from Monday to Friday, and one holiday."""
    return {
        "valid_from": day,
        "week": {name: [hours] for name in WEEKDAYS[:5]},
        "holidays": {closed: []} if closed else {},
    }


def talk(number: int, asked: str, answered: str) -> list[dict[str, Any]]:
    """Return a conversation of a question and its answer, at local times of Berlin in winter."""
    return [
        {"type": type_, "time": f"{time}:00+01:00", "id": f"{type_}-{number}", "conversation_id": f"c{number}"}
        for type_, time in (("message.received", asked), ("message.sent", answered))
    ]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """An engine with three waits of 17, 41 and 65 hours, over one and more nights."""
    with open_engine(tmp_path, clock=fixed(NOW), free_floor_mb=0) as made:
        made.add_tenant("acme", zone="Europe/Berlin")
        made.add_tenant("other", zone="Europe/Berlin")
        for tenant in ("acme", "other"):
            made.record(tenant, talk(1, "2026-11-10T16:00", "2026-11-11T09:00"))
            made.record(tenant, talk(2, "2026-11-16T16:00", "2026-11-18T09:00"))
            made.record(tenant, talk(3, "2026-11-17T16:00", "2026-11-20T09:00"))
        yield made


def waits(engine: Engine, tenant: str = "acme", **question: Any) -> list[Any]:
    """Return the longest wait in business hours by day, in hours, without null days."""
    name = "response_business_ms.max"
    rows = engine.query(tenant, metrics=name, grain="day", **RANGE, **question)["rows"]
    return [row[name] / HOUR for row in rows if row[name] is not None]


def test_a_calendar_is_set_and_shown(engine: Engine) -> None:
    """A set calendar is returned with the zone, and setting returns the day from which numbers change."""
    assert engine.calendar.get("acme") == CalendarView("acme", "Europe/Berlin", [])
    first = office("2026-01-01", closed="2026-12-25")
    assert engine.calendar.set("acme", {"versions": [first]}).changed_from == date(2026, 1, 1)
    assert engine.calendar.get("acme").versions == [CalendarVersion(**first)]
    later = {"versions": [office("2026-11-18", "08:00-17:00"), first]}
    assert engine.calendar.set("acme", later).changed_from == date(2026, 11, 18)
    assert engine.calendar.set("acme", later).changed_from is None
    assert [v.valid_from for v in engine.calendar.get("acme").versions] == ["2026-01-01", "2026-11-18"]
    with pytest.raises(NotFoundError):
        engine.calendar.set("nobody", later)
    with pytest.raises(BadInputError, match=r"versions\[0\]\.week\.monday\[0\]"):
        engine.calendar.set("acme", {"versions": [{"valid_from": "2026-01-01", "week": {"monday": ["9-17"]}}]})
    assert engine.calendar.set("acme", {"versions": []}).versions == []


def test_answers_follow_a_new_calendar_at_once(engine: Engine) -> None:
    """A new version changes waits that ended from its day on, without a calendar they are null, and nothing is folded."""
    assert waits(engine) == []
    engine.calendar.set("acme", {"versions": [office("2026-01-01", closed="2026-11-18")]})
    assert waits(engine) == [1, 9, 9]
    assert waits(engine, "other") == []
    changed = {"versions": [office("2026-01-01", closed="2026-11-18"), office("2026-11-18", "08:00-16:00")]}
    engine.calendar.set("acme", changed)
    assert waits(engine) == [1, 10, 18]
    engine.refresh()
    assert engine.refresh()["units"] == {}
    engine.calendar.set("acme", {"versions": []})
    assert waits(engine) == []
    assert engine.refresh()["units"] == {}
    assert engine.verify()["clean"]


def test_a_wait_that_began_before_the_calendar_has_no_value(engine: Engine) -> None:
    """A wait that began before the calendar's first day is null, and one of that day is counted."""
    engine.calendar.set("acme", {"versions": [office("2026-11-17")]})
    assert waits(engine) == [17]


def test_an_explanation_names_its_calendar(engine: Engine) -> None:
    """An explanation has the versions up to the end of the range, the zone, and the start of each wait; plain metrics
    have no calendar.
    """
    versions = [office("2026-01-01"), office("2026-11-18", "08:00-16:00"), office("2027-01-01")]
    engine.calendar.set("acme", {"versions": versions})
    told = engine.explain("acme", "response_business_ms.avg", RANGE["start"], RANGE["end"])
    assert told["calendar"] == {"zone": "Europe/Berlin", "versions": versions[:2]}
    assert [(r["since"], r["value"] / HOUR) for r in told["events"]["rows"]] == [
        ("2026-11-10T15:00:00Z", 1), ("2026-11-16T15:00:00Z", 10), ("2026-11-17T15:00:00Z", 18),
    ]  # fmt: skip
    assert "calendar" not in engine.explain("acme", "response_ms.avg", RANGE["start"], RANGE["end"])


def test_waits_before_the_cut_are_null_in_business_hours(tmp_path: Path) -> None:
    """Waits before the cut are null under any calendar; those after it follow the present calendar."""
    with open_engine(tmp_path, clock=fixed(datetime(2026, 11, 10, 12, tzinfo=UTC)), free_floor_mb=0) as engine:
        engine.add_tenant("acme", zone="Europe/Berlin")
        engine.calendar.set("acme", {"versions": [office("2026-01-01")]})
        engine.record("acme", talk(1, "2026-11-09T16:00", "2026-11-10T09:00"))
        engine.clock = engine.retained._clock = engine.intake._clock = engine.queries._clock = fixed(NOW)
        engine.record("acme", talk(2, "2026-11-16T16:00", "2026-11-18T09:00"))
        assert waits(engine) == [1, 9]
        engine.tenants.change("acme", retention={"facts": 7})
        (row,) = engine.retention()["rows"]
        assert row["events"] == 2
        engine.calendar.set("acme", {"versions": [office("2026-01-01", "08:00-17:00")]})
        assert waits(engine) == [11]
        assert engine.verify()["clean"]
