"""Accepting events: good ones are stored, bad ones are rejected by code and quarantined, in the same batch."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hubbub.clock import fixed
from hubbub.facts.moments import micros
from hubbub.facts.refresh import refresh
from hubbub.ingest.intake import Intake
from hubbub.model.event import Event, Rejection
from hubbub.model.tenant import KEEP_EVERYTHING, Tenant, kept_from
from hubbub.storage.store import Store

NOW = datetime(2026, 8, 1, 12, tzinfo=UTC)
ACME, OTHER = Tenant(1, "acme"), Tenant(2, "other")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Open an empty store."""
    opened = Store(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def intake(store: Store) -> Intake:
    """Return an intake at summer noon, without a cut."""
    return Intake(store, fixed(NOW), lambda _: None)


def event(id_: str | None = None, **fields: object) -> Event:
    """Return a good event of an hour ago, with `fields` changed."""
    plain = Event(type="message.received", time=NOW - timedelta(hours=1), id=id_)
    return msgspec.structs.replace(plain, **fields)


def rows(store: Store, sql: str) -> list[tuple[Any, ...]]:
    """Return stored rows after a refresh."""
    refresh(store)
    with store.facts.read() as reading:
        return reading.rows(sql)


def code(intake: Intake, item: Event, tenant: Tenant = ACME, *, history: bool = False) -> tuple[str, str | None]:
    """Return the code and field of a rejected event; nothing of it may be stored."""
    outcome = intake.accept(tenant, [item], history=history)
    assert outcome.accepted == 0
    return outcome.rejected[0].code, outcome.rejected[0].field


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"type": "message.recieved"}, ("unknown_type", "type")),
        ({"time": datetime(2026, 8, 1, 11)}, ("invalid_time", "time")),  # noqa: DTZ001
        ({"time": NOW + timedelta(hours=25)}, ("in_future", "time")),
        ({"time": datetime(1, 1, 2, tzinfo=UTC)}, ("out_of_range", "time")),
        ({"time": datetime(9999, 12, 30, tzinfo=UTC)}, ("out_of_range", "time")),
        ({"time": NOW - timedelta(days=91)}, ("too_old", "time")),
        ({"channel": "x" * 513}, ("too_long", "channel")),
        ({"contact_id": "a\0b"}, ("invalid_text", "contact_id")),
        ({"contact_id": "a\ud800"}, ("invalid_text", "contact_id")),
        ({"kind": "robot"}, ("invalid_field", "kind")),
        ({"confidence": 1.01}, ("out_of_range", "confidence")),
        ({"confidence": -0.01}, ("out_of_range", "confidence")),
        ({"confidence": float("nan")}, ("out_of_range", "confidence")),
        ({"duration_ms": -1}, ("out_of_range", "duration_ms")),
        ({"duration_ms": 2**62}, ("out_of_range", "duration_ms")),
        ({"duration_ms": 10**400}, ("out_of_range", "duration_ms")),
        ({"revision": 2**63}, ("out_of_range", "revision")),
        ({"scale": 10**400}, ("out_of_range", "scale")),
        ({"value": float("inf")}, ("out_of_range", "value")),
        ({"value": float("nan")}, ("out_of_range", "value")),
        ({"value": 1e19}, ("out_of_range", "value")),
        ({"revision": -1}, ("out_of_range", "revision")),
        ({"scale": 7}, ("out_of_range", "scale")),
        ({"attributes": msgspec.Raw(b"[1]")}, ("invalid_field", "attributes")),
        ({"attributes": msgspec.Raw(b'{"a":"' + b"x" * 16384 + b'"}')}, ("too_long", "attributes")),
        ({"attributes": msgspec.Raw(b'{"a":' + b"[" * 40 + b"]" * 40 + b"}")}, ("too_deep", "attributes")),
    ],
)
def test_a_bad_event_is_refused_by_code_and_field(
    intake: Intake, store: Store, fields: dict[str, object], reason: tuple[str, str]
) -> None:
    """Each fault has a stable code and field, stores no event, and leaves one row in quarantine."""
    assert code(intake, event("e1", **fields)) == reason
    assert rows(store, "SELECT count(*) FROM event") == [(0,)]
    assert rows(store, "SELECT tenant, code, field FROM quarantine") == [(1, *reason)]


