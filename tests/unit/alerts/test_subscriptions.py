"""Subscriptions: digests go out in the recipient's zone, wait for missing data, say so, and have the report's numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from hubbub.api.app import create_app
from hubbub.app import Engine
from hubbub.control.subscriptions import Subscription
from hubbub.errors import BadInputError, ConflictError, NotFoundError, StoreFullError
from hubbub.query import queries
from hubbub.services.subscriptions import Digests
from hubbub.settings import load
from tests.mail_server import mail_server
from tests.services import Reply, service

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)  # a Monday
DAY = timedelta(days=1)


class Clocked:
    """An engine with a tenant in Rome and a clock that a test moves."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        """Open it."""
        self.now = NOW
        self.engine = Engine(load(folder, free_floor_mb=0, **settings), lambda: self.now)
        self.engine.add_tenant("hotel", "Europe/Rome")

    def close(self) -> None:
        """Close it."""
        self.engine.close()

    def send(self, count: int) -> None:
        """Record `count` messages at the current time."""
        events = [
            {"type": "message.received", "time": self.now, "id": f"{self.now:%d%H}-{n}", "channel": "chat"}
            for n in range(count)
        ]
        self.engine.record("hotel", events)

    def at(self, moment: str) -> Digests:
        """Set the clock, and send the digests that are due."""
        self.now = datetime.fromisoformat(moment)
        found = self.engine.subscriptions.send()
        self.engine.messages.deliver()
        return found


@pytest.fixture
def clocked(tmp_path: Path) -> Iterator[Clocked]:
    """An engine with the address of its dashboard set."""
    made = Clocked(tmp_path / "data", public_url="https://stats.hotel.example")
    yield made
    made.close()


def _daily(clocked: Clocked, **how: Any) -> Subscription:
    to = clocked.engine.destinations.add("hotel", "mail", "marta@hotel.example").id
    return clocked.engine.subscriptions.add("hotel", to, "daily", sections=["summary"], **how)


def _documents(clocked: Clocked) -> list[Any]:
    rows = clocked.engine.messages.of("hotel").rows
    return [clocked.engine.outbox.message(row.id).document for row in rows]


def test_a_digest_goes_out_once_in_the_recipients_zone(clocked: Clocked) -> None:
    """The digest of Rome's last day goes out at 7:00 in New York, once, however often the sender runs."""
    _daily(clocked, zone="America/New_York")
    clocked.send(5)
    sent = [clocked.at(f"2026-03-03T{time}+00:00").written for time in ("07:00", "11:55", "12:00", "12:05", "20:00")]
    assert sent == [0, 0, 1, 0, 0]
    (document,) = _documents(clocked)
    assert document["data"]["from"] == "2026-03-02"


def test_the_numbers_are_those_of_report_page_and_api(clocked: Clocked) -> None:
    """Every number in the message equals that of the stored report and of the same query; its text has them too."""
    _daily(clocked)
    clocked.send(7)
    clocked.at("2026-03-03T06:00:00+00:00")
    (document,) = _documents(clocked)
    numbers = {row["metric"]: row["value"] for row in document["data"]["numbers"]}
    file = clocked.engine.reports.file("hotel", document["data"]["report"], "json").path
    data = json.loads(Path(file).read_text())["data"]
    assert numbers == {row["metric"]: row["value"] for row in data["sections"][0]["rows"]}
    asked = clocked.engine.query("hotel", metrics=list(numbers), start="2026-03-02", end="2026-03-03")["rows"][0]
    assert numbers == {name: asked[name] for name in numbers}
    assert any(line.startswith("Messages received: 7") for line in document["lines"])


