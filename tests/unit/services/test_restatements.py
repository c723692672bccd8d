"""Restatements: the ledger leads from the first numbers to the present ones, is empty without changes, and names no contact."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hubbub.app import Engine
from hubbub.control.restatements import Restatement
from hubbub.errors import BadQuestionError
from hubbub.metrics.catalogue import DEFINITION_VERSION
from hubbub.reports.store import Report
from hubbub.services.restatements import Restated
from hubbub.settings import load
from tests.extent import ALL

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
DAY = timedelta(days=1)
METRICS = ("messages", "active_contacts", "conversations_started", "response_ms.p50", "response_ms.avg", "responses")


class Clocked:
    """An engine with a tenant and a clock that the test moves."""

    def __init__(self, folder: Path) -> None:
        """Open the engine."""
        self.now = NOW
        self.engine = Engine(load(folder, free_floor_mb=0), lambda: self.now)
        self.engine.add_tenant("hotel")
        self.sent = 0
        self.contacts = 4
        """How many contacts write in turns."""

    def send(self, day: int, *, contact: str = "", channel: str = "chat", type_: str = "message.received") -> None:
        """Record a message of a day of March."""
        self.sent += 1
        event = {
            "type": type_, "time": datetime(2026, 3, day, 9, self.sent % 60, tzinfo=UTC), "id": f"e{self.sent}", "channel": channel,
            "conversation_id": f"c{self.sent % 5}", "contact_id": contact or f"contact-{self.sent % self.contacts}",
        }  # fmt: skip
        assert self.engine.record("hotel", event, history=True)["rejected"] == []

    def rows(self, **how: Any) -> Sequence[Restatement]:
        """Return the ledger, oldest first."""
        found = self.engine.restatements.of("hotel", limit=1000, **how).rows
        return found[::-1]


@pytest.fixture
def clocked(tmp_path: Path) -> Iterator[Clocked]:
    """Make an engine for one test."""
    made = Clocked(tmp_path / "data")
    yield made
    made.engine.close()


def _values(engine: Engine, by: tuple[str, ...]) -> dict[tuple[str, str, str], Any]:
    """Return the numbers of the days that are closed by NOW: conversations are settled after seven days."""
    asked = engine.query("hotel", metrics=list(METRICS), start="2026-03-01", end="2026-03-13", grain="day", by=list(by))
    return {
        (row["window"][:10], name, row.get("channel") or "" if not by else row["channel"] or "(none)"): row[name]
        for row in asked["rows"] for name in METRICS
    }  # fmt: skip


@pytest.mark.parametrize("seed", range(20 if ALL else 1))
def test_first_values_and_restatements_lead_to_the_present_values(clocked: Clocked, seed: int) -> None:
    """After late events, links and erasures, each number of a closed day goes from its first value through its
    restatements to the present answer.

    Each restatement begins at the value where the one before it ended; unchanged numbers have none.
    """
    chance = random.Random(seed)
    clocked.send(1, contact="contact-0")  # days before the first event are not closed
    for _ in range(40):
        clocked.send(
            chance.randint(2, 18), type_=chance.choice(["message.received", "message.received", "message.sent"])
        )
    clocked.engine.restatements.restate()
    said = {by: _values(clocked.engine, by) for by in ((), ("channel",))}
    for round_ in range(4):
        clocked.now += timedelta(hours=1)
        for _ in range(chance.randint(0, 3)):
            clocked.send(chance.randint(2, 18), channel=chance.choice(["chat", "email"]), type_="message.sent")
        if round_ == 1:
            link = {"type": "contact.linked", "time": NOW - 9 * DAY, "id": "l1", "contact_id": "contact-1",
                    "attributes": {"linked_contact_id": "contact-2"}}  # fmt: skip
            clocked.engine.record("hotel", link, history=True)
        if round_ == 2:
            clocked.engine.erasures.erase("hotel", "contact-3")
            clocked.contacts = 3  # earlier events of an erased contact are refused
        clocked.engine.restatements.restate()
        assert clocked.engine.restatements.restate().changed == 0
    told: dict[tuple[str, str, str], list[Restatement]] = {}
    for row in clocked.rows():
        told.setdefault((row.window.isoformat(), row.metric, row.channel or ""), []).append(row)
    assert told
    for by, first in said.items():
        now = _values(clocked.engine, by)
        for key in now.keys() | first.keys():
            nothing = None if key[1] in ("response_ms.p50", "response_ms.avg") else 0
            chain = told.get(key, [])
            value = first.get(key, nothing)
            for row in chain:
                assert row.old == value, key
                assert row.delta == (None if row.old is None or row.new is None else row.new - row.old)
                value = row.new
            assert value == now.get(key, nothing), key


def test_the_ledger_is_read_by_days(clocked: Clocked) -> None:
    """The ledger's range includes `first` and excludes `after`; an empty or bad range is refused."""
    for day in (2, 3, 4):
        clocked.send(day)
    clocked.engine.restatements.restate()
    clocked.now += timedelta(hours=1)
    for day in (2, 3, 4):
        clocked.send(day)
    clocked.engine.restatements.restate()
    for first, after, days in ((None, None, {2, 3, 4}), ("2026-03-03", None, {3, 4}), (None, "2026-03-03", {2}),
                               ("2026-03-03", "2026-03-04", {3})):  # fmt: skip
        assert {row.window.day for row in clocked.rows(first=first, after=after)} == days
    for first, after in (("2026-03-03", "2026-03-03"), ("March", None)):
        with pytest.raises(BadQuestionError):
            clocked.rows(first=first, after=after)