@pytest.mark.parametrize(
    "fields",
    [
        {"time": NOW + timedelta(minutes=10)},
        {"time": NOW + timedelta(hours=23, minutes=59)},
        {"time": NOW - timedelta(days=40)},
        {"type": "custom.order.paid"},
        {"channel": "ünï 🎉"},
        {"confidence": 0.0},
        {"confidence": 1.0},
        {"duration_ms": 0},
        {"value": -1e18},
        {"revision": 2**62},
        {"attributes": msgspec.Raw(b'{"a": [1, 2]}')},
    ],
)
def test_events_at_the_limits_are_stored(intake: Intake, fields: dict[str, object]) -> None:
    """Events up to a day in the future, forty days late, and with numbers at their limits are stored."""
    outcome = intake.accept(ACME, [event("e1", **fields)])
    assert (outcome.stored, outcome.rejected) == (1, [])


def test_history_accepts_events_older_than_raw_retention(intake: Intake) -> None:
    """History accepts old events back to the year 2000; a tenant that keeps everything needs no such flag."""
    old = event("e1", time=datetime(2003, 5, 1, tzinfo=UTC))
    assert code(intake, old) == ("too_old", "time")
    assert intake.accept(ACME, [old], history=True).stored == 1
    assert code(intake, event("e2", time=datetime(1999, 12, 31, tzinfo=UTC)), history=True) == ("out_of_range", "time")
    forever = Tenant(3, "forever", "UTC", "", KEEP_EVERYTHING)
    assert intake.accept(forever, [old]).stored == 1


def test_events_before_the_cut_are_too_late(store: Store) -> None:
    """Before the cut an event is too late, even as history; at the cut it is accepted."""
    until = datetime(2026, 7, 1, tzinfo=UTC)
    intake = Intake(store, fixed(NOW), lambda _: until)
    frozen = event("e1", time=datetime(2026, 6, 30, 23, 59, tzinfo=UTC))
    assert code(intake, frozen) == ("too_late", "time")
    assert code(intake, frozen, history=True) == ("too_late", "time")
    assert intake.accept(ACME, [event("e2", time=datetime(2026, 7, 1, tzinfo=UTC))]).stored == 1


def test_too_late_takes_precedence_over_too_old(store: Store) -> None:
    """An event both before the cut and too old is too late, since history would not help."""
    until = datetime(2026, 5, 2, tzinfo=UTC)
    intake = Intake(store, fixed(NOW), lambda _: until)
    assert code(intake, event("e1", time=datetime(2026, 5, 1, tzinfo=UTC))) == ("too_late", "time")
    assert code(intake, event("e2", time=datetime(2026, 5, 2, tzinfo=UTC))) == ("too_old", "time")


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/New_York"])
def test_the_oldest_accepted_time_is_a_local_midnight(intake: Intake, zone: str) -> None:
    """An event at the first kept local midnight is accepted, at any hour of the day; one just before it is too old."""
    tenant = Tenant(1, "acme", zone)
    midnight = kept_from(tenant, 90, NOW)
    assert intake.accept(tenant, [event("e1", time=midnight)]).stored == 1
    before = event("e2", time=midnight - timedelta(microseconds=1))
    assert code(intake, before, tenant) == ("too_old", "time")


def test_one_bad_event_of_a_thousand_is_rejected_alone(intake: Intake, store: Store) -> None:
    """One bad event of a thousand is rejected with its index, and 999 are stored."""
    items: list[Event | Rejection] = [event(f"e{i}") for i in range(1000)]
    items[500] = event("e500", confidence=7.0)
    outcome = intake.accept(ACME, items)
    assert (outcome.stored, [r.index for r in outcome.rejected]) == (999, [500])
    assert rows(store, "SELECT count(*) FROM event") == [(999,)]


