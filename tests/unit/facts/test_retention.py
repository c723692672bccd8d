"""Where a cut lies, what a dry run counts, and how verify and backfill treat deleted ranges."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hubbub.errors import WindowFrozenError
from hubbub.facts import retention as module
from hubbub.facts.moments import micros, moment
from hubbub.facts.rebuild import backfill
from hubbub.facts.refresh import refresh
from hubbub.facts.retention import cut_at, cut_of, gone_until, retention
from hubbub.facts.verify import verify
from hubbub.ingest.intake import Intake
from hubbub.model.event import Event
from hubbub.model.tenant import Retention, Tenant
from hubbub.storage.store import Store

ROME = Tenant(1, "acme", "Europe/Rome", retention=Retention(raw=10, facts=30))
START = datetime(2026, 3, 20, 12, tzinfo=UTC)


class Place:
    """A store that gets one conversation a day, each on its day."""

    def __init__(self, folder: Path) -> None:
        """Open it."""
        self.store = Store(folder)
        self.now = START
        self.intake = Intake(self.store, lambda: self.now, lambda tenant: gone_until(self.store, tenant.no))

    def day(self, number: int, at: datetime | None = None) -> None:
        """Send one day's question and its answer, at that day's time or at another."""
        self.now = START + timedelta(days=number)
        asked = at or self.now
        fields: dict[str, Any] = {"conversation_id": f"c{number}", "channel": "sms"}
        events = [
            Event(type="message.received", id=f"in {number}", time=asked, **fields),
            Event(type="message.sent", id=f"out {number}", time=asked + timedelta(minutes=5), **fields),
        ]
        assert self.intake.accept(ROME, events, history=True).rejected == []

    def cut(self) -> datetime | None:
        """Return where the cut would be now."""
        refresh(self.store)
        with self.store.facts.read() as reading:
            at = cut_of(reading, ROME, self.now)
        return moment(at) if at is not None else None


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """An empty store."""
    made = Place(tmp_path)
    yield made
    made.store.close()


def test_a_cut_is_a_local_midnight_and_nothing_young_lies_before_it(place: Place) -> None:
    """The cut is 30 local days back, across the clock change; an old event that arrived yesterday holds it back to that event's
    day."""
    for number in range(40):
        place.day(number)
    assert place.cut() == datetime(2026, 3, 28, 23, tzinfo=UTC)
    place.day(40, START + timedelta(days=3))
    assert place.cut() == datetime(2026, 3, 22, 23, tzinfo=UTC)
    place.day(71)
    assert place.cut() == datetime(2026, 4, 29, 22, tzinfo=UTC)
    with place.store.facts.read() as reading:
        assert cut_of(reading, replace(ROME, retention=Retention(facts=None)), place.now) is None


def test_a_dry_run_counts_rows_and_deletes_none(place: Place) -> None:
    """A dry run counts the rows by table that retention then deletes, with a note that their ids name people; a second run deletes
    none."""
    for number in range(40):
        place.day(number)
    (would,) = retention(place.store, [ROME], place.now, dry_run=True)
    (went,) = retention(place.store, [ROME], place.now)
    assert (would.rows, would.gone_until) == (went.rows, None)
    assert (went.rows["event"], went.rows["response"]) == (18, 9)
    assert went.answer()["gone_until"] == "2026-03-28T23:00:00Z"
    assert "ids of contacts" in went.answer()["note"]
    (again,) = retention(place.store, [ROME], place.now)
    assert (set(again.rows.values()), again.answer()["note"]) == ({0}, "")
    assert verify(place.store, [ROME]).clean


def test_nothing_is_deleted_while_units_are_not_folded(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenant with events that are not folded keeps everything, and the row says why."""
    for number in range(40):
        place.day(number)
    refresh(place.store)
    monkeypatch.setattr(module, "refresh", lambda *_: None)
    with place.store.facts.write() as writing:
        writing.run("INSERT INTO todo VALUES ('conversation', 1, 'c1')")
    (row,) = retention(place.store, [ROME], place.now)
    assert (row.rows["event"], row.kept_back) == (0, "not all events are folded yet; refresh first")


def test_backfill_counts_units_and_refuses_ranges_before_the_cut(place: Place) -> None:
    """Backfill counts units by kind, of one fact or all; a range wholly before the cut is refused before anything is folded."""
    for number in range(6):
        place.day(number)
    assert backfill(place.store, [ROME])["conversation"] == 6
    assert set(backfill(place.store, [ROME], fact="survey")) == {"conversation"}
    cut = micros(datetime(2026, 3, 22, 23, tzinfo=UTC))
    cut_at(place.store, ROME, cut)
    with pytest.raises(WindowFrozenError, match="2026-03-22 23:00"):
        backfill(place.store, [ROME], 0, cut)
    assert backfill(place.store, [ROME], 0, cut + 1)


def test_verify_names_differences_and_writes_nothing(place: Place) -> None:
    """Verify finds a changed row, a row without events, an unknown identity and an event from before the cut; backfill repairs the
    rows."""
    for number in range(6):
        place.day(number)
    refresh(place.store)
    assert verify(place.store, [ROME]).clean
    with place.store.facts.write() as writing:
        writing.run("UPDATE response SET asked_at = asked_at - 1 WHERE conversation_id = 'c1'")
        writing.run("UPDATE episode SET conversation_id = 'nobody' WHERE conversation_id = 'c2'")
        writing.run("INSERT INTO kept VALUES (1, 'facts', 0, ?)", (micros(START + timedelta(days=4)),))
    for _ in range(2):
        found = verify(place.store, [ROME])
        assert found.differences == {"response": 1, "episode": 2, "kept": 2}
    assert found.examples["response"] == ["acme: conversation c1"]
    backfill(place.store, [ROME])
    assert set(verify(place.store, [ROME]).differences) == {"kept"}