def test_a_check_without_changes_writes_nothing(clocked: Clocked) -> None:
    """Without changes to closed days, after a second check, a backfill and new events, the ledger stays empty."""
    for day in range(2, 19):
        clocked.send(day)
    assert clocked.engine.restatements.restate().days > 15
    clocked.engine.backfill("2026-03-01", "2026-03-20", "hotel")
    clocked.send(20)
    assert clocked.engine.restatements.restate() == Restated(1, 0, 0, {})
    assert clocked.rows() == []


def test_restatements_have_their_cause(clocked: Clocked, monkeypatch: pytest.MonkeyPatch) -> None:
    """Causes are late events with their number, an erasure, and a definition; the ledger does not hold the erased contact."""
    for day in range(2, 19):
        clocked.send(day, contact="guest-secret-7")
        clocked.send(day)
    clocked.engine.restatements.restate()
    clocked.now += timedelta(hours=1)
    clocked.send(5)
    clocked.send(5)
    clocked.engine.restatements.restate()
    late = [row for row in clocked.rows() if row.metric == "messages" and row.channel is None]
    assert [(row.window.isoformat(), row.old, row.new, row.delta, row.cause, row.events) for row in late] == [
        ("2026-03-05", 2, 4, 2, "late events", 2)
    ]
    clocked.now += timedelta(hours=1)
    since = clocked.now.isoformat()
    clocked.engine.erasures.erase("hotel", "guest-secret-7")
    clocked.engine.restatements.restate()
    assert {row.cause for row in clocked.rows(since=since)} == {"erasure"}
    clocked.now += timedelta(hours=1)
    monkeypatch.setattr("hubbub.query.restated.DEFINITION_VERSION", DEFINITION_VERSION + 1)
    clocked.send(6)
    clocked.engine.restatements.restate()
    assert {row.cause for row in clocked.rows(since=clocked.now.isoformat())} == {"definition"}
    stored = b"".join(file.read_bytes() for file in clocked.engine.settings.data.glob("control.db*"))
    assert b"guest-secret-7" not in stored


def test_the_old_value_equals_the_as_of_answer(clocked: Clocked) -> None:
    """`as_of` before a late event gives the old value of its restatement; the present answer is the new value."""
    for day in range(2, 19):
        clocked.send(day)
    clocked.engine.restatements.restate()
    before = clocked.now
    clocked.now += timedelta(hours=1)
    clocked.send(5)
    clocked.engine.restatements.restate()
    (row,) = [row for row in clocked.rows(metric="messages") if row.channel is None]
    span: dict[str, Any] = {"metrics": ["messages"], "start": "2026-03-05", "end": "2026-03-06"}
    assert clocked.engine.query("hotel", **span)["rows"][0]["messages"] == row.new
    assert clocked.engine.query("hotel", **span, as_of=before)["rows"][0]["messages"] == row.old


def test_a_stored_report_counts_its_restatements(clocked: Clocked) -> None:
    """A kept report has the number of restatements of its days since it was made; one of other days has 0."""
    for day in range(2, 19):
        clocked.send(day)
    clocked.engine.restatements.restate()
    made = [
        clocked.engine.reports.make("hotel", "daily", start=first, end=after, sections=["summary"], formats=["json"]).id
        for first, after in (("2026-03-05", "2026-03-06"), ("2026-03-07", "2026-03-08"))
    ]
    clocked.now += timedelta(hours=1)
    clocked.send(5)
    clocked.engine.restatements.restate()
    found = {row.id: row.changed_since for row in clocked.engine.reports.kept("hotel").rows}
    assert found == {made[0]: len(clocked.rows()), made[1]: 0}
    shown = clocked.engine.reports.show("hotel", made[0])
    assert isinstance(shown, Report) and shown.changed_since == len(clocked.rows()) > 0


def test_a_first_day_without_events_is_restated(clocked: Clocked) -> None:
    """After an erasure of all events of the tenant's first day, the ledger says that its numbers went to 0."""
    clocked.send(1, contact="contact-3")
    clocked.send(2)
    clocked.engine.restatements.restate()
    clocked.now += timedelta(hours=1)
    clocked.engine.erasures.erase("hotel", "contact-3")
    clocked.engine.restatements.restate()
    changes = {(row.window.day, row.metric): (row.old, row.new) for row in clocked.rows() if row.channel is None}
    assert changes[1, "messages"] == (1, 0)


def test_a_median_without_facts_was_unknown_not_zero(clocked: Clocked) -> None:
    """A channel's first response on a closed day goes from null, not from 0, while its count goes from 0."""
    for channel in ("chat", "email"):
        for type_ in ("message.received", "message.sent"):
            clocked.engine.record("hotel", {
                "type": type_, "time": datetime(2026, 3, 1, 10, type_ == "message.sent", tzinfo=UTC), "id": f"{channel} {type_}",
                "channel": channel, "conversation_id": channel, "contact_id": "contact-9",
            }, history=True)  # fmt: skip
        clocked.engine.restatements.restate()
        clocked.now += timedelta(hours=1)
    changes = {row.metric: (row.old, row.new) for row in clocked.rows() if row.channel == "email"}
    assert changes["response_ms.p50"] == (None, 60_000)
    assert changes["responses"] == (0, 1)