def test_a_batch_of_bad_events_is_quarantined_for_replay(intake: Intake, store: Store) -> None:
    """Rejected records are in quarantine as text that can be sent again, unreadable ones included."""
    unread = Rejection(index=0, code="invalid_json", field=None, message="no", raw="{\0")
    intake.accept(ACME, [unread, event("e1", kind="robot")], origin="upload")
    unreadable, robot = rows(store, "SELECT origin, code, raw FROM quarantine ORDER BY id")
    assert unreadable == ("upload", "invalid_json", "{\N{REPLACEMENT CHARACTER}")
    assert msgspec.json.decode(robot[2], type=Event).kind == "robot"


def test_a_lone_surrogate_is_quarantined_as_an_escape(intake: Intake, store: Store) -> None:
    """A record with a lone surrogate can be quarantined, as an escape."""
    intake.accept(ACME, [event("e1", contact_id="a\ud800")])
    assert "\\ud800" in rows(store, "SELECT raw FROM quarantine")[0][0]


def test_quarantine_can_be_left_out(intake: Intake, store: Store) -> None:
    """With `quarantine=False`, as for a replay, a rejection adds no row."""
    outcome = intake.accept(ACME, [event("e1", kind="robot")], quarantine=False)
    assert len(outcome.rejected) == 1
    assert rows(store, "SELECT count(*) FROM quarantine") == [(0,)]


def test_an_error_names_its_line(intake: Intake) -> None:
    """With origins, a rejection's message begins with its record's origin."""
    outcome = intake.accept(ACME, [event("e1"), event("e2", kind="robot")], origins=["a.csv:1", "a.csv:2"])
    assert outcome.rejected[0].message.startswith("a.csv:2: ")


def test_an_unknown_type_is_rejected_with_the_nearest(intake: Intake) -> None:
    """A misspelt type is rejected with the nearest one."""
    assert "'message.received'" in intake.accept(ACME, [event(type="message.recieved")]).rejected[0].message


def test_resent_events_are_duplicates(intake: Intake) -> None:
    """The same id of the same source counts once; of another source or tenant it is another event."""
    assert intake.accept(ACME, [event("e1"), event("e1")]).answer() == {
        "accepted": 1, "duplicates": 1, "corrected": 0, "rejected": [],
    }  # fmt: skip
    assert intake.accept(ACME, [event("e1")]).duplicates == 1
    assert intake.accept(ACME, [event("e1", source="crm")]).stored == 1
    assert intake.accept(OTHER, [event("e1")]).stored == 1


def test_events_without_id_never_collide(intake: Intake, store: Store) -> None:
    """An event without an id gets a new one each time it is sent."""
    assert intake.accept(ACME, [event(), event()]).stored == 2
    assert intake.accept(ACME, [event()]).stored == 1
    assert rows(store, "SELECT count(DISTINCT id) FROM event") == [(3,)]


def test_a_correction_is_accepted_and_counted(intake: Intake) -> None:
    """A higher revision counts as accepted and corrected, not as stored."""
    intake.accept(ACME, [event("e1")])
    outcome = intake.accept(ACME, [event("e1", revision=1)])
    assert (outcome.corrected, outcome.accepted, outcome.stored) == (1, 1, 0)


def test_times_are_stored_in_utc(intake: Intake, store: Store) -> None:
    """Times are converted to UTC, and the time of receipt is the clock's."""
    there = datetime.fromisoformat("2026-08-01T09:30:00.000001+05:45")
    intake.accept(ACME, [event("e1", time=there)])
    assert rows(store, "SELECT time, received_at, source FROM event") == [
        (micros(datetime(2026, 8, 1, 3, 45, 0, 1, tzinfo=UTC)), micros(NOW), "api")
    ]


def test_an_empty_text_is_stored_as_null(intake: Intake, store: Store) -> None:
    """An empty string is stored as null."""
    assert intake.accept(ACME, [event("", channel="", kind="", contact_id=""), event("", channel=None)]).stored == 2
    assert rows(store, "SELECT DISTINCT channel, kind, contact_id FROM event") == [(None, None, None)]


def test_an_empty_batch_has_no_effect(intake: Intake) -> None:
    """An empty batch has no effect."""
    assert intake.accept(ACME, []).answer() == {"accepted": 0, "duplicates": 0, "corrected": 0, "rejected": []}
