"""Lasting history: imports count at every grain and outlive retention, states last, days follow the zone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from hubbub.app import Engine
from hubbub.ingest.sources import slack
from tests.acceptance.conftest import DATA, needs, open_engine

GRAINS = ("total", "month", "week", "day", "hour")
ROME, NEW_YORK = "Europe/Rome", "America/New_York"
NOVEMBER = datetime(2026, 11, 20, 9, tzinfo=UTC)


@dataclass
class Clocked:
    """An engine and its present time."""

    engine: Engine
    now: datetime = NOVEMBER

    def night(self, nights: int = 1) -> dict[str, Any]:
        """Advance the clock by some nights and run retention once; return its row of the first tenant."""
        self.now += timedelta(days=nights)
        found: dict[str, Any] = self.engine.retention()["rows"][0]
        return found

    def messages(self, start: str, end: str, grain: str = "total") -> list[int | None]:
        """Return the messages of acme by window."""
        rows = self.engine.query("acme", metrics="messages", start=start, end=end, grain=grain)["rows"]
        return [row["messages"] for row in rows]


@pytest.fixture
def clocked(tmp_path: Path) -> Iterator[Clocked]:
    """An engine on an empty folder, with a clock that the test moves."""
    held: list[Clocked] = []
    with open_engine(tmp_path, lambda: held[0].now if held else NOVEMBER) as engine:
        held.append(Clocked(engine))
        yield held[0]


def message(number: int, at: datetime, **more: str) -> dict[str, Any]:
    """Return a message of a contact."""
    return {"type": "message.received", "id": f"m{number}", "time": at.isoformat(), "channel": "sms", **more}


def test_an_import_counts_at_every_grain_every_night(clocked: Clocked) -> None:
    """H1: twenty messages of March 2025, imported in November 2026 with the default retention, count at every grain for
    three years.
    """
    clocked.engine.add_tenant("acme", ROME)
    march = datetime(2025, 3, 3, 12, tzinfo=UTC)
    sent = [message(n, march + timedelta(days=n)) for n in range(20)]
    assert clocked.engine.record("acme", sent, history=True)["accepted"] == 20
    for nights in (0, 1, 1, 30, 400, 600):
        for grain in GRAINS:
            assert sum(n or 0 for n in clocked.messages("2025-03-01", "2025-04-01", grain)) == 20
        assert clocked.night(nights)["events"] == 0
        assert clocked.engine.verify()["clean"]
    assert clocked.night(70)["events"] == 20  # three years after they arrived
    assert clocked.messages("2025-03-01", "2025-04-01") == [None]
    assert clocked.engine.verify()["clean"]


@needs("slack-rcontributors")
def test_five_years_of_slack_survive_nightly_retention(clocked: Clocked) -> None:
    """H2, in the README's order: after adding a tenant and importing five years, nightly retention deletes nothing."""
    clocked.engine.add_tenant("acme", "UTC")
    items = [record.event for record in slack.read(DATA / "slack-rcontributors").records() if hasattr(record, "event")]
    clocked.engine.accept("acme", items, history=True, origin="import")
    months = clocked.messages("2020-11-01", "2026-12-01", "month")
    assert sum(n or 0 for n in months) > 2000
    for nights in (1, 1, 90):
        gone = clocked.night(nights)
        assert (gone["events"], gone["gone_until"], gone["kept_back"]) == (0, None, "")
        assert clocked.messages("2020-11-01", "2026-12-01", "month") == months
    assert clocked.engine.load("acme", items)["accepted"] == 0
    assert clocked.messages("2020-11-01", "2026-12-01", "month") == months


def test_states_survive_the_deletion_of_their_facts(clocked: Clocked) -> None:
    """H3: a contact blocked, a campaign completed and a conversation resolved 17 months ago remain so after a cut; a
    returning contact is not new.
    """
    clocked.now = datetime(2025, 6, 20, 9, tzinfo=UTC)
    clocked.engine.add_tenant("acme", ROME, retention={"raw": 30, "facts": 90})
    at, who = clocked.now.isoformat(), {"contact_id": "k1", "conversation_id": "c1", "channel": "sms"}
    clocked.engine.record("acme", [
        message(1, clocked.now, contact_id="k1", conversation_id="c1"),
        {"type": "conversation.resolved", "id": "r", "time": at, **who},
        {"type": "contact.blocked", "id": "b", "time": at, **who},
        {"type": "campaign.created", "id": "p", "time": at, "campaign_id": "p1"},
        {"type": "campaign.completed", "id": "q", "time": at, "campaign_id": "p1"},
    ])  # fmt: skip
    names = ("blocked_contacts", "campaigns_total", "campaigns_completed", "total_conversations", "open_conversations")
    today: dict[str, Any] = {"start": "2026-11-20", "end": "2026-11-21"}
    assert clocked.night((NOVEMBER - clocked.now).days)["events"] == 5
    clocked.now = NOVEMBER
    clocked.engine.record("acme", message(2, NOVEMBER - timedelta(minutes=1), contact_id="k1", conversation_id="c2"))
    (row,) = clocked.engine.query("acme", metrics=[*names, "new_contacts"], **today)["rows"]
    assert [row[name] for name in (*names, "new_contacts")] == [1, 1, 1, 2, 1, 0]
    assert clocked.engine.verify()["clean"]


def test_days_move_with_the_zone(clocked: Clocked) -> None:
    """H8: after a cut and a move from Rome to New York, every kept message counts on its New York day; deleted days stay null."""
    clocked.engine.add_tenant("acme", ROME, retention={"raw": 30, "facts": 30})
    clocked.now = NOVEMBER - timedelta(days=45)
    times = [clocked.now + timedelta(hours=7 * n) for n in range(150)]
    for number, at in enumerate(times):
        clocked.now = at
        clocked.engine.record("acme", message(number, at))
    clocked.now = NOVEMBER
    assert clocked.engine.retention()["rows"][0]["events"] > 0
    cut = datetime(2026, 10, 20, 22, tzinfo=UTC)  # thirty local days before the present, in Rome
    clocked.engine.tenants.change("acme", zone=NEW_YORK)
    days = Counter(at.astimezone(ZoneInfo(NEW_YORK)).date() for at in times if at >= cut)
    rows = clocked.engine.query("acme", metrics="messages", start="2026-10-15", end="2026-11-20", grain="day")["rows"]
    for row in rows:
        at = datetime.fromisoformat(row["window"])
        if at < cut:
            assert (row["messages"], row["messages.state"]) == (None, "gone")
        else:
            assert row["messages"] == days[at.date()]
    assert clocked.engine.verify()["clean"]
