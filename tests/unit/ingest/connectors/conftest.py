"""Fixtures and helpers for a connector with a service on the loopback interface."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest

from hubbub.control.integrations import Integration
from hubbub.ingest.connectors.base import Connector, Notes
from hubbub.model.coverage import Day
from hubbub.model.event import Event, Item
from hubbub.model.name import Name
from hubbub.model.window import Window
from hubbub.outgoing.http import Outgoing
from tests.platforms import TOKEN

DAY = Day.of(date(2026, 8, 1), "UTC")
NOON = int(datetime(2026, 8, 1, 12, tzinfo=UTC).timestamp())
HOUR = 3600


@pytest.fixture
def out() -> Iterator[Outgoing]:
    """Open an outgoing client that may call this machine."""
    opened = Outgoing(["127.0.0.1"])
    yield opened
    opened.close()


def integration(provider: str, url: str, **settings: Any) -> Integration:
    """Return an integration with a service of the test."""
    now = datetime(2026, 8, 1)  # noqa: DTZ001 - as control data keeps it
    return Integration("int_1", "acme", provider, "n", {"base_url": url, **settings}, "active", "", "", None, now, now)


def read(connector: Connector, one: Integration, notes: Notes, token: str = TOKEN, day: Day = DAY) -> Iterator[Item]:
    """Yield the items of a day, then those of its look-back."""
    for batch in connector.fetch(one, token, day, notes):
        yield from (item for item in batch if not isinstance(item, Name))
    notes.place = None
    for batch in connector.look_back(one, token, Window(day.start, day.end), notes):
        yield from (item for item in batch if not isinstance(item, Name))


def of_day(connector: Connector, one: Integration, notes: Notes | None = None, day: Day = DAY) -> list[Event]:
    """Return the events of a day without its look-back."""
    found = [
        item
        for batch in connector.fetch(one, TOKEN, day, notes or Notes())
        for item in batch
        if not isinstance(item, Name)
    ]
    assert all(isinstance(item, Event) for item in found)
    return [item for item in found if isinstance(item, Event)]


def fetched(connector: Connector, one: Integration, token: str = TOKEN, day: Day = DAY) -> list[Event]:
    """Return all events of a day and its look-back, each once."""
    found: dict[str | None, Event] = {}
    for item in read(connector, one, Notes(), token, day):
        assert isinstance(item, Event)
        found.setdefault(item.id, item)
    return list(found.values())