def test_a_digest_waits_for_unfolded_events_and_then_names_them(
    clocked: Clocked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A digest waits up to `wait_hours` for events that are not folded. Complete by then, it says how late it is; otherwise it says
    that it did not wait longer."""

    def full(*_: object) -> None:
        raise StoreFullError

    made = _daily(clocked, wait_hours=2)
    clocked.send(3)
    with monkeypatch.context() as patched:
        patched.setattr(queries, "refresh", full)
        assert clocked.at("2026-03-03T06:00:00+00:00").waiting == 1
        assert "not counted" in str(clocked.engine.subscriptions.of("hotel").rows[0].waits_for)
        assert clocked.at("2026-03-03T07:55:00+00:00").waiting == 1
    assert clocked.at("2026-03-03T07:56:00+00:00").written == 1
    assert any("Sent at 08:56 instead of 07:00" in line for line in _documents(clocked)[0]["lines"])
    with monkeypatch.context() as patched:
        patched.setattr(queries, "refresh", full)
        assert clocked.at("2026-03-04T08:00:00+00:00").written == 1
    (late,) = [line for line in _documents(clocked)[0]["lines"] if "without waiting longer" in line]
    assert late.endswith(".") and not late.endswith("..")
    assert clocked.engine.subscriptions.of("hotel").rows[0].id == made.id


def test_a_mail_has_the_digest_its_files_and_a_way_to_stop(tmp_path: Path) -> None:
    """A real SMTP server gets the digest with its workbook; the link in it stops the digest with a button, without signing in."""
    with mail_server() as (port, came):
        mail = {"host": "127.0.0.1", "port": port, "security": "none", "sender": "hubbub@hotel.example"}
        with closing(Clocked(tmp_path / "data", mail=mail, public_url="https://stats.hotel.example")) as clocked:
            _daily(clocked, formats=["xlsx"])
            clocked.send(4)
            assert clocked.at("2026-03-03T06:00:00+00:00").written == 1
            (message,) = came
            link = str(message["List-Unsubscribe"]).strip("<>")
            assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
            assert [one.get_filename() for one in message.iter_attachments()] == [
                "hotel-daily-2026-03-02-to-2026-03-03.xlsx"
            ]
            path = link.removeprefix("https://stats.hotel.example")
            with TestClient(create_app(clocked.engine, refresh=False)) as http:
                assert "Stop the daily digest?" in http.get(path).text
                assert clocked.engine.subscriptions.of("hotel").rows[0].state == "active"
                stopped = http.post(path, data={"List-Unsubscribe": "One-Click"}).text
                assert (
                    "The digest is stopped" in stopped and "You will get no daily digest of hotel any more" in stopped
                )
                assert http.get(f"{path[:-3]}abc").status_code == 404
            assert clocked.engine.subscriptions.of("hotel").rows[0].state == "stopped"
            assert clocked.at("2026-03-04T06:00:00+00:00").written == 0
    assert len(came) == 1


def test_an_unusual_day_is_the_news(clocked: Clocked) -> None:
    """After weeks of three messages a day, a day of thirty is in the title with its usual range; a usual day's title says that
    nothing is unusual."""
    _daily(clocked)
    start = NOW - 70 * DAY
    events = [
        {"type": "message.received", "time": start + day * DAY, "id": f"h{day}-{n}", "channel": "chat"}
        for day in range(70) for n in range(3)
    ]  # fmt: skip
    clocked.engine.record("hotel", events, history=True)
    clocked.send(30)
    clocked.at("2026-03-03T06:00:00+00:00")
    clocked.send(3)
    clocked.at("2026-03-04T06:00:00+00:00")
    usual, unusual = (document["title"] for document in _documents(clocked))
    assert "Messages rose to 30, 27 more than before. Usual messages for such a day: 0 – 8." in unusual
    assert "Nothing unusual." in usual


def test_a_destination_in_use_cannot_be_removed(clocked: Clocked) -> None:
    """A destination can be removed once no rule and no active subscription sends to it; until then the error names them."""
    engine, daily = clocked.engine, _daily(clocked)
    rule = {"name": "Many", "kind": "threshold", "metric": "messages", "limit": 5, "destinations": [daily.destination]}
    alert = engine.alerts.add("hotel", rule).id
    with pytest.raises(ConflictError, match=f"{alert}, {daily.id} send to {daily.destination}"):
        engine.destinations.remove("hotel", daily.destination)
    engine.alerts.remove("hotel", alert)
    with pytest.raises(ConflictError, match=daily.id):
        engine.destinations.remove("hotel", daily.destination)
    engine.subscriptions.stop("hotel", daily.id)
    assert engine.destinations.remove("hotel", daily.destination).removed == daily.destination


def test_an_invalid_subscription_is_refused(clocked: Clocked) -> None:
    """Unknown kinds, zones, hours and destinations, and files to a destination that takes none, are refused."""
    to = clocked.engine.destinations.add("hotel", "mail", "marta@hotel.example").id
    with service(lambda _: Reply()):
        slack = clocked.engine.destinations.add("hotel", "slack", "https://hooks.slack.com/services/T/B/x").id
    refused: tuple[dict[str, Any], ...] = (
        {"kind": "hourly"},
        {"zone": "Rome"},
        {"at": "7"},
        {"wait_hours": 99},
        {"destination": slack, "formats": ["xlsx"]},
    )
    for how in refused:
        with pytest.raises(BadInputError):
            clocked.engine.subscriptions.add("hotel", **{"destination": to, "kind": "daily", **how})
    with pytest.raises(NotFoundError):
        clocked.engine.subscriptions.add("hotel", "dst_none", "daily")
    assert clocked.engine.subscriptions.of("hotel").rows == []
